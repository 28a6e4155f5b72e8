#!/usr/bin/env python3
"""Sends the same requests to the gateway, nginx and Envoy, and tells where the gateway refuses less than one of them."""

import argparse
import collections
import pathlib
import socket
import sys
import tempfile
import time

import cases
import hpack
import proxies
from hyperframe.frame import DataFrame, GoAwayFrame, HeadersFrame, RstStreamFrame, SettingsFrame

# Cases in which the gateway passes on what another refuses, and why that is right.
ALLOWED = {
    ("http/2", "path: a fragment"): "it is taken off before the path is judged, and not passed on",
    ("http/2", "trailers"): "RFC 9113 §8.1 has them; nginx 1.22 knows none. They end at the gateway",
}

# Cases that are as they should be, and have to pass everywhere.
PLAIN = {
    ("http/1", name)
    for name in ("a GET", "a POST", "a chunked POST", "chunks with extensions", "trailers", "HTTP/1.0")
} | {
    ("http/2", name)
    for name in ("a GET", "a POST", "a POST with its length", "a head in two frames", "te: trailers")
}

Outcome = collections.namedtuple("Outcome", "word passed detail")

# How long nothing has to come until nothing is expected to.
QUIET = 0.6


def receive(connection, enough):
    """Reads until `enough` says so, the connection ends, or nothing has come for a while."""
    received, closed = b"", False
    connection.settimeout(QUIET)
    while not enough(received):
        try:
            piece = connection.recv(65536)
        except TimeoutError:
            break
        except OSError:
            piece = b""
        if not piece:
            closed = True
            break
        received += piece
    return received, closed


def http1(port, request):
    with socket.create_connection(("127.0.0.1", port)) as connection:
        try:
            connection.sendall(request)
        except OSError:
            pass
        # The connection's end says more than the first answer alone, so it is waited for a little.
        received, closed = receive(connection, lambda _: False)
    statuses = []
    for part in received.split(b"HTTP/1.")[1:]:
        words = part.split(b" ")
        if len(words) > 1 and words[1][:3].isdigit():
            statuses.append(words[1][:3].decode())
    finals = [status for status in statuses if not status.startswith("1")]
    return finals, closed


def http2(port, request):
    with socket.create_connection(("127.0.0.1", port)) as connection:
        try:
            connection.sendall(request)
        except OSError:
            pass
        received, closed = receive(connection, lambda _: False)
    finals, decoder = [], hpack.Decoder()
    kinds = {HeadersFrame: "head", RstStreamFrame: "reset", GoAwayFrame: "goaway"}
    at = 0
    try:
        while at + 9 <= len(received):
            frame, length = SettingsFrame.parse_frame_header(memoryview(received[at : at + 9]))
            frame.parse_body(memoryview(received[at + 9 : at + 9 + length]))
            at += 9 + length
            kind = kinds.get(type(frame))
            if kind == "head":
                fields = dict(decoder.decode(frame.data))
                finals.extend([fields[":status"]] if ":status" in fields else [])
            elif kind == "reset" or (kind == "goaway" and frame.error_code):
                finals.append(kind)
                closed |= kind == "goaway"
    except Exception as fault:  # An answer that is no HTTP/2, such as an HTTP/1 400.
        finals.append(f"not http/2 ({type(fault).__name__})")
    return finals, closed


def outcome(proxy, origin, version, request):
    before = len(origin.seen)
    speak, port = (http1, proxy.ports[0]) if version == "http/1" else (http2, proxy.ports[1])
    finals, closed = speak(port, request)
    passed = len(origin.seen) - before
    word = "+".join(finals) or ("closed" if closed else "silence")
    if closed and finals:
        word += " closed"
    return Outcome(word, passed, finals)


def verdict(version, name, results):
    ours = results["gateway"]
    others = [result.passed for peer, result in results.items() if peer != "gateway"]
    if (version, name) in PLAIN:
        return "as it should be" if ours.passed == 1 else "REFUSED"
    if ours.passed <= min(others):
        return "stricter" if ours.passed < min(others) else "as strict"
    reason = ALLOWED.get((version, name))
    return f"allowed: {reason}" if reason else "LAXER"


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--gateway", type=pathlib.Path, default="target/release/profile-gateway")
    parser.add_argument("--only", default="", help="only cases whose name has this in it")
    arguments = parser.parse_args()
    origin = proxies.Origin()
    counts = collections.Counter()
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        work = pathlib.Path(folder)
        running = []
        try:
            running.append(proxies.gateway(str(arguments.gateway.resolve()), origin, work))
            running.append(proxies.nginx(origin, work))
            running.append(proxies.envoy(origin, work))
            for proxy in running:
                proxy.ready()
            print("| version | case | gateway | nginx | Envoy | verdict |\n| --- | --- | --- | --- | --- | --- |")
            for version, listed in (("http/1", cases.http1()), ("http/2", cases.http2())):
                for name, request in listed:
                    if arguments.only not in name:
                        continue
                    if isinstance(request, str):
                        request = request.encode("latin-1")
                    results = {proxy.name: outcome(proxy, origin, version, request) for proxy in running}
                    judged = verdict(version, name, results)
                    counts[judged.split(":")[0]] += 1
                    shown = " | ".join(f"{result.word}, {result.passed} passed" for result in results.values())
                    print(f"| {version} | {name} | {shown} | {judged} |", flush=True)
        finally:
            for proxy in running:
                proxy.stop()
    print("\n" + ", ".join(f"{count} {word}" for word, count in sorted(counts.items())))
    sys.exit(1 if counts["LAXER"] or counts["REFUSED"] else 0)


if __name__ == "__main__":
    main()
