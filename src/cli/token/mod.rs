//! `token`: asks IMS once, and shows what came of it.

mod diagnosis;
mod human;
mod json;
mod report;

use std::time::Duration;

use clap::Args;
use tokio::task::LocalSet;
use tokio::time::Instant;

use self::report::{Attempt, Report};
use super::terminal::{complain, complain_of, print};
use super::{Config, Exit, Output, serve};
use crate::config::nearest::nearest;
use crate::config::{self, Process, Settings};
use crate::connect::Dialer;
use crate::ims::CredentialSettings;
use crate::ims::answer::{Class, Failure};
use crate::ims::mint::{Mint, TokenService};

/// Which credential is tried.
#[derive(Args, Debug)]
pub(super) struct Options {
    #[command(flatten)]
    config: Config,
    /// The credential to ask with, by its name in the configuration. May be left out when there is only one.
    #[arg(long, value_name = "NAME")]
    credential: Option<String>,
    /// How the outcome is printed.
    #[arg(long, value_enum, default_value_t = Output::Human)]
    format: Output,
}

/// Asks for a token as the configuration says.
///
/// The token itself, its signature and the client's secrets are never printed.
pub(super) fn token(options: &Options) -> Exit {
    let settings = match config::load(&options.config.config, &Process) {
        Ok(settings) => settings,
        Err(faults) => {
            match options.format {
                Output::Human => complain(&faults.to_string()),
                Output::Json => print(&faults.to_json().to_string()),
            }
            return Exit::Configuration;
        }
    };
    let credential = match choose(&settings.ims.credentials, options.credential.as_deref()) {
        Ok(credential) => credential,
        Err(message) => {
            complain(&format!("profile-gateway: {message}"));
            return Exit::Usage;
        }
    };
    let report = match ask(&settings, credential) {
        Ok(report) => report,
        Err(exit) => return exit,
    };
    match (&report.attempt.result, options.format) {
        (_, Output::Json) => print(&format!("{:#}", json::of(&report))),
        (Ok(_), Output::Human) => print(&human::of(&report)),
        (Err(_), Output::Human) => complain(&human::of(&report)),
    }
    match report.attempt.result {
        Ok(_) => Exit::Success,
        Err(_) => Exit::Failure,
    }
}

/// Finds the credential that is meant, or says why there is none.
fn choose<'a>(
    credentials: &'a [CredentialSettings],
    name: Option<&str>,
) -> Result<&'a CredentialSettings, String> {
    let names: Vec<&str> = credentials.iter().map(|it| it.name.as_str()).collect();
    let list = names.join(", ");
    let Some(name) = name else {
        return match credentials {
            [only] => Ok(only),
            _ => Err(format!(
                "there is more than one credential; say which with --credential: {list}"
            )),
        };
    };
    if let Some(known) = credentials.iter().find(|known| known.name == name) {
        return Ok(known);
    }
    let hint = match nearest(name, names) {
        Some(near) => format!("; did you mean `{near}`?"),
        None => ".".to_owned(),
    };
    Err(format!(
        "no credential is named `{}`{hint} There are: {list}",
        name.escape_debug()
    ))
}

/// Asks with one secret after the other until IMS knows one of them.
fn ask<'a>(settings: &'a Settings, credential: &'a CredentialSettings) -> Result<Report<'a>, Exit> {
    let runtime = serve::runtime()?;
    let dialer = Dialer::new(settings.ims.connect.clone()).map_err(|error| {
        complain_of(&error);
        Exit::Failure
    })?;
    let mint = Mint::new(&settings.ims, dialer);
    // The pool of a token call keeps its tasks on the thread.
    let attempt = LocalSet::new().block_on(&runtime, try_secrets(&mint, credential));
    Ok(Report {
        credential,
        endpoint: format!(
            "{}{}",
            settings.ims.connect.origin,
            settings.ims.paths.of(&credential.grant)
        ),
        attempt,
    })
}

async fn try_secrets(mint: &Mint, credential: &CredentialSettings) -> Attempt {
    let mut attempt = Attempt {
        tried: 0,
        took: Duration::ZERO,
        result: Err(Failure::new(
            Class::Configuration,
            "the credential has no client secret",
        )),
    };
    for secret in &credential.client_secrets {
        let begun = Instant::now();
        let result = mint.mint(credential, secret).await;
        let refused = result.as_ref().is_err_and(|it| it.class == Class::Client);
        attempt = Attempt {
            tried: attempt.tried + 1,
            took: begun.elapsed(),
            result,
        };
        if !refused {
            break;
        }
    }
    attempt
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Supplied;

    fn credentials() -> Vec<CredentialSettings> {
        let one = |name: &str| {
            format!("  {name}: {{ organization: o@AdobeOrg, client_id: x, client_secrets: [y] }}\n")
        };
        let text = format!(
            "credentials:\n{}{}sandboxes: {{ prod: {{}} }}\n\
             routes: [{{ name: a, match: {{ path: /a }}, credential: loyalty }}]\n",
            one("loyalty"),
            one("segments"),
        );
        let settings = config::parse("test.yaml", &text, &Supplied::default()).unwrap();
        settings.ims.credentials
    }

    #[test]
    fn the_only_credential_need_not_be_named() {
        let credentials = credentials();
        let chosen = |name, count| choose(&credentials[..count], name).map(|it| it.name.as_str());

        assert_eq!(chosen(None, 1), Ok("loyalty"));
        assert_eq!(chosen(Some("segments"), 2), Ok("segments"));
        assert_eq!(
            chosen(None, 2).unwrap_err(),
            "there is more than one credential; say which with --credential: loyalty, segments"
        );
    }

    #[test]
    fn an_unknown_name_brings_the_nearest_one_and_the_list() {
        let credentials = credentials();
        let message = |name| choose(&credentials, Some(name)).unwrap_err();

        assert_eq!(
            message("loyality"),
            "no credential is named `loyality`; did you mean `loyalty`? There are: loyalty, segments"
        );
        assert_eq!(
            message("x\u{1b}"),
            "no credential is named `x\\u{1b}`. There are: loyalty, segments"
        );
    }
}
