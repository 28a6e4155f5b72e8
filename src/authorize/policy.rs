//! Decides, and says how.

use http::{HeaderMap, Uri};

use super::refusal::Refusal;
use super::{Allowed, Bounds, Callers, Grant, OnMismatch, Places, Rule, Settings, Source};
use crate::aep::fields::X_SANDBOX_NAME;
use crate::aep::{Kind, Kinds};
use crate::context::{CallerId, PlaceId, RouteId, host_of};
use crate::error::Error;

/// The rules, ready to decide.
#[derive(Clone, Debug)]
pub struct Policy(Settings);

/// A request that takes a route, as far as it is decided by.
#[derive(Clone, Copy, Debug)]
pub struct Taken<'a> {
    /// Who calls.
    pub caller: CallerId,
    /// Which route it takes.
    pub route: RouteId,
    /// What it does.
    pub kind: Kind,
    /// The segment of its path that may name a sandbox.
    pub segment: Option<&'a str>,
    /// Its target.
    pub uri: &'a Uri,
    /// Its fields.
    pub headers: &'a HeaderMap,
}

/// What a decision comes to.
#[derive(Debug)]
pub enum Verdict {
    /// It is passed on.
    Allowed(PlaceId),
    /// It is refused.
    Refused(Error),
    /// It is passed on in a dry run, and would be refused otherwise.
    WouldRefuse(PlaceId, Error),
}

impl Verdict {
    /// Returns where the request goes.
    pub fn place(&self) -> Option<PlaceId> {
        match self {
            Self::Allowed(place) | Self::WouldRefuse(place, _) => Some(*place),
            Self::Refused(_) => None,
        }
    }

    /// Returns why it is refused, or would be.
    pub fn error(&self) -> Option<&Error> {
        match self {
            Self::Allowed(_) => None,
            Self::Refused(error) | Self::WouldRefuse(_, error) => Some(error),
        }
    }
}

/// What is asked of a request.
#[derive(Clone, Copy, Debug)]
pub struct Asked<'a> {
    /// Who calls.
    pub caller: CallerId,
    /// Which route it takes.
    pub route: RouteId,
    /// What it does.
    pub kind: Kind,
    /// The segment of its path that may name a sandbox.
    pub segment: Option<&'a str>,
    /// The host that it addresses, in lower case and without a port.
    pub host: Option<&'a str>,
    /// What it sends as `x-sandbox-name`.
    pub named: Named<'a>,
}

/// What a request sends as `x-sandbox-name`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Named<'a> {
    /// Nothing.
    Nothing,
    /// One name.
    One(&'a str),
    /// What can be no name, or several that differ.
    Unclear,
}

impl<'a> Named<'a> {
    /// Returns what a request with these fields sends.
    pub fn by(headers: &'a HeaderMap) -> Self {
        let mut values = headers.get_all(&X_SANDBOX_NAME).iter();
        let Some(first) = values.next() else {
            return Self::Nothing;
        };
        if values.any(|other| other != first) {
            return Self::Unclear;
        }
        first.to_str().map_or(Self::Unclear, Self::One)
    }
}

/// How each step of a decision came out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ruling {
    /// Whether the route is for the caller.
    pub caller: Result<(), Refusal>,
    /// Where it works, as far as the route has a place for it.
    pub place: Result<PlaceId, Refusal>,
    /// Whether the caller may work there.
    pub reach: Result<(), Refusal>,
    /// Whether the caller may do this there.
    pub kind: Result<(), Refusal>,
    /// Whether only a missing place refuses.
    pub dry_run: bool,
}

impl Ruling {
    /// Returns the place, or why there is none.
    ///
    /// # Errors
    /// The first refusal. In a dry run only that there is no place.
    pub fn enforced(&self) -> Result<PlaceId, &Refusal> {
        let refusal = if self.dry_run { None } else { self.refusal() };
        match refusal {
            Some(refusal) => Err(refusal),
            None => self.place.as_ref().copied(),
        }
    }

    /// Returns why the request is refused, or would be.
    pub fn refusal(&self) -> Option<&Refusal> {
        let caller = self.caller.as_ref().err();
        let place = || self.place.as_ref().err();
        let reach = || self.reach.as_ref().err();
        let kind = || self.kind.as_ref().err();
        caller.or_else(place).or_else(reach).or_else(kind)
    }
}

impl Policy {
    /// Prepares the rules.
    pub fn new(settings: Settings) -> Self {
        Self(settings)
    }

    /// Returns what it was made from.
    pub fn settings(&self) -> &Settings {
        &self.0
    }

    /// Decides about a request, and says how each step came out.
    ///
    /// # Errors
    /// When it was made from another configuration than the request's route and caller.
    pub fn decide(&self, request: &Taken<'_>) -> Result<(Ruling, Verdict), Error> {
        let rule = self.0.routes.get(request.route)?;
        let host = match rule.source {
            Source::Host(_) => host_of(request.uri, request.headers),
            Source::Caller(_) | Source::Fixed | Source::Header(_) | Source::Path => None,
        };
        let asked = Asked {
            caller: request.caller,
            route: request.route,
            kind: request.kind,
            segment: request.segment,
            host: host.as_deref(),
            named: Named::by(request.headers),
        };
        let ruling = self.rule(&asked)?;
        let told = |refusal: &Refusal| refusal.told(self, &asked);
        let verdict = match (ruling.enforced(), ruling.refusal()) {
            (Ok(place), None) => Verdict::Allowed(place),
            (Ok(place), Some(refusal)) => Verdict::WouldRefuse(place, told(refusal)),
            (Err(refusal), _) => Verdict::Refused(told(refusal)),
        };
        Ok((ruling, verdict))
    }

    /// Decides.
    ///
    /// # Errors
    /// When it was made from another configuration than what is asked.
    pub fn rule(&self, asked: &Asked<'_>) -> Result<Ruling, Error> {
        let rule = self.0.routes.get(asked.route)?;
        let place = self.place(rule, asked)?;
        self.rule_in(rule, asked.caller, asked.kind, place)
    }

    /// Decides of requests for which `place` is found.
    ///
    /// # Errors
    /// When they are of another configuration.
    pub fn rule_at(
        &self,
        route: RouteId,
        caller: CallerId,
        kind: Kind,
        place: PlaceId,
    ) -> Result<Ruling, Error> {
        let rule = self.0.routes.get(route)?;
        let place = rule.allowed(place).ok_or(Refusal::NotAllowed);
        self.rule_in(rule, caller, kind, place)
    }

    fn rule_in(
        &self,
        rule: &Rule,
        caller: CallerId,
        asked: Kind,
        place: Result<Allowed, Refusal>,
    ) -> Result<Ruling, Error> {
        let bounds = self.0.callers.get(caller)?;
        let grant = rule.callers.grant(caller);
        let granted = grant.unwrap_or(&Grant::OPEN);
        let (mut reach, mut kind) = (Ok(()), Ok(()));
        if let Ok(allowed) = place {
            if !(granted.places.contain(allowed.place) && bounds.places.contain(allowed.place)) {
                reach = Err(Refusal::OutOfReach(allowed.place));
            }
            let permit = permit(allowed, granted, bounds);
            if !permit.contains(asked) {
                kind = Err(Refusal::Kind {
                    kind: asked,
                    place: allowed.place,
                    permit,
                    by_place: !allowed.permit.contains(asked),
                });
            }
        }
        Ok(Ruling {
            caller: grant.map(|_| ()).ok_or(Refusal::Caller),
            place: place.map(|allowed| allowed.place),
            reach,
            kind,
            dry_run: rule.dry_run,
        })
    }

    /// Returns the places that are found for requests of `caller` by way of the route, whether or not it may work there.
    ///
    /// # Errors
    /// When the route is of another configuration.
    pub fn places(&self, route: RouteId, caller: CallerId) -> Result<Vec<PlaceId>, Error> {
        let rule = self.0.routes.get(route)?;
        let is_found = |place: &PlaceId| match &rule.source {
            Source::Caller(by_caller) => by_caller.get(&caller) == Some(place),
            Source::Host(by_host) => by_host.values().any(|it| it == place),
            Source::Fixed | Source::Header(_) | Source::Path => true,
        };
        let all = rule.allow.iter().map(|allowed| allowed.place);
        Ok(all.filter(is_found).collect())
    }

    /// Returns the places that `caller` may work in by way of the route.
    ///
    /// # Errors
    /// When they are of another configuration.
    pub fn within_reach(&self, route: RouteId, caller: CallerId) -> Result<Vec<PlaceId>, Error> {
        let rule = self.0.routes.get(route)?;
        let bounds = self.0.callers.get(caller)?;
        let Some(grant) = rule.callers.grant(caller) else {
            return Ok(Vec::new());
        };
        let mut places = self.places(route, caller)?;
        places.retain(|place| grant.places.contain(*place) && bounds.places.contain(*place));
        Ok(places)
    }

    /// Returns what `caller` may do in a place of the route, whether or not it may work there. `None`: the route has no such
    /// place, or is not for the caller.
    ///
    /// # Errors
    /// When they are of another configuration.
    pub fn permit(
        &self,
        route: RouteId,
        caller: CallerId,
        place: PlaceId,
    ) -> Result<Option<Kinds>, Error> {
        let rule = self.0.routes.get(route)?;
        let bounds = self.0.callers.get(caller)?;
        let mut all = rule.allow.iter();
        let allowed = all.find(|allowed| allowed.place == place);
        let granted = rule.callers.grant(caller);
        let both = allowed.zip(granted);
        Ok(both.map(|(allowed, granted)| permit(*allowed, granted, bounds)))
    }

    fn place(&self, rule: &Rule, asked: &Asked<'_>) -> Result<Result<Allowed, Refusal>, Error> {
        let find = |place: PlaceId| rule.allowed(place);
        let chosen = match &rule.source {
            Source::Caller(by_caller) => by_caller.get(&asked.caller).copied().and_then(find),
            Source::Fixed => rule.allow.first().copied(),
            Source::Header(default) => match asked.named {
                Named::Nothing => match default {
                    None => return Ok(Err(Refusal::NoSandbox)),
                    Some(default) => find(*default),
                },
                Named::One(name) => self.called(rule, name)?,
                Named::Unclear => None,
            },
            Source::Host(by_host) => {
                let place = asked.host.and_then(|host| by_host.get(host));
                place.copied().and_then(find)
            }
            Source::Path => match asked.segment {
                None => None,
                Some(name) => self.called(rule, name)?,
            },
        };
        let Some(allowed) = chosen else {
            return Ok(Err(Refusal::NotAllowed));
        };
        let place = self.0.places.get(allowed.place)?;
        let agrees = match asked.named {
            Named::Nothing => true,
            Named::One(name) => name == place.sandbox,
            Named::Unclear => false,
        };
        if agrees || rule.on_mismatch == OnMismatch::Ignore {
            Ok(Ok(allowed))
        } else {
            Ok(Err(Refusal::Mismatch(allowed.place)))
        }
    }

    /// Returns the route's place of this name.
    fn called(&self, rule: &Rule, name: &str) -> Result<Option<Allowed>, Error> {
        for allowed in &rule.allow {
            if self.0.places.get(allowed.place)?.sandbox == name {
                return Ok(Some(*allowed));
            }
        }
        Ok(None)
    }
}

/// Returns what is permitted by everybody who has a say.
fn permit(allowed: Allowed, granted: &Grant, bounds: &Bounds) -> Kinds {
    allowed.permit.and(granted.permit).and(bounds.permit)
}

impl Rule {
    /// Returns what is permitted in a place, if the route leads there.
    fn allowed(&self, place: PlaceId) -> Option<Allowed> {
        let mut all = self.allow.iter();
        all.find(|allowed| allowed.place == place).copied()
    }
}

impl Callers {
    /// Returns what is granted to `caller`, if anything.
    fn grant(&self, caller: CallerId) -> Option<&Grant> {
        match self {
            Self::All => Some(&Grant::OPEN),
            Self::Known => (caller != CallerId::ANONYMOUS).then_some(&Grant::OPEN),
            Self::These(these) => these.get(&caller),
        }
    }
}

impl Grant {
    /// All that the route permits.
    pub const OPEN: Self = Self {
        permit: Kinds::ALL,
        places: Places::All,
    };
}
