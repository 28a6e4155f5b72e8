"""Shows that a peer does the job, by an origin that keeps what it received."""

import http.client
import json
import socketserver
import threading
import time

import job

REQUESTS = 20


class Witness(socketserver.ThreadingTCPServer):
    """An origin that gives tokens, answers 200 to all else, and keeps every request and connection."""

    daemon_threads = True

    def __init__(self):
        self.requests, self.connections = [], 0
        super().__init__(("127.0.0.1", 0), Conversation)
        self.port = self.server_address[1]

    def __enter__(self):
        self.thread = threading.Thread(target=self.serve_forever, kwargs={"poll_interval": 0.05})
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.shutdown()
        self.thread.join()
        self.server_close()


class Conversation(socketserver.StreamRequestHandler):
    """One connection to the witness."""

    def handle(self):
        counted = False
        while first := self.rfile.readline():
            fields = []
            while (line := self.rfile.readline().strip()) != b"":
                name, _, value = line.decode("latin-1").partition(":")
                fields.append((name.lower(), value.strip()))
            length = next((int(value) for name, value in fields if name == "content-length"), 0)
            body = self.rfile.read(length)
            if first.split()[1] == b"/ims/token/v3":
                answer = json.dumps({"access_token": job.TOKEN, "token_type": "bearer", "expires_in": 86399})
            else:
                answer = job.SMALL_ANSWER
                self.server.connections += not counted
                counted = True
                self.server.requests.append((first.decode("latin-1").split(), fields, body))
            self.wfile.write(
                b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s"
                % (len(answer), answer.encode())
            )


def verify(peer, witness):
    """Sends requests through the peer one after the other; returns what it does not do of the job."""
    lines = settled_lines(peer)
    witness.requests.clear()
    connections = witness.connections
    caller = http.client.HTTPConnection("127.0.0.1", peer.port, timeout=5)
    faults = []
    for number in range(REQUESTS):
        body = b"{}" if number % 2 else None
        fields = job.CALLER | ({"Content-Type": "application/json"} if body else {})
        caller.request("POST" if body else "GET", job.LOOKUP, body, fields)
        answer = caller.getresponse()
        if (answer.status, answer.read()) != (200, job.SMALL_ANSWER.encode()):
            faults.append(f"answered {answer.status}, or not what the origin had answered")
    caller.close()
    if len(witness.requests) != REQUESTS:
        faults.append(f"sent {len(witness.requests)} requests for {REQUESTS}")
    for (_, target, _), fields, _ in witness.requests:
        if target != job.LOOKUP:
            faults.append(f"changed the target to {target}")
        for name, value in job.OWNED.items():
            if [sent for field, sent in fields if field == name] != [value]:
                faults.append(f"did not send its own {name} once")
    if witness.connections - connections > 1:
        faults.append(f"opened {witness.connections - connections} connections for requests in a row")
    written = settled_lines(peer) - lines
    if written != REQUESTS:
        faults.append(f"wrote {written} access lines for {REQUESTS} requests")
    return list(dict.fromkeys(faults))


def settled_lines(peer):
    """Returns how many access lines there are when no more come. They are flushed every 100 ms."""
    latest = 0
    for _ in range(20):
        time.sleep(0.5)
        before, latest = latest, peer.access_lines()
        if latest == before and latest > 0:
            break
    return latest
