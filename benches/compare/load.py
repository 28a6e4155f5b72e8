"""Puts load on a peer and reads what it cost."""

import os
import re
import socket
import subprocess
import time

import job
from peers import TEMPLATES

# Name: what the table calls it, connections, target, wrk's script.
SCENARIOS = {
    "small16": ("1 kB answers, 16 connections", 16, job.LOOKUP, None),
    "small256": ("1 kB answers, 256 connections", 256, job.LOOKUP, None),
    "post8k": ("8 kB POST, 16 connections", 16, job.LOOKUP, "post.lua"),
    "large": ("1 MiB answers, 8 connections", 8, job.LARGE, None),
}
IDLE_CONNECTIONS = 1000


def run(wrk, peer, scenario, seconds, core):
    """Returns the CPU time a request took of the peer, in microseconds."""
    _, connections, target, script = SCENARIOS[scenario]
    command = [wrk, "-t1", f"-c{connections}", f"-d{seconds}s"]
    for name, value in job.CALLER.items():
        command += ["-H", f"{name}: {value}"]
    if script:
        command += ["-s", TEMPLATES / script]
    before = peer.program.cpu_seconds()
    done = subprocess.run(
        [*command, f"http://127.0.0.1:{peer.port}{target}"],
        capture_output=True,
        text=True,
        timeout=seconds + 30,
        preexec_fn=lambda: os.sched_setaffinity(0, {core}),
    )
    used = peer.program.cpu_seconds() - before
    peer.forget_log()
    requests = count(done.stdout, f"{peer.name} in {scenario}")
    return used / requests * 1e6


def count(report, what):
    """Returns the requests wrk made, when all of them went well."""
    made = re.search(r"(\d+) requests in", report)
    if not made or int(made[1]) == 0:
        raise RuntimeError(f"{what}: wrk made no requests\n{report}")
    for trouble in (r"Non-2xx or 3xx responses: \d+", r"Socket errors: .*"):
        if found := re.search(trouble, report):
            raise RuntimeError(f"{what}: {found[0]}")
    return int(made[1])


def idle_connection_bytes(peer):
    """Returns the memory that a connection takes which has made one request and is idle."""
    fields = "".join(f"{name}: {value}\r\n" for name, value in job.CALLER.items())
    request = f"GET {job.LOOKUP} HTTP/1.1\r\nHost: 127.0.0.1\r\n{fields}\r\n".encode()
    before = peer.program.memory_bytes()
    callers = []
    try:
        for _ in range(IDLE_CONNECTIONS):
            caller = socket.create_connection(("127.0.0.1", peer.port), timeout=5)
            callers.append(caller)
            caller.sendall(request)
            answer = b""
            while not answer.endswith(job.SMALL_ANSWER.encode()):
                piece = caller.recv(65536)
                if not piece:
                    raise RuntimeError(f"{peer.name} closed a connection")
                answer += piece
        time.sleep(0.5)
        return (peer.program.memory_bytes() - before) / IDLE_CONNECTIONS
    finally:
        for caller in callers:
            caller.close()
