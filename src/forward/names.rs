//! Which fields mean something here, told by their names.

use http::header::{self, HeaderMap, HeaderName};

use super::notable::Notable;

/// Which kinds of fields a message has that need work: one look at each name, since most messages have none.
#[derive(Debug, Default)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each stands for work of its own"
)]
pub(super) struct Present {
    pub(super) cookie: bool,
    pub(super) deadline: bool,
    pub(super) expect: bool,
    pub(super) forwarded: bool,
    pub(super) guarded: bool,
    pub(super) hop_by_hop: Places,
    pub(super) overrides: bool,
    pub(super) underscore: bool,
    pub(super) via: bool,
}

impl Present {
    pub(super) fn among(headers: &HeaderMap) -> Self {
        let mut present = Self::default();
        for name in headers.keys() {
            // Every name that is looked for below has to be found here: the tests try each.
            let name = name.as_str();
            if !OF_REQUESTS.may_hold(name) {
                continue;
            }
            present.hop_by_hop.add(hop_by_hop(name));
            present.forwarded |= tells_where_from(name);
            match name.len() {
                3 => present.via |= name == "via",
                6 => {
                    present.cookie |= name == "cookie";
                    present.expect |= name == "expect";
                }
                12 => present.guarded |= matches!(name, "x-sandbox-id" | "x-user-token"),
                15 => present.deadline |= name == "request-timeout",
                18 => present.deadline |= name == "x-request-deadline",
                22 => present.guarded |= name == "x-gw-ims-authorization",
                _ => {}
            }
            present.overrides |= overrides(name);
            present.underscore |= may_spell(name);
        }
        present
    }
}

/// What [`Present`] looks for.
pub(super) static OF_REQUESTS: Notable = Notable::of(
    &[
        // Hop by hop.
        "connection",
        "http2-settings",
        "keep-alive",
        "proxy-authenticate",
        "proxy-authorization",
        "proxy-connection",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
        // The four, which may be spelled otherwise, and what is guarded.
        "authorization",
        "x-api-key",
        "x-gw-ims-authorization",
        "x-gw-ims-org-id",
        "x-sandbox-id",
        "x-sandbox-name",
        "x-user-token",
        // Another method or path.
        "x-http-method",
        "x-http-method-override",
        "x-method-override",
        "x-original-url",
        "x-rewrite-url",
        // Where a request came from.
        "cf-connecting-ip",
        "client-ip",
        "fastly-client-ip",
        "forwarded",
        "true-client-ip",
        "x-azure-clientip",
        "x-azure-socketip",
        "x-client-ip",
        "x-cluster-client-ip",
        "x-envoy-external-address",
        "x-original-forwarded-for",
        "x-original-host",
        "x-originating-ip",
        "x-real-ip",
        "x-remote-addr",
        "x-remote-ip",
        // What has a meaning of its own.
        "cookie",
        "expect",
        "request-timeout",
        "via",
        "x-request-deadline",
    ],
    &["x-forwarded"],
);

/// What is looked for among an answer's fields.
pub(super) static OF_ANSWERS: Notable = Notable::of(
    &[
        "connection",
        "content-length",
        "content-location",
        "http2-settings",
        "keep-alive",
        "link",
        "location",
        "proxy-authenticate",
        "proxy-authorization",
        "proxy-connection",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
    ],
    &[],
);

/// Places in [`HOP_BY_HOP`].
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Places(u16);

impl Places {
    pub(super) fn add(&mut self, place: Option<u16>) {
        if let Some(place) = place {
            self.0 |= 1 << place;
        }
    }

    pub(super) fn any(self) -> bool {
        self.0 != 0
    }

    pub(super) fn remove_from(self, headers: &mut HeaderMap) {
        for (place, name) in HOP_BY_HOP.iter().enumerate() {
            if self.0 >> place & 1 == 1 {
                headers.remove(name);
            }
        }
    }
}

pub(super) static HOP_BY_HOP: [HeaderName; 10] = [
    header::CONNECTION,
    HeaderName::from_static("keep-alive"),
    HeaderName::from_static("proxy-connection"),
    header::PROXY_AUTHENTICATE,
    header::PROXY_AUTHORIZATION,
    header::TE,
    header::TRAILER,
    header::TRANSFER_ENCODING,
    header::UPGRADE,
    HeaderName::from_static("http2-settings"),
];

/// Tells whether a field concerns only the connection it came over.
pub(super) fn is_hop_by_hop(name: &str) -> bool {
    hop_by_hop(name).is_some()
}

/// Returns the place in [`HOP_BY_HOP`] of a field that concerns only the connection it came over, told by its length first.
pub(super) fn hop_by_hop(name: &str) -> Option<u16> {
    let (known, place) = match name.len() {
        2 => ("te", 5),
        7 if name.starts_with('t') => ("trailer", 6),
        7 => ("upgrade", 8),
        10 if name.starts_with('c') => ("connection", 0),
        10 => ("keep-alive", 1),
        14 => ("http2-settings", 9),
        16 => ("proxy-connection", 2),
        17 => ("transfer-encoding", 7),
        18 => ("proxy-authenticate", 3),
        19 => ("proxy-authorization", 4),
        _ => return None,
    };
    (name == known).then_some(place)
}

/// Tells whether a name may spell a field with authority by an underscore: it has one, and a length of theirs.
pub(super) fn may_spell(name: &str) -> bool {
    matches!(name.len(), 9 | 12..=15 | 22) && name.bytes().any(|byte| byte == b'_')
}

/// Tells whether a field says where a request came from, in any spelling by underscores: of those that proxies add, the
/// ones that are told apart by nothing but their names.
pub(super) fn tells_where_from(name: &str) -> bool {
    // Most names begin otherwise, those of the four among them.
    let begins = matches!(
        name.as_bytes(),
        [b'c' | b'f' | b't', ..] | [b'x', _, b'a' | b'c' | b'e' | b'f' | b'o' | b'r', ..]
    );
    if !begins {
        return false;
    }
    let known: &[&str] = match name.len() {
        9 => &["forwarded", "x-real-ip", "client-ip"],
        11 => &["x-client-ip", "x-remote-ip"],
        13 => &["x-remote-addr"],
        14 => &["true-client-ip"],
        15 => &["x-original-host"],
        16 => &[
            "cf-connecting-ip",
            "fastly-client-ip",
            "x-azure-clientip",
            "x-azure-socketip",
            "x-originating-ip",
        ],
        19 => &["x-cluster-client-ip"],
        24 => &["x-envoy-external-address", "x-original-forwarded-for"],
        _ => &[],
    };
    known.iter().any(|known| spells(name, known))
        || matches!(
            name.as_bytes(),
            [
                b'x',
                b'-' | b'_',
                b'f',
                b'o',
                b'r',
                b'w',
                b'a',
                b'r',
                b'd',
                b'e',
                b'd',
                ..
            ]
        )
}

/// Tells whether some servers take another method or path from a field than the request line's, which is the one permitted,
/// in any spelling by underscores.
pub(super) fn overrides(name: &str) -> bool {
    let known: &[&str] = match name.len() {
        13 => &["x-http-method", "x-rewrite-url"],
        14 => &["x-original-url"],
        17 => &["x-method-override"],
        22 => &["x-http-method-override"],
        _ => &[],
    };
    known.iter().any(|known| spells(name, known))
}

/// Tells whether `name` is `known`, or spells it with `_` for `-`.
fn spells(name: &str, known: &str) -> bool {
    let mut pairs = name.bytes().zip(known.bytes());
    pairs.all(|(byte, wanted)| byte == wanted || (byte == b'_' && wanted == b'-'))
}
