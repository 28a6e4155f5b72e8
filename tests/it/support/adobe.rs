//! A scripted Adobe on plain sockets: it keeps every byte it receives, and answers exactly what it is told to.

use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;

/// A scripted Adobe. It answers token calls by itself; everything else is for the script.
pub(crate) struct Adobe {
    address: SocketAddr,
    seen: Arc<Mutex<Vec<Seen>>>,
}

/// One request as it arrived.
#[derive(Clone, Debug)]
pub(crate) struct Seen {
    /// The head, byte for byte, without the empty line.
    pub(crate) head: String,
    /// The body, without chunk framing.
    pub(crate) body: Vec<u8>,
    /// Which connection it came over, counted from 0.
    pub(crate) connection: usize,
}

/// What is done with a request.
#[derive(Clone, Debug)]
pub(crate) enum Act {
    /// These bytes are sent, and the connection stays open.
    Answer(Vec<u8>),
    /// These bytes are sent, and the connection closes.
    AnswerAndClose(Vec<u8>),
    /// The connection is reset.
    Reset,
    /// Nothing happens until the other side closes.
    Silence,
}

impl Act {
    /// A 200 with a small JSON body.
    pub(crate) fn ok() -> Self {
        Self::json("200 OK", "{}")
    }

    pub(crate) fn json(status: &str, body: &str) -> Self {
        let length = body.len();
        Self::Answer(
            format!(
                "HTTP/1.1 {status}\r\nContent-Type: application/json\r\nContent-Length: {length}\r\n\r\n{body}"
            )
            .into_bytes(),
        )
    }
}

type Script = dyn Fn(&Seen) -> Act + Send + Sync;

impl Adobe {
    /// Starts with a script for everything but token calls.
    pub(crate) fn start(script: impl Fn(&Seen) -> Act + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let seen = Arc::new(Mutex::new(Vec::new()));
        let script: Arc<Script> = Arc::new(script);
        let keep = Arc::clone(&seen);
        thread::spawn(move || {
            for (connection, stream) in listener.incoming().enumerate() {
                let (script, keep) = (Arc::clone(&script), Arc::clone(&keep));
                thread::spawn(move || converse(&stream.unwrap(), connection, &*script, &keep));
            }
        });
        Self { address, seen }
    }

    /// Starts with 200 for everything.
    pub(crate) fn willing() -> Self {
        Self::start(|_| Act::ok())
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Returns what arrived but for token calls.
    pub(crate) fn seen(&self) -> Vec<Seen> {
        let all = self.seen.lock().unwrap().clone();
        all.into_iter()
            .filter(|seen| !seen.is_token_call())
            .collect()
    }

    pub(crate) fn token_calls(&self) -> Vec<Seen> {
        let all = self.seen.lock().unwrap().clone();
        all.into_iter().filter(Seen::is_token_call).collect()
    }
}

impl Seen {
    pub(crate) fn request_line(&self) -> &str {
        self.head.lines().next().unwrap()
    }

    pub(crate) fn target(&self) -> &str {
        self.request_line().split(' ').nth(1).unwrap()
    }

    /// Returns the values of a field, in order.
    pub(crate) fn values(&self, name: &str) -> Vec<&str> {
        self.fields()
            .filter(|(field, _)| field.eq_ignore_ascii_case(name))
            .map(|(_, value)| value)
            .collect()
    }

    pub(crate) fn fields(&self) -> impl Iterator<Item = (&str, &str)> {
        self.head.split("\r\n").skip(1).map(|line| {
            let (name, value) = line.split_once(':').unwrap();
            (name, value.trim())
        })
    }

    /// Checks that the four fields are there once each with these values, and no other spelling of them is.
    pub(crate) fn assert_owned(&self, sandbox: &str) {
        for (name, value) in [
            ("authorization", format!("Bearer {TOKEN}").as_str()),
            ("x-api-key", "demo-client"),
            ("x-gw-ims-org-id", "0A1B2C3D4E5F60718293A4B5@AdobeOrg"),
            ("x-sandbox-name", sandbox),
        ] {
            let spelled: Vec<_> = self
                .fields()
                .filter(|(field, _)| field.to_ascii_lowercase().replace('_', "-") == name)
                .map(|(_, value)| value)
                .collect();
            assert_eq!(spelled, [value], "{name} in {}", self.head);
        }
    }

    fn is_token_call(&self) -> bool {
        self.head.starts_with("POST /ims/token/v3 ")
    }
}

/// The token the scripted IMS gives.
pub(crate) const TOKEN: &str = "scripted.access.token";

fn converse(mut stream: &TcpStream, connection: usize, script: &Script, keep: &Mutex<Vec<Seen>>) {
    let mut buffer = Vec::new();
    while let Some(seen) = receive(stream, &mut buffer, connection) {
        let act = if seen.is_token_call() {
            Act::json(
                "200 OK",
                &format!(
                    r#"{{"access_token":"{TOKEN}","token_type":"bearer","expires_in":86399}}"#
                ),
            )
        } else {
            script(&seen)
        };
        keep.lock().unwrap().push(seen);
        match act {
            Act::Answer(bytes) => {
                if stream.write_all(&bytes).is_err() {
                    return;
                }
            }
            Act::AnswerAndClose(bytes) => {
                let _ = stream.write_all(&bytes);
                let _ = stream.shutdown(Shutdown::Both);
                return;
            }
            Act::Reset => {
                // Closing with unread bytes, or after an abort, sends a reset rather than an end.
                let socket = socket2::SockRef::from(stream);
                let _ = socket.set_linger(Some(std::time::Duration::ZERO));
                return;
            }
            Act::Silence => {
                let _ = stream.read(&mut [0; 1]);
                return;
            }
        }
    }
}

/// Reads one request, or returns `None` when the other side has gone.
fn receive(mut stream: &TcpStream, buffer: &mut Vec<u8>, connection: usize) -> Option<Seen> {
    let mut more = |buffer: &mut Vec<u8>| {
        let mut piece = [0; 16 * 1024];
        let count = stream.read(&mut piece).unwrap_or(0);
        buffer.extend_from_slice(&piece[..count]);
        (count > 0).then_some(())
    };
    let end = loop {
        match buffer.windows(4).position(|window| window == b"\r\n\r\n") {
            Some(end) => break end,
            None => more(buffer)?,
        }
    };
    let head = String::from_utf8(buffer.drain(..end + 4).take(end).collect()).unwrap();
    let mut seen = Seen {
        head,
        body: Vec::new(),
        connection,
    };
    if seen.values("transfer-encoding") == ["chunked"] {
        loop {
            let line = loop {
                match buffer.windows(2).position(|window| window == b"\r\n") {
                    Some(end) => break buffer.drain(..end + 2).collect::<Vec<_>>(),
                    None => more(buffer)?,
                }
            };
            let size =
                usize::from_str_radix(std::str::from_utf8(&line).unwrap().trim_end(), 16).unwrap();
            while buffer.len() < size + 2 {
                more(buffer)?;
            }
            seen.body.extend(buffer.drain(..size));
            buffer.drain(..2);
            if size == 0 {
                return Some(seen);
            }
        }
    }
    let length = seen
        .values("content-length")
        .first()
        .map_or(0, |length| length.parse().unwrap());
    while buffer.len() < length {
        more(buffer)?;
    }
    seen.body = buffer.drain(..length).collect();
    Some(seen)
}
