//! A caller on a plain socket, who sends any bytes and sees the answer's.

use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

/// A connection that bytes are written to and answers are read from.
pub(crate) struct Raw<S = TcpStream> {
    stream: S,
    buffer: Vec<u8>,
}

/// No test waits this long unless it has failed.
const PATIENCE: Duration = Duration::from_secs(20);

/// One answer.
#[derive(Clone, Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    /// The head without the empty line.
    pub(crate) head: String,
    /// The body, without chunk framing, as far as it came.
    pub(crate) body: Vec<u8>,
    /// Whether the body ended as its framing says.
    pub(crate) complete: bool,
}

impl Raw {
    pub(crate) fn connect(address: SocketAddr) -> Self {
        let stream = TcpStream::connect(address).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream.set_nodelay(true).unwrap();
        Self::over(stream)
    }

    /// Writes a byte and waits a little, and tells whether the other side is still there.
    pub(crate) fn drips(&mut self) -> bool {
        let moment = Some(Duration::from_millis(20));
        self.stream.set_read_timeout(moment).unwrap();
        self.stream.write_all(b"x").is_ok()
            && match self.stream.read(&mut [0]) {
                Ok(count) => count > 0,
                Err(error) => matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut),
            }
    }

    /// Returns the socket, for what only a socket can do.
    pub(crate) fn socket(&self) -> &TcpStream {
        &self.stream
    }
}

impl<S: Read + Write> Raw<S> {
    /// Speaks over another kind of connection.
    pub(crate) fn over(stream: S) -> Self {
        Self {
            stream,
            buffer: Vec::new(),
        }
    }

    /// Writes, whether or not the other side still reads.
    pub(crate) fn write(&mut self, bytes: impl AsRef<[u8]>) {
        let _ = self.stream.write_all(bytes.as_ref());
    }

    /// Reads one final answer, passing over 1xx ones; `head_only` for the answer to a HEAD.
    pub(crate) fn answer(&mut self, head_only: bool) -> Option<Answer> {
        loop {
            let mut answer = self.head()?;
            if answer.status >= 200 {
                if !head_only && !matches!(answer.status, 204 | 304) {
                    self.body(&mut answer);
                }
                return Some(answer);
            }
        }
    }

    /// Reads the next head, be it of a 1xx answer or of a final one, and leaves the body unread.
    pub(crate) fn next_head(&mut self) -> Option<Answer> {
        self.head()
    }

    /// Reads until `part` has come, and tells whether it has.
    pub(crate) fn read_until(&mut self, part: &[u8]) -> bool {
        loop {
            if self.buffer.windows(part.len()).any(|window| window == part) {
                return true;
            }
            if self.more().is_none() {
                return false;
            }
        }
    }

    /// Tells whether the other side has closed and nothing more came.
    pub(crate) fn is_closed(&mut self) -> bool {
        self.buffer.is_empty() && self.more().is_none()
    }

    fn more(&mut self) -> Option<()> {
        let mut piece = [0; 16 * 1024];
        let count = match self.stream.read(&mut piece) {
            Ok(count) => count,
            Err(error) if error.kind() == ErrorKind::WouldBlock => {
                panic!("nothing came for {PATIENCE:?}")
            }
            // It was reset.
            Err(_) => 0,
        };
        self.buffer.extend_from_slice(&piece[..count]);
        (count > 0).then_some(())
    }

    fn head(&mut self) -> Option<Answer> {
        let end = loop {
            match self
                .buffer
                .windows(4)
                .position(|window| window == b"\r\n\r\n")
            {
                Some(end) => break end,
                None => self.more()?,
            }
        };
        // As Latin-1, so that every byte is one character and none is lost.
        let head: String = self
            .buffer
            .drain(..end + 4)
            .take(end)
            .map(char::from)
            .collect();
        let status = head.split(' ').nth(1).unwrap().parse().unwrap();
        Some(Answer {
            status,
            head,
            body: Vec::new(),
            complete: true,
        })
    }

    fn body(&mut self, answer: &mut Answer) {
        if answer.header("transfer-encoding") == Some("chunked") {
            loop {
                let Some(end) = self.buffer.windows(2).position(|window| window == b"\r\n") else {
                    if self.more().is_none() {
                        answer.complete = false;
                        return;
                    }
                    continue;
                };
                let line = String::from_utf8(self.buffer[..end].to_vec()).unwrap();
                let size = usize::from_str_radix(&line, 16).unwrap();
                while self.buffer.len() < end + 2 + size + 2 {
                    if self.more().is_none() {
                        answer.complete = false;
                        return;
                    }
                }
                self.buffer.drain(..end + 2);
                answer.body.extend(self.buffer.drain(..size));
                self.buffer.drain(..2);
                if size == 0 {
                    return;
                }
            }
        }
        let length = answer
            .header("content-length")
            .map(|length| length.parse::<usize>().unwrap());
        while length.is_none_or(|length| self.buffer.len() < length) {
            if self.more().is_none() {
                answer.complete = length.is_none();
                answer.body = std::mem::take(&mut self.buffer);
                return;
            }
        }
        answer.body = self.buffer.drain(..length.unwrap()).collect();
    }
}

impl Answer {
    /// Returns the first value of a field.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.head.split("\r\n").skip(1).find_map(|line| {
            let (field, value) = line.split_once(':')?;
            field.eq_ignore_ascii_case(name).then(|| value.trim())
        })
    }

    pub(crate) fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|_| panic!("not JSON: {}", self.text()))
    }

    /// Returns all values of a field, in order.
    pub(crate) fn values(&self, name: &str) -> Vec<&str> {
        self.head
            .split("\r\n")
            .skip(1)
            .filter_map(|line| line.split_once(':'))
            .filter(|(field, _)| field.eq_ignore_ascii_case(name))
            .map(|(_, value)| value.trim())
            .collect()
    }

    /// Checks that this is a problem with all that belongs to one, and returns its status and reason.
    pub(crate) fn problem(&self) -> (u16, String) {
        let reason = self.reason();
        let length = self.body.len().to_string();
        assert_eq!(self.header("content-length"), Some(length.as_str()));
        assert_eq!(self.json()["status"], self.status, "{}", self.text());
        let named = self.values("proxy-status");
        let details = format!("details=\"{reason}\"");
        assert!(
            named.len() == 1
                && named[0].starts_with("profile-gateway; error=")
                && named[0].ends_with(&details),
            "{}",
            self.head
        );
        assert!(self.header("x-request-id").is_some(), "{}", self.head);
        (self.status, reason)
    }

    /// Returns the `reason` of a problem.
    pub(crate) fn reason(&self) -> String {
        assert_eq!(
            self.header("content-type"),
            Some("application/problem+json"),
            "{}",
            self.head
        );
        self.json()["reason"].as_str().unwrap().to_owned()
    }

    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }
}

/// Sends one request on a connection of its own and returns the answer.
pub(crate) fn exchange(address: SocketAddr, request: impl AsRef<[u8]>) -> Answer {
    let mut raw = Raw::connect(address);
    raw.write(request);
    raw.answer(false).expect("an answer")
}

/// Makes a GET of `target` with more fields, each line ended by CR LF.
pub(crate) fn get(target: &str, fields: &str) -> String {
    format!("GET {target} HTTP/1.1\r\nHost: gateway\r\n{fields}\r\n")
}

/// Makes a request with a JSON body.
pub(crate) fn send(method: &str, target: &str, fields: &str, body: &str) -> String {
    let length = body.len();
    format!(
        "{method} {target} HTTP/1.1\r\nHost: gateway\r\nContent-Type: application/json\r\n\
         Content-Length: {length}\r\n{fields}\r\n{body}"
    )
}
