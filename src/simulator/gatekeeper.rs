//! The checks Adobe's API gateway makes before a request reaches a service, in its order.

use http::StatusCode;

use super::Client;
use super::answer::Answer;
use super::call::Call;
use super::errors;
use super::tokens::Tokens;
use super::world::World;
use crate::aep::fields::X_SANDBOX_ID;
use crate::aep::{OrgId, OwnedField, SandboxName};

/// What the gateway compares a request with.
pub(super) struct Gatekeeper<'a> {
    pub(super) clients: &'a [Client],
    pub(super) tokens: &'a Tokens,
    pub(super) world: &'a World,
    pub(super) now_ms: u64,
}

/// A request that passed, and whose data it may touch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Admitted {
    pub(super) organization: OrgId,
    pub(super) sandbox: SandboxName,
}

impl Gatekeeper<'_> {
    /// Admits a request to one sandbox of one organisation.
    ///
    /// Without `x-sandbox-name` and `x-sandbox-id` that is the production sandbox, as at Adobe. A field that
    /// comes several times counts with its first copy.
    ///
    /// # Errors
    /// The refusal Adobe would send.
    pub(super) fn admit(&self, call: &Call) -> Result<Admitted, Answer> {
        // The audience ingestion service reports these faults in codes of its own.
        let ais = call.path.starts_with("/data/core/ais/");
        let header = |field: OwnedField| call.header(field.name());

        let key = header(OwnedField::ApiKey).ok_or_else(|| errors::API_KEY_MISSING.answer())?;
        if !self.clients.iter().any(|client| client.id.as_str() == key) {
            return Err(errors::API_KEY_INVALID.answer());
        }
        let token = header(OwnedField::Authorization)
            .and_then(|value| value.strip_prefix("Bearer "))
            .map(str::trim)
            .filter(|token| !token.is_empty());
        let Some(token) = token else {
            return Err(if ais {
                let title = "Missing authorization header";
                errors::ais("100920-401", StatusCode::UNAUTHORIZED, title)
            } else {
                errors::TOKEN_MISSING.answer()
            });
        };
        let Some(minted) = self.tokens.valid(token, self.now_ms) else {
            return Err(if ais {
                errors::ais("100911-400", StatusCode::BAD_REQUEST, "Invalid token")
            } else {
                errors::TOKEN_INVALID.answer()
            });
        };
        if minted.client.as_str() != key {
            return Err(errors::TOKEN_OF_ANOTHER_CLIENT.answer());
        }
        let Some(organization) = header(OwnedField::Organization) else {
            return Err(if ais {
                let title = "Missing x-gw-ims-org-id header";
                errors::ais("100920-401", StatusCode::UNAUTHORIZED, title)
            } else {
                errors::HEADER_MISSING.answer()
            });
        };
        if organization != minted.organization.as_str() {
            let known = self.world.has_organization(organization);
            return Err(match (ais, known) {
                (true, _) => {
                    let title = "Invalid organization ID";
                    errors::ais("100921-401", StatusCode::UNAUTHORIZED, title)
                }
                (false, true) => errors::NOT_ENTITLED.answer(),
                (false, false) => errors::REGION_MISSING.answer(),
            });
        }
        Ok(Admitted {
            sandbox: self.sandbox(&minted.organization, call)?,
            organization: minted.organization.clone(),
        })
    }

    fn sandbox(&self, organization: &OrgId, call: &Call) -> Result<SandboxName, Answer> {
        if let Some(name) = call.header(OwnedField::Sandbox.name()) {
            return self
                .world
                .sandbox_named(organization, name)
                .ok_or_else(|| errors::unknown_sandbox(name));
        }
        if let Some(id) = call.header(&X_SANDBOX_ID) {
            return self
                .world
                .sandbox_with_id(organization, id)
                .ok_or_else(|| errors::unknown_sandbox(id));
        }
        Ok(self.world.default_sandbox())
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use http::{HeaderMap, HeaderName, HeaderValue, Method};
    use serde_json::Value;

    use super::*;
    use crate::simulator::answer::Content;
    use crate::simulator::world::Seed;

    /// Header fields to set, or to leave out where the value is empty.
    type Changes<'a> = &'a [(&'a str, &'a str)];

    struct Fixture {
        clients: Vec<Client>,
        tokens: Tokens,
        world: World,
        token: String,
    }

    fn fixture() -> Fixture {
        let second = Client {
            id: "second".parse().unwrap(),
            organization: "FFFFFFFF@AdobeOrg".parse().unwrap(),
            ..Client::demo()
        };
        let clients = vec![Client::demo(), second];
        let mut tokens = Tokens::new(fastrand::Rng::with_seed(1));
        let token = tokens.mint(&clients[0], "openid", 0, 1000);
        let world = World::new(&Seed::of(
            &clients,
            &["dev".parse().unwrap(), "dev-2".parse().unwrap()],
        ));
        Fixture {
            clients,
            tokens,
            world,
            token,
        }
    }

    fn admit(
        fixture: &Fixture,
        now_ms: u64,
        path: &str,
        changes: Changes<'_>,
    ) -> Result<Admitted, (u16, String)> {
        let mut headers = HeaderMap::new();
        let token = format!("Bearer {}", fixture.token);
        for (name, value) in [
            ("x-api-key", "demo-client"),
            ("authorization", &token),
            ("x-gw-ims-org-id", Client::demo().organization.as_str()),
            ("x-sandbox-name", "dev-2"),
        ]
        .iter()
        .chain(changes)
        {
            let name: HeaderName = name.parse().unwrap();
            headers.remove(&name);
            if !value.is_empty() {
                headers.insert(name, HeaderValue::from_str(value).unwrap());
            }
        }
        let call = Call::new(&Method::GET, path, headers, Bytes::new());
        let gatekeeper = Gatekeeper {
            clients: &fixture.clients,
            tokens: &fixture.tokens,
            world: &fixture.world,
            now_ms,
        };
        gatekeeper.admit(&call).map_err(|refusal| {
            let Content::Bytes(body) = refusal.content else {
                panic!("a refusal is not streamed")
            };
            let body: Value = serde_json::from_slice(&body).unwrap();
            let code = body["error_code"].as_str().unwrap_or_default();
            (refusal.status.as_u16(), code.to_owned())
        })
    }

    const UPS: &str = "/data/core/ups/access/entities";
    const AIS: &str = "/data/core/ais/external-audience/1";

    #[test]
    fn each_field_is_checked_with_adobes_own_codes() {
        let fixture = fixture();
        let cases: [(&str, Changes<'_>, u16, &str); 14] = [
            (UPS, &[("x-api-key", "")], 403, "403000"),
            (
                UPS,
                &[("x-api-key", ""), ("authorization", "")],
                403,
                "403000",
            ),
            (UPS, &[("x-api-key", "nobody")], 403, "403003"),
            (UPS, &[("authorization", "")], 403, "403010"),
            (UPS, &[("authorization", "Bearer ")], 403, "403010"),
            (UPS, &[("authorization", "Bearer a.b.c")], 401, "401013"),
            (UPS, &[("x-api-key", "second")], 401, "401014"),
            (UPS, &[("x-gw-ims-org-id", "")], 400, "400003"),
            (
                UPS,
                &[("x-gw-ims-org-id", "FFFFFFFF@AdobeOrg")],
                403,
                "403025",
            ),
            (
                UPS,
                &[("x-gw-ims-org-id", "nobody@AdobeOrg")],
                403,
                "403027",
            ),
            (UPS, &[("x-sandbox-name", "dev-3")], 404, ""),
            (AIS, &[("authorization", "Bearer a.b.c")], 400, "100911-400"),
            (AIS, &[("x-gw-ims-org-id", "")], 401, "100920-401"),
            (
                AIS,
                &[("x-gw-ims-org-id", "nobody@AdobeOrg")],
                401,
                "100921-401",
            ),
        ];
        for (path, changes, status, code) in cases {
            let refusal = admit(&fixture, 0, path, changes).unwrap_err();

            assert_eq!(refusal, (status, code.to_owned()), "{path} {changes:?}");
        }
        assert!(admit(&fixture, 0, UPS, &[]).is_ok());
    }

    #[test]
    fn an_expired_token_is_not_valid() {
        let refusal = admit(&fixture(), 1000, UPS, &[]).unwrap_err();

        assert_eq!(refusal, (401, "401013".to_owned()));
    }

    #[test]
    fn the_sandbox_comes_from_name_then_id_and_else_is_production() {
        let fixture = fixture();
        let dev_id = fixture
            .world
            .sandbox_id(&Client::demo().organization, &"dev".parse().unwrap())
            .unwrap();
        let cases: [(Changes<'_>, &str); 4] = [
            (&[], "dev-2"),
            (&[("x-sandbox-id", &dev_id)], "dev-2"),
            (&[("x-sandbox-name", ""), ("x-sandbox-id", &dev_id)], "dev"),
            (&[("x-sandbox-name", "")], "prod"),
        ];
        for (changes, expected) in cases {
            let admitted = admit(&fixture, 0, UPS, changes).unwrap();

            assert_eq!(admitted.sandbox.as_str(), expected, "{changes:?}");
        }
    }
}
