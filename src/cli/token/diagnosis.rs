//! What a failed token call means, whose fault it is, and what to do about it.

use http::StatusCode;

use super::report::{Report, span};
use crate::error::Reason;
use crate::ims::answer::{Class, Failure, Refusal};
use crate::ims::mint::TOLERATED_S;

/// A failure in plain words.
#[derive(Debug)]
pub(super) struct Diagnosis {
    pub(super) side: Side,
    pub(super) meaning: String,
    /// What to do, the most likely first.
    pub(super) steps: Vec<String>,
}

/// Who has to do something.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Side {
    Configuration,
    Gateway,
    Ims,
    Network,
}

impl Side {
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Configuration => "configuration",
            Self::Gateway => "gateway",
            Self::Ims => "ims",
            Self::Network => "network",
        }
    }

    pub(super) fn described(self) -> &'static str {
        match self {
            Self::Configuration => "the configuration's, or that of the project in Adobe's console",
            Self::Gateway => "the gateway's, or that of the machine it runs on",
            Self::Ims => "IMS's",
            Self::Network => "the network's, between here and IMS",
        }
    }
}

/// Returns what a failure means.
pub(super) fn diagnose(failure: &Failure, report: &Report<'_>) -> Diagnosis {
    let (side, meaning, mut steps) = match (failure.refusal, failure.class) {
        (_, Class::Throttled) => throttled(failure),
        (_, Class::Unwell) => unwell(),
        (Some(refusal), _) => refused(refusal, failure, report),
        (None, Class::Client) => refused(Refusal::InvalidClient, failure, report),
        (None, Class::Unreachable) => unreachable(failure.broke_at),
        (None, Class::Answer) => no_answer(failure),
        (None, Class::Configuration) => unknown_refusal(failure, report),
    };
    if let Some(id) = &failure.debug_id
        && matches!(side, Side::Ims | Side::Configuration)
    {
        steps.push(format!(
            "if that does not help, give Adobe's support the x-debug-id {id}"
        ));
    }
    Diagnosis {
        side,
        meaning,
        steps,
    }
}

type Words = (Side, String, Vec<String>);

fn words(side: Side, meaning: &str, steps: &[&str]) -> Words {
    let steps = steps.iter().map(|step| (*step).to_owned()).collect();
    (side, meaning.to_owned(), steps)
}

/// What each of IMS's own words means.
fn refused(refusal: Refusal, failure: &Failure, report: &Report<'_>) -> Words {
    let configured = |meaning, steps| words(Side::Configuration, meaning, steps);
    let several = report.credential.client_secrets.len() > 1;
    match refusal {
        Refusal::InvalidClient => configured(
            if several {
                "IMS does not know this client id with either of the secrets"
            } else {
                "IMS does not know this client id with this secret"
            },
            &[
                "check that client_id is the one the console shows for this credential",
                "check that the secret is whole, and still listed in the console: deleted ones stop working at once",
                "check that the file or variable the secret comes from is the current one",
                "check that ims.url is the environment the project is in",
            ],
        ),
        Refusal::InvalidScope if report.is_exchange() => configured(
            "IMS does not give this service account one of the metascopes",
            &[
                "check `metascopes` against those the console shows for the credential",
                "check that the Experience Platform API is added to the project",
            ],
        ),
        Refusal::InvalidScope => configured(
            "IMS does not give this client one of the scopes",
            &[
                "check `scopes` against those the console shows for the credential",
                "check that the Experience Platform API is added to the project",
            ],
        ),
        Refusal::UnauthorizedClient if report.is_exchange() => configured(
            "this client may not use jwt_exchange; Adobe has been moving service accounts to client_credentials",
            &[
                "look in the console: if it is an OAuth server-to-server credential now, write grant: client_credentials",
            ],
        ),
        Refusal::UnauthorizedClient => configured(
            "this client may not use client_credentials",
            &[
                "look in the console: a service account (JWT) needs grant: jwt_exchange, or has to be migrated",
            ],
        ),
        Refusal::InvalidToken if report.is_exchange() => stale(failure),
        Refusal::InvalidSignature if report.is_exchange() => configured(
            "the assertion was signed with a key that belongs to none of the credential's certificates",
            &[
                "check that private_key is the one whose certificate the console shows",
                "check in the console that the certificate has not expired",
            ],
        ),
        Refusal::BadRequest if report.is_exchange() => configured(
            "IMS does not take one of the claims in the assertion",
            &[
                "check organization, client_id and technical_account, with what follows their @, and metascopes",
            ],
        ),
        Refusal::BadRequest
        | Refusal::InvalidRequest
        | Refusal::InvalidSignature
        | Refusal::InvalidToken => configured(
            "IMS misses something in the call, or does not take it",
            &[
                "check that ims.token_path and ims.exchange_path are those of Adobe",
                "with send_org_id, check that the credential serves this organization",
            ],
        ),
        Refusal::InternalError => unwell(),
    }
}

fn stale(failure: &Failure) -> Words {
    let meaning = "IMS found the assertion expired or unreadable, and a second one too";
    match failure.clock_ahead_s {
        Some(ahead_s) if ahead_s.unsigned_abs() > TOLERATED_S => words(
            Side::Gateway,
            meaning,
            &[
                "set this machine's clock, which differs from IMS's: an assertion counts for five minutes",
            ],
        ),
        _ => words(
            Side::Configuration,
            meaning,
            &[
                "check this machine's clock",
                "check organization, client_id and technical_account",
            ],
        ),
    }
}

fn throttled(failure: &Failure) -> Words {
    let pause = match failure.retry_after {
        Some(pause) => format!("wait for {}, as IMS asks, and try again", span(pause)),
        None => "wait a minute, and try again".to_owned(),
    };
    let steps = vec![
        pause,
        "look for programs that fetch a token for each call with this client id; the gateway keeps its own for hours"
            .to_owned(),
    ];
    let meaning = "IMS is busy, or this client has asked it too often".to_owned();
    (Side::Ims, meaning, steps)
}

fn unwell() -> Words {
    words(
        Side::Ims,
        "IMS, or what stands in front of it, failed",
        &[
            "try again in a minute, and look at status.adobe.com",
            "if it stays, and the credential was migrated from JWT to OAuth lately, check its state in the console",
        ],
    )
}

/// Where the way to IMS broke.
fn unreachable(broke_at: Option<Reason>) -> Words {
    let (meaning, steps): (_, &[&str]) = if broke_at == Some(Reason::UpstreamName) {
        (
            "the name in ims.url cannot be resolved",
            &[
                "check the spelling of ims.url",
                "check that this machine or pod may ask a name server, or set ims.address",
            ],
        )
    } else if broke_at == Some(Reason::UpstreamConnect) {
        (
            "nothing answers at the address of IMS",
            &[
                "check that egress to the host and port of ims.url is allowed: firewall, network policy",
                "check ims.address, if it is set",
                "check ims.egress_proxy, or HTTPS_PROXY in the environment, if this network has a proxy",
            ],
        )
    } else if broke_at == Some(Reason::UpstreamTls) {
        (
            "TLS was not established: as a rule, the certificate that was shown is not one for IMS that this machine trusts",
            &[
                "if a proxy on the way ends TLS, write its authority's certificate into ims.ca_file",
                "check the host in ims.url, and where ims.address leads",
            ],
        )
    } else if broke_at.is_none() {
        // Whether IMS was reached is not known: it may be what a firewall swallows.
        (
            "IMS did not answer within ims.timeout, or not to the end",
            &[
                "try again: one slow answer is no pattern",
                "if it stays, check that egress to the host and port of ims.url is allowed: firewall, network policy",
                "look for a proxy on the way, or raise ims.timeout",
            ],
        )
    } else {
        (
            "the connection to IMS broke before there was a whole answer",
            &[
                "try again: one broken connection is no pattern",
                "if it stays, look for a proxy on the way",
            ],
        )
    };
    words(Side::Network, meaning, steps)
}

fn no_answer(failure: &Failure) -> Words {
    let redirected = failure.status.is_some_and(|status| status.is_redirection());
    words(
        Side::Network,
        if redirected {
            "what answered sends the gateway elsewhere, which it does not follow, and IMS does not do"
        } else {
            "what answered gave no token that can be used"
        },
        &[
            "check that ims.url and the path are those of Adobe",
            "look for something between here and IMS that answers in its place, such as a proxy with a login page",
        ],
    )
}

/// Refusals without a word that is known.
fn unknown_refusal(failure: &Failure, report: &Report<'_>) -> Words {
    let key = if report.is_exchange() {
        "ims.exchange_path"
    } else {
        "ims.token_path"
    };
    match failure.status {
        Some(StatusCode::NOT_FOUND | StatusCode::METHOD_NOT_ALLOWED) => (
            Side::Configuration,
            "there is no token call at this address".to_owned(),
            vec![format!("check ims.url and {key}")],
        ),
        Some(StatusCode::FORBIDDEN | StatusCode::PROXY_AUTHENTICATION_REQUIRED) => words(
            Side::Network,
            "the call is not let through; IMS itself gives other answers",
            &["look for a proxy or firewall between here and IMS, and let the gateway pass"],
        ),
        _ => words(
            Side::Configuration,
            "IMS does not take the call, for a reason this program does not know",
            &["read what IMS said, and look at the credential in the console"],
        ),
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::cli::token::report::Attempt;
    use crate::config::{self, Supplied};
    use crate::ims::CredentialSettings;

    fn credential(grant: &str) -> CredentialSettings {
        let key = include_str!("../../../tests/keys/rsa-pkcs8.pem");
        let text = format!(
            "sandboxes: {{ prod: {{}} }}\n\
             credentials: {{ a: {{ organization: o@AdobeOrg, client_id: x, client_secrets: [y]{grant} }} }}\n"
        );
        let files = Supplied::default().with_file("/key", key);
        let settings = config::parse("test.yaml", &text, &files);
        settings.unwrap().ims.credentials.remove(0)
    }

    fn of(failure: &Failure, credential: &CredentialSettings) -> Diagnosis {
        let attempt = Attempt {
            tried: 1,
            took: Duration::ZERO,
            result: Err(failure.clone()),
        };
        let report = Report {
            credential,
            endpoint: String::new(),
            attempt,
        };
        diagnose(failure, &report)
    }

    const EXCHANGE: &str = ", grant: { jwt_exchange: { technical_account: 'a@techacct.adobe.com', \
        private_key: '${file:/key}', metascopes: [x] } }";

    #[test]
    fn each_word_of_ims_has_a_meaning_of_its_own_and_something_to_do() {
        for grant in ["", EXCHANGE] {
            let credential = credential(grant);
            let mut meanings = Vec::new();
            for refusal in Refusal::ALL {
                let failure = Failure {
                    refusal: Some(*refusal),
                    ..Failure::new(Class::Configuration, "")
                };
                let diagnosis = of(&failure, &credential);

                assert!(!diagnosis.steps.is_empty(), "{refusal:?}");
                meanings.push(diagnosis.meaning);
            }
            meanings.sort();
            meanings.dedup();
            // Without an assertion nothing is wrong with one, and what else is wrong is the request.
            let same = if grant.is_empty() { 3 } else { 0 };
            assert_eq!(meanings.len(), Refusal::ALL.len() - same, "{meanings:?}");
            let speaks = meanings.iter().any(|it| it.contains("assertion"));
            assert_eq!(speaks, !grant.is_empty(), "{meanings:?}");
        }
    }

    #[test]
    fn whoever_is_at_fault_is_named() {
        let (credential, exchange) = (credential(""), credential(EXCHANGE));
        let failure = |class| Failure::new(class, "");
        let broke = |broke_at| Failure {
            broke_at: Some(broke_at),
            ..failure(Class::Unreachable)
        };
        let status = |status| Failure {
            status: Some(status),
            ..failure(Class::Configuration)
        };
        let clock = |clock_ahead_s| Failure {
            clock_ahead_s: Some(clock_ahead_s),
            refusal: Some(Refusal::InvalidToken),
            ..failure(Class::Configuration)
        };
        for (failure, side, word) in [
            (failure(Class::Client), Side::Configuration, "client id"),
            (failure(Class::Throttled), Side::Ims, "too often"),
            (failure(Class::Unwell), Side::Ims, "failed"),
            (failure(Class::Answer), Side::Network, "no token"),
            (
                failure(Class::Unreachable),
                Side::Network,
                "within ims.timeout",
            ),
            (
                broke(Reason::UpstreamReset),
                Side::Network,
                "connection to IMS broke",
            ),
            (broke(Reason::UpstreamName), Side::Network, "resolved"),
            (
                broke(Reason::UpstreamConnect),
                Side::Network,
                "nothing answers",
            ),
            (broke(Reason::UpstreamTls), Side::Network, "certificate"),
            (
                status(StatusCode::NOT_FOUND),
                Side::Configuration,
                "no token call",
            ),
            (
                status(StatusCode::FORBIDDEN),
                Side::Network,
                "not let through",
            ),
            (
                status(StatusCode::BAD_REQUEST),
                Side::Configuration,
                "does not know",
            ),
            (clock(10), Side::Configuration, "expired"),
            (clock(-90), Side::Gateway, "expired"),
        ] {
            let is_of_assertion = failure.refusal.is_some();
            let credential = if is_of_assertion {
                &exchange
            } else {
                &credential
            };
            let diagnosis = of(&failure, credential);

            assert_eq!(diagnosis.side, side, "{word}");
            assert!(diagnosis.meaning.contains(word), "{}", diagnosis.meaning);
        }
    }

    #[test]
    fn a_pause_and_the_number_for_support_are_told() {
        let failure = Failure {
            retry_after: Some(Duration::from_secs(77)),
            debug_id: Some("abc-1".to_owned()),
            ..Failure::new(Class::Throttled, "")
        };

        let steps = of(&failure, &credential("")).steps.join("\n");

        assert!(
            steps.contains("wait for 1m 17s") && steps.contains("abc-1"),
            "{steps}"
        );
    }
}
