//! `explain`: what the gateway would do with a request and why, or everything that is allowed. It sends nothing.

mod doors;
mod matrix;
mod rules;
mod steps;
mod teller;

use clap::Args;
use http::header::{HeaderMap, HeaderName, HeaderValue};
use http::uri::{PathAndQuery, Uri};
use http::{Method, header};

use self::matrix::Listing;
use self::steps::Steps;
use super::terminal::{complain, complain_of, print};
use super::{Config, Exit, Output};
use crate::config::{self, Lines, Process, Settings};
use crate::context::{ANONYMOUS, CallerId};
use crate::explain::{Decider, Request};

/// What to explain.
#[derive(Args, Debug)]
pub(super) struct Options {
    /// The method of the request.
    #[arg(required_unless_present = "all", requires = "url")]
    method: Option<Method>,
    /// Its URL, or its path and query.
    #[arg(required_unless_present = "all")]
    url: Option<String>,
    /// Who sends it: a name of `callers`. Default: anonymous; with --all, everybody.
    #[arg(long)]
    caller: Option<String>,
    /// A field of the request, such as 'x-sandbox-name: dev-2'; may be repeated.
    #[arg(
        short = 'H',
        long = "header",
        value_name = "FIELD: VALUE",
        conflicts_with = "all"
    )]
    headers: Vec<String>,
    /// Print everything that callers may do, and where.
    #[arg(long, conflicts_with_all = ["method", "url"])]
    all: bool,
    #[command(flatten)]
    config: Config,
    /// How it is printed.
    #[arg(long, value_enum, default_value_t = Output::Human)]
    format: Output,
}

/// Explains a request to the configuration at hand, or the whole of it.
pub(super) fn explain(options: &Options) -> Exit {
    let (settings, lines) = match config::load_with_lines(&options.config.config, &Process) {
        Ok(loaded) => loaded,
        Err(faults) => {
            match options.format {
                Output::Human => complain(&faults.to_string()),
                Output::Json => print(&faults.to_json().to_string()),
            }
            return Exit::Configuration;
        }
    };
    let decider = match Decider::new(&settings.explained()) {
        Ok(decider) => decider,
        Err(error) => {
            complain_of(&error);
            return Exit::Failure;
        }
    };
    let told = if options.all {
        all(options, &decider, &settings)
    } else {
        one(options, &decider, &settings, &lines)
    };
    match told {
        Ok(text) => {
            print(&text);
            Exit::Success
        }
        Err(Wrong::Usage(message)) => {
            complain(&format!("profile-gateway: {message}"));
            Exit::Usage
        }
        Err(Wrong::Decided(error)) => {
            complain(&format!("profile-gateway: {}", error.chain()));
            Exit::Failure
        }
    }
}

/// Why nothing is explained.
enum Wrong {
    Usage(String),
    Decided(crate::error::Error),
}

fn all(options: &Options, decider: &Decider, settings: &Settings) -> Result<String, Wrong> {
    let caller = options.caller.as_ref();
    let only = caller.map(|name| caller_named(name, settings).map_err(Wrong::Usage));
    let listing = Listing::of(decider, settings, only.transpose()?).map_err(Wrong::Decided)?;
    Ok(match options.format {
        Output::Human => listing.in_words().trim_end().to_owned(),
        Output::Json => listing.to_json().to_string(),
    })
}

fn one(
    options: &Options,
    decider: &Decider,
    settings: &Settings,
    lines: &Lines,
) -> Result<String, Wrong> {
    let caller = options.caller.as_deref().unwrap_or(ANONYMOUS);
    let caller = caller_named(caller, settings).map_err(Wrong::Usage)?;
    let request = request(options).map_err(Wrong::Usage)?;
    let explanation = decider.explain(&request, caller).map_err(Wrong::Decided)?;
    let steps = Steps::of(
        &request,
        caller,
        &explanation,
        decider.policy(),
        settings,
        lines,
    );
    Ok(match options.format {
        Output::Human => steps.in_words(),
        Output::Json => steps.to_json().to_string(),
    })
}

fn caller_named(name: &str, settings: &Settings) -> Result<CallerId, String> {
    let all = || settings.identify.callers.iter();
    let found = all().find(|(_, caller)| caller.name == name);
    found.map(|(id, _)| id).ok_or_else(|| {
        let names: Vec<_> = all().map(|(_, caller)| caller.name.as_str()).collect();
        format!("no caller is named {name}; there are {}", names.join(", "))
    })
}

fn request(options: &Options) -> Result<Request, String> {
    let (Some(method), Some(url)) = (&options.method, &options.url) else {
        return Err("a method and a URL are needed".to_owned());
    };
    if url.contains('#') {
        let what = "has a fragment, which clients never send";
        return Err(format!("{url} {what}; leave it out, or write # as %23"));
    }
    let uri: Uri = url
        .parse()
        .map_err(|error| format!("{url} is no URL: {error}"))?;
    let mut headers = HeaderMap::new();
    for field in &options.headers {
        let wrong = || format!("{field} is no field; write it as in 'x-sandbox-name: dev-2'");
        let (name, value) = field.split_once(':').ok_or_else(wrong)?;
        let name = HeaderName::from_bytes(name.trim().as_bytes()).map_err(|_| wrong())?;
        let value = HeaderValue::from_str(value.trim()).map_err(|_| wrong())?;
        headers.append(name, value);
    }
    // As it arrives: in origin form, with the host in its field.
    if let Some(authority) = uri.authority()
        && let Ok(host) = HeaderValue::from_str(authority.as_str())
    {
        if headers.get(header::HOST).is_some_and(|other| other != host) {
            return Err(format!("{url} names another host than the field Host does"));
        }
        headers.entry(header::HOST).or_insert(host);
    }
    let target = uri.path_and_query().cloned();
    let target = target.unwrap_or_else(|| PathAndQuery::from_static("/"));
    Ok(Request {
        method: method.clone(),
        uri: Uri::from(target),
        headers,
    })
}
