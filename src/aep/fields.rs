//! The header fields Adobe's gateway decides by, which only this gateway may set.

use http::header::{self, HeaderMap, HeaderName, HeaderValue};

/// One of the four fields that every request to Experience Platform carries exactly once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OwnedField {
    /// `x-api-key`: the client id the token was minted for.
    ApiKey,
    /// `authorization`: `Bearer` and the access token.
    Authorization,
    /// `x-gw-ims-org-id`: the organisation whose data is meant.
    Organization,
    /// `x-sandbox-name`: the sandbox. When it is missing Adobe takes the production sandbox.
    Sandbox,
}

impl OwnedField {
    /// All four, in the order they are written.
    pub const ALL: [Self; 4] = [
        Self::Authorization,
        Self::ApiKey,
        Self::Organization,
        Self::Sandbox,
    ];

    /// Returns the field of this name, if it is one of the four.
    pub fn named(name: &HeaderName) -> Option<Self> {
        Some(match name.as_str() {
            "authorization" => Self::Authorization,
            "x-api-key" => Self::ApiKey,
            "x-gw-ims-org-id" => Self::Organization,
            "x-sandbox-name" => Self::Sandbox,
            _ => return None,
        })
    }

    /// Returns the field name.
    pub fn name(self) -> &'static HeaderName {
        match self {
            Self::ApiKey => &X_API_KEY,
            Self::Authorization => &header::AUTHORIZATION,
            Self::Organization => &X_GW_IMS_ORG_ID,
            Self::Sandbox => &X_SANDBOX_NAME,
        }
    }
}

/// `x-api-key`.
pub static X_API_KEY: HeaderName = HeaderName::from_static("x-api-key");
/// `x-gw-ims-org-id`.
pub static X_GW_IMS_ORG_ID: HeaderName = HeaderName::from_static("x-gw-ims-org-id");
/// `x-sandbox-name`.
pub static X_SANDBOX_NAME: HeaderName = HeaderName::from_static("x-sandbox-name");
/// `x-sandbox-id`: selects a sandbox by id, next to or instead of its name.
pub static X_SANDBOX_ID: HeaderName = HeaderName::from_static("x-sandbox-id");
/// `x-gw-ims-authorization`: a bearer token of old edge-projection calls.
pub static X_GW_IMS_AUTHORIZATION: HeaderName = HeaderName::from_static("x-gw-ims-authorization");
/// `x-user-token`: a bearer token of old edge-projection calls.
pub static X_USER_TOKEN: HeaderName = HeaderName::from_static("x-user-token");
/// `x-request-id`: kept by Adobe when supplied, and echoed on its answers.
pub static X_REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// Fields that carry authority besides the four: never a caller's to send, unless a route lets one through.
pub static GUARDED: [&HeaderName; 3] = [&X_SANDBOX_ID, &X_GW_IMS_AUTHORIZATION, &X_USER_TOKEN];

/// The query parameter that Adobe's open-source gateway can read the API key from.
pub const API_KEY_PARAMETER: &str = "api_key";

/// The values of the four owned fields for one request.
#[derive(Clone, Debug)]
pub struct OwnedFields {
    /// `Bearer` and the token, marked sensitive.
    pub authorization: HeaderValue,
    /// The client id.
    pub api_key: HeaderValue,
    /// The organisation id.
    pub organization: HeaderValue,
    /// The sandbox name.
    pub sandbox: HeaderValue,
}

impl OwnedFields {
    /// Returns the value that belongs to `field`.
    pub fn value(&self, field: OwnedField) -> &HeaderValue {
        match field {
            OwnedField::ApiKey => &self.api_key,
            OwnedField::Authorization => &self.authorization,
            OwnedField::Organization => &self.organization,
            OwnedField::Sandbox => &self.sandbox,
        }
    }

    /// Writes the four fields, each replacing every copy that was there.
    pub fn write(&self, headers: &mut HeaderMap) {
        for field in OwnedField::ALL {
            headers.insert(field.name().clone(), self.value(field).clone());
        }
    }

    /// Tells whether `headers` hold each of the four exactly once with these very values.
    ///
    /// # Errors
    /// Names a field that is missing, repeated, empty or different.
    pub fn verify(&self, headers: &HeaderMap) -> Result<(), OwnedField> {
        let mut missing = OwnedField::ALL.map(Some);
        // One look at each field costs less than to look up four.
        for (name, value) in headers {
            let Some(field) = OwnedField::named(name) else {
                continue;
            };
            let expected = self.value(field);
            // The bytes of a value that was written are shared with it, so they need not be compared.
            let same = std::ptr::eq(value.as_bytes(), expected.as_bytes()) || value == expected;
            let due = missing.iter_mut().find(|due| **due == Some(field));
            if value.is_empty() || !same || due.and_then(Option::take).is_none() {
                return Err(field);
            }
        }
        missing.into_iter().flatten().next().map_or(Ok(()), Err)
    }
}

/// Returns the owned or guarded field that `name` spells, reading `_` as `-`.
///
/// Servers that hand header fields to programs as variables cannot tell the two apart, so
/// `x_sandbox_name` has to count as `x-sandbox-name`.
pub fn authority_field(name: &str) -> Option<&'static HeaderName> {
    let same = |field: &HeaderName| {
        field.as_str().len() == name.len()
            && field
                .as_str()
                .bytes()
                .zip(name.bytes())
                .all(|(ours, theirs)| {
                    ours == theirs.to_ascii_lowercase() || (ours == b'-' && theirs == b'_')
                })
    };
    let owned = OwnedField::ALL.into_iter().map(OwnedField::name);
    owned.chain(GUARDED).find(|field| same(field))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fields() -> OwnedFields {
        OwnedFields {
            authorization: HeaderValue::from_static("Bearer t"),
            api_key: HeaderValue::from_static("k"),
            organization: HeaderValue::from_static("o@AdobeOrg"),
            sandbox: HeaderValue::from_static("dev-2"),
        }
    }

    #[test]
    fn writing_replaces_every_copy() {
        let mut headers = HeaderMap::new();
        headers.append("x-sandbox-name", HeaderValue::from_static("prod"));
        headers.append("x-sandbox-name", HeaderValue::from_static("prod"));

        fields().write(&mut headers);

        assert_eq!(fields().verify(&headers), Ok(()));
        assert_eq!(headers.len(), 4);
    }

    #[test]
    fn a_missing_repeated_or_changed_field_is_named() {
        for field in OwnedField::ALL {
            let mut missing = HeaderMap::new();
            fields().write(&mut missing);
            missing.remove(field.name());
            let mut repeated = HeaderMap::new();
            fields().write(&mut repeated);
            repeated.append(field.name().clone(), fields().value(field).clone());
            let mut changed = HeaderMap::new();
            fields().write(&mut changed);
            changed.insert(field.name().clone(), HeaderValue::from_static("other"));

            for headers in [missing, repeated, changed] {
                assert_eq!(fields().verify(&headers), Err(field));
            }
        }
    }

    #[test]
    fn underscores_and_case_do_not_hide_a_field() {
        for name in [
            "x_sandbox_name",
            "X-Sandbox_Name",
            "AUTHORIZATION",
            "x_api-key",
            "x_user_token",
        ] {
            assert!(authority_field(name).is_some(), "{name}");
        }
        for name in ["x-sandbox-names", "x-sandbox", "accept", "x.sandbox.name"] {
            assert!(authority_field(name).is_none(), "{name}");
        }
    }
}
