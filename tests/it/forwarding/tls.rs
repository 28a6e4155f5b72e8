//! How the upstream is reached over TLS, and when it is not.

use bytes::Bytes;
use http::Method;
use profile_gateway::config::Supplied;
use profile_gateway::simulator::{self, Simulator, Tls};

use super::shapes::SHAPES;
use super::{PATH, ROUTE};
use crate::support::adobe::Adobe;
use crate::support::client::{Client, Speaks, request};
use crate::support::gateway::Gateway;

/// A simulator over TLS and a gateway before it, which trusts it or does not.
async fn over_tls(address: &str, trusted: bool, upstream: &str) -> (Simulator, Gateway, Adobe) {
    let simulator = Simulator::start(simulator::Settings {
        address: address.parse().unwrap(),
        tls: Some(Tls::default()),
        lenient: true,
        ..simulator::Settings::default()
    })
    .await
    .unwrap();
    let certificate = simulator.certificate_pem().unwrap();
    let files = Supplied::default().with_file("/ca.pem", certificate);
    let url = simulator.url();
    let trust = if trusted { ", ca_file: /ca.pem" } else { "" };
    // Where the platform is not to be trusted the token has to come from elsewhere.
    let adobe = Adobe::willing();
    let ims = if address.starts_with("127.0.0.1") && trusted {
        format!("ims: {{ url: '{url}'{trust} }}")
    } else {
        format!("ims: {{ url: '{}' }}", adobe.url())
    };
    let more = format!("{ims}\nupstream: {{ url: '{url}'{trust}{upstream} }}\n{ROUTE}");
    let gateway = Gateway::with_files(&more, &files);
    (simulator, gateway, adobe)
}

#[tokio::test]
async fn the_upstream_is_reached_over_tls_with_http1_and_with_http2() {
    for (upstream, version) in [
        ("", http::Version::HTTP_11),
        (", http2: true", http::Version::HTTP_2),
    ] {
        let (simulator, gateway, _adobe) = over_tls("127.0.0.1:0", true, upstream).await;
        for speaks in [Speaks::H1, Speaks::H2] {
            let mut client = Client::connect(gateway.address, speaks).await;
            let mut count = 0;
            for shape in SHAPES {
                let (method, target, content_type, body) = *shape;
                if method == "GET" && !body.is_empty() {
                    continue;
                }
                let fields = [("content-type", content_type), ("host", "gateway")];
                let fields = if content_type.is_empty() {
                    &fields[1..]
                } else {
                    &fields[..]
                };
                let target = if speaks == Speaks::H2 {
                    format!("http://gateway{target}")
                } else {
                    target.to_owned()
                };
                simulator.control().forget_requests();

                let reply = client
                    .send(request(method.parse().unwrap(), &target, fields, body))
                    .await
                    .unwrap();

                let seen = simulator.control().requests();
                let seen: Vec<_> = seen
                    .iter()
                    .filter(|seen| seen.operation != "ims.token")
                    .collect();
                let [seen] = &seen[..] else {
                    panic!("{method} {target}: {seen:?} {reply:?}")
                };
                count += 1;
                assert_eq!(seen.version, version);
                assert_eq!(
                    (seen.method.as_str(), seen.target.as_str()),
                    (method, shape.1)
                );
                assert_eq!(seen.body, Bytes::from(body), "{target}");
                assert_eq!(seen.values("x-sandbox-name"), ["dev-2"]);
                assert_eq!(seen.values("authorization").len(), 1);
                assert!(seen.remarks.is_empty(), "{:?}", seen.remarks);
                for name in ["connection", "te", "transfer-encoding"] {
                    let own = name == "transfer-encoding" && version == http::Version::HTTP_11;
                    assert!(own || seen.values(name).is_empty(), "{name}");
                }
                let hosts = seen.values("host");
                assert!(hosts.len() <= 1 && !hosts.contains(&"gateway"), "{hosts:?}");
            }
            assert!(count > 35);
        }
    }
}

#[tokio::test]
async fn an_upstream_with_a_wrong_certificate_gets_no_request() {
    for (address, trusted) in [("127.0.0.1:0", false), ("127.0.0.2:0", true)] {
        for upstream in ["", ", http2: true"] {
            let (simulator, gateway, _adobe) = over_tls(address, trusted, upstream).await;
            let mut client = Client::connect(gateway.address, Speaks::H1).await;

            let reply = client
                .send(request(Method::GET, PATH, &[("host", "a")], ""))
                .await
                .unwrap();

            assert_eq!(reply.status, 502);
            assert_eq!(reply.json()["reason"], "upstream_tls", "{address}");
            assert!(simulator.control().requests().is_empty());
        }
    }
}

#[tokio::test]
async fn a_fixed_address_is_connected_to_under_the_name_of_the_url() {
    let name = "platform.example.com";
    // The scripted IMS's token is none of the simulator's, which says so once it is asked.
    for (names, status) in [(vec![name.to_owned()], 401), (Vec::new(), 502)] {
        let simulator = Simulator::start(simulator::Settings {
            address: "127.0.0.1:0".parse().unwrap(),
            tls: Some(Tls { names }),
            lenient: true,
            ..simulator::Settings::default()
        })
        .await
        .unwrap();
        let files = Supplied::default().with_file("/ca.pem", simulator.certificate_pem().unwrap());
        let adobe = Adobe::willing();
        let address = simulator.address();
        let gateway = Gateway::with_files(
            &format!(
                "ims: {{ url: 'http://ims.example.com', address: '{}' }}
upstream: {{ url: 'https://{name}', address: '{address}', ca_file: /ca.pem }}
{ROUTE}",
                adobe.address()
            ),
            &files,
        );
        let mut client = Client::connect(gateway.address, Speaks::H1).await;

        let reply = client
            .send(request(Method::GET, PATH, &[("host", "a")], ""))
            .await
            .unwrap();

        assert_eq!(reply.status, status);
        assert_eq!(adobe.token_calls()[0].values("host"), ["ims.example.com"]);
        let seen = simulator.control().requests();
        if status == 401 {
            assert_eq!(seen[0].values("host"), [name]);
        } else {
            assert_eq!(reply.json()["reason"], "upstream_tls");
            assert!(seen.is_empty());
        }
    }
}
