//! The credentials, in the order they are written.

use super::{Cross, grants};
use crate::config::file::File;
use crate::config::path::top;
use crate::ims::CredentialSettings;

/// Makes the settings of the credentials.
pub(super) fn build(file: &File, cross: &mut Cross<'_>) -> Vec<CredentialSettings> {
    let mut built: Vec<CredentialSettings> = Vec::new();
    for name in cross.names("credentials") {
        let Some(credential) = file.credentials.get(&name) else {
            continue;
        };
        let path = top("credentials").key(&name);
        let secrets = path.key("client_secrets");
        if let [first, second] = credential.client_secrets.as_slice()
            && first.0.expose() == second.0.expose()
        {
            cross.fault(
                &secrets.index(1),
                &[&secrets],
                "is the same secret as the first",
                |fault| {
                    fault.help("a second secret is for rotation; leave it out until there is one")
                },
            );
        }
        built.push(CredentialSettings {
            organization: credential.organization.0.clone(),
            client_id: credential.client_id.0.clone(),
            client_secrets: credential
                .client_secrets
                .iter()
                .map(|secret| secret.0.clone())
                .collect(),
            grant: grants::build(credential, &path, cross),
            required: credential.required,
            name,
        });
    }
    built
}
