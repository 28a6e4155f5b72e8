//! Which route a request takes, and which operation of the Profile API it means.

mod layer;
pub mod table;
pub mod target;
pub mod template;

use std::time::Duration;

use http::Method;

pub use layer::{FindRoute, RouteLayer};
pub use template::Template;

/// The routes, in the order of the configuration.
#[derive(Clone, Debug)]
pub struct Settings {
    /// One rule a route.
    pub routes: Vec<Rule>,
}

/// What a route matches.
#[derive(Clone, Debug)]
pub struct Rule {
    /// The route's name, unique.
    pub name: String,
    /// The path templates, any of which matches.
    pub templates: Vec<Template>,
    /// The methods. `GET` brings `HEAD` with it.
    pub methods: Vec<Method>,
    /// Whether an encoded slash (`%2F`) in the path is passed on rather than refused.
    pub encoded_slashes: bool,
    /// Time until the upstream's answer must begin, from the request head on. Default 65 s.
    pub timeout: Duration,
    /// Time until the upstream's answer must have ended, from the request head on. Default: none, as long as it moves.
    pub total_timeout: Option<Duration>,
}
