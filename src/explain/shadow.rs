//! Rules that decide beside those that count, and change nothing: to see what they would do before they do it.

use std::collections::HashMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::rc::Rc;
use std::task::{Context, Poll};

use tower::{Layer, Service};

use super::engines::{Engines, Head};
use crate::aep::Kinds;
use crate::authorize::{self, Bounds, Callers, Grant, Place, Places, Verdict};
use crate::context::{CallerId, Identified, PerCaller, PerPlace, Shadowed};
use crate::error::{Error, Reason};
use crate::route::{self, Tie, Unwatched};
use crate::telemetry::Counterpart;

/// Rules that are only looked at.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Who may do what, where.
    pub authorize: authorize::Settings,
    /// The routes.
    pub route: route::Settings,
    /// Who each caller of the rules that count is here.
    pub callers: PerCaller<CallerId>,
    /// What each place is to the rules that count.
    pub places: PerPlace<Counterpart>,
}

impl Settings {
    /// Holds the rules of another configuration against `live`, those that count.
    ///
    /// Who calls is known by the configuration that counts, and here by the same name. Whom only that one knows has what is
    /// for everybody.
    pub fn beside(
        live: &authorize::Settings,
        authorize: authorize::Settings,
        route: route::Settings,
    ) -> Self {
        let known: Vec<_> = authorize.callers.iter().collect();
        let stranger = CallerId(known.len());
        let callers = live.callers.iter().map(|(_, bounds)| {
            let mut all = known.iter();
            let same = all.find(|(_, other)| other.name == bounds.name);
            same.map_or(stranger, |(id, _)| *id)
        });
        Self {
            callers: callers.collect(),
            places: authorize
                .places
                .iter()
                .map(|(_, place)| counterpart(place, live))
                .collect(),
            authorize: with_stranger(authorize, stranger),
            route,
        }
    }
}

fn counterpart(place: &Place, live: &authorize::Settings) -> Counterpart {
    let is_same =
        |other: &Place| place.name == other.name && place.organization == other.organization;
    let places = live.places.iter();
    let same: Vec<_> = places
        .filter(|(_, other)| is_same(other))
        .map(|(id, _)| id)
        .collect();
    let mut places = live.places.iter();
    // The name alone would say that nothing is different.
    if places.any(|(_, other)| place.sandbox == other.sandbox && !is_same(other)) {
        let Place {
            sandbox,
            name,
            organization,
            ..
        } = place;
        Counterpart::new(&format!("{sandbox} ({name} of {organization})"), same)
    } else {
        Counterpart::new(&place.sandbox, same)
    }
}

/// Adds a caller whom no route is for that is not for everybody.
fn with_stranger(authorize: authorize::Settings, stranger: CallerId) -> authorize::Settings {
    let authorize::Settings {
        callers,
        places,
        routes,
    } = authorize;
    let bounds = callers.iter().map(|(_, bounds)| bounds.clone());
    let known = |of: &Callers| match of {
        // Strangers are not anonymous either.
        Callers::Known => Callers::These(
            callers
                .iter()
                .filter(|(id, _)| *id != CallerId::ANONYMOUS)
                .map(|(id, _)| (id, Grant::OPEN))
                .collect::<HashMap<_, _>>(),
        ),
        Callers::All | Callers::These(_) => of.clone(),
    };
    let routes = routes.iter().map(|(_, rule)| authorize::Rule {
        callers: known(&rule.callers),
        ..rule.clone()
    });
    let unbound = Bounds {
        name: format!("caller {}", stranger.0),
        permit: Kinds::ALL,
        places: Places::All,
    };
    authorize::Settings {
        routes: routes.collect(),
        callers: bounds.chain([unbound]).collect(),
        places,
    }
}

/// The layer that asks a shadow's rules, if there are any.
#[derive(Clone, Debug)]
pub struct ShadowLayer(Option<Rc<Shadow>>);

/// A shadow's rules, ready to decide.
#[derive(Debug)]
struct Shadow {
    engines: Engines,
    callers: PerCaller<CallerId>,
}

impl ShadowLayer {
    /// Prepares the rules.
    ///
    /// # Errors
    /// When two routes match the same requests.
    pub fn new(settings: Option<&Settings>) -> Result<Self, Box<Tie>> {
        let prepare = |settings: &Settings| -> Result<_, Box<Tie>> {
            Ok(Rc::new(Shadow {
                engines: Engines::new(&settings.route, &settings.authorize)?,
                callers: settings.callers.clone(),
            }))
        };
        Ok(Self(settings.map(prepare).transpose()?))
    }
}

impl Shadow {
    fn decide<B>(&self, identified: &Identified<B>) -> Result<Verdict, Error> {
        let caller = *self.callers.get(identified.caller.caller)?;
        let request = &identified.received.request;
        let head = Head {
            method: request.method(),
            uri: request.uri(),
            headers: request.headers(),
        };
        let found = self.engines.find(head, &mut Unwatched)?;
        let (_, verdict) = self.engines.rule(head, &found, caller)?;
        Ok(verdict)
    }
}

/// Says what comes of deciding, and that nothing does when it panics. The panic hook has logged where it happened.
fn guarded(decide: impl FnOnce() -> Result<Verdict, Error>) -> Shadowed {
    // Rules are not changed by deciding, so that nothing is left half done.
    let decided = catch_unwind(AssertUnwindSafe(decide));
    let refused = |error: &Error| {
        let reason = error.reason();
        if reason == Reason::Internal {
            Shadowed::Failed
        } else {
            Shadowed::Refused(reason)
        }
    };
    match decided {
        Ok(Ok(Verdict::Allowed(place) | Verdict::WouldRefuse(place, _))) => {
            Shadowed::Allowed(place)
        }
        Ok(Ok(Verdict::Refused(error)) | Err(error)) => refused(&error),
        Err(_) => Shadowed::Failed,
    }
}

impl<S> Layer<S> for ShadowLayer {
    type Service = Shadowing<S>;

    fn layer(&self, inner: S) -> Shadowing<S> {
        Shadowing {
            shadow: self.0.clone(),
            inner,
        }
    }
}

/// Asks a shadow's rules about each request on its way, and writes down what they say.
#[derive(Clone, Debug)]
pub struct Shadowing<S> {
    shadow: Option<Rc<Shadow>>,
    inner: S,
}

impl<S, B> Service<Identified<B>> for Shadowing<S>
where
    S: Service<Identified<B>>,
{
    type Response = S::Response;
    type Error = S::Error;
    type Future = S::Future;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, identified: Identified<B>) -> Self::Future {
        if let Some(shadow) = &self.shadow {
            let shadowed = guarded(|| shadow.decide(&identified));
            identified.received.exchange.shadow.set(Some(shadowed));
        }
        self.inner.call(identified)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::context::PlaceId;

    #[test]
    fn rules_that_fail_or_panic_decide_nothing() {
        let refused = |reason| guarded(|| Err(Error::new(reason, "")));

        assert_eq!(refused(Reason::Internal), Shadowed::Failed);
        assert_eq!(guarded(|| panic!("of the shadow's")), Shadowed::Failed);
        assert_eq!(refused(Reason::NoRoute), Shadowed::Refused(Reason::NoRoute));
        let of_policy = Error::new(Reason::NotGranted, "");
        assert_eq!(
            guarded(|| Ok(Verdict::Refused(of_policy))),
            Shadowed::Refused(Reason::NotGranted)
        );
    }

    #[test]
    fn a_dry_run_counts_as_what_it_lets_pass() {
        let would = || {
            let error = Error::new(Reason::NotGranted, "");
            Ok(Verdict::WouldRefuse(PlaceId(1), error))
        };

        assert_eq!(guarded(would), Shadowed::Allowed(PlaceId(1)));
    }
}
