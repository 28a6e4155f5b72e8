//! Everything that can go wrong with a request, with the one table that says what it means.

use std::borrow::Cow;
use std::fmt;
use std::time::Duration;

use http::{HeaderValue, StatusCode};

/// Whose doing a failure is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Side {
    /// The program that called the gateway.
    Caller,
    /// The gateway itself, or its configuration.
    Gateway,
    /// Adobe's token service.
    Ims,
    /// Adobe's platform, or the way to it.
    Upstream,
}

impl Side {
    /// Returns the word that problems, logs and metrics use.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Caller => "caller",
            Self::Gateway => "gateway",
            Self::Ims => "ims",
            Self::Upstream => "upstream",
        }
    }
}

/// Whether sending the same request again can help.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Retry {
    /// It can, after a pause: nothing was executed.
    Later,
    /// It cannot: the request or the configuration has to change first.
    Never,
    /// It may have been executed: only a request that is safe to repeat should be.
    Unsure,
}

impl Retry {
    /// Returns the word that problems use.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Later => "later",
            Self::Never => "never",
            Self::Unsure => "if_repeatable",
        }
    }
}

/// What a [`Reason`] means to callers, logs and metrics.
#[derive(Debug)]
pub struct Meaning {
    /// The public code, stable across releases.
    pub code: &'static str,
    /// The status the caller gets.
    pub status: StatusCode,
    /// Who has to act.
    pub side: Side,
    /// Whether a retry can help.
    pub retry: Retry,
    /// The error type of RFC 9209 §2.3 for the `Proxy-Status` field.
    pub proxy_error: &'static str,
    /// One short sentence, the same every time.
    pub title: &'static str,
}

macro_rules! reasons {
    ($($(#[$doc:meta])* $variant:ident = $code:literal, $status:ident, $side:ident, $retry:ident, $proxy:literal, $title:literal;)*) => {
        /// Why a request was not answered by Adobe.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub enum Reason { $($(#[$doc])* $variant,)* }

        impl Reason {
            /// All reasons, in the order of the table.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)*];

            /// Returns what the reason means.
            pub fn meaning(self) -> &'static Meaning {
                match self {
                    $(Self::$variant => {
                        static MEANING: Meaning = Meaning {
                            code: $code,
                            status: StatusCode::$status,
                            side: Side::$side,
                            retry: Retry::$retry,
                            proxy_error: $proxy,
                            title: $title,
                        };
                        &MEANING
                    })*
                }
            }

            /// Returns the reason's place in [`Reason::ALL`].
            pub fn index(self) -> usize {
                Self::ALL.iter().position(|reason| *reason == self).unwrap_or_default()
            }
        }
    };
}

reasons! {
    /// The request body stopped, broke its framing or was cut short.
    BodyBroken = "body_broken", BAD_REQUEST, Caller, Never, "http_request_error",
        "The request body broke off or broke its framing.";
    /// The listener lets nobody in who has not shown who they are.
    CallerUnknown = "caller_unknown", UNAUTHORIZED, Caller, Never, "http_request_denied",
        "The gateway does not know who is calling.";
    /// All connections to the upstream are in use, and the request could not wait, or not any longer.
    ConnectionsBusy = "connections_busy", SERVICE_UNAVAILABLE, Gateway, Later, "connection_limit_reached",
        "No connection to the upstream was free.";
    /// A payload came without `Content-Type`.
    ContentTypeRequired = "content_type_required", BAD_REQUEST, Caller, Never, "http_request_error",
        "A request with a payload needs a Content-Type.";
    /// An expectation other than `100-continue`.
    ExpectationFailed = "expectation_failed", EXPECTATION_FAILED, Caller, Never, "http_request_error",
        "The gateway meets no expectation but 100-continue.";
    /// The request head is larger than the listener allows.
    HeadTooLarge = "head_too_large", REQUEST_HEADER_FIELDS_TOO_LARGE, Caller, Never, "http_request_error",
        "The request head is larger than the gateway accepts.";
    /// A fault of the gateway's own.
    Internal = "internal", INTERNAL_SERVER_ERROR, Gateway, Unsure, "proxy_internal_error",
        "The gateway failed.";
    /// There are no keys that the token of the caller could be verified with.
    KeysUnavailable = "keys_unavailable", SERVICE_UNAVAILABLE, Gateway, Later, "proxy_internal_response",
        "The gateway has no keys to verify the token with.";
    /// The request has come through the gateway several times already.
    LoopDetected = "loop_detected", LOOP_DETECTED, Gateway, Never, "proxy_loop_detected",
        "The gateway is its own upstream.";
    /// The request is not valid or not unambiguous HTTP.
    MalformedRequest = "malformed_request", BAD_REQUEST, Caller, Never, "http_request_error",
        "The request is malformed or ambiguous.";
    /// The path is routed, but not for this method.
    MethodNotRouted = "method_not_routed", METHOD_NOT_ALLOWED, Caller, Never, "http_request_denied",
        "No route takes this method on this path.";
    /// No route takes the path.
    NoRoute = "no_route", NOT_FOUND, Caller, Never, "destination_not_found",
        "No route takes this path.";
    /// The route is not for the caller, or does not permit it operations of this kind.
    NotGranted = "not_granted", FORBIDDEN, Caller, Never, "http_request_denied",
        "This is not granted to the caller.";
    /// Too many requests are in flight.
    Overloaded = "overloaded", SERVICE_UNAVAILABLE, Gateway, Later, "connection_limit_reached",
        "The gateway has too many requests in flight.";
    /// The operation changes a production sandbox, which the route does not permit.
    ProductionReadOnly = "production_read_only", FORBIDDEN, Caller, Never, "http_request_denied",
        "The route permits only reads in a production sandbox.";
    /// A limit of the route or the credential is spent.
    Quota = "quota", TOO_MANY_REQUESTS, Caller, Later, "http_request_denied",
        "The quota is spent.";
    /// The caller took too long to send its request.
    RequestTimeout = "request_timeout", REQUEST_TIMEOUT, Caller, Later, "http_request_error",
        "The request did not arrive in time.";
    /// The request names, or leads to, a sandbox that is not the caller's to work in.
    SandboxNotAllowed = "sandbox_not_allowed", FORBIDDEN, Caller, Never, "http_request_denied",
        "The caller may not work in this sandbox.";
    /// The request target is longer than the gateway accepts.
    TargetTooLong = "target_too_long", URI_TOO_LONG, Caller, Never, "http_request_error",
        "The request target is longer than the gateway accepts.";
    /// There is no valid token and none could be had in time.
    TokenUnavailable = "token_unavailable", SERVICE_UNAVAILABLE, Ims, Later, "proxy_internal_response",
        "No valid access token could be had.";
    /// The request body is larger than the listener allows.
    TooLarge = "too_large", PAYLOAD_TOO_LARGE, Caller, Never, "http_request_error",
        "The request body is larger than the gateway accepts.";
    /// No connection to the upstream could be made.
    UpstreamConnect = "upstream_connect", BAD_GATEWAY, Upstream, Later, "destination_unavailable",
        "The upstream could not be reached.";
    /// The upstream fails, and is called only once in a while.
    UpstreamFailing = "upstream_failing", SERVICE_UNAVAILABLE, Upstream, Later, "destination_unavailable",
        "The upstream fails and is called only once in a while.";
    /// The upstream's name could not be resolved.
    UpstreamName = "upstream_name", BAD_GATEWAY, Upstream, Later, "dns_error",
        "The upstream's name could not be resolved.";
    /// The upstream asked for a pause, which is not over.
    UpstreamPaused = "upstream_paused", TOO_MANY_REQUESTS, Upstream, Later, "http_request_denied",
        "The upstream asked for a pause.";
    /// The upstream's answer was not valid HTTP.
    UpstreamProtocol = "upstream_protocol", BAD_GATEWAY, Upstream, Unsure, "http_protocol_error",
        "The upstream's answer was not valid HTTP.";
    /// The upstream refused the request without having looked at it.
    UpstreamRefused = "upstream_refused", BAD_GATEWAY, Upstream, Later, "connection_terminated",
        "The upstream refused the request before it did anything.";
    /// The upstream closed the connection before its answer was complete.
    UpstreamReset = "upstream_reset", BAD_GATEWAY, Upstream, Unsure, "connection_terminated",
        "The upstream broke the connection off.";
    /// The upstream did not answer in time.
    UpstreamTimeout = "upstream_timeout", GATEWAY_TIMEOUT, Upstream, Unsure, "http_response_timeout",
        "The upstream did not answer in time.";
    /// TLS with the upstream failed, or took too long.
    UpstreamTls = "upstream_tls", BAD_GATEWAY, Upstream, Later, "tls_protocol_error",
        "TLS with the upstream failed.";
}

impl Reason {
    /// Tells whether the gateway decided against the request: by who calls, by where it goes, by what its caller may, or by
    /// what its caller has used up. All else is a fault of somebody's, or a want of room.
    pub fn is_decision(self) -> bool {
        matches!(
            self,
            Self::CallerUnknown
                | Self::KeysUnavailable
                | Self::MethodNotRouted
                | Self::NoRoute
                | Self::NotGranted
                | Self::ProductionReadOnly
                | Self::Quota
                | Self::SandboxNotAllowed
        )
    }

    /// Tells whether the gateway does not pass the request on for what it is.
    pub fn is_of_request(self) -> bool {
        matches!(
            self,
            Self::ContentTypeRequired
                | Self::ExpectationFailed
                | Self::LoopDetected
                | Self::MalformedRequest
                | Self::RequestTimeout
                | Self::TooLarge
        )
    }

    /// Tells whether there was no connection, so that nothing of the request can have been sent.
    pub fn is_connecting(self) -> bool {
        matches!(
            self,
            Self::UpstreamConnect | Self::UpstreamName | Self::UpstreamTls
        )
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.meaning().code)
    }
}

/// Any error of a lower layer, kept for the log.
pub type Source = Box<dyn std::error::Error + Send + Sync>;

/// A failure on the path of a request.
///
/// The reason and the detail are for the caller; the source is for the log and never crosses over.
pub struct Error(Box<Inner>);

struct Inner {
    reason: Reason,
    detail: Cow<'static, str>,
    retry_after: Option<Duration>,
    fields: Vec<(http::HeaderName, HeaderValue)>,
    source: Option<Source>,
    cause: Option<&'static str>,
}

impl Error {
    /// Makes an error that tells the caller `detail`: what happened and what to do next.
    pub fn new(reason: Reason, detail: impl Into<Cow<'static, str>>) -> Self {
        Self(Box::new(Inner {
            reason,
            detail: detail.into(),
            retry_after: None,
            fields: Vec::new(),
            source: None,
            cause: None,
        }))
    }

    /// Adds the underlying error, for the log only.
    #[must_use]
    pub fn because(mut self, source: impl Into<Source>) -> Self {
        self.0.source = Some(source.into());
        self
    }

    /// Adds the word by which access lines and the audit tell this cause of the reason from its others.
    #[must_use]
    pub fn caused_by(mut self, word: &'static str) -> Self {
        self.0.cause = Some(word);
        self
    }

    /// Adds how long the caller should wait, sent as `Retry-After` in whole seconds, at least one.
    #[must_use]
    pub fn after(mut self, wait: Duration) -> Self {
        self.0.retry_after = Some(wait);
        self
    }

    /// Adds a response field, such as `Allow`.
    #[must_use]
    pub fn with_field(mut self, name: http::HeaderName, value: HeaderValue) -> Self {
        self.0.fields.push((name, value));
        self
    }

    /// Returns the reason.
    pub fn reason(&self) -> Reason {
        self.0.reason
    }

    /// Returns the word for its cause, if the reason has several.
    pub fn cause(&self) -> Option<&'static str> {
        self.0.cause
    }

    /// Returns what the caller is told.
    pub fn detail(&self) -> &str {
        &self.0.detail
    }

    /// Returns how long the caller should wait, rounded up to whole seconds.
    pub fn retry_after(&self) -> Option<u64> {
        let wait = self.0.retry_after?;
        let seconds = wait.as_secs() + u64::from(wait.subsec_nanos() > 0);
        Some(seconds.max(1))
    }

    /// Returns the response fields that belong to the error.
    pub fn fields(&self) -> &[(http::HeaderName, HeaderValue)] {
        &self.0.fields
    }

    /// Returns the error and everything below it on one line, for the log.
    pub fn chain(&self) -> String {
        format!("{}: {}", self.0.reason, self.story())
    }

    /// Returns the detail and everything below it on one line, for logs where the reason's code would mislead.
    pub fn story(&self) -> String {
        let mut line = self.0.detail.to_string();
        let mut next: Option<&(dyn std::error::Error + 'static)> = match &self.0.source {
            Some(source) => Some(source.as_ref()),
            None => None,
        };
        while let Some(error) = next {
            line.push_str(": ");
            line.push_str(&error.to_string());
            next = error.source();
        }
        line
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.chain())
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.0.reason, self.0.detail)
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match &self.0.source {
            Some(source) => Some(source.as_ref()),
            None => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_unique_and_statuses_are_errors() {
        let mut codes: Vec<_> = Reason::ALL
            .iter()
            .map(|reason| reason.meaning().code)
            .collect();
        codes.sort_unstable();
        codes.dedup();

        assert_eq!(codes.len(), Reason::ALL.len());
        for reason in Reason::ALL {
            let status = reason.meaning().status;
            assert!(
                status.is_client_error() || status.is_server_error(),
                "{reason}"
            );
        }
    }

    #[test]
    fn a_callers_fault_is_a_4xx_and_nobody_elses_is() {
        // A pause is the upstream's wish, and 429 the status by which callers' libraries wait.
        let others = |reason: &&Reason| **reason != Reason::UpstreamPaused;
        for reason in Reason::ALL.iter().filter(others) {
            let meaning = reason.meaning();
            assert_eq!(
                meaning.side == Side::Caller,
                meaning.status.is_client_error(),
                "{reason}"
            );
        }
    }

    #[test]
    fn a_wait_is_rounded_up_and_never_zero() {
        let wait = |millis| {
            Error::new(Reason::Quota, "")
                .after(Duration::from_millis(millis))
                .retry_after()
                .unwrap()
        };

        assert_eq!((wait(0), wait(1), wait(1000), wait(1001)), (1, 1, 1, 2));
    }
}
