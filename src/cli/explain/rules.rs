//! Where the rules of a decision stand: those that had a say in it, and no others.

use http::Uri;
use http::header::HeaderMap;

use crate::aep::{Kinds, Operation};
use crate::authorize::{Callers, Grant, Named, Place, Refusal, Source};
use crate::config::{Lines, Said, Settings};
use crate::context::{CallerId, PlaceId, RouteId, host_of};
use crate::explain::Routed;
use crate::route::{Miss, Template};

/// Finds where rules stand.
#[derive(Clone, Copy)]
pub(super) struct Rules<'a> {
    pub(super) settings: &'a Settings,
    pub(super) lines: &'a Lines,
}

impl Rules<'_> {
    pub(super) fn of(&self, keys: &[&str]) -> Said {
        self.lines.of(keys)
    }

    /// Returns where a key of a route is said. Without routes there is one that nobody wrote.
    pub(super) fn of_route(&self, id: RouteId, keys: &[&str]) -> Said {
        let index = id.0.to_string();
        self.lines.of(&[&["routes", index.as_str()], keys].concat())
    }

    /// Returns the condition of a route that did not hold.
    pub(super) fn miss(&self, id: RouteId, miss: Miss) -> Said {
        let index;
        let keys: &[&str] = match miss {
            Miss::Header(place) => {
                index = place.to_string();
                &["match", "headers", &index]
            }
            Miss::Host => &["match", "host"],
            Miss::Kind(_) => &["match", "kinds"],
            Miss::Method => &["match", "methods"],
            Miss::Operation(_) => &["match", "operations"],
            Miss::Path => &["rewrite"],
        };
        self.of_route(id, keys)
    }

    /// Returns the row of the operator's that describes an operation, if one does.
    pub(super) fn operation(&self, operation: &Operation) -> Option<Said> {
        let method = operation.method.as_ref()?.as_str();
        let rows = 0..self.lines.items(&["operations"]);
        let is_it = |row: &String| {
            let said = |key| self.lines.text(&["operations", row, key]);
            let template = said("path").and_then(|path| path.parse::<Template>().ok());
            said("method") == Some(method)
                && template.is_some_and(|it| it.as_str() == operation.template)
        };
        let row = rows.map(|row| row.to_string()).find(is_it)?;
        Some(self.lines.of(&["operations", &row]))
    }

    /// Returns whom a route is for: its entry for the caller, if it has one.
    pub(super) fn granted(&self, route: RouteId, caller: CallerId) -> Said {
        match self.entry(route, caller) {
            Some(entry) => self.of_route(route, &["callers", &entry]),
            None => self.of_route(route, &["callers"]),
        }
    }

    /// Returns what decided the sandbox.
    pub(super) fn sandbox(
        &self,
        caller: CallerId,
        routed: &Routed,
        uri: &Uri,
        headers: &HeaderMap,
    ) -> Vec<Said> {
        let place = routed.ruling.place.as_ref();
        let in_sandbox = |keys: &[&str]| {
            let keys = [&["sandbox"], keys].concat();
            self.of_route(routed.route, &keys)
        };
        let source = self.settings.authorize.routes.get(routed.route);
        let source = source.ok().map(|rule| &rule.source);
        let by = match source {
            Some(Source::Caller(_)) => in_sandbox(&["by_caller", self.name(caller)]),
            Some(Source::Host(_)) => match host_of(uri, headers) {
                Some(host) => in_sandbox(&["by_host", &host]),
                None => in_sandbox(&["by_host"]),
            },
            Some(Source::Header(Some(_))) if Named::by(headers) == Named::Nothing => {
                in_sandbox(&["default"])
            }
            Some(Source::Header(_) | Source::Path) if place.is_err() => in_sandbox(&["allow"]),
            Some(Source::Fixed | Source::Header(_) | Source::Path) | None => in_sandbox(&[]),
        };
        let mut said = vec![by];
        if let Err(Refusal::Mismatch(_)) = place {
            said.push(in_sandbox(&["on_mismatch"]));
        }
        if let Some(place) = place.ok().and_then(|place| self.place(*place))
            && place.production
        {
            said.push(self.of(&["sandboxes", &place.sandbox, "production"]));
        }
        said
    }

    /// Returns what keeps the caller out of a place.
    pub(super) fn reach(&self, route: RouteId, caller: CallerId, place: PlaceId) -> Vec<Said> {
        let mut said = Vec::new();
        if let Some((entry, grant)) = self.grant(route, caller)
            && !grant.places.contain(place)
        {
            said.push(self.of_route(route, &["callers", &entry, "sandboxes"]));
        }
        let bounds = self.settings.authorize.callers.get(caller);
        if bounds.is_ok_and(|bounds| !bounds.places.contain(place)) {
            said.push(self.of(&["callers", self.name(caller), "sandboxes"]));
        }
        said
    }

    /// Returns what makes up that a caller may do this and no more in a place of the route.
    pub(super) fn permit(&self, route: RouteId, caller: CallerId, id: PlaceId) -> Vec<Said> {
        let sandbox = self.place(id).map_or("", |place| place.sandbox.as_str());
        let rule = self.settings.authorize.routes.get(route).ok();
        let mut allowed = rule.into_iter().flat_map(|rule| &rule.allow);
        let allowed = allowed.find(|allowed| allowed.place == id);
        let allowed = allowed.map_or(Kinds::NONE, |allowed| allowed.permit);
        let index = route.0.to_string();
        let by_sandbox = self.lines.is_map(&["routes", &index, "permit"]);
        let mut said = vec![if by_sandbox {
            self.of_route(route, &["permit", sandbox])
        } else {
            self.of_route(route, &["permit"])
        }];
        let cuts = |permit: Kinds| allowed.and(permit) != allowed;
        if let Some((entry, grant)) = self.grant(route, caller)
            && cuts(grant.permit)
        {
            said.push(self.of_route(route, &["callers", &entry, "permit"]));
        }
        let bounds = self.settings.authorize.callers.get(caller);
        if bounds.is_ok_and(|bounds| cuts(bounds.permit)) {
            said.push(self.of(&["callers", self.name(caller), "permit"]));
        }
        said
    }

    /// Returns the place of the entry for a caller in the route's list, and what it grants.
    fn grant(&self, route: RouteId, caller: CallerId) -> Option<(String, &Grant)> {
        let entry = self.entry(route, caller)?;
        match &self.settings.authorize.routes.get(route).ok()?.callers {
            Callers::These(these) => Some((entry, these.get(&caller)?)),
            Callers::All | Callers::Known => None,
        }
    }

    fn entry(&self, route: RouteId, caller: CallerId) -> Option<String> {
        let route = route.0.to_string();
        let callers = ["routes", &route, "callers"];
        let name = self.name(caller);
        let is_it = |entry: &String| {
            let alone = [callers.as_slice(), &[entry]].concat();
            let with_grant = [alone.as_slice(), &["name"]].concat();
            [alone, with_grant]
                .iter()
                .any(|keys| self.lines.text(keys) == Some(name))
        };
        let entries = 0..self.lines.items(&callers);
        entries.map(|entry| entry.to_string()).find(is_it)
    }

    pub(super) fn place(&self, id: PlaceId) -> Option<&Place> {
        self.settings.authorize.places.get(id).ok()
    }

    pub(super) fn name(&self, caller: CallerId) -> &str {
        let caller = self.settings.identify.callers.get(caller);
        caller.map_or("", |caller| caller.name.as_str())
    }
}
