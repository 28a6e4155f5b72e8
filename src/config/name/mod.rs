//! Names, addresses, paths and secrets as configuration writes them.

mod addresses;
mod fields;
mod files;
mod secrets;
mod words;

use std::net::SocketAddr;
use std::str::FromStr;

pub(super) use addresses::{Cidr, EgressProxy, HostName, UrlPath};
pub(super) use fields::{FieldName, FieldValue, Guarded, MatchField};
pub(super) use files::{Account, FileMode, FilePath};
pub(super) use secrets::{KeyDigest, Pem};
pub(super) use words::{CertificateText, Claim, Name, OperationName, Scope, Username};

use super::format::{Format, Known};
use super::quantity::{ByteSize, Rate};
use crate::aep::{ClientId, OrgId, SandboxName, TechnicalAccount};
use crate::connect::Origin;
use crate::forward::{AnswerField, Sign};
use crate::ims::assertion::Metascope;
use crate::issuers::Url;
use crate::listener::Address;
use crate::rewrite::Prefix;
use crate::route::{HostPattern, OperationPattern, Template};
use crate::secret::Secret;
use crate::shared::{SealingKey, Server};

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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_is_unique() {
        for (index, known) in FORMATS.iter().enumerate() {
            let mut others = FORMATS.iter().skip(index + 1);
            assert!(others.all(|other| other.name != known.name), "{known:?}");
        }
    }
}
