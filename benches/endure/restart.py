"""Two processes take turns at one port, five times under load, and no request fails.

The new one is started, and the old one is told to stop once the new one is ready. What was sent to the old one is
answered by it before it ends, with 0.
"""

import signal
import time

import load
from report import Result
from servers import Gateway, Simulator, free_port, require_keys
from settings import lookup, route, settings

BETWEEN = 2
DRAIN = 10


def run(options, work):
    """Tells this story."""
    load.require("wrk")
    require_keys(options.gateway, "reuse_port")
    result = Result("restart")
    port = free_port()
    url = f"http://127.0.0.1:{port}{lookup('janedoe@example.com')}"
    with Simulator(options.gateway, work) as simulator:
        loads, stops, gateways = {}, [], []
        try:
            gateways.append(start(options, simulator, port, work, 0))
            loads["wrk, kept connections"] = load.Wrk(url, work)
            loads["wrk, a connection a request"] = load.Wrk(url, work, close=True)
            for number in range(1, options.times(5) + 1):
                time.sleep(BETWEEN)
                gateways.append(start(options, simulator, port, work, number))
                stops.append(stop(gateways[-2], result))
            time.sleep(BETWEEN)
            counted = {name: one.end() for name, one in loads.items()}
        finally:
            for one in loads.values():
                one.stop()
            for gateway in gateways:
                gateway.program.stop()
        result.note("restarts", len(stops))
        result.note("longest from SIGTERM to the end", f"{max(stops):.2f} s")
        for name, counts in counted.items():
            load.judge(result, name, counts)
    return result


def start(options, simulator, port, work, number):
    """Starts one more process at the port and returns it when it is ready."""
    made = settings(simulator.port, route("lookups", "/data/core/ups/{*rest}", timeout="10s"), port=port)
    made["listeners"][0]["reuse_port"] = True
    made["drain"] = f"{DRAIN}s"
    gateway = Gateway(options.gateway, made, work, name=f"gateway-{number}")
    gateway.start()
    return gateway


def stop(gateway, result):
    """Tells a process to stop, and returns how many seconds it took to end."""
    begun = time.monotonic()
    gateway.program.send(signal.SIGTERM)
    code = gateway.program.wait(DRAIN + 5)
    if code is None:
        gateway.program.kill()
    result.must(code == 0, f"{gateway.name} ended with {code}")
    return time.monotonic() - begun
