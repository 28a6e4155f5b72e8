//! Who is who.

use std::cmp::Reverse;
use std::collections::HashMap;
use std::net::IpAddr;

use http::HeaderValue;
use ipnet::IpNet;

use super::unknown::Unknown;
use super::{CertificateName, KeyDigest, Proofs, Settings, Subject, UnixAccount};
use crate::clock;
use crate::context::{CallerId, Connection, Identity, Means};
use crate::error::Error;
use crate::issuers::Claims;
use crate::peer::{CertificateNames, UnixPeer};

/// The callers, by what they are known by.
#[derive(Clone, Debug)]
pub struct Known {
    /// By the beginning of the digest, so that all that share one are compared whole.
    api_keys: HashMap<u64, Vec<(KeyDigest, CallerId)>>,
    certificates: Certificates,
    /// The smallest networks first.
    networks: Vec<(IpNet, CallerId)>,
    /// By issuer, in the order of their places.
    subjects: Vec<HashMap<Box<str>, CallerId>>,
    /// Those that say most first, and a user before a group.
    unix_peers: Vec<(UnixAccount, CallerId)>,
}

impl Known {
    /// Prepares the callers.
    pub fn new(settings: &Settings) -> Self {
        let mut api_keys: HashMap<u64, Vec<_>> = HashMap::new();
        let (mut certificates, mut networks) = (Certificates::default(), Vec::new());
        let mut subjects: Vec<HashMap<Box<str>, CallerId>> = Vec::new();
        let mut unix_peers = Vec::new();
        for (id, caller) in settings.callers.iter() {
            for digest in &caller.api_keys {
                let same = api_keys.entry(digest.start()).or_default();
                same.push((*digest, id));
            }
            for name in &caller.certificates {
                certificates.add(name, id);
            }
            networks.extend(caller.networks.iter().map(|network| (*network, id)));
            for Subject { issuer, subject } in &caller.subjects {
                if subjects.len() <= issuer.0 {
                    subjects.resize_with(issuer.0 + 1, HashMap::new);
                }
                if let Some(of_issuer) = subjects.get_mut(issuer.0) {
                    of_issuer.insert(subject.as_str().into(), id);
                }
            }
            unix_peers.extend(caller.unix_peers.iter().map(|account| (*account, id)));
        }
        unix_peers.sort_by_key(|(account, _)| (Reverse(account.weight()), account.uid.is_none()));
        networks.sort_by_key(|(network, _)| Reverse(network.prefix_len()));
        Self {
            api_keys,
            certificates,
            networks,
            subjects,
            unix_peers,
        }
    }

    /// Returns who calls over `connection` with a request that shows `proofs`, and a workload token with these `claims`, if it
    /// shows one.
    ///
    /// # Errors
    /// [`crate::error::Reason::CallerUnknown`] when something is shown that is wrong, when what is shown belongs to different callers,
    /// and when nothing is shown where something has to be. Why goes to the log; the caller is told what would count.
    pub fn identify(
        &self,
        connection: &Connection,
        proofs: &Proofs,
        claims: Option<&Claims>,
    ) -> Result<Identity, Error> {
        let accepts = &connection.accepts;
        let mut shown = None;
        if let Some(claims) = claims {
            let caller = self.by_subject(claims);
            let caller = caller.ok_or_else(|| Unknown::Subject.told(accepts))?;
            agree(&mut shown, caller, Means::WorkloadToken)
                .map_err(|differ| differ.told(accepts))?;
        }
        if accepts.client_certificate
            && let Some(names) = connection.certificate.get()
        {
            for caller in self.certificates.of(names) {
                if !names.is_valid_at(clock::since_epoch()) {
                    return Err(Unknown::Expired.told(accepts));
                }
                agree(&mut shown, caller, Means::ClientCertificate)
                    .map_err(|differ| differ.told(accepts))?;
            }
        }
        if let Some(key) = &proofs.api_key {
            let caller = self.by_api_key(key);
            let caller = caller.ok_or_else(|| Unknown::ApiKey.told(accepts))?;
            agree(&mut shown, caller, Means::ApiKey).map_err(|differ| differ.told(accepts))?;
        }
        if let Some(identity) = shown {
            return Ok(identity);
        }
        if accepts.unix_peer
            && let Some(peer) = connection.unix_peer
            && let Some(caller) = self.by_unix_peer(peer)
        {
            let by = Means::UnixPeer;
            return Ok(Identity { caller, by });
        }
        if accepts.network
            && let Some(address) = connection.peer.ip()
            && let Some(caller) = self.by_network(address)
        {
            let by = Means::Network;
            return Ok(Identity { caller, by });
        }
        if accepts.anonymous {
            return Ok(Identity::ANONYMOUS);
        }
        Err(Unknown::Nothing.told(accepts))
    }

    fn by_api_key(&self, key: &HeaderValue) -> Option<CallerId> {
        // Nothing is nobody's, whatever a digest says.
        if key.is_empty() {
            return None;
        }
        let digest = KeyDigest::of(key.as_bytes());
        let same = self.api_keys.get(&digest.start())?;
        let found = same.iter().find(|(known, _)| *known == digest);
        found.map(|(_, caller)| *caller)
    }

    fn by_subject(&self, claims: &Claims) -> Option<CallerId> {
        let of_issuer = self.subjects.get(claims.issuer.0)?;
        of_issuer.get(&*claims.subject).copied()
    }

    fn by_unix_peer(&self, peer: UnixPeer) -> Option<CallerId> {
        let mut accounts = self.unix_peers.iter();
        let found = accounts.find(|(account, _)| account.is(peer));
        found.map(|(_, caller)| *caller)
    }

    fn by_network(&self, address: IpAddr) -> Option<CallerId> {
        let mut networks = self.networks.iter();
        let found = networks.find(|(network, _)| network.contains(&address));
        found.map(|(_, caller)| *caller)
    }
}

/// The callers by the names in their certificates.
#[derive(Clone, Debug, Default)]
struct Certificates {
    dns: HashMap<Box<str>, CallerId>,
    subjects: HashMap<Box<str>, CallerId>,
    uris: HashMap<Box<str>, CallerId>,
}

impl Certificates {
    fn add(&mut self, name: &CertificateName, caller: CallerId) {
        let (names, name) = match name {
            CertificateName::Dns(name) => (&mut self.dns, name),
            CertificateName::Subject(name) => (&mut self.subjects, name),
            CertificateName::Uri(name) => (&mut self.uris, name),
        };
        names.insert(name.as_str().into(), caller);
    }

    /// Returns all callers that a name in the certificate is of. Usually there is one, or none: that it was verified does
    /// not make a certificate anybody's here. Names are compared as a whole; both sides have those of DNS in lower case.
    fn of(&self, names: &CertificateNames) -> impl Iterator<Item = CallerId> {
        let uris = names.uris_that_count().filter_map(|uri| self.uris.get(uri));
        let dns = names.dns.iter().filter_map(|name| self.dns.get(name));
        let subject = names.subject.as_ref();
        let subject = subject.and_then(|subject| self.subjects.get(subject));
        uris.chain(dns).chain(subject).copied()
    }
}

/// Takes a caller that a proof shows, if no other proof has shown another one. The strongest comes first.
fn agree(shown: &mut Option<Identity>, caller: CallerId, by: Means) -> Result<(), Unknown> {
    match shown {
        None => *shown = Some(Identity { caller, by }),
        Some(before) if before.caller == caller => {}
        Some(_) => return Err(Unknown::Several),
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::time::Duration;

    use http::HeaderName;

    use super::*;
    use crate::context::{Accepts, Endpoint, PerCaller};
    use crate::error::Reason;
    use crate::identify::Caller;

    const FIELD: HeaderName = HeaderName::from_static("x-caller-key");

    fn known() -> Known {
        let network = |text: &str| text.parse::<IpNet>().unwrap();
        Known::new(&Settings {
            callers: PerCaller::from_iter([
                Caller::unknown("anonymous".to_owned()),
                Caller {
                    api_keys: vec![KeyDigest::of(b"old"), KeyDigest::of(b"new")],
                    networks: vec![network("10.0.0.0/8")],
                    ..Caller::unknown("reports".to_owned())
                },
                Caller {
                    api_keys: vec![KeyDigest::of(b"other"), KeyDigest::of(b"")],
                    networks: vec![network("10.1.0.0/16"), network("fd00::/8")],
                    ..Caller::unknown("crm".to_owned())
                },
            ]),
            fields: vec![FIELD],
        })
    }

    fn accepts(anonymous: bool) -> Arc<Accepts> {
        Arc::new(Accepts {
            anonymous,
            api_key: Some(FIELD),
            client_certificate: false,
            network: true,
            unix_peer: true,
            workload_token: None,
        })
    }

    fn identify(
        address: &str,
        key: Option<&'static str>,
        accepts: Arc<Accepts>,
    ) -> Result<(usize, Means), String> {
        let peer: IpAddr = address.parse().unwrap();
        let connection = Connection::new((peer, 1).into(), Endpoint::Unix, accepts);
        let proofs = Proofs {
            api_key: key.map(HeaderValue::from_static),
            token: None,
        };
        let identity = known().identify(&connection, &proofs, None);
        identity
            .map(|who| (who.caller.0, who.by))
            .map_err(|error| error.detail().to_owned())
    }

    #[test]
    fn the_strongest_that_is_shown_decides_and_what_surrounds_only_where_nothing_is() {
        for (address, key, expected) in [
            ("192.0.2.1", Some("old"), (1, Means::ApiKey)),
            ("192.0.2.1", Some("new"), (1, Means::ApiKey)),
            ("10.1.2.3", Some("old"), (1, Means::ApiKey)),
            ("10.1.2.3", None, (2, Means::Network)),
            ("10.2.2.3", None, (1, Means::Network)),
            ("fd12::1", None, (2, Means::Network)),
            ("192.0.2.1", None, (0, Means::Nothing)),
        ] {
            assert_eq!(
                identify(address, key, accepts(true)),
                Ok(expected),
                "{address} {key:?}"
            );
        }
    }

    #[test]
    fn a_certificate_is_of_whoever_has_one_of_its_names_as_a_whole() {
        let id = "spiffe://corp/nightly";
        let named = |name: &str, certificates: Vec<CertificateName>| Caller {
            certificates,
            ..Caller::unknown(name.to_owned())
        };
        let known = Known::new(&Settings {
            callers: PerCaller::from_iter([
                Caller::unknown("anonymous".to_owned()),
                named("nightly", vec![CertificateName::Uri(id.to_owned())]),
                named(
                    "batch",
                    vec![
                        CertificateName::Dns("batch.corp".to_owned()),
                        CertificateName::Subject("CN=batch".to_owned()),
                    ],
                ),
            ]),
            fields: Vec::new(),
        });
        let of = |uris: &[&str], dns: &[&str], subject: Option<&str>| {
            let all = |names: &[&str]| names.iter().map(|name| Box::from(*name)).collect();
            let names = CertificateNames {
                uris: all(uris),
                dns: all(dns),
                subject: subject.map(Box::from),
                not_after: Duration::MAX,
                fingerprint: [0; 32],
            };
            let callers = known.certificates.of(&names);
            callers.map(|caller| caller.0).collect::<Vec<_>>()
        };

        assert_eq!(of(&[id], &["a"], Some("CN=a")), [1]);
        assert_eq!(of(&[], &["a", "batch.corp"], None), [2]);
        assert_eq!(of(&[], &["batch.corp"], Some("CN=batch")), [2, 2]);
        assert_eq!(of(&[id], &[], Some("CN=batch")), [1, 2]);
        for (uris, dns, subject) in [
            (&[id, "urn:a"][..], &[][..], None),
            (
                &["spiffe://corp/nightly/", "spiffe://corp/night"],
                &[],
                None,
            ),
            (&["spiffe://Corp/nightly"], &[], None),
            (&["CN=batch", "batch.corp"], &[id], Some(id)),
            (
                &[],
                &["corp", "a.batch.corp", "batch.corp.", "*.corp"],
                None,
            ),
            (&[], &["CN=batch"], Some("CN=batch,O=Corp")),
            (&[], &[], Some("batch.corp")),
        ] {
            assert!(
                of(uris, dns, subject).is_empty(),
                "{uris:?} {dns:?} {subject:?}"
            );
        }
    }

    #[test]
    fn what_is_wrong_is_refused_whatever_else_there_is() {
        for address in ["192.0.2.1", "10.1.2.3"] {
            for key in ["", "ol", "old ", "Old"] {
                let refused = identify(address, Some(key), accepts(true)).unwrap_err();
                assert_eq!(
                    refused,
                    "what the request shows of its caller is not accepted here; what can be is an API key in x-caller-key; \
                     the gateway's operator finds why by the request id"
                );
            }
        }
        assert_eq!(
            identify("192.0.2.1", None, accepts(false)).unwrap_err(),
            "show who calls: an API key in x-caller-key"
        );
    }

    /// Connects from `10.0.0.1` as user 7 with a certificate of `CN=a`, of a caller who is known by any of it.
    fn surrounded(accepts: Accepts, not_after: Duration) -> Result<Means, Reason> {
        let all = Known::new(&Settings {
            callers: PerCaller::from_iter([
                Caller::unknown("anonymous".to_owned()),
                Caller {
                    certificates: vec![CertificateName::Subject("CN=a".to_owned())],
                    networks: vec!["10.0.0.0/8".parse().unwrap()],
                    unix_peers: vec![UnixAccount {
                        uid: Some(7),
                        gid: None,
                    }],
                    ..Caller::unknown("crm".to_owned())
                },
            ]),
            fields: vec![FIELD],
        });
        let peer: IpAddr = "10.0.0.1".parse().unwrap();
        let mut connection = Connection::new((peer, 1).into(), Endpoint::Unix, Arc::new(accepts));
        connection.unix_peer = Some(UnixPeer {
            uid: 7,
            gid: 7,
            pid: None,
        });
        let names = CertificateNames {
            uris: Box::default(),
            dns: Box::default(),
            subject: Some("CN=a".into()),
            not_after,
            fingerprint: [0; 32],
        };
        connection.certificate = Box::new(names).into();
        let identity = all.identify(&connection, &Proofs::default(), None);
        identity.map(|who| who.by).map_err(|error| error.reason())
    }

    #[test]
    fn what_a_listener_does_not_look_at_makes_nobody_a_caller() {
        let later = Duration::MAX;
        let nothing = || Accepts {
            anonymous: false,
            api_key: None,
            client_certificate: false,
            network: false,
            unix_peer: false,
            workload_token: None,
        };
        let of = |accepts| surrounded(accepts, later);

        assert_eq!(of(nothing()), Err(Reason::CallerUnknown));
        let network = Accepts {
            network: true,
            ..nothing()
        };
        assert_eq!(of(network.clone()), Ok(Means::Network));
        let unix_peer = Accepts {
            unix_peer: true,
            ..network
        };
        assert_eq!(of(unix_peer.clone()), Ok(Means::UnixPeer));
        let all = Accepts {
            client_certificate: true,
            ..unix_peer
        };
        assert_eq!(of(all), Ok(Means::ClientCertificate));
    }

    #[test]
    fn a_certificate_that_has_expired_since_the_handshake_is_nobodys_and_nothing_stands_in_for_it()
    {
        let all = Accepts {
            anonymous: true,
            api_key: None,
            client_certificate: true,
            network: true,
            unix_peer: true,
            workload_token: None,
        };
        let now = clock::since_epoch();

        let hour = Duration::from_hours(1);
        assert_eq!(
            surrounded(all.clone(), now + hour),
            Ok(Means::ClientCertificate)
        );
        assert_eq!(
            surrounded(all, now.saturating_sub(hour)),
            Err(Reason::CallerUnknown)
        );
    }

    #[test]
    fn a_listener_that_looks_at_nothing_serves_everybody_or_nobody() {
        let of = |served| identify("10.1.2.3", None, Accepts::anybody(served));

        assert_eq!(of(true), Ok((0, Means::Nothing)));
        assert_eq!(
            of(false).unwrap_err(),
            "this listener serves no anonymous callers"
        );
    }
}
