//! A measured share and how far it can be trusted.

use serde::{Deserialize, Serialize};

/// 97.5th percentile of the standard normal distribution: two sides of 2.5 % make 95 %.
const Z: f64 = 1.959_963_984_540_054;

/// How far a share in a file may be from what its counts give: text rounds in the last digit.
const ROUNDING: f64 = 1e-9;

/// The 95 % confidence interval of a share, both ends in 0 to 1.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Interval {
    /// The lower end.
    pub low: f64,
    /// The upper end.
    pub high: f64,
}

/// Wilson's score interval (Wilson 1927, "Probable inference", JASA 22) for `hits` of `count`.
///
/// Unlike the textbook interval it is sound near 0 and 1, where accuracies lie. Without any trial it is all of 0 to 1.
pub fn wilson(hits: usize, count: usize) -> Interval {
    if count == 0 {
        return Interval { low: 0.0, high: 1.0 };
    }
    let (n, share) = (count as f64, hits as f64 / count as f64);
    let scale = 1.0 + Z * Z / n;
    let centre = (share + Z * Z / (2.0 * n)) / scale;
    let reach = Z / scale * (share * (1.0 - share) / n + Z * Z / (4.0 * n * n)).sqrt();
    Interval { low: (centre - reach).max(0.0), high: (centre + reach).min(1.0) }
}

/// How many of some images were answered right.
///
/// As JSON the share and its interval stand beside the two counts, for people; a file in which they disagree is
/// refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Stated", into = "Stated")]
pub struct Score {
    correct: u32,
    count: u32,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Stated {
    correct: u32,
    count: u32,
    accuracy: f64,
    interval_95: Interval,
}

/// The counts are no score.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum ScoreError {
    /// More right than there are, or none at all.
    #[error(
        "{correct} right answers of {count} are impossible; write the profile again with weir-worker study"
    )]
    Counts {
        /// Right ones.
        correct: u32,
        /// All.
        count: u32,
    },
    /// Accuracy or interval are not what the counts give.
    #[error(
        "an accuracy of {accuracy} with its interval does not follow from {correct} right of {count}; the file was \
         edited: write it again with weir-worker study"
    )]
    Disagrees {
        /// Right ones.
        correct: u32,
        /// All.
        count: u32,
        /// What the file says.
        accuracy: f64,
    },
}

impl Score {
    /// `correct` of `count` images.
    ///
    /// # Errors
    /// If there are no images, or more right ones than images.
    pub const fn new(correct: u32, count: u32) -> Result<Self, ScoreError> {
        if count == 0 || correct > count {
            Err(ScoreError::Counts { correct, count })
        } else {
            Ok(Self { correct, count })
        }
    }

    /// Images answered right.
    pub const fn correct(self) -> u32 {
        self.correct
    }

    /// Images.
    pub const fn count(self) -> u32 {
        self.count
    }

    /// The share that is right, 0 to 1.
    pub fn accuracy(self) -> f64 {
        f64::from(self.correct) / f64::from(self.count)
    }

    /// 95 % confidence interval of the accuracy on all images of this kind.
    pub fn interval(self) -> Interval {
        wilson(self.correct as usize, self.count as usize)
    }

    /// What this loses against `full`, in percentage points; negative where it is better.
    pub fn points_below(self, full: Self) -> f64 {
        100.0 * (full.accuracy() - self.accuracy())
    }
}

impl From<Score> for Stated {
    fn from(score: Score) -> Self {
        let Score { correct, count } = score;
        Self { correct, count, accuracy: score.accuracy(), interval_95: score.interval() }
    }
}

impl TryFrom<Stated> for Score {
    type Error = ScoreError;

    fn try_from(stated: Stated) -> Result<Self, ScoreError> {
        let Stated { correct, count, accuracy, interval_95 } = stated;
        let score = Self::new(correct, count)?;
        let Interval { low, high } = score.interval();
        let pairs = [(accuracy, score.accuracy()), (interval_95.low, low), (interval_95.high, high)];
        if pairs.iter().all(|(stated, counted)| (stated - counted).abs() < ROUNDING) {
            Ok(score)
        } else {
            Err(ScoreError::Disagrees { correct, count, accuracy })
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_interval_matches_published_figures() {
        // Newcombe 1998, "Two-sided confidence intervals for the single proportion", Table I, method 3.
        for (hits, count, low, high) in
            [(81, 263, 0.2553, 0.3662), (15, 148, 0.0624, 0.1605), (0, 20, 0.0, 0.1611)]
        {
            let interval = wilson(hits, count);
            assert!((interval.low - low).abs() < 5e-5 && (interval.high - high).abs() < 5e-5, "{interval:?}");
        }
    }

    #[test]
    fn a_score_survives_json_and_a_lie_does_not() {
        let score = Score::new(81, 263).unwrap();
        let json = serde_json::to_string(&score).unwrap();
        assert_eq!(serde_json::from_str::<Score>(&json).unwrap(), score);
        let lie = json.replace("\"correct\":81", "\"correct\":82");
        assert!(serde_json::from_str::<Score>(&lie).unwrap_err().to_string().contains("edited"));
        assert!(Score::new(3, 2).is_err() && Score::new(0, 0).is_err());
    }
}
