//! What it takes to send a request once more with another token.

use std::mem;

use http::uri::Uri;
use http::{HeaderMap, Method, Request};

use super::Upload;
use crate::aep::OwnedFields;
use crate::context::Bearer;
use crate::error::{Error, Reason};

/// A request that has been sent, as far as it is needed to send it one more time.
#[derive(Debug)]
pub(super) struct Again<B> {
    pub(super) method: Method,
    pub(super) uri: Uri,
    pub(super) headers: HeaderMap,
    pub(super) owned: OwnedFields,
    pub(super) body: Upload<B>,
}

impl<B> Again<B> {
    /// Returns the request with another token, or `None` when its body cannot be sent again.
    ///
    /// # Errors
    /// [`Reason::Internal`] when the request would leave without its four fields.
    pub(super) fn with(&mut self, bearer: Bearer) -> Result<Option<Request<Upload<B>>>, Error> {
        let Some(body) = self.body.again() else {
            return Ok(None);
        };
        self.owned.authorization = bearer.value;
        let mut headers = mem::take(&mut self.headers);
        self.owned.write(&mut headers);
        verify(&self.owned, &headers)?;
        let mut request = Request::new(body);
        *request.method_mut() = mem::take(&mut self.method);
        *request.uri_mut() = mem::take(&mut self.uri);
        *request.headers_mut() = headers;
        Ok(Some(request))
    }
}

/// The last look before the bytes leave: whatever went wrong above, no request goes out without its sandbox.
///
/// # Errors
/// [`Reason::Internal`].
pub(super) fn verify(owned: &OwnedFields, headers: &HeaderMap) -> Result<(), Error> {
    owned.verify(headers).map_err(|field| {
        let detail = format!(
            "the request would have left without its one {}",
            field.name()
        );
        Error::new(Reason::Internal, detail)
    })
}
