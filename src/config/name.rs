//! Names, addresses, paths and secrets as configuration writes them.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use http::HeaderName;
use http::header::HOST;
use ipnet::IpNet;

use super::format::{Format, Known};
use super::quantity::{ByteSize, Rate};
use crate::aep::fields::{API_KEY_PARAMETER, GUARDED, authority_field};
use crate::aep::{ClientId, OrgId, SandboxName, TechnicalAccount};
use crate::connect::proxy::InvalidProxy;
use crate::connect::{Origin, Proxy};
use crate::forward::{AnswerField, Sign};
use crate::identify;
use crate::ims::assertion::Metascope;
use crate::issuers::Url;
use crate::listener::Address;
use crate::rewrite::Prefix;
use crate::route::condition::is_operation_name;
use crate::route::{HostPattern, OperationPattern, Template};
use crate::secret::Secret;
use crate::shared::{InvalidKey, SealingKey, Server};

/// Every format there is.
pub(super) const FORMATS: [Known; 40] = [
    Known::of::<Account>(),
    Known::of::<Address>(),
    Known::of::<AnswerField>(),
    Known::of::<ByteSize>(),
    Known::of::<CertificateText>(),
    Known::of::<Cidr>(),
    Known::of::<Claim>(),
    Known::of::<ClientId>(),
    Known::of::<EgressProxy>(),
    Known::of::<FieldName>(),
    Known::of::<FieldValue>(),
    Known::of::<FileMode>(),
    Known::of::<FilePath>(),
    Known::of::<Guarded>(),
    Known::of::<HostName>(),
    Known::of::<HostPattern>(),
    Known::of::<KeyDigest>(),
    Known::of::<MatchField>(),
    Known::of::<Metascope>(),
    Known::of::<Name>(),
    Known::of::<OperationName>(),
    Known::of::<OperationPattern>(),
    Known::of::<OrgId>(),
    Known::of::<Origin>(),
    Known::of::<Pem>(),
    Known::of::<Prefix>(),
    Known::of::<Rate>(),
    Known::of::<SandboxName>(),
    Known::of::<Scope>(),
    Known::of::<SealingKey>(),
    Known::of::<Secret>(),
    Known::of::<Server>(),
    Known::of::<Sign>(),
    Known::of::<SocketAddr>(),
    Known::of::<std::time::Duration>(),
    Known::of::<TechnicalAccount>(),
    Known::of::<Template>(),
    Known::of::<Url>(),
    Known::of::<UrlPath>(),
    Known::of::<Username>(),
];

/// Implements [`Format`] by [`FromStr`] and `Display`.
macro_rules! by_text {
    ($type:ty, $name:literal, $what:literal, $example:literal) => {
        impl Format for $type {
            const NAME: &'static str = $name;
            const WHAT: &'static str = $what;
            const EXAMPLE: &'static str = $example;

            fn parse(text: &str) -> Result<Self, String> {
                Self::from_str(text).map_err(|error| error.to_string())
            }

            fn show(&self) -> String {
                self.to_string()
            }
        }
    };
}

by_text!(
    Address,
    "listen-address",
    "an IP address and port such as 127.0.0.1:8080, or a Unix socket such as unix:/run/gateway.sock",
    "127.0.0.1:8080"
);
by_text!(
    AnswerField,
    "answer-field",
    "the name of a field such as server, or the beginning of names such as x-internal-*",
    "server"
);
by_text!(
    ClientId,
    "client-id",
    "a client id as the developer console shows it",
    "0123456789abcdef"
);
by_text!(
    HostPattern,
    "host-pattern",
    "a host such as profile.internal, without a port, or all below one such as *.internal",
    "profile.internal"
);
by_text!(
    Metascope,
    "metascope",
    "a metascope such as ent_dataservices_sdk, or its whole URL",
    "ent_dataservices_sdk"
);
by_text!(
    OperationPattern,
    "operation-pattern",
    "the name of an operation such as entities.read, or a group of them such as exports.*",
    "entities.read"
);
by_text!(
    OrgId,
    "organization-id",
    "an organisation id such as 0A1B2C3D4E5F60718293A4B5@AdobeOrg",
    "0A1B2C3D4E5F60718293A4B5@AdobeOrg"
);
by_text!(
    Origin,
    "origin-url",
    "a URL such as https://platform.adobe.io",
    "https://platform.adobe.io"
);
by_text!(
    Prefix,
    "path-prefix",
    "the beginning of paths in whole segments, such as /data/core",
    "/data/core"
);
by_text!(
    SandboxName,
    "sandbox-name",
    "a sandbox name such as prod or dev-2",
    "dev-2"
);
by_text!(
    Server,
    "server",
    "a host and a port such as redis.internal:6379",
    "redis.internal:6379"
);
by_text!(
    Sign,
    "refusal-sign",
    "one of the statuses 400, 401 and 403, or an error code such as 401013",
    "401013"
);
by_text!(
    TechnicalAccount,
    "technical-account",
    "a technical account such as 1122334455667788990011AA@techacct.adobe.com",
    "1122334455667788990011AA@techacct.adobe.com"
);
by_text!(
    Template,
    "path-template",
    "a path template such as /data/core/ups/{*rest}",
    "/data/core/ups/{*rest}"
);

by_text!(
    Url,
    "document-url",
    "a URL such as https://login.example.com/keys",
    "https://login.example.com/keys"
);

impl Format for SocketAddr {
    const NAME: &'static str = "socket-address";
    const WHAT: &'static str = "an IP address and port such as 127.0.0.1:8080 or [::]:8080";
    const EXAMPLE: &'static str = "127.0.0.1:8080";

    fn parse(text: &str) -> Result<Self, String> {
        text.parse().map_err(|_| format!("must be {}", Self::WHAT))
    }

    fn show(&self) -> String {
        self.to_string()
    }
}

impl Format for Secret {
    const NAME: &'static str = "secret";
    const WHAT: &'static str = "a secret of visible ASCII characters";
    const EXAMPLE: &'static str = "${file:/var/run/secrets/ims/current}";

    fn parse(text: &str) -> Result<Self, String> {
        if text.bytes().all(|byte| byte.is_ascii_graphic()) && !text.is_empty() {
            Ok(Self::new(text.to_owned()))
        } else {
            Err("may hold only visible ASCII characters, without blanks or line breaks".to_owned())
        }
    }

    fn show(&self) -> String {
        "(secret)".to_owned()
    }
}

impl Format for SealingKey {
    const NAME: &'static str = "encryption-key";
    const WHAT: &'static str = "a key of 32 bytes in base64, or 64 hexadecimal digits";
    // It has to be legal, and so plainly no secret that nobody takes it for one; as a key it is refused.
    const EXAMPLE: &'static str =
        "0000000000000000000000000000000000000000000000000000000000000000";

    fn parse(text: &str) -> Result<Self, String> {
        text.parse().map_err(|error: InvalidKey| error.to_string())
    }

    fn show(&self) -> String {
        "(secret)".to_owned()
    }
}

/// A private key as it is written. What is wrong with it is told when it is read, since that needs more words.
#[derive(Clone, Debug)]
pub(super) struct Pem(pub(super) Secret);

impl Format for Pem {
    const NAME: &'static str = "pem-private-key";
    const WHAT: &'static str = "a private key in PEM";
    const EXAMPLE: &'static str = "${file:/var/run/secrets/ims/private.key}";

    fn parse(text: &str) -> Result<Self, String> {
        Ok(Self(Secret::new(text.to_owned())))
    }

    fn show(&self) -> String {
        "(secret)".to_owned()
    }
}

/// What a certificate says of whom it was made for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct CertificateText(pub(super) String);

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

/// A network in CIDR notation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Cidr(pub(super) IpNet);

impl Format for Cidr {
    const NAME: &'static str = "cidr";
    const WHAT: &'static str = "a network such as 10.1.0.0/16 or fd00::/8";
    const EXAMPLE: &'static str = "10.1.0.0/16";

    fn parse(text: &str) -> Result<Self, String> {
        let net: IpNet = text
            .parse()
            .map_err(|_| format!("must be {}", Self::WHAT))?;
        if net.addr() == net.network() {
            Ok(Self(net))
        } else {
            Err(format!(
                "has address bits after the prefix; the network is {}",
                net.trunc()
            ))
        }
    }

    fn show(&self) -> String {
        self.0.to_string()
    }
}

/// The name of a header field that callers show a proof in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct FieldName(pub(super) HeaderName);

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

/// The name of a host, as callers address it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct HostName(pub(super) String);

impl Format for HostName {
    const NAME: &'static str = "host-name";
    const WHAT: &'static str =
        "a host name in lower case, without a port, such as profile.internal";
    const EXAMPLE: &'static str = "profile.internal";

    fn parse(text: &str) -> Result<Self, String> {
        let legal = |byte: u8| {
            byte.is_ascii_lowercase() || byte.is_ascii_digit() || matches!(byte, b'-' | b'.' | b'_')
        };
        if !text.is_empty() && text.len() <= 253 && text.bytes().all(legal) {
            Ok(Self(text.to_owned()))
        } else {
            Err(format!("must be {}", Self::WHAT))
        }
    }

    fn show(&self) -> String {
        self.0.clone()
    }
}

/// The digest of an API key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct KeyDigest(pub(super) identify::KeyDigest);

impl Format for KeyDigest {
    const NAME: &'static str = "sha256-digest";
    const WHAT: &'static str = "a SHA-256 digest in 64 hexadecimal digits";
    const EXAMPLE: &'static str =
        "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08";

    fn parse(text: &str) -> Result<Self, String> {
        let digest = text.parse().map(Self);
        digest.map_err(|_| format!("must be {}", Self::WHAT))
    }

    fn show(&self) -> String {
        self.0.to_string()
    }
}

/// A proxy for egress, or the decision to use none.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum EgressProxy {
    None,
    Through(Proxy),
}

impl Format for EgressProxy {
    const NAME: &'static str = "egress-proxy";
    const WHAT: &'static str = "none, or a proxy's URL such as http://proxy.example.com:3128";
    const EXAMPLE: &'static str = "http://proxy.example.com:3128";

    fn parse(text: &str) -> Result<Self, String> {
        if text == "none" {
            return Ok(Self::None);
        }
        let proxy = text.parse();
        proxy
            .map(Self::Through)
            .map_err(|error: InvalidProxy| error.to_string())
    }

    fn show(&self) -> String {
        match self {
            Self::None => "none".to_owned(),
            // Without the login, which is a secret.
            Self::Through(proxy) => match (proxy.to_string(), proxy.has_login()) {
                (shown, false) => shown,
                (shown, true) => shown.replacen("://", "://(secret)@", 1),
            },
        }
    }
}

/// A user of a server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Username(pub(super) String);

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

/// The name of a route or credential: a label in logs, metrics and answers.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Name(pub(super) String);

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

/// What a token says of who signed it, or for whom.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Claim(pub(super) String);

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

/// The absolute path of a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct FilePath(pub(super) PathBuf);

impl Format for FilePath {
    const NAME: &'static str = "file-path";
    const WHAT: &'static str = "an absolute path such as /etc/ssl/corporate.pem";
    const EXAMPLE: &'static str = "/etc/ssl/corporate.pem";

    fn parse(text: &str) -> Result<Self, String> {
        if Path::new(text).is_absolute() && !text.contains('\0') {
            Ok(Self(text.into()))
        } else {
            Err(format!("must be {}", Self::WHAT))
        }
    }

    fn show(&self) -> String {
        self.0.display().to_string()
    }
}

/// A user or group of this machine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Account {
    /// By its name.
    Name(String),
    /// By its number.
    Number(u32),
}

impl Format for Account {
    const NAME: &'static str = "account";
    const WHAT: &'static str = "the name or number of a user or group";
    const EXAMPLE: &'static str = "1000";

    fn parse(text: &str) -> Result<Self, String> {
        let legal = |byte: u8| byte.is_ascii_alphanumeric() || b"._-$".contains(&byte);
        if text.is_empty() || !text.bytes().all(legal) {
            return Err(format!("must be {}", Self::WHAT));
        }
        if !text.bytes().all(|byte| byte.is_ascii_digit()) {
            return Ok(Self::Name(text.to_owned()));
        }
        // The greatest stands for no change at all (chown(2)).
        match text.parse() {
            Ok(number) if number < u32::MAX => Ok(Self::Number(number)),
            _ => Err("must be a number below 4294967295, or a name".to_owned()),
        }
    }

    fn show(&self) -> String {
        match self {
            Self::Name(name) => name.clone(),
            Self::Number(number) => number.to_string(),
        }
    }
}

/// The permissions of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct FileMode(pub(super) u32);

impl Format for FileMode {
    const NAME: &'static str = "file-mode";
    const WHAT: &'static str = "permissions in octal digits such as 0660";
    const EXAMPLE: &'static str = "0660";

    fn parse(text: &str) -> Result<Self, String> {
        let octal = |byte: u8| (b'0'..=b'7').contains(&byte);
        match u32::from_str_radix(text, 8) {
            Ok(mode)
                if mode <= 0o777 && (3..=4).contains(&text.len()) && text.bytes().all(octal) =>
            {
                Ok(Self(mode))
            }
            _ => Err(format!("must be {}, up to 0777", Self::WHAT)),
        }
    }

    fn show(&self) -> String {
        format!("{:04o}", self.0)
    }
}

/// The path of a URL.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct UrlPath(pub(super) String);

impl Format for UrlPath {
    const NAME: &'static str = "url-path";
    const WHAT: &'static str = "an absolute path such as /ims/token/v3";
    const EXAMPLE: &'static str = "/ims/token/v3";

    fn parse(text: &str) -> Result<Self, String> {
        let uri = text.parse::<http::Uri>().ok();
        if uri.is_some_and(|uri| {
            text.starts_with('/') && !text.starts_with("//") && uri.path() == text
        }) {
            Ok(Self(text.to_owned()))
        } else {
            Err(format!("must be {}, without a query", Self::WHAT))
        }
    }

    fn show(&self) -> String {
        self.0.clone()
    }
}

/// One scope, or several separated by commas.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Scope(pub(super) String);

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

/// Something a caller may send only where a route lets it through.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Guarded {
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
pub(super) struct MatchField(pub(super) HeaderName);

impl Format for MatchField {
    const NAME: &'static str = "match-field";
    const WHAT: &'static str = "the name of a header field such as x-team";
    const EXAMPLE: &'static str = "x-team";

    fn parse(text: &str) -> Result<Self, String> {
        match text.parse::<HeaderName>() {
            Ok(HOST) => Err("names Host, which `host` beside `headers` is for".to_owned()),
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
pub(super) struct FieldValue(pub(super) String);

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

/// The name of an operation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct OperationName(pub(super) String);

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

const MOST_NAME_BYTES: usize = 64;
const MOST_CLAIM_BYTES: usize = 512;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_example_is_legal_and_every_name_unique() {
        for (index, known) in FORMATS.iter().enumerate() {
            assert!(
                FORMATS
                    .iter()
                    .skip(index + 1)
                    .all(|other| other.name != known.name)
            );
        }
        assert!(Claim::parse(Claim::EXAMPLE).is_ok() && Url::parse(Url::EXAMPLE).is_ok());
        assert!(Name::parse(Name::EXAMPLE).is_ok() && Scope::parse(Scope::EXAMPLE).is_ok());
        assert!(
            Template::parse(Template::EXAMPLE).is_ok() && Origin::parse(Origin::EXAMPLE).is_ok()
        );
        assert!(OrgId::parse(OrgId::EXAMPLE).is_ok() && Secret::parse(Secret::EXAMPLE).is_ok());
        assert!(SealingKey::parse(SealingKey::EXAMPLE).is_ok());
        assert!(
            Server::parse(Server::EXAMPLE).is_ok() && Username::parse(Username::EXAMPLE).is_ok()
        );
        assert!(
            Guarded::parse(Guarded::EXAMPLE).is_ok() && UrlPath::parse(UrlPath::EXAMPLE).is_ok()
        );
    }

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
        assert!(OperationName::parse("consents").is_ok());
        for wrong in ["unknown.read", "a.b.c", "a-b", "", &"a".repeat(65)] {
            assert!(OperationName::parse(wrong).is_err(), "{wrong:?}");
        }
    }

    #[test]
    fn a_mode_is_octal_and_an_account_a_name_or_a_number() {
        assert_eq!(FileMode::parse("0660"), Ok(FileMode(0o660)));
        assert_eq!(FileMode::parse("777"), Ok(FileMode(0o777)));
        assert_eq!(FileMode(0o600).show(), "0600");
        for wrong in ["", "66", "0680", "1777", "00660", "+660", "rw-"] {
            assert!(FileMode::parse(wrong).is_err(), "{wrong}");
        }
        assert_eq!(Account::parse("0"), Ok(Account::Number(0)));
        assert_eq!(
            Account::parse("www-data"),
            Ok(Account::Name("www-data".to_owned()))
        );
        for wrong in ["", "a b", "a:b", "4294967295", "99999999999"] {
            assert!(Account::parse(wrong).is_err(), "{wrong}");
        }
    }

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
    fn a_url_path_has_no_query_or_host() {
        assert!(UrlPath::parse("/ims/token/v3").is_ok());
        for wrong in [
            "",
            "ims",
            "/a?b",
            "/a b",
            "//host/a",
            "https://host/a",
            "/a#b",
            "*",
        ] {
            assert!(UrlPath::parse(wrong).is_err(), "{wrong}");
        }
    }
}
