"""The platform's name gets another address, then none, and then has one again.

The gateway runs among mounts of its own, where the files that the system's resolver reads are this story's. Callers
notice nothing of the move; a name that is not found costs those who need a new connection, and nobody else.
"""

import asyncio
import http.server
import json
import subprocess
import threading
import time

from callers import Caller, timed
from report import Result
from servers import Gateway, Missing, Simulator, free_port
from settings import lookup, route, settings

OLD, NEW = "127.0.0.1", "127.0.0.2"
NAME = "platform.test"
CALLERS = 4
# How soon all requests go to the new address, and how soon they are served when the name is found again.
MOVED_WITHIN, BACK_WITHIN = 60, 10
# Time to connect, and what waking up and a busy machine may add.
CONNECT, SLACK = 3, 2
# So long nobody goes to the old address any more before that is believed; the name is looked up every ten seconds.
QUIET = 15
NOT_FOUND = {"upstream_name", "upstream_failing"}

# What runs among mounts of its own: the files after the program's arguments take the places of these.
PLACES = ("/etc/hosts", "/etc/resolv.conf", "/etc/nsswitch.conf")
WITHIN = 'for place in %s; do mount --bind "$1" "$place" || exit 1; shift; done; exec "$@"' % " ".join(PLACES)
MOUNTS = ("unshare", "--mount", "--map-root-user", "sh", "-c")


def run(options, work):
    """Tells this story."""
    if subprocess.run([*MOUNTS, "mount --bind /etc/hosts /etc/hosts"], capture_output=True).returncode:
        raise Missing("a process may not have mounts of its own here (unshare --mount --map-root-user)")
    result = Result("names")
    port = free_port()
    files = [work / "hosts", work / "resolv.conf", work / "nsswitch.conf"]
    # Nobody is asked whom the files do not name.
    for file, text in zip(files, ("", f"nameserver {OLD}\noptions timeout:1 attempts:1\n", "hosts: files dns\n")):
        file.write_text(text)
    resolve(files[0], OLD)
    platforms = [Platform(address, port) for address in (OLD, NEW)]
    with Simulator(options.gateway, work) as simulator:
        made = settings(
            simulator.port,
            route("lookups", "/data/core/ups/{*rest}"),
            upstream={"url": f"http://{NAME}:{port}", "allow_plain_http": True, "connect_timeout": f"{CONNECT}s"},
        )
        try:
            with Among(options.gateway, made, work, files) as gateway:
                asyncio.run(tell(gateway, files[0], platforms, result))
        finally:
            for platform in platforms:
                platform.shutdown()
    return result


class Among(Gateway):
    """A gateway among mounts of its own."""

    def __init__(self, path, made, work, files):
        super().__init__(path, made, work)
        self.files = files

    def command(self):
        return [*MOUNTS, WITHIN, "sh", *self.files, *super().command()]


class Platform(http.server.ThreadingHTTPServer):
    """A platform that says where it is."""

    daemon_threads = True
    closing = False

    def __init__(self, address, port):
        super().__init__((address, port), Answering)
        threading.Thread(target=self.serve_forever, daemon=True).start()


class Answering(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        body = json.dumps({"at": self.server.server_address[0]}).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        if self.server.closing:
            self.send_header("Connection", "close")
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


def resolve(hosts, address=None):
    """Gives the name an address, or none. The file stays the same: it is what was mounted."""
    hosts.write_text(f"{address} {NAME}\n" if address else "")


async def tell(gateway, hosts, platforms, result):
    """Lets callers call while the name changes."""
    seen, ended = [], asyncio.Event()
    calling = [asyncio.ensure_future(call(gateway.port, seen, ended)) for _ in range(CALLERS)]
    try:
        await asyncio.sleep(2)
        resolve(hosts, NEW)
        moved = time.monotonic()
        while time.monotonic() - max(moved, latest_at(seen, OLD)) < QUIET and time.monotonic() < moved + 90:
            await asyncio.sleep(0.5)
        resolve(hosts)
        gone = time.monotonic()
        await asyncio.sleep(QUIET)
        for platform in platforms:
            platform.closing = True
        closing = time.monotonic()
        await asyncio.sleep(2 * CONNECT)
        resolve(hosts, NEW)
        found = time.monotonic()
        await asyncio.sleep(BACK_WITHIN)
    finally:
        ended.set()
        await asyncio.gather(*calling)
    judge(result, seen, moved, gone, closing, found)


async def call(port, seen, ended):
    """Looks a profile up again and again, and keeps when, how long, and what came of it."""
    caller = Caller(port)
    while not ended.is_set():
        begun = time.monotonic()
        answer, took = await timed(caller.ask("GET", lookup("janedoe@example.com")))
        well = answer.end == "complete" and answer.status == 200
        seen.append((begun, took, json.loads(answer.body)["at"] if well else None, answer.status, answer.reason()))
        await asyncio.sleep(0.02)
    caller.leave()


def latest_at(seen, address):
    """Returns when the latest request began that was answered at this address."""
    return max((begun for begun, _, at, *_ in seen if at == address), default=0)


def judge(result, seen, moved, gone, closing, found):
    """Keeps the figures, and what of them must not be."""
    result.note("requests", len(seen))
    followed = latest_at(seen, OLD) - moved
    result.note("last request at the old address after the move", f"{followed:.1f} s")
    result.must(followed <= MOVED_WITHIN, f"requests went to the old address {followed:.0f} s after the move")
    first = min((begun for begun, _, at, *_ in seen if at == NEW), default=None)
    result.must(first, "no request went to the new address")
    early = [one for one in seen if one[0] + one[1] < closing and one[2] is None]
    result.must(not early, f"{len(early)} requests failed that had a connection, the first with {early[:1]}")
    result.note("requests on connections that lasted without the name", sum(gone < one[0] < closing for one in seen))
    lost = [one for one in seen if one[2] is None and one not in early]
    result.note("requests that found no name", len(lost))
    result.must(lost, "without the name a new connection was opened")
    longest = max((took for _, took, *_ in lost), default=0)
    result.note("longest of them", f"{longest:.2f} s")
    result.must(longest <= CONNECT + SLACK, f"a request without a name took {longest:.1f} s")
    for _, _, _, status, reason in lost:
        result.must(status in (502, 503) and reason in NOT_FOUND, f"a request without a name got {status} {reason}")
    failures = [begun - found for begun, _, at, *_ in seen if at is None and begun > found]
    served = [begun - found for begun, _, at, *_ in seen if at and begun > found]
    result.note("first request served after the name was back", f"{min(served):.1f} s" if served else "none")
    late = max(failures, default=0)
    result.must(served and min(served) <= BACK_WITHIN, f"nothing is served {BACK_WITHIN} s after the name was back")
    result.must(late <= BACK_WITHIN, f"a request failed {late:.1f} s after the name was back")
