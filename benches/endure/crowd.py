"""The soak's callers: reads, writes, large bodies, slow ones, some that are refused, and some that hang up."""

import asyncio
import json
import time

from callers import Answer, Caller, timed
from settings import lookup

CALLERS = 16
JSON = {"Content-Type": "application/json"}
DEFINITION = {
    "name": "soak",
    "expression": {"type": "PQL", "format": "pql/text", "value": "a"},
    "schema": {"name": "_xdm.context.profile"},
}
# Long enough for the gateway to have read the head of a request whose caller then hangs up.
READ_BY_THEN = 0.3


async def call(port, number, draw, tally, ended):
    """Makes requests of all kinds, one after the other."""
    caller, kinds, weights = Caller(port), list(KINDS), [weight for _, weight in KINDS.values()]
    count = 0
    while not ended.is_set():
        count += 1
        kind = draw.choices(kinds, weights)[0]
        await KINDS[kind][0](caller, kind, f"{number}-{count}.example", draw, tally)
        if draw.random() < 0.05:
            caller.leave()
        await asyncio.sleep(draw.uniform(0, 0.03))
    caller.leave()


async def read(caller, kind, name, draw, tally):
    await wait_for(caller, tally, kind, f"large-2kB@{name}", 2000)


async def read_much(caller, kind, name, draw, tally):
    await wait_for(caller, tally, kind, f"large-4MB@{name}", 4_000_000)


async def read_slowly(caller, kind, name, draw, tally):
    await wait_for(caller, tally, kind, f"large-2MB@{name}", 2_000_000, read_pause=0.03)


async def wait_for(caller, tally, kind, identity, length, **how):
    """Looks a profile up, and sees that the answer is that one's."""
    answer, seconds = await timed(caller.ask("GET", lookup(identity), **how))
    tally.count(kind, answer, seconds)
    if answer.end == "complete" and answer.status == 200:
        if answer.length != length or identity.encode() not in answer.body:
            tally.remark(f"{identity} got {answer.length} bytes: {answer.body[:200]!r}")


async def read_by_post(caller, kind, name, draw, tally):
    identities = [{"entityId": "johnsmith@example.com", "entityIdNS": {"code": "email"}}]
    body = json.dumps({"schema": {"name": "_xdm.context.profile"}, "identities": identities}).encode()
    await send(caller, tally, kind, "POST", "/data/core/ups/access/entities", [body])


async def write(caller, kind, name, draw, tally):
    await send(caller, tally, kind, "POST", "/data/core/ups/segment/definitions", [json.dumps(DEFINITION).encode()])


async def delete(caller, kind, name, draw, tally):
    answer, seconds = await timed(caller.ask("DELETE", lookup(f"large-2kB@{name}")))
    tally.count(kind, answer, seconds)


async def write_much(caller, kind, name, draw, tally):
    await send(caller, tally, kind, "POST", "/data/core/ups/segment/definitions", [b" " * 65536] * 16)


async def write_slowly(caller, kind, name, draw, tally):
    await send(caller, tally, kind, "POST", "/data/core/ups/segment/definitions", [b" " * 4096] * 8, pause=0.2)


async def send(caller, tally, kind, method, target, pieces, pause=0):
    answer, seconds = await timed(caller.ask(method, target, JSON, pieces, pause))
    tally.count(kind, answer, seconds)


async def be_refused(caller, kind, name, draw, tally):
    """Sends what the gateway refuses by itself."""
    how = draw.choice(("no route", "no content type", "a path that is none", "too large"))
    if how == "no route":
        asking = caller.ask("GET", "/data/core/nowhere")
    elif how == "no content type":
        asking = caller.ask("POST", "/data/core/ups/segment/definitions", pieces=[b"{}"])
    elif how == "a path that is none":
        asking = caller.ask("GET", "/data/core/ups/../ups/config/mergePolicies")
    else:
        fields = {**JSON, "Content-Length": "100000000"}
        asking = caller.ask("POST", "/data/core/ups/segment/definitions", fields)
    answer, seconds = await timed(asking)
    tally.count(kind, answer, seconds)
    if answer.end == "complete" and not answer.reason():
        tally.remark(f"{how} was answered {answer.status} {answer.body[:200]!r}")
    # What was announced never comes.
    if how == "too large":
        caller.leave()


async def hang_up(caller, kind, name, draw, tally):
    """Asks for a profile and hangs up before its answer, or in the middle of it."""
    size, wanted = draw.choice((("2kB", 0), ("50MB", 0), ("50MB", 300_000)))
    answer, begun = Answer(), time.monotonic()
    caller.leave()
    asking = asyncio.ensure_future(caller.send("GET", lookup(f"large-{size}@{name}"), answer=answer, read_pause=0.005))
    while not asking.done() and (time.monotonic() - begun < READ_BY_THEN or 0 < answer.length < wanted):
        await asyncio.sleep(0.01)
    asking.cancel()
    await asyncio.gather(asking, return_exceptions=True)
    caller.leave()
    tally.count_hung_up()


async def hang_up_sending(caller, kind, name, draw, tally):
    """Hangs up in the middle of its own body."""
    caller.leave()
    fields = {**JSON, "Content-Length": "100000"}
    answer = Answer()
    asking = asyncio.ensure_future(
        caller.send("POST", "/data/core/ups/segment/definitions", fields, [b" " * 4096], answer=answer)
    )
    await asyncio.sleep(READ_BY_THEN)
    asking.cancel()
    await asyncio.gather(asking, return_exceptions=True)
    caller.leave()
    tally.count_hung_up()


# What each kind does, and how often among all.
KINDS = {
    "read": (read, 40),
    "read by POST": (read_by_post, 12),
    "write": (write, 8),
    "delete": (delete, 4),
    "large answer": (read_much, 5),
    "slow reader": (read_slowly, 3),
    "large body": (write_much, 5),
    "slow writer": (write_slowly, 3),
    "refused request": (be_refused, 6),
    "hang-up": (hang_up, 5),
    "hang-up in its body": (hang_up_sending, 2),
}
