//! Finds what belongs to a path: templates with literal segments, `{name}` and `{*rest}`, and prefixes, most specific
//! first.

use std::cmp::Ordering;

/// Values by path template or prefix.
///
/// Segment by segment a literal is more specific than a parameter, that than the rest of the path, and that than a prefix.
/// When the more specific branch leads nowhere the next one is tried. The case of ASCII letters does not count, so that
/// spelling leads to nothing else.
#[derive(Clone, Debug)]
pub struct PathTree<T> {
    root: Node<T>,
}

#[derive(Clone, Debug)]
struct Node<T> {
    /// In lower case, sorted by [`order`].
    literals: Vec<(Box<[u8]>, Self)>,
    parameter: Option<Box<Self>>,
    rest: Option<T>,
    here: Option<T>,
    /// Of the prefix that ends here: the path may end here too, or go on.
    prefix: Option<T>,
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
        let place = self.template(template);
        if let Some(taken) = place {
            Err(taken)
        } else {
            *place = Some(value);
            Ok(())
        }
    }

    /// Returns the place of the value of a template.
    pub fn template(&mut self, template: &str) -> &mut Option<T> {
        let mut node = &mut self.root;
        for segment in template.split('/').skip(1) {
            if segment.starts_with("{*") {
                return &mut node.rest;
            }
            node = node.below(segment);
        }
        &mut node.here
    }

    /// Returns the place of the value of a prefix such as `/a/b`, or of the empty one, which every path has.
    pub fn prefix(&mut self, prefix: &str) -> &mut Option<T> {
        let mut node = &mut self.root;
        for segment in prefix.split('/').skip(1) {
            node = node.below(segment);
        }
        &mut node.prefix
    }

    /// Returns the value of the most specific template that matches.
    ///
    /// A parameter takes one segment that is not empty, the rest takes at least one character.
    pub fn find(&self, path: &str) -> Option<&T> {
        self.find_map(path, &mut Some)
    }

    /// Takes the values of all templates and prefixes that match, the most specific first, until `take` returns something.
    pub fn find_map<'a, R>(
        &'a self,
        path: &str,
        take: &mut impl FnMut(&'a T) -> Option<R>,
    ) -> Option<R> {
        let path = path.as_bytes().strip_prefix(b"/")?;
        self.root
            .find(path, take)
            .or_else(|| self.root.prefix.as_ref().and_then(take))
    }

    /// Calls `see` with every value.
    pub fn for_each<'a>(&'a self, see: &mut impl FnMut(&'a T)) {
        self.root.for_each(see);
    }

    /// Calls `change` with every value.
    pub fn for_each_mut(&mut self, change: &mut impl FnMut(&mut T)) {
        self.root.for_each_mut(change);
    }
}

impl<T> Node<T> {
    fn new() -> Self {
        Self {
            literals: Vec::new(),
            parameter: None,
            rest: None,
            here: None,
            prefix: None,
        }
    }

    fn below(&mut self, segment: &str) -> &mut Self {
        if segment.starts_with('{') {
            self.parameter.get_or_insert_with(|| Box::new(Self::new()))
        } else {
            self.literal(segment.to_ascii_lowercase().as_bytes())
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

    #[inline]
    fn find<'a, R>(&'a self, path: &[u8], take: &mut impl FnMut(&'a T) -> Option<R>) -> Option<R> {
        let (segment, below) = match path.iter().position(|byte| *byte == b'/') {
            Some(end) => (path.get(..end).unwrap_or_default(), path.get(end + 1..)),
            None => (path, None),
        };
        if let Some(node) = self.named(segment)
            && let Some(found) = node.end_or_find(below, take)
        {
            return Some(found);
        }
        if let Some(node) = self.parameter.as_ref().filter(|_| !segment.is_empty())
            && let Some(found) = node.end_or_find(below, take)
        {
            return Some(found);
        }
        let rest = self.rest.as_ref().filter(|_| !path.is_empty());
        rest.and_then(take)
    }

    /// Returns the node of a segment that is known. Most segments of paths are in lower case; only what is not found so is
    /// looked for whatever its case.
    #[inline]
    fn named(&self, segment: &[u8]) -> Option<&Self> {
        let exact = self
            .literals
            .binary_search_by(|(known, _)| order(known, segment));
        let place = match exact {
            Ok(place) => place,
            Err(_) if !segment.iter().any(u8::is_ascii_uppercase) => return None,
            Err(_) => {
                let folded = |(known, _): &(Box<[u8]>, Self)| folded_order(known, segment);
                self.literals.binary_search_by(folded).ok()?
            }
        };
        self.literals.get(place).map(|(_, node)| node)
    }

    fn end_or_find<'a, R>(
        &'a self,
        below: Option<&[u8]>,
        take: &mut impl FnMut(&'a T) -> Option<R>,
    ) -> Option<R> {
        let found = match below {
            Some(below) => self.find(below, take),
            None => self.here.as_ref().and_then(&mut *take),
        };
        found.or_else(|| self.prefix.as_ref().and_then(take))
    }

    fn for_each<'a>(&'a self, see: &mut impl FnMut(&'a T)) {
        let own = [&self.here, &self.rest, &self.prefix];
        own.into_iter().flatten().for_each(&mut *see);
        let literals = self.literals.iter().map(|(_, node)| node);
        for node in self.parameter.as_deref().into_iter().chain(literals) {
            node.for_each(see);
        }
    }

    fn for_each_mut(&mut self, change: &mut impl FnMut(&mut T)) {
        let own = [&mut self.here, &mut self.rest, &mut self.prefix];
        own.into_iter().flatten().for_each(&mut *change);
        let literals = self.literals.iter_mut().map(|(_, node)| node);
        for node in self.parameter.as_deref_mut().into_iter().chain(literals) {
            node.for_each_mut(change);
        }
    }
}

/// Shorter segments come first, so that few have to be compared byte by byte.
fn order(known: &[u8], segment: &[u8]) -> Ordering {
    let by_length = known.len().cmp(&segment.len());
    by_length.then_with(|| known.cmp(segment))
}

/// The same for a known segment in lower case, whatever the case of the other.
fn folded_order(known: &[u8], segment: &[u8]) -> Ordering {
    let by_length = known.len().cmp(&segment.len());
    by_length.then_with(|| {
        let segment = segment.iter().map(u8::to_ascii_lowercase);
        known.iter().copied().cmp(segment)
    })
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

    #[test]
    fn a_prefix_takes_its_own_path_and_all_below_when_no_template_does() {
        let mut tree = PathTree::default();
        for template in ["/a", "/a/b", "/a/{*rest}", "/c/{id}"] {
            *tree.template(template) = Some(template);
        }
        for (prefix, value) in [("", "all"), ("/a", "below a"), ("/c/d", "below d")] {
            *tree.prefix(prefix) = Some(value);
        }
        let found = |path: &str| {
            let mut all = Vec::new();
            let nothing: Option<()> = tree.find_map(path, &mut |value| {
                all.push(*value);
                None
            });
            assert_eq!(nothing, None);
            assert_eq!(tree.find(path), all.first());
            all
        };

        assert_eq!(found("/a"), ["/a", "below a", "all"]);
        assert_eq!(found("/a/b"), ["/a/b", "/a/{*rest}", "below a", "all"]);
        assert_eq!(found("/a/"), ["below a", "all"]);
        assert_eq!(found("/c/d"), ["below d", "/c/{id}", "all"]);
        assert_eq!(found("/c/d/e"), ["below d", "all"]);
        assert_eq!(found("/cd"), ["all"]);
        assert_eq!(found("/"), ["all"]);
        assert_eq!(found(""), [""; 0]);
    }

    #[test]
    fn case_does_not_count() {
        let mut tree = PathTree::default();
        tree.insert("/a/mergePolicies/{id}", 1).unwrap();
        tree.insert("/a/mergepolicies/Bulk-get", 2).unwrap();
        *tree.prefix("/A/Other") = Some(3);

        assert_eq!(tree.insert("/A/MERGEPOLICIES/{other}", 4), Err(&1));
        assert_eq!(tree.find("/a/mergepolicies/bulk-get"), Some(&2));
        assert_eq!(tree.find("/a/mergePolicies/Bulk-Get"), Some(&2));
        assert_eq!(tree.find("/A/mergepolicies/Xy"), Some(&1));
        assert_eq!(tree.find("/a/mergePoliciez/x"), None);
        assert_eq!(tree.find("/a/OTHER/x"), Some(&3));
    }
}
