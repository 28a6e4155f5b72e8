//! Where requests of each route work.

use std::collections::{BTreeMap, HashMap, HashSet};

use super::callers::{Callers, kinds};
use super::found::Found;
use super::granted::permits;
use super::named::{missing, unknown_at, unknown_key_at};
use super::{Cross, found, granted, vain};
use crate::aep::{Kinds, OrgId, SandboxName};
use crate::authorize::{Allowed, Bounds, OnMismatch, Place, Places as Reach, Rule, Settings};
use crate::config::file::{self, File, Route, RouteSandbox};
use crate::config::format::Written;
use crate::config::name::Name;
use crate::config::path::{KeyPath, top};
use crate::context::{CallerId, PerPlace, PlaceId};
use crate::ims::{CredentialId, CredentialSettings};

/// The places that routes lead to, as they come up.
pub(super) struct Places<'a> {
    file: &'a File,
    callers: &'a Callers,
    credentials: &'a [CredentialSettings],
    /// In the order they are written.
    sandboxes: Vec<String>,
    all: Vec<(Place, CredentialId)>,
}

impl<'a> Places<'a> {
    pub(super) fn new(
        file: &'a File,
        callers: &'a Callers,
        credentials: &'a [CredentialSettings],
        cross: &mut Cross<'_>,
    ) -> Self {
        let sandboxes = cross.names("sandboxes");
        for name in &sandboxes {
            let credential = file
                .sandboxes
                .get(name)
                .and_then(|it| it.credential.as_ref());
            if let Some(Written(Name(credential))) = credential
                && !credentials.iter().any(|known| known.name == *credential)
            {
                let path = top("sandboxes").key(name).key("credential");
                let names = credentials.iter().map(|known| known.name.as_str());
                unknown_at(
                    "credential",
                    credential,
                    &path,
                    &top("credentials"),
                    names,
                    cross,
                );
            }
        }
        Self {
            file,
            callers,
            credentials,
            sandboxes,
            all: Vec::new(),
        }
    }

    /// Returns the names of all sandboxes.
    pub(super) fn sandboxes(&self) -> &[String] {
        &self.sandboxes
    }

    /// Returns the rule of a route. `None`: a credential is missing, which has been reported.
    pub(super) fn rule(
        &mut self,
        route: &Route,
        path: &KeyPath,
        cross: &mut Cross<'_>,
    ) -> Option<Rule> {
        let (names, source) = match &route.sandbox {
            Some(RouteSandbox::Found(found)) => {
                found::find(found, self, &path.key("sandbox"), cross)
            }
            Some(RouteSandbox::Name(Written(name))) => {
                let path = path.key("sandbox");
                (
                    self.known(name.as_str(), &path, cross)
                        .into_iter()
                        .collect(),
                    Found::Route,
                )
            }
            None => match self.sandboxes.as_slice() {
                [only] => (vec![only.clone()], Found::Route),
                all => {
                    let names = all.iter().map(String::as_str);
                    missing("sandbox", path, &top("sandboxes"), names, cross);
                    (Vec::new(), Found::Route)
                }
            },
        };
        let of_route = self.of_route(route, path, cross);
        if names.is_empty() && of_route.is_none() {
            // The sandbox is wrong, and the credential may be missing as well.
            self.used("", None, path, cross);
        }
        let permits = permits(route, &names, path, cross);
        let mut allow = Vec::new();
        let mut ids = BTreeMap::new();
        for name in &names {
            let credential = self.used(name, of_route, path, cross);
            let id = self.place(name, credential)?;
            let production = self
                .all
                .get(id.0)
                .is_some_and(|(place, _)| place.production);
            let default = if production { Kinds::READ } else { Kinds::ALL };
            allow.push(Allowed {
                place: id,
                permit: permits.get(name).copied().unwrap_or(default),
            });
            ids.insert(name.clone(), id);
        }
        let source = source.with(&ids, self.callers);
        let rule = Rule {
            callers: granted::callers(route, self, &ids, path, cross),
            source,
            allow,
            on_mismatch: match &route.sandbox {
                Some(RouteSandbox::Found(found)) => match found.on_mismatch {
                    file::OnMismatch::Ignore => OnMismatch::Ignore,
                    file::OnMismatch::Refuse => OnMismatch::Refuse,
                },
                Some(RouteSandbox::Name(_)) | None => OnMismatch::Refuse,
            },
            dry_run: route.dry_run,
        };
        vain::check(route, &rule, self, path, cross);
        Some(rule)
    }

    /// Reports sandboxes that are one at Adobe, and production by one of their names and not by the other.
    pub(super) fn check_production(&self, cross: &mut Cross<'_>) {
        let mut seen: HashMap<(&OrgId, &SandboxName), &Place> = HashMap::new();
        let mut told = HashSet::new();
        for (place, _) in &self.all {
            let first = *seen
                .entry((&place.organization, &place.name))
                .or_insert(place);
            if first.production == place.production || !told.insert(&place.sandbox) {
                continue;
            }
            let at = |place: &Place, key: &str| top("sandboxes").key(&place.sandbox).key(key);
            let other = cross.root.place_of(&at(first, "production"));
            let message = format!(
                "differs from that of {}, which is the same sandbox at Adobe: what is refused in one is permitted in the other",
                first.sandbox
            );
            let rests_on = [
                &at(first, "production"),
                &at(first, "name"),
                &at(place, "name"),
                &top("credentials"),
            ];
            cross.fault(&at(place, "production"), &rests_on, message, |fault| {
                fault
                    .also(other, "that one is here")
                    .help("write `production` alike for both")
            });
        }
    }

    /// Returns what each place is, and the credential that is used in it, with what each caller may do.
    pub(super) fn settings(
        self,
        rules: impl Iterator<Item = Rule>,
    ) -> (Settings, PerPlace<CredentialId>) {
        let bounds = |name: &String| {
            let caller = self.file.callers.get(name);
            let permit = caller.and_then(|caller| caller.permit.as_ref());
            let sandboxes = caller.and_then(|caller| caller.sandboxes.as_ref());
            Bounds {
                name: name.clone(),
                permit: permit.map_or(Kinds::ALL, |permit| kinds(permit)),
                places: sandboxes.map_or(Reach::All, |sandboxes| {
                    let named = |place: &Place| {
                        let mut all = sandboxes.iter();
                        all.any(|Written(name)| name.as_str() == place.sandbox)
                    };
                    let places = self.all.iter().enumerate();
                    let within = places.filter(|(_, (place, _))| named(place));
                    Reach::These(within.map(|(index, _)| PlaceId(index)).collect())
                }),
            }
        };
        let callers = self.callers.names.iter().map(bounds).collect();
        let credentials = self.all.iter().map(|(_, credential)| *credential).collect();
        let settings = Settings {
            callers,
            places: self.all.into_iter().map(|(place, _)| place).collect(),
            routes: rules.collect(),
        };
        (settings, credentials)
    }

    /// Returns what configuration calls the sandbox of a place.
    pub(super) fn sandbox(&self, id: PlaceId) -> Option<&str> {
        self.all.get(id.0).map(|(place, _)| place.sandbox.as_str())
    }

    /// Returns what the file says of a caller.
    pub(super) fn caller_of_file(&self, name: &str) -> Option<&file::Caller> {
        self.file.callers.get(name)
    }

    /// Returns the callers.
    pub(super) fn callers(&self) -> &Callers {
        self.callers
    }

    /// Returns the caller of a name, or reports that there is none.
    pub(super) fn caller(
        &self,
        name: &str,
        path: &KeyPath,
        cross: &mut Cross<'_>,
    ) -> Option<CallerId> {
        let id = self.callers.id(name);
        if id.is_none() {
            let names = self.callers.names.iter().map(String::as_str);
            unknown_at("caller", name, path, &top("callers"), names, cross);
        }
        id
    }

    /// Reports a key that is to be the name of a caller, and is none.
    pub(super) fn check_caller(&self, name: &str, path: &KeyPath, cross: &mut Cross<'_>) {
        if self.callers.id(name).is_none() {
            let names = self.callers.names.iter().map(String::as_str);
            unknown_key_at("caller", name, path, &top("callers"), names, cross);
        }
    }

    /// Returns a sandbox that a route names, if there is one of the name.
    pub(super) fn known(
        &self,
        name: &str,
        path: &KeyPath,
        cross: &mut Cross<'_>,
    ) -> Option<String> {
        if self.file.sandboxes.contains_key(name) {
            return Some(name.to_owned());
        }
        let names = self.sandboxes.iter().map(String::as_str);
        unknown_at("sandbox", name, path, &top("sandboxes"), names, cross);
        None
    }

    /// Returns the credential that a route names, and reports it if it is none.
    fn of_route(
        &self,
        route: &Route,
        path: &KeyPath,
        cross: &mut Cross<'_>,
    ) -> Option<CredentialId> {
        let Written(Name(name)) = route.credential.as_ref()?;
        let id = self.credential(name);
        if id.is_none() {
            let path = path.key("credential");
            let names = self.credentials.iter().map(|known| known.name.as_str());
            unknown_at("credential", name, &path, &top("credentials"), names, cross);
        }
        // What is wrong has been reported.
        id.or(Some(CredentialId(0)))
    }

    fn credential(&self, name: &str) -> Option<CredentialId> {
        let mut all = self.credentials.iter();
        all.position(|known| known.name == name).map(CredentialId)
    }

    /// Returns the credential that is used for a sandbox in a route which names `of_route`.
    fn used(
        &self,
        name: &str,
        of_route: Option<CredentialId>,
        path: &KeyPath,
        cross: &mut Cross<'_>,
    ) -> CredentialId {
        let sandbox = self.file.sandboxes.get(name);
        let of_sandbox = sandbox.and_then(|it| it.credential.as_ref());
        let of_sandbox = of_sandbox.and_then(|Written(Name(name))| self.credential(name));
        match (of_sandbox, of_route) {
            (Some(one), Some(other)) if one != other => {
                let written = top("sandboxes").key(name).key("credential");
                let place = cross.root.place_of(&written);
                let message = format!("is not the credential of sandbox {name}");
                cross.fault(&path.key("credential"), &[&written], message, |fault| {
                    fault.also(place, "that is here").help("leave it out here")
                });
                one
            }
            (Some(one), _) | (None, Some(one)) => one,
            (None, None) => {
                if self.credentials.len() > 1 {
                    let names = self.credentials.iter().map(|known| known.name.as_str());
                    missing("credential", path, &top("credentials"), names, cross);
                }
                CredentialId(0)
            }
        }
    }

    /// Returns the place of a sandbox and a credential.
    fn place(&mut self, name: &str, credential: CredentialId) -> Option<PlaceId> {
        let sandbox = self.file.sandboxes.get(name)?;
        let mut all = self.all.iter();
        let is_it =
            |(place, other): &(Place, CredentialId)| place.sandbox == name && *other == credential;
        if let Some(known) = all.position(is_it) {
            return Some(PlaceId(known));
        }
        let at_adobe = match &sandbox.name {
            Some(Written(at_adobe)) => at_adobe.clone(),
            None => name.parse().unwrap_or_else(|_| stand_in()),
        };
        self.all.push((
            Place {
                sandbox: name.to_owned(),
                production: sandbox
                    .production
                    .unwrap_or(at_adobe.as_str() == PRODUCTION),
                name: at_adobe,
                organization: self.credentials.get(credential.0)?.organization.clone(),
            },
            credential,
        ));
        Some(PlaceId(self.all.len() - 1))
    }
}

/// The sandbox that exists in every organisation and holds production data.
const PRODUCTION: &str = "prod";

/// Stands for a name that a fault was reported for, and gives rights to nothing.
fn stand_in() -> SandboxName {
    "none".parse().expect("it is a name")
}
