//! The callers: what they are known by, and what they may do at most.

use super::Cross;
use super::matching::kind;
use super::named::unknown_at;
use crate::aep;
use crate::config::file::{Caller, Certificate, File, Kind, Means, Several};
use crate::config::format::Written;
use crate::config::name::{CertificateText, Cidr, Claim, FieldName, HostName, KeyDigest, Name};
use crate::config::path::{KeyPath, top};
use crate::context::{ANONYMOUS, CallerId};
use crate::identify::{self, CertificateName, Subject, UnixAccount};
use crate::issuers::IssuerId;
use crate::listener;

/// The callers, whoever shows nothing first.
pub(super) struct Callers {
    pub(super) settings: identify::Settings,
    /// Their names, in the order of their places.
    pub(super) names: Vec<String>,
}

impl Callers {
    /// Returns the caller of this name.
    pub(super) fn id(&self, name: &str) -> Option<CallerId> {
        let place = self.names.iter().position(|known| known == name);
        place.map(CallerId)
    }

    /// Tells whether any is known by this.
    pub(super) fn has(&self, means: Means) -> bool {
        self.settings
            .callers
            .iter()
            .any(|(_, caller)| !match means {
                Means::ApiKey => caller.api_keys.is_empty(),
                Means::ClientCertificate => caller.certificates.is_empty(),
                Means::Network => caller.networks.is_empty(),
                Means::UnixPeer => caller.unix_peers.is_empty(),
                Means::WorkloadToken => caller.subjects.is_empty(),
            })
    }

    /// Tells whether there are any but whoever shows nothing.
    pub(super) fn are_known(&self) -> bool {
        self.names.len() > 1
    }
}

/// Makes the callers, and checks that nobody can be taken for somebody else.
pub(super) fn build(file: &File, cross: &mut Cross<'_>) -> Callers {
    let sandboxes = cross.names("sandboxes");
    let mut callers = vec![identify::Caller::unknown(ANONYMOUS.to_owned())];
    let mut taken = Taken::default();
    for (name, caller) in &file.callers {
        let path = top("callers").key(name);
        if name == ANONYMOUS {
            cross.fault(
                &path,
                &[],
                "is the name of whoever shows nothing, who is known by nothing",
                |fault| fault.help("choose another name"),
            );
        }
        for (index, Written(sandbox)) in caller.sandboxes.iter().flatten().enumerate() {
            if !file.sandboxes.contains_key(sandbox.as_str()) {
                let path = path.key("sandboxes").index(index);
                let names = sandboxes.iter().map(String::as_str);
                unknown_at(
                    "sandbox",
                    sandbox.as_str(),
                    &path,
                    &top("sandboxes"),
                    names,
                    cross,
                );
            }
        }
        let known = one(name, caller, &path, &mut taken, cross);
        if known.is_known_by_nothing() {
            cross.fault(&path, &[], "has nothing that it is known by", |fault| {
                fault.help("add `workload_token`, `client_certificate`, `api_key`, `unix_peer` or `network`")
            });
        }
        callers.push(known);
    }
    let fields = file.listeners.iter().flat_map(|listener| {
        let both = [&listener.api_key_header, &listener.token_header];
        both.map(|Written(FieldName(field))| field.clone())
    });
    let mut fields: Vec<_> = fields.collect();
    fields.sort_by(|one, other| one.as_str().cmp(other.as_str()));
    fields.dedup();
    Callers {
        names: callers.iter().map(|caller| caller.name.clone()).collect(),
        settings: identify::Settings {
            callers: callers.into_iter().collect(),
            fields,
        },
    }
}

/// What callers are known by so far, and where that stands.
#[derive(Default)]
struct Taken {
    api_keys: Vec<(identify::KeyDigest, KeyPath)>,
    certificates: Vec<(CertificateName, KeyPath)>,
    networks: Vec<(ipnet::IpNet, KeyPath)>,
    subjects: Vec<(Subject, KeyPath)>,
    unix_peers: Vec<(UnixAccount, KeyPath)>,
}

fn one(
    name: &str,
    caller: &Caller,
    path: &KeyPath,
    taken: &mut Taken,
    cross: &mut Cross<'_>,
) -> identify::Caller {
    let mut known = identify::Caller::unknown(name.to_owned());
    for (key, path) in places(caller.api_key.as_ref(), &path.key("api_key")) {
        let Written(KeyDigest(digest)) = key.sha256;
        let path = path.key("sha256");
        check_key(&digest, &path, cross);
        unique(&mut taken.api_keys, digest, path, "API key", cross);
        known.api_keys.push(digest);
    }
    let of_caller = path.key("client_certificate");
    for (certificate, path) in places(caller.client_certificate.as_ref(), &of_caller) {
        let Some((name, key)) = name_in(certificate, &path, cross) else {
            continue;
        };
        let path = path.key(key);
        unique(&mut taken.certificates, name.clone(), path, "name", cross);
        known.certificates.push(name);
    }
    for (peer, path) in places(caller.unix_peer.as_ref(), &path.key("unix_peer")) {
        let account = UnixAccount {
            uid: peer.uid,
            gid: peer.gid,
        };
        if account.uid.is_none() && account.gid.is_none() {
            cross.fault(&path, &[], "says nothing of who it is", |fault| {
                fault.help("add `uid`, `gid` or both")
            });
        }
        unique(&mut taken.unix_peers, account, path, "account", cross);
        known.unix_peers.push(account);
    }
    let issuers = cross.names("issuers");
    for (token, path) in places(caller.workload_token.as_ref(), &path.key("workload_token")) {
        let Written(Name(name)) = &token.issuer;
        let Some(issuer) = issuers.iter().position(|known| known == name) else {
            let names = issuers.iter().map(String::as_str);
            unknown_at(
                "issuer",
                name,
                &path.key("issuer"),
                &top("issuers"),
                names,
                cross,
            );
            continue;
        };
        let Written(Claim(subject)) = &token.subject;
        let subject = Subject {
            issuer: IssuerId(issuer),
            subject: subject.clone(),
        };
        unique(
            &mut taken.subjects,
            subject.clone(),
            path.key("subject"),
            "subject",
            cross,
        );
        known.subjects.push(subject);
    }
    if let Some(network) = &caller.network {
        for (index, Written(Cidr(net))) in network.cidr.iter().enumerate() {
            let path = path.key("network").key("cidr").index(index);
            unique(&mut taken.networks, *net, path, "network", cross);
            known.networks.push(*net);
        }
    }
    known
}

/// Reports the digest of a key that everybody has.
fn check_key(digest: &identify::KeyDigest, path: &KeyPath, cross: &mut Cross<'_>) {
    for (key, message, help) in [
        (
            "",
            "is the digest of an empty key",
            "was $KEY set where it was made?",
        ),
        (
            "test",
            "is the digest of `test`, which an example may have had",
            "make a key with openssl rand -hex 32",
        ),
    ] {
        if *digest == identify::KeyDigest::of(key.as_bytes()) {
            cross.fault(path, &[], message, |fault| fault.help(help));
        }
    }
}

/// Returns what is written once or in a list, each with its place.
fn places<'a, T>(
    all: Option<&'a Several<T>>,
    path: &KeyPath,
) -> impl Iterator<Item = (&'a T, KeyPath)> {
    let alone = matches!(all, Some(Several::One(_)));
    let all = all.into_iter().flat_map(Several::all).enumerate();
    all.map(move |(index, one)| {
        let path = if alone {
            path.clone()
        } else {
            path.index(index)
        };
        (one, path)
    })
}

/// Returns the one name that is given of a certificate, with its key.
fn name_in(
    file: &Certificate,
    path: &KeyPath,
    cross: &mut Cross<'_>,
) -> Option<(CertificateName, &'static str)> {
    let dns = file.dns.as_ref();
    let dns = dns.map(|Written(HostName(name))| (CertificateName::Dns(name.clone()), "dns"));
    let text = |text: &Option<Written<CertificateText>>| {
        text.as_ref()
            .map(|Written(CertificateText(text))| text.clone())
    };
    let subject = text(&file.subject).map(|text| {
        let same_form = listener::subject(&text);
        if same_form.is_none() {
            cross.fault(
                &path.key("subject"),
                &[],
                "is no subject of a certificate",
                |fault| {
                    fault.help("write it as openssl x509 -noout -subject -nameopt RFC2253 shows it")
                },
            );
        }
        (
            CertificateName::Subject(same_form.unwrap_or(text)),
            "subject",
        )
    });
    let uri = text(&file.uri).map(|text| (CertificateName::Uri(text), "uri"));
    let mut said = [uri, dns, subject].into_iter().flatten();
    let first = said.next();
    let message = match (&first, said.next()) {
        (Some(_), None) => return first,
        (Some((_, key)), Some((_, other))) => {
            let message = format!("excludes `{key}`: one name makes the caller known");
            cross.fault(&path.key(other), &[], message, |fault| {
                fault.help("write a list, if either shall do")
            });
            return first;
        }
        (None, _) => "names nothing of a certificate",
    };
    cross.fault(path, &[], message, |fault| {
        fault.help("add `uri`, `dns` or `subject`")
    });
    None
}

/// Reports what a caller is known by if another one is known by it already.
fn unique<T: PartialEq>(
    taken: &mut Vec<(T, KeyPath)>,
    proof: T,
    path: KeyPath,
    what: &str,
    cross: &mut Cross<'_>,
) {
    match taken.iter().find(|(known, _)| *known == proof) {
        None => taken.push((proof, path)),
        Some((_, other)) => {
            let place = cross.root.place_of(other);
            let message = format!("the {what} stands at {other} already");
            cross.fault(&path, &[other], message, |fault| {
                fault
                    .also(place, "it is here")
                    .help("nobody can be two callers; give each what only it has")
            });
        }
    }
}

/// Returns kinds as the stages know them.
pub(super) fn kinds(kinds: &[Kind]) -> aep::Kinds {
    kinds.iter().copied().map(kind).collect()
}
