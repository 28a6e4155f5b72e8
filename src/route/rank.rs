//! One way to match a route, with how specific it is among those of one path and host.

use std::cmp::Ordering;
use std::sync::Arc;

use http::{HeaderMap, HeaderName, Method};

use super::{Expected, HeaderCondition, Miss, OperationPattern, Rule};
use crate::aep::{Kinds, Operation};
use crate::context::RouteId;
use crate::rewrite::Way;

/// A route at one of its paths and hosts, with its operations that are named or those that are meant by group.
#[derive(Clone, Debug)]
pub(super) struct Candidate {
    pub(super) route: RouteId,
    pub(super) methods: Methods,
    pub(super) headers: Arc<[HeaderCondition]>,
    pub(super) wanted: Wanted,
    kinds: Kinds,
    rank: Rank,
    /// What becomes of the path, unless it stays as it is.
    pub(super) way: Option<Arc<Way>>,
}

/// Which operations are wanted.
#[derive(Clone, Debug)]
pub(super) enum Wanted {
    All,
    Of(Arc<[OperationPattern]>),
}

/// The greater, the more specific.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Rank {
    conditions: usize,
    exact: usize,
    prefixes: usize,
    /// 2 for names, 1 for groups.
    operations: u8,
    kinds: bool,
}

impl Candidate {
    /// Returns the candidates of a rule at a path that goes `way`: one, or two when it names operations and groups of them.
    pub(super) fn all(route: RouteId, rule: &Rule, way: Option<&Arc<Way>>) -> Vec<Self> {
        let is_name = |pattern: &&OperationPattern| matches!(pattern, OperationPattern::Name(_));
        let (names, groups): (Vec<_>, Vec<_>) = rule.operations.iter().partition(is_name);
        let of = |patterns: Vec<&OperationPattern>| {
            let patterns: Vec<_> = patterns.into_iter().cloned().collect();
            (!patterns.is_empty()).then(|| Wanted::Of(patterns.into()))
        };
        let mut wanted: Vec<_> = [(2, of(names)), (1, of(groups))]
            .into_iter()
            .filter_map(|(rank, wanted)| Some((rank, wanted?)))
            .collect();
        if wanted.is_empty() {
            wanted.push((0, Wanted::All));
        }
        let count = |what: fn(&Expected) -> bool| {
            let headers = rule.headers.iter();
            headers
                .filter(|condition| what(&condition.expected))
                .count()
        };
        let headers: Arc<[HeaderCondition]> = rule.headers.as_slice().into();
        wanted
            .into_iter()
            .map(|(operations, wanted)| Self {
                route,
                methods: Methods::of(&rule.methods),
                headers: Arc::clone(&headers),
                wanted,
                kinds: if rule.kinds.is_empty() {
                    Kinds::ALL
                } else {
                    rule.kinds.iter().copied().collect()
                },
                rank: Rank {
                    conditions: rule.headers.len(),
                    exact: count(|expected| matches!(expected, Expected::Exact(_))),
                    prefixes: count(|expected| matches!(expected, Expected::Prefix(_))),
                    operations,
                    kinds: !rule.kinds.is_empty(),
                },
                way: way.cloned(),
            })
            .collect()
    }

    /// Orders candidates the more specific first.
    pub(super) fn order(&self, other: &Self) -> Ordering {
        other.rank.cmp(&self.rank)
    }

    /// Tells whether the operation has to be known to say whether the route is taken.
    pub(super) fn asks_for_operation(&self) -> bool {
        self.rank.operations > 0 || self.rank.kinds
    }

    /// Tells which condition fails of those that need no operation.
    pub(super) fn miss(&self, method: Methods, headers: &HeaderMap) -> Option<Miss> {
        if !self.methods.meet(method) {
            return Some(Miss::Method);
        }
        let mut conditions = self.headers.iter();
        let failed = conditions.position(|condition| !condition.holds(headers));
        failed.map(Miss::Header)
    }

    /// Tells which condition fails on the operation.
    pub(super) fn miss_of(&self, operation: &'static Operation) -> Option<Miss> {
        let wanted = match &self.wanted {
            Wanted::All => true,
            Wanted::Of(patterns) => patterns.iter().any(|pattern| pattern.takes(operation)),
        };
        if !wanted {
            Some(Miss::Operation(operation))
        } else if !self.kinds.contains(operation.kind) {
            Some(Miss::Kind(operation))
        } else {
            None
        }
    }

    /// Returns the fields of which one value is wanted, and the values.
    pub(super) fn values(&self) -> impl Iterator<Item = (&HeaderName, &str)> {
        let headers = self.headers.iter();
        headers.filter_map(|condition| match &condition.expected {
            Expected::Exact(value) => Some((&condition.name, value.as_str())),
            Expected::Absent | Expected::Prefix(_) | Expected::Present => None,
        })
    }

    /// Returns a method of requests that two candidates of one path and host match alike, if there are any.
    pub(super) fn ties_with(&self, other: &Self) -> Option<Method> {
        if self.rank != other.rank {
            return None;
        }
        let compatible = |one: &HeaderCondition| {
            let mut others = other.headers.iter();
            others.all(|other| one.goes_with(other))
        };
        let operations = match (&self.wanted, &other.wanted) {
            // Of one rank, both are names or both are groups.
            (Wanted::Of(ours), Wanted::Of(theirs)) => ours.iter().any(|it| theirs.contains(it)),
            (Wanted::All, _) | (_, Wanted::All) => true,
        };
        let alike = operations
            && self.kinds.and(other.kinds) != Kinds::NONE
            && self.headers.iter().all(compatible);
        self.methods.first_common(other.methods).filter(|_| alike)
    }
}

/// A set of methods, of those that routes take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Methods(u8);

impl Methods {
    /// Every method there is a place for, in the order of the alphabet.
    pub(super) const ALL: [Method; 6] = [
        Method::DELETE,
        Method::GET,
        Method::HEAD,
        Method::PATCH,
        Method::POST,
        Method::PUT,
    ];

    /// Makes the set of `methods`. `GET` brings `HEAD` with it, since that asks for the same (RFC 9110 §9.3.2).
    fn of(methods: &[Method]) -> Self {
        let bits = methods.iter().map(|method| Self::one(method).0);
        let bits = bits.fold(0, |all, bit| all | bit);
        let brought = if bits & Self::one(&Method::GET).0 == 0 {
            0
        } else {
            Self::one(&Method::HEAD).0
        };
        Self(bits | brought)
    }

    /// Makes the set of one method; of none when no route takes it.
    pub(super) fn one(method: &Method) -> Self {
        Self(match *method {
            Method::DELETE => 1,
            Method::GET => 2,
            Method::HEAD => 4,
            Method::PATCH => 8,
            Method::POST => 16,
            Method::PUT => 32,
            _ => 0,
        })
    }

    fn meet(self, other: Self) -> bool {
        self.0 & other.0 != 0
    }

    fn first_common(self, other: Self) -> Option<Method> {
        let common = Self(self.0 & other.0);
        Self::ALL
            .into_iter()
            .find(|method| common.meet(Self::one(method)))
    }
}
