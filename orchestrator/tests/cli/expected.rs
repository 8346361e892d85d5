//! Texts that a command prints, against the files in `tests/cli/expected`.
//!
//! `WEIR_BLESS=1 cargo test -p weir-orchestrator --test cli` writes them anew; look at the difference before you commit it.

use std::path::{Path, PathBuf};

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cli/expected")
}

/// The text must be what the file `name` has. What differs from run to run has been replaced before.
pub fn check(name: &str, text: &str) {
    check_file(&folder().join(name), text);
}

/// The same for a file anywhere.
pub fn check_file(path: &Path, text: &str) {
    if std::env::var_os("WEIR_BLESS").is_some() {
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        return std::fs::write(path, text).unwrap();
    }
    let expect = std::fs::read_to_string(path).unwrap_or_default();
    if expect == text {
        return;
    }
    let (mut old, mut new) = (expect.lines(), text.lines());
    let at = (1..).find(|_| old.next() != new.next()).unwrap();
    let line = |text: &str| text.lines().nth(at - 1).unwrap_or("(end)").to_owned();
    panic!(
        "{} differs from line {at} on:\n  expected  {}\n  found     {}\nIf that is meant, run the test with WEIR_BLESS=1.\n\n{text}",
        path.display(),
        line(&expect),
        line(text)
    );
}

/// Every file of the folder belongs to a test: one that is left over would be believed.
#[test]
fn no_expected_text_is_left_over() {
    let known = |name: &str| {
        let help = name.strip_prefix("help-").and_then(|name| name.strip_suffix(".txt"));
        let shown = crate::shown::NAMES.iter().any(|(known, _)| name.starts_with(&format!("{known}.")));
        shown || help.is_some_and(|help| crate::help::names().iter().any(|known| known == help))
    };
    let files = std::fs::read_dir(folder()).unwrap().map(|file| file.unwrap().file_name());
    let strangers: Vec<_> =
        files.map(|name| name.into_string().unwrap()).filter(|name| !known(name)).collect();
    assert!(strangers.is_empty(), "{strangers:?} belong to no test; remove them");
}
