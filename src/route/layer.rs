//! The tower face of the stage.

use http::{HeaderValue, Method, header};
use tokio::time::Instant;

use super::table::{Found, Table, Tie};
use super::{Settings, target};
use crate::aep::Operation;
use crate::context::{Identified, PerRoute, Routed};
use crate::error::{Error, Reason};
use crate::stage::{Stage, StageLayer};

/// The layer that finds routes.
pub type RouteLayer = StageLayer<FindRoute>;

/// Finds a request's route and operation.
#[derive(Debug)]
pub struct FindRoute {
    table: Table,
    rules: PerRoute<super::Rule>,
}

impl FindRoute {
    /// Prepares the routes.
    ///
    /// # Errors
    /// [`Tie`] when two routes would match the same requests.
    pub fn new(settings: Settings) -> Result<Self, Tie> {
        let table = Table::new(&settings.routes)?;
        Ok(Self {
            table,
            rules: settings.routes.into_iter().collect(),
        })
    }
}

impl<B> Stage<Identified<B>> for FindRoute {
    type Out = Routed<B>;

    fn pass(&self, identified: Identified<B>) -> Result<Routed<B>, Error> {
        let Identified { received, caller } = identified;
        let method = received.request.method();
        let path = received.request.uri().path();
        if *method == Method::CONNECT || *method == Method::TRACE {
            let detail = "the gateway serves neither CONNECT nor TRACE";
            return Err(Error::new(Reason::MethodNotRouted, detail));
        }
        let encoded_slash = target::check(path).map_err(ambiguous)?;
        // Whether an encoded slash is refused is for the route to say.
        let refuse_slash = || match encoded_slash {
            Some(at) => {
                let fault = target::Fault::EncodedSlash;
                Err(ambiguous(target::Ambiguous { fault, at }))
            }
            None => Ok(()),
        };
        let route = match self.table.find(method, path) {
            Found::Route(route) => route,
            Found::OtherMethods(methods) => return Err(not_for_this_method(&methods)),
            Found::Nothing => {
                refuse_slash()?;
                return Err(Error::new(
                    Reason::NoRoute,
                    "no route of this gateway takes the path",
                ));
            }
        };
        let rule = self.rules.get(route)?;
        if !rule.encoded_slashes {
            refuse_slash()?;
        }
        let operation = operation(method, path, encoded_slash.is_some());
        received.exchange.route.set(Some(route));
        received.exchange.operation.set(Some(operation));
        let started = received.exchange.started;
        let mut deadline = started
            .checked_add(rule.timeout)
            .unwrap_or_else(Instant::now);
        let total = rule.total_timeout;
        if let Some(ends_by) = total.and_then(|time| started.checked_add(time)) {
            received.exchange.ends_by.set(Some(ends_by));
            deadline = deadline.min(ends_by);
        }
        Ok(Routed {
            received,
            caller,
            route,
            operation,
            deadline,
        })
    }
}

/// Reads an encoded slash as a plain one where that makes a known operation, so that it hides none.
fn operation(method: &Method, path: &str, encoded_slash: bool) -> &'static Operation {
    if encoded_slash {
        let decoded = Operation::of(method, &target::with_plain_slashes(path));
        if decoded.is_known() {
            return decoded;
        }
    }
    Operation::of(method, path)
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
