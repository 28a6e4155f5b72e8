//! A small IMS: hands out tokens, says whether they count, takes them back.

mod assertion;
mod form;

use http::header::{CONTENT_TYPE, HeaderName, HeaderValue};
use http::{Method, StatusCode};
use serde_json::json;

use super::answer::Answer;
use super::call::{Call, Parameters};
use super::errors;
use super::tokens::Tokens;
use super::{Client, Grant};

/// What IMS knows and is asked.
pub(super) struct Ims<'a> {
    pub(super) clients: &'a [Client],
    pub(super) tokens: &'a mut Tokens,
    pub(super) now_ms: u64,
    /// How long a token counts that is minted now.
    pub(super) lifetime_ms: u64,
}

/// Returns the name under which requests to `path` are counted.
pub(super) fn operation(path: &str) -> &'static str {
    match path.strip_suffix('/').unwrap_or(path) {
        "/ims/token/v2" | "/ims/token/v3" | "/ims/token/v4" => "ims.token",
        "/ims/exchange/jwt" | "/ims/exchange/v1/jwt" => "ims.exchange",
        "/ims/validate_token/v1" => "ims.validate",
        "/ims/revoke" | "/ims/invalidate_token/v2" => "ims.revoke",
        _ => "ims.unknown",
    }
}

impl<'a> Ims<'a> {
    /// Answers one request below `/ims/`.
    pub(super) fn answer(&mut self, call: &Call) -> Answer {
        let operation = operation(&call.path);
        let answer = if operation == "ims.unknown" {
            Answer::json(StatusCode::NOT_FOUND, &json!({"message": "Not Found"}))
        } else if call.method != Method::POST {
            let body = json!({"error": "method_not_allowed"});
            Answer::json(StatusCode::METHOD_NOT_ALLOWED, &body)
        } else {
            let parameters = form::parameters(call);
            match operation {
                "ims.token" => self.client_credentials(&parameters),
                "ims.exchange" => self.exchange(&parameters),
                "ims.validate" => Ok(self.validate(&parameters)),
                _ => Ok(self.revoke(&parameters)),
            }
            .unwrap_or_else(|refusal| refusal)
        };
        as_ims_sends(answer)
    }

    fn client_credentials(&mut self, parameters: &Parameters) -> Result<Answer, Answer> {
        match parameters.get("grant_type") {
            Some("client_credentials") => {}
            Some(other) => {
                return Err(refuse(
                    "unsupported_grant_type",
                    &format!("unsupported grant_type: {other}"),
                ));
            }
            None => return Err(refuse("invalid_request", "grant_type is missing")),
        }
        let client = self.client(parameters)?;
        if !client.grants.contains(&Grant::ClientCredentials) {
            return Err(refuse(
                "unauthorized_client",
                "the client is not allowed to use this grant",
            ));
        }
        if parameters
            .get("org_id")
            .is_some_and(|organization| organization != client.organization.as_str())
        {
            return Err(refuse("invalid_request", "invalid org_id parameter"));
        }
        let scope = granted_scope(client, parameters.get("scope").unwrap_or_default())?;
        let token = self
            .tokens
            .mint(client, &scope, self.now_ms, self.lifetime_ms);
        // Seconds here. The genuine service rounds down, so a day is announced as 86399.
        let expires_in = self.lifetime_ms.saturating_sub(1) / 1000;
        Ok(Answer::ok(&json!({
            "access_token": token,
            "token_type": "bearer",
            "expires_in": expires_in,
        })))
    }

    fn exchange(&mut self, parameters: &Parameters) -> Result<Answer, Answer> {
        let client = self.client(parameters)?;
        if !client.grants.contains(&Grant::JwtExchange) {
            return Err(refuse(
                "unauthorized_client",
                "the client is not allowed to use this grant",
            ));
        }
        assertion::check(
            parameters.get("jwt_token").unwrap_or_default(),
            client,
            self.now_ms,
        )?;
        let scope = client.scopes.join(",");
        let token = self
            .tokens
            .mint(client, &scope, self.now_ms, self.lifetime_ms);
        // Milliseconds here, a few short of the full lifetime as in published samples.
        let expires_in = self.lifetime_ms.saturating_sub(8);
        Ok(Answer::ok(&json!({
            "token_type": "bearer",
            "access_token": token,
            "expires_in": expires_in,
        })))
    }

    fn validate(&self, parameters: &Parameters) -> Answer {
        let token = parameters.get("token").unwrap_or_default();
        match self.tokens.valid(token, self.now_ms) {
            Some(minted) if parameters.get("client_id") == Some(minted.client.as_str()) => {
                Answer::ok(&json!({
                    "valid": true,
                    "expires_at": minted.expires_at_ms,
                    "token": minted.claims,
                }))
            }
            Some(_) => Answer::ok(&json!({"valid": false, "reason": "mismatched_client_id"})),
            None => Answer::ok(&json!({"valid": false, "reason": "invalid_token"})),
        }
    }

    fn revoke(&mut self, parameters: &Parameters) -> Answer {
        // As RFC 7009 wants it, a token that never counted is revoked with success too.
        if let Some(token) = parameters.get("token") {
            self.tokens.revoke(token);
        }
        Answer::empty(StatusCode::OK)
    }

    fn client(&self, parameters: &Parameters) -> Result<&'a Client, Answer> {
        let id = parameters.get("client_id").unwrap_or_default();
        let client = self
            .clients
            .iter()
            .find(|client| client.id.as_str() == id)
            .ok_or_else(|| refuse("invalid_client", "invalid client_id parameter"))?;
        let secret = parameters.get("client_secret").unwrap_or_default();
        if client.secrets.iter().any(|known| known == secret) {
            Ok(client)
        } else {
            Err(refuse("invalid_client", "invalid client_secret parameter"))
        }
    }
}

/// Returns the scope as the token will carry it.
fn granted_scope(client: &Client, asked: &str) -> Result<String, Answer> {
    let asked: Vec<&str> = asked
        .split([',', ' '])
        .filter(|scope| !scope.is_empty())
        .collect();
    if asked.is_empty() {
        return Err(refuse("invalid_scope", "scope is missing"));
    }
    match asked
        .iter()
        .find(|scope| !client.scopes.iter().any(|granted| granted == *scope))
    {
        Some(scope) => Err(refuse("invalid_scope", &format!("invalid scope: {scope}"))),
        None => Ok(asked.join(",")),
    }
}

fn refuse(error: &str, description: &str) -> Answer {
    errors::ims(StatusCode::BAD_REQUEST, error, description)
}

/// IMS spells its content type with a charset and numbers its answers for support.
fn as_ims_sends(mut answer: Answer) -> Answer {
    if answer.headers.contains_key(CONTENT_TYPE) {
        answer.headers.insert(
            CONTENT_TYPE,
            HeaderValue::from_static("application/json;charset=UTF-8"),
        );
    }
    answer
}

/// The field IMS numbers its answers in.
pub(super) static X_DEBUG_ID: HeaderName = HeaderName::from_static("x-debug-id");

#[cfg(test)]
mod tests;
