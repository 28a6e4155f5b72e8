//! Token calls with the client secret that works.

use super::CredentialSettings;
use super::answer::{Class, Failure, Minted};
use super::mint::TokenService;

/// Makes token calls, and remembers which client secret worked.
#[derive(Debug)]
pub(super) struct Minter<S> {
    service: S,
    /// The place of the secret that worked last.
    preferred: usize,
}

impl<S: TokenService> Minter<S> {
    /// Begins with the first secret.
    pub(super) fn new(service: S) -> Self {
        Self {
            service,
            preferred: 0,
        }
    }

    /// Forgets which secret worked: they are tried in the order they are written.
    pub(super) fn begin_anew(&mut self) {
        self.preferred = 0;
    }

    /// Asks with the secret that worked last, then with the other one if IMS knows that one no more. Returns the token,
    /// and which secret it was, counted from 1.
    ///
    /// # Errors
    /// [`Failure`] of the last call.
    pub(super) async fn mint(
        &mut self,
        settings: &CredentialSettings,
    ) -> Result<(Minted, usize), Failure> {
        let count = settings.client_secrets.len();
        let mut refused = Failure::new(Class::Configuration, "the credential has no client secret");
        for step in 0..count {
            let place = (self.preferred + step) % count;
            let Some(secret) = settings.client_secrets.get(place) else {
                break;
            };
            match self.service.mint(settings, secret).await {
                Ok(minted) => {
                    self.preferred = place;
                    return Ok((minted, place + 1));
                }
                Err(failure) if failure.class == Class::Client => {
                    tracing::warn!(
                        credential = settings.name,
                        secret = place + 1,
                        of = count,
                        cause = %failure,
                        "IMS refused a client secret"
                    );
                    refused = failure;
                }
                Err(failure) => return Err(failure),
            }
        }
        Err(refused)
    }
}
