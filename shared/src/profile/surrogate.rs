//! Predicts what an unmeasured active set loses, and says how far off such predictions are.
//!
//! A Gaussian process on the log-odds of a right answer: a set loses what sets like it lose ([`Likeness`]), which
//! includes the sum of what its connections lose alone. A measurement counts by how many images it is of. The error
//! that is stated is of sets that the fit had not seen, in five folds.

use serde::{Deserialize, Serialize};

use super::likeness::{Likeness, View};
use super::solve::solve;
use super::{Document, Score};
use crate::arch::{BlockId, Network};
use crate::plan::{ActiveSet, active_set::Connection};

/// Fewer sets beside the single ones say nothing about how connections meet, nor about the error.
const SETS_MIN: usize = 20;

/// The usual number of folds (Hastie et al., The Elements of Statistical Learning, 2nd edition, section 7.10).
const FOLDS: usize = 5;

/// No more sets are learnt from: the work grows with the third power of their number.
const SETS_MAX: usize = 2_000;

/// Variance of a loss that no likeness explains, in squared log-odds.
const NOISE: f64 = 0.005;

/// Losses of this many points and fewer are what planners ask about.
pub const SMALL_POINTS: f64 = 3.0;

/// How far predictions were off on sets that were held out, in points.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ErrorSummary {
    /// Sets held out.
    pub sets: usize,
    /// Mean absolute error.
    pub mean: f64,
    /// 95 % of the absolute errors are at most this.
    pub p95: f64,
    /// The next set's is at most this with 95 % likelihood: more than [`p95`](Self::p95) where few sets were held out.
    pub bound: f64,
}

/// The error of a surrogate, on held-out sets.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Errors {
    /// Of all sets.
    pub all: ErrorSummary,
    /// Of those that lose [`SMALL_POINTS`] or fewer.
    pub small: ErrorSummary,
    /// Of those that are predicted to lose [`SMALL_POINTS`] or fewer: what a planner that trusts them meets.
    pub promised: ErrorSummary,
}

/// A fitted prediction.
#[derive(Debug, Clone)]
pub struct Surrogate {
    network: Network,
    likeness: Likeness,
    samples: Vec<Sample>,
    /// What each sample adds to a prediction, for each unit of likeness.
    strengths: Vec<f64>,
    full: f64,
    errors: Errors,
}

#[derive(Debug, Clone)]
struct Sample {
    view: View,
    /// Loss in log-odds.
    loss: f64,
    /// Variance of that.
    noise: f64,
    /// Loss in points.
    points: f64,
    role: Role,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Role {
    /// Nothing or one connection off: always measured, so never held out.
    Anchor,
    /// Held out in one fold.
    Tested,
}

impl Errors {
    /// What to add to a prediction of `points` so that 95 % of sets lose no more.
    pub fn margin(&self, points: f64) -> f64 {
        if points <= SMALL_POINTS {
            self.small.bound.max(self.promised.bound)
        } else {
            self.all.bound.max(self.small.bound)
        }
    }
}

impl Surrogate {
    /// Fits the sets of `document`, all of which are of `network`.
    ///
    /// None where a single connection was not measured, or too few sets beside them were.
    pub(super) fn fit(network: &Network, document: &Document) -> Option<Self> {
        let likeness = Likeness::new(single_losses(network, document)?);
        let full = document.full_test;
        let view = likeness.view(network, &ActiveSet::full());
        let mut samples = vec![Sample { view, loss: 0.0, noise: NOISE, points: 0.0, role: Role::Anchor }];
        samples.extend(document.sets.iter().take(SETS_MAX).map(|set| {
            let (points, score) = document.loss_of(set);
            let against = if set.test.is_some() { full } else { document.full_validation };
            let role = if set.active.off().count() > 1 { Role::Tested } else { Role::Anchor };
            let view = likeness.view(network, &set.active);
            Sample {
                view,
                loss: log_odds(against) - log_odds(score),
                noise: NOISE + variance(score),
                points,
                role,
            }
        }));
        if samples.iter().filter(|sample| sample.role == Role::Tested).count() < SETS_MIN {
            return None;
        }
        let full = full.accuracy();
        let errors = errors(&likeness, &samples, full);
        let strengths = strengths(&likeness, &samples.iter().collect::<Vec<_>>());
        Some(Self { network: network.clone(), likeness, samples, strengths, full, errors })
    }

    /// Points that `active` loses; never below zero, because no one should plan on luck.
    pub fn predict(&self, active: &ActiveSet) -> f64 {
        let view = self.likeness.view(&self.network, active);
        let samples: Vec<&Sample> = self.samples.iter().collect();
        points(self.full, weigh(&self.likeness, &samples, &self.strengths, &view))
    }

    /// How far predictions are off.
    pub const fn errors(&self) -> Errors {
        self.errors
    }
}

/// Rasmussen and Williams 2006, Gaussian Processes for Machine Learning, Eq. 2.25: `(K + noise)⁻¹ y`.
fn strengths(likeness: &Likeness, samples: &[&Sample]) -> Vec<f64> {
    let row = |(index, a): (usize, &&Sample)| -> Vec<f64> {
        let mut row: Vec<f64> = samples[..=index].iter().map(|b| likeness.of(&a.view, &b.view)).collect();
        row[index] += a.noise;
        row
    };
    let losses: Vec<f64> = samples.iter().map(|sample| sample.loss).collect();
    solve(samples.iter().enumerate().map(row).collect(), &losses)
}

/// The same, Eq. 2.25: the predicted loss in log-odds.
fn weigh(likeness: &Likeness, samples: &[&Sample], strengths: &[f64], view: &View) -> f64 {
    samples.iter().zip(strengths).map(|(sample, strength)| strength * likeness.of(view, &sample.view)).sum()
}

/// Predicts each fold from the others.
fn errors(likeness: &Likeness, samples: &[Sample], full: f64) -> Errors {
    let (tested, anchors): (Vec<&Sample>, Vec<&Sample>) =
        samples.iter().partition(|sample| sample.role == Role::Tested);
    let mut found = Vec::with_capacity(tested.len());
    for fold in 0..FOLDS {
        let others =
            tested.iter().enumerate().filter(|(index, _)| index % FOLDS != fold).map(|(_, sample)| *sample);
        let known: Vec<&Sample> = anchors.iter().copied().chain(others).collect();
        let strengths = strengths(likeness, &known);
        found.extend(
            tested.iter().skip(fold).step_by(FOLDS).map(|sample| {
                (points(full, weigh(likeness, &known, &strengths, &sample.view)), sample.points)
            }),
        );
    }
    let summary = |keep: &dyn Fn(f64, f64) -> bool| {
        let kept = found.iter().filter(|(predicted, measured)| keep(*predicted, *measured));
        summarise(kept.map(|(predicted, measured)| (predicted - measured).abs()).collect())
    };
    let all = summary(&|_, _| true);
    // Without any small one there is no smaller promise to make than that of all.
    let or_all =
        |summary: ErrorSummary| if summary.sets == 0 { ErrorSummary { sets: 0, ..all } } else { summary };
    Errors {
        all,
        small: or_all(summary(&|_, measured| measured <= SMALL_POINTS)),
        promised: or_all(summary(&|predicted, _| predicted <= SMALL_POINTS)),
    }
}

fn summarise(mut errors: Vec<f64>) -> ErrorSummary {
    errors.sort_by(f64::total_cmp);
    let sets = errors.len();
    let mean = errors.iter().sum::<f64>() / sets.max(1) as f64;
    let at_rank =
        |rank: usize| rank.checked_sub(1).and_then(|index| errors.get(index)).copied().unwrap_or(0.0);
    // The nearest rank: of 40 the 38th.
    let p95 = at_rank((sets * 19).div_ceil(20));
    // Of 39 the 38th, so that the next set is within with 95 % (Vovk et al. 2005, Algorithmic Learning in a Random
    // World, section 2.2); of fewer than 39 the greatest.
    let bound = at_rank(((sets + 1) * 19).div_ceil(20).min(sets));
    ErrorSummary { sets, mean, p95, bound }
}

/// Log-odds of a right answer; half an image is added on both sides, so that 0 % and 100 % have some.
fn log_odds(score: Score) -> f64 {
    ((f64::from(score.correct()) + 0.5) / (f64::from(score.count() - score.correct()) + 0.5)).ln()
}

/// Points lost by `loss` in log-odds from an accuracy of `full`.
fn points(full: f64, loss: f64) -> f64 {
    let odds = full.clamp(1e-6, 1.0 - 1e-6);
    let kept = ((odds / (1.0 - odds)).ln() - loss).clamp(-50.0, 50.0);
    (100.0 * (odds - 1.0 / (1.0 + (-kept).exp()))).max(0.0)
}

/// Variance of the log-odds of a score: that of a share, by the delta method.
fn variance(score: Score) -> f64 {
    let accuracy = (f64::from(score.correct()) + 0.5) / (f64::from(score.count()) + 1.0);
    1.0 / (f64::from(score.count()) * accuracy * (1.0 - accuracy))
}

fn single_losses(network: &Network, document: &Document) -> Option<Vec<f64>> {
    let blocks = || (0..network.blocks.len() as u16).map(BlockId);
    let connections = blocks().map(Connection::Branch).chain(blocks().map(Connection::Shortcut));
    let loss = |connection: Connection| {
        let alone = ActiveSet::without([connection]).ok()?;
        let set = document.sets.iter().find(|set| set.active == alone)?;
        Some(match set.test {
            Some(test) => log_odds(document.full_test) - log_odds(test),
            None => log_odds(document.full_validation) - log_odds(set.validation),
        })
    };
    connections.map(loss).collect()
}
