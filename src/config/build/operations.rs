//! The operations: those that are built in, and what the file says of others.

use std::collections::HashMap;

use http::Method;

use super::Cross;
use super::matching::kind;
use crate::aep::{Kind, Operations, Row, operations};
use crate::config::file::{File, Operation, OperationMethod};
use crate::config::path::{KeyPath, top};

/// Makes the table of operations, and reports rows of one method and path.
pub(super) fn build(file: &File, cross: &mut Cross<'_>) -> Operations {
    let mut seen: HashMap<(Method, String), KeyPath> = HashMap::new();
    for (index, row) in file.operations.iter().enumerate() {
        let path = top("operations").index(index).key("path");
        let shape = row.path.0.shape();
        let key = (method(row.method), shape);
        if let Some(first) = seen.get(&key) {
            let place = cross.root.place_of(first);
            let message = "another row is of this method and path already";
            let rests_on = [first, &top("operations").index(index).key("method")];
            cross.fault(&path, &rests_on, message, |fault| {
                fault.also(place, "the other one is here")
            });
        } else {
            seen.insert(key, path);
        }
    }
    Operations::with(file.operations.iter().map(row))
}

fn row(row: &Operation) -> Row {
    let method = method(row.method);
    let kind = kind(row.kind);
    Row {
        name: row.name.0.0.clone(),
        template: row.path.0.to_string(),
        kind,
        replay_safe: row.replay_safe.unwrap_or(kind == Kind::Read),
        payload: row
            .payload
            .unwrap_or_else(|| operations::brings_payload(&method)),
        cost: row.cost,
        method,
    }
}

fn method(method: OperationMethod) -> Method {
    match method {
        OperationMethod::Delete => Method::DELETE,
        OperationMethod::Get => Method::GET,
        OperationMethod::Patch => Method::PATCH,
        OperationMethod::Post => Method::POST,
        OperationMethod::Put => Method::PUT,
    }
}
