//! That a caller is not known, and what it is told.

use http::{HeaderValue, header};

use crate::context::Accepts;
use crate::error::{Error, Reason};
use crate::issuers::Refusal;

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
    #[error("the field for tokens holds something else")]
    Scheme,
    #[error("what was shown belongs to different callers")]
    Several,
    #[error("the token is good, and of nobody who is known here")]
    Subject,
    #[error(transparent)]
    Token(#[from] Refusal),
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
            (_, Some(counts)) => {
                format!(
                    "what the request shows of its caller is not accepted here; what can be is {counts}; the gateway's operator finds why by the request id"
                )
            }
        };
        let error = Error::new(Reason::CallerUnknown, detail)
            .because(self)
            .caused_by(self.word());
        match self.challenge(accepts) {
            Some(challenge) => error.with_field(header::WWW_AUTHENTICATE, challenge),
            None => error,
        }
    }

    /// Returns the word that access lines and the audit use. The README lists all.
    fn word(self) -> &'static str {
        match self {
            Self::ApiKey => "api_key_unknown",
            Self::Expired => "certificate_expired",
            Self::Nothing => "nothing_shown",
            Self::Repeated => "proof_repeated",
            Self::Scheme => "no_bearer_token",
            Self::Several => "callers_differ",
            Self::Subject => "subject_unknown",
            Self::Token(refusal) => refusal.word(),
        }
    }

    /// Returns what RFC 9110 §15.5.2 asks for. There is no registered scheme for a key in a field of its own.
    fn challenge(self, accepts: &Accepts) -> Option<HeaderValue> {
        let token = accepts.workload_token.as_ref().map(|_| match self {
            // RFC 6750 §3.1
            Self::Subject | Self::Token(_) => {
                "Bearer realm=\"profile-gateway\", error=\"invalid_token\"".to_owned()
            }
            Self::ApiKey
            | Self::Expired
            | Self::Nothing
            | Self::Repeated
            | Self::Scheme
            | Self::Several => "Bearer realm=\"profile-gateway\"".to_owned(),
        });
        let key = accepts.api_key.as_ref();
        let key = key.map(|field| format!("ApiKey realm=\"profile-gateway\", header=\"{field}\""));
        let all: Vec<_> = token.into_iter().chain(key).collect();
        (!all.is_empty())
            .then(|| HeaderValue::from_str(&all.join(", ")).ok())
            .flatten()
    }
}

/// Says what counts at a listener of what a caller can show.
fn counts(accepts: &Accepts) -> Option<String> {
    let key = accepts.api_key.as_ref();
    let key = key.map(|field| format!("an API key in {field}"));
    let token = accepts.workload_token.as_ref();
    let token = token.map(|field| {
        if *field == header::AUTHORIZATION {
            "a workload token in authorization, after Bearer".to_owned()
        } else {
            format!("a workload token in {field}")
        }
    });
    let certificate = accepts
        .client_certificate
        .then(|| "a client certificate".to_owned());
    let all = token.into_iter().chain(certificate).chain(key);
    let all: Vec<_> = all.collect();
    (!all.is_empty()).then(|| all.join(", or "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_readme_has_a_word_for_each_cause_and_no_two_are_alike() {
        let others = [
            Unknown::ApiKey,
            Unknown::Expired,
            Unknown::Nothing,
            Unknown::Repeated,
            Unknown::Scheme,
            Unknown::Several,
            Unknown::Subject,
        ];
        let of_tokens = Refusal::samples().into_iter().map(Unknown::Token);
        let mut words: Vec<_> = others
            .into_iter()
            .chain(of_tokens)
            .map(Unknown::word)
            .collect();

        let readme = include_str!("../../README.md");
        for word in &words {
            assert!(readme.contains(&format!("| `{word}` |")), "{word}");
        }
        let all = words.len();
        words.sort_unstable();
        words.dedup();
        assert_eq!(words.len(), all);
    }
}
