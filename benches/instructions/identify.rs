//! What it costs to know who calls, by what they are known: taking the proofs out of the request, and finding whose they are.

use std::future::{Future, Ready, ready};
use std::net::Ipv4Addr;
use std::pin::pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use bytes::Bytes;
use gungraun::{library_benchmark, library_benchmark_group};
use http::header::AUTHORIZATION;
use http::{HeaderName, HeaderValue, Method, Version};
use http_body_util::Empty;
use jsonwebtoken::jwk::Jwk;
use jsonwebtoken::{Algorithm, EncodingKey, Header, crypto, encode};
use profile_gateway::clock::since_epoch;
use profile_gateway::context::{
    Accepts, Connection, Endpoint, Exchange, Identified, Means, Received,
};
use profile_gateway::error::Error;
use profile_gateway::identify::{
    Caller, CertificateName, IdentifyLayer, KeyDigest, Settings, Subject, UnixAccount,
};
use profile_gateway::issuers::{self, IssuerId, IssuerSettings, Issuers, KeySet, Rules, Source};
use profile_gateway::peer::{CertificateNames, UnixPeer};
use serde_json::json;
use tower::{Layer, Service};

use crate::gateway;
use crate::work::{Work, work};

/// By what a caller is known, and among how many.
#[derive(Clone, Copy)]
enum Known {
    ApiKey(usize),
    Certificate(usize),
    Network(usize),
    Nothing,
    /// Whether the worker has seen the token before.
    Token(bool),
    UnixPeer,
}

#[library_benchmark(setup = prepare)]
#[bench::token_cached(Known::Token(true))]
#[bench::token_uncached(Known::Token(false))]
#[bench::certificate(Known::Certificate(1))]
#[bench::certificates_1000(Known::Certificate(1000))]
#[bench::keys_1(Known::ApiKey(1))]
#[bench::keys_1000(Known::ApiKey(1000))]
#[bench::unix_peer(Known::UnixPeer)]
#[bench::networks_1(Known::Network(1))]
#[bench::networks_100(Known::Network(100))]
#[bench::anonymous(Known::Nothing)]
fn caller(mut work: Work) -> Work {
    work();
    work
}

fn prepare(known: Known) -> Work {
    let (issuers, token) = signed();
    let settings = settings(known);
    let layer = IdentifyLayer::new(&settings, &issuers);
    let connection = Rc::new(connection(known));
    let request = move |_| {
        let Received { mut request, .. } = gateway::received();
        let fields = request.headers_mut();
        fields.remove(AUTHORIZATION);
        match known {
            Known::ApiKey(callers) => {
                fields.insert(FIELD, key(callers / 2).parse().expect("it is a value"));
            }
            Known::Token(_) => {
                fields.insert(AUTHORIZATION, token.clone());
            }
            Known::Certificate(_) | Known::Network(_) | Known::Nothing | Known::UnixPeer => {}
        }
        // Each worker remembers tokens of its own.
        let layer = if matches!(known, Known::Token(false)) {
            &IdentifyLayer::new(&settings, &issuers)
        } else {
            &layer
        };
        let id = request.headers()["x-request-id"].clone();
        let connection = Rc::clone(&connection);
        let exchange = Exchange::new(Method::GET, Version::HTTP_11, id, connection);
        let exchange = Rc::new(exchange);
        (layer.layer(Next), Received { request, exchange })
    };
    let expected = means(known);
    work(request, move |(mut service, received)| {
        let mut future = pin!(service.call(received));
        let identified = match future
            .as_mut()
            .poll(&mut Context::from_waker(Waker::noop()))
        {
            Poll::Ready(Ok(identified)) => identified,
            Poll::Ready(Err(error)) => panic!("{error}"),
            Poll::Pending => panic!("it waits for nothing"),
        };
        assert_eq!(identified.caller.by, expected);
        (service, identified)
    })
}

/// The stage after it, which does nothing.
#[derive(Clone)]
struct Next;

impl Service<Identified<Empty<Bytes>>> for Next {
    type Response = Identified<Empty<Bytes>>;
    type Error = Error;
    type Future = Ready<Result<Self::Response, Error>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Error>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, identified: Identified<Empty<Bytes>>) -> Self::Future {
        ready(Ok(identified))
    }
}

fn means(known: Known) -> Means {
    match known {
        Known::ApiKey(_) => Means::ApiKey,
        Known::Certificate(_) => Means::ClientCertificate,
        Known::Network(_) => Means::Network,
        Known::Nothing => Means::Nothing,
        Known::Token(_) => Means::WorkloadToken,
        Known::UnixPeer => Means::UnixPeer,
    }
}

fn settings(known: Known) -> Settings {
    let named = |index: usize| Caller::unknown(format!("caller-{index}"));
    let several = |number: usize, make: &dyn Fn(usize) -> Caller| -> Vec<Caller> {
        (0..number).map(make).collect()
    };
    let callers = match known {
        Known::ApiKey(number) => several(number, &|index| Caller {
            api_keys: vec![KeyDigest::of(key(index).as_bytes())],
            ..named(index)
        }),
        Known::Certificate(number) => several(number, &|index| Caller {
            certificates: vec![CertificateName::Uri(spiffe_id(index))],
            ..named(index)
        }),
        Known::Network(number) => several(number, &|index| Caller {
            networks: vec![
                format!("10.0.{index}.0/24")
                    .parse()
                    .expect("it is a network"),
            ],
            ..named(index)
        }),
        Known::Nothing => Vec::new(),
        Known::Token(_) => several(1, &|index| Caller {
            subjects: vec![Subject {
                issuer: IssuerId(0),
                subject: SUBJECT.to_owned(),
            }],
            ..named(index)
        }),
        Known::UnixPeer => several(1, &|index| Caller {
            unix_peers: vec![UnixAccount {
                uid: Some(1000),
                gid: None,
            }],
            ..named(index)
        }),
    };
    let anonymous = Caller::unknown("anonymous".to_owned());
    Settings {
        callers: [anonymous].into_iter().chain(callers).collect(),
        fields: vec![AUTHORIZATION, FIELD],
    }
}

fn connection(known: Known) -> Connection {
    let accepts = Arc::new(Accepts {
        anonymous: true,
        api_key: Some(FIELD),
        client_certificate: true,
        network: true,
        unix_peer: true,
        workload_token: Some(AUTHORIZATION),
    });
    let local = (Ipv4Addr::LOCALHOST, 8080).into();
    let peer = match known {
        // From the network that is looked at last.
        Known::Network(number) => {
            let last = u8::try_from(number - 1).expect("there are so many");
            (Ipv4Addr::new(10, 0, last, 7), 40_000).into()
        }
        Known::UnixPeer => Endpoint::Unix,
        Known::ApiKey(_) | Known::Certificate(_) | Known::Nothing | Known::Token(_) => {
            (Ipv4Addr::LOCALHOST, 40_000).into()
        }
    };
    let mut connection = Connection::new(peer, local, accepts);
    match known {
        Known::Certificate(number) => {
            let names = CertificateNames {
                uris: [spiffe_id(number / 2).into()].into(),
                dns: Box::default(),
                subject: None,
                not_after: since_epoch() + Duration::from_hours(1),
                fingerprint: [0; 32],
            };
            connection
                .certificate
                .set(Box::new(names))
                .expect("it is the first");
        }
        Known::UnixPeer => {
            connection.unix_peer = Some(UnixPeer {
                uid: 1000,
                gid: 1000,
                pid: None,
            });
        }
        Known::ApiKey(_) | Known::Network(_) | Known::Nothing | Known::Token(_) => {}
    }
    connection
}

/// Returns an issuer, and the value of a field with a token of it as a cluster makes them, of 1 KiB.
fn signed() -> (Issuers, HeaderValue) {
    let _ = crypto::aws_lc::DEFAULT_PROVIDER.install_default();
    let pem = include_bytes!("../../tests/keys/rsa-pkcs8.pem");
    let key = EncodingKey::from_rsa_pem(pem).expect("it is a key");
    let mut jwk = Jwk::from_encoding_key(&key, Algorithm::RS256).expect("it has a public half");
    jwk.common.key_id = Some("k1".to_owned());
    let keys = KeySet::read(json!({ "keys": [jwk] }).to_string().as_bytes());
    let issuer = IssuerSettings {
        name: "cluster".to_owned(),
        rules: Rules {
            issuer: ISSUER.to_owned(),
            audiences: vec!["profile-gateway".to_owned()],
            leeway: Duration::from_secs(10),
            require_nbf: true,
        },
        source: Source::File(keys.expect("it is a set")),
        required: true,
    };
    let settings = issuers::Settings {
        issuers: vec![issuer],
    };
    let issuers = Issuers::new(&settings).expect("a file needs no TLS");
    let now = since_epoch().as_secs();
    let claims = json!({
        "aud": ["profile-gateway"],
        "exp": now + 36_000,
        "iat": now,
        "iss": ISSUER,
        "jti": "7c5e1f0e-6a68-4a39-9d0c-1a2b3c4d5e6f",
        "kubernetes.io": {
            "namespace": "shop",
            "node": { "name": "node-7", "uid": "2d4c1a3e-1a36-4d7a-8f8d-30b1a8f2f1c4" },
            "pod": { "name": "checkout-6f7c9d5b8-x2v9k", "uid": "f3a7c1de-91c8-4d6a-b1f0-0c9f54e1b2aa" },
            "serviceaccount": { "name": "checkout", "uid": "0b9d8a52-7f0c-4b88-9d94-84d6b1f2c3e5" },
        },
        "nbf": now,
        "sub": SUBJECT,
    });
    let header = Header {
        kid: Some("k1".to_owned()),
        ..Header::new(Algorithm::RS256)
    };
    let token = encode(&header, &claims, &key).expect("it can be signed");
    let value = HeaderValue::try_from(format!("Bearer {token}"));
    (issuers, value.expect("it is a value"))
}

fn key(index: usize) -> String {
    format!("{index:08x}-0f1e2d3c4b5a69788796a5b4c3d2e1f00f1e2d3c4b5a6978")
}

fn spiffe_id(index: usize) -> String {
    format!("spiffe://corp/ns/shop/sa/checkout-{index:04}")
}

const FIELD: HeaderName = HeaderName::from_static("x-caller-key");
const ISSUER: &str = "https://kubernetes.default.svc.cluster.local";
const SUBJECT: &str = "system:serviceaccount:shop:checkout";

library_benchmark_group!(name = identify_group, benchmarks = caller);
