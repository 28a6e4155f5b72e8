//! Which route a request takes, as what path it goes upstream, and which operation of the Profile API it means there.
//!
//! The most specific route whose conditions all hold is taken:
//!
//! 1. by its path, segment by segment: a literal, then `{name}`, then `{*rest}`, then a prefix;
//! 2. by its host: one named whole, then `*.internal` with the longer one first, then none;
//! 3. by its conditions on fields: the more the better, and of as many exact values before beginnings before presence;
//! 4. by its operations: named, then by group (`exports.*`), then none; and then kinds before none.
//!
//! Literals match whatever the case of their ASCII letters, as operations do, so that no spelling leads around a route. Nor does
//! an encoded slash: what would take another route with a plain one is refused.
//!
//! Two that are alike in all of this and can match the same request are a [`Tie`], and no table is made of them.
//!
//! However many routes there are, the tree of paths and a map of hosts at each path leave those with one path and host,
//! which are tried one after the other.

pub mod condition;
mod layer;
mod rank;
pub mod table;
pub mod target;
pub mod template;
pub mod watch;

use std::sync::Arc;
use std::time::Duration;

use http::Method;

pub use condition::{Expected, HeaderCondition, HostPattern, OperationPattern};
pub use layer::{Decided, FindRoute, RouteLayer};
pub use table::Tie;
pub use template::Template;
pub use watch::{Miss, Unwatched, Watch};

use crate::aep::{Kind, Operation, Operations};
use crate::rewrite::{Prefix, Rewrite};

/// The routes, in the order of the configuration.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Which operations there are.
    pub operations: Arc<Operations>,
    /// One rule a route.
    pub routes: Vec<Rule>,
}

/// What a route matches, and what becomes of its paths.
#[derive(Clone, Debug)]
pub struct Rule {
    /// The route's name, unique.
    pub name: String,
    /// The path templates, any of which matches.
    pub templates: Vec<Template>,
    /// The prefixes of paths, any of which matches too.
    pub prefixes: Vec<Prefix>,
    /// The methods. `GET` brings `HEAD` with it.
    pub methods: Vec<Method>,
    /// The hosts, any of which matches. None: any host does, and no host too.
    pub hosts: Vec<HostPattern>,
    /// What fields have to be like, all of them.
    pub headers: Vec<HeaderCondition>,
    /// The operations, any of which matches. None: all.
    pub operations: Vec<OperationPattern>,
    /// The kinds of operations, any of which matches. None: all.
    pub kinds: Vec<Kind>,
    /// What is put in the place of the beginning of the path, after `take_off`.
    pub rewrite: Option<Rewrite>,
    /// Whether the segment that templates call [`SANDBOX`] is taken off the path, and kept in
    /// [`crate::context::Routed::segment`].
    pub take_off: bool,
    /// Whether an encoded slash (`%2F`) in the path is passed on rather than refused.
    pub encoded_slashes: bool,
    /// Time until the upstream's answer must begin, from the request head on. Default 65 s.
    pub timeout: Duration,
    /// Time until the upstream's answer must have ended, from the request head on. Default: none, as long as it moves.
    pub total_timeout: Option<Duration>,
}

impl Rule {
    /// Makes a rule that matches nothing yet, with the defaults of all else.
    pub fn new(name: String) -> Self {
        Self {
            name,
            templates: Vec::new(),
            prefixes: Vec::new(),
            methods: Vec::new(),
            hosts: Vec::new(),
            headers: Vec::new(),
            operations: Vec::new(),
            kinds: Vec::new(),
            rewrite: None,
            take_off: false,
            encoded_slashes: false,
            timeout: Duration::from_secs(65),
            total_timeout: None,
        }
    }
}

impl Rule {
    /// Tells whether requests of the operation with this method can take the route, as far as these say.
    pub fn takes(&self, operation: &Operation, method: &Method) -> bool {
        let brought = *method == Method::HEAD && self.methods.contains(&Method::GET);
        let mut named = self.operations.iter();
        (brought || self.methods.contains(method))
            && operation.comes_with(method)
            && (self.operations.is_empty() || named.any(|pattern| pattern.takes(operation)))
            && (self.kinds.is_empty() || self.kinds.contains(&operation.kind))
    }
}

/// The parameter that stands for the sandbox.
pub const SANDBOX: &str = "sandbox";
