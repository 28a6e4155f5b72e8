//! Finds what belongs to a path: templates with literal segments, `{name}` and `{*rest}`, most specific first.

use std::cmp::Ordering;

/// Values by path template.
///
/// Segment by segment a literal is more specific than a parameter, and that than the rest of the path. When the
/// more specific branch leads nowhere the next one is tried.
#[derive(Clone, Debug)]
pub struct PathTree<T> {
    root: Node<T>,
}

#[derive(Clone, Debug)]
struct Node<T> {
    /// Sorted by [`order`].
    literals: Vec<(Box<[u8]>, Self)>,
    parameter: Option<Box<Self>>,
    rest: Option<T>,
    here: Option<T>,
}

impl<T> Default for PathTree<T> {
    fn default() -> Self {
        Self { root: Node::new() }
    }
}

impl<T> PathTree<T> {
    /// Adds a template such as `/a/{id}/{*rest}`; parameter names do not matter.
    ///
    /// # Errors
    /// Gives the value that is there already when a template of the same meaning has been added.
    pub fn insert(&mut self, template: &str, value: T) -> Result<(), &T> {
        let mut node = &mut self.root;
        for segment in template.split('/').skip(1) {
            if segment.starts_with("{*") {
                return fill(&mut node.rest, value);
            }
            node = if segment.starts_with('{') {
                node.parameter.get_or_insert_with(|| Box::new(Node::new()))
            } else {
                node.literal(segment.as_bytes())
            };
        }
        fill(&mut node.here, value)
    }

    /// Returns the value of the most specific template that matches.
    ///
    /// A parameter takes one segment that is not empty, the rest takes at least one character.
    pub fn find(&self, path: &str) -> Option<&T> {
        self.root.find(path.as_bytes().strip_prefix(b"/")?)
    }
}

impl<T> Node<T> {
    fn new() -> Self {
        Self {
            literals: Vec::new(),
            parameter: None,
            rest: None,
            here: None,
        }
    }

    fn literal(&mut self, segment: &[u8]) -> &mut Self {
        let place = match self
            .literals
            .binary_search_by(|(known, _)| order(known, segment))
        {
            Ok(place) => place,
            Err(place) => {
                self.literals.insert(place, (segment.into(), Self::new()));
                place
            }
        };
        let (_, node) = self
            .literals
            .get_mut(place)
            .expect("the place was just found or made");
        node
    }

    fn find(&self, path: &[u8]) -> Option<&T> {
        let (segment, below) = match path.iter().position(|byte| *byte == b'/') {
            Some(end) => (path.get(..end).unwrap_or_default(), path.get(end + 1..)),
            None => (path, None),
        };
        let literal = self
            .literals
            .binary_search_by(|(known, _)| order(known, segment))
            .ok()
            .and_then(|place| self.literals.get(place))
            .and_then(|(_, node)| node.end_or_find(below));
        literal
            .or_else(|| {
                let parameter = self.parameter.as_ref().filter(|_| !segment.is_empty())?;
                parameter.end_or_find(below)
            })
            .or_else(|| self.rest.as_ref().filter(|_| !path.is_empty()))
    }

    fn end_or_find(&self, below: Option<&[u8]>) -> Option<&T> {
        match below {
            Some(below) => self.find(below),
            None => self.here.as_ref(),
        }
    }
}

/// Shorter segments come first, so that few have to be compared byte by byte.
fn order(known: &[u8], segment: &[u8]) -> Ordering {
    let by_length = known.len().cmp(&segment.len());
    by_length.then_with(|| known.cmp(segment))
}

fn fill<T>(place: &mut Option<T>, value: T) -> Result<(), &T> {
    if let Some(taken) = place {
        Err(taken)
    } else {
        *place = Some(value);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_most_specific_template_wins_segment_by_segment() {
        let mut tree = PathTree::default();
        for template in [
            "/a/{*rest}",
            "/a/{id}",
            "/a/{id}/x",
            "/a/b",
            "/a/b/{*rest}",
            "/a/{id}/{sub}/z",
        ] {
            tree.insert(template, template).unwrap();
        }

        for (path, found) in [
            ("/a/b", Some("/a/b")),
            ("/a/c", Some("/a/{id}")),
            ("/a/c/x", Some("/a/{id}/x")),
            ("/a/b/x", Some("/a/b/{*rest}")),
            ("/a/c/y", Some("/a/{*rest}")),
            ("/a/c/y/z", Some("/a/{id}/{sub}/z")),
            ("/a/c/y/w", Some("/a/{*rest}")),
            ("/a/", None),
            ("/a", None),
            ("/b", None),
            ("", None),
        ] {
            assert_eq!(tree.find(path).copied(), found, "{path}");
        }
    }

    #[test]
    fn templates_of_one_meaning_collide() {
        let mut tree = PathTree::default();
        tree.insert("/a/{id}/b", 1).unwrap();

        assert_eq!(tree.insert("/a/{other}/b", 2), Err(&1));
        assert_eq!(tree.insert("/a/{*rest}", 3), Ok(()));
        assert_eq!(tree.insert("/a/{*all}", 4), Err(&3));
    }
}
