//! Finds the route of a request.

use std::collections::HashMap;
use std::sync::Arc;

use http::{HeaderMap, HeaderName, Method, Uri};

use super::rank::{Candidate, Methods};
use super::{HostPattern, Miss, Rule, SANDBOX, Settings, Unwatched, Watch};
use crate::aep::{Operation, Operations};
use crate::context::{RouteId, host_of};
use crate::path_tree::PathTree;
use crate::rewrite::{Rewritten, Way};

/// The routes, ready to be matched; the most specific one wins, in the order that [`super`] tells.
#[derive(Clone, Debug)]
pub struct Table {
    operations: Arc<Operations>,
    paths: PathTree<Leaf>,
    /// Whether any route asks for a host.
    by_host: bool,
}

/// The candidates of one path template or prefix.
#[derive(Clone, Debug, Default)]
struct Leaf {
    hosts: Option<Box<Hosts>>,
    /// For any host.
    any: Group,
}

/// The candidates of one path, by the hosts they are for.
#[derive(Clone, Debug, Default)]
struct Hosts {
    below: HashMap<Box<str>, Group>,
    exact: HashMap<Box<str>, Group>,
}

/// The candidates of one path and host, the most specific first, each with where it comes from.
#[derive(Clone, Debug, Default)]
struct Group {
    candidates: Vec<(Candidate, Seat)>,
    /// The same for who looks for ties, while the table is made.
    known: Known,
}

/// Candidates by the values that they want of fields, so that of thousands which differ by one few have to be compared.
#[derive(Clone, Debug, Default)]
struct Known {
    /// By the first field of which they want one value.
    exact: HashMap<HeaderName, HashMap<String, Vec<(Candidate, Seat)>>>,
    others: Vec<(Candidate, Seat)>,
}

/// One of the places where a route says what it matches.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Seat {
    /// The route.
    pub route: RouteId,
    /// Which of its templates, or of its prefixes.
    pub path: usize,
    /// Which of its hosts, if it names any.
    pub host: Option<usize>,
}

/// Two routes match the same requests, and neither is more specific.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("routes {first} and {second} both match {method} {template}")]
pub struct Tie {
    /// The name of the earlier route.
    pub first: String,
    /// The name of the later route.
    pub second: String,
    /// Where they say so, the earlier first.
    pub seats: [Seat; 2],
    /// A method both take.
    pub method: Method,
    /// The template or prefix of the later route.
    pub template: String,
}

/// What a request asks for, as far as routes go by it.
#[derive(Clone, Copy, Debug)]
pub struct Asked<'a> {
    /// The method.
    pub method: &'a Method,
    /// The target, with a canonical path.
    pub uri: &'a Uri,
    /// The fields.
    pub headers: &'a HeaderMap,
    /// Whether the path has an encoded slash.
    pub encoded_slash: bool,
}

/// What the table says of a request.
#[derive(Debug)]
pub enum Found {
    /// A route takes it.
    Route(Hit),
    /// Routes would take it, but only with these methods.
    OtherMethods(Vec<Method>),
    /// No route takes it.
    Nothing,
}

/// The route that takes a request.
#[derive(Debug)]
pub struct Hit {
    /// Which.
    pub route: RouteId,
    /// What it means upstream.
    pub operation: &'static Operation,
    /// The path as it goes there and how it got so, unless it is the caller's own. In a box, since few routes have it and all
    /// hand it on.
    pub rewritten: Option<Box<(Rewritten, Arc<Way>)>>,
}

impl Table {
    /// Prepares the routes for matching.
    ///
    /// # Errors
    /// [`Tie`] when two routes would match the same requests.
    pub fn new(settings: &Settings) -> Result<Self, Box<Tie>> {
        let (table, ties) = Self::with_ties(settings);
        match ties.into_iter().next() {
            Some(tie) => Err(Box::new(tie)),
            None => Ok(table),
        }
    }

    /// Returns what ties, for each route that does at least once.
    pub fn ties(settings: &Settings) -> Vec<Tie> {
        Self::with_ties(settings).1
    }

    fn with_ties(settings: &Settings) -> (Self, Vec<Tie>) {
        let mut table = Self {
            operations: Arc::clone(&settings.operations),
            paths: PathTree::default(),
            by_host: false,
        };
        let mut ties = Vec::new();
        for (index, rule) in settings.routes.iter().enumerate() {
            table.add(RouteId(index), rule, &settings.routes, &mut ties);
        }
        table.paths.for_each_mut(&mut Leaf::forget_known);
        (table, ties)
    }

    fn add(&mut self, route: RouteId, rule: &Rule, all: &[Rule], ties: &mut Vec<Tie>) {
        let way = |take_off| {
            let rewrite = rule.rewrite.clone();
            let way = Way { take_off, rewrite };
            (!way.is_plain()).then(|| Arc::new(way))
        };
        let mut put = |leaf: &mut Leaf, path: usize, template: &dyn ToString, way: Option<_>| {
            let hosts = rule.hosts.iter().map(Some);
            let any = rule.hosts.is_empty().then_some(None);
            for (index, host) in hosts.chain(any).enumerate() {
                let host_at = host.map(|_| index);
                let group = leaf.group(host);
                for candidate in Candidate::all(route, rule, way.as_ref()) {
                    let seat = Seat {
                        route,
                        path,
                        host: host_at,
                    };
                    if let Some((first, method)) = group.add(candidate, seat) {
                        let name = |seat: Seat| all.get(seat.route.0).map(|rule| rule.name.clone());
                        ties.push(Tie {
                            first: name(first).unwrap_or_default(),
                            second: rule.name.clone(),
                            seats: [first, seat],
                            method,
                            template: template.to_string(),
                        });
                    }
                }
            }
        };
        for (index, template) in rule.templates.iter().enumerate() {
            let sandbox = || template.place_of(SANDBOX);
            let way = way(rule.take_off.then(sandbox).flatten());
            let leaf = self.paths.template(template.as_str());
            put(leaf.get_or_insert_default(), index, template, way);
        }
        for (index, prefix) in rule.prefixes.iter().enumerate() {
            let leaf = self.paths.prefix(prefix.as_str());
            put(leaf.get_or_insert_default(), index, prefix, way(None));
        }
        self.by_host |= !rule.hosts.is_empty();
    }

    /// Finds the route of a request, and tells `watch` of those that are not taken until one is. One trailing slash is
    /// ignored.
    pub fn find(&self, asked: &Asked<'_>, watch: &mut impl Watch) -> Found {
        if let Some(hit) = self.seek(asked, watch) {
            return Found::Route(hit);
        }
        // What is asked for with another method is another operation too, so that each has to be looked for.
        let would_be_taken = |method: &&Method| {
            let asked = Asked { method, ..*asked };
            self.seek(&asked, &mut Unwatched).is_some()
        };
        let others: Vec<_> = Methods::ALL
            .iter()
            .filter(would_be_taken)
            .cloned()
            .collect();
        if others.is_empty() {
            Found::Nothing
        } else {
            Found::OtherMethods(others)
        }
    }

    fn seek(&self, asked: &Asked<'_>, watch: &mut impl Watch) -> Option<Hit> {
        let path = asked.uri.path();
        let path = match path.strip_suffix('/') {
            Some(shorter) if !shorter.is_empty() => shorter,
            _ => path,
        };
        let host = if self.by_host {
            host_of(asked.uri, asked.headers)
        } else {
            None
        };
        let mut search = Search {
            table: self,
            asked,
            host: host.as_deref(),
            method: Methods::one(asked.method),
            meaning: None,
            watch,
        };
        self.paths.find_map(path, &mut |leaf| search.leaf(leaf))
    }
}

impl Leaf {
    fn forget_known(&mut self) {
        let hosts = self.hosts.as_deref_mut();
        let of_hosts = hosts.map(|hosts| hosts.below.values_mut().chain(hosts.exact.values_mut()));
        for group in of_hosts.into_iter().flatten().chain([&mut self.any]) {
            group.known = Known::default();
        }
    }

    fn group(&mut self, host: Option<&HostPattern>) -> &mut Group {
        match host {
            None => &mut self.any,
            Some(host) => {
                let hosts = self.hosts.get_or_insert_default();
                let (groups, name) = match host {
                    HostPattern::Below(name) => (&mut hosts.below, name),
                    HostPattern::Exact(name) => (&mut hosts.exact, name),
                };
                groups.entry(name.as_str().into()).or_default()
            }
        }
    }
}

impl Group {
    /// Adds a candidate, unless it ties with one that is there, which is returned with a method that both take.
    fn add(&mut self, candidate: Candidate, seat: Seat) -> Option<(Seat, Method)> {
        let tie = self.known.tie(&candidate);
        if tie.is_none() {
            let place = self
                .candidates
                .partition_point(|(known, _)| known.order(&candidate).is_le());
            self.known.add(candidate.clone(), seat);
            self.candidates.insert(place, (candidate, seat));
        }
        tie
    }
}

impl Known {
    /// Returns the earliest candidate that ties with this one, with a method that both take.
    fn tie(&self, candidate: &Candidate) -> Option<(Seat, Method)> {
        let mut alike = vec![self.others.as_slice()];
        for (name, by_value) in &self.exact {
            match candidate.values().find(|(of, _)| *of == name) {
                Some((_, value)) => alike.extend(by_value.get(value).map(Vec::as_slice)),
                None => alike.extend(by_value.values().map(Vec::as_slice)),
            }
        }
        let ties = alike.into_iter().flatten().filter_map(|(known, seat)| {
            let method = known.ties_with(candidate)?;
            Some((*seat, method))
        });
        ties.min_by_key(|(seat, _)| (seat.route, seat.path, seat.host))
    }

    fn add(&mut self, candidate: Candidate, seat: Seat) {
        let first = candidate.values().next();
        let first = first.map(|(name, value)| (name.clone(), value.to_owned()));
        let list = match first {
            Some((name, value)) => self
                .exact
                .entry(name)
                .or_default()
                .entry(value)
                .or_default(),
            None => &mut self.others,
        };
        list.push((candidate, seat));
    }
}

/// A request on its way through the table.
struct Search<'t, 'a, W> {
    table: &'t Table,
    asked: &'a Asked<'a>,
    host: Option<&'a str>,
    method: Methods,
    /// What was last found out of a path that goes upstream.
    meaning: Option<Meaning<'t>>,
    watch: &'a mut W,
}

/// What a path means that goes a way upstream.
struct Meaning<'t> {
    way: Option<&'t Arc<Way>>,
    operation: &'static Operation,
    rewritten: Option<Box<(Rewritten, Arc<Way>)>>,
}

impl<'t, W: Watch> Search<'t, '_, W> {
    fn leaf(&mut self, leaf: &'t Leaf) -> Option<Hit> {
        let hit = leaf.hosts.as_ref().and_then(|hosts| self.hosts(hosts));
        hit.or_else(|| self.group(&leaf.any))
    }

    fn hosts(&mut self, hosts: &'t Hosts) -> Option<Hit> {
        if W::ALL {
            self.tell_of_other_hosts(hosts);
        }
        let host = self.host?;
        let exact = hosts.exact.get(host);
        if let Some(hit) = exact.and_then(|group| self.group(group)) {
            return Some(hit);
        }
        if hosts.below.is_empty() {
            return None;
        }
        parents(host).find_map(|parent| self.group(hosts.below.get(parent)?))
    }

    fn tell_of_other_hosts(&mut self, hosts: &Hosts) {
        let is_parent = |name: &str| {
            self.host
                .is_some_and(|host| parents(host).any(|it| it == name))
        };
        let exact = hosts.exact.iter();
        let exact = exact.filter(|(name, _)| self.host != Some(name));
        let below = hosts.below.iter().filter(|(name, _)| !is_parent(name));
        let mut others: Vec<RouteId> = exact
            .chain(below)
            .flat_map(|(_, group)| {
                group
                    .candidates
                    .iter()
                    .map(|(candidate, _)| candidate.route)
            })
            .collect();
        others.sort_unstable();
        others.dedup();
        for route in others {
            self.watch.missed(route, Miss::Host);
        }
    }

    fn group(&mut self, group: &'t Group) -> Option<Hit> {
        group
            .candidates
            .iter()
            .find_map(|(candidate, _)| match self.candidate(candidate) {
                Ok(hit) => Some(hit),
                Err(miss) => {
                    self.watch.missed(candidate.route, miss);
                    None
                }
            })
    }

    fn candidate(&mut self, candidate: &'t Candidate) -> Result<Hit, Miss> {
        if let Some(miss) = candidate.miss(self.method, self.asked.headers) {
            return Err(miss);
        }
        let meaning = self.meaning(candidate.way.as_ref()).ok_or(Miss::Path)?;
        if candidate.asks_for_operation()
            && let Some(miss) = candidate.miss_of(meaning.operation)
        {
            return Err(miss);
        }
        Ok(Hit {
            route: candidate.route,
            operation: meaning.operation,
            rewritten: meaning.rewritten.take(),
        })
    }

    /// Returns what the path means that goes a way upstream. Candidates that follow one another mostly go the same.
    fn meaning(&mut self, way: Option<&'t Arc<Way>>) -> Option<&mut Meaning<'t>> {
        let same = |known: &Meaning<'_>| match (known.way, way) {
            (Some(known), Some(way)) => Arc::ptr_eq(known, way),
            (None, None) => true,
            (Some(_), None) | (None, Some(_)) => false,
        };
        if !self.meaning.as_ref().is_some_and(same) {
            let path = self.asked.uri.path();
            let rewritten = match way {
                Some(way) => Some(Box::new((way.there(path)?, Arc::clone(way)))),
                None => None,
            };
            let path = rewritten.as_ref().map_or(path, |it| it.0.path.as_str());
            let operations = &self.table.operations;
            let operation = if self.asked.encoded_slash {
                operations.of_encoded(self.asked.method, path)
            } else {
                operations.of(self.asked.method, path)
            };
            self.meaning = Some(Meaning {
                way,
                operation,
                rewritten,
            });
        }
        self.meaning.as_mut()
    }
}

/// Returns what is left of a host without its first label, its first two, and so on.
fn parents(host: &str) -> impl Iterator<Item = &str> {
    let mut rest = Some(host);
    std::iter::from_fn(move || {
        let (label, parent) = rest?.split_once('.')?;
        rest = Some(parent);
        (!label.is_empty()).then_some(parent)
    })
}

#[cfg(test)]
mod tests;
