//! Names that identify things at Adobe, parsed once and valid ever after.

use std::fmt;
use std::str::FromStr;

use http::HeaderValue;

/// An IMS organisation id, such as `0A1B2C3D4E5F60718293A4B5@AdobeOrg`.
///
/// The part after the `@` belongs to the value. The left part is not checked beyond being legal in a
/// header field, since Adobe documents no grammar for it.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct OrgId(String);

/// A client id of a developer project, which is also what Adobe calls the API key.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ClientId(String);

/// A sandbox name: lower-case letters, digits and hyphens, such as `prod` or `dev-2`.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SandboxName(String);

/// The account that a service account's tokens speak for, such as `1122334455667788990011AA@techacct.adobe.com`.
///
/// As with [`OrgId`], the left part is not checked.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TechnicalAccount(String);

/// Why a text is not one of these names.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidName {
    /// The text is empty.
    #[error("must not be empty")]
    Empty,
    /// The organisation id lacks its `@…` suffix.
    #[error("must end in @AdobeOrg, as the developer console shows it")]
    NoSuffix,
    /// The technical account lacks its `@…` suffix.
    #[error("must end in @techacct.adobe.com, as the developer console shows it")]
    NoAccountSuffix,
    /// The technical account is an organisation id.
    #[error("is an organisation id; a technical account ends in @techacct.adobe.com")]
    Organization,
    /// The text holds a byte the name may not have.
    #[error("may hold only {0}")]
    Character(&'static str),
    /// The text is longer than the limit, in bytes.
    #[error("is longer than {0} bytes")]
    TooLong(usize),
}

const NAME_BYTES: usize = 256;

macro_rules! name {
    ($name:ident, $check:expr) => {
        impl $name {
            /// Returns the name as text.
            pub fn as_str(&self) -> &str {
                &self.0
            }

            /// Returns the name as the value of a header field.
            pub fn to_header_value(&self) -> HeaderValue {
                HeaderValue::from_str(&self.0).expect("a parsed name is visible ASCII")
            }
        }

        impl FromStr for $name {
            type Err = InvalidName;

            fn from_str(text: &str) -> Result<Self, InvalidName> {
                if text.is_empty() {
                    return Err(InvalidName::Empty);
                }
                if text.len() > NAME_BYTES {
                    return Err(InvalidName::TooLong(NAME_BYTES));
                }
                let check: fn(&str) -> Result<(), InvalidName> = $check;
                check(text)?;
                Ok(Self(text.to_owned()))
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
    };
}

name!(OrgId, |text| {
    visible(text)?;
    match text.split_once('@') {
        Some((left, right)) if !left.is_empty() && !right.is_empty() => Ok(()),
        _ => Err(InvalidName::NoSuffix),
    }
});
name!(ClientId, visible);
name!(SandboxName, |text| {
    let legal = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    if text.bytes().all(legal) {
        Ok(())
    } else {
        Err(InvalidName::Character(
            "lower-case letters, digits and hyphens",
        ))
    }
});

name!(TechnicalAccount, |text| {
    visible(text)?;
    match text.split_once('@') {
        Some((_, right)) if right.eq_ignore_ascii_case("AdobeOrg") => {
            Err(InvalidName::Organization)
        }
        Some((left, right)) if !left.is_empty() && !right.is_empty() => Ok(()),
        _ => Err(InvalidName::NoAccountSuffix),
    }
});

fn visible(text: &str) -> Result<(), InvalidName> {
    if text.bytes().all(|byte| byte.is_ascii_graphic()) {
        Ok(())
    } else {
        Err(InvalidName::Character("visible ASCII characters"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_organisation_id_keeps_its_suffix() {
        let org: OrgId = "0A1B2C3D4E5F60718293A4B5@AdobeOrg".parse().unwrap();

        assert_eq!(org.to_header_value(), "0A1B2C3D4E5F60718293A4B5@AdobeOrg");
        assert_eq!("0A1B2C3D".parse::<OrgId>(), Err(InvalidName::NoSuffix));
        assert!("a b@AdobeOrg".parse::<OrgId>().is_err());
    }

    #[test]
    fn a_technical_account_is_no_organisation() {
        let parse = |text: &str| text.parse::<TechnicalAccount>();

        assert!(parse("1122334455667788990011AA@techacct.adobe.com").is_ok());
        assert_eq!(parse("1122334455"), Err(InvalidName::NoAccountSuffix));
        for organization in ["0A1B2C3D@AdobeOrg", "0a1b2c3d@adobeorg"] {
            assert_eq!(parse(organization), Err(InvalidName::Organization));
        }
    }

    #[test]
    fn a_sandbox_name_is_lower_case() {
        assert!("dev-2".parse::<SandboxName>().is_ok());
        for wrong in ["", "Prod", "dev 2", "dev_2", "prod\r\nx: y", "prod,dev"] {
            assert!(wrong.parse::<SandboxName>().is_err(), "{wrong:?}");
        }
    }
}
