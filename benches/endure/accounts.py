"""Compares what callers saw with what the gateway counted."""

REQUESTS = "profile_gateway_requests_total"
FAILURES = "profile_gateway_failures_total"
CLASSES = ("2xx", "3xx", "4xx", "5xx")


def compare(tally, streams, before, after, result):
    """Keeps what does not add up.

    A request whose caller hung up may be counted by any class or as `gone`, and may have a reason, and so may one whose
    answer was lost while its body was sent. One whose answer was cut off has a class, that of its head, and a reason.
    All others have the class, and the problems among them the reason, that their caller saw.
    """
    counted = grown("status", before, after, route="soak", also="none")
    result.note("requests", tally.sent)
    result.note("of these hung up on, cut off", f"{tally.hung_up}, {sum(tally.cut.values())}")
    result.note("of these answers lost while a large body was sent", tally.overtaken)
    unseen = tally.hung_up + tally.overtaken
    result.note("answers by status", dict(sorted(tally.statuses.items())))
    result.note("requests by class, as counted", dict(sorted(counted.items())))
    total = sum(counted.values())
    result.must(total == tally.sent, f"{tally.sent} requests were sent and {total} were counted")
    for name in CLASSES:
        seen = tally.complete[name] + tally.cut[name]
        number = counted.pop(name, 0)
        result.must(
            seen <= number <= seen + unseen,
            f"{seen} answers {name} were seen by callers who stayed, and {number} were counted",
        )
    gone = counted.pop("gone", 0)
    result.must(gone <= unseen, f"{unseen} callers were gone, and {gone} are counted as gone")
    result.must(not counted, f"counted in no class that there is: {counted}")
    strangers = compare_streams(streams, before, after, result) if streams else 0
    compare_reasons(tally, strangers, before, after, result)
    result.must(not tally.unanswered, f"{tally.unanswered} requests got no answer at all")
    for text in tally.wrong:
        result.must(False, text)


def compare_streams(streams, before, after, result):
    """Compares what h2load saw, and returns how many of its requests may have had a reason that it does not tell."""
    counted = grown("status", before, after, route="streams")
    result.note("requests over HTTP/2", streams["requests"])
    result.note("of these by class, as counted", dict(sorted(counted.items())))
    total, errors = sum(counted.values()), streams["socket errors"]
    result.must(
        streams["requests"] == total, f"h2load sent {streams['requests']} requests and {total} were counted"
    )
    for name in CLASSES:
        number = counted.get(name, 0)
        result.must(
            streams[name] <= number <= streams[name] + errors,
            f"h2load saw {streams[name]} answers {name}, and {number} were counted",
        )
    return streams["4xx"] + streams["5xx"] + errors


def compare_reasons(tally, strangers, before, after, result):
    """Compares problems by their reason; `strangers` may have had one that nobody saw."""
    counted = grown("reason", before, after, name=FAILURES)
    result.note("problems by reason", dict(sorted(tally.reasons.items())))
    result.note("failures by reason, as counted", dict(sorted(counted.items())))
    for reason, seen in tally.reasons.items():
        number = counted.get(reason, 0)
        result.must(seen <= number, f"{seen} problems {reason} were seen, and {number} were counted")
    unseen = sum(counted.values()) - sum(tally.reasons.values())
    cut = sum(tally.cut.values())
    result.must(
        cut <= unseen <= cut + tally.hung_up + tally.overtaken + strangers,
        f"besides the problems that callers saw, {unseen} failures have a reason, and {cut} answers were cut off",
    )


def grown(label, before, after, name=REQUESTS, also=None, **labels):
    """Returns by how much the counts grew, for each value of a label; `also` names another route to add."""
    sums = {}
    for route in [labels, {"route": also}] if also else [labels]:
        earlier = before.by(label, name, **route)
        for value, number in after.by(label, name, **route).items():
            sums[value] = sums.get(value, 0) + number - earlier.get(value, 0)
    return {value: number for value, number in sums.items() if number}
