//! Which part of Adobe an error answer comes from, told by the beginning of its body as it passes.

use http::StatusCode;

use crate::aep::error_code;
use crate::telemetry::Blame;

/// Returns whose error it is. The body is looked at, never changed or held back.
///
/// Answers of Adobe's API gateway have an `error_code` of six digits, as text or as a number; everything else
/// comes from a service behind it.
pub(super) fn blame(status: StatusCode, beginning: &[u8]) -> Option<Blame> {
    if !status.is_client_error() && !status.is_server_error() {
        return None;
    }
    Some(gateway_code(beginning).map_or(Blame::AepService, Blame::AdobeGateway))
}

fn gateway_code(body: &[u8]) -> Option<String> {
    if body.len() > LARGEST {
        return None;
    }
    let code = error_code(body)?;
    let six_digits = code.len() == 6 && code.bytes().all(|byte| byte.is_ascii_digit());
    six_digits.then_some(code)
}

/// The gateway's own answers are a line long.
pub(super) const LARGEST: usize = 4096;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_gateway_is_told_from_the_services_by_its_code() {
        let of = |body: &str| blame(StatusCode::UNAUTHORIZED, body.as_bytes());
        let gateway = |code: &str| Some(Blame::AdobeGateway(code.to_owned()));

        assert_eq!(
            of(r#"{"error_code":"401013","message":"Oauth token is not valid"}"#),
            gateway("401013")
        );
        assert_eq!(
            of(r#"{"message":"","error_code":403003}"#),
            gateway("403003")
        );
        assert_eq!(
            of(r#"{"message":"UPS-ACC-1000004: …","statusCode":"403"}"#),
            Some(Blame::AepService)
        );
        assert_eq!(
            of(r#"{"error_code":"janedoe@example.com"}"#),
            Some(Blame::AepService)
        );
        assert_eq!(of("<html>"), Some(Blame::AepService));
        assert_eq!(blame(StatusCode::OK, br#"{"error_code":"401013"}"#), None);
    }
}
