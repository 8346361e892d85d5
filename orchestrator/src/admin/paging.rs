//! Pages of long lists: `limit` and `cursor`.

use serde::Deserialize;
use utoipa::IntoParams;

use super::problem::Problem;

/// Entries of a page where nobody says how many.
const LIMIT_DEFAULT: u32 = 100;

/// And the most.
pub const LIMIT_MAX: u32 = 500;

/// `?limit=N&cursor=C`.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub struct Page {
    /// The most entries to answer: 1 to 500, 100 by default.
    #[param(minimum = 1, maximum = 500)]
    limit: Option<u32>,
    /// The `next` of the answer before, or the place of an entry that is known.
    #[param(pattern = "^([0-9]{1,15}|[0-9a-f]{1,15}-[0-9]{1,15})$")]
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
