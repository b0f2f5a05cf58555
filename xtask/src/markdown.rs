//! Fenced blocks of Markdown files: the examples that chores check and run.

/// A fenced block.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Block {
    /// The line of its first line of text, from 1.
    pub(crate) line: usize,
    /// The first word behind the fence: the language.
    pub(crate) language: String,
    /// The second word: the file that it is.
    pub(crate) file: Option<String>,
    /// Its text.
    pub(crate) text: String,
}

/// The fenced blocks of a file, in order. One that is not closed ends with the file.
pub(crate) fn blocks(markdown: &str) -> Vec<Block> {
    let mut blocks = Vec::new();
    let mut open: Option<Block> = None;
    for (at, line) in markdown.lines().enumerate() {
        match (open.take(), line.strip_prefix("```")) {
            (Some(block), Some(_)) => blocks.push(block),
            (Some(mut block), None) => {
                block.text += line;
                block.text.push('\n');
                open = Some(block);
            }
            (None, Some(info)) => {
                let mut words = info.split_whitespace().map(str::to_owned);
                open = Some(Block {
                    line: at + 2,
                    language: words.next().unwrap_or_default(),
                    file: words.next(),
                    text: String::new(),
                });
            }
            (None, None) => {}
        }
    }
    blocks.extend(open);
    blocks
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_block_has_its_place_language_file_and_text() {
        let found = blocks("text\n```toml a.toml\nx = 1\n\n```\n```\nplain\n```\n```sh\nopen\n");
        let shown: Vec<_> = found
            .iter()
            .map(|block| (block.line, block.language.as_str(), block.file.as_deref()))
            .collect();
        assert_eq!(
            shown,
            [(3, "toml", Some("a.toml")), (7, "", None), (10, "sh", None)]
        );
        let texts: Vec<_> = found.iter().map(|block| block.text.as_str()).collect();
        assert_eq!(texts, ["x = 1\n\n", "plain\n", "open\n"]);
    }
}
