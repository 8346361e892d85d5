//! Tokens in files: who is the bearer?
//!
//! A file has one token a line; several lines are for rotation: put the new one beside the old, move clients, remove the
//! old. Files are read at each question, so a change counts at once and no token stays in memory. What a file does
//! not say (any more), or cannot say because it is damaged, lets nobody in.

use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

use ring::digest::{SHA256, digest};
use subtle::{Choice, ConstantTimeEq as _};

/// The fewest characters of a token. Sixteen random letters and digits are 95 bits.
const TOKEN_MIN: usize = 16;

/// The most bytes of a file: some hundred tokens. Nothing that is meant is larger, and each question reads it.
const FILE_MAX: u64 = 64 * 1024;

/// Who asks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Role {
    /// May look.
    Viewer,
    /// May change things.
    Admin,
}

/// A file of tokens.
#[derive(Debug)]
pub struct TokenFile {
    path: PathBuf,
    /// Whether the log has been told that it cannot be used.
    damaged: AtomicBool,
}

/// Why a file of tokens cannot be used. Never shows what is in it.
#[derive(Debug, thiserror::Error)]
pub enum TokenFileError {
    /// It cannot be read.
    #[error("cannot read the token file {}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// It is something else.
    #[error("the token file {} has more than {FILE_MAX} bytes; write one token a line", path.display())]
    TooLarge {
        /// The file.
        path: PathBuf,
    },
    /// Nothing is in it.
    #[error("the token file {} has no token; write one of at least {TOKEN_MIN} characters a line", path.display())]
    Empty {
        /// The file.
        path: PathBuf,
    },
    /// A token is too easy to guess.
    #[error("line {line} of the token file {} has {found} characters; a token needs at least {TOKEN_MIN}", path.display())]
    Short {
        /// The file.
        path: PathBuf,
        /// Counted from 1.
        line: usize,
        /// Its length.
        found: usize,
    },
    /// A token could not be sent.
    // RFC 6750, section 2.1: b64token.
    #[error("line {line} of the token file {} has characters other than letters, digits and -._~+/=", path.display())]
    Characters {
        /// The file.
        path: PathBuf,
        /// Counted from 1.
        line: usize,
    },
}

impl TokenFile {
    /// A file that can be used now.
    ///
    /// # Errors
    /// Names the file, the line and what is wrong.
    pub fn open(path: &Path) -> Result<Self, TokenFileError> {
        read(path)?;
        Ok(Self { path: path.to_owned(), damaged: AtomicBool::new(false) })
    }

    /// Whether `token` is one of the file's, in a time that does not tell how much of it is right.
    pub fn has(&self, token: &[u8]) -> bool {
        match read(&self.path) {
            Ok(tokens) => {
                self.damaged.store(false, Relaxed);
                contains(&tokens, token)
            }
            Err(error) => {
                if !self.damaged.swap(true, Relaxed) {
                    tracing::error!(error = %weir_shared::chain(&error), "nobody is let in by this token file until it is mended");
                }
                false
            }
        }
    }
}

/// Digests have one length whatever the tokens', and every token is compared with.
fn contains(tokens: &str, sought: &[u8]) -> bool {
    let sought = digest(&SHA256, sought);
    let same = |token: &str| digest(&SHA256, token.as_bytes()).as_ref().ct_eq(sought.as_ref());
    lines(tokens).map(|(_, token)| same(token)).fold(Choice::from(0), |found, same| found | same).into()
}

/// Tokens with the number of their line.
fn lines(text: &str) -> impl Iterator<Item = (usize, &str)> {
    text.lines().zip(1..).map(|(line, number)| (number, line.trim())).filter(|(_, token)| !token.is_empty())
}

fn read(path: &Path) -> Result<String, TokenFileError> {
    let failed = |source| TokenFileError::Read { path: path.to_owned(), source };
    let file = std::fs::File::open(path).map_err(failed)?;
    let mut text = String::new();
    file.take(FILE_MAX + 1).read_to_string(&mut text).map_err(failed)?;
    if text.len() as u64 > FILE_MAX {
        return Err(TokenFileError::TooLarge { path: path.to_owned() });
    }
    if lines(&text).next().is_none() {
        return Err(TokenFileError::Empty { path: path.to_owned() });
    }
    for (line, token) in lines(&text) {
        let path = || path.to_owned();
        if !token.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-._~+/=".contains(&byte)) {
            return Err(TokenFileError::Characters { path: path(), line });
        }
        if token.len() < TOKEN_MIN {
            return Err(TokenFileError::Short { path: path(), line, found: token.len() });
        }
    }
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(text: &str) -> (tempfile::TempDir, PathBuf) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("tokens");
        std::fs::write(&path, text).unwrap();
        (folder, path)
    }

    #[test]
    fn a_change_of_the_file_counts_at_once() {
        let (_folder, path) = file("first-token-of-two\nsecond-token-of-two\n");
        let tokens = TokenFile::open(&path).unwrap();
        assert!(tokens.has(b"first-token-of-two") && tokens.has(b"second-token-of-two"));
        assert!(!tokens.has(b"first-token-of-tw") && !tokens.has(b"") && !tokens.has(b"third-token-of-two"));
        std::fs::write(&path, "third-token-of-two").unwrap();
        assert!(tokens.has(b"third-token-of-two") && !tokens.has(b"first-token-of-two"));
    }

    #[test]
    fn a_damaged_file_lets_nobody_in_until_it_is_mended() {
        let (_folder, path) = file("first-token-of-two");
        let tokens = TokenFile::open(&path).unwrap();
        std::fs::write(&path, "first-token-of-two\nshort").unwrap();
        assert!(!tokens.has(b"first-token-of-two"));
        std::fs::remove_file(&path).unwrap();
        assert!(!tokens.has(b"first-token-of-two"));
        std::fs::write(&path, "first-token-of-two").unwrap();
        assert!(tokens.has(b"first-token-of-two"));
    }

    #[test]
    fn an_unusable_file_is_refused_by_line_and_never_shown() {
        let long = "x".repeat(70_000);
        for (text, expect) in [
            ("", "has no token"),
            ("\n \n", "has no token"),
            ("\nsecret-but-shrt", "line 2"),
            ("secret-but-short", "nothing"),
            ("secret with blanks in it", "line 1"),
            ("secret-of-sixtéen-x", "line 1"),
            (&long, "more than 65536 bytes"),
        ] {
            let (_folder, path) = file(text);
            match TokenFile::open(&path) {
                Ok(_) => assert_eq!(expect, "nothing", "{text}"),
                Err(error) => {
                    let error = error.to_string();
                    assert!(error.contains(expect) && !error.contains("secret"), "{text}: {error}");
                }
            }
        }
        assert!(
            TokenFile::open(Path::new("/nowhere/tokens"))
                .unwrap_err()
                .to_string()
                .contains("/nowhere/tokens")
        );
    }
}
