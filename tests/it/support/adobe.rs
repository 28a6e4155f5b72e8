//! A scripted Adobe on plain sockets: it keeps every byte it receives, and answers exactly what it is told to.

use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

/// A scripted Adobe. It answers token calls by itself; everything else is for the script.
pub(crate) struct Adobe {
    address: SocketAddr,
    kept: Arc<Kept>,
}

#[derive(Default)]
struct Kept {
    seen: Mutex<Vec<Seen>>,
    heads: AtomicUsize,
    mints: AtomicUsize,
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
#[derive(Clone)]
pub(crate) enum Act {
    /// These bytes are sent, and the connection stays open.
    Answer(Vec<u8>),
    /// These bytes are sent, and the connection closes.
    AnswerAndClose(Vec<u8>),
    /// This is done with the connection, which then closes.
    Play(Arc<dyn Fn(&mut Wire<'_>) + Send + Sync>),
    /// The connection is reset.
    Reset,
}

impl Act {
    /// A 200 with a small JSON body.
    pub(crate) fn ok() -> Self {
        Self::json("200 OK", "{}")
    }

    /// A token answer.
    pub(crate) fn token(token: &str, expires_in: u64) -> Self {
        let body = format!(
            r#"{{"access_token":"{token}","token_type":"bearer","expires_in":{expires_in}}}"#
        );
        Self::json("200 OK", &body)
    }

    /// The refusal of a token by Adobe's gateway.
    pub(crate) fn token_refused() -> Self {
        let body = r#"{"error_code":"401013","message":"Oauth token is not valid"}"#;
        Self::json("401 Unauthorized", body)
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

    /// A 200 that says which target it answers, so that a mixed-up answer is noticed.
    pub(crate) fn echo(seen: &Seen) -> Self {
        Self::json("200 OK", seen.target())
    }

    /// Nothing is sent, until the other side closes.
    pub(crate) fn silence() -> Self {
        Self::play(|wire| {
            wire.wait_for_end();
        })
    }

    pub(crate) fn play(play: impl Fn(&mut Wire<'_>) + Send + Sync + 'static) -> Self {
        Self::Play(Arc::new(play))
    }
}

/// The connection a request came over, with what has come after the request's head.
pub(crate) struct Wire<'a> {
    stream: &'a TcpStream,
    buffer: &'a mut Vec<u8>,
}

impl Wire<'_> {
    /// Writes, and tells whether the other side still takes it.
    pub(crate) fn write(&mut self, bytes: impl AsRef<[u8]>) -> bool {
        self.stream.write_all(bytes.as_ref()).is_ok()
    }

    /// Reads until `part` has come, and returns whether it has.
    pub(crate) fn read_until(&mut self, part: &[u8]) -> bool {
        loop {
            if self.buffer.windows(part.len()).any(|window| window == part) {
                return true;
            }
            if more(self.stream, self.buffer).is_none() {
                return false;
            }
        }
    }

    /// Waits until the other side closes.
    pub(crate) fn wait_for_end(&mut self) {
        while more(self.stream, self.buffer).is_some() {}
    }

    /// Writes pieces until the other side takes none, or `most` bytes are gone; returns how many are.
    pub(crate) fn pour(&mut self, most: usize) -> usize {
        pour(self.stream, most)
    }

    /// Closes at once, rather than when the script is done.
    pub(crate) fn close(&mut self) {
        let _ = self.stream.shutdown(Shutdown::Both);
    }

    /// Closes with a reset rather than an end.
    pub(crate) fn reset(&mut self) {
        let socket = socket2::SockRef::from(self.stream);
        let _ = socket.set_linger(Some(Duration::ZERO));
    }
}

/// Writes until the other side has taken nothing for a while, or `most` bytes are gone.
///
/// A slow machine can only make the count smaller, which no test takes amiss.
pub(crate) fn pour(mut stream: &TcpStream, most: usize) -> usize {
    stream
        .set_write_timeout(Some(Duration::from_millis(400)))
        .unwrap();
    let piece = vec![b'x'; 64 * 1024];
    let mut poured = 0;
    while poured < most {
        match stream.write(&piece[..piece.len().min(most - poured)]) {
            Ok(count) if count > 0 => poured += count,
            _ => break,
        }
    }
    poured
}

type Script = dyn Fn(&Seen) -> Act + Send + Sync;
type MintScript = dyn Fn(usize, &Seen) -> Act + Send + Sync;

struct Scripts {
    at_head: Box<HeadScript>,
    script: Box<Script>,
    mint: Box<MintScript>,
}

type HeadScript = dyn Fn(&Seen) -> Option<Act> + Send + Sync;

impl Adobe {
    /// Starts with a script for everything but token calls.
    pub(crate) fn start(script: impl Fn(&Seen) -> Act + Send + Sync + 'static) -> Self {
        Self::with(Box::new(|_| None), Box::new(script))
    }

    /// Starts with a script that is asked when a request's head is there and its body may not be.
    ///
    /// Where it says `None` the body is read, and the answer is 200.
    pub(crate) fn at_heads(script: impl Fn(&Seen) -> Option<Act> + Send + Sync + 'static) -> Self {
        Self::with(Box::new(script), Box::new(|_| Act::ok()))
    }

    /// Starts with a script for token calls, which is told how many there have been, this one counted.
    pub(crate) fn minting(
        mint: impl Fn(usize, &Seen) -> Act + Send + Sync + 'static,
        script: impl Fn(&Seen) -> Act + Send + Sync + 'static,
    ) -> Self {
        Self::scripted(Scripts {
            at_head: Box::new(|_| None),
            script: Box::new(script),
            mint: Box::new(mint),
        })
    }

    /// Like [`Self::minting`], where someone else has opened the port. It ends when that one is shut down.
    pub(crate) fn minting_on(
        listener: TcpListener,
        mint: impl Fn(usize, &Seen) -> Act + Send + Sync + 'static,
    ) -> Self {
        Self::scripted_on(
            listener,
            Scripts {
                at_head: Box::new(|_| None),
                script: Box::new(|_| Act::ok()),
                mint: Box::new(mint),
            },
        )
    }

    fn with(at_head: Box<HeadScript>, script: Box<Script>) -> Self {
        Self::scripted(Scripts {
            at_head,
            script,
            mint: Box::new(|_, _| Act::token(TOKEN, 86_399)),
        })
    }

    fn scripted(scripts: Scripts) -> Self {
        Self::scripted_on(TcpListener::bind("127.0.0.1:0").unwrap(), scripts)
    }

    fn scripted_on(listener: TcpListener, scripts: Scripts) -> Self {
        let address = listener.local_addr().unwrap();
        let kept = Arc::new(Kept::default());
        let keep = Arc::clone(&kept);
        let scripts = Arc::new(scripts);
        thread::spawn(move || {
            for (connection, stream) in listener.incoming().enumerate() {
                let (scripts, keep) = (Arc::clone(&scripts), Arc::clone(&keep));
                let Ok(stream) = stream else {
                    return;
                };
                thread::spawn(move || {
                    stream.set_nodelay(true).unwrap();
                    converse(&stream, connection, &scripts, &keep);
                });
            }
        });
        Self { address, kept }
    }

    /// Starts with 200 for everything.
    pub(crate) fn willing() -> Self {
        Self::start(|_| Act::ok())
    }

    /// Starts with 200 for everything, and the request's target as the body.
    pub(crate) fn echoing() -> Self {
        Self::start(Act::echo)
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Returns what arrived whole, but for token calls.
    pub(crate) fn seen(&self) -> Vec<Seen> {
        let all = self.kept.seen.lock().unwrap().clone();
        all.into_iter()
            .filter(|seen| !seen.is_token_call())
            .collect()
    }

    /// Returns how many request heads arrived, whether or not a whole request came of them, but for token calls.
    pub(crate) fn heads(&self) -> usize {
        self.kept.heads.load(Ordering::SeqCst)
    }

    pub(crate) fn token_calls(&self) -> Vec<Seen> {
        let all = self.kept.seen.lock().unwrap().clone();
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

fn converse(mut stream: &TcpStream, connection: usize, scripts: &Scripts, keep: &Kept) {
    let mut buffer = Vec::new();
    while let Some(mut seen) = receive_head(stream, &mut buffer, connection) {
        let is_token_call = seen.is_token_call();
        if !is_token_call {
            keep.heads.fetch_add(1, Ordering::SeqCst);
        }
        let early = if is_token_call {
            None
        } else {
            (scripts.at_head)(&seen)
        };
        let act = if let Some(act) = early {
            act
        } else {
            if receive_body(stream, &mut buffer, &mut seen).is_none() {
                return;
            }
            let act = if is_token_call {
                let calls = keep.mints.fetch_add(1, Ordering::SeqCst) + 1;
                (scripts.mint)(calls, &seen)
            } else {
                (scripts.script)(&seen)
            };
            keep.seen.lock().unwrap().push(seen);
            act
        };
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
            Act::Play(play) => {
                return play(&mut Wire {
                    stream,
                    buffer: &mut buffer,
                });
            }
            Act::Reset => {
                // Closing after an abort sends a reset rather than an end.
                let socket = socket2::SockRef::from(stream);
                let _ = socket.set_linger(Some(Duration::ZERO));
                return;
            }
        }
    }
}

/// Reads more, or returns `None` when the other side has gone.
fn more(mut stream: &TcpStream, buffer: &mut Vec<u8>) -> Option<()> {
    let mut piece = [0; 16 * 1024];
    let count = stream.read(&mut piece).unwrap_or(0);
    buffer.extend_from_slice(&piece[..count]);
    (count > 0).then_some(())
}

fn receive_head(stream: &TcpStream, buffer: &mut Vec<u8>, connection: usize) -> Option<Seen> {
    let end = loop {
        match buffer.windows(4).position(|window| window == b"\r\n\r\n") {
            Some(end) => break end,
            None => more(stream, buffer)?,
        }
    };
    // As Latin-1, so that every byte is one character and none is lost.
    let head = buffer.drain(..end + 4).take(end).map(char::from).collect();
    Some(Seen {
        head,
        body: Vec::new(),
        connection,
    })
}

fn receive_body(stream: &TcpStream, buffer: &mut Vec<u8>, seen: &mut Seen) -> Option<()> {
    if seen.values("transfer-encoding") == ["chunked"] {
        loop {
            let line = loop {
                match buffer.windows(2).position(|window| window == b"\r\n") {
                    Some(end) => break buffer.drain(..end + 2).collect::<Vec<_>>(),
                    None => more(stream, buffer)?,
                }
            };
            let size =
                usize::from_str_radix(std::str::from_utf8(&line).unwrap().trim_end(), 16).unwrap();
            while buffer.len() < size + 2 {
                more(stream, buffer)?;
            }
            seen.body.extend(buffer.drain(..size));
            buffer.drain(..2);
            if size == 0 {
                return Some(());
            }
        }
    }
    let length = seen
        .values("content-length")
        .first()
        .map_or(0, |length| length.parse().unwrap());
    while buffer.len() < length {
        more(stream, buffer)?;
    }
    seen.body = buffer.drain(..length).collect();
    Some(())
}
