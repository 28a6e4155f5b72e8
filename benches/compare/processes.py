"""Starts and ends programs, and reads from /proc what they use."""

import contextlib
import os
import resource
import signal
import socket
import subprocess
import time

TICKS = os.sysconf("SC_CLK_TCK")


def raise_file_limit():
    """Lets this program and what it starts open as many files as it may."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, 65536), hard))


def free_ports(count):
    """Returns ports nobody listens on now."""
    with contextlib.ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for one in sockets:
            one.bind(("127.0.0.1", 0))
        return [one.getsockname()[1] for one in sockets]


class Program:
    """A program that runs as the leader of a session of its own, on one core."""

    def __init__(self, command, core, output, errors):
        # Appending, so that a log can be emptied while it is written.
        with open(output, "ab") as out, open(errors, "ab") as err:
            self.process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=err,
                start_new_session=True,
                preexec_fn=lambda: os.sched_setaffinity(0, {core}),
            )

    def has_ended(self):
        return self.process.poll() is not None

    def stop(self):
        """Ends the program and what it has started: kindly, and after 3 s not."""
        if not self.has_ended():
            self._signal(signal.SIGTERM)
            try:
                self.process.wait(3)
            except subprocess.TimeoutExpired:
                pass
        # What the leader left behind is still in its group.
        self._signal(signal.SIGKILL)
        self.process.wait()

    def _signal(self, number):
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, number)

    def cpu_seconds(self):
        """Returns the user and system time of all its processes."""
        return sum(ticks for _, ticks in self._members()) / TICKS

    def memory_bytes(self):
        """Returns its share of the memory of all its processes, where what several share is divided among them."""
        total = 0
        for pid, _ in self._members():
            with contextlib.suppress(OSError), open(f"/proc/{pid}/smaps_rollup") as rollup:
                total += sum(int(line.split()[1]) * 1024 for line in rollup if line.startswith("Pss:"))
        return total

    def _members(self):
        for name in os.listdir("/proc"):
            if name.isdigit():
                with contextlib.suppress(OSError), open(f"/proc/{name}/stat") as stat:
                    # After the name, which may have spaces: state, parent, group, session, …, utime, stime.
                    fields = stat.read().rpartition(")")[2].split()
                    if int(fields[3]) == self.process.pid:
                        yield int(name), int(fields[11]) + int(fields[12])


def wait_until(condition, seconds, what):
    """Asks every 2 ms until the condition holds, and returns how long that took."""
    begun = time.monotonic()
    while time.monotonic() - begun < seconds:
        if condition():
            return time.monotonic() - begun
        time.sleep(0.002)
    raise TimeoutError(f"{what} within {seconds} s")
