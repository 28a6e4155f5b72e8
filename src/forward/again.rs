//! What it takes to send a request once more with another token.

use std::fmt;

use http::{HeaderMap, HeaderName, HeaderValue, Request, Uri};

use super::{Upload, fields};
use crate::aep::OwnedFields;
use crate::context::{Bearer, Exchange};
use crate::error::{Error, Reason};

/// A request that is being sent, as far as it is needed to send it again.
#[derive(Debug)]
pub(super) struct Again<B> {
    target: Uri,
    fields: Fields,
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
        Self {
            target: target.clone(),
            fields: Fields::keep(fields),
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
        let (Some(mut fields), Some(body)) = (self.fields.restore(), self.body.again()) else {
            return Ok(None);
        };
        self.owned.authorization = bearer.value;
        self.complete(&mut fields, exchange)?;
        let mut request = Request::new(body);
        *request.method_mut() = exchange.method.clone();
        *request.uri_mut() = self.target.clone();
        *request.headers_mut() = fields;
        Ok(Some(request))
    }
}

/// Header fields as bytes, each with its length before it, a name and a value in turn.
///
/// A map of them, or a list, costs several times as much to keep: every name that is not a common one would take an
/// allocation to be shared, and few requests go out again.
struct Fields(Vec<u8>);

impl Fields {
    fn keep(fields: &HeaderMap) -> Self {
        let mut kept = Vec::with_capacity(ROOM);
        for (name, value) in fields {
            for part in [name.as_str().as_bytes(), value.as_bytes()] {
                // A field is shorter than a head, and a head than 4 GiB.
                let length = u32::try_from(part.len()).unwrap_or(0);
                kept.extend_from_slice(&length.to_ne_bytes());
                kept.extend_from_slice(part);
            }
        }
        Self(kept)
    }

    /// Returns the fields, or `None` should one of them not be what was kept.
    fn restore(&self) -> Option<HeaderMap> {
        let mut fields = HeaderMap::new();
        let mut parts = Parts(&self.0);
        while let Some(name) = parts.next() {
            let name = HeaderName::from_bytes(name).ok()?;
            fields.append(name, HeaderValue::from_bytes(parts.next()?).ok()?);
        }
        Some(fields)
    }
}

/// Values may be somebody's own.
impl fmt::Debug for Fields {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Fields({} bytes)", self.0.len())
    }
}

struct Parts<'a>(&'a [u8]);

impl<'a> Iterator for Parts<'a> {
    type Item = &'a [u8];

    fn next(&mut self) -> Option<&'a [u8]> {
        let (length, rest) = self.0.split_first_chunk()?;
        let length = usize::try_from(u32::from_ne_bytes(*length)).ok()?;
        let (part, rest) = rest.split_at_checked(length)?;
        self.0 = rest;
        Some(part)
    }
}

/// Bytes. Most callers' fields take less, and so need no more room while they are written.
const ROOM: usize = 768;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn fields_come_back_as_they_were(
            pairs in prop::collection::vec(("[a-z][a-z0-9-]{0,30}", prop::collection::vec(0x20_u8..=0xff, 0..200)), 0..20),
        ) {
            let mut fields = HeaderMap::new();
            for (name, value) in pairs {
                let name = HeaderName::from_bytes(name.as_bytes()).unwrap();
                if let Ok(value) = HeaderValue::from_bytes(&value) {
                    fields.append(name, value);
                }
            }

            prop_assert_eq!(Fields::keep(&fields).restore(), Some(fields));
        }
    }
}
