//! Whom a route is for, and where its requests work.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Kind, OnMismatch, SandboxFrom};
use crate::aep::SandboxName;
use crate::config::format::Written;
use crate::config::name::Name;

/// A caller of a route.
#[derive(Debug, Deserialize, Serialize, JsonSchema)]
#[serde(untagged)]
#[schemars(inline)]
pub(in crate::config) enum RouteCaller {
    Name(Written<Name>),
    Grant(RouteGrant),
}

/// What a route grants a caller.
#[derive(Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::config) struct RouteGrant {
    /// The name of the caller, or `anonymous`.
    pub(in crate::config) name: Written<Name>,
    /// What it may do at most: read, write, job, delete. Default: all that the route permits.
    #[serde(default)]
    #[schemars(with = "Vec<Kind>", length(min = 1), extend("uniqueItems" = true))]
    pub(in crate::config) permit: Option<Vec<Kind>>,
    /// The sandboxes that it may work in at most. Default: all that the route allows.
    #[serde(default)]
    #[schemars(with = "Vec<Written<SandboxName>>", length(min = 1), extend("uniqueItems" = true))]
    pub(in crate::config) sandboxes: Option<Vec<Written<SandboxName>>>,
}

/// Kinds for all sandboxes of a route, or by sandbox.
#[derive(Debug, Deserialize, Serialize, JsonSchema)]
#[serde(untagged)]
#[schemars(inline)]
pub(in crate::config) enum Permit {
    Everywhere(#[schemars(length(min = 1), extend("uniqueItems" = true))] Vec<Kind>),
    BySandbox(
        #[schemars(extend("propertyNames" = { "format": "sandbox-name" }, "minProperties" = 1))]
        BTreeMap<String, Kinds>,
    ),
}

/// Some kinds.
#[derive(Debug, Deserialize, Serialize, JsonSchema)]
#[serde(transparent)]
#[schemars(inline, extend("minItems" = 1, "uniqueItems" = true))]
pub(in crate::config) struct Kinds(pub(in crate::config) Vec<Kind>);

/// The name of a sandbox, or how it is found.
#[derive(Debug, Deserialize, Serialize, JsonSchema)]
#[serde(untagged)]
#[schemars(inline)]
pub(in crate::config) enum RouteSandbox {
    Name(Written<SandboxName>),
    Found(FoundSandbox),
}

/// How the sandbox of a request is found.
#[derive(Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::config) struct FoundSandbox {
    /// The sandboxes that requests of the route may work in; others are refused, whatever names them. Default: those in
    /// `by_caller` or `by_host`; with `from: header` it must be written.
    #[serde(default)]
    #[schemars(with = "Vec<Written<SandboxName>>", length(min = 1), extend("uniqueItems" = true))]
    pub(in crate::config) allow: Option<Vec<Written<SandboxName>>>,
    /// With `from: caller`, and only then: the sandbox of each caller that the route is for, by its name.
    #[serde(default)]
    #[schemars(with = "BTreeMap<String, Written<SandboxName>>", extend("propertyNames" = { "format": "name" }, "minProperties" = 1))]
    pub(in crate::config) by_caller: Option<BTreeMap<String, Written<SandboxName>>>,
    /// With `from: host`, and only then: the sandbox of each host that callers address, without a port or trailing dot.
    #[serde(default)]
    #[schemars(with = "BTreeMap<String, Written<SandboxName>>", extend("propertyNames" = { "format": "host-name" }, "minProperties" = 1))]
    pub(in crate::config) by_host: Option<BTreeMap<String, Written<SandboxName>>>,
    /// With `from: header`, and only then: the sandbox of requests without the field. Default: none, they are refused.
    #[serde(default)]
    #[schemars(with = "Written<SandboxName>")]
    pub(in crate::config) default: Option<Written<SandboxName>>,
    /// What names the sandbox: `caller`, `header` (`x-sandbox-name`), `host`, `path` (the segment `{sandbox}` of the route's
    /// path, which is taken off), or `route`, which has one.
    #[serde(default)]
    pub(in crate::config) from: SandboxFrom,
    /// What becomes of a request whose `x-sandbox-name` is another sandbox than the one that it would work in: `refuse`
    /// answers 403, so that nobody works elsewhere than they think; `ignore` lets it work there, and is not for `from: header`.
    /// Default refuse.
    #[serde(default)]
    pub(in crate::config) on_mismatch: OnMismatch,
}
