//! The id that ties a request to its log lines, at the gateway and at Adobe.

use http::header::Entry;
use http::{HeaderMap, HeaderValue};

use crate::aep::fields::X_REQUEST_ID;

/// Sees to it that `headers` have one id, and returns it: the caller's if it is legal, else a fresh one of 32
/// hexadecimal digits.
///
/// A caller's id need not be unique: one of Adobe's SDKs repeats the same one on every call.
pub(super) fn settle(headers: &mut HeaderMap) -> HeaderValue {
    match headers.entry(&X_REQUEST_ID) {
        Entry::Occupied(mut sent) => {
            let id = if is_legal(sent.get().as_bytes()) {
                sent.get().clone()
            } else {
                fresh()
            };
            sent.insert(id.clone());
            id
        }
        Entry::Vacant(none) => none.insert(fresh()).clone(),
    }
}

fn is_legal(id: &[u8]) -> bool {
    !id.is_empty() && id.len() <= LONGEST && id.iter().all(u8::is_ascii_graphic)
}

/// Bytes of an id that are copied into log lines.
const LONGEST: usize = 128;

fn fresh() -> HeaderValue {
    HeaderValue::from_str(&format!("{:032x}", fastrand::u128(..)))
        .unwrap_or_else(|_| HeaderValue::from_static("none"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_legal_id_is_kept_and_another_replaced() {
        let settled = |sent: &[&str]| {
            let mut headers = HeaderMap::new();
            for id in sent {
                headers.append(&X_REQUEST_ID, HeaderValue::from_str(id).unwrap());
            }
            let id = settle(&mut headers);
            assert_eq!(
                headers.get_all(&X_REQUEST_ID).iter().collect::<Vec<_>>(),
                [&id]
            );
            id
        };

        assert_eq!(settled(&["order-17/a"]), "order-17/a");
        assert_eq!(settled(&["order-17/a", "second"]), "order-17/a");
        for wrong in ["", "two words", &"x".repeat(129)] {
            assert_eq!(settled(&[wrong]).len(), 32, "{wrong}");
        }
        assert_ne!(settled(&[]), settled(&[]));
    }
}
