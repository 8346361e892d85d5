//! Finds what the documents show: fenced blocks, and the examples of the help texts, each with its place.

use std::path::{Path, PathBuf};

/// What stands between two fences, or the examples of one command.
pub struct Block {
    /// File and line of the opening fence, for people.
    pub place: String,
    pub language: String,
    pub text: String,
}

pub fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_owned()
}

/// Where people look for commands, relative to the root.
pub fn documents() -> Vec<String> {
    let docs = std::fs::read_dir(root().join("docs")).unwrap().map(|file| file.unwrap().file_name());
    let mut names: Vec<_> = docs.map(|name| format!("docs/{}", name.into_string().unwrap())).collect();
    names.retain(|name| name.ends_with(".md"));
    names.sort();
    let folders = ["models", "scenarios", "dashboards", "examples"].map(|name| format!("{name}/README.md"));
    ["README.md".to_owned(), "CONTRIBUTING.md".to_owned()].into_iter().chain(folders).chain(names).collect()
}

/// The fenced blocks of a page.
pub fn fenced(name: &str, page: &str) -> Vec<Block> {
    let (mut found, mut open) = (Vec::new(), None::<Block>);
    for (number, line) in page.lines().enumerate() {
        match (line.trim_start().strip_prefix("```"), &mut open) {
            (Some(_), Some(_)) => found.extend(open.take()),
            (Some(language), None) => {
                let (place, language) = (format!("{name}:{}", number + 1), language.trim().to_owned());
                open = Some(Block { place, language, text: String::new() });
            }
            (None, Some(block)) => block.text += &format!("{line}\n"),
            (None, None) => {}
        }
    }
    assert!(open.is_none(), "{name}: a block is not closed");
    found
}

/// The blocks of all documents.
pub fn all() -> Vec<Block> {
    let page = |name: &String| std::fs::read_to_string(root().join(name)).unwrap();
    documents().iter().flat_map(|name| fenced(name, &page(name))).collect()
}

/// The examples of each help text, without what stands behind them in words. `docs/cli.md` shows the same ones.
pub fn helps() -> Vec<Block> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cli/expected");
    let mut found = Vec::new();
    for file in std::fs::read_dir(folder).unwrap().map(|file| file.unwrap().path()) {
        let text = std::fs::read_to_string(&file).unwrap();
        let Some((_, examples)) = text.split_once("Examples:\n") else {
            continue;
        };
        let examples = examples.replace(" \\\n    ", " ");
        let lines = examples.lines().take_while(|line| line.is_empty() || line.starts_with("  "));
        let place = file.file_name().unwrap().to_string_lossy().into_owned();
        // What it does stands behind it, after more than two spaces.
        let command = |line: &str| line.trim_start().split("   ").next().unwrap().to_owned() + "\n";
        found.push(Block { place, language: "sh".to_owned(), text: lines.map(command).collect() });
    }
    found.sort_by(|one, other| one.place.cmp(&other.place));
    found
}

impl Block {
    pub fn is_shell(&self) -> bool {
        ["sh", "bash", "shell", "console"].contains(&self.language.as_str())
    }

    /// Its commands, each on one line.
    pub fn commands(&self) -> Vec<String> {
        let joined = self.text.replace("\\\n", " ");
        let lines = joined.lines().map(|line| line.trim().trim_start_matches("$ ").to_owned());
        lines.filter(|line| !line.is_empty() && !line.starts_with('#')).collect()
    }
}

#[test]
fn blocks_are_found_with_their_place() {
    let found = fenced("a.md", "x\n```sh\na \\\n  b\n\n# c\n$ d\n```\n```toml\ne\n```\n");
    assert_eq!(found.iter().map(|block| block.place.as_str()).collect::<Vec<_>>(), ["a.md:2", "a.md:9"]);
    assert_eq!(found[0].commands(), ["a    b", "d"]);
    assert!(found[0].is_shell() && !found[1].is_shell());
    assert!(
        helps().iter().any(|help| help.commands().contains(&"weir bench --rate 20 photos/*.jpg".to_owned()))
    );
}
