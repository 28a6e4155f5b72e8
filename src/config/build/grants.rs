//! How each credential gets its tokens.

use super::Cross;
use crate::config::file::{Credential, Grant, Scopes, ServiceAccount};
use crate::config::path::KeyPath;
use crate::ims;
use crate::ims::assertion::{self, SigningKey};

/// Makes the grant of the credential at `path`.
pub(super) fn build(credential: &Credential, path: &KeyPath, cross: &mut Cross<'_>) -> ims::Grant {
    let by_scopes = ims::Grant::ClientCredentials {
        scopes: scopes(&credential.scopes),
        send_org_id: credential.send_org_id,
    };
    let Grant::JwtExchange(grant) = &credential.grant else {
        return by_scopes;
    };
    let of_grant = path.key("grant");
    for (key, help) in [
        (
            "scopes",
            "take it out; what the token is for is in `metascopes`",
        ),
        (
            "send_org_id",
            "take it out; the assertion names the organisation",
        ),
    ] {
        let path = path.key(key);
        if cross.root.at(&path).is_some() {
            let message =
                "is of the grant client_credentials, and this credential has jwt_exchange";
            cross.fault(&path, &[&of_grant], message, |fault| fault.help(help));
        }
    }
    let path = of_grant.key("jwt_exchange");
    // What stands in for a key that is wrong counts no more than the rest of a configuration with faults.
    service_account(&grant.jwt_exchange, &path, cross).map_or(by_scopes, ims::Grant::JwtExchange)
}

fn service_account(
    file: &ServiceAccount,
    path: &KeyPath,
    cross: &mut Cross<'_>,
) -> Option<assertion::ServiceAccount> {
    check_metascopes(file, &path.key("metascopes"), cross);
    let key = match SigningKey::from_pem(file.private_key.0.0.expose()) {
        Ok(key) => key,
        Err(invalid) => {
            let path = path.key("private_key");
            cross.fault(&path, &[], invalid.to_string(), |fault| {
                fault.help(invalid.help())
            });
            return None;
        }
    };
    Some(assertion::ServiceAccount {
        technical_account: file.technical_account.0.clone(),
        key,
        metascopes: file
            .metascopes
            .iter()
            .map(|metascope| metascope.0.clone())
            .collect(),
    })
}

/// Reports metascopes that stand in the list twice, which would be one claim of the assertion.
fn check_metascopes(file: &ServiceAccount, path: &KeyPath, cross: &mut Cross<'_>) {
    for (index, metascope) in file.metascopes.iter().enumerate() {
        let mut before = file.metascopes.iter().take(index);
        if let Some(other) = before.position(|other| other.0 == metascope.0) {
            let message = "stands in the list twice";
            cross.fault(
                &path.index(index),
                &[&path.index(other)],
                message,
                |fault| fault,
            );
        }
    }
}

fn scopes(written: &Scopes) -> String {
    match written {
        Scopes::One(scopes) => scopes.0.0.clone(),
        Scopes::Several(scopes) => {
            let scopes: Vec<&str> = scopes.iter().map(|scope| scope.0.0.as_str()).collect();
            scopes.join(",")
        }
    }
}
