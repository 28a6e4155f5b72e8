//! What must not be passed on: malformed, ambiguous and oversize requests, byte by byte.

mod answers;
mod heads;
mod targets;
mod bodies;
mod connections;
mod frames;
mod http2;

use std::net::Shutdown;

use crate::support::adobe::Adobe;
use crate::support::gateway::Gateway;
use crate::support::raw::{Answer, Raw, exchange, get};

const PATH: &str = "/data/core/ups/config/mergePolicies";

/// A gateway before an Adobe that answers with the target it was asked for.
struct Pair {
    adobe: Adobe,
    gateway: Gateway,
    /// How many requests Adobe should have seen.
    due: usize,
}

impl Pair {
    fn new(more: &str) -> Self {
        let adobe = Adobe::echoing();
        let gateway = Gateway::start(&adobe.url(), more);
        Self {
            adobe,
            gateway,
            due: 0,
        }
    }

    /// Sends `bytes`, expects a problem and the connection's end, and that nobody else is any worse for it.
    fn refuses(&mut self, bytes: impl AsRef<[u8]>, status: u16, reason: &str) -> Answer {
        let bytes = bytes.as_ref();
        let (answer, mut raw) = self.answers_with_problem(bytes, status, reason);
        let shown = String::from_utf8_lossy(bytes);
        assert!(raw.is_closed(), "open after {shown:?}");
        answer
    }

    /// Like [`Self::refuses`], for what is malformed or ambiguous.
    fn refuses_as_malformed(&mut self, bytes: impl AsRef<[u8]>) -> Answer {
        self.refuses(bytes, 400, "malformed_request")
    }

    /// Like [`Self::refuses`], where only the request and not the connection is in doubt.
    fn refuses_request(&mut self, bytes: impl AsRef<[u8]>, status: u16, reason: &str) -> Answer {
        self.answers_with_problem(bytes.as_ref(), status, reason).0
    }

    fn answers_with_problem(&mut self, bytes: &[u8], status: u16, reason: &str) -> (Answer, Raw) {
        let shown = String::from_utf8_lossy(&bytes[..bytes.len().min(300)]).into_owned();
        let mut raw = Raw::connect(self.gateway.address);
        raw.write(bytes);
        let answer = raw
            .answer(bytes.starts_with(b"HEAD "))
            .unwrap_or_else(|| panic!("no answer to {shown:?}"));
        assert_eq!(
            answer.problem(),
            (status, reason.to_owned()),
            "{shown:?}: {}",
            answer.text()
        );
        assert_eq!(self.adobe.heads(), self.due, "passed on: {shown:?}");
        self.serves_the_next();
        (answer, raw)
    }

    /// Sends `bytes` and says that no more will come.
    fn send_part(&self, bytes: impl AsRef<[u8]>) -> Raw {
        let mut raw = Raw::connect(self.gateway.address);
        raw.write(bytes);
        raw.socket().shutdown(Shutdown::Write).unwrap();
        raw
    }

    /// A fresh connection gets its own answer.
    fn serves_the_next(&mut self) {
        let target = format!("{PATH}?next={}", self.due);
        let next = exchange(self.gateway.address, get(&target, ""));
        self.due += 1;
        assert_eq!((next.status, next.text()), (200, target));
        assert_eq!(self.adobe.heads(), self.due);
    }
}

fn head(fields: &str) -> String {
    format!("POST {PATH} HTTP/1.1\r\nHost: gateway\r\nContent-Type: text/plain\r\n{fields}\r\n")
}
