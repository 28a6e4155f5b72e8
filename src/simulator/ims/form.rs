//! The parameters of an IMS request, wherever the client put them.

use http::header::CONTENT_TYPE;

use crate::simulator::call::{Call, Parameters};

/// Returns the parameters of the body, then those of the query.
///
/// Some SDKs send only the client id in the query, older samples send everything there, and two Adobe
/// libraries send `multipart/form-data`.
pub(super) fn parameters(call: &Call) -> Parameters {
    let mut parameters = match boundary(call) {
        Some(boundary) => multipart(&String::from_utf8_lossy(&call.body), boundary),
        None => Parameters::parse(&String::from_utf8_lossy(&call.body)),
    };
    parameters.extend(call.query.clone());
    parameters
}

fn boundary(call: &Call) -> Option<&str> {
    let (kind, rest) = call.header(CONTENT_TYPE)?.split_once(';')?;
    if !kind.trim().eq_ignore_ascii_case("multipart/form-data") {
        return None;
    }
    rest.split(';')
        .find_map(|part| part.trim().strip_prefix("boundary="))
        .map(|boundary| boundary.trim_matches('"'))
}

/// Reads the fields of a `multipart/form-data` body (RFC 7578); file parts count as fields.
fn multipart(body: &str, boundary: &str) -> Parameters {
    let delimiter = format!("--{boundary}");
    let mut parameters = Parameters::default();
    for part in body.split(delimiter.as_str()).skip(1) {
        let Some((head, value)) = part.split_once("\r\n\r\n") else {
            continue;
        };
        let name = head
            .split([';', '\r', '\n'])
            .find_map(|item| item.trim().strip_prefix("name="))
            .map(|name| name.trim_matches('"'));
        if let Some(name) = name {
            parameters.push(name, value.strip_suffix("\r\n").unwrap_or(value));
        }
    }
    parameters
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use http::{HeaderMap, HeaderValue, Method};

    use super::*;

    fn call(target: &str, content_type: &'static str, body: &'static str) -> Call {
        let mut headers = HeaderMap::new();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
        Call::new(
            &Method::POST,
            target,
            headers,
            Bytes::from_static(body.as_bytes()),
        )
    }

    #[test]
    fn parameters_are_found_in_body_query_and_multipart() {
        let urlencoded = "application/x-www-form-urlencoded";
        let cases = [
            call("/ims/token/v3", urlencoded, "client_id=CID&scope=a%2Cb"),
            call("/ims/token/v3?client_id=CID", urlencoded, "scope=a%2Cb"),
            call("/ims/token/v2?client_id=CID&scope=a,b", urlencoded, ""),
            call(
                "/ims/token/v2",
                "multipart/form-data; boundary=\"b\"",
                "--b\r\nContent-Disposition: form-data; name=\"client_id\"\r\n\r\nCID\r\n\
                 --b\r\nContent-Disposition: form-data; name=scope\r\n\r\na,b\r\n--b--\r\n",
            ),
        ];
        for call in cases {
            let parameters = parameters(&call);

            assert_eq!(parameters.get("client_id"), Some("CID"), "{call:?}");
            assert_eq!(parameters.get("scope"), Some("a,b"), "{call:?}");
        }
    }
}
