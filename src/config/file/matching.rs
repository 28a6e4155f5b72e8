//! Which requests take a route, as what they go on, and which operations there are.

use std::num::NonZeroU32;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Hosts, Kind, Method, OperationMethod, Paths, Prefixes};
use crate::config::defaults;
use crate::config::format::Written;
use crate::config::name::{FieldValue, MatchField, OperationName};
use crate::rewrite::Prefix;
use crate::route::{OperationPattern, Template};

/// Which requests take a route: those that meet all that is said here. Of the routes that do, the most specific one is taken:
/// by its path, segment by segment (a literal, then `{name}`, then `{*name}`, then a prefix), then by its host (whole, then
/// `*.internal` with the longer one first, then none), then by how many `headers` it names (of as many, `exact` before
/// `prefix` before `present`), then by its operations (named, then `exports.*`, then none, and `kinds` before none). Two that
/// are alike in all of this and can match the same request are an error.
#[derive(Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::config) struct Match {
    /// What fields of the request have to be like; all of these have to hold. Those with one host and path are looked at one
    /// by one, so let a few of them go by headers, not thousands. Default: nothing.
    #[serde(default)]
    pub(in crate::config) headers: Vec<HeaderMatch>,
    /// One host or a list of them, as callers address the gateway, whatever the case and the port: `profile.internal`, or
    /// `*.internal` for all with one or more labels before it. Default: any host, and none.
    #[serde(default)]
    #[schemars(with = "Hosts")]
    pub(in crate::config) host: Option<Hosts>,
    /// The kinds of operations that its methods can be: read, write, job, delete. Others do not take this route, but perhaps another one; `permit`
    /// refuses instead. Default: all.
    #[serde(default)]
    #[schemars(with = "Vec<Kind>", length(min = 1), extend("uniqueItems" = true))]
    pub(in crate::config) kinds: Option<Vec<Kind>>,
    /// The methods. GET brings HEAD with it. Default: GET, HEAD, POST, PUT, PATCH and DELETE.
    #[serde(default = "defaults::methods")]
    #[schemars(length(min = 1), extend("uniqueItems" = true))]
    pub(in crate::config) methods: Vec<Method>,
    /// The operations, by name or by group: `[entities.read, "exports.*"]`. What a request does is told by its method and
    /// its path as it goes to Adobe, see `operations`. Default: all.
    #[serde(default)]
    #[schemars(
        with = "Vec<Written<OperationPattern>>",
        length(min = 1),
        extend("uniqueItems" = true)
    )]
    pub(in crate::config) operations: Option<Vec<Written<OperationPattern>>>,
    /// One path template or a list of them: `{name}` stands for one segment, `{*name}` at the end for the rest.
    /// Literal segments are of letters, digits and `-._~`; their case does not count. Example: `/data/core/ups/access/entities`. Either this or `prefix`, unless `operations` or `kinds` say enough: then
    /// the default is every path.
    #[serde(default)]
    #[schemars(with = "Paths")]
    pub(in crate::config) path: Option<Paths>,
    /// One beginning of paths or a list of them, in whole literal segments, whose case does not count: `/data/core/ups` is that
    /// path and all below it. Default: none.
    #[serde(default)]
    #[schemars(with = "Prefixes")]
    pub(in crate::config) prefix: Option<Prefixes>,
}

/// What a field has to be like: one of `exact`, `prefix` and `present`. Of a field that is repeated each value has to be so.
#[derive(Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::config) struct HeaderMatch {
    /// The whole value, case and all. Example: crm.
    #[serde(default)]
    #[schemars(with = "Written<FieldValue>")]
    pub(in crate::config) exact: Option<Written<FieldValue>>,
    /// The name of the field, whatever its case. It is none that callers show proofs in at a listener (`api_key_header`,
    /// `token_header`): those have been taken out before.
    pub(in crate::config) name: Written<MatchField>,
    /// What the value begins with. Example: application/.
    #[serde(default)]
    #[schemars(with = "Written<FieldValue>")]
    pub(in crate::config) prefix: Option<Written<FieldValue>>,
    /// Whether the field is there, with any value.
    #[serde(default)]
    #[schemars(with = "bool")]
    pub(in crate::config) present: Option<bool>,
}

/// What is known of an operation.
#[derive(Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::config) struct Operation {
    /// How much a request takes of each limit and quota it is held to; all that may come at once if that is less. From 1 to
    /// 1000, default 1.
    #[serde(default = "defaults::cost")]
    #[schemars(range(min = 1, max = 1000))]
    pub(in crate::config) cost: NonZeroU32,
    /// What it does: read, write, job or delete. Routes permit by it.
    pub(in crate::config) kind: Kind,
    /// The method; GET is HEAD too.
    pub(in crate::config) method: OperationMethod,
    /// Its name, for logs and for `routes[].match.operations`: one word or two, with a dot between them. Several rows may have
    /// one name. Example: `consents.read`.
    pub(in crate::config) name: Written<OperationName>,
    /// The path template, as Adobe sees the path; case does not count, and literals are as in `routes[].match.path`. Example: `/data/core/ups/consents/{id}`.
    pub(in crate::config) path: Written<Template>,
    /// Whether it takes a payload, which needs a `Content-Type` then, see `routes[].content_type`. Default: true for POST, PUT
    /// and PATCH.
    #[serde(default)]
    #[schemars(with = "bool")]
    pub(in crate::config) payload: Option<bool>,
    /// Whether it does no harm when it is executed twice, so that it may be sent again after a failure. Default: true for a
    /// read, false for all else.
    #[serde(default)]
    #[schemars(with = "bool")]
    pub(in crate::config) replay_safe: Option<bool>,
}

/// How paths change on their way to Adobe: one of `replace_prefix` and `strip_prefix`. References in `Location`,
/// `Content-Location` and `Link` of answers are changed back, see `upstream.rewrite_links`.
#[derive(Debug, Default, Deserialize, Serialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(in crate::config) struct Rewrite {
    /// What is put in the place of the beginning. Default: nothing is.
    #[schemars(with = "ReplacePrefix")]
    pub(in crate::config) replace_prefix: Option<ReplacePrefix>,
    /// What is taken off the beginning. Example: /crm. Default: nothing is.
    #[schemars(with = "Written<Prefix>")]
    pub(in crate::config) strip_prefix: Option<Written<Prefix>>,
}

/// One beginning of paths in the place of another.
#[derive(Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::config) struct ReplacePrefix {
    /// What every path of the route begins with, in whole segments. Example: /crm.
    pub(in crate::config) from: Written<Prefix>,
    /// What they begin with when they go to Adobe. Example: /data/core.
    pub(in crate::config) to: Written<Prefix>,
}
