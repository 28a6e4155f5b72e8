"""Random faults and callers for half an hour: nothing leaks, nothing hangs, and every request is counted."""

import asyncio
import random
import time

import load
import orders
from accounts import compare
from callers import Tally
from crowd import call, CALLERS
from report import Result, megabytes, slope
from servers import Gateway, Simulator, settle
from settings import route, settings

# No exchange outlasts the route's total, whatever it does.
TOTAL = 12
# What waking up and a busy machine may add.
SLACK = 3
SAMPLE_EVERY = 10
FAULT_EVERY = 3
WARM_UP = 5
QUIET_WITHIN = 20
# How much memory may grow over the second half, in bytes and as a part of it, by its slope.
MAY_GROW = 8_000_000
MAY_GROW_PART = 0.1


def run(options, work):
    """Tells this story."""
    result = Result("soak")
    seed = options.seed if options.seed is not None else random.randrange(1_000_000)
    result.note("drawn from --seed", seed)
    with Simulator(options.gateway, work) as simulator:
        times = {"response_idle": "3s", "request_idle": "5s", "total": f"{TOTAL}s"}
        made = settings(
            simulator.port,
            route("soak", "/data/core/ups/{*rest}", timeout="6s", timeouts=times),
            route("streams", "/data/core/ca/{*rest}", timeout="6s", timeouts=times),
            upstream={"idle_timeout": "2s"},
        )
        with Gateway(options.gateway, made, work) as gateway:
            asyncio.run(tell(simulator, gateway, options.minutes * 60, random.Random(seed), work, result))
    return result


async def tell(simulator, gateway, seconds, draw, work, result):
    """Warms up, compares what is held before and after, and judges what was seen and counted."""
    await soak(simulator, gateway, min(WARM_UP, seconds), draw, Tally(), work, [])
    simulator.clear()
    await asyncio.to_thread(settle, gateway)
    start, before = gateway.holds(), gateway.metrics()
    tally, samples = Tally(), []
    begun = time.monotonic()
    streams = await soak(simulator, gateway, seconds, draw, tally, work, samples)
    simulator.clear()
    result.note("minutes", f"{(time.monotonic() - begun) / 60:.1f}")
    # Whatever is still under way ends by the total; the upstream's connections a little later.
    await asyncio.to_thread(settle, gateway)
    after = gateway.metrics()
    # A call to the token service may still be under way, which no gauge shows.
    deadline = time.monotonic() + QUIET_WITHIN
    while (end := gateway.holds())["files"] > start["files"] and time.monotonic() < deadline:
        await asyncio.sleep(0.5)
    for what in ("files", "threads"):
        result.note(f"{what} at the start, at most, at the end", f"{start[what]}, {most(samples, what)}, {end[what]}")
        result.must(end[what] <= start[what], f"{end[what] - start[what]} {what} more than at the start")
    judge_memory(result, start, samples, end)
    judge_times(result, tally)
    compare(tally, streams, before, after, result)


async def soak(simulator, gateway, seconds, draw, tally, work, samples):
    """Orders faults, lets callers call and takes samples; returns what h2load counted, if it is here."""
    ended, faults, streams = asyncio.Event(), orders.Orders(simulator, draw), None
    if load.is_here("h2load"):
        url = f"http://127.0.0.1:{gateway.port}/data/core/ca/attributes?limit=5"
        streams = load.H2load(url, work, requests=40, pause=1)
    calling = [asyncio.ensure_future(call(gateway.port, number, draw, tally, ended)) for number in range(CALLERS)]
    watching = asyncio.ensure_future(watch(gateway, ended, samples))
    try:
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            await asyncio.sleep(min(FAULT_EVERY, max(0, deadline - time.monotonic())))
            await asyncio.to_thread(faults.give)
            for one in calling:
                if one.done():
                    one.result()
        return await asyncio.to_thread(streams.end) if streams else None
    finally:
        if streams:
            streams.stop()
        ended.set()
        await asyncio.gather(*calling)
        await watching


async def watch(gateway, ended, samples):
    """Samples what the gateway holds."""
    begun = time.monotonic()
    while not ended.is_set():
        samples.append((time.monotonic() - begun, gateway.holds()))
        try:
            await asyncio.wait_for(ended.wait(), SAMPLE_EVERY)
        except asyncio.TimeoutError:
            pass


def most(samples, what):
    return max(held[what] for _, held in samples)


def judge_memory(result, start, samples, end):
    """Keeps how memory went, and a fault when it grew all through the second half."""
    half = samples[len(samples) // 2 :]
    of_half = [(at, held["memory"]) for at, held in half]
    grown = slope(of_half) * (of_half[-1][0] - of_half[0][0])
    told = ", ".join(megabytes(one) for one in (start["memory"], most(samples, "memory"), end["memory"]))
    result.note("memory at the start, at most, at the end", told)
    result.note("memory's growth over the second half, by its slope", megabytes(grown))
    may = max(MAY_GROW, MAY_GROW_PART * of_half[0][1])
    result.must(grown <= may, f"memory grew by {megabytes(grown)} in the second half")


def judge_times(result, tally):
    """Keeps the longest request of each kind, and a fault for one that outlasted its time."""
    told = {kind: f"{seconds:.1f} s" for kind, seconds in sorted(tally.longest.items())}
    result.note("longest request", told)
    for kind, seconds in tally.longest.items():
        result.must(seconds <= TOTAL + SLACK, f"a {kind} took {seconds:.1f} s although {TOTAL} s end everything")
