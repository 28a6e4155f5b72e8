//! What it takes to send a request once more with another token.

use http::{HeaderMap, HeaderName, HeaderValue, Request, Uri};

use super::{Upload, fields};
use crate::aep::OwnedFields;
use crate::context::{Bearer, Exchange};
use crate::error::{Error, Reason};

/// A request that is being sent, as far as it is needed to send it again.
///
/// The fields are those that are the caller's, as a list: a map costs three times as much to keep, and few are used again.
#[derive(Debug)]
pub(super) struct Again<B> {
    target: Uri,
    fields: Vec<(HeaderName, HeaderValue)>,
    owned: OwnedFields,
    body: Upload<B>,
}

impl<B> Again<B> {
    /// Keeps what is needed of a request whose fields have been stripped, and ours not yet been written.
    pub(super) fn keep(
        target: &Uri,
        fields: &HeaderMap,
        owned: OwnedFields,
        body: &Upload<B>,
    ) -> Self {
        let mut kept = Vec::with_capacity(fields.len());
        kept.extend(
            fields
                .iter()
                .map(|(name, value)| (name.clone(), value.clone())),
        );
        Self {
            target: target.clone(),
            fields: kept,
            owned,
            body: body.hold(),
        }
    }

    /// Writes our fields into those of the request, and looks at them a last time before the bytes leave: whatever went
    /// wrong above, no request goes out without its sandbox.
    ///
    /// # Errors
    /// [`Reason::Internal`].
    pub(super) fn complete(
        &self,
        fields: &mut HeaderMap,
        exchange: &Exchange,
    ) -> Result<(), Error> {
        fields::write_owned(fields, exchange.version, &self.owned);
        self.owned.verify(fields).map_err(|field| {
            let detail = format!(
                "the request would have left without its one {}",
                field.name()
            );
            Error::new(Reason::Internal, detail)
        })
    }

    /// Tells whether all of the request is still there.
    pub(super) fn is_possible(&self) -> bool {
        self.body.is_whole()
    }

    /// Lets go of what was kept of the body.
    pub(super) fn forget(&self) {
        self.body.forget();
    }

    /// Returns the request with another token, or `None` when its body cannot be sent again.
    ///
    /// # Errors
    /// [`Reason::Internal`].
    pub(super) fn with(
        &mut self,
        bearer: Bearer,
        exchange: &Exchange,
    ) -> Result<Option<Request<Upload<B>>>, Error> {
        let Some(body) = self.body.again() else {
            return Ok(None);
        };
        self.owned.authorization = bearer.value;
        let mut request = Request::new(body);
        *request.method_mut() = exchange.method.clone();
        *request.uri_mut() = self.target.clone();
        let fields = request.headers_mut();
        for (name, value) in &self.fields {
            fields.append(name, value.clone());
        }
        self.complete(fields, exchange)?;
        Ok(Some(request))
    }
}
