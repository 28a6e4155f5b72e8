//! Sends the request upstream and its answer back.

mod again;
mod answer;
pub mod download;
pub mod fields;
mod layer;
pub mod links;
pub mod query;
pub mod refusal;
pub mod upload;

pub use download::Download;
pub use layer::{Forward, UpstreamBody};
pub use refusal::Sign;
pub use upload::Upload;

use std::time::Duration;

use http::HeaderName;

use crate::connect::Origin;
use crate::context::PerRoute;

/// How requests are passed on.
#[derive(Clone, Debug)]
pub struct Settings {
    /// What becomes of fields that tell where a request came from. Default: [`Forwarded::Drop`].
    pub forwarded: Forwarded,
    /// The largest request body, in bytes. Default 10 MiB.
    pub request_body_bytes: u64,
    /// Longest silence between two pieces of a response body. Default 60 s.
    pub response_idle_timeout: Duration,
    /// The upstream, when references to it in an answer's fields are to lead to the gateway. Default: they are.
    pub rewrite_links: Option<Origin>,
    /// One rule a route.
    pub routes: PerRoute<Rule>,
    /// By what the upstream's refusals of a token are known. Default: [`Sign::DEFAULT`].
    pub token_refused_by: Vec<Sign>,
}

impl Settings {
    /// Tells whether a refused token is replaced, so that requests may go out again.
    pub(crate) fn replaces_tokens(&self) -> bool {
        !self.token_refused_by.is_empty()
    }
}

/// What a route passes on.
#[derive(Clone, Debug)]
pub struct Rule {
    /// Whether a payload needs a `Content-Type`. Default: [`ContentType::Require`].
    pub content_type: ContentType,
    /// Guarded fields callers of the route may send after all, of [`crate::aep::fields::GUARDED`].
    pub let_through: Vec<HeaderName>,
    /// Whether the query parameter `api_key` is passed on rather than taken out.
    pub let_api_key_through: bool,
}

/// What becomes of `Forwarded`, `X-Forwarded-For` and the like, which tell the network a request came from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Forwarded {
    /// They end at the gateway.
    Drop,
    /// They are passed on as they came.
    Pass,
}

/// What happens to a payload without `Content-Type`, which Adobe answers with 400.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ContentType {
    /// It is passed on.
    Pass,
    /// It is refused.
    Require,
}
