"""Starts and ends the gateway and the simulated Adobe, talks to them, and reads from /proc what they hold."""

import http.client
import json
import os
import resource
import signal
import socket
import subprocess
import time

import metrics

ORGANIZATION = "0A1B2C3D4E5F60718293A4B5@AdobeOrg"
SECRET = "demo-secret"
# The gauges that are 0 when nobody calls and nothing is kept.
UNDER_WAY = ("requests_in_flight", "connections", "upstream_connections", "upstream_requests_waiting")


class Missing(Exception):
    """Something a story needs is not here; the text says what."""


def raise_file_limit():
    """Lets this program and what it starts open as many files as it may, and returns how many that are."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    return hard


def free_port():
    """Returns a port nobody listens on now."""
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return one.getsockname()[1]


def wait_until(condition, seconds, what):
    """Asks every 10 ms until the condition holds, and returns how long that took."""
    begun = time.monotonic()
    while time.monotonic() - begun < seconds:
        if condition():
            return time.monotonic() - begun
        time.sleep(0.01)
    raise TimeoutError(f"{what} within {seconds} s")


def ask(port, method, path, body=None, timeout=10):
    """Makes one request on a connection of its own and returns status and body."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=timeout)
    try:
        payload = None if body is None else json.dumps(body)
        fields = {} if body is None else {"Content-Type": "application/json"}
        connection.request(method, path, payload, {"Connection": "close", **fields})
        answer = connection.getresponse()
        return answer.status, answer.read()
    finally:
        connection.close()


def answers(port, path="/"):
    """Tells whether a GET is answered with 200."""
    try:
        return ask(port, "GET", path)[0] == 200
    except (OSError, http.client.HTTPException):
        return False


class Program:
    """A program that runs as the leader of a session of its own, so that Ctrl-C reaches only who started it."""

    def __init__(self, command, log):
        with open(log, "ab") as out:
            self.process = subprocess.Popen(
                [str(part) for part in command],
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=out,
                start_new_session=True,
            )
        self.log = log

    def has_ended(self):
        return self.process.poll() is not None

    def send(self, number):
        """Sends it a signal, unless it has ended."""
        if not self.has_ended():
            self.process.send_signal(number)

    def wait(self, seconds):
        """Returns its exit code, or `None` when it runs on."""
        try:
            return self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            return None

    def kill(self):
        """Ends it at once."""
        self.send(signal.SIGKILL)
        self.process.wait()

    def stop(self):
        """Ends it: kindly, and after 3 s not."""
        self.send(signal.SIGTERM)
        if self.wait(3) is None:
            self.kill()

    def memory_bytes(self):
        """Returns its resident memory."""
        with open(f"/proc/{self.process.pid}/statm") as statm:
            return int(statm.read().split()[1]) * resource.getpagesize()

    def files(self):
        """Returns how many files it has open."""
        return len(os.listdir(f"/proc/{self.process.pid}/fd"))

    def threads(self):
        """Returns how many threads it has."""
        return len(os.listdir(f"/proc/{self.process.pid}/task"))

    def tail(self):
        """Returns the end of what it has printed."""
        return self.log.read_text(errors="replace")[-800:]


class Simulator:
    """The simulated Adobe, on one port however often it is started."""

    def __init__(self, gateway, work):
        self.path, self.work, self.port = gateway, work, free_port()
        self.program = None

    def __enter__(self):
        self.start()
        return self

    def __exit__(self, *_):
        self.program.stop()

    def start(self):
        command = [self.path, "simulate", "--listen", f"127.0.0.1:{self.port}"]
        self.program = Program(command, self.work / "simulator.log")
        await_start(self.program, self.port, "/_simulator/state", "the simulator")

    def kill(self):
        """Ends it as a power cut would."""
        self.program.kill()

    def order(self, **fault):
        """Orders a fault; docs/simulator.md has the members."""
        self._control("POST", "faults", fault)

    def clear(self):
        """Forgets the faults that were ordered."""
        self._control("DELETE", "faults")

    def revoke(self):
        """Makes all tokens invalid."""
        self._control("POST", "tokens/revoke")

    def secrets(self, *secrets):
        """Gives the client other secrets."""
        self._control("POST", "clients/demo-client/secrets", {"secrets": secrets})

    def _control(self, method, what, body=None):
        status, said = ask(self.port, method, f"/_simulator/{what}", body)
        if status >= 300:
            raise RuntimeError(f"the simulator answered {status} to {method} {what}: {said[:200]!r}")


class Gateway:
    """A gateway with a configuration of ours."""

    def __init__(self, path, settings, work, name="gateway"):
        self.path, self.work, self.name = path, work, name
        self.configuration = work / f"{name}.yaml"
        self.write(settings)
        self.port = port_of(settings["listeners"][0]["address"])
        self.admin = port_of(settings["admin"]["address"])

    def __enter__(self):
        self.start()
        return self

    def __exit__(self, *_):
        self.program.stop()

    def write(self, settings):
        """Replaces the configuration file in one step. JSON is YAML."""
        self.write_text(json.dumps(settings, indent=1))

    def write_text(self, text):
        """Replaces the configuration file by any text."""
        replace(self.configuration, text)

    def command(self):
        return [self.path, "run", "--config", self.configuration]

    def start(self):
        self.program = Program(self.command(), self.work / f"{self.name}.log")
        await_start(self.program, self.admin, "/readyz", self.name)

    def metrics(self):
        """Returns what it counts."""
        status, text = ask(self.admin, "GET", "/metrics")
        if status != 200:
            raise RuntimeError(f"/metrics answered {status}")
        return metrics.parse(text.decode())

    def holds(self):
        """Returns memory, files and threads."""
        return {
            "memory": self.program.memory_bytes(),
            "files": self.program.files(),
            "threads": self.program.threads(),
        }


def settle(gateway, seconds=30):
    """Waits until nobody is connected, nothing is under way, and unused connections to the upstream are closed."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        counted = gateway.metrics()
        left = {name: counted.total(f"profile_gateway_{name}") for name in UNDER_WAY}
        if not any(left.values()):
            return
        time.sleep(0.1)
    told = ", ".join(f"{name} {number}" for name, number in left.items() if number)
    raise TimeoutError(f"nobody calls, and after {seconds} s there are still: {told}")


def await_start(program, port, path, name):
    """Waits until a program that has been started answers, and ends it when it does not."""

    def started():
        if program.has_ended():
            raise RuntimeError(f"{name} ended by itself\n{program.tail()}")
        return answers(port, path)

    try:
        wait_until(started, 20, f"{name} was not ready")
    except BaseException:
        program.stop()
        raise


def port_of(address):
    return int(address.rpartition(":")[2])


def replace(path, text):
    """Replaces a file in one step."""
    beside = path.with_name(path.name + ".new")
    beside.write_text(text)
    os.replace(beside, path)


def require_keys(gateway, *keys):
    """Stops when the gateway's configuration does not know these keys."""
    schema = subprocess.run([gateway, "schema"], capture_output=True, text=True, timeout=20, check=True).stdout
    for key in keys:
        if f'"{key}":' not in schema:
            raise Missing(f"this gateway's configuration has no `{key}`")
