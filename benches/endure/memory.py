"""Idle connections and slow readers hold what the README says, and leave nothing behind.

10,000 connections make a request each and then wait. After them 1,000 callers take large answers a little at a time.
All of that happens twice: what the allocator keeps of the first time serves the second, and a leak would come on top.
"""

import asyncio
import socket
import time

from report import Result, megabytes
from servers import Gateway, Missing, Simulator, settle
from settings import lookup, route, settings

# As README.md states them, section Operations: bytes held for a connection that waits, for one that is busy, and for a
# request whose caller does not read.
IDLE_CONNECTION = 2_700
BUSY_CONNECTION = 20_000
SLOW_READER = 350_000
# How much more than that counts as within it.
ALLOWANCE = 1.25
# What may be left when all is over: so many bytes, or such a part of what there was.
LEFT = 30_000_000
LEFT_OF_THE_MOST = 0.1

CONNECTIONS = 10_000
READERS = 1_000
AT_ONCE = 100
# Files besides connections: more than callers leave to others.
OTHER_FILES = 1_000
# A slow reader takes so much at a time, with so many seconds between; once all have begun they do it for so long.
PIECE = 4_096
PAUSE = 1
READING = 15


def run(options, work):
    """Tells this story."""
    result = Result("memory")
    connections, readers = options.times(CONNECTIONS), options.times(READERS)
    # Of callers, and twice to the upstream, which is what callers of the gateway leave.
    needed = connections + 2 * (readers + AT_ONCE) + OTHER_FILES
    if options.files < needed:
        raise Missing(f"{needed} open files are needed and {options.files} are allowed; see ulimit -n")
    with Simulator(options.gateway, work) as simulator:
        made = settings(
            simulator.port,
            route("lookups", "/data/core/ups/{*rest}"),
            in_flight=readers + AT_ONCE,
            upstream={"connections": readers + AT_ONCE, "idle_timeout": "2s"},
        )
        made["listeners"][0]["limits"] = {"connections": connections + AT_ONCE, "idle_timeout": "10m"}
        with Gateway(options.gateway, made, work) as gateway:
            asyncio.run(hold(gateway, 1, 0))
            settle(gateway)
            start = gateway.holds()
            result.note("memory at the start", megabytes(start["memory"]))
            peaks = {}
            for turn in ("first", "second"):
                peaks[turn] = asyncio.run(idle(gateway, connections, start, result, turn))
                peaks[turn] = max(peaks[turn], asyncio.run(slow(gateway, readers, start, result, turn)))
            result.must(
                peaks["second"] <= peaks["first"] * ALLOWANCE,
                f"the second time took {megabytes(peaks['second'])}, after {megabytes(peaks['first'])} the first time",
            )
            result.note("files at the start and at the end", f"{start['files']}, {gateway.holds()['files']}")
            result.must(gateway.holds()["files"] <= start["files"], "files are left open")
    return result


async def idle(gateway, connections, start, result, turn):
    """Holds idle connections and keeps what they take."""
    before = gateway.program.memory_bytes()
    during = await hold(gateway, connections, 3)
    each = (during - before) / connections / 1e3
    result.note(f"{turn}: with {connections} idle connections", f"{megabytes(during)}, {each:.1f} kB more for each")
    bound = before + connections * IDLE_CONNECTION + AT_ONCE * BUSY_CONNECTION
    # Not here, where the loop has yet to close what was given up.
    await asyncio.to_thread(judge, gateway, f"{turn}: idle connections", during, bound, start, result)
    return during


async def hold(gateway, connections, seconds):
    """Opens connections that make a request each, waits, and returns the gateway's memory then."""
    numbers, held = iter(range(connections)), []
    request = f"GET {lookup('janedoe@example.com')} HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n".encode()

    async def open_some():
        for _ in numbers:
            reader, writer = await asyncio.open_connection("127.0.0.1", gateway.port)
            held.append(writer)
            writer.write(request)
            head = await reader.readuntil(b"\r\n\r\n")
            length = next(line for line in head.split(b"\r\n") if line.lower().startswith(b"content-length:"))
            await reader.readexactly(int(length.split(b":")[1]))
            if not head.startswith(b"HTTP/1.1 200"):
                raise RuntimeError(f"an idle connection's request was answered {head[:200]!r}")

    try:
        await asyncio.gather(*(open_some() for _ in range(AT_ONCE)))
        await asyncio.sleep(seconds)
        open_now = gateway.metrics().total("profile_gateway_connections")
        if open_now != connections:
            raise RuntimeError(f"{open_now} connections are open and not {connections}")
        return gateway.program.memory_bytes()
    finally:
        for writer in held:
            writer.transport.abort()


async def slow(gateway, readers, start, result, turn):
    """Lets slow callers read and keeps what they take."""
    pieces, ended, turns = [0] * readers, asyncio.Event(), asyncio.Semaphore(AT_ONCE)
    reading = [asyncio.ensure_future(read_slowly(gateway.port, pieces, one, ended, turns)) for one in range(readers)]
    before, most, since = gateway.program.memory_bytes(), 0, None
    try:
        while since is None or time.monotonic() - since < READING:
            await asyncio.sleep(0.5)
            since = since or (time.monotonic() if all(pieces) else None)
            most = max(most, gateway.program.memory_bytes())
            broken = next((one for one in reading if one.done()), None)
            if broken:
                broken.result()
        under_way = gateway.metrics().total("profile_gateway_requests_in_flight")
        if under_way != readers:
            raise RuntimeError(f"{under_way} requests are in flight and not {readers}")
    finally:
        ended.set()
        await asyncio.gather(*reading, return_exceptions=True)
    each = (most - before) / readers / 1e3
    result.note(f"{turn}: with {readers} slow readers of 50 MB", f"{megabytes(most)}, {each:.0f} kB more for each")
    result.note(f"{turn}: pieces of {PIECE} bytes they took", sum(pieces))
    bound = before + readers * SLOW_READER
    await asyncio.to_thread(judge, gateway, f"{turn}: slow readers", most, bound, start, result)
    return most


async def read_slowly(port, pieces, number, ended, turns):
    """Asks for a large profile, and takes a little of it from time to time."""
    loop = asyncio.get_running_loop()
    with socket.socket() as caller:
        # What the kernel keeps for this side is not the gateway's, and small.
        caller.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 16_384)
        caller.setblocking(False)
        request = f"GET {lookup(f'large-50MB@{number}.example')} HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"
        async with turns:
            await loop.sock_connect(caller, ("127.0.0.1", port))
            await loop.sock_sendall(caller, request.encode())
            beginning = await loop.sock_recv(caller, PIECE)
        if not beginning.startswith(b"HTTP/1.1 200"):
            raise RuntimeError(f"a slow reader was answered {beginning[:300]!r}")
        pieces[number] += 1
        while not ended.is_set():
            await asyncio.sleep(PAUSE)
            if not await loop.sock_recv(caller, PIECE):
                raise RuntimeError("a slow reader's answer ended")
            pieces[number] += 1


def judge(gateway, what, during, bound, start, result):
    """Keeps how memory compares with its bound, and what more than at the start is left of it when nobody is there."""
    result.note(f"{what}: bound by README", megabytes(bound))
    result.must(
        during <= bound * ALLOWANCE, f"{what}: {megabytes(during)} are more than {ALLOWANCE} × {megabytes(bound)}"
    )
    settle(gateway)
    # The allocator may give pieces back some time after they were freed.
    may_be_left = max(LEFT, (during - start["memory"]) * LEFT_OF_THE_MOST)
    deadline = time.monotonic() + 10
    while (left := gateway.program.memory_bytes() - start["memory"]) > may_be_left and time.monotonic() < deadline:
        time.sleep(0.2)
    result.note(f"{what}: left over", megabytes(left))
    result.must(left <= may_be_left, f"{what}: {megabytes(left)} are left over")
