"""The upstream is killed and comes back, ten times under load.

While it is away callers get problems of the gateway's and nothing else, within the route's time; each answer that comes
is the caller's own; and from ten seconds after each return on nothing fails.
"""

import asyncio
import random
import time

from callers import Caller, Tally, timed
from report import Result
from servers import Gateway, Simulator, settle
from settings import lookup, route, settings

CALLERS = 16
TIMEOUT = 5
# What waking up, the network and a busy machine may add to a time.
SLACK = 2
HEALED = 10
# The simulator forgets its tokens with its life. Tokens that are refused within half a minute after the pause of two
# seconds that follows a replacement are replaced ever more rarely, which is another story than this.
BETWEEN = 36
AWAY = (0.5, 6)
ALLOWED = {502, 503, 504}


def run(options, work):
    """Tells this story."""
    result = Result("upstream")
    with Simulator(options.gateway, work) as simulator:
        made = settings(simulator.port, route("lookups", "/data/core/ups/{*rest}", timeout=f"{TIMEOUT}s"))
        made["upstream"]["idle_timeout"] = "2s"
        with Gateway(options.gateway, made, work) as gateway:
            asyncio.run(tell(simulator, gateway, options.times(10), result))
            counted = gateway.metrics()
            result.note("failures by reason, as counted", counted.by("reason", "profile_gateway_failures_total"))
            result.note("retries by cause", counted.by("cause", "profile_gateway_upstream_retries_total"))
            settle(gateway)
    return result


async def tell(simulator, gateway, times, result):
    """Lets callers call while the upstream goes and returns."""
    tally, ended, events = Tally(), asyncio.Event(), []
    calling = [asyncio.ensure_future(call(gateway.port, number, tally, ended, events)) for number in range(CALLERS)]
    returns = []
    try:
        await asyncio.sleep(1)
        for _ in range(times):
            away = time.monotonic()
            await asyncio.to_thread(simulator.kill)
            await asyncio.sleep(random.uniform(*AWAY))
            await asyncio.to_thread(simulator.start)
            returns.append((away, time.monotonic()))
            await asyncio.sleep(BETWEEN)
    finally:
        ended.set()
        await asyncio.gather(*calling)
    judge(result, tally, events, returns)


async def call(port, number, tally, ended, events):
    """Looks profiles up, each by an id of its own that the answer has to repeat."""
    caller, count = Caller(port), 0
    while not ended.is_set():
        count += 1
        identity = f"large-2kB@{number}-{count}.example"
        begun = time.monotonic()
        answer, seconds = await timed(caller.ask("GET", lookup(identity)))
        tally.count("lookup", answer, seconds)
        well = answer.end == "complete" and answer.status == 200
        if well and (answer.length != 2000 or identity.encode() not in answer.body):
            tally.remark(f"{identity} got the answer {answer.body[:200]!r}")
        if answer.end == "complete" and not well and (answer.status not in ALLOWED or not answer.reason()):
            tally.remark(f"{answer.status} with {answer.body[:200]!r}")
        events.append((begun, time.monotonic(), well))
        await asyncio.sleep(0.005 if well else 0.05)
    caller.leave()


def judge(result, tally, events, returns):
    """Keeps the figures, and what of them must not be."""
    result.note("times the upstream was killed", len(returns))
    result.note("requests", tally.sent)
    result.note("answers by status", dict(sorted(tally.statuses.items())))
    result.note("answers cut off", sum(tally.cut.values()))
    result.note("problems by reason", dict(tally.reasons))
    result.note("longest request", f"{max(tally.longest.values()):.2f} s")
    firsts, lasts, successes, late = after_returns(events, returns)
    result.note("first failure after each return", seconds(firsts))
    result.note("last failure after each return", seconds(lasts))
    result.note("first success after each return", seconds(successes))
    result.must(not late, f"{late} requests failed that began more than {HEALED} s after a return")
    result.must(not tally.unanswered, f"{tally.unanswered} requests got no answer at all")
    for text in tally.wrong:
        result.must(False, text)
    longest = max(tally.longest.values())
    result.must(longest <= TIMEOUT + SLACK, f"a request took {longest:.1f} s")
    before = [well for begun, end, well in events if end < returns[0][0]]
    result.must(before and all(before), "requests failed before the upstream was killed")


def after_returns(events, returns):
    """Returns the first and last failure and the first success after each return in seconds, and late failures."""
    firsts, lasts, successes, late = [], [], [], 0
    ends = [away for away, _ in returns[1:]] + [float("inf")]
    for (_, back), until in zip(returns, ends):
        # What was under way when the next outage began is that one's.
        phase = [(begun, end, well) for begun, end, well in events if end > back and end < until]
        failures = [end - back for _, end, well in phase if not well]
        firsts.append(min(failures, default=None))
        lasts.append(max(failures, default=None))
        successes.append(min((end - back for _, end, well in phase if well), default=None))
        late += sum(not well and begun > back + HEALED for begun, _, well in phase)
    return firsts, lasts, successes, late


def seconds(several):
    return ", ".join("none" if one is None else f"{one:.2f} s" for one in several)
