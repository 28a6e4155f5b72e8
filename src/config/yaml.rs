//! YAML text into a [`Node`] tree.
//!
//! Of YAML it takes maps, lists and scalars, which is also JSON. Anchors, aliases, merge keys and tags are
//! refused: a configuration is read by people, and a value should stand where it takes effect. It also
//! means that a small file cannot grow into a large tree.

use std::collections::HashMap;

use granit_parser::{Event, Marker, Options, Parser, ScalarStyle, ScanError, Span};

use super::path::{KeyPath, speaks_of_secret};
use super::report::{Fault, Report};
use super::text::{Place, Text};
use super::tree::{Content, Entry, Node, Scalar};

/// The largest file, in bytes. A `ConfigMap` cannot be larger either.
pub(super) const MOST_BYTES: usize = 1024 * 1024;

/// Reads the YAML text `content` of the file called `name`.
///
/// A text without any value is an empty map. Faults go into `report`; what could be read is returned.
pub(super) fn read(name: &str, content: &str, report: &mut Report) -> Node {
    let text = report.add_text(Text::new(name, content));
    let whole = Place::whole(text);
    if content.len() > MOST_BYTES {
        let message = format!("the file is larger than {MOST_BYTES} bytes");
        report.add_tainting(
            &KeyPath::default(),
            Fault::new(whole, &KeyPath::default(), message),
        );
        return Node::broken(whole);
    }
    let root = Builder::new(text, report).run(content);
    match &root.content {
        Content::Broken => {
            report.taint(&KeyPath::default());
            Node::broken(whole)
        }
        Content::Map(_) => Node {
            place: whole,
            content: root.content,
        },
        Content::Scalar(scalar) if scalar.is_nothing() => Node {
            place: whole,
            content: Content::Map(Vec::new()),
        },
        Content::List(_) | Content::Scalar(_) => {
            let message =
                "the file must hold a map, such as `credentials:` with what belongs to it";
            let fault = Fault::new(root.place, &KeyPath::default(), message);
            report.add_tainting(&KeyPath::default(), fault);
            Node::broken(whole)
        }
    }
}

/// A map or list that is not closed yet.
enum Open {
    List {
        place: Place,
        items: Vec<Node>,
    },
    Map {
        place: Place,
        entries: Vec<Entry>,
        /// The key whose value comes next.
        key: Option<(String, Place)>,
        seen: HashMap<String, Place>,
    },
}

struct Builder<'a> {
    text: usize,
    report: &'a mut Report,
    open: Vec<Open>,
    root: Option<Node>,
}

impl<'a> Builder<'a> {
    fn new(text: usize, report: &'a mut Report) -> Self {
        Self {
            text,
            report,
            open: Vec::new(),
            root: None,
        }
    }

    fn run(mut self, content: &str) -> Node {
        let mut documents = 0;
        for next in Parser::new_from_str_with_options(content, options()) {
            let (event, span) = match next {
                Ok(next) => next,
                Err(error) => {
                    self.syntax_fault(&error, content);
                    return Node::broken(Place::whole(self.text));
                }
            };
            if matches!(event, Event::DocumentStart(..)) {
                documents += 1;
                if documents > 1 {
                    let fault = Fault::new(
                        self.place(span),
                        &KeyPath::default(),
                        "a second document begins here",
                    );
                    self.report.add(
                        fault.help("split the file, and load the folder that holds the parts"),
                    );
                    break;
                }
            }
            self.take(event, span);
        }
        self.root.unwrap_or(Node {
            place: Place::whole(self.text),
            content: Content::Map(Vec::new()),
        })
    }

    fn take(&mut self, event: Event<'_>, span: Span) {
        self.refuse_properties(&event, span);
        let place = self.place(span);
        match event {
            Event::Alias(_) | Event::UnresolvedAlias(_) => {
                self.refuse(place, "aliases are not supported", WRITE_OUT);
                self.close(Node::broken(place));
            }
            Event::Scalar(value, style, ..) => {
                let scalar = Scalar {
                    written: value.into_owned(),
                    plain: style == ScalarStyle::Plain,
                    filled: None,
                };
                if self.path().is_secret() && !is_reference(&scalar.written) {
                    self.report.hide(place);
                }
                self.close(Node {
                    place,
                    content: Content::Scalar(scalar),
                });
            }
            Event::SequenceStart(..) => self.open.push(Open::List {
                place,
                items: Vec::new(),
            }),
            Event::MappingStart(..) => self.open.push(Open::Map {
                place,
                entries: Vec::new(),
                key: None,
                seen: HashMap::new(),
            }),
            Event::SequenceEnd | Event::MappingEnd => {
                let node = match self.open.pop() {
                    Some(Open::List { place, items }) => Node {
                        place,
                        content: Content::List(items),
                    },
                    Some(Open::Map { place, entries, .. }) => Node {
                        place,
                        content: Content::Map(entries),
                    },
                    None => return,
                };
                self.close(node);
            }
            Event::StreamStart
            | Event::StreamEnd
            | Event::DocumentStart(..)
            | Event::DocumentEnd
            | Event::Anchor(..)
            | Event::Comment(..)
            | _ => {}
        }
    }

    /// Puts a finished node where it belongs.
    fn close(&mut self, node: Node) {
        let path = self.path();
        match self.open.last_mut() {
            None => self.root = Some(node),
            Some(Open::List { items, .. }) => items.push(node),
            Some(Open::Map { key, .. }) if key.is_none() => {
                let place = node.place;
                match as_key(node) {
                    Ok(name) => *key = Some((name, place)),
                    Err((message, help)) => {
                        *key = Some((String::new(), place));
                        self.refuse(place, message, help);
                    }
                }
            }
            Some(Open::Map {
                entries, key, seen, ..
            }) => {
                let Some((name, place)) = key.take() else {
                    return;
                };
                if let Some(first) = seen.get(&name).copied() {
                    let fault = Fault::new(place, &path, "the key stands here a second time");
                    let fault = fault.also(first, "the first time is here");
                    self.report.add_tainting(&path, fault);
                } else if !name.is_empty() {
                    seen.insert(name.clone(), place);
                    entries.push(Entry::new(name, place, node));
                }
            }
        }
    }

    /// Returns the path of the value that is being read.
    fn path(&self) -> KeyPath {
        let mut path = KeyPath::default();
        for open in &self.open {
            match open {
                Open::List { items, .. } => path = path.index(items.len()),
                Open::Map {
                    key: Some((name, _)),
                    ..
                } => path = path.key(name),
                Open::Map { key: None, .. } => {}
            }
        }
        path
    }

    fn refuse_properties(&mut self, event: &Event<'_>, span: Span) {
        let place = self.place(span);
        if event.anchor_id().is_some() {
            self.refuse(place, "anchors are not supported", WRITE_OUT);
        }
        if event.tag().is_some() {
            self.refuse(place, "tags are not supported", "leave the tag out");
        }
    }

    fn refuse(&mut self, place: Place, message: &str, help: &str) {
        let path = self.path();
        if path.is_secret() {
            self.hide_lines(place);
        }
        let fault = Fault::new(place, &path, message).help(help);
        self.report.add_tainting(&path, fault);
    }

    fn syntax_fault(&mut self, error: &ScanError, content: &str) {
        let at = *error.marker();
        let place = self.place(Span::new(at, at));
        // What was being read when the parser gave up never became a value, so it was not hidden yet, and the parser may
        // quote it.
        let line = content.lines().nth(at.line().saturating_sub(1));
        let message = if self.path().is_secret() || line.is_some_and(speaks_of_secret) {
            self.hide_lines(place);
            "this is not YAML".to_owned()
        } else {
            format!("this is not YAML: {}", error.info())
        };
        self.report.add(Fault::new(place, &self.path(), message));
    }

    /// Hides the lines of `place`, since more of a secret may stand beside it.
    fn hide_lines(&mut self, place: Place) {
        self.report.hide(Place {
            column: 1,
            end_line: place.end_line + 1,
            end_column: 1,
            ..place
        });
    }

    fn place(&self, span: Span) -> Place {
        let column = |marker: Marker| marker.col() + 1;
        Place {
            text: self.text,
            line: span.start.line(),
            column: column(span.start),
            end_line: span.end.line(),
            end_column: column(span.end),
        }
    }
}

/// Tells whether `text` is one reference and nothing more, so that it gives no secret away.
fn is_reference(text: &str) -> bool {
    let inner = text
        .strip_prefix("${")
        .and_then(|rest| rest.strip_suffix('}'));
    inner.is_some_and(|inner| {
        let named = inner.starts_with("env:") || inner.starts_with("file:");
        named && !inner.contains(":-") && !inner.contains("${")
    })
}

/// Returns the key that `node` is, or what is wrong with it and what to do.
fn as_key(node: Node) -> Result<String, (&'static str, &'static str)> {
    match node.content {
        Content::Scalar(scalar) if scalar.written.is_empty() => {
            Err(("the key is empty", "write the key before the colon"))
        }
        Content::Scalar(scalar) if scalar.plain && scalar.written == "<<" => {
            Err(("merge keys are not supported", WRITE_OUT))
        }
        Content::Scalar(scalar) => Ok(scalar.written),
        Content::Broken | Content::List(_) | Content::Map(_) => Err((
            "a key must be a word",
            "to begin a text with { or [, put it in quotes",
        )),
    }
}

fn options() -> Options {
    let mut options = Options::default();
    options.disallow_directives = true;
    options.emit_unresolved_aliases = true;
    options.flow_nesting_limit = DEEPEST;
    options.block_nesting_limit = DEEPEST;
    options.set_emit_comments(false);
    options
}

const DEEPEST: usize = 16;
const WRITE_OUT: &str = "write the value out where it takes effect";

#[cfg(test)]
mod tests {
    use super::*;

    fn faults(content: &str) -> String {
        let mut report = Report::default();
        read("a.yaml", content, &mut report);
        report.into_diagnostics().to_string()
    }

    #[test]
    fn what_is_not_plain_data_is_refused_all_at_once() {
        let shown = faults("a: &x 1\nb: *x\nc: *y\nd: !!str 2\ne:\n  <<: *x\n? [f]\n: 1\n");

        let messages: Vec<&str> = shown
            .lines()
            .filter(|line| line.starts_with("error"))
            .collect();
        assert_eq!(
            messages,
            [
                "error: a: anchors are not supported",
                "error: b: aliases are not supported",
                "error: c: aliases are not supported",
                "error: d: tags are not supported",
                "error: e: merge keys are not supported",
                "error: e: aliases are not supported",
                "error: a key must be a word",
            ]
        );
    }

    #[test]
    fn a_second_document_is_refused() {
        assert!(faults("a: 1\n---\nb: 2\n").contains("a second document begins here"));
        assert_eq!(faults("---\na: 1\n...\n"), "");
    }

    #[test]
    fn deep_nesting_and_large_files_are_refused() {
        assert!(faults(&"[".repeat(200)).contains("not YAML"));
        assert!(faults(&"- ".repeat(200)).contains("not YAML"));
        assert!(faults(&"a".repeat(MOST_BYTES + 1)).contains("larger than"));
    }

    #[test]
    fn an_empty_file_is_an_empty_map() {
        for content in ["", "# only a comment\n", "---\n", "~"] {
            assert_eq!(faults(content), "", "{content:?}");
        }
        assert!(faults("[]").contains("must hold a map"));
    }

    #[test]
    fn a_secret_is_not_shown_when_its_line_is_broken() {
        for content in [
            "client_secret: p8e-hidden\n\tx",
            "client_secrets: [p8e-hidden, *x]",
            "client_secrets: \"p8e-hidden",
            "client_secrets:\n  - p8e-hidden: [\n",
            "client_secrets:\n  - \"p8e-hidden\n\n",
            "a: {client_secrets: [p8e-hidden], b: *x}",
            "client_secrets: &p8e-hidden x",
            "client_secrets: !p8e-hidden!x y",
            "client_secrets: { p8e-hidden: *x, p8e-hidden: y }",
            "client_secrets: ['${env:A:-p8e-hidden}', *x]",
        ] {
            let shown = faults(content);

            assert!(!shown.is_empty() && !shown.contains("hidden"), "{shown}");
        }
    }
}
