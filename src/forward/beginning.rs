//! The beginning of an answer's body, read before it is known whether the answer is passed on.

use std::io::Read;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use flate2::read::GzDecoder;
use http::{HeaderMap, HeaderValue, Response, header};
use http_body::Body;
use http_body_util::BodyExt;
use tokio::time::{Instant, timeout_at};

use crate::aep;
use crate::error::{Error, Reason, Source};

/// What has been read of an answer's body.
#[derive(Debug, Default)]
pub(super) struct Beginning {
    /// As it came.
    pub(super) bytes: Bytes,
    /// What it says, if it is there as a whole and can be read: the bytes without their content coding.
    pub(super) text: Option<Bytes>,
    /// The trailers, when they have come.
    pub(super) trailers: Option<HeaderMap>,
    /// How the body broke off, if it did.
    pub(super) broken: Option<Error>,
    pub(super) is_whole: bool,
}

impl Beginning {
    /// Returns the `error_code` of an answer that can be read.
    pub(super) fn code(&self) -> Option<String> {
        aep::error_code(self.text.as_ref()?)
    }

    #[cfg(test)]
    pub(super) fn whole(text: &str) -> Self {
        let bytes = Bytes::copy_from_slice(text.as_bytes());
        Self {
            text: Some(bytes.clone()),
            bytes,
            is_whole: true,
            ..Self::default()
        }
    }
}

/// Takes the beginning of an answer's body: all of it, unless it is longer than an error of Adobe's, or slower.
pub(super) async fn beginning<B>(response: &mut Response<B>, deadline: Instant) -> Beginning
where
    B: Body<Data = Bytes> + Unpin,
    B::Error: Into<Source>,
{
    let mut beginning = Beginning::default();
    if response.body().size_hint().lower() > LONGEST {
        return beginning;
    }
    let coding = response.headers().get(header::CONTENT_ENCODING).cloned();
    let body = response.body_mut();
    let mut is_whole = false;
    let mut bytes = BytesMut::new();
    let deadline = deadline.min(Instant::now() + PATIENCE);
    loop {
        match timeout_at(deadline, body.frame()).await {
            Ok(None) => is_whole = true,
            Ok(Some(Ok(frame))) => match frame.into_data() {
                Ok(data) => {
                    bytes.extend_from_slice(&data);
                    if u64::try_from(bytes.len()).is_ok_and(|length| length <= LONGEST) {
                        continue;
                    }
                }
                Err(frame) => {
                    // Nothing follows trailers.
                    beginning.trailers = frame.into_trailers().ok();
                    is_whole = true;
                }
            },
            Ok(Some(Err(error))) => {
                let detail = "the upstream broke its answer off";
                beginning.broken = Some(Error::new(Reason::UpstreamReset, detail).because(error));
            }
            Err(_) => {}
        }
        beginning.bytes = bytes.freeze();
        beginning.is_whole = is_whole;
        if is_whole {
            beginning.text = decoded(&beginning.bytes, coding.as_ref());
        }
        return beginning;
    }
}

/// Returns what an answer says. Callers choose its content coding, and most of their libraries ask for gzip.
fn decoded(bytes: &Bytes, coding: Option<&HeaderValue>) -> Option<Bytes> {
    if bytes.is_empty() {
        return Some(Bytes::new());
    }
    match coding.map_or(&b"identity"[..], HeaderValue::as_bytes) {
        b"identity" => Some(bytes.clone()),
        b"gzip" | b"x-gzip" => {
            let mut text = Vec::new();
            let unpacked = GzDecoder::new(&bytes[..]).take(LONGEST + 1);
            let length = { unpacked }.read_to_end(&mut text).ok()?;
            // Longer ones are no error answers, and could be much longer.
            u64::try_from(length)
                .is_ok_and(|length| length <= LONGEST)
                .then(|| text.into())
        }
        _ => None,
    }
}

/// How long a body is waited for that may say what is to be done, before what has come of it is passed on.
const PATIENCE: Duration = Duration::from_secs(5);

/// Bytes. Adobe's error answers are a line long.
const LONGEST: u64 = 16 * 1024;

#[cfg(test)]
mod tests {
    use std::io::Write;

    use flate2::Compression;
    use flate2::write::GzEncoder;

    use super::*;

    fn zipped(text: &[u8]) -> Bytes {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
        encoder.write_all(text).unwrap();
        encoder.finish().unwrap().into()
    }

    #[test]
    fn a_coding_hides_no_error_and_no_bomb_is_unpacked() {
        let gzip = HeaderValue::from_static("gzip");
        let text = br#"{"error_code":"401013"}"#;

        assert_eq!(decoded(&zipped(text), Some(&gzip)).unwrap(), &text[..]);
        assert_eq!(decoded(&zipped(text).slice(..10), Some(&gzip)), None);
        assert_eq!(decoded(&zipped(&vec![b' '; 1_000_000]), Some(&gzip)), None);
        assert_eq!(decoded(&Bytes::from_static(text), None).unwrap(), &text[..]);
        let br = HeaderValue::from_static("br");
        assert_eq!(decoded(&Bytes::from_static(text), Some(&br)), None);
    }
}
