//! The known name that somebody who mistyped most likely meant.

/// More changes than this make another word of it.
const CHANGES_MAX: usize = 3;

/// The name of `known` that is nearest to `text`, if one is near.
pub fn nearest<'a>(text: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let measured = known.into_iter().map(|name| (changes(text, name), name));
    measured.min().filter(|(changes, name)| *changes <= CHANGES_MAX.min(name.len() / 2)).map(|(_, name)| name)
}

/// `; did you mean threads?`, or nothing.
pub fn hint<'a>(text: &str, known: impl IntoIterator<Item = &'a str>) -> String {
    nearest(text, known).map_or_else(String::new, |name| format!("; did you mean {name}?"))
}

/// Letters to insert, remove or replace (Levenshtein 1966), a row of the table at a time.
fn changes(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, from) in a.chars().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, to) in b.iter().enumerate() {
            let replaced = diagonal + usize::from(from != *to);
            diagonal = row[j + 1];
            row[j + 1] = replaced.min(diagonal + 1).min(row[j] + 1);
        }
    }
    row[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slip_of_the_finger_is_understood_and_another_word_is_not() {
        let known = ["threads", "listen", "admin", "http"];
        assert_eq!(nearest("thread", known), Some("threads"));
        assert_eq!(nearest("lisetn", known), Some("listen"));
        assert_eq!(nearest("battery", known), None);
        assert_eq!(changes("kitten", "sitting"), 3);
    }
}
