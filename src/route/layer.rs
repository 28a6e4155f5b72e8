//! The tower face of the stage.

use std::sync::Arc;

use http::uri::{PathAndQuery, Uri};
use http::{HeaderMap, HeaderValue, Method, header};
use tokio::time::Instant;

use super::table::{Asked, Found, Hit, Table, Tie};
use super::watch::{Unwatched, Watch};
use super::{Rule, Settings, target};
use crate::aep::{self, Operation};
use crate::context::{Identified, PerRoute, RouteId, Routed};
use crate::error::{Error, Reason};
use crate::rewrite::{Back, Rewritten, Way};
use crate::stage::{Stage, StageLayer};

/// The layer that finds routes.
pub type RouteLayer = StageLayer<FindRoute>;

/// Finds a request's route and operation.
#[derive(Debug)]
pub struct FindRoute {
    table: Table,
    rules: PerRoute<Rule>,
}

/// Which route a request takes, and as what.
#[derive(Debug)]
pub struct Decided<'a> {
    /// Which route.
    pub route: RouteId,
    /// What it matches.
    pub rule: &'a Rule,
    /// Which operation of the Profile API it is.
    pub operation: &'static Operation,
    /// Its path as it goes upstream and how it got so, unless it is the caller's own.
    pub rewritten: Option<Box<(Rewritten, Arc<Way>)>>,
}

impl FindRoute {
    /// Prepares the routes.
    ///
    /// # Errors
    /// [`Tie`] when two routes would match the same requests.
    pub fn new(settings: Settings) -> Result<Self, Box<Tie>> {
        let table = Table::new(&settings)?;
        Ok(Self {
            table,
            rules: settings.routes.into_iter().collect(),
        })
    }

    /// Decides which route a request takes, and tells `watch` why others are not taken.
    ///
    /// # Errors
    /// The refusal, when there is none, or the path could be read in several ways.
    pub fn decide(
        &self,
        method: &Method,
        uri: &Uri,
        headers: &HeaderMap,
        watch: &mut impl Watch,
    ) -> Result<Decided<'_>, Error> {
        if *method == Method::CONNECT || *method == Method::TRACE {
            let detail = "the gateway serves neither CONNECT nor TRACE";
            return Err(Error::new(Reason::MethodNotRouted, detail));
        }
        let encoded_slash = target::check(uri.path()).map_err(ambiguous)?;
        // Whether an encoded slash is refused is for the route to say.
        let refuse_slash = || match encoded_slash {
            Some(at) => {
                let fault = target::Fault::EncodedSlash;
                Err(ambiguous(target::Ambiguous { fault, at }))
            }
            None => Ok(()),
        };
        let asked = Asked {
            method,
            uri,
            headers,
            encoded_slash: encoded_slash.is_some(),
        };
        let hit = match self.table.find(&asked, watch) {
            Found::Route(hit) => hit,
            Found::OtherMethods(methods) => return Err(not_for_this_method(&methods)),
            Found::Nothing => {
                refuse_slash()?;
                let detail = "no route of this gateway takes the request";
                return Err(Error::new(Reason::NoRoute, detail));
            }
        };
        let Hit {
            route,
            operation,
            rewritten,
        } = hit;
        let rule = self.rules.get(route)?;
        if let Some(at) = encoded_slash {
            if !rule.encoded_slashes {
                refuse_slash()?;
            }
            self.refuse_another_with_slashes(route, &asked, at)?;
        }
        if let Some(rewritten) = &rewritten {
            target::check(&rewritten.0.path).map_err(ambiguous)?;
        }
        Ok(Decided {
            route,
            rule,
            operation,
            rewritten,
        })
    }
}

impl FindRoute {
    /// Refuses a path with an encoded slash if a server that takes it for a plain one would be asked by way of another route.
    fn refuse_another_with_slashes(
        &self,
        route: RouteId,
        asked: &Asked<'_>,
        at: usize,
    ) -> Result<(), Error> {
        let path = aep::decoded_slashes(asked.uri.path());
        let asked = Asked {
            uri: &with_path(asked.uri, &path)?,
            encoded_slash: false,
            ..*asked
        };
        match self.table.find(&asked, &mut Unwatched) {
            Found::Route(other) if other.route != route => {
                let detail = format!(
                    "the path has an encoded slash at byte {at}, and would take another route with a plain one"
                );
                Err(Error::new(Reason::MalformedRequest, detail))
            }
            Found::Route(_) | Found::OtherMethods(_) | Found::Nothing => Ok(()),
        }
    }
}

impl<B> Stage<Identified<B>> for FindRoute {
    type Out = Routed<B>;

    fn pass(&self, identified: Identified<B>) -> Result<Routed<B>, Error> {
        let Identified {
            mut received,
            caller,
        } = identified;
        let request = &mut received.request;
        let decided = self.decide(
            request.method(),
            request.uri(),
            request.headers(),
            &mut Unwatched,
        )?;
        let exchange = &received.exchange;
        exchange.route.set(Some(decided.route));
        exchange.operation.set(Some(decided.operation));
        let mut segment = None;
        if let Some(rewritten) = decided.rewritten {
            let (rewritten, way) = *rewritten;
            *request.uri_mut() = with_path(request.uri(), &rewritten.path)?;
            segment = rewritten.segment;
            // A request is routed once.
            let _ = exchange.back.set(Box::new(Back {
                way,
                segment: segment.clone(),
            }));
        }
        let started = exchange.started;
        let mut deadline = started
            .checked_add(decided.rule.timeout)
            .unwrap_or_else(Instant::now);
        let total = decided.rule.total_timeout;
        if let Some(ends_by) = total.and_then(|time| started.checked_add(time)) {
            exchange.ends_by.set(Some(ends_by));
            deadline = deadline.min(ends_by);
        }
        Ok(Routed {
            received,
            caller,
            route: decided.route,
            operation: decided.operation,
            segment,
            deadline,
        })
    }
}

/// Returns the target with another path, and all else as it is.
fn with_path(uri: &Uri, path: &str) -> Result<Uri, Error> {
    let target = match uri.query() {
        Some(query) => PathAndQuery::try_from(format!("{path}?{query}")),
        None => PathAndQuery::try_from(path),
    };
    let internal = "the rewritten target could not be built";
    let target = target.map_err(|error| Error::new(Reason::Internal, internal).because(error))?;
    let mut parts = uri.clone().into_parts();
    parts.path_and_query = Some(target);
    Uri::from_parts(parts).map_err(|error| Error::new(Reason::Internal, internal).because(error))
}

fn ambiguous(ambiguous: target::Ambiguous) -> Error {
    Error::new(Reason::MalformedRequest, ambiguous.to_string())
}

fn not_for_this_method(methods: &[Method]) -> Error {
    let mut names: Vec<_> = methods.iter().map(Method::as_str).collect();
    names.sort_unstable();
    let allow = names.join(", ");
    let error = Error::new(
        Reason::MethodNotRouted,
        format!("this path is routed for {allow}"),
    );
    match HeaderValue::from_str(&allow) {
        Ok(value) => error.with_field(header::ALLOW, value),
        Err(_) => error,
    }
}
