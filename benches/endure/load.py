"""Puts load on the gateway with wrk and h2load, from beginning to end of a story."""

import re
import shutil
import signal
import subprocess
import threading

from servers import Missing, Program

# The longest any load runs, in case nobody ends it.
LONGEST = 1800
LONGEST_ROUND = 120


def is_here(name):
    """Tells whether a program is here."""
    return shutil.which(name) is not None


def require(*names):
    """Stops when a program is missing."""
    packages = {"h2load": "nghttp2-client", "openssl": "openssl", "wrk": "wrk"}
    for name in names:
        if not is_here(name):
            raise Missing(f"{name} is missing: apt-get install {packages[name]}")


class Wrk:
    """wrk, with a number of connections that are used again or closed after each request."""

    def __init__(self, url, work, connections=8, close=False):
        self.log = work / f"wrk-{'close' if close else 'kept'}.log"
        self.log.write_text("")
        fields = ["-H", "Connection: close"] if close else []
        command = ["wrk", "-t1", f"-c{connections}", f"-d{LONGEST}s", "--timeout", "10s", *fields, url]
        self.program = Program(command, self.log)

    def end(self):
        """Ends it and returns what it counted."""
        self.program.send(signal.SIGINT)
        if self.program.wait(20) is None:
            self.program.kill()
        return wrk_counts(self.log.read_text())

    def stop(self):
        self.program.stop()


class H2load:
    """h2load, again and again: each time some connections with several streams each."""

    def __init__(self, url, work, requests=500, pause=0):
        self.url, self.requests, self.pause = url, requests, pause
        self.counts, self.ending, self.process, self.failed = [], threading.Event(), None, None
        self.log = work / "h2load.log"
        self.thread = threading.Thread(target=self._run)
        self.thread.start()

    def _run(self):
        while not self.ending.is_set() and not self.failed:
            command = ["h2load", f"-n{self.requests}", "-c2", "-m4", self.url]
            self.log.write_text("")
            self.process = Program(command, self.log)
            if self.process.wait(LONGEST_ROUND) is None:
                self.process.kill()
            try:
                self.counts.append(h2load_counts(self.log.read_text()))
            except RuntimeError as error:
                self.failed = error
            self.ending.wait(self.pause)

    def end(self):
        """Lets the round that runs come to its end, and returns what was counted."""
        self.ending.set()
        self.thread.join()
        if self.failed:
            raise self.failed
        return add(self.counts)

    def stop(self):
        """Ends it at once."""
        self.ending.set()
        while self.thread.is_alive():
            if self.process:
                self.process.stop()
            self.thread.join(0.1)


def wrk_counts(report):
    """Returns the requests wrk made, and how many failed by status and by socket."""
    made = re.search(r"(\d+) requests in", report)
    if not made:
        raise RuntimeError(f"wrk reported nothing\n{report[-800:]}")
    status = re.search(r"Non-2xx or 3xx responses: (\d+)", report)
    sockets = re.search(r"Socket errors: connect (\d+), read (\d+), write (\d+), timeout (\d+)", report)
    return {
        "requests": int(made[1]),
        "bad status": int(status[1]) if status else 0,
        "socket errors": sum(int(number) for number in sockets.groups()) if sockets else 0,
    }


def h2load_counts(report):
    """Returns the requests h2load made, how many failed, and the answers by status class."""
    made = re.search(r"requests: (\d+) total, (\d+) started, .*, (\d+) errored, (\d+) timeout", report)
    statuses = re.search(r"status codes: (\d+) 2xx, (\d+) 3xx, (\d+) 4xx, (\d+) 5xx", report)
    if not made or not statuses:
        raise RuntimeError(f"h2load reported nothing\n{report[-800:]}")
    total, started, errored, timeout = (int(number) for number in made.groups())
    classes = dict(zip(("2xx", "3xx", "4xx", "5xx"), (int(number) for number in statuses.groups())))
    return {
        "requests": started,
        "bad status": classes["3xx"] + classes["4xx"] + classes["5xx"],
        "socket errors": errored + timeout + total - started,
        **classes,
    }


def add(counts):
    """Returns the sums of several counts."""
    sums = {"requests": 0, "bad status": 0, "socket errors": 0}
    for one in counts:
        for name, number in one.items():
            sums[name] = sums.get(name, 0) + number
    return sums


def judge(result, name, counts):
    """Keeps what a load counted: requests were made, and none has failed."""
    result.note(f"{name}: requests", counts["requests"])
    result.note(f"{name}: failed", counts["bad status"] + counts["socket errors"])
    result.must(counts["requests"] > 0, f"{name} made no requests")
    for what in ("bad status", "socket errors"):
        result.must(counts[what] == 0, f"{name}: {counts[what]} × {what}")


def version():
    """Returns the versions of wrk and h2load that are here."""
    told = []
    for command in (["wrk", "-v"], ["h2load", "--version"]):
        if is_here(command[0]):
            text = subprocess.run(command, capture_output=True, text=True, timeout=10).stdout
            told.append(text.splitlines()[0] if text else command[0])
    return told
