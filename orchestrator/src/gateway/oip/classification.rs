//! The classification extension: the best `k` classes of each image instead of its logits.
//!
//! Source: triton-inference-server/server, `docs/protocol/extension_classification.md`: a BYTES tensor
//! `[batch, k]` of strings `<value>:<index>[:<label>]`, best first. The value is printed with 6 decimals.

use std::num::NonZeroU32;

use super::backend::ModelInfo;

/// The best classes of each image, `k` or as many as there are, best first.
///
/// Equal values keep the order of their index, so that the answer does not depend on the sorting method.
pub fn best_classes(logits: &[f32], k: NonZeroU32, model: &ModelInfo) -> Vec<Vec<String>> {
    let label = |index: usize| model.labels.as_ref().and_then(|labels| labels.get(index));
    let best_of = |logits: &[f32]| {
        let mut ranked: Vec<(usize, f32)> = logits.iter().copied().enumerate().collect();
        ranked.sort_by(|(_, a), (_, b)| b.total_cmp(a));
        ranked.truncate(kept_classes(k, model));
        let describe = |(index, value): (usize, f32)| match label(index) {
            Some(label) => format!("{value:.6}:{index}:{label}"),
            None => format!("{value:.6}:{index}"),
        };
        ranked.into_iter().map(describe).collect()
    };
    logits.chunks(model.classes.max(1) as usize).map(best_of).collect()
}

/// How many classes of each image the answer holds when `k` are asked for.
pub fn kept_classes(k: NonZeroU32, model: &ModelInfo) -> usize {
    model.classes.min(k.get()) as usize
}

/// Appends the strings as a BYTES tensor: each with its length in 4 little-endian bytes before it.
pub fn bytes_tensor<'a>(strings: impl Iterator<Item = &'a String>, out: &mut Vec<u8>) {
    for string in strings {
        // A string holds a number, an index and a label: it can not be longer than 4 GiB.
        out.extend_from_slice(&(string.len() as u32).to_le_bytes());
        out.extend_from_slice(string.as_bytes());
    }
}

#[cfg(test)]
mod tests {
    use super::super::request::tests::model;
    use super::*;

    fn check(k: u32, labels: Option<&[&str]>, expect: &[&[&str]]) {
        let labels = labels.map(|names| names.iter().map(|&name| name.to_owned()).collect());
        let model = ModelInfo { labels, ..model() };
        let logits = [0.5, -1.0, 2.0, 7.0, 7.0, 1.0];
        assert_eq!(best_classes(&logits, NonZeroU32::new(k).unwrap(), &model), expect);
    }

    #[test]
    fn best_first_and_ties_by_index() {
        check(2, None, &[&["2.000000:2", "0.500000:0"], &["7.000000:0", "7.000000:1"]]);
    }

    #[test]
    fn labels_are_appended_and_k_is_capped_by_the_classes() {
        let first = ["2.000000:2:frog", "0.500000:0:cat", "-1.000000:1:dog"];
        let second = ["7.000000:0:cat", "7.000000:1:dog", "1.000000:2:frog"];
        check(99, Some(&["cat", "dog", "frog"]), &[&first, &second]);
    }

    #[test]
    fn a_bytes_tensor_is_length_and_text() {
        let mut out = Vec::new();
        bytes_tensor([String::from("ab"), String::new()].iter(), &mut out);
        assert_eq!(out, [2, 0, 0, 0, b'a', b'b', 0, 0, 0, 0]);
    }
}
