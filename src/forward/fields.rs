//! What becomes of header fields on their way through (RFC 9110 §7.6).

use http::Version;
use http::header::{self, Entry, HeaderMap, HeaderName, HeaderValue};

use super::names::{
    OF_ANSWERS, Places, Present, hop_by_hop, is_hop_by_hop, overrides, tells_where_from,
};
use super::{Forwarded, Rule, Settings};
use crate::aep::{OwnedFields, fields};
use crate::context::RouteId;
use crate::deadline;
use crate::error::{Error, Reason};

/// Takes out of a caller's fields what is not for the upstream. Then [`write_owned`] makes them those that are sent.
///
/// Fields that `Connection` names go first, then the fixed hop-by-hop ones, then every spelling of a field that
/// carries authority. The owned fields themselves stay, since each is about to be replaced.
///
/// Returns whether the caller says how long it waits, which is for [`crate::deadline`] to take.
///
/// # Errors
/// [`Reason::MalformedRequest`] when `Connection` names a field that carries authority: the caller could mean
/// nothing by it but to have it removed further on. [`Reason::ExpectationFailed`] for an unknown expectation.
/// [`Reason::LoopDetected`] when the request has come through here too often.
pub fn outbound(headers: &mut HeaderMap, rule: &Rule, forwarded: Forwarded) -> Result<bool, Error> {
    let present = Present::among(headers);
    if present.via && passes(headers) >= MOST_PASSES {
        let detail = "the request has come through this gateway several times already";
        return Err(Error::new(Reason::LoopDetected, detail));
    }
    if present.expect {
        remove_expect(headers)?;
    }
    if present.hop_by_hop.any() {
        for name in nominated(headers) {
            if fields::authority_field(name.as_str()).is_some() {
                let detail = format!("Connection names {name}, which every request has to carry");
                return Err(Error::new(Reason::MalformedRequest, detail));
            }
            headers.remove(name);
        }
        present.hop_by_hop.remove_from(headers);
    }
    if present.overrides {
        remove_where(headers, overrides);
    }
    if present.forwarded && forwarded == Forwarded::Drop {
        remove_where(headers, tells_where_from);
    }
    if present.guarded {
        remove_guarded(headers, &rule.let_through);
    }
    if present.underscore {
        remove_where(headers, |name| {
            name.contains('_') && fields::authority_field(name).is_some()
        });
    }
    if present.cookie {
        join_cookies(headers);
    }
    Ok(present.deadline)
}

/// Says whether a head would be passed on whose fields are these.
///
/// # Errors
/// As those of [`outbound`] and [`deadline::check`]; [`Reason::Internal`] when the route is of another configuration.
pub fn check(settings: &Settings, route: RouteId, headers: &HeaderMap) -> Result<(), Error> {
    let rule = settings.routes.get(route)?;
    let mut headers = headers.clone();
    if outbound(&mut headers, rule, settings.forwarded)? {
        deadline::check(&headers)?;
    }
    Ok(())
}

/// Writes what is ours, last: the four fields, each replacing every copy that was there, and who passes the request on.
pub fn write_owned(headers: &mut HeaderMap, version: Version, owned: &OwnedFields) {
    owned.write(headers);
    headers.append(header::VIA, via(version));
}

/// Takes out of an answer what concerned only the connection it came over. Returns whether fields are left that may
/// refer to the upstream by its name.
pub fn inbound(headers: &mut HeaderMap) -> bool {
    let found = Found::among(headers);
    found.strip(headers);
    found.refers
}

/// What of an answer's fields needs work: one look at each name.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Found {
    /// Which of the fixed hop-by-hop fields are there.
    hop_by_hop: Places,
    /// Whether there is a `Content-Length`.
    pub(super) sized: bool,
    /// Whether there is a `Transfer-Encoding`.
    pub(super) coded: bool,
    /// Whether there are fields that may refer to the upstream by its name.
    pub(super) refers: bool,
}

impl Found {
    pub(super) fn among(headers: &HeaderMap) -> Self {
        let mut found = Self::default();
        for name in headers.keys() {
            let name = name.as_str();
            if OF_ANSWERS.may_hold(name) {
                found.hop_by_hop.add(hop_by_hop(name));
                found.sized |= name == "content-length";
                found.coded |= name == "transfer-encoding";
                found.refers |= matches!(name, "link" | "location" | "content-location");
            }
        }
        found
    }

    /// Takes out what concerned only the connection the answer came over.
    pub(super) fn strip(self, headers: &mut HeaderMap) {
        if self.hop_by_hop.any() {
            for name in nominated(headers) {
                headers.remove(name);
            }
            self.hop_by_hop.remove_from(headers);
        }
    }
}

/// Takes out of an answer's trailers what may not stand there: what concerns a connection, frames a message, or decides how
/// one is taken (RFC 9110 §6.5.1). Callers would have to guess whether it was meant for the head.
pub fn trailers(trailers: &mut HeaderMap) {
    remove_where(trailers, |name| {
        is_hop_by_hop(name)
            || matches!(
                name,
                "authorization"
                    | "cache-control"
                    | "content-encoding"
                    | "content-length"
                    | "content-location"
                    | "content-range"
                    | "content-type"
                    | "host"
                    | "location"
                    | "set-cookie"
                    | "www-authenticate"
            )
    });
}

/// Returns how often a request has come through gateways of this kind.
fn passes(headers: &HeaderMap) -> usize {
    let values = headers.get_all(header::VIA).iter();
    let hops = values.flat_map(|value| value.as_bytes().split(|byte| *byte == b','));
    hops.filter(|hop| {
        let mut words = hop.split(u8::is_ascii_whitespace);
        words.any(|word| word == PSEUDONYM)
    })
    .count()
}

const PSEUDONYM: &[u8] = b"profile-gateway";

/// More gateways one behind the other than anybody has: a sidecar before a shared deployment makes two.
const MOST_PASSES: usize = 5;

fn remove_expect(headers: &mut HeaderMap) -> Result<(), Error> {
    let unmet =
        |expectation: &HeaderValue| !expectation.as_bytes().eq_ignore_ascii_case(b"100-continue");
    if headers.get_all(header::EXPECT).iter().any(unmet) {
        let detail = "leave Expect out, or send 100-continue";
        return Err(Error::new(Reason::ExpectationFailed, detail));
    }
    headers.remove(header::EXPECT);
    Ok(())
}

/// Returns the names that `Connection` lists. Framing is rebuilt, so naming a framing field changes nothing.
fn nominated(headers: &HeaderMap) -> Vec<HeaderName> {
    let mut names = Vec::new();
    for value in headers.get_all(header::CONNECTION) {
        if matches!(value.as_bytes(), b"keep-alive" | b"close") {
            continue;
        }
        for option in value.as_bytes().split(|byte| *byte == b',') {
            let option = option.trim_ascii();
            let usual =
                option.eq_ignore_ascii_case(b"close") || option.eq_ignore_ascii_case(b"keep-alive");
            if !option.is_empty()
                && !usual
                && let Ok(name) = HeaderName::from_bytes(option)
                && name != header::CONTENT_LENGTH
            {
                names.push(name);
            }
        }
    }
    names
}

/// Removes what carries authority besides the owned fields, each of which is about to be replaced.
fn remove_guarded(headers: &mut HeaderMap, let_through: &[HeaderName]) {
    for name in fields::GUARDED {
        if !let_through.contains(name) {
            headers.remove(name);
        }
    }
}

pub(super) fn remove_where(headers: &mut HeaderMap, unwanted: impl Fn(&str) -> bool) {
    let names = headers.keys().filter(|name| unwanted(name.as_str()));
    let names: Vec<HeaderName> = names.cloned().collect();
    for name in names {
        headers.remove(name);
    }
}

/// Joins the crumbs HTTP/2 may split a cookie into (RFC 9113 §8.2.3).
fn join_cookies(headers: &mut HeaderMap) {
    let Entry::Occupied(crumbs) = headers.entry(header::COOKIE) else {
        return;
    };
    if crumbs.iter().nth(1).is_none() {
        return;
    }
    let joined: Vec<&[u8]> = crumbs.iter().map(HeaderValue::as_bytes).collect();
    if let Ok(value) = HeaderValue::from_bytes(&joined.join(&b"; "[..])) {
        headers.insert(header::COOKIE, value);
    }
}

/// RFC 9110 §7.6.3: the protocol the request came in by, and who passed it on.
fn via(version: Version) -> HeaderValue {
    HeaderValue::from_static(match version {
        Version::HTTP_2 => "2.0 profile-gateway",
        Version::HTTP_10 => "1.0 profile-gateway",
        _ => "1.1 profile-gateway",
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::forward::names::{HOP_BY_HOP, may_spell};

    fn owned() -> OwnedFields {
        OwnedFields {
            authorization: HeaderValue::from_static("Bearer ours"),
            api_key: HeaderValue::from_static("our-key"),
            organization: HeaderValue::from_static("ours@AdobeOrg"),
            sandbox: HeaderValue::from_static("dev-2"),
        }
    }

    fn rule(let_through: &[&'static str]) -> Rule {
        Rule {
            let_through: let_through
                .iter()
                .map(|name| HeaderName::from_static(name))
                .collect(),
            ..Rule::default()
        }
    }

    fn sent(pairs: &[(&str, &str)], rule: &Rule) -> Result<HeaderMap, Error> {
        let mut headers = HeaderMap::new();
        for (name, value) in pairs {
            headers.append(
                HeaderName::from_bytes(name.as_bytes()).unwrap(),
                HeaderValue::from_str(value).unwrap(),
            );
        }
        outbound(&mut headers, rule, Forwarded::Drop)?;
        write_owned(&mut headers, Version::HTTP_11, &owned());
        Ok(headers)
    }

    #[test]
    fn fields_of_the_connection_stay_on_it() {
        let headers = sent(
            &[
                ("connection", "close, X-Private"),
                ("connection", "te"),
                ("x-private", "1"),
                ("keep-alive", "timeout=5"),
                ("proxy-connection", "close"),
                ("proxy-authorization", "Basic x"),
                ("te", "trailers"),
                ("trailer", "x"),
                ("transfer-encoding", "chunked"),
                ("upgrade", "h2c"),
                ("http2-settings", "x"),
                ("expect", "100-continue"),
                ("accept", "application/json"),
            ],
            &rule(&[]),
        )
        .unwrap();

        let mut names: Vec<_> = headers.keys().map(HeaderName::as_str).collect();
        names.sort_unstable();
        assert_eq!(
            names,
            [
                "accept",
                "authorization",
                "via",
                "x-api-key",
                "x-gw-ims-org-id",
                "x-sandbox-name"
            ]
        );
        assert_eq!(headers["via"], "1.1 profile-gateway");
    }

    #[test]
    fn every_spelling_by_underscore_is_noticed() {
        let guarded = fields::GUARDED
            .into_iter()
            .chain(crate::aep::OwnedField::ALL.map(crate::aep::OwnedField::name));
        for name in guarded.filter(|name| name.as_str().contains('-')) {
            assert!(may_spell(&name.as_str().replace('-', "_")), "{name}");
        }
    }

    #[test]
    fn every_field_that_has_to_go_is_noticed_by_itself() {
        let guarded = fields::GUARDED.into_iter();
        for name in HOP_BY_HOP.iter().chain(guarded) {
            let headers = sent(&[(name.as_str(), "1")], &rule(&[])).unwrap();

            assert!(!headers.contains_key(name), "{name}");
        }
        for name in [
            "x-http-method",
            "x-http-method-override",
            "x-method-override",
            "x-original-url",
            "x-rewrite-url",
            "x_http_method_override",
            "x_original-url",
        ] {
            let headers = sent(&[(name, "1")], &rule(&[])).unwrap();

            assert!(!headers.contains_key(name), "{name}");
        }
        for name in &HOP_BY_HOP {
            let mut headers = HeaderMap::new();
            headers.insert(name, HeaderValue::from_static("1"));
            assert!(!inbound(&mut headers));

            assert!(headers.is_empty(), "{name}");
        }
    }

    #[test]
    fn nominating_a_field_with_authority_is_refused() {
        for name in [
            "X-Sandbox-Name",
            "authorization",
            "x_api_key",
            "x-sandbox-id",
        ] {
            let refused = sent(&[("connection", name)], &rule(&[])).unwrap_err();

            assert_eq!(refused.reason(), Reason::MalformedRequest, "{name}");
        }
    }

    #[test]
    fn a_guarded_field_passes_only_where_the_route_names_it() {
        let pairs = [
            ("x-sandbox-id", "1"),
            ("x-user-token", "2"),
            ("x_user_token", "3"),
        ];

        let none = sent(&pairs, &rule(&[])).unwrap();
        let one = sent(&pairs, &rule(&["x-user-token"])).unwrap();

        assert!(!none.contains_key("x-sandbox-id") && !none.contains_key("x-user-token"));
        assert!(!one.contains_key("x-sandbox-id") && one["x-user-token"] == "2");
        assert!(!one.contains_key("x_user_token"));
    }

    #[test]
    fn where_a_request_came_from_is_told_only_where_that_is_wanted() {
        for name in [
            "forwarded",
            "x-forwarded-for",
            "x_forwarded_for",
            "x-forwarded",
            "x-forwarded-client-cert",
            "x-real-ip",
            "x_real_ip",
            "x-client-ip",
            "true-client-ip",
            "x-cluster-client-ip",
            "x-envoy-external-address",
        ] {
            assert!(
                !sent(&[(name, "10.0.0.1")], &rule(&[]))
                    .unwrap()
                    .contains_key(name),
                "{name}"
            );
            let mut headers = HeaderMap::new();
            headers.insert(name, HeaderValue::from_static("10.0.0.1"));
            outbound(&mut headers, &rule(&[]), Forwarded::Pass).unwrap();
            assert_eq!(headers[name], "10.0.0.1");
        }
        for name in [
            "x-forward",
            "x-real-id",
            "forwardee",
            "x-real-ips",
            "accept",
        ] {
            assert!(sent(&[(name, "1")], &rule(&[])).unwrap().contains_key(name));
        }
    }

    #[test]
    fn a_request_that_comes_again_and_again_is_in_a_loop() {
        let via = |value: &str| sent(&[("via", "1.0 edge"), ("via", value)], &rule(&[]));
        let often = |times: usize| vec!["1.1 profile-gateway"; times].join(", ");

        assert!(via(&often(MOST_PASSES - 1)).is_ok());
        assert!(via("1.1 x (profile-gateway)").is_ok());
        assert_eq!(
            via(&often(MOST_PASSES)).unwrap_err().reason(),
            Reason::LoopDetected
        );
    }

    #[test]
    fn trailers_hold_nothing_that_belongs_in_a_head() {
        let mut headers = HeaderMap::new();
        for name in [
            "x-end",
            "etag",
            "content-length",
            "connection",
            "set-cookie",
            "te",
        ] {
            headers.insert(name, HeaderValue::from_static("1"));
        }

        trailers(&mut headers);

        let mut left: Vec<_> = headers.keys().map(HeaderName::as_str).collect();
        left.sort_unstable();
        assert_eq!(left, ["etag", "x-end"]);
    }

    #[test]
    fn an_unknown_expectation_is_refused_and_cookie_crumbs_are_joined() {
        let refused = sent(&[("expect", "200-ok")], &rule(&[])).unwrap_err();
        let joined = sent(&[("cookie", "a=1"), ("cookie", "b=2")], &rule(&[])).unwrap();

        assert_eq!(refused.reason(), Reason::ExpectationFailed);
        assert_eq!(joined.get_all("cookie").iter().count(), 1);
        assert_eq!(joined["cookie"], "a=1; b=2");
    }

    /// Names that matter, in every spelling a caller might try, and others.
    fn name() -> impl Strategy<Value = String> {
        let known = prop::sample::select(vec![
            "authorization",
            "x-api-key",
            "x-gw-ims-org-id",
            "x-sandbox-name",
            "x-sandbox-id",
            "x-gw-ims-authorization",
            "x-user-token",
            "connection",
            "keep-alive",
            "te",
            "accept",
            "x-request-id",
        ]);
        (known, prop::collection::vec(any::<(bool, bool)>(), 24)).prop_map(|(name, changes)| {
            let change = |(character, (upper, underscore)): (char, &(bool, bool))| match character {
                '-' if *underscore => '_',
                character if *upper => character.to_ascii_uppercase(),
                character => character,
            };
            name.chars()
                .zip(changes.iter().cycle())
                .map(change)
                .collect()
        })
    }

    fn value() -> impl Strategy<Value = String> {
        prop_oneof![
            "[ -~]{0,20}",
            name(),
            (name(), name()).prop_map(|(first, second)| format!("{first}, ,{second},close")),
        ]
    }

    proptest! {
        #[test]
        fn the_four_fields_leave_exactly_once_and_are_ours(
            pairs in prop::collection::vec((name(), value()), 0..12),
        ) {
            let pairs: Vec<_> = pairs.iter().map(|(name, value)| (name.as_str(), value.trim())).collect();
            match sent(&pairs, &rule(&[])) {
                Ok(headers) => {
                    prop_assert_eq!(owned().verify(&headers), Ok(()));
                    let authority = headers
                        .iter()
                        .filter(|(name, _)| fields::authority_field(name.as_str()).is_some());
                    prop_assert_eq!(authority.count(), 4);
                    prop_assert!(!headers.contains_key("connection"));
                }
                Err(refused) => prop_assert!(
                    matches!(refused.reason(), Reason::MalformedRequest | Reason::ExpectationFailed)
                ),
            }
        }
    }
}
