#!/usr/bin/env python3
"""Puts the gateway through what a long life brings, on loopback, in front of its own simulated Adobe.

Each story starts both, puts constant load on the gateway, does something to it, and says what came of it:

  reloads       the configuration changes a hundred times, also to faulty ones: no request fails
  restart       two processes take turns at one port: no request fails
  upstream      the upstream is killed and comes back ten times: nothing hangs, and nothing fails once that is over
  names         the upstream's name moves, is not found, and is back: each is noticed in its time
  certificates  the listener's certificate is replaced twenty times: no handshake fails, and each is seen
  memory        10,000 idle connections and 1,000 slow readers stay within what the README says, and leave nothing
  soak          random faults and callers: nothing leaks, nothing hangs, and every request is counted

Results are written to target/endure/ as Markdown and JSON; the Markdown is printed too. Exits with 1 when something
failed that must not. wrk makes load, and h2load where it is; `make endure` installs what is missing.
"""

import argparse
import importlib
import json
import os
import pathlib
import shutil
import signal
import subprocess
import sys
import tempfile

sys.dont_write_bytecode = True

import report
from servers import Missing, raise_file_limit

ROOT = pathlib.Path(__file__).resolve().parents[2]
STORIES = ("reloads", "restart", "upstream", "names", "certificates", "memory", "soak")


def main():
    options = parse()
    # Ending by SIGTERM ends what was started too.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("stopped"))
    options.files = raise_file_limit()
    results = []
    try:
        for name in options.stories:
            tell(f"{name} …")
            results.append(run(name, options))
            tell(f"{name}: {results[-1].verdict()}")
    except KeyboardInterrupt:
        sys.exit("interrupted; everything that was started has been ended")
    write(options, results)
    failed = [result for result in results if result.faults or (result.skipped and not options.allow_missing)]
    sys.exit(1 if failed else 0)


def parse():
    arguments = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter, allow_abbrev=False
    )
    target = pathlib.Path(os.environ.get("CARGO_TARGET_DIR") or ROOT / "target").absolute()
    arguments.add_argument("stories", nargs="*", metavar="STORY", help=f"default: {' '.join(STORIES)}")
    arguments.add_argument("--minutes", type=float, default=30, help="how long to soak (default 30)")
    arguments.add_argument("--share", type=float, default=1, help="the part of all repetitions to make, such as 0.2")
    arguments.add_argument("--seed", type=int, help="what the soak's faults and callers are drawn from")
    arguments.add_argument(
        "--allow-missing", action="store_true", help="a story that cannot be run here is no failure"
    )
    arguments.add_argument("--gateway", type=pathlib.Path, default=target / "release/profile-gateway")
    arguments.add_argument("--output", type=pathlib.Path, default=target / "endure", help="default target/endure")
    options = arguments.parse_args()
    options.stories = options.stories or STORIES
    if unknown := [name for name in options.stories if name not in STORIES]:
        arguments.error(f"there is no {unknown[0]}; there are {', '.join(STORIES)}")
    if not options.gateway.exists():
        arguments.error(f"there is no {options.gateway}; cargo build --release makes it")
    if options.minutes <= 0 or not 0 < options.share <= 1:
        arguments.error("--minutes is more than 0, and --share more than 0 and no more than 1")
    options.gateway = options.gateway.absolute()
    options.times = lambda all_of_them: max(1, round(all_of_them * options.share))
    return options


def run(name, options):
    """Tells one story; what keeps it from its end is a fault of it. Logs of one that failed are kept."""
    work = pathlib.Path(tempfile.mkdtemp(prefix=f"endure-{name}-"))
    try:
        result = importlib.import_module(name).run(options, work)
    except Missing as missing:
        result = report.Result(name)
        result.skipped = str(missing)
    except (OSError, RuntimeError, TimeoutError) as error:
        result = report.Result(name)
        result.must(False, f"{type(error).__name__}: {error}")
    except BaseException:
        shutil.rmtree(work)
        raise
    if result.faults:
        kept = options.output / name
        shutil.rmtree(kept, ignore_errors=True)
        shutil.copytree(work, kept)
        tell(f"its logs are in {kept}")
    shutil.rmtree(work)
    return result


def write(options, results):
    version = subprocess.run([options.gateway, "--version"], capture_output=True, text=True, timeout=20).stdout.strip()
    command = f"benches/endure/endure.py {' '.join(options.stories)}"
    if "soak" in options.stories:
        command += f" --minutes {options.minutes:g}"
    if options.share != 1:
        command += f" --share {options.share:g}"
    facts = report.facts(command, version, os.cpu_count())
    table = report.markdown(results, facts)
    options.output.mkdir(parents=True, exist_ok=True)
    told = {"facts": facts, "stories": [result.as_json() for result in results]}
    (options.output / "endure.json").write_text(json.dumps(told, indent=1) + "\n")
    (options.output / "endure.md").write_text(table)
    print(table)
    tell(f"written to {options.output}")


def tell(text):
    print(text, file=sys.stderr, flush=True)


if __name__ == "__main__":
    main()
