//! Service-account tokens of a cluster, from its discovery document on.

use std::time::Duration;

use profile_gateway::config::Supplied;
use profile_gateway::issuers::{IssuerId, Refusal};

use super::{Signer, discovery, kept, set, settings, verify, within};
use crate::support::adobe::{Act, Adobe};
use crate::support::documents::Server;

const ISSUER: &str = "https://kubernetes.default.svc.cluster.local";
const WELL_KNOWN: &str = "/.well-known/openid-configuration";

#[test]
fn a_service_accounts_token_is_verified_with_the_keys_that_the_clusters_discovery_names() {
    let (signer, stranger) = (Signer::new("k1"), Signer::other("k1"));
    let cluster = Server::start(Some("cluster-bearer"));
    let port = cluster.address.port();
    let origin = format!("https://kubernetes.default.svc:{port}");
    cluster.give(
        WELL_KNOWN,
        discovery(ISSUER, &format!("{origin}/openid/v1/jwks")),
    );
    cluster.give("/openid/v1/jwks", set(&[&signer]));
    let files = Supplied::default()
        .with_file("/ca.pem", cluster.pem.clone())
        .with_file("/token", "cluster-bearer\n");
    let settings = settings(
        &format!(
            "cluster: {{ issuer: '{ISSUER}', audiences: [profile-gateway], discovery: '{origin}', \
             address: '{}', ca_file: /ca.pem, bearer: '${{file:/token}}' }}",
            cluster.address
        ),
        &files,
    );

    kept(&settings, async |verifier| {
        let token = signer.token(ISSUER);
        // A caller who comes first waits for the keys.
        let wanted = match verify(&verifier, &token) {
            Err(refusal @ Refusal::NoKeys(wanted)) => {
                assert_eq!(refusal.reason().meaning().status, 503);
                wanted
            }
            other => panic!("{other:?}"),
        };
        assert!(
            verifier
                .newer_keys(wanted, within(Duration::from_secs(20)))
                .await
        );

        let claims = verify(&verifier, &token).unwrap();
        assert_eq!(claims.issuer, IssuerId(0));
        assert_eq!(&*claims.subject, "system:serviceaccount:shop:checkout");
        let forged = stranger.token(ISSUER);
        assert_eq!(verify(&verifier, &forged), Err(Refusal::Signature));
    });

    let heads = cluster.heads();
    assert_eq!(heads.len(), 2);
    for head in heads {
        assert!(
            head.contains(&format!("host: kubernetes.default.svc:{port}\r\n")),
            "{head}"
        );
    }
}

#[test]
fn a_bearer_goes_to_the_server_that_is_written_down_and_not_where_its_document_leads() {
    let signer = Signer::new("k1");
    let elsewhere = Server::start(None);
    elsewhere.give("/keys", set(&[&signer]));
    let keys = format!("https://localhost:{}/keys", elsewhere.address.port());
    let document = discovery(ISSUER, &keys);
    let first = Adobe::start(move |_| Act::json("200 OK", &document));
    let files = Supplied::default().with_file("/ca.pem", elsewhere.pem.clone());
    let settings = settings(
        &format!(
            "a: {{ issuer: '{ISSUER}', audiences: [profile-gateway], discovery: '{}/t/', \
             ca_file: /ca.pem, bearer: only-for-the-first }}",
            first.url()
        ),
        &files,
    );

    kept(&settings, async |verifier| {
        let first_keys = within(Duration::from_secs(20));
        assert!(verifier.issuers().first_keys(first_keys).await.is_empty());
        assert!(verify(&verifier, &signer.token(ISSUER)).is_ok());
    });

    let seen = first.seen();
    assert_eq!(seen[0].target(), format!("/t{WELL_KNOWN}"));
    assert_eq!(
        seen[0].values("authorization"),
        ["Bearer only-for-the-first"]
    );
    let heads = elsewhere.heads();
    assert_eq!(heads.len(), 1);
    assert!(
        !heads[0].to_ascii_lowercase().contains("authorization"),
        "{}",
        heads[0]
    );
}

#[test]
fn an_issuer_with_a_certificate_that_is_not_trusted_gives_no_keys() {
    let signer = Signer::new("k1");
    let false_one = Server::start(None);
    false_one.give("/keys", set(&[&signer]));
    let settings = settings(
        &format!(
            "a: {{ issuer: '{ISSUER}', audiences: [profile-gateway], bearer: not-for-you, \
             jwks_url: 'https://localhost:{}/keys' }}",
            false_one.address.port()
        ),
        &Supplied::default(),
    );

    kept(&settings, async |verifier| {
        let without = verifier
            .issuers()
            .first_keys(within(Duration::from_secs(20)))
            .await;
        assert_eq!(without, ["a"]);
    });

    assert!(false_one.heads().is_empty());
}
