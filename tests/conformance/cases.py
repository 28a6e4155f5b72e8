"""What is sent: requests that are right, and requests that somebody on the way might read differently."""

import hpack
from hyperframe.frame import (
    ContinuationFrame,
    DataFrame,
    GoAwayFrame,
    HeadersFrame,
    PingFrame,
    PriorityFrame,
    PushPromiseFrame,
    RstStreamFrame,
    SettingsFrame,
    WindowUpdateFrame,
)

PATH = "/data/core/ups/config/mergePolicies"
HIDDEN = f"GET {PATH}/hidden HTTP/1.1\r\nHost: proxy\r\n\r\n"
PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"


def head(fields, method="POST", target=PATH, version="HTTP/1.1", host="Host: proxy\r\n"):
    return f"{method} {target} {version}\r\n{host}Content-Type: text/plain\r\n{fields}\r\n"


def http1():
    """Returns name and bytes of each HTTP/1 case. As Latin-1, so that any byte can be written."""
    yield "a GET", head("", "GET")
    yield "a POST", head("Content-Length: 5\r\n") + "hello"
    yield "a chunked POST", head("Transfer-Encoding: chunked\r\n") + "5\r\nhello\r\n0\r\n\r\n"
    yield "chunks with extensions", head("Transfer-Encoding: chunked\r\n") + '5;x="y"\r\nhello\r\n0\r\n\r\n'
    yield "trailers", head("Transfer-Encoding: chunked\r\n") + "5\r\nhello\r\n0\r\nX: y\r\n\r\n"
    yield "HTTP/1.0", head("", "GET", version="HTTP/1.0")
    yield "an empty line before", "\r\n" + head("", "GET")

    for name, fields in {
        "length, coding": "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n",
        "coding, length": "Transfer-Encoding: chunked\r\nContent-Length: 5\r\n",
        "coding, length 0": "Transfer-Encoding: chunked\r\nContent-Length: 0\r\n",
        "equal lengths": "Content-Length: 5\r\nContent-Length: 5\r\n",
        "other lengths": "Content-Length: 5\r\nContent-Length: 6\r\n",
        "length 5, 5": "Content-Length: 5, 5\r\n",
        "length +5": "Content-Length: +5\r\n",
        "length -5": "Content-Length: -5\r\n",
        "length 0x5": "Content-Length: 0x5\r\n",
        "length 5 5": "Content-Length: 5 5\r\n",
        "length of nothing": "Content-Length:\r\n",
        "length of 20 digits": "Content-Length: 18446744073709551616\r\n",
        "length by underscore": "Content_Length: 5\r\n",
        "codings twice": "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n",
        "coding identity": "Transfer-Encoding: identity\r\n",
        "coding gzip": "Transfer-Encoding: gzip\r\n",
        "coding gzip, chunked": "Transfer-Encoding: gzip, chunked\r\n",
        "coding chunked, gzip": "Transfer-Encoding: chunked, gzip\r\n",
        "coding chunked, chunked": "Transfer-Encoding: chunked, chunked\r\n",
        "coding with a comma": "Transfer-Encoding: chunked,\r\n",
        "coding Chunked": "Transfer-Encoding: Chunked\r\n",
        "coding xchunked": "Transfer-Encoding: xchunked\r\n",
        "coding in quotes": 'Transfer-Encoding: "chunked"\r\n',
        "coding of nothing": "Transfer-Encoding:\r\n",
        "coding after a vertical tab": "Transfer-Encoding:\x0bchunked\r\n",
        "coding before a blank": "Transfer-Encoding : chunked\r\n",
        "coding folded": "Transfer-Encoding:\r\n chunked\r\n",
        "coding hidden in a fold": "X: y\r\n\tTransfer-Encoding: chunked\r\n",
        "coding by underscore": "Transfer_Encoding: chunked\r\n",
    }.items():
        yield name, head(fields) + "0\r\n\r\n" + HIDDEN
    yield "coding in HTTP/1.0", head("Transfer-Encoding: chunked\r\n", version="HTTP/1.0") + "0\r\n\r\n" + HIDDEN

    for name, chunks in {
        "size x": "x\r\nhello\r\n0\r\n\r\n",
        "size -5": "-5\r\nhello\r\n0\r\n\r\n",
        "size 0x5": "0x5\r\nhello\r\n0\r\n\r\n",
        "size and a blank": "5 \r\nhello\r\n0\r\n\r\n",
        "size and a bare LF": "5\nhello\r\n0\r\n\r\n",
        "chunk too short": "5\r\nhell\r\n0\r\n\r\n",
        "chunk too long": "5\r\nhelloworld\r\n0\r\n\r\n",
        "chunk and a bare LF": "5\r\nhello\n0\r\n\r\n",
        "size of 17 digits": "10000000000000005\r\nhello\r\n0\r\n\r\n",
        "extension with a bare LF": "5;a\nb\r\nhello\r\n0\r\n\r\n",
        "extension with a control": "5;a\x01b\r\nhello\r\n0\r\n\r\n",
        "end with a bare LF": "5\r\nhello\r\n0\r\n\n",
        "trailer with a bare LF": "5\r\nhello\r\n0\r\nA: b\n\r\n",
        "trailer folded": "5\r\nhello\r\n0\r\n A: b\r\n\r\n",
        "trailer with NUL": "5\r\nhello\r\n0\r\nA: \0\r\n\r\n",
    }.items():
        yield f"chunks: {name}", head("Transfer-Encoding: chunked\r\n") + chunks + HIDDEN

    for name, fields in {
        "folded": "A: 1\r\n folded\r\n",
        "fold first": " A: 1\r\n",
        "blank before the colon": "A : 1\r\n",
        "no colon": "A\r\n",
        "no name": ": 1\r\n",
        "NUL in a value": "A: 1\0\r\n",
        "NUL in a name": "A\0: 1\r\n",
        "control in a value": "A: 1\x01\r\n",
        "DEL in a value": "A: 1\x7f\r\n",
        "bare CR": "A: 1\rB: 2\r\n",
        "bare LF": "A: 1\nB: 2\r\n",
        "name with a letter of Latin-1": "A\xe9: 1\r\n",
        "name with brackets": "A(b): 1\r\n",
        "101 fields": "A: 1\r\n" * 101,
        "40 kB": "A: " + "1" * 40_000 + "\r\n",
        "Expect of something": "Expect: 200-ok\r\n",
    }.items():
        yield f"field: {name}", head(fields, "GET")

    for name, host in {
        "none": "",
        "empty": "Host:\r\n",
        "two": "Host: a\r\nHost: b\r\n",
        "twice": "Host: a\r\nHost: a\r\n",
        "a list": "Host: a, b\r\n",
        "a blank": "Host: a b\r\n",
        "a user": "Host: user@a\r\n",
        "a path": "Host: a/b\r\n",
        "a URL": "Host: http://a\r\n",
        "a port of letters": "Host: a:b\r\n",
        "a port too large": "Host: a:99999\r\n",
        "a query": "Host: a?b\r\n",
        "a fragment": "Host: a#b\r\n",
        "an open bracket": "Host: [::1\r\n",
        "a letter of Latin-1": "Host: \xe9\r\n",
    }.items():
        yield f"host: {name}", head("", "GET", host=host)

    for name, line in {
        "no version": f"GET {PATH}",
        "two blanks": f"GET  {PATH} HTTP/1.1",
        "tabs": f"GET\t{PATH}\tHTTP/1.1",
        "blank in the target": f"GET {PATH} y HTTP/1.1",
        "HTTP/1.2": f"GET {PATH} HTTP/1.2",
        "HTTP/2.0": f"GET {PATH} HTTP/2.0",
        "http/1.1": f"GET {PATH} http/1.1",
        "method with @": f"G@T {PATH} HTTP/1.1",
        "no slash": "GET data HTTP/1.1",
        "fragment": f"GET {PATH}#x HTTP/1.1",
        "NUL": f"GET {PATH}\0 HTTP/1.1",
        "a letter of Latin-1": f"GET {PATH}/\xe9 HTTP/1.1",
        "absolute, another host": f"GET http://other.example{PATH} HTTP/1.1",
        "asterisk": "GET * HTTP/1.1",
        "CONNECT": "CONNECT other.example:443 HTTP/1.1",
        "TRACE": f"TRACE {PATH} HTTP/1.1",
        "dot segments": "GET /data/core/ups/../x HTTP/1.1",
        "encoded dot segments": "GET /data/core/ups/%2e%2e/x HTTP/1.1",
        "twice encoded dot segments": "GET /data/core/ups/%252e%252e/x HTTP/1.1",
        "encoded slash": "GET /data/core/ups/x%2fy HTTP/1.1",
        "encoded backslash": "GET /data/core/ups/x%5cy HTTP/1.1",
        "backslash": "GET /data/core/ups/x\\y HTTP/1.1",
        "two slashes": "GET /data/core/ups//x HTTP/1.1",
        "parameter": "GET /data/core/ups/x;y=z HTTP/1.1",
        "encoded NUL": "GET /data/core/ups/x%00 HTTP/1.1",
        "cut escape": "GET /data/core/ups/x%4 HTTP/1.1",
        "overlong UTF-8": "GET /data/core/ups/%c0%ae%c0%ae/x HTTP/1.1",
    }.items():
        yield f"line: {name}", f"{line}\r\nHost: proxy\r\n\r\n"
    yield "lines of bare LF", f"GET {PATH} HTTP/1.1\nHost: proxy\n\n"
    yield "last line of bare LF", f"GET {PATH} HTTP/1.1\r\nHost: proxy\r\n\n"


WHOLE = [(":method", "GET"), (":scheme", "http"), (":path", PATH), (":authority", "proxy")]


def block(fields):
    """Writes fields without Huffman codes, so that nothing is mended on the way."""
    encoder = hpack.Encoder()
    return encoder.encode(fields, huffman=False)


def headers(fields, stream=1, flags=("END_HEADERS", "END_STREAM")):
    return HeadersFrame(stream, data=block(fields), flags=flags).serialize()


def data(text, stream=1, flags=("END_STREAM",)):
    return DataFrame(stream, data=text, flags=flags).serialize()


def raw(kind, flags, stream, payload):
    """A frame that the library would not write."""
    length = len(payload).to_bytes(3, "big")
    return length + bytes([kind, flags]) + stream.to_bytes(4, "big") + payload


def http2():
    """Returns name and bytes of each HTTP/2 case; the request that counts is on stream 1."""
    start = PREFACE + SettingsFrame(0).serialize()
    post = [(":method", "POST"), *WHOLE[1:], ("content-type", "text/plain")]
    begun = headers(post, flags=("END_HEADERS",))
    request = headers(WHOLE)

    def case(*frames):
        return start + b"".join(frames)

    def replaced(name, value):
        return [(field, value if field == name else old) for field, old in WHOLE]

    yield "a GET", case(request)
    yield "a POST", case(begun, data(b"hello"))
    yield "a POST with its length", case(headers([*post, ("content-length", "5")], flags=("END_HEADERS",)), data(b"hello"))
    yield "trailers", case(begun, data(b"hello", flags=()), headers([("x", "y")]))
    yield "a head in two frames", case(
        HeadersFrame(1, data=block(WHOLE)[:9], flags=("END_STREAM",)).serialize(),
        ContinuationFrame(1, data=block(WHOLE)[9:], flags=("END_HEADERS",)).serialize(),
    )
    yield "te: trailers", case(headers([*WHOLE, ("te", "trailers")]))
    yield "a frame of no known kind", case(raw(0xB7, 0, 0, b"x" * 9), request)

    for name in (":method", ":scheme", ":path", ":authority"):
        yield f"no {name}", case(headers([pair for pair in WHOLE if pair[0] != name]))
        yield f"{name} twice", case(headers(WHOLE + [pair for pair in WHOLE if pair[0] == name]))
    for name, fields in {
        "a pseudo-field after others": [("a", "b"), *WHOLE],
        ":status": [*WHOLE, (":status", "200")],
        ":unknown": [*WHOLE, (":unknown", "1")],
        "a capital letter": [*WHOLE, ("Accept", "*/*")],
        "connection": [*WHOLE, ("connection", "close")],
        "keep-alive": [*WHOLE, ("keep-alive", "1")],
        "proxy-connection": [*WHOLE, ("proxy-connection", "close")],
        "transfer-encoding": [*WHOLE, ("transfer-encoding", "chunked")],
        "upgrade": [*WHOLE, ("upgrade", "h2c")],
        "te: gzip": [*WHOLE, ("te", "gzip")],
        "host that differs": [*WHOLE, ("host", "other")],
        "CR LF in a value": [*WHOLE, ("x", "1\r\ny: 2")],
        "NUL in a value": [*WHOLE, ("x", "1\0")],
        "blank in a name": [*WHOLE, ("x a", "1")],
        "colon in a name": [*WHOLE, ("x:a", "1")],
        "no name": [*WHOLE, ("", "1")],
        "length 1 of no body": [*WHOLE, ("content-length", "1")],
        "length of nothing": [*WHOLE, ("content-length", "")],
        "lengths twice": [*WHOLE, ("content-length", "0"), ("content-length", "0")],
        "length by underscore": [*WHOLE, ("content_length", "0")],
        "path: empty": replaced(":path", ""),
        "path: *": replaced(":path", "*"),
        "path: no slash": replaced(":path", "data/core/ups/x"),
        "path: a URL": replaced(":path", f"http://other.example{PATH}"),
        "path: a blank": replaced(":path", f"{PATH} y"),
        "path: CR LF": replaced(":path", f"{PATH} HTTP/1.1\r\nx: y"),
        "path: NUL": replaced(":path", f"{PATH}\0"),
        "path: a fragment": replaced(":path", f"{PATH}#x"),
        "path: dot segments": replaced(":path", "/data/core/ups/../x"),
        "path: encoded dot segments": replaced(":path", "/data/core/ups/%2e%2e/x"),
        "path: encoded slash": replaced(":path", "/data/core/ups/x%2fy"),
        "path: backslash": replaced(":path", "/data/core/ups/x\\y"),
        "authority: empty": replaced(":authority", ""),
        "authority: a user": replaced(":authority", "user@proxy"),
        "authority: a list": replaced(":authority", "proxy, other"),
        "authority: a path": replaced(":authority", "proxy/x"),
        "authority: a port too large": replaced(":authority", "proxy:99999"),
        "method: a blank": replaced(":method", "G T"),
        "method: CR LF": replaced(":method", "GET / HTTP/1.1\r\nx: y"),
        "method: CONNECT": [(":method", "CONNECT"), WHOLE[3]],
        "method: TRACE": replaced(":method", "TRACE"),
        "scheme: none": replaced(":scheme", ""),
        "101 fields": [*WHOLE, *[("x", "1")] * 101],
        "40 kB": [*WHOLE, ("x", "1" * 15_000), ("y", "1" * 15_000), ("z", "1" * 10_000)],
    }.items():
        encoded = block(fields)
        parts = [encoded[at : at + 16_000] for at in range(0, len(encoded), 16_000)]
        frames = [raw(0x1, 0x1 | (0x4 if len(parts) == 1 else 0), 1, parts[0])]
        for index, part in enumerate(parts[1:], start=2):
            frames.append(raw(0x9, 0x4 if index == len(parts) else 0, 1, part))
        yield name, case(*frames)

    yield "body shorter than its length", case(headers([*post, ("content-length", "6")], flags=("END_HEADERS",)), data(b"hello"))
    yield "body longer than its length", case(headers([*post, ("content-length", "4")], flags=("END_HEADERS",)), data(b"hello"))
    yield "trailers with :path", case(begun, data(b"hello", flags=()), headers([("x", "y"), (":path", "/y")]))
    yield "trailers that do not end", case(begun, headers([("x", "y")], flags=("END_HEADERS",)), data(b"hello"))
    yield "data after the end", case(begun, data(b"hello"), data(b"again"))

    yield "preface that is none", b"PRI * HTTP/2.0\r\n\r\nXX\r\n\r\n" + start + request
    yield "no settings first", PREFACE + request
    for name, frame in {
        "settings on a stream": raw(0x4, 0, 1, b""),
        "settings of 5 bytes": raw(0x4, 0, 0, b"\0" * 5),
        "push neither on nor off": raw(0x4, 0, 0, b"\0\2\0\0\0\2"),
        "window too large": raw(0x4, 0, 0, b"\0\4\x80\0\0\0"),
        "frames too small": raw(0x4, 0, 0, b"\0\5\0\0\0\1"),
        "frame too large": raw(0x0, 0, 1, b"\0" * 16_385),
        "ping on a stream": raw(0x6, 0, 1, b"\0" * 8),
        "ping of 7 bytes": raw(0x6, 0, 0, b"\0" * 7),
        "window update of 0": raw(0x8, 0, 0, b"\0" * 4),
        "window that overflows": WindowUpdateFrame(0, window_increment=2**31 - 1).serialize(),
        "window update on an idle stream": WindowUpdateFrame(1, window_increment=1).serialize(),
        "reset of an idle stream": RstStreamFrame(1, error_code=8).serialize(),
        "reset of no stream": raw(0x3, 0, 0, b"\0" * 4),
        "data on an idle stream": data(b"x"),
        "data on no stream": raw(0x0, 1, 0, b"x"),
        "padding too long": raw(0x0, 8, 1, b"\x09\1\2"),
        "a head on no stream": raw(0x1, 5, 0, block(WHOLE)),
        "a head on an even stream": raw(0x1, 5, 2, block(WHOLE)),
        "a promise": PushPromiseFrame(1, promised_stream_id=2, data=block(WHOLE), flags=("END_HEADERS",)).serialize(),
        "a continuation of nothing": ContinuationFrame(1, data=b"", flags=("END_HEADERS",)).serialize(),
        "a ping in a head": headers(WHOLE, flags=("END_STREAM",)) + PingFrame(0, opaque_data=b"8 bytes!").serialize(),
        "field 0": raw(0x1, 5, 1, b"\x80"),
        "field of no table": raw(0x1, 5, 1, b"\xff\x50"),
        "text cut off": raw(0x1, 5, 1, b"\x00\x7fa"),
        "table too large": raw(0x1, 5, 1, b"\x3f\xe1\xff\x7f" + block(WHOLE)),
        "GOAWAY of a stream": raw(0x7, 0, 1, b"\0" * 8),
        "priority of 4 bytes": raw(0x2, 0, 3, b"\0" * 4),
    }.items():
        # The request comes after the fault: who answers it has passed over that.
        yield f"frame: {name}", case(frame, headers(WHOLE, stream=101))
    # What is allowed, since RFC 9113 says how it is passed over.
    yield "priority", case(PriorityFrame(3, depends_on=1, stream_weight=9, exclusive=False).serialize(), request)
    yield "goodbye after the request", case(request, GoAwayFrame(0, last_stream_id=0, error_code=0).serialize())
