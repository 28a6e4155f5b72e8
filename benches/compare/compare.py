#!/usr/bin/env python3
"""Compares the gateway with nginx, HAProxy and Envoy doing the same job on this machine, on loopback.

Each of them takes HTTP/1.1 over kept connections, replaces whatever credentials its caller sends by four fields with a
token of 1,500 bytes, asks a limiter that never refuses, passes the request to one origin over pooled connections, and
writes one line a request into a file. That is checked before anything is timed. nginx and HAProxy have the token in
their configuration; the gateway and Envoy fetch it.

What is compared is the processor time of a request: user and system time of all the peer's processes, divided by the
requests answered. Every peer runs on one core, the load and the origin on another. Results are written to
target/compare/ as Markdown, SVG and JSON; the Markdown is printed too. `make compare` installs what is missing.
"""

import argparse
import contextlib
import datetime
import json
import os
import pathlib
import platform
import shutil
import signal
import sys
import tempfile

sys.dont_write_bytecode = True

import chart
import load
import peers
import report
from processes import raise_file_limit
from witness import Witness, verify

ROOT = pathlib.Path(__file__).resolve().parents[2]


def main():
    options = parse()
    # Ending by SIGTERM ends what was started too.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("stopped"))
    cores = sorted(os.sched_getaffinity(0))
    if len(cores) < 2:
        sys.exit("Two cores are needed: one for the peers, one for the load and the origin.")
    raise_file_limit()
    programs = peers.find(options.gateway, options.target)
    try:
        peers.require(programs, options.peers)
        with tempfile.TemporaryDirectory(prefix="compare-") as work:
            results = compare(options, programs, pathlib.Path(work), *cores[:2])
    except (peers.Missing, RuntimeError, TimeoutError) as error:
        sys.exit(str(error))
    except KeyboardInterrupt:
        sys.exit("interrupted; everything that was started has been ended")
    write(options, results)


def parse():
    arguments = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter, allow_abbrev=False
    )
    target = pathlib.Path(os.environ.get("CARGO_TARGET_DIR") or ROOT / "target").absolute()
    listed = {"type": lambda text: text.split(","), "metavar": "A,B"}
    arguments.add_argument("--rounds", type=int, default=3, help="how often everything is measured (default 3)")
    arguments.add_argument("--seconds", type=int, default=2, help="how long a measurement takes (default 2)")
    arguments.add_argument("--peers", default=peers.NAMES, help=f"default {','.join(peers.NAMES)}", **listed)
    arguments.add_argument(
        "--scenarios", default=list(load.SCENARIOS), help=f"default {','.join(load.SCENARIOS)}", **listed
    )
    arguments.add_argument("--gateway", type=pathlib.Path, default=target / "release/profile-gateway")
    arguments.add_argument("--output", type=pathlib.Path, default=target / "compare", help="default target/compare")
    arguments.add_argument("--into", type=pathlib.Path, help="a page whose marked section takes the table")
    arguments.add_argument("--chart", type=pathlib.Path, help="where the chart is put besides")
    options = arguments.parse_args()
    options.target = target
    for given, known in ((options.peers, peers.NAMES), (options.scenarios, load.SCENARIOS)):
        if unknown := [name for name in given if name not in known]:
            arguments.error(f"there is no {unknown[0]}; there are {', '.join(known)}")
    if options.rounds < 1 or options.seconds < 1:
        arguments.error("a round and a second are the least")
    return options


def compare(options, programs, work, peer_core, load_core):
    """Runs everything and returns what was measured."""
    results = {
        "facts": facts(options, programs),
        "peers": list(options.peers),
        "runs": [],
        "start_seconds": {name: [] for name in options.peers},
        "idle_bytes": {},
        "connection_bytes": {},
    }
    with Witness() as witness:
        for name in options.peers:
            with peers.Peer(name, programs[name], work / "verified", witness.port, peer_core) as peer:
                if faults := verify(peer, witness):
                    raise RuntimeError(f"{name} does not do the job: " + "; ".join(faults))
            tell(f"{name} does the job")
    with contextlib.ExitStack() as stack:
        origin = stack.enter_context(peers.Origin(programs["nginx"], work, load_core))
        place = work / "timed", origin.port, peer_core
        for number in range(options.rounds):
            for name in options.peers:
                with peers.Peer(name, programs[name], *place) as peer:
                    results["start_seconds"][name].append(peer.start_seconds)
                    if number == 0:
                        results["idle_bytes"][name] = peer.program.memory_bytes()
                        results["connection_bytes"][name] = load.idle_connection_bytes(peer)
        running = [stack.enter_context(peers.Peer(name, programs[name], *place)) for name in options.peers]
        for scenario in options.scenarios:
            for peer in running:
                load.run(programs["wrk"], peer, scenario, 1, load_core)
            for number in range(1, options.rounds + 1):
                # There and back, so that nobody always comes after the same one.
                for peer in running if number % 2 else reversed(running):
                    cost = load.run(programs["wrk"], peer, scenario, options.seconds, load_core)
                    run = {"scenario": scenario, "peer": peer.name, "round": number, "cpu_us": round(cost, 2)}
                    results["runs"].append(run)
                    tell(f"{scenario}, round {number}: {peer.name} {cost:.1f} µs")
    return results


def facts(options, programs):
    with open("/proc/cpuinfo") as info:
        models = (line.partition(":")[2].strip() for line in info if line.startswith("model name"))
        cpu = next(models, platform.machine())
    command = f"benches/compare/compare.py --rounds {options.rounds} --seconds {options.seconds}"
    if list(options.peers) != list(peers.NAMES):
        command += f" --peers {','.join(options.peers)}"
    if options.scenarios != list(load.SCENARIOS):
        command += f" --scenarios {','.join(options.scenarios)}"
    return {
        "command": command,
        "cores": os.cpu_count(),
        "cpu": cpu,
        "date": datetime.date.today().isoformat(),
        "kernel": platform.release(),
        "rounds": options.rounds,
        "seconds": options.seconds,
        "versions": {name: peers.version(name, programs[name]) for name in options.peers},
    }


def write(options, results):
    folder = options.output
    folder.mkdir(parents=True, exist_ok=True)
    table = report.markdown(results)
    (folder / "compare.json").write_text(json.dumps(results, indent=1) + "\n")
    (folder / "compare.md").write_text(table)
    (folder / "compare.svg").write_text(chart.svg(results))
    if options.into:
        options.into.write_text(report.put_into(options.into.read_text(), table))
    if options.chart:
        shutil.copy(folder / "compare.svg", options.chart)
    print(table)
    tell(f"written to {folder}")


def tell(text):
    print(text, file=sys.stderr, flush=True)


if __name__ == "__main__":
    main()
