//! Who wants to know why routes were not taken.

use crate::aep::Operation;
use crate::context::RouteId;

/// Is told of each route that was looked at and not taken, the most specific first.
pub trait Watch {
    /// Whether it wants to be told of those too that were not worth a look, since they are for other hosts.
    const ALL: bool;

    /// Takes in that a route was not taken, and why.
    fn missed(&mut self, route: RouteId, miss: Miss);
}

/// The first condition of a route, in the order they are looked at, that does not hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Miss {
    /// Another host is asked for.
    Host,
    /// It does not take the method.
    Method,
    /// The condition at this place of [`super::Rule::headers`] does not hold.
    Header(usize),
    /// The path cannot be rewritten as the route wants it.
    Path,
    /// It does not take this operation.
    Operation(&'static Operation),
    /// It does not take operations of this one's kind.
    Kind(&'static Operation),
}

/// Nobody wants to know.
#[derive(Clone, Copy, Debug)]
pub struct Unwatched;

impl Watch for Unwatched {
    const ALL: bool = false;

    fn missed(&mut self, _: RouteId, _: Miss) {}
}

impl<F: FnMut(RouteId, Miss)> Watch for F {
    const ALL: bool = true;

    fn missed(&mut self, route: RouteId, miss: Miss) {
        self(route, miss);
    }
}
