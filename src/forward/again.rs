//! What it takes to send a request once more with another token.

use std::fmt;

use http::{HeaderMap, HeaderName, HeaderValue, Request, Uri};

use super::{Upload, fields};
use crate::aep::{OwnedField, OwnedFields};
use crate::context::{Bearer, Exchange};
use crate::error::{Error, Reason};

/// A request that is being sent, as far as it is needed to send it again.
#[derive(Debug)]
pub(super) struct Again<B> {
    head: Head,
    body: Upload<B>,
}

impl<B> Again<B> {
    /// Keeps what is needed of a request whose fields have been stripped, and ours not yet been written.
    pub(super) fn keep(
        target: &Uri,
        fields: &HeaderMap,
        owned: &OwnedFields,
        body: &Upload<B>,
    ) -> Self {
        Self {
            head: Head::keep(target, fields, owned),
            body: body.hold(),
        }
    }

    /// Tells whether all of the request is still there.
    pub(super) fn is_possible(&self) -> bool {
        self.body.is_whole()
    }

    /// Lets go of what was kept of the body.
    pub(super) fn forget(&self) {
        self.body.forget();
    }

    /// Returns the request with another token, or `None` when it is not whole any more.
    ///
    /// # Errors
    /// [`Reason::Internal`].
    pub(super) fn with(
        &self,
        bearer: Bearer,
        exchange: &Exchange,
    ) -> Result<Option<Request<Upload<B>>>, Error> {
        let (Some((target, mut fields, owned)), Some(body)) =
            (self.head.restore(bearer.value), self.body.again())
        else {
            return Ok(None);
        };
        complete(&mut fields, exchange, &owned)?;
        let mut request = Request::new(body);
        *request.method_mut() = exchange.method.clone();
        *request.uri_mut() = target;
        *request.headers_mut() = fields;
        Ok(Some(request))
    }
}

/// Writes our fields into those of a request, and looks at them a last time before the bytes leave: whatever went wrong
/// above, no request goes out without its sandbox.
///
/// # Errors
/// [`Reason::Internal`].
pub(super) fn complete(
    fields: &mut HeaderMap,
    exchange: &Exchange,
    owned: &OwnedFields,
) -> Result<(), Error> {
    fields::write_owned(fields, exchange.version, owned);
    owned.verify(fields).map_err(|field| {
        let detail = format!(
            "the request would have left without its one {}",
            field.name()
        );
        Error::new(Reason::Internal, detail)
    })
}

/// The head of a request, but for its token, as bytes: pairs of a name and a value, each pair with its lengths before it.
/// The first four are the target and our other fields, and have no names.
///
/// A map costs several times as much to keep: every name that is not a common one would take an allocation to be shared,
/// and few requests go out again.
struct Head(Vec<u8>);

impl Head {
    fn keep(target: &Uri, fields: &HeaderMap, owned: &OwnedFields) -> Self {
        let mut kept = Self(Vec::with_capacity(ROOM));
        let target = target
            .path_and_query()
            .map_or("/", |target| target.as_str());
        kept.put(b"", target.as_bytes());
        for ours in [&owned.api_key, &owned.organization, &owned.sandbox] {
            kept.put(b"", ours.as_bytes());
        }
        for (name, value) in fields {
            if OwnedField::named(name).is_some() {
                // A caller's copy, in the place of which ours is written.
                continue;
            }
            kept.put(name.as_str().as_bytes(), value.as_bytes());
        }
        kept
    }

    fn put(&mut self, name: &[u8], value: &[u8]) {
        // What came in a head has no more bytes than a head.
        let length = |part: &[u8]| u64::try_from(part.len()).unwrap_or(0) & u64::from(u32::MAX);
        let lengths = length(name) << 32 | length(value);
        self.0.extend_from_slice(&lengths.to_ne_bytes());
        self.0.extend_from_slice(name);
        self.0.extend_from_slice(value);
    }

    /// Returns the target, the caller's fields, and ours with the token, or `None` should something not be what was kept.
    fn restore(&self, token: HeaderValue) -> Option<(Uri, HeaderMap, OwnedFields)> {
        let mut pairs = Pairs(&self.0);
        let target = Uri::try_from(pairs.next()?.1).ok()?;
        let mut ours = || HeaderValue::from_bytes(pairs.next()?.1).ok();
        let owned = OwnedFields {
            api_key: ours()?,
            organization: ours()?,
            sandbox: ours()?,
            authorization: token,
        };
        let mut fields = HeaderMap::new();
        for (name, value) in pairs {
            let name = HeaderName::from_bytes(name).ok()?;
            fields.append(name, HeaderValue::from_bytes(value).ok()?);
        }
        Some((target, fields, owned))
    }
}

/// Values may be somebody's own.
impl fmt::Debug for Head {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Head({} bytes)", self.0.len())
    }
}

struct Pairs<'a>(&'a [u8]);

impl<'a> Iterator for Pairs<'a> {
    type Item = (&'a [u8], &'a [u8]);

    fn next(&mut self) -> Option<Self::Item> {
        let (lengths, rest) = self.0.split_first_chunk()?;
        let lengths = u64::from_ne_bytes(*lengths);
        let (name, rest) = rest.split_at_checked(usize::try_from(lengths >> 32).ok()?)?;
        let value = usize::try_from(lengths & u64::from(u32::MAX)).ok()?;
        let (value, rest) = rest.split_at_checked(value)?;
        self.0 = rest;
        Some((name, value))
    }
}

/// Bytes. Most heads take less, and so need no more room while they are written.
const ROOM: usize = 1000;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn a_head_comes_back_as_it_was(
            query in "[!-~&&[^#<>\"]]{0,60}",
            pairs in prop::collection::vec(("[a-z][a-z0-9-]{0,30}", prop::collection::vec(0x20_u8..=0xff, 0..200)), 0..20),
        ) {
            let owned = OwnedFields {
                authorization: HeaderValue::from_static("Bearer one"),
                api_key: HeaderValue::from_static("key"),
                organization: HeaderValue::from_static("o@AdobeOrg"),
                sandbox: HeaderValue::from_static("dev-2"),
            };
            let target: Uri = format!("/data/core/ups/x?{query}").parse().unwrap();
            let mut fields = HeaderMap::new();
            for (name, value) in pairs {
                let name = HeaderName::from_bytes(name.as_bytes()).unwrap();
                if let Ok(value) = HeaderValue::from_bytes(&value) {
                    fields.append(name, value);
                }
            }

            let kept = Head::keep(&target, &fields, &owned);
            let next = HeaderValue::from_static("Bearer two");
            let (target_again, fields_again, owned_again) = kept.restore(next).unwrap();

            prop_assert_eq!(target_again, target);
            prop_assert_eq!(fields_again, fields);
            prop_assert_eq!(owned_again.authorization, "Bearer two");
            prop_assert_eq!(owned_again.api_key, "key");
            prop_assert_eq!(owned_again.organization, "o@AdobeOrg");
            prop_assert_eq!(owned_again.sandbox, "dev-2");
        }
    }
}
