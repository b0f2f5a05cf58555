//! A writer of `tar` archives: files, directories and links, without times and owners.
//!
//! The format is `ustar`, with GNU's entries for names that are longer than it allows
//! (<https://www.gnu.org/software/tar/manual/html_node/Standard.html>).

use fleetwright_core::{Error, Kind, Result};

const BLOCK: usize = 512;
/// The longest name in a header.
const NAME: usize = 100;

/// An archive that is written into memory.
#[derive(Debug)]
pub(super) struct Archive {
    bytes: Vec<u8>,
    most: usize,
}

impl Archive {
    /// An archive of at most so many bytes.
    pub(super) const fn new(most: usize) -> Self {
        Self {
            bytes: Vec::new(),
            most,
        }
    }

    pub(super) fn file(&mut self, name: &str, mode: u32, content: &[u8]) -> Result<()> {
        self.entry(name, "", mode, b'0', content)
    }

    pub(super) fn directory(&mut self, name: &str, mode: u32) -> Result<()> {
        self.entry(&format!("{name}/"), "", mode, b'5', &[])
    }

    pub(super) fn link(&mut self, name: &str, to: &str) -> Result<()> {
        self.entry(name, to, 0o777, b'2', &[])
    }

    /// The archive with its end.
    pub(super) fn finish(mut self) -> Vec<u8> {
        self.bytes.resize(self.bytes.len() + 2 * BLOCK, 0);
        self.bytes
    }

    fn entry(&mut self, name: &str, link: &str, mode: u32, kind: u8, content: &[u8]) -> Result<()> {
        if self.bytes.len() + content.len() > self.most {
            return Err(Error::new(
                Kind::Invalid,
                format!("more than {} MiB are to be pushed", self.most >> 20),
            )
            .with_hint("let the machines fetch it: `deploy` runs any command"));
        }
        for (text, kind) in [(name, b'L'), (link, b'K')] {
            if text.len() > NAME {
                let mut long = text.as_bytes().to_vec();
                long.push(0);
                self.header("././@LongLink", "", 0o644, kind, long.len());
                self.content(&long);
            }
        }
        self.header(name, link, mode, kind, content.len());
        self.content(content);
        Ok(())
    }

    fn header(&mut self, name: &str, link: &str, mode: u32, kind: u8, size: usize) {
        let mut block = [0_u8; BLOCK];
        let mut put = |at: usize, text: &[u8], room: usize| {
            let text = &text[..text.len().min(room)];
            block[at..at + text.len()].copy_from_slice(text);
        };
        put(0, name.as_bytes(), NAME);
        put(100, format!("{mode:07o}").as_bytes(), 8);
        put(108, b"0000000", 8);
        put(116, b"0000000", 8);
        put(124, format!("{size:011o}").as_bytes(), 12);
        put(136, b"00000000000", 12);
        put(148, b"        ", 8);
        put(156, &[kind], 1);
        put(157, link.as_bytes(), NAME);
        put(257, b"ustar  \0", 8);
        let sum: u32 = block.iter().map(|byte| u32::from(*byte)).sum();
        block[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
        self.bytes.extend_from_slice(&block);
    }

    fn content(&mut self, content: &[u8]) {
        self.bytes.extend_from_slice(content);
        let rest = content.len() % BLOCK;
        if rest > 0 {
            self.bytes.resize(self.bytes.len() + BLOCK - rest, 0);
        }
    }
}
