//! Entries of the journal as bytes. Pure.
//!
//! The file begins with the line `weir journal 1`. Every further line is eight hexadecimal digits, a space, and an
//! [`Entry`] as JSON. The digits are the CRC-32 of the previous line's digits and this line's JSON, so a line counts
//! only behind the lines that it was written behind.

use serde::{Deserialize, Serialize};
use weir_shared::ids::Term;
use weir_shared::plan::Plan;

/// The first line.
const TITLE: &str = "weir journal 1\n";

/// One thing to remember.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Entry {
    /// An incarnation began under this term; no later one may use it or a lower one.
    Term(Term),
    /// This plan is about to be committed.
    Committing(Box<Plan>),
}

/// What a journal says when it is read.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Memory {
    /// The highest term that was used.
    pub term: Option<Term>,
    /// The plan that was committed last.
    pub plan: Option<Plan>,
}

/// The bytes are no journal, or one that may not be believed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Damaged {
    /// It begins with something else.
    #[error("it does not begin with {:?}: it is no journal, or one of another version", TITLE.trim_end())]
    Title,
    /// A line that cannot be believed is followed by one that looks whole.
    #[error("line {line} is damaged and others follow it")]
    Middle {
        /// From 1.
        line: usize,
    },
}

/// What was read, and how much of the bytes it is.
#[derive(Debug, Clone, PartialEq)]
pub struct Reading {
    /// What it says.
    pub memory: Memory,
    /// The entries that count end here; what follows is torn.
    pub whole_bytes: usize,
    /// The digits of the last entry that counts, which the next is chained to.
    pub chain: u32,
}

/// A journal without entries.
pub fn title() -> (Vec<u8>, u32) {
    (TITLE.as_bytes().to_vec(), 0)
}

/// The line of `entry` behind a line with the digits `chain`, and its own digits.
///
/// # Errors
/// Never in practice: every plan can be written.
pub fn line(chain: u32, entry: &Entry) -> Result<(Vec<u8>, u32), serde_json::Error> {
    let json = serde_json::to_string(entry)?;
    let digits = checksum(chain, json.as_bytes());
    Ok((format!("{digits:08x} {json}\n").into_bytes(), digits))
}

/// Reads a journal's bytes.
///
/// # Errors
/// If they are no journal, or are damaged before their end. An empty file is a journal that says nothing.
pub fn read(bytes: &[u8]) -> Result<Reading, Damaged> {
    let mut reading = Reading { memory: Memory::default(), whole_bytes: 0, chain: 0 };
    if bytes.is_empty() || is_torn_title(bytes) {
        return Ok(reading);
    }
    let mut rest = bytes.strip_prefix(TITLE.as_bytes()).ok_or(Damaged::Title)?;
    reading.whole_bytes = TITLE.len();
    for number in 2.. {
        let Some(end) = rest.iter().position(|&byte| byte == b'\n') else { return Ok(reading) };
        let (line, after) = (&rest[..end], &rest[end + 1..]);
        match parse(reading.chain, line) {
            Some((entry, digits)) => {
                reading.memory.note(entry);
                reading.chain = digits;
                reading.whole_bytes += end + 1;
                rest = after;
            }
            None if after.is_empty() => return Ok(reading),
            None => return Err(Damaged::Middle { line: number }),
        }
    }
    Ok(reading)
}

/// A power supply that was lost while the very first line was written.
fn is_torn_title(bytes: &[u8]) -> bool {
    bytes.len() < TITLE.len() && TITLE.as_bytes().starts_with(bytes)
}

fn parse(chain: u32, line: &[u8]) -> Option<(Entry, u32)> {
    let (digits, json) = line.split_at_checked(8)?;
    let digits = u32::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()?;
    let json = json.strip_prefix(b" ")?;
    if checksum(chain, json) != digits {
        return None;
    }
    Some((serde_json::from_slice(json).ok()?, digits))
}

fn checksum(chain: u32, json: &[u8]) -> u32 {
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(&chain.to_be_bytes());
    hasher.update(json);
    hasher.finalize()
}

impl Memory {
    /// Takes in what an entry says.
    pub fn note(&mut self, entry: Entry) {
        match entry {
            Entry::Term(term) => self.term = self.term.max(Some(term)),
            Entry::Committing(plan) => {
                self.term = self.term.max(Some(plan.id().term));
                self.plan = Some(*plan);
            }
        }
    }

    /// The fewest entries that say the same.
    pub fn entries(&self) -> impl Iterator<Item = Entry> {
        let plan = self.plan.clone().map(|plan| Entry::Committing(Box::new(plan)));
        self.term.map(Entry::Term).into_iter().chain(plan)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::planner::tests::two_stage_plan;

    /// A journal, and what may be read from its beginnings: nothing, then after each entry more.
    fn written() -> (Vec<u8>, Vec<Memory>) {
        let plan = |epoch| Entry::Committing(Box::new(two_stage_plan(epoch)));
        let (mut bytes, mut chain) = title();
        let mut memories = vec![Memory::default()];
        for entry in [Entry::Term(Term(1)), plan(1), plan(2)] {
            let (line, digits) = line(chain, &entry).unwrap();
            bytes.extend(line);
            chain = digits;
            memories.push(read(&bytes).unwrap().memory);
        }
        (bytes, memories)
    }

    #[test]
    fn what_was_written_is_read() {
        let (bytes, memories) = written();
        let reading = read(&bytes).unwrap();
        assert_eq!((reading.whole_bytes, reading.memory.term), (bytes.len(), Some(Term(1))));
        assert_eq!(reading.memory.plan.as_ref(), Some(&two_stage_plan(2)));
        assert_eq!(memories.windows(2).filter(|pair| pair[0] == pair[1]).count(), 0);
    }

    #[test]
    fn cut_anywhere_it_says_what_was_written_before() {
        let (bytes, memories) = written();
        let mut known = 0;
        for length in 0..=bytes.len() {
            let reading = read(&bytes[..length]).unwrap();
            let says = memories.iter().position(|memory| *memory == reading.memory).unwrap();
            assert!(says == known || says == known + 1, "{length}");
            known = says;
            assert_eq!(read(&bytes[..reading.whole_bytes]).unwrap(), reading);
        }
        assert_eq!(known, 3);
    }

    #[test]
    fn with_any_bit_flipped_it_says_less_or_is_refused() {
        let (bytes, memories) = written();
        for index in 0..bytes.len() {
            for bit in 0..8 {
                let mut damaged = bytes.clone();
                damaged[index] ^= 1 << bit;
                // A flipped letter case of a digit is the same number.
                if let Ok(reading) = read(&damaged) {
                    assert!(memories.contains(&reading.memory), "byte {index}, bit {bit}");
                }
            }
        }
    }

    #[test]
    fn a_line_from_elsewhere_is_refused() {
        let (bytes, _) = written();
        let text = String::from_utf8(bytes).unwrap();
        let mut lines: Vec<&str> = text.split_inclusive('\n').collect();
        lines.remove(1);
        assert_eq!(read(lines.concat().as_bytes()), Err(Damaged::Middle { line: 2 }));
        assert_eq!(read(b"something else\n"), Err(Damaged::Title));
        assert_eq!(read(b"").unwrap().memory, Memory::default());
    }
}
