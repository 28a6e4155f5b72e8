//! The ways to get a token, and what each sends.

use percent_encoding::utf8_percent_encode;

use super::CredentialSettings;
use super::answer::Unit;
use super::assertion::ServiceAccount;
use crate::secret::{Secret, UNRESERVED};

/// A way to get a token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Grant {
    /// OAuth server-to-server.
    ClientCredentials {
        /// The scopes, comma-separated as the developer console shows them.
        scopes: String,
        /// Whether the organisation is named in the call, for a credential that serves several. Default: no.
        send_org_id: bool,
    },
    /// The older service account, which shows a signed assertion.
    JwtExchange(ServiceAccount),
}

impl Grant {
    /// Returns the name that configuration and documents give it.
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::ClientCredentials { .. } => "client_credentials",
            Self::JwtExchange(_) => "jwt_exchange",
        }
    }

    /// Returns what it asks for, in words that are the same for the same and differ else.
    pub fn asks_for(&self) -> String {
        match self {
            Self::ClientCredentials { scopes, .. } => format!("scopes {scopes}"),
            Self::JwtExchange(account) => {
                let metascopes: Vec<_> =
                    account.metascopes.iter().map(ToString::to_string).collect();
                format!("{} {}", account.technical_account, metascopes.join(","))
            }
        }
    }

    /// Returns the unit of `expires_in` at the grant's endpoint.
    ///
    /// It follows from the endpoint and not from the number: a day in seconds is also a minute and a half in
    /// milliseconds, and clients that guessed have been wrong in both directions.
    pub fn unit(&self) -> Unit {
        match self {
            Self::ClientCredentials { .. } => Unit::Seconds,
            Self::JwtExchange(_) => Unit::Milliseconds,
        }
    }
}

/// The paths of token calls.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Paths {
    /// With an assertion. Default `/ims/exchange/jwt`.
    pub exchange: String,
    /// With client credentials. Default `/ims/token/v3`.
    pub token: String,
}

impl Paths {
    /// Returns the path of the call that `grant` makes.
    pub fn of(&self, grant: &Grant) -> &str {
        match grant {
            Grant::ClientCredentials { .. } => &self.token,
            Grant::JwtExchange(_) => &self.exchange,
        }
    }
}

/// Writes the form of a token call. It goes into the body only: query strings end up in logs.
///
/// `assertion` is what a service account shows; other grants have none.
pub(super) fn form(
    credential: &CredentialSettings,
    secret: &Secret,
    assertion: Option<&Secret>,
) -> String {
    let mut form = Form::default();
    if let Grant::ClientCredentials { .. } = &credential.grant {
        form.add("grant_type", "client_credentials");
    }
    form.add("client_id", credential.client_id.as_str());
    form.add("client_secret", secret.expose());
    if let Grant::ClientCredentials {
        scopes,
        send_org_id,
    } = &credential.grant
    {
        form.add("scope", scopes);
        if *send_org_id {
            form.add("org_id", credential.organization.as_str());
        }
    }
    if let Some(assertion) = assertion {
        form.add("jwt_token", assertion.expose());
    }
    form.0
}

/// Fields as `application/x-www-form-urlencoded` writes them.
#[derive(Default)]
struct Form(String);

impl Form {
    fn add(&mut self, name: &str, value: &str) {
        if !self.0.is_empty() {
            self.0.push('&');
        }
        self.0.push_str(name);
        self.0.push('=');
        self.0.extend(utf8_percent_encode(value, UNRESERVED));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ims::assertion::SigningKey;

    fn credential(grant: Grant) -> CredentialSettings {
        CredentialSettings {
            name: "c".to_owned(),
            organization: "o@AdobeOrg".parse().unwrap(),
            client_id: "id&x".parse().unwrap(),
            client_secrets: Vec::new(),
            grant,
            required: true,
        }
    }

    #[test]
    fn the_form_escapes_what_would_break_it() {
        let credential = credential(Grant::ClientCredentials {
            scopes: "openid, AdobeID".to_owned(),
            send_org_id: false,
        });

        let form = form(&credential, &Secret::new("p8e-a+b=c&d%é".to_owned()), None);

        assert_eq!(
            form,
            "grant_type=client_credentials&client_id=id%26x&client_secret=p8e-a%2Bb%3Dc%26d%25%C3%A9\
             &scope=openid%2C%20AdobeID"
        );
    }

    #[test]
    fn the_organisation_is_named_only_where_it_is_asked_for() {
        let credential = credential(Grant::ClientCredentials {
            scopes: "openid".to_owned(),
            send_org_id: true,
        });

        let form = form(&credential, &Secret::new("s".to_owned()), None);

        assert!(
            form.ends_with("&scope=openid&org_id=o%40AdobeOrg"),
            "{form}"
        );
    }

    #[test]
    fn a_service_account_shows_its_assertion_and_asks_for_no_scope() {
        let key = include_str!("../../tests/keys/rsa-pkcs8.pem");
        let credential = credential(Grant::JwtExchange(ServiceAccount {
            technical_account: "a@techacct.adobe.com".parse().unwrap(),
            key: SigningKey::from_pem(key).unwrap(),
            metascopes: Vec::new(),
        }));
        let assertion = Secret::new("a.b.c".to_owned());

        let form = form(&credential, &Secret::new("s".to_owned()), Some(&assertion));

        assert_eq!(form, "client_id=id%26x&client_secret=s&jwt_token=a.b.c");
        assert_eq!(credential.grant.unit(), Unit::Milliseconds);
    }
}
