//! HTTP/2 frames made by hand, and a caller who sends any of them (RFC 9113 §4, §6; RFC 7541 §6).

use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::time::Duration;

/// The kinds of frames.
pub(crate) const DATA: u8 = 0x0;
pub(crate) const HEADERS: u8 = 0x1;
pub(crate) const PRIORITY: u8 = 0x2;
pub(crate) const RST_STREAM: u8 = 0x3;
pub(crate) const SETTINGS: u8 = 0x4;
pub(crate) const PUSH_PROMISE: u8 = 0x5;
pub(crate) const PING: u8 = 0x6;
pub(crate) const GOAWAY: u8 = 0x7;
pub(crate) const WINDOW_UPDATE: u8 = 0x8;
pub(crate) const CONTINUATION: u8 = 0x9;

/// Their flags.
pub(crate) const END_STREAM: u8 = 0x1;
pub(crate) const ACK: u8 = 0x1;
pub(crate) const END_HEADERS: u8 = 0x4;
pub(crate) const PADDED: u8 = 0x8;

pub(crate) const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// Makes a frame.
pub(crate) fn frame(kind: u8, flags: u8, stream: u32, payload: impl AsRef<[u8]>) -> Vec<u8> {
    let payload = payload.as_ref();
    let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
    let mut frame = length[1..].to_vec();
    frame.extend([kind, flags]);
    frame.extend(stream.to_be_bytes());
    frame.extend(payload);
    frame
}

/// Makes a SETTINGS frame of one setting.
pub(crate) fn setting(id: u16, value: u32) -> Vec<u8> {
    let payload = [&id.to_be_bytes()[..], &value.to_be_bytes()[..]].concat();
    frame(SETTINGS, 0, 0, payload)
}

/// Makes a field that is not put into the table, in plain letters.
pub(crate) fn field(name: &str, value: &str) -> Vec<u8> {
    [vec![0x00], text(name), text(value)].concat()
}

/// Makes a field that is put into the table.
pub(crate) fn kept(name: &str, value: &str) -> Vec<u8> {
    [vec![0x40], text(name), text(value)].concat()
}

/// Makes a block of such fields.
pub(crate) fn block(fields: &[(&str, &str)]) -> Vec<u8> {
    fields
        .iter()
        .flat_map(|(name, value)| field(name, value))
        .collect()
}

/// Makes the block of a GET of `path`, with more fields.
pub(crate) fn get_block(path: &str, fields: &[(&str, &str)]) -> Vec<u8> {
    let own = [
        (":method", "GET"),
        (":scheme", "http"),
        (":path", path),
        (":authority", "gateway"),
    ];
    block(&[&own[..], fields].concat())
}

fn text(text: &str) -> Vec<u8> {
    let mut left = text.len();
    let mut bytes = Vec::new();
    if left < 127 {
        bytes.push(u8::try_from(left).unwrap());
    } else {
        bytes.push(127);
        left -= 127;
        while left >= 128 {
            bytes.push(u8::try_from(left % 128).unwrap() | 0x80);
            left /= 128;
        }
        bytes.push(u8::try_from(left).unwrap());
    }
    bytes.extend(text.as_bytes());
    bytes
}

/// A frame that was received.
#[derive(Debug)]
pub(crate) struct Frame {
    pub(crate) kind: u8,
    pub(crate) flags: u8,
    pub(crate) stream: u32,
    pub(crate) payload: Vec<u8>,
}

/// What became of a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Fate {
    /// It was answered with 200 and this body.
    Served(String),
    /// It was answered with something else, and this body.
    Refused(String),
    /// Its stream was reset with this code.
    Reset(u32),
    /// The connection ended, after a GOAWAY with this code, or without a word.
    Ended(Option<u32>),
}

/// A connection that frames are written to and read from.
pub(crate) struct Frames {
    stream: TcpStream,
    buffer: Vec<u8>,
}

impl Frames {
    /// Connects, and sends the preface and no settings.
    pub(crate) fn open(address: SocketAddr) -> Self {
        let mut frames = Self::connect(address);
        frames.write([PREFACE, &frame(SETTINGS, 0, 0, [])].concat());
        frames
    }

    /// Connects, and says nothing.
    pub(crate) fn connect(address: SocketAddr) -> Self {
        let stream = TcpStream::connect(address).unwrap();
        // No test waits this long unless it has failed.
        let patience = Some(Duration::from_secs(20));
        stream.set_read_timeout(patience).unwrap();
        stream.set_write_timeout(patience).unwrap();
        stream.set_nodelay(true).unwrap();
        Self {
            stream,
            buffer: Vec::new(),
        }
    }

    /// Writes, and tells whether the other side still takes it.
    pub(crate) fn write(&mut self, bytes: impl AsRef<[u8]>) -> bool {
        self.stream.write_all(bytes.as_ref()).is_ok()
    }

    /// Gives up writing after so long.
    pub(crate) fn write_for(&self, patience: Duration) {
        self.stream.set_write_timeout(Some(patience)).unwrap();
    }

    /// Says that no more frames will come.
    pub(crate) fn finish(&self) {
        let _ = self.stream.shutdown(Shutdown::Write);
    }

    /// Reads the next frame, or returns `None` at the end of the connection.
    pub(crate) fn read(&mut self) -> Option<Frame> {
        while self.buffer.len() < 9 {
            self.more()?;
        }
        let length = u32::from_be_bytes([0, self.buffer[0], self.buffer[1], self.buffer[2]]);
        let length = usize::try_from(length).unwrap();
        while self.buffer.len() < 9 + length {
            self.more()?;
        }
        let head: Vec<u8> = self.buffer.drain(..9).collect();
        Some(Frame {
            kind: head[3],
            flags: head[4],
            stream: u32::from_be_bytes(head[5..9].try_into().unwrap()),
            payload: self.buffer.drain(..length).collect(),
        })
    }

    /// Reads on until it is known what became of the request of `stream`.
    pub(crate) fn fate(&mut self, stream: u32) -> Fate {
        let (mut body, mut well) = (Vec::new(), false);
        let mut ended = None;
        while let Some(frame) = self.read() {
            match frame.kind {
                // Who does not answer looks like one who has gone.
                PING if frame.flags & ACK == 0 => {
                    self.write(self::frame(PING, ACK, 0, &frame.payload));
                }
                GOAWAY => ended = Some(code(&frame.payload[4..])),
                RST_STREAM if frame.stream == stream => return Fate::Reset(code(&frame.payload)),
                // The first field is the status, which has a place in the static table when it is 200.
                HEADERS if frame.stream == stream => well |= frame.payload.first() == Some(&0x88),
                DATA if frame.stream == stream => body.extend(&frame.payload),
                _ => {}
            }
            let whole = matches!(frame.kind, HEADERS | DATA) && frame.flags & END_STREAM != 0;
            if whole && frame.stream == stream {
                let body = String::from_utf8_lossy(&body).into_owned();
                return if well {
                    Fate::Served(body)
                } else {
                    Fate::Refused(body)
                };
            }
        }
        Fate::Ended(ended)
    }

    /// Reads on to the end of the connection, and returns the code of the GOAWAY before it; `None` without one.
    pub(crate) fn end(&mut self) -> Option<u32> {
        match self.fate(u32::MAX) {
            Fate::Ended(code) => code,
            other @ (Fate::Served(_) | Fate::Refused(_) | Fate::Reset(_)) => {
                panic!("a stream that there was not: {other:?}")
            }
        }
    }

    fn more(&mut self) -> Option<()> {
        let mut piece = [0; 16 * 1024];
        let count = match self.stream.read(&mut piece) {
            Ok(count) => count,
            Err(error) => {
                let late = matches!(
                    error.kind(),
                    std::io::ErrorKind::WouldBlock | std::io::ErrorKind::TimedOut
                );
                assert!(!late, "nothing came and the connection did not end");
                0
            }
        };
        self.buffer.extend_from_slice(&piece[..count]);
        (count > 0).then_some(())
    }
}

fn code(bytes: &[u8]) -> u32 {
    u32::from_be_bytes(bytes[..4].try_into().unwrap())
}
