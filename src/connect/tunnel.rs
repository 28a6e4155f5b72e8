//! A way to an origin through an HTTP proxy (CONNECT, RFC 9110 §9.3.6).

use std::io;

use http::StatusCode;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

use super::{Origin, Proxy};
use crate::secret::Secret;

/// Why a proxy gave no way. None of it is the proxy's own words.
#[derive(Debug, thiserror::Error)]
pub(super) enum NoWay {
    #[error("it closed the connection")]
    Closed,
    #[error("{0}")]
    Io(#[from] io::Error),
    #[error("it answered 407: it asks for a login, or for another one than it was given")]
    Login,
    #[error("what it answered is not HTTP")]
    Malformed,
    #[error("it answered {0}")]
    Refused(StatusCode),
    #[error("the head of its answer is larger than 16 KiB")]
    TooLarge,
}

/// Asks the proxy at the other end of `stream` for a way to `origin`, which `stream` is from then on. What comes after the
/// head of the proxy's answer is left in it.
///
/// # Errors
/// [`NoWay`]; nothing has been sent to the origin then.
pub(super) async fn open<S>(stream: &mut S, origin: &Origin, proxy: &Proxy) -> Result<(), NoWay>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let asked = request(origin, proxy.authorization());
    stream.write_all(asked.expose().as_bytes()).await?;
    stream.flush().await?;
    let head = head(stream).await?;
    match status(&head)? {
        status if status.is_success() => Ok(()),
        StatusCode::PROXY_AUTHENTICATION_REQUIRED => Err(NoWay::Login),
        status => Err(NoWay::Refused(status)),
    }
}

/// Writes the request. It is a secret since the login is in it.
fn request(origin: &Origin, authorization: Option<&Secret>) -> Secret {
    let (host, port) = (origin.host(), origin.port());
    let place = if host.contains(':') {
        format!("[{host}]:{port}")
    } else {
        format!("{host}:{port}")
    };
    let login = authorization.map(|login| {
        let login = login.expose();
        Secret::new(format!("Proxy-Authorization: {login}\r\n"))
    });
    let login = login.as_ref().map_or("", Secret::expose);
    Secret::new(format!(
        "CONNECT {place} HTTP/1.1\r\nHost: {place}\r\n{login}\r\n"
    ))
}

/// Reads up to the empty line and not a byte more, since what follows is the origin's.
async fn head<S: AsyncRead + Unpin>(stream: &mut S) -> Result<Vec<u8>, NoWay> {
    let mut head = Vec::with_capacity(512);
    loop {
        // As many bytes as are missing at least.
        let missing = END.len() - begun(&head);
        if missing == 0 {
            return Ok(head);
        }
        if head.len() + missing > MOST_HEAD {
            return Err(NoWay::TooLarge);
        }
        let mut piece = [0; END.len()];
        let room = piece.get_mut(..missing).unwrap_or_default();
        let count = stream.read(room).await?;
        if count == 0 {
            return Err(NoWay::Closed);
        }
        head.extend(piece.iter().take(count));
    }
}

/// Returns how many bytes of the empty line `head` ends with.
fn begun(head: &[u8]) -> usize {
    let ends = |count: &usize| END.get(..*count).is_some_and(|part| head.ends_with(part));
    (0..=END.len()).rev().find(ends).unwrap_or_default()
}

fn status(head: &[u8]) -> Result<StatusCode, NoWay> {
    let mut fields = [httparse::EMPTY_HEADER; MOST_FIELDS];
    let mut answer = httparse::Response::new(&mut fields);
    match answer.parse(head) {
        Ok(httparse::Status::Complete(length)) if length == head.len() => {}
        Ok(_) | Err(_) => return Err(NoWay::Malformed),
    }
    let code = answer.code.ok_or(NoWay::Malformed)?;
    StatusCode::from_u16(code).map_err(|_| NoWay::Malformed)
}

const END: &[u8; 4] = b"\r\n\r\n";

/// Bytes.
const MOST_HEAD: usize = 16 * 1024;
const MOST_FIELDS: usize = 100;

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::io::duplex;
    use tokio::time::timeout;

    use super::*;

    /// Opens a way through a proxy that answers with these pieces. Returns what came of it, what the proxy was asked, and
    /// what was left in the stream.
    async fn opened(
        origin: &str,
        proxy: &str,
        answer: &[&[u8]],
    ) -> (Result<(), NoWay>, String, Vec<u8>) {
        let (mut ours, mut theirs) = duplex(64 * 1024);
        let (origin, proxy) = (origin.parse().unwrap(), proxy.parse().unwrap());
        let play = async {
            let mut asked = Vec::new();
            while !asked.ends_with(END) {
                asked.push(theirs.read_u8().await.unwrap());
            }
            for piece in answer {
                theirs.write_all(piece).await.unwrap();
                tokio::task::yield_now().await;
            }
            drop(theirs);
            asked
        };
        let opening = async {
            let result = open(&mut ours, &origin, &proxy).await;
            let mut left = Vec::new();
            let reading = ours.read_to_end(&mut left);
            timeout(Duration::from_secs(1), reading)
                .await
                .unwrap()
                .unwrap();
            (result, left)
        };
        let ((result, left), asked) = tokio::join!(opening, play);
        (result, String::from_utf8(asked).unwrap(), left)
    }

    #[tokio::test(start_paused = true)]
    async fn a_proxy_is_asked_for_the_origin_and_nothing_else() {
        for (origin, proxy, expected) in [
            (
                "https://platform.adobe.io",
                "http://proxy:3128",
                "CONNECT platform.adobe.io:443 HTTP/1.1\r\nHost: platform.adobe.io:443\r\n\r\n",
            ),
            (
                "http://[2001:db8::1]",
                "http://proxy:3128",
                "CONNECT [2001:db8::1]:80 HTTP/1.1\r\nHost: [2001:db8::1]:80\r\n\r\n",
            ),
            (
                "https://platform.adobe.io:8443",
                "http://user:pass@proxy:3128",
                "CONNECT platform.adobe.io:8443 HTTP/1.1\r\nHost: platform.adobe.io:8443\r\n\
                 Proxy-Authorization: Basic dXNlcjpwYXNz\r\n\r\n",
            ),
        ] {
            let answer = b"HTTP/1.1 200 Connection established\r\n\r\n";
            let (result, asked, left) = opened(origin, proxy, &[answer]).await;

            assert!(result.is_ok(), "{result:?}");
            assert_eq!((asked.as_str(), left.len()), (expected, 0));
        }
    }

    #[tokio::test(start_paused = true)]
    async fn what_follows_the_head_belongs_to_the_origin() {
        for answer in [
            &[&b"HTTP/1.1 200 OK\r\n\r\nfirst\r\n\r\n"[..]][..],
            &[b"HTTP/1.0 200\r\n", b"a: b\r", b"\n\r\nfirst", b"\r\n\r\n"],
            // They mean nothing here (RFC 9110 §9.3.6).
            &[b"HTTP/1.1 204 Fine\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\nfirst\r\n\r\n"],
        ] {
            let (result, _, left) = opened("https://a.example", "http://proxy", answer).await;

            assert!(result.is_ok(), "{result:?}");
            assert_eq!(left, b"first\r\n\r\n");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn whatever_is_no_2xx_is_told() {
        let large = format!("HTTP/1.1 200 OK\r\nx: {}\r\n\r\n", "x".repeat(MOST_HEAD));
        let many = format!("HTTP/1.1 200 OK\r\n{}\r\n", "x: y\r\n".repeat(101));
        for (answer, expected) in [
            (
                "HTTP/1.1 407 Proxy Authentication Required\r\nProxy-Authenticate: Basic\r\n\r\n",
                "it answered 407: it asks for a login, or for another one than it was given",
            ),
            (
                "HTTP/1.1 403 Forbidden\r\n\r\n",
                "it answered 403 Forbidden",
            ),
            (
                "HTTP/1.1 302 Found\r\nLocation: http://a/\r\n\r\n",
                "it answered 302 Found",
            ),
            ("HTTP/1.1 100 Continue\r\n\r\n", "it answered 100 Continue"),
            (
                "HTTP/1.1 502 s3cret words\r\n\r\n",
                "it answered 502 Bad Gateway",
            ),
            ("HTTP/2 200\r\n\r\n", "what it answered is not HTTP"),
            (
                "SSH-2.0-OpenSSH_9.2\r\n\r\n",
                "what it answered is not HTTP",
            ),
            (
                "HTTP/1.1 200 OK\r\nno field\r\n\r\n",
                "what it answered is not HTTP",
            ),
            ("HTTP/1.1 099 OK\r\n\r\n", "what it answered is not HTTP"),
            (
                "HTTP/1.1 200 OK\r\nx: \r\r\n\r\n",
                "what it answered is not HTTP",
            ),
            (many.as_str(), "what it answered is not HTTP"),
            (
                large.as_str(),
                "the head of its answer is larger than 16 KiB",
            ),
            ("HTTP/1.1 200 OK\r\n", "it closed the connection"),
            ("", "it closed the connection"),
        ] {
            let (result, ..) =
                opened("https://a.example", "http://proxy", &[answer.as_bytes()]).await;

            assert_eq!(result.unwrap_err().to_string(), expected, "{answer}");
        }
    }
}
