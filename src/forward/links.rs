//! Turns an answer's absolute references to the upstream into references to the gateway, so that who follows them does
//! not leave it.
//!
//! # Source
//! RFC 3986 §3 and §4.2, RFC 8288 §3, RFC 9110 §8.7 and §10.2.2.

use std::ops::Range;

use http::header::{self, Entry, HeaderMap, HeaderName, HeaderValue};
use http::request;

use crate::connect::Origin;
use crate::context::{Exchange, Host};
use crate::rewrite::Back;

/// Keeps whom the caller addressed, as long as the request still says so.
pub(super) fn note(head: &request::Parts, exchange: &Exchange) {
    let field = head.headers.get(header::HOST).cloned().map(Host::Field);
    let authority = || head.uri.authority().cloned().map(Host::Authority);
    if let Some(host) = field.or_else(authority) {
        // A request is prepared once.
        let _ = exchange.host.set(host);
    }
}

/// Rewrites the references to `origin` in an answer's fields. They lead to the listener's own URL if it has one, else to
/// whom the caller addressed; who named no host gets paths.
pub(super) fn rewrite(headers: &mut HeaderMap, origin: &Origin, exchange: &Exchange) {
    let mut base = Vec::new();
    if let Some(url) = &exchange.connection.public_url {
        base.extend_from_slice(url.as_bytes());
    } else if let Some(host) = exchange.host.get() {
        base.extend_from_slice(exchange.connection.scheme().as_bytes());
        base.extend_from_slice(b"://");
        base.extend_from_slice(host.as_bytes());
    }
    let back = exchange.back.get().map(Box::as_ref);
    let led = |value: &[u8]| lead(value, origin, &base, back);
    for name in &ONE {
        rewrite_field(headers, name, led);
    }
    rewrite_field(headers, &header::LINK, |value| link_by(value, led));
}

/// Fields whose value is one reference.
static ONE: [HeaderName; 2] = [header::CONTENT_LOCATION, header::LOCATION];

fn rewrite_field(
    headers: &mut HeaderMap,
    name: &HeaderName,
    rewritten: impl Fn(&[u8]) -> Option<Vec<u8>>,
) {
    let Entry::Occupied(mut values) = headers.entry(name) else {
        return;
    };
    for value in values.iter_mut() {
        let better = rewritten(value.as_bytes()).map(HeaderValue::try_from);
        if let Some(Ok(better)) = better {
            *value = better;
        }
    }
}

/// Returns `value`, which is one reference, with `base` in the place of `origin`; `None` when it does not name it.
///
/// Without a base a path is left, unless others would take that for another host.
pub fn reference(value: &[u8], origin: &Origin, base: &[u8]) -> Option<Vec<u8>> {
    lead(value, origin, base, None)
}

/// The same for an answer to a request whose path was rewritten: the paths of references are rewritten `back`, also of those
/// that name no host. What no path of the route leads to keeps the path it has.
fn lead(value: &[u8], origin: &Origin, base: &[u8], back: Option<&Back>) -> Option<Vec<u8>> {
    let Some(rest) = after_origin(value, origin) else {
        // What begins with two slashes, or with what some take for one, names a host.
        let is_path = value.starts_with(b"/") && !matches!(value, [b'/', b'/' | b'\\', ..]);
        return led_back(value, back.filter(|_| is_path)?);
    };
    let led = back.and_then(|back| led_back(rest, back));
    let rest = led.as_deref().unwrap_or(rest);
    let mut rewritten = base.to_vec();
    if base.is_empty() {
        if matches!(rest, [b'/', b'/' | b'\\', ..]) {
            return None;
        }
        if !rest.starts_with(b"/") {
            rewritten.push(b'/');
        }
    }
    rewritten.extend_from_slice(rest);
    Some(rewritten)
}

fn led_back(path: &[u8], back: &Back) -> Option<Vec<u8>> {
    let path = std::str::from_utf8(path).ok()?;
    let led = if path.starts_with('/') {
        back.path(path)
    } else {
        back.path(&format!("/{path}"))
    };
    led.map(String::into_bytes)
}

/// Returns the value of a `Link` field with `base` in the place of `origin` in the targets of its links; `None` when no
/// target names it. All else stays as it is, parameters too.
pub fn link(value: &[u8], origin: &Origin, base: &[u8]) -> Option<Vec<u8>> {
    link_by(value, |target| reference(target, origin, base))
}

fn link_by(value: &[u8], led: impl Fn(&[u8]) -> Option<Vec<u8>>) -> Option<Vec<u8>> {
    let mut rewritten = Vec::new();
    let mut done = 0;
    for target in targets(value) {
        let old = value.get(target.clone()).unwrap_or_default();
        if let Some(new) = led(old) {
            rewritten.extend_from_slice(value.get(done..target.start).unwrap_or_default());
            rewritten.extend_from_slice(&new);
            done = target.end;
        }
    }
    if done == 0 {
        return None;
    }
    rewritten.extend_from_slice(value.get(done..).unwrap_or_default());
    Some(rewritten)
}

/// Returns the places of the targets in the value of a `Link` field. Where it stops being one, they end.
pub fn targets(value: &[u8]) -> Vec<Range<usize>> {
    let mut targets = Vec::new();
    let mut at = 0;
    loop {
        while matches!(value.get(at), Some(b' ' | b'\t' | b',')) {
            at += 1;
        }
        if value.get(at) != Some(&b'<') {
            return targets;
        }
        let rest = value.get(at + 1..).unwrap_or_default();
        let Some(length) = rest.iter().position(|byte| *byte == b'>') else {
            return targets;
        };
        targets.push(at + 1..at + 1 + length);
        at += length + 2;
        match parameters(value.get(at..).unwrap_or_default()) {
            Some(length) => at += length,
            None => return targets,
        }
    }
}

/// Returns the length of a link's parameters, which end before a comma outside of quotes; `None` at the value's end.
fn parameters(rest: &[u8]) -> Option<usize> {
    let (mut quoted, mut escaped) = (false, false);
    rest.iter().position(|byte| {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if quoted => escaped = true,
            b'"' => quoted = !quoted,
            b',' if !quoted => return true,
            _ => {}
        }
        false
    })
}

/// Returns what follows scheme, host and port in an absolute reference to `origin`, with or without a scheme.
fn after_origin<'a>(reference: &'a [u8], origin: &Origin) -> Option<&'a [u8]> {
    let (scheme, own_port) = if origin.is_tls() {
        (&b"https:"[..], 443)
    } else {
        (&b"http:"[..], 80)
    };
    let named = reference
        .split_at_checked(scheme.len())
        .filter(|(start, _)| start.eq_ignore_ascii_case(scheme));
    // Without a scheme it is that of the answer, as the upstream meant it.
    let rest = named.map_or(reference, |(_, rest)| rest);
    let rest = rest.strip_prefix(b"//")?;
    let end = rest
        .iter()
        .position(|byte| matches!(byte, b'/' | b'?' | b'#'))
        .unwrap_or(rest.len());
    let (authority, rest) = rest.split_at_checked(end)?;
    let (host, port) = if let Some(bracketed) = authority.strip_prefix(b"[") {
        let end = bracketed.iter().position(|byte| *byte == b']')?;
        (bracketed.get(..end)?, bracketed.get(end + 1..)?)
    } else {
        let end = authority.iter().position(|byte| *byte == b':');
        authority.split_at_checked(end.unwrap_or(authority.len()))?
    };
    let port = match port {
        b"" | b":" => own_port,
        port => std::str::from_utf8(port.strip_prefix(b":")?)
            .ok()
            .filter(|digits| digits.bytes().all(|byte| byte.is_ascii_digit()))?
            .parse()
            .ok()?,
    };
    let is_it = host.eq_ignore_ascii_case(origin.host().as_bytes()) && port == origin.port();
    is_it.then_some(rest)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use proptest::prelude::*;

    use super::*;
    use crate::rewrite::{Rewrite, Way};

    const BASE: &[u8] = b"http://gateway:8080";

    fn adobe() -> Origin {
        "https://platform.adobe.io".parse().unwrap()
    }

    fn one(value: &str, origin: &str, base: &[u8]) -> Option<String> {
        let rewritten = reference(value.as_bytes(), &origin.parse().unwrap(), base);
        rewritten.map(|bytes| String::from_utf8(bytes).unwrap())
    }

    #[test]
    fn where_the_path_was_rewritten_references_are_rewritten_back() {
        let prefix = |text: &str| text.parse().unwrap();
        let rewrite = Rewrite {
            from: prefix("/crm"),
            to: prefix("/data/core"),
        };
        let way = Arc::new(Way {
            take_off: Some(1),
            rewrite: Some(rewrite),
        });
        let back = Back {
            way,
            segment: Some("dev-2".into()),
        };
        let led = |value: &str| {
            let led = lead(value.as_bytes(), &adobe(), BASE, Some(&back));
            led.map(|bytes| String::from_utf8(bytes).unwrap())
        };

        for (value, expected) in [
            (
                "https://platform.adobe.io/data/core/ups/x?a=/b#c",
                Some("http://gateway:8080/crm/dev-2/ups/x?a=/b#c"),
            ),
            ("/data/core/ups/x", Some("/crm/dev-2/ups/x")),
            (
                "https://platform.adobe.io/data/core?a",
                Some("http://gateway:8080/crm/dev-2?a"),
            ),
            // No path of the route leads there.
            (
                "https://platform.adobe.io/data/other",
                Some("http://gateway:8080/data/other"),
            ),
            ("https://platform.adobe.io", Some("http://gateway:8080")),
            ("/data/other", None),
            ("//data/core/x", None),
            ("/\\data/core/x", None),
            ("x/y", None),
            ("https://other.example/data/core/x", None),
        ] {
            assert_eq!(led(value).as_deref(), expected, "{value}");
        }
    }

    fn links(value: &str) -> Option<String> {
        let rewritten = link(value.as_bytes(), &adobe(), BASE);
        rewritten.map(|bytes| String::from_utf8(bytes).unwrap())
    }

    #[test]
    fn what_names_the_upstream_names_the_gateway_afterwards() {
        let origin = "https://platform.adobe.io";
        for (value, rest) in [
            ("https://platform.adobe.io/data/x?y#z", "/data/x?y#z"),
            ("https://platform.adobe.io:443/data", "/data"),
            ("https://platform.adobe.io:/data", "/data"),
            ("HTTPS://Platform.Adobe.IO/Data", "/Data"),
            ("//platform.adobe.io/data", "/data"),
            ("https://platform.adobe.io", ""),
            ("https://platform.adobe.io?x=//y", "?x=//y"),
            ("https://platform.adobe.io#x", "#x"),
            (
                "https://platform.adobe.io//other.example/",
                "//other.example/",
            ),
        ] {
            let expected = format!("http://gateway:8080{rest}");
            assert_eq!(one(value, origin, BASE), Some(expected), "{value}");
        }
        for (value, origin) in [
            ("http://127.0.0.1:8081/x", "http://127.0.0.1:8081"),
            ("http://[::1]:8081/x", "http://[::1]:8081"),
            ("http://[::1]/x", "http://[::1]"),
            ("http://[::1]:80/x", "http://[::1]"),
        ] {
            let expected = Some("http://gateway:8080/x".to_owned());
            assert_eq!(one(value, origin, BASE), expected, "{value}");
        }
    }

    #[test]
    fn what_names_another_place_or_none_stays() {
        for value in [
            "",
            "/data/x",
            "data",
            "?x",
            "https:/platform.adobe.io/x",
            "https:platform.adobe.io/x",
            "http://platform.adobe.io/x",
            "ftp://platform.adobe.io/x",
            "https://platform.adobe.io:80/x",
            "https://platform.adobe.io:4430/x",
            "https://platform.adobe.io:+443/x",
            "https://platform.adobe.io:99999/x",
            "https://platform.adobe.io:x/x",
            "https://platform.adobe.io./x",
            "https://platform.adobe.io.example/x",
            "https://xplatform.adobe.io/x",
            "https://platform-va7.adobe.io/x",
            "https://platform.adobe.io@other.example/x",
            "https://user@platform.adobe.io/x",
            "https://platform.adobe.io\\@other.example/x",
            "https://platform%2eadobe.io/x",
            "https://[platform.adobe.io/x",
            "https://other.example/https://platform.adobe.io/x",
            " https://platform.adobe.io/x",
        ] {
            assert_eq!(
                one(value, "https://platform.adobe.io", BASE),
                None,
                "{value}"
            );
        }
    }

    #[test]
    fn a_caller_without_a_host_gets_a_path_that_nobody_takes_for_a_host() {
        let path = |rest: &str| {
            let value = format!("https://platform.adobe.io{rest}");
            one(&value, "https://platform.adobe.io", b"")
        };

        assert_eq!(path("/data/x"), Some("/data/x".to_owned()));
        assert_eq!(path(""), Some("/".to_owned()));
        assert_eq!(path("?x"), Some("/?x".to_owned()));
        assert_eq!(path("//other.example/"), None);
        assert_eq!(path("/\\other.example/"), None);
    }

    #[test]
    fn of_a_link_only_the_targets_change() {
        let told = "<https://platform.adobe.io/a>; rel=\"next\"; title=\"a, <https://platform.adobe.io/b>\\\" ;,\" , ,\
                    </c>;rel=prev,<https://other.example/d>,<https://platform.adobe.io:443/e>; anchor=\"https://platform.adobe.io/f\"";
        let rewritten = "<http://gateway:8080/a>; rel=\"next\"; title=\"a, <https://platform.adobe.io/b>\\\" ;,\" , ,\
                         </c>;rel=prev,<https://other.example/d>,<http://gateway:8080/e>; anchor=\"https://platform.adobe.io/f\"";

        assert_eq!(links(told).as_deref(), Some(rewritten));
        for untouched in [
            "",
            ",",
            "</a>",
            "https://platform.adobe.io/a",
            "x <https://platform.adobe.io/a>",
            "<https://platform.adobe.io/a",
            "</a>; title=\"open, <https://platform.adobe.io/b>",
            "</a> <https://platform.adobe.io/b>",
        ] {
            assert_eq!(links(untouched), None, "{untouched}");
        }
    }

    /// A link-value and what becomes of it.
    fn link_value() -> impl Strategy<Value = (String, String)> {
        let target = prop_oneof![
            "[a-z/?#:,;\"]{0,12}".prop_map(|same| (same.clone(), same)),
            "(/[a-z,;\"=]{0,8})?".prop_map(|rest| (
                format!("https://platform.adobe.io{rest}"),
                format!("http://gateway:8080{rest}")
            )),
        ];
        let parameters = prop::collection::vec(
            prop_oneof![
                "; ?[a-z]{1,5}=[a-z0-9]{1,5}",
                "; ?[a-z]{1,5}=\"([a-z,;<> ]|\\\\[\"\\\\a]|https://platform\\.adobe\\.io/){0,6}\"",
            ],
            0..3,
        );
        (target, parameters).prop_map(|((before, after), parameters)| {
            let parameters = parameters.concat();
            (
                format!("<{before}>{parameters}"),
                format!("<{after}>{parameters}"),
            )
        })
    }

    proptest! {
        #[test]
        fn lists_of_links_are_read_as_they_are_written(
            values in prop::collection::vec((link_value(), "( |\t|,){0,3}"), 0..5),
        ) {
            let join = |pick: fn(&(String, String)) -> &String| {
                values.iter().fold(String::new(), |all, (value, after)| all + pick(value) + "," + after)
            };
            let (before, after) = (join(|value| &value.0), join(|value| &value.1));
            let rewritten = link(before.as_bytes(), &adobe(), BASE);

            prop_assert_eq!(rewritten.is_some(), before != after);
            let rewritten = rewritten.map_or(before, |bytes| String::from_utf8(bytes).unwrap());
            prop_assert_eq!(rewritten, after);
        }
    }
}
