//! A configuration file as text, and problems that point into it.
//!
//! Whatever looks at the file reports [`Problem`]s with a byte range. [`Problems`] turns them into
//! lines and columns, into core errors, and into text with the offending line and a caret.

use std::error::Error as StdError;
use std::fmt::{self, Write as _};
use std::ops::Range;
use std::sync::Arc;

use fleetwright_core::{Error, Kind};

/// The text of a file, with the name it is shown under.
#[derive(Debug, PartialEq, Eq)]
pub struct Source {
    name: String,
    text: String,
}

impl Source {
    /// Takes a text and the name that messages call it by, usually its path.
    pub fn new(name: impl Into<String>, text: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            text: text.into(),
        }
    }

    /// The name that messages call it by.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The text.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// Line and column of a byte, both from 1. Columns count characters.
    pub fn position(&self, at: usize) -> (usize, usize) {
        let before = self.before(at);
        let line = before.matches('\n').count() + 1;
        let start = before.rfind('\n').map_or(0, |newline| newline + 1);
        (line, before[start..].chars().count() + 1)
    }

    /// The line that holds a byte, without its end, and where it starts.
    fn line_at(&self, at: usize) -> (usize, &str) {
        let start = self.before(at).rfind('\n').map_or(0, |newline| newline + 1);
        let line = self.text[start..].split('\n').next().unwrap_or("");
        (start, line.trim_end_matches('\r'))
    }

    /// The text up to a byte, which may be inside of a character or behind the end.
    fn before(&self, at: usize) -> &str {
        &self.text[..self.text.floor_char_boundary(at)]
    }
}

/// Something wrong in a configuration file, or with reading it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// What is wrong, lower case.
    pub message: String,
    /// What the reader can do about it.
    pub hint: Option<String>,
    /// The key it is about, e.g. `pools.web.candidates[0].region`.
    pub key: Option<String>,
    /// The bytes it is about; absent if the file could not be read at all.
    pub span: Option<Range<usize>>,
    /// Whether the text of the span may be a secret and must not be shown.
    pub is_secret: bool,
}

impl Problem {
    /// A problem without a place.
    pub fn new(message: impl Into<String>) -> Self {
        Self {
            message: message.into(),
            hint: None,
            key: None,
            span: None,
            is_secret: false,
        }
    }

    /// Takes message and hint of an error that knows nothing of files.
    pub fn from_error(error: &Error) -> Self {
        Self {
            hint: error.hint().map(str::to_owned),
            ..Self::new(error.to_string())
        }
    }

    /// Says what the reader can do about it.
    #[must_use]
    pub fn with_hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// The problem as an error that knows no file.
    pub fn into_error(self) -> Error {
        let mut error = Error::new(Kind::Config, self.message);
        if let Some(key) = self.key {
            error = error.with_context("key", key);
        }
        match self.hint {
            Some(hint) => error.with_hint(hint),
            None => error,
        }
    }

    /// Says where it is: the key and its bytes.
    #[must_use]
    pub fn at(mut self, key: impl Into<String>, span: Range<usize>) -> Self {
        self.key = Some(key.into());
        self.span = Some(span);
        self
    }
}

/// Everything wrong with one configuration file, in the order of the file. Never empty.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problems {
    source: Arc<Source>,
    list: Vec<Problem>,
}

impl Problems {
    /// Puts problems in order; `None` if there are none.
    pub fn new(source: &Arc<Source>, mut list: Vec<Problem>) -> Option<Self> {
        list.sort_by_key(|problem| problem.span.as_ref().map_or(0, |span| span.start));
        list.dedup();
        (!list.is_empty()).then(|| Self {
            source: Arc::clone(source),
            list,
        })
    }

    /// The problems.
    pub fn list(&self) -> &[Problem] {
        &self.list
    }

    /// Each problem as an error of its own, with file, line, column and key as context.
    pub fn errors(&self) -> impl Iterator<Item = Error> {
        self.list.iter().map(|problem| self.error(problem))
    }

    fn error(&self, problem: &Problem) -> Error {
        let mut error = Error::new(Kind::Config, &problem.message)
            .with_context("file", self.source.name.clone());
        if let Some(span) = &problem.span {
            let (line, column) = self.source.position(span.start);
            error = error
                .with_context("line", line.to_string())
                .with_context("column", column.to_string());
        }
        if let Some(key) = &problem.key {
            error = error.with_context("key", key.clone());
        }
        match &problem.hint {
            Some(hint) => error.with_hint(hint),
            None => error,
        }
    }

    /// All problems as text, each with its line, a caret and its hint. No colors.
    ///
    /// ```text
    /// error: unknown key `desird` in `pools.web`
    ///   --> fleetwright.toml:4:1
    ///    |
    ///  4 | desird = 3
    ///    | ^^^^^^
    /// hint: did you mean `desired`?
    /// ```
    pub fn render(&self) -> String {
        let blocks: Vec<String> = self
            .list
            .iter()
            .map(|problem| self.render_one(problem))
            .collect();
        blocks.join("\n")
    }

    fn render_one(&self, problem: &Problem) -> String {
        let mut out = format!("error: {}\n", problem.message);
        let name = &self.source.name;
        match &problem.span {
            None => push_line(&mut out, &format!("  --> {name}")),
            Some(span) => {
                let (number, column) = self.source.position(span.start);
                let (start, line) = self.source.line_at(span.start);
                let inside = span.start - start..span.end.saturating_sub(start).min(line.len());
                let gutter = " ".repeat(number.to_string().len());
                push_line(&mut out, &format!("{gutter}--> {name}:{number}:{column}"));
                push_line(&mut out, &format!("{gutter} |"));
                let (shown, width) = if problem.is_secret {
                    let before = line.get(..inside.start).unwrap_or("");
                    (format!("{before}[redacted]"), "[redacted]".len())
                } else {
                    let marked = line.get(inside.clone()).unwrap_or("");
                    (line.to_owned(), marked.chars().count())
                };
                push_line(&mut out, format!("{number} | {shown}").trim_end());
                // Tabs stay tabs, so that the caret stands under its character.
                let padding: String = line
                    .chars()
                    .take(column - 1)
                    .map(|c| if c == '\t' { '\t' } else { ' ' })
                    .collect();
                let carets = "^".repeat(width.max(1));
                push_line(&mut out, &format!("{gutter} | {padding}{carets}"));
            }
        }
        if let Some(hint) = &problem.hint {
            push_line(&mut out, &format!("hint: {hint}"));
        }
        out
    }
}

fn push_line(out: &mut String, line: &str) {
    out.push_str(line);
    out.push('\n');
}

impl fmt::Display for Problems {
    /// One line: places and messages, joined by semicolons.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = &self.source.name;
        let mut text = String::new();
        for problem in &self.list {
            if !text.is_empty() {
                text.push_str("; ");
            }
            match &problem.span {
                Some(span) => {
                    let (line, column) = self.source.position(span.start);
                    write!(text, "{name}:{line}:{column}: {}", problem.message)?;
                }
                None => write!(text, "{name}: {}", problem.message)?,
            }
        }
        f.write_str(&text)
    }
}

impl StdError for Problems {}

impl From<Problems> for Error {
    /// One problem becomes its error; several become one that counts them. Either keeps the whole
    /// list as its source: see [`render`].
    fn from(problems: Problems) -> Self {
        let error = match problems.list.as_slice() {
            [only] => problems.error(only),
            several => Self::new(
                Kind::Config,
                format!("`{}` has {} problems", problems.source.name, several.len()),
            )
            .with_context("file", problems.source.name.clone()),
        };
        error.with_source(problems)
    }
}

/// The text with lines and carets of an error that came from a configuration file; `None` for any
/// other error.
pub fn render(error: &Error) -> Option<String> {
    StdError::source(error)?
        .downcast_ref::<Problems>()
        .map(Problems::render)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn problems(text: &str, at: Range<usize>) -> Problems {
        let source = Arc::new(Source::new("f.toml", text));
        Problems::new(&source, vec![Problem::new("wrong").at("k", at)]).expect("one problem")
    }

    #[test]
    fn the_caret_stands_under_the_character_it_means() {
        let tabs = problems("a = 1\n\tb = 'ü', c = 2", 17..18).render();
        assert_eq!(
            tabs,
            "error: wrong\n --> f.toml:2:11\n  |\n2 | \tb = 'ü', c = 2\n  | \t         ^\n"
        );
    }

    #[test]
    fn a_place_at_the_end_of_the_file_is_shown_too() {
        let end = problems("a = [\n", 6..6).render();
        assert_eq!(end, "error: wrong\n --> f.toml:2:1\n  |\n2 |\n  | ^\n");
    }

    #[test]
    fn a_span_over_several_lines_is_marked_on_its_first() {
        let long = problems("a = [\n1\n]\n", 4..9).render();
        assert!(long.contains("1 | a = [\n  |     ^\n"), "{long}");
    }

    #[test]
    fn a_secret_is_never_shown() {
        let source = Arc::new(Source::new("f.toml", "token = 'hunter2'"));
        let mut problem = Problem::new("a secret must be given by reference").at("token", 8..17);
        problem.is_secret = true;
        let shown = Problems::new(&source, vec![problem]).expect("one problem");
        assert!(!shown.render().contains("hunter2"), "{}", shown.render());
        assert!(shown.render().contains("token = [redacted]"));
    }
}
