//! The text of a configuration file, places in it, and excerpts that show no secret.

/// A stretch of a text. Lines and columns count from 1, columns in characters.
///
/// Line 0 is the text as a whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Place {
    /// Which text.
    pub(super) text: usize,
    /// The line of the first character.
    pub(super) line: usize,
    /// The column of the first character.
    pub(super) column: usize,
    /// The line of the character after the last.
    pub(super) end_line: usize,
    /// The column of the character after the last.
    pub(super) end_column: usize,
}

impl Place {
    /// Returns the place that is a text as a whole.
    pub(super) fn whole(text: usize) -> Self {
        Self {
            text,
            line: 0,
            column: 0,
            end_line: 0,
            end_column: 0,
        }
    }

    fn holds(&self, line: usize, column: usize) -> bool {
        (self.line, self.column) <= (line, column)
            && (line, column) < (self.end_line, self.end_column)
    }
}

/// A text and what of it must not be shown.
pub(super) struct Text {
    name: String,
    lines: Vec<String>,
    hidden: Vec<Place>,
}

/// A line and what of it is meant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Excerpt {
    /// The line, cut to a readable length.
    pub(super) line: String,
    /// How many characters stand before what is meant.
    pub(super) indent: usize,
    /// How many characters are meant, at least one.
    pub(super) width: usize,
}

impl Text {
    /// Takes in the text of the file called `name`.
    pub(super) fn new(name: &str, content: &str) -> Self {
        let unified = content.replace("\r\n", "\n").replace('\r', "\n");
        Self {
            name: name.to_owned(),
            lines: unified.split('\n').map(str::to_owned).collect(),
            hidden: Vec::new(),
        }
    }

    /// Returns the file's name.
    pub(super) fn name(&self) -> &str {
        &self.name
    }

    /// Hides what stands at `place` from every excerpt.
    pub(super) fn hide(&mut self, place: Place) {
        self.hidden.push(place);
    }

    /// Returns the line of `place`, or `None` when it has none.
    pub(super) fn excerpt(&self, place: Place) -> Option<Excerpt> {
        let line = self.lines.get(place.line.checked_sub(1)?)?;
        let first = place.column.saturating_sub(1).saturating_sub(MOST_BEFORE);
        let hidden: Vec<&Place> = self
            .hidden
            .iter()
            .filter(|hidden| (hidden.line..=hidden.end_line).contains(&place.line))
            .collect();
        let shown: String = line
            .trim_end()
            .chars()
            .enumerate()
            .skip(first)
            .take(MOST_SHOWN)
            .map(|(index, character)| {
                let is_hidden = hidden
                    .iter()
                    .any(|hidden| hidden.holds(place.line, index + 1));
                visible(character, is_hidden)
            })
            .collect();
        let length = shown.chars().count();
        let indent = place.column.saturating_sub(1).saturating_sub(first);
        let width = if place.end_line == place.line {
            place.end_column.saturating_sub(place.column)
        } else {
            length.saturating_sub(indent)
        };
        Some(Excerpt {
            line: shown,
            indent,
            width: width.min(length.saturating_sub(indent)).max(1),
        })
    }
}

/// Returns the character that is shown for `character`.
fn visible(character: char, is_hidden: bool) -> char {
    if is_hidden {
        '*'
    } else if character.is_control() {
        // A terminal obeys some of them, and a tab would move the caret.
        ' '
    } else {
        character
    }
}

const MOST_BEFORE: usize = 80;
const MOST_SHOWN: usize = 160;

#[cfg(test)]
mod tests {
    use super::*;

    fn place(line: usize, column: usize, end_line: usize, end_column: usize) -> Place {
        Place {
            text: 0,
            line,
            column,
            end_line,
            end_column,
        }
    }

    #[test]
    fn a_hidden_stretch_is_starred_on_every_line_it_covers() {
        let mut text = Text::new("a.yaml", "a: one\r\n  two, b");
        text.hide(place(1, 4, 2, 6));

        assert_eq!(text.excerpt(place(1, 1, 1, 2)).unwrap().line, "a: ***");
        assert_eq!(text.excerpt(place(2, 8, 2, 9)).unwrap().line, "*****, b");
    }

    #[test]
    fn a_long_line_is_cut_around_what_is_meant() {
        let text = Text::new(
            "a.yaml",
            &format!("{}x{}", "a".repeat(500), "b".repeat(500)),
        );

        let excerpt = text.excerpt(place(1, 501, 1, 502)).unwrap();

        assert_eq!(excerpt.line.chars().count(), MOST_SHOWN);
        assert_eq!(excerpt.line.chars().nth(excerpt.indent), Some('x'));
    }

    #[test]
    fn control_characters_reach_no_terminal() {
        let text = Text::new("a.yaml", "a\u{1b}[2Jb\tc");

        assert_eq!(text.excerpt(place(1, 1, 1, 2)).unwrap().line, "a [2Jb c");
    }

    #[test]
    fn a_place_outside_the_text_has_no_excerpt() {
        let text = Text::new("a.yaml", "a");

        assert_eq!(text.excerpt(Place::whole(0)), None);
        assert_eq!(text.excerpt(place(9, 1, 9, 2)), None);
    }
}
