//! Pages of long lists: `limit` and `cursor`.

use serde::Deserialize;

use super::problem::Problem;

/// Entries of a page where nobody says how many.
const LIMIT_DEFAULT: u32 = 100;

/// And the most.
pub const LIMIT_MAX: u32 = 500;

/// `?limit=N&cursor=C`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Page {
    limit: Option<u32>,
    cursor: Option<String>,
}

impl Page {
    /// How many, and behind what.
    pub fn read<T>(&self, cursor: impl FnOnce(&str) -> Option<T>) -> Result<(usize, Option<T>), Problem> {
        let bad = |detail: String| Problem::bad("Bad query", detail);
        let limit = self.limit.unwrap_or(LIMIT_DEFAULT);
        if !(1..=LIMIT_MAX).contains(&limit) {
            return Err(bad(format!("limit is {limit}, but it must be 1 to {LIMIT_MAX}")));
        }
        let place = match &self.cursor {
            None => None,
            Some(text) => Some(cursor(text).ok_or_else(|| {
                bad(format!("cursor is {text:?}, but it must be the `next` of an answer, or an id in one"))
            })?),
        };
        Ok((limit as usize, place))
    }
}
