//! The beginning of an answer's body, read before it is known whether the answer is passed on.

use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http::{HeaderMap, Response};
use http_body::Body;
use http_body_util::BodyExt;
use tokio::time::{Instant, timeout_at};

use crate::aep;
use crate::error::{Error, Reason, Source};

/// What has been read of an answer's body.
#[derive(Debug, Default)]
pub(super) struct Beginning {
    pub(super) bytes: Bytes,
    /// The trailers, when they have come.
    pub(super) trailers: Option<HeaderMap>,
    /// How the body broke off, if it did.
    pub(super) broken: Option<Error>,
    pub(super) is_whole: bool,
}

impl Beginning {
    /// Returns the `error_code` of an answer that is there as a whole.
    pub(super) fn code(&self) -> Option<String> {
        self.is_whole
            .then(|| aep::error_code(&self.bytes))
            .flatten()
    }

    /// Tells whether the answer is there as a whole and looks like JSON, as those of Adobe's services do.
    pub(super) fn looks_like_json(&self) -> bool {
        let first = self.bytes.trim_ascii_start().first();
        self.is_whole && matches!(first, Some(b'{' | b'['))
    }

    #[cfg(test)]
    pub(super) fn whole(text: &str) -> Self {
        Self {
            bytes: Bytes::copy_from_slice(text.as_bytes()),
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
    let body = response.body_mut();
    let mut bytes = BytesMut::new();
    let deadline = deadline.min(Instant::now() + PATIENCE);
    loop {
        match timeout_at(deadline, body.frame()).await {
            Ok(None) => beginning.is_whole = true,
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
                    beginning.is_whole = true;
                }
            },
            Ok(Some(Err(error))) => {
                let detail = "the upstream broke its answer off";
                beginning.broken = Some(Error::new(Reason::UpstreamReset, detail).because(error));
            }
            Err(_) => {}
        }
        beginning.bytes = bytes.freeze();
        return beginning;
    }
}

/// How long a body is waited for that may say what is to be done, before what has come of it is passed on.
const PATIENCE: Duration = Duration::from_secs(5);

/// Bytes. Adobe's error answers are a line long.
const LONGEST: u64 = 16 * 1024;
