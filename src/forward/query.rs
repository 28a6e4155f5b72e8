//! Takes the query parameter that can carry an API key out of a target, and touches nothing else.

use std::borrow::Cow;

use memchr::memchr;
use percent_encoding::percent_decode_str;

use crate::aep::fields::API_KEY_PARAMETER;

/// Returns `query` without its API key parameters, or `None` when it has none.
///
/// What is left keeps every byte: order, repeats, empty values and encodings.
pub fn without_api_key(query: &str) -> Option<String> {
    if !has_api_key(query.as_bytes()) {
        return None;
    }
    let kept: Vec<_> = query.split('&').filter(|pair| !is_api_key(pair)).collect();
    Some(kept.join("&"))
}

/// Looks at the beginnings first, since few names begin like one that could be the key's.
fn has_api_key(query: &[u8]) -> bool {
    let mut rest = query;
    loop {
        let end = memchr(b'&', rest).unwrap_or(rest.len());
        let (pair, more) = rest.split_at_checked(end).unwrap_or((rest, &[]));
        let suspicious = matches!(pair.first(), Some(b'a' | b'A' | b'%' | b'+' | b' '));
        if suspicious && std::str::from_utf8(pair).is_ok_and(is_api_key) {
            return true;
        }
        match more.split_first() {
            Some((_, more)) => rest = more,
            None => return false,
        }
    }
}

/// Servers differ in whether parameter names are decoded and whether case counts: all readings count here.
fn is_api_key(pair: &str) -> bool {
    let name = pair.split_once('=').map_or(pair, |(name, _)| name);
    let decoded: Cow<'_, str> = if name.contains('%') {
        percent_decode_str(name).decode_utf8_lossy()
    } else {
        name.into()
    };
    decoded
        .trim_matches(['+', ' '])
        .eq_ignore_ascii_case(API_KEY_PARAMETER)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_spelling_of_the_key_goes_and_nothing_else_does() {
        for (query, left) in [
            ("api_key=x", Some("")),
            ("a=1&api_key=x&b=", Some("a=1&b=")),
            ("api_key=x&api_key=y&a", Some("a")),
            ("API_KEY=x&a=1", Some("a=1")),
            ("api%5Fkey=x&a=1", Some("a=1")),
            ("%61pi_key&a=1", Some("a=1")),
            ("+api_key=1&a=a+b%40x", Some("a=a+b%40x")),
            ("entityId=a+b%40x.com&mergePolicyId=&&property=a<=b", None),
            ("my_api_key=1&api_keys=2&x=api_key=3", None),
            ("", None),
        ] {
            assert_eq!(without_api_key(query).as_deref(), left, "{query}");
        }
    }
}
