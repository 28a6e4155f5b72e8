//! An upstream in this process: it reads requests without bodies and answers them all alike.

use http::{HeaderMap, HeaderName, HeaderValue, header};
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream};

use crate::gateway;
use crate::work::{TIMES, WARM_UP, Work};

/// Opens a connection to an upstream, which answers on a task of its own.
pub(crate) fn open() -> DuplexStream {
    let (ours, mut theirs) = tokio::io::duplex(64 * 1024);
    let answer = answer();
    tokio::task::spawn_local(async move {
        let mut head = Vec::with_capacity(16 * 1024);
        while let Ok(1..) = theirs.read_buf(&mut head).await {
            if head.ends_with(b"\r\n\r\n") {
                head.clear();
                if theirs.write_all(&answer).await.is_err() {
                    return;
                }
            }
        }
    });
    ours
}

/// Prepares calls of the upstream with ready-made bytes: what of a measured lookup is not the gateway's doing.
pub(crate) fn calls() -> Work {
    let runtime = gateway::worker();
    let request = request();
    let mut answer = answer();
    let mut stream = runtime.block_on(async { open() });
    let mut call = move |times| {
        runtime.block_on(async {
            for _ in 0..times {
                stream.write_all(&request).await.expect("it takes requests");
                stream.read_exact(&mut answer).await.expect("it answers");
            }
        });
    };
    call(WARM_UP);
    Box::new(move || call(TIMES))
}

/// Returns a request as long as those of the gateway.
fn request() -> Vec<u8> {
    let mut fields = gateway::fields();
    fields.insert(header::AUTHORIZATION, gateway::bearer());
    message(&format!("GET {} HTTP/1.1", gateway::TARGET), &fields)
}

fn answer() -> Vec<u8> {
    let mut bytes = message("HTTP/1.1 200 OK", &fields());
    let filling = BODY_BYTES - BODY_BEGINS.len() - BODY_ENDS.len();
    bytes.extend_from_slice(BODY_BEGINS);
    bytes.resize(bytes.len() + filling, b'x');
    bytes.extend_from_slice(BODY_ENDS);
    bytes
}

pub(crate) fn message(first_line: &str, fields: &HeaderMap) -> Vec<u8> {
    let mut bytes = format!("{first_line}\r\n").into_bytes();
    for (name, value) in fields {
        let line: [&[u8]; 4] = [name.as_ref(), b": ", value.as_bytes(), b"\r\n"];
        bytes.extend(line.concat());
    }
    bytes.extend_from_slice(b"\r\n");
    bytes
}

/// Returns the fields of an answer.
pub(crate) fn fields() -> HeaderMap {
    let field = |(name, value)| {
        (
            HeaderName::from_static(name),
            HeaderValue::from_static(value),
        )
    };
    FIELDS.into_iter().map(field).collect()
}

const FIELDS: [(&str, &str); 9] = [
    ("content-type", "application/json;charset=UTF-8"),
    ("content-length", "1024"),
    ("date", "Mon, 23 Nov 2026 10:00:00 GMT"),
    ("server", "openresty"),
    ("connection", "keep-alive"),
    ("x-request-id", "4f7c8a52-9c1e-4b7a-8f55-2f6f3a1c9d10"),
    ("cache-control", "no-store"),
    ("strict-transport-security", "max-age=31536000"),
    ("vary", "Accept-Encoding"),
];
const BODY_BYTES: usize = 1024;
const BODY_BEGINS: &[u8] = br#"{"entity":{"name":""#;
const BODY_ENDS: &[u8] = br#""}}"#;
