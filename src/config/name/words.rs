//! Names of things and people, as configuration writes them.

use crate::config::format::Format;
use crate::route::condition::is_operation_name;

/// The name of a route or credential: a label in logs, metrics and answers.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(in crate::config) struct Name(pub(in crate::config) String);

impl Format for Name {
    const NAME: &'static str = "name";
    const WHAT: &'static str = "a name of letters, digits, dots, hyphens and underscores";
    const EXAMPLE: &'static str = "lookups";

    fn parse(text: &str) -> Result<Self, String> {
        let legal = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
        if text.bytes().all(legal) && (1..=MOST_NAME_BYTES).contains(&text.len()) {
            Ok(Self(text.to_owned()))
        } else {
            Err(format!(
                "must be {}, at most {MOST_NAME_BYTES} of them",
                Self::WHAT
            ))
        }
    }

    fn show(&self) -> String {
        self.0.clone()
    }
}

/// The name of an operation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::config) struct OperationName(pub(in crate::config) String);

impl Format for OperationName {
    const NAME: &'static str = "operation-name";
    const WHAT: &'static str = "the name of an operation such as consents.read: letters and digits, with one dot between two words";
    const EXAMPLE: &'static str = "consents.read";

    fn parse(text: &str) -> Result<Self, String> {
        if !is_operation_name(text) || text.len() > MOST_NAME_BYTES {
            return Err(format!(
                "must be {}, at most {MOST_NAME_BYTES} of them",
                Self::WHAT
            ));
        }
        match text.split_once('.') {
            Some(("unknown", _)) => {
                Err("begins with `unknown`, which is for what no row knows".to_owned())
            }
            Some(_) | None => Ok(Self(text.to_owned())),
        }
    }

    fn show(&self) -> String {
        self.0.clone()
    }
}

/// A user of a server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::config) struct Username(pub(in crate::config) String);

impl Format for Username {
    const NAME: &'static str = "username";
    const WHAT: &'static str = "a user's name of visible ASCII characters";
    const EXAMPLE: &'static str = "profile-gateway";

    fn parse(text: &str) -> Result<Self, String> {
        if text.bytes().all(|byte| byte.is_ascii_graphic()) && !text.is_empty() {
            Ok(Self(text.to_owned()))
        } else {
            Err(format!("must be {}", Self::WHAT))
        }
    }

    fn show(&self) -> String {
        self.0.clone()
    }
}

/// What a certificate says of whom it was made for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::config) struct CertificateText(pub(in crate::config) String);

impl Format for CertificateText {
    const NAME: &'static str = "certificate-name";
    const WHAT: &'static str = "what is in a certificate, such as spiffe://corp/nightly";
    const EXAMPLE: &'static str = "spiffe://corp/nightly";

    fn parse(text: &str) -> Result<Self, String> {
        let legal = |character: char| !character.is_control();
        if text.is_empty() || text.len() > 1024 || !text.chars().all(legal) {
            return Err(format!("must be {}", Self::WHAT));
        }
        Ok(Self(text.to_owned()))
    }

    fn show(&self) -> String {
        self.0.clone()
    }
}

/// What a token says of who signed it, or for whom.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(in crate::config) struct Claim(pub(in crate::config) String);

impl Format for Claim {
    const NAME: &'static str = "claim";
    const WHAT: &'static str = "a text such as https://login.example.com or profile-gateway";
    const EXAMPLE: &'static str = "profile-gateway";

    fn parse(text: &str) -> Result<Self, String> {
        let legal = |letter: char| !letter.is_control() && !letter.is_whitespace();
        if text.chars().all(legal) && (1..=MOST_CLAIM_BYTES).contains(&text.len()) {
            Ok(Self(text.to_owned()))
        } else {
            Err(format!(
                "must be {}, without blanks, of {MOST_CLAIM_BYTES} bytes at most",
                Self::WHAT
            ))
        }
    }

    fn show(&self) -> String {
        self.0.clone()
    }
}

/// One scope, or several separated by commas.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::config) struct Scope(pub(in crate::config) String);

impl Format for Scope {
    const NAME: &'static str = "scope";
    const WHAT: &'static str = "scopes such as openid,AdobeID";
    const EXAMPLE: &'static str = "openid";

    fn parse(text: &str) -> Result<Self, String> {
        let scopes: Vec<&str> = text.split(',').map(str::trim).collect();
        // RFC 6749, section 3.3, less the comma that separates them here.
        let legal = |byte: u8| byte.is_ascii_graphic() && !br#""\"#.contains(&byte);
        if scopes
            .iter()
            .all(|scope| !scope.is_empty() && scope.bytes().all(legal))
        {
            Ok(Self(scopes.join(",")))
        } else {
            Err(format!("must be {}, separated by commas", Self::WHAT))
        }
    }

    fn show(&self) -> String {
        self.0.clone()
    }
}

const MOST_NAME_BYTES: usize = 64;
const MOST_CLAIM_BYTES: usize = 512;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_claim_has_no_blanks_and_an_end() {
        for right in [
            "https://a.example/t",
            "kubernetes/serviceaccount",
            "a:b|c",
            &"a".repeat(512),
        ] {
            assert!(Claim::parse(right).is_ok(), "{right}");
        }
        for wrong in ["", " a", "a b", "a\n", "a\u{0}", &"a".repeat(513)] {
            assert!(Claim::parse(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn scopes_are_normalised() {
        assert_eq!(
            Scope::parse("openid, AdobeID"),
            Ok(Scope("openid,AdobeID".to_owned()))
        );
        assert!(Scope::parse("openid,,session").is_err() && Scope::parse("").is_err());
    }

    #[test]
    fn an_operation_is_one_word_or_two_and_none_that_is_unknown() {
        assert!(OperationName::parse("consents").is_ok());
        assert!(OperationName::parse("consents.read").is_ok());
        for wrong in ["unknown.read", "a.b.c", "a-b", "", &"a".repeat(65)] {
            assert!(OperationName::parse(wrong).is_err(), "{wrong:?}");
        }
    }
}
