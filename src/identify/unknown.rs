//! That a caller is not known, and what it is told.

use http::{HeaderValue, header};

use crate::context::Accepts;
use crate::error::{Error, Reason};

/// Why a caller is not known, for the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum Unknown {
    #[error("no caller has the API key that was shown")]
    ApiKey,
    #[error("the certificate that was shown in the handshake has expired since")]
    Expired,
    #[error("nothing was shown")]
    Nothing,
    #[error("more than one proof of a kind was shown")]
    Repeated,
    #[error("what was shown belongs to different callers")]
    Several,
}

impl Unknown {
    /// Says it to the caller: what would count, and not what is wrong with what was shown.
    pub(super) fn told(self, accepts: &Accepts) -> Error {
        let detail = match (self, counts(accepts)) {
            (_, None) => "this listener serves no anonymous callers".to_owned(),
            (Self::Nothing, Some(counts)) => format!("show who calls: {counts}"),
            (Self::Repeated, Some(counts)) => {
                format!("show who calls once, and no more; what counts is {counts}")
            }
            (Self::ApiKey | Self::Expired | Self::Several, Some(counts)) => {
                format!(
                    "what the request shows of its caller does not count here; what does is {counts}"
                )
            }
        };
        let error = Error::new(Reason::CallerUnknown, detail).because(self);
        match &accepts.api_key {
            None => error,
            Some(field) => {
                // RFC 9110 §15.5.2 asks for one. There is no registered scheme for a key in a field of its own.
                let challenge = format!("ApiKey realm=\"profile-gateway\", header=\"{field}\"");
                match HeaderValue::from_str(&challenge) {
                    Ok(value) => error.with_field(header::WWW_AUTHENTICATE, value),
                    Err(_) => error,
                }
            }
        }
    }
}

/// Says what counts at a listener of what a caller can show.
fn counts(accepts: &Accepts) -> Option<String> {
    let key = accepts.api_key.as_ref();
    let key = key.map(|field| format!("an API key in {field}"));
    let certificate = accepts
        .client_certificate
        .then(|| "a client certificate".to_owned());
    let all: Vec<_> = certificate.into_iter().chain(key).collect();
    (!all.is_empty()).then(|| all.join(", or "))
}
