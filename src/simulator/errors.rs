//! The bodies Adobe sends when it refuses: those of its API gateway, of Profile, of AIS and of IMS.
//!
//! # Source
//! The table of Adobe's open-source gateway validator and Experience Platform's troubleshooting guide, read
//! 2026-11-23. Where a text is not public, its documentation here says so.

use bytes::Bytes;
use http::StatusCode;
use serde_json::{Value, json};

use super::answer::Answer;

/// One row of the API gateway's table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct GatewayError {
    pub(super) status: StatusCode,
    pub(super) code: &'static str,
    pub(super) message: &'static str,
}

impl GatewayError {
    pub(super) fn answer(self) -> Answer {
        let body = json!({"error_code": self.code, "message": self.message});
        Answer::raw(
            self.status,
            "application/json",
            Bytes::from(body.to_string()),
        )
    }
}

const fn row(status: StatusCode, code: &'static str, message: &'static str) -> GatewayError {
    GatewayError {
        status,
        code,
        message,
    }
}

pub(super) const API_KEY_MISSING: GatewayError =
    row(StatusCode::FORBIDDEN, "403000", "Api Key is required");
pub(super) const API_KEY_INVALID: GatewayError =
    row(StatusCode::FORBIDDEN, "403003", "Api Key is invalid");
pub(super) const TOKEN_MISSING: GatewayError =
    row(StatusCode::FORBIDDEN, "403010", "Oauth token is missing.");
pub(super) const TOKEN_INVALID: GatewayError = row(
    StatusCode::UNAUTHORIZED,
    "401013",
    "Oauth token is not valid",
);
/// The token belongs to another client than the API key.
pub(super) const TOKEN_OF_ANOTHER_CLIENT: GatewayError = row(
    StatusCode::UNAUTHORIZED,
    "401014",
    "Token not allowed in the current context",
);
pub(super) const HEADER_MISSING: GatewayError =
    row(StatusCode::BAD_REQUEST, "400003", "Missing header");
/// The technical account has no access to the organisation.
pub(super) const NOT_ENTITLED: GatewayError =
    row(StatusCode::FORBIDDEN, "403025", "Profile is not valid");
/// The organisation is unknown.
pub(super) const REGION_MISSING: GatewayError =
    row(StatusCode::FORBIDDEN, "403027", "User region is missing");
/// The text is a community sample, not documented.
pub(super) const NO_SUCH_API: GatewayError =
    row(StatusCode::NOT_FOUND, "404003", "Resource not found");

/// A refusal by the Profile service: `{"message", "statusCode"}`.
pub(super) fn profile(status: StatusCode, message: &str) -> Answer {
    Answer::json(
        status,
        &json!({"message": message, "statusCode": status.as_str()}),
    )
}

/// The Profile service's answer about something it does not have.
pub(super) fn not_found() -> Answer {
    Answer::json(StatusCode::NOT_FOUND, &json!({"statusCode": "404"}))
}

/// The path exists, the method does not. Adobe's own text is not public.
pub(super) fn method_not_allowed() -> Answer {
    profile(StatusCode::METHOD_NOT_ALLOWED, "Method Not Allowed")
}

pub(super) fn content_type_required() -> Answer {
    profile(
        StatusCode::BAD_REQUEST,
        "A valid content-type must be specified",
    )
}

pub(super) fn unsupported_media_type(expected: &str) -> Answer {
    problem(
        StatusCode::UNSUPPORTED_MEDIA_TYPE,
        "Unsupported Media Type",
        &format!("Content-Type must be {expected}"),
    )
}

/// The body is not JSON. Adobe's own text is not public; the shape is.
pub(super) fn unreadable_body(error: &serde_json::Error) -> Answer {
    let body = json!({
        "message": "UPS-400: The request body could not be read",
        "cause": format!("Status Code - 400 : {error}"),
        "statusCode": "400",
    });
    Answer::json(StatusCode::BAD_REQUEST, &body)
}

/// A refusal as problem+json, the form of the platform's foundation services.
pub(super) fn problem(status: StatusCode, title: &str, detail: &str) -> Answer {
    let body = json!({
        "type": format!("http://ns.adobe.com/aep/errors/UPS-{}", status.as_str()),
        "title": title,
        "status": status.as_u16(),
        "detail": detail,
    });
    Answer::raw(
        status,
        "application/problem+json",
        Bytes::from(body.to_string()),
    )
}

/// The sandbox does not exist. Adobe's own answer is not public; the shape is that of its sandbox service.
pub(super) fn unknown_sandbox(name: &str) -> Answer {
    problem(
        StatusCode::NOT_FOUND,
        "Sandbox not found",
        &format!("Sandbox {name} was not found in this organization"),
    )
}

/// A refusal by the delete jobs of Profile: the errors of one status, under that status.
pub(super) fn system_job(status: StatusCode, request_id: &str, message: &str) -> Answer {
    let mut errors = serde_json::Map::new();
    errors.insert(
        status.as_str().to_owned(),
        json!([{"code": status.as_str(), "message": message}]),
    );
    Answer::json(
        status,
        &json!({"requestId": request_id, "errors": Value::Object(errors)}),
    )
}

/// A refusal by the audience ingestion service, whose codes end in the status: `100911-400`.
pub(super) fn ais(code: &str, status: StatusCode, title: &str) -> Answer {
    let body = json!({
        "type": format!("http://ns.adobe.com/aep/errors/AIS-{code}"),
        "error_code": code,
        "title": title,
        "status": status.as_u16(),
    });
    Answer::raw(
        status,
        "application/problem+json",
        Bytes::from(body.to_string()),
    )
}

/// A refusal by IMS.
pub(super) fn ims(status: StatusCode, error: &str, description: &str) -> Answer {
    Answer::json(
        status,
        &json!({"error": error, "error_description": description}),
    )
}
