//! What the simulator answers, before it becomes bytes on a connection.

use bytes::Bytes;
use http::header::{CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue};
use http::{Response, StatusCode};
use serde_json::Value;

use super::body::{self, Ending};

/// A status, some header fields and a body.
#[derive(Clone, Debug)]
pub(super) struct Answer {
    pub(super) status: StatusCode,
    /// Boxed, since refusals travel as errors and those should be small.
    pub(super) headers: Box<HeaderMap>,
    pub(super) content: Content,
}

/// The body of an [`Answer`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Content {
    /// These bytes.
    Bytes(Bytes),
    /// `before`, then as many filler characters as make up `total` bytes in all, then `after`.
    Filled {
        before: Bytes,
        after: Bytes,
        total: u64,
    },
}

impl Answer {
    /// An answer without a body, and so without a content type.
    pub(super) fn empty(status: StatusCode) -> Self {
        Self {
            status,
            headers: Box::default(),
            content: Content::Bytes(Bytes::new()),
        }
    }

    pub(super) fn json(status: StatusCode, body: &Value) -> Self {
        Self::raw(status, "application/json", Bytes::from(body.to_string()))
    }

    pub(super) fn ok(body: &Value) -> Self {
        Self::json(StatusCode::OK, body)
    }

    pub(super) fn raw(status: StatusCode, content_type: &'static str, body: Bytes) -> Self {
        Self::empty(status).with_content(content_type, Content::Bytes(body))
    }

    pub(super) fn with_content(mut self, content_type: &'static str, content: Content) -> Self {
        self.content = content;
        self.with(CONTENT_TYPE, HeaderValue::from_static(content_type))
    }

    pub(super) fn with(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.headers.insert(name, value);
        self
    }

    /// Makes the response, whose body ends as `ending` says.
    pub(super) fn into_response(self, ending: Ending) -> Response<axum::body::Body> {
        let body = match (self.content, ending) {
            (Content::Bytes(bytes), Ending::Whole) => axum::body::Body::from(bytes),
            (content, ending) => axum::body::Body::new(body::Chunks::new(content, ending)),
        };
        let mut response = Response::new(body);
        *response.status_mut() = self.status;
        *response.headers_mut() = *self.headers;
        response
    }
}
