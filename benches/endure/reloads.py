"""The configuration changes a hundred times under load, also to faulty ones, and no request fails.

Each change is written to the file in one step, and for most of them SIGHUP is sent. That it took effect is seen by the
counts of reloads and by a route of its own, the marker, which nobody else calls and changes give another answer.
"""

import copy
import json
import signal
import time

import load
from report import Result
from servers import Gateway, Missing, Simulator, ask, replace, wait_until
from settings import lookup, route, settings

MARKER = "/data/core/ups/config/mergePolicies"
# How late the marker's upstream answers, between the two times its route gives it.
MARKER_DELAY_MS = 300
SHORT, LONG = "100ms", "5s"
BETWEEN = 0.2
# Of so many changes one is left to be found in the file, without a signal.
UNSIGNALLED = 7
RELOADS = "profile_gateway_config_reloads_total"


class Change:
    """What it does to the settings, or the text it puts in their place, and what the marker answers then."""

    def __init__(self, name, marker, edit=None, text=None):
        self.name, self.marker, self.edit, self.text = name, marker, edit, text

    @property
    def faulty(self):
        return self.marker is None


def changes(secret_file):
    """Returns the changes in their order; after the last one the first follows again."""
    return [
        Change("a route is added", [200, 200], lambda made: set_marker(made, timeout=LONG)),
        Change("a limit is added", [200, 429], lambda made: set_marker(made, limits=[{"rate": "1/min"}])),
        Change("an unknown key", None, lambda made: made.update(retires={"attempts": 2})),
        Change("a limit is changed", [200, 200], lambda made: set_marker(made, limits=[{"rate": "1000/s"}])),
        Change("a time is changed", [504, 504], lambda made: set_marker(made, timeout=SHORT)),
        Change("no YAML", None, text="routes: [ {"),
        Change("other secrets", [504, 504], lambda made: rotate(made, secret_file)),
        Change("the log's level, and limits of the busy route", [504, 504], other_values),
        Change("a route to an unknown sandbox", None, lambda made: made["routes"][0].update(sandbox="nowhere")),
        Change("a route is removed", [404, 404], lambda made: set_marker(made, remove=True)),
    ]


def set_marker(made, remove=False, **members):
    made["routes"] = [one for one in made["routes"] if one["name"] != "marker"]
    if not remove:
        made["routes"].append(route("marker", MARKER, **members))


def rotate(made, secret_file):
    made["credentials"]["demo"]["client_secrets"] = ["${file:%s}" % secret_file]


def other_values(made):
    noisy = made["log"]["level"] == "info"
    made["log"]["level"] = "warn" if noisy else "info"
    busy = made["routes"][0]
    busy["limits"] = [{"rate": "2000000/s" if noisy else "1000000/s"}]
    busy["timeout"] = "20s" if noisy else "10s"
    made["credentials"]["demo"]["quota"] = "3000000/s" if noisy else "2000000/s"


def run(options, work):
    """Tells this story."""
    load.require("wrk")
    result = Result("reloads")
    secret_file = work / "secret"
    secret_file.write_text("demo-secret")
    with Simulator(options.gateway, work) as simulator:
        simulator.order(where=MARKER, times=None, delay_ms=MARKER_DELAY_MS)
        made = settings(simulator.port, route("lookups", "/data/core/ups/access/entities", timeout="10s"))
        with Gateway(options.gateway, made, work) as gateway:
            if not gateway.metrics().has(RELOADS):
                raise Missing("this gateway does not take another configuration while it runs")
            url = f"http://127.0.0.1:{gateway.port}{lookup('janedoe@example.com')}"
            loads = {"wrk": load.Wrk(url, work)}
            if load.is_here("h2load"):
                loads["h2load"] = load.H2load(url, work)
            try:
                change_again_and_again(options.times(100), made, secret_file, simulator, gateway, result)
                counted = {name: one.end() for name, one in loads.items()}
            finally:
                for one in loads.values():
                    one.stop()
            for name, counts in counted.items():
                load.judge(result, name, counts)
    return result


def change_again_and_again(times, made, secret_file, simulator, gateway, result):
    """Makes the changes, and sees that each is taken or refused, and that the marker answers accordingly."""
    order = changes(secret_file)
    marker, secrets = [404, 404], 0
    slowest = {True: 0, False: 0}
    done = {"applied": 0, "refused": 0}
    minted = gateway.metrics().total("profile_gateway_token_calls_total", outcome="minted")
    for number in range(times):
        change = order[number % len(order)]
        before = gateway.metrics()
        candidate = copy.deepcopy(made)
        if change.edit:
            change.edit(candidate)
        if change.name == "other secrets":
            # The secret that the file has had is no longer one, so that a token call shows which one is used.
            secrets += 1
            simulator.secrets(f"secret-{secrets}")
            replace(secret_file, f"secret-{secrets}")
        gateway.write_text(change.text or json.dumps(candidate))
        signalled = (number + 1) % UNSIGNALLED != 0
        if signalled:
            gateway.program.send(signal.SIGHUP)
        outcome = "refused" if change.faulty else "applied"
        try:
            took = wait_until(lambda: more(gateway, before, outcome), 5, f"{change.name}: not {outcome}")
            slowest[signalled] = max(slowest[signalled], took)
        except TimeoutError as error:
            result.must(False, f"change {number + 1}, {error}")
            continue
        done[outcome] += 1
        if not change.faulty:
            made, marker = candidate, change.marker
        result.must(
            gateway.metrics().total("profile_gateway_config_last_reload_successful") == (not change.faulty),
            f"change {number + 1}, {change.name}: the metric of the latest reload says otherwise",
        )
        seen = [ask(gateway.port, "GET", MARKER)[0] for _ in marker]
        # A limit draws on what was left of it, if it stays the same.
        result.must(seen == marker, f"change {number + 1}, {change.name}: the marker answered {seen}, not {marker}")
        if change.name == "a limit is added":
            marker = [429, 429]
        time.sleep(BETWEEN)
    calls = gateway.metrics().total("profile_gateway_token_calls_total", outcome="minted") - minted
    result.note("changes that were taken", done["applied"])
    result.note("changes that were refused", done["refused"])
    result.note("longest until it was in use, with a signal", f"{slowest[True]:.2f} s")
    result.note("longest until it was in use, without", f"{slowest[False]:.2f} s")
    result.note("secrets changed, tokens got for it", f"{secrets}, {calls}")
    # A look at the files may come between that of the secret and the configuration.
    result.must(
        secrets <= calls <= 2 * secrets, f"{secrets} secrets were changed, and {calls} tokens were got all in all"
    )


def more(gateway, before, outcome):
    return gateway.metrics().total(RELOADS, outcome=outcome) > before.total(RELOADS, outcome=outcome)
