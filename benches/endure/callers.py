"""HTTP/1.1 callers that say of every request what became of it."""

import asyncio
import collections
import json
import time

OURS = "urn:profile-gateway:problem:"
# What is kept of a body; the rest is counted.
KEPT = 64 * 1024


class Broken(Exception):
    """The connection ended, or what came is no answer."""


class Answer:
    """What came of one request."""

    def __init__(self):
        self.status, self.fields, self.length, self.body = None, {}, 0, b""
        # `complete`; `cut`, in the middle of the body; `none`, before its head was whole.
        self.end = "none"
        # Bytes of the request's body.
        self.sent = 0

    def reason(self):
        """Returns the reason that a problem of the gateway's own names, or `None`."""
        if not self.fields.get("content-type", "").startswith("application/problem+json"):
            return None
        try:
            problem = json.loads(self.body)
        except ValueError:
            return None
        return problem.get("reason") if str(problem.get("type", "")).startswith(OURS) else None


class Caller:
    """A connection to the gateway that is opened when there is none."""

    def __init__(self, port):
        self.port, self.reader, self.writer = port, None, None

    async def ask(self, method, target, fields=None, pieces=(), pause=0, read_pause=0):
        """Sends a request, whose body comes in pieces with pauses between, and reads its answer to the end."""
        answer = Answer()
        answer.sent = sum(len(piece) for piece in pieces)
        try:
            await self.send(method, target, fields, pieces, pause, answer, read_pause)
        except (OSError, Broken, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
            answer.end = "none" if answer.status is None else "cut"
            self.leave()
            return answer
        answer.end = "complete"
        if answer.fields.get("connection", "").lower() == "close":
            self.leave()
        return answer

    async def send(self, method, target, fields=None, pieces=(), pause=0, answer=None, read_pause=0):
        """Sends a request, and reads its answer into `answer` if there is one to be read."""
        if self.writer is None:
            self.reader, self.writer = await asyncio.open_connection("127.0.0.1", self.port)
        length = sum(len(piece) for piece in pieces)
        told = {"Host": f"127.0.0.1:{self.port}", **(fields or {})}
        if pieces:
            told.setdefault("Content-Length", str(length))
        head = "".join(f"{name}: {value}\r\n" for name, value in told.items())
        self.writer.write(f"{method} {target} HTTP/1.1\r\n{head}\r\n".encode())
        await self.writer.drain()
        upload = asyncio.ensure_future(self._upload(pieces, pause))
        try:
            if answer is None:
                await upload
            else:
                await self._read(answer, read_pause)
        finally:
            # An answer that came before the body had gone ends the connection, unless all of it was taken.
            if not upload.done() or upload.exception():
                answer and answer.fields.update(connection="close")
            upload.cancel()
            await asyncio.gather(upload, return_exceptions=True)

    async def _upload(self, pieces, pause):
        for piece in pieces:
            self.writer.write(piece)
            await self.writer.drain()
            await asyncio.sleep(pause)

    async def _read(self, answer, pause):
        while True:
            head = (await self.reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
            version, _, rest = head[0].partition(" ")
            if not version.startswith("HTTP/1.") or not rest[:3].isdigit():
                raise Broken(head[0])
            if rest[0] != "1":
                break
        fields = (line.partition(":") for line in head[1:] if line)
        answer.fields = {name.lower(): value.strip() for name, _, value in fields}
        answer.status = int(rest[:3])
        if answer.status in (204, 304):
            return
        if answer.fields.get("transfer-encoding") == "chunked":
            while size := int((await self.reader.readuntil(b"\r\n")).split(b";")[0], 16):
                await self._take(answer, size, pause)
                await self.reader.readexactly(2)
            await self.reader.readuntil(b"\r\n")
        elif "content-length" in answer.fields:
            await self._take(answer, int(answer.fields["content-length"]), pause)
        else:
            raise Broken("an answer without a length")

    async def _take(self, answer, size, pause):
        while size:
            piece = await self.reader.read(min(size, 65536))
            if not piece:
                raise Broken("the end in the middle of a body")
            size -= len(piece)
            answer.length += len(piece)
            if len(answer.body) < KEPT:
                answer.body += piece
            await asyncio.sleep(pause)

    def leave(self):
        """Hangs up."""
        if self.writer:
            self.writer.transport.abort()
        self.reader = self.writer = None


class Tally:
    """What callers saw, all of them together."""

    def __init__(self):
        self.sent = 0
        # By status class, those that ended well and those cut off; by status; by the gateway's reasons.
        self.complete, self.cut = collections.Counter(), collections.Counter()
        self.statuses, self.reasons = collections.Counter(), collections.Counter()
        # Requests whose caller hung up; those that got no answer although it did not; and of the latter those that the
        # end of the connection may have come ahead of, while a large body was still being sent (RFC 9112 §9.6).
        self.hung_up, self.unanswered, self.overtaken = 0, 0, 0
        self.longest = collections.Counter()
        self.wrong = []

    def count(self, kind, answer, seconds):
        """Counts a request that was waited for."""
        self.sent += 1
        self.longest[kind] = max(self.longest[kind], seconds)
        if answer.end == "none" and answer.sent > KEPT:
            self.overtaken += 1
        elif answer.end == "none":
            self.unanswered += 1
            self.remark(f"{kind}: no answer after {seconds:.1f} s")
        elif answer.end == "cut":
            self.cut[class_of(answer.status)] += 1
        else:
            self.complete[class_of(answer.status)] += 1
            self.statuses[answer.status] += 1
            if reason := answer.reason():
                self.reasons[reason] += 1

    def count_hung_up(self):
        """Counts a request whose caller did not wait."""
        self.sent += 1
        self.hung_up += 1

    def remark(self, text):
        """Keeps what went wrong, up to ten of it."""
        if len(self.wrong) < 10:
            self.wrong.append(text)


def class_of(status):
    """Returns the status class as the metrics call it."""
    return f"{status // 100}xx"


async def timed(asking):
    """Returns an answer and the seconds it took."""
    begun = time.monotonic()
    answer = await asking
    return answer, time.monotonic() - begun
