//! How credentials say by which grant they get tokens.

use profile_gateway::config;
use profile_gateway::ims::{CredentialSettings, Grant};

use super::{BASE, PKCS1, PKCS8, faults, messages, sources};

/// The base with `more` keys of its credential.
fn with(more: &str) -> String {
    BASE.replace("sandboxes:", &format!("{more}sandboxes:"))
}

fn service_account(private_key: &str) -> String {
    with(&format!(
        "    grant:
      jwt_exchange:
        technical_account: 1122334455667788990011AA@techacct.adobe.com
        private_key: {private_key}
        metascopes: [ent_dataservices_sdk]
"
    ))
}

fn loaded(text: &str) -> CredentialSettings {
    let settings = config::parse("gateway.yaml", text, &sources()).expect("the text is legal");
    let mut credentials = settings.ims.credentials.into_iter();
    credentials.next().expect("there is one")
}

#[test]
fn client_credentials_are_the_default_and_may_be_written_out() {
    for more in ["", "    grant: client_credentials\n"] {
        let credential = loaded(&with(more));

        assert!(credential.required);
        let Grant::ClientCredentials {
            scopes,
            send_org_id,
        } = credential.grant
        else {
            panic!("another grant")
        };
        assert!(scopes.starts_with("openid,AdobeID,") && !send_org_id);
    }
    let more = loaded(&with("    send_org_id: true\n    required: false\n"));
    assert!(!more.required);
    assert!(format!("{:?}", more.grant).contains("send_org_id: true"));
}

#[test]
fn a_service_account_takes_its_key_in_both_forms_and_prints_none_of_it() {
    // A key that stands in the file itself, and two from files.
    let indented = PKCS1.replace('\n', "\n          ");
    for key in [
        "${file:/keys/rsa-pkcs1.pem}",
        "${file:/keys/rsa-pkcs8.pem}",
        &format!("|\n          {indented}"),
    ] {
        let credential = loaded(&service_account(key));

        let printed = format!("{credential:?}");
        let Grant::JwtExchange(account) = credential.grant else {
            panic!("another grant")
        };
        assert_eq!(account.metascopes[0].to_string(), "ent_dataservices_sdk");
        for line in PKCS1.lines().chain(PKCS8.lines()) {
            assert!(!printed.contains(line), "{printed}");
        }
    }
}

#[test]
fn a_key_that_cannot_sign_is_refused_and_not_quoted() {
    for (file, expected) in [
        (
            "rsa-half",
            "breaks off before its end, like a file that is only half written",
        ),
        ("rsa-public", "is a public key, not the private one"),
        ("rsa-1024", "is an RSA key of fewer than 2048 bits"),
        ("rsa-encrypted", "is encrypted with a passphrase"),
        (
            "ec",
            "is a key for elliptic curves; a service account signs with RSA",
        ),
    ] {
        let text = service_account(&format!("${{file:/keys/{file}.pem}}"));

        let message = format!("credentials.loyalty.grant.jwt_exchange.private_key: {expected}");
        assert_eq!(messages(&text), [message]);
        assert!(faults(&text).contains("= help: "));
        assert!(!faults(&text).contains("MII"), "{}", faults(&text));
    }
    let text = service_account("${file:/hidden}");
    assert_eq!(
        messages(&text),
        ["credentials.loyalty.grant.jwt_exchange.private_key: is not PEM"]
    );
    assert!(!faults(&text).contains("s3ntinel"));
}

#[test]
fn a_broken_key_in_the_file_itself_is_starred_out() {
    let text = service_account(r#""-----BEGIN RSA PRIVATE KEY-----MIIhidden""#);

    let shown = faults(&text);

    assert!(shown.contains("breaks off before its end"), "{shown}");
    assert!(!shown.contains("MII") && shown.contains("***"), "{shown}");
}

#[test]
fn what_does_not_belong_to_a_grant_is_named() {
    let account = service_account("${file:/keys/rsa-pkcs8.pem}");
    let grant = "credentials.loyalty.grant";
    for (text, expected) in [
        (
            with("    grant: client_credential\n"),
            format!("{grant}: must be client_credentials or a map with jwt_exchange"),
        ),
        (with("    grant: {}\n"), format!("{grant}.jwt_exchange: is missing")),
        (
            with("    grant: { jwt: {} }\n"),
            format!("{grant}.jwt: there is no such key here"),
        ),
        (
            account.replace("[ent_dataservices_sdk]", "[]"),
            format!("{grant}.jwt_exchange.metascopes: must have at least one entry"),
        ),
        (
            account.replace("[ent_dataservices_sdk]", "[a b]"),
            format!("{grant}.jwt_exchange.metascopes[0]: must be a metascope such as ent_dataservices_sdk, or its whole URL"),
        ),
        (
            account.replace("@techacct.adobe.com", ""),
            format!("{grant}.jwt_exchange.technical_account: must end in @techacct.adobe.com, as the developer console shows it"),
        ),
        (
            account.replace("private_key", "key"),
            format!("{grant}.jwt_exchange.key: there is no such key here"),
        ),
        (
            account.replace("    grant:", "    scopes: openid\n    grant:"),
            "credentials.loyalty.scopes: is of the grant client_credentials, and this credential has jwt_exchange".to_owned(),
        ),
        (
            account.replace("    grant:", "    send_org_id: true\n    grant:"),
            "credentials.loyalty.send_org_id: is of the grant client_credentials, and this credential has jwt_exchange".to_owned(),
        ),
    ] {
        assert!(messages(&text).contains(&expected), "{}", faults(&text));
    }
}

#[test]
fn a_metascope_stands_in_the_list_once() {
    let text = service_account("${file:/keys/rsa-pkcs8.pem}").replace(
        "[ent_dataservices_sdk]",
        "[ent_dataservices_sdk, ent_other_sdk, ent_dataservices_sdk]",
    );

    assert_eq!(
        messages(&text),
        ["credentials.loyalty.grant.jwt_exchange.metascopes[2]: stands in the list twice"]
    );
}
