//! Sends the request upstream and its answer back.

mod again;
mod answer;
mod attempts;
mod beginning;
pub mod download;
pub mod fields;
mod layer;
mod names;
mod notable;
pub mod links;
pub mod query;
pub mod refusal;
pub mod retry;
pub mod upload;
mod withheld;

pub use download::Download;
pub use fields::check;
pub use layer::{Forward, UpstreamBody};
pub use refusal::Sign;
pub use upload::Upload;
pub use withheld::{AnswerField, Echoes, InvalidAnswerField};

use std::time::Duration;

use http::HeaderName;

use crate::connect::{Origin, Patience};
use crate::context::PerRoute;

/// How requests are passed on.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Fields of answers, and of their trailers, that callers do not get. Default: none.
    pub drop_answer_fields: Vec<AnswerField>,
    /// What becomes of fields that tell where a request came from. Default: [`Forwarded::Drop`].
    pub forwarded: Forwarded,
    /// The largest request body, in bytes. Default 10 MiB.
    pub request_body_bytes: u64,
    /// How requests are repeated.
    pub retries: retry::Settings,
    /// The upstream, when references to it in an answer's fields are to lead to the gateway. Default: they are.
    pub rewrite_links: Option<Origin>,
    /// One rule a route.
    pub routes: PerRoute<Rule>,
    /// By what the upstream's refusals of a token are known. Default: [`Sign::DEFAULT`].
    pub token_refused_by: Vec<Sign>,
}

impl Settings {
    /// Tells whether requests that take a route with `rule` may go out again, so that they are kept for a while.
    fn sends_again(&self, rule: &Rule) -> bool {
        !self.token_refused_by.is_empty() || (rule.repeats && self.retries.attempts > 0)
    }
}

/// What a route passes on.
#[derive(Clone, Debug)]
pub struct Rule {
    /// Time for one attempt, until the upstream's answer begins. Default: what is left of the request's deadline.
    pub attempt_timeout: Option<Duration>,
    /// How long a request waits for a connection: for one that is free, or for name, TCP and TLS of a new one. Default:
    /// what is left of the request's deadline.
    pub connection_timeout: Option<Duration>,
    /// How long a request waits for the parts of a new connection. Default: as long as the upstream allows.
    pub patience: Patience,
    /// Whether a payload needs a `Content-Type`, where the operation takes one. Default: [`ContentType::Require`].
    pub content_type: ContentType,
    /// Guarded fields callers of the route may send after all, of [`crate::aep::fields::GUARDED`].
    pub let_through: Vec<HeaderName>,
    /// Whether the query parameter `api_key` is passed on rather than taken out.
    pub let_api_key_through: bool,
    /// Whether requests go out again when that does no harm. Default: yes.
    pub repeats: bool,
    /// Longest silence between two pieces of a request body. Default 30 s.
    pub request_idle_timeout: Duration,
    /// Longest silence between two pieces of a response body. Default 60 s.
    pub response_idle_timeout: Duration,
}

impl Default for Rule {
    fn default() -> Self {
        Self {
            attempt_timeout: None,
            connection_timeout: None,
            patience: Patience::ENDLESS,
            content_type: ContentType::Require,
            let_through: Vec::new(),
            let_api_key_through: false,
            repeats: true,
            request_idle_timeout: Duration::from_secs(30),
            response_idle_timeout: Duration::from_mins(1),
        }
    }
}

/// What becomes of `Forwarded`, `X-Forwarded-For` and the like, which tell the network a request came from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Forwarded {
    /// They end at the gateway.
    Drop,
    /// They are passed on as they came.
    Pass,
}

/// What happens to a payload without `Content-Type` of an operation that takes one, which Adobe answers with 400.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ContentType {
    /// It is passed on.
    Pass,
    /// It is refused.
    Require,
}
