//! Header fields and their values, as configuration writes them.

use http::HeaderName;
use http::header::HOST;

use crate::aep::fields::{API_KEY_PARAMETER, GUARDED, X_REQUEST_ID, authority_field};
use crate::config::format::Format;

/// The name of a header field that callers show a proof in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::config) struct FieldName(pub(in crate::config) HeaderName);

impl Format for FieldName {
    const NAME: &'static str = "field-name";
    const WHAT: &'static str = "the name of a header field such as x-caller-key";
    const EXAMPLE: &'static str = "x-caller-key";

    fn parse(text: &str) -> Result<Self, String> {
        let name = HeaderName::from_bytes(text.as_bytes());
        let name = name.map_err(|_| format!("must be {}", Self::WHAT))?;
        if TAKEN_FIELDS.contains(&name.as_str()) {
            return Err(format!("names {name}, which has a meaning of its own"));
        }
        Ok(Self(name))
    }

    fn show(&self) -> String {
        self.0.to_string()
    }
}

/// Fields that requests need for something else.
const TAKEN_FIELDS: [&str; 16] = [
    "accept",
    "connection",
    "content-encoding",
    "content-length",
    "content-type",
    "cookie",
    "expect",
    "host",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
    "via",
    "x-gw-ims-org-id",
    "x-request-id",
    "x-sandbox-name",
];

/// Something a caller may send only where a route lets it through.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::config) enum Guarded {
    /// A header field of [`GUARDED`].
    Field(HeaderName),
    /// The query parameter `api_key`.
    Parameter,
}

impl Format for Guarded {
    const NAME: &'static str = "guarded-field";
    const WHAT: &'static str =
        "one of x-sandbox-id, x-gw-ims-authorization, x-user-token and api_key";
    const EXAMPLE: &'static str = "x-sandbox-id";

    fn parse(text: &str) -> Result<Self, String> {
        if text == API_KEY_PARAMETER {
            return Ok(Self::Parameter);
        }
        if let Some(field) = GUARDED
            .into_iter()
            .find(|field| text.eq_ignore_ascii_case(field.as_str()))
        {
            return Ok(Self::Field(field.clone()));
        }
        match authority_field(text) {
            Some(field) if !GUARDED.contains(&field) => Err(format!(
                "names {field}, which the gateway writes itself: what a caller sent is always taken out"
            )),
            _ => Err(format!("must be {}; other fields pass anyway", Self::WHAT)),
        }
    }

    fn show(&self) -> String {
        match self {
            Self::Field(name) => name.to_string(),
            Self::Parameter => API_KEY_PARAMETER.to_owned(),
        }
    }
}

/// A field that a route can go by.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::config) struct MatchField(pub(in crate::config) HeaderName);

impl Format for MatchField {
    const NAME: &'static str = "match-field";
    const WHAT: &'static str = "the name of a header field such as x-team";
    const EXAMPLE: &'static str = "x-team";

    fn parse(text: &str) -> Result<Self, String> {
        match text.parse::<HeaderName>() {
            Ok(HOST) => Err("names Host, which `host` beside `headers` is for".to_owned()),
            // It is settled before routes are looked at, so that every request has one.
            Ok(name) if name == X_REQUEST_ID => Err(format!(
                "names {name}, which every request has: the gateway gives one to those that come without"
            )),
            Ok(name) => Ok(Self(name)),
            Err(_) => Err(format!("must be {}", Self::WHAT)),
        }
    }

    fn show(&self) -> String {
        self.0.to_string()
    }
}

/// The value of a header field, or its beginning.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::config) struct FieldValue(pub(in crate::config) String);

impl Format for FieldValue {
    const NAME: &'static str = "field-value";
    const WHAT: &'static str = "the value of a header field, in printable ASCII characters";
    const EXAMPLE: &'static str = "crm";

    fn parse(text: &str) -> Result<Self, String> {
        let legal = |byte: u8| byte == b' ' || byte.is_ascii_graphic();
        // Blanks around a value are no part of it (RFC 9110 §5.5).
        if text.bytes().all(legal) && !text.is_empty() && text.trim() == text {
            Ok(Self(text.to_owned()))
        } else {
            Err(format!("must be {}, without blanks around it", Self::WHAT))
        }
    }

    fn show(&self) -> String {
        self.0.clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_owned_fields_are_never_let_through() {
        for name in [
            "authorization",
            "X-Api-Key",
            "x_gw_ims_org_id",
            "x-sandbox-name",
        ] {
            let error = Guarded::parse(name).unwrap_err();
            assert!(
                error.contains("the gateway writes itself"),
                "{name}: {error}"
            );
        }
        assert_eq!(Guarded::parse("api_key"), Ok(Guarded::Parameter));
        assert!(Guarded::parse("X-Sandbox-Id").is_ok());
        assert!(Guarded::parse("x_sandbox_id").is_err() && Guarded::parse("accept").is_err());
    }

    #[test]
    fn a_route_goes_by_no_field_that_has_a_key_of_its_own_and_by_whole_values() {
        assert_eq!(
            MatchField::parse("X-Team"),
            Ok(MatchField(HeaderName::from_static("x-team")))
        );
        assert!(MatchField::parse("Host").unwrap_err().contains("`host`"));
        assert!(MatchField::parse("x team").is_err() && MatchField::parse("").is_err());
        assert!(FieldValue::parse("a b").is_ok());
        for wrong in ["", " a", "a ", "a\tb", "ä"] {
            assert!(FieldValue::parse(wrong).is_err(), "{wrong:?}");
        }
    }
}
