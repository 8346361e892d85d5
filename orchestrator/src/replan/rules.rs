//! The rules of re-planning, as a person writes them: the table `[replan]` of a policy file.

use std::time::Duration;

use serde::{Deserialize, Serialize};

/// When the plan may change. Every field may be left out; `docs/replanning.md` shows the file.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Rules {
    /// A candidate must beat the running plan by this share of the objective. Below it, noise alone swaps plans.
    pub margin: f64,
    /// Beyond the margin, for a plan that moves all weights to other workers; less in proportion to what moves.
    pub move_margin: f64,
    /// Beyond the margin, for each unit of noise in the objective (mean change from one snapshot to the next).
    pub noise_factor: f64,
    /// The advantage must persist so long.
    pub hold_ms: u64,
    /// As `hold_ms`, for a plan that restores accuracy: shedding is quick, restoring is not.
    pub restore_hold_ms: u64,
    /// A plan that gains this much answers a collapse, not a drift: it waits for `sharp_hold_ms` alone.
    pub sharp_margin: f64,
    /// The advantage of such a plan must persist so long: two reports, so that no single reading moves a network.
    pub sharp_hold_ms: u64,
    /// A mere switch of connections that gains this much needs no hold.
    pub fast_margin: f64,
    /// The least time from one soft change to the next.
    pub dwell_ms: u64,
    /// Soft changes that may be made in a row; where it is more than one, the last is for what gains `sharp_margin`.
    /// What relieves a broken bound is not counted, nor what another policy asks for.
    pub burst: u32,
    /// Time after which one more may be made.
    pub refill_ms: u64,
    /// A link's penalty halves in this time. A loss costs 1000, a change of quality by more than half 500.
    pub flap_half_life_ms: u64,
    /// A link with more penalty is not relied on.
    pub flap_suppress: f64,
    /// Until its penalty has fallen to this.
    pub flap_reuse: f64,
    /// A new plan may be slower than what it replaced or what was predicted by this factor at most.
    pub trial_factor: f64,
    /// Answers on which a new plan is judged.
    pub trial_answers: u64,
    /// A trial that gets too few answers ends undecided.
    pub trial_max_ms: u64,
    /// A plan that did not deliver is left out so long, and one that could not be rolled out for a sixth of it; doubled each
    /// further time.
    pub penalty_ms: u64,
    /// Whether survivors answer in a dead worker's place with its blocks as identity.
    pub bypass: Bypass,
    /// Points of accuracy that such answers may lose, where that is known.
    pub bypass_loss_max_points: f64,
}

/// Whether a dead worker's layers may be bypassed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Bypass {
    /// Where a profile says what it costs.
    #[default]
    Profiled,
    /// Also where nobody knows what it costs.
    Always,
    /// Never: requests wait for the next plan.
    Never,
}

impl Default for Rules {
    fn default() -> Self {
        Self {
            margin: 0.08,
            move_margin: 0.04,
            noise_factor: 2.0,
            hold_ms: 700,
            restore_hold_ms: 2_000,
            sharp_margin: 0.5,
            sharp_hold_ms: 300,
            fast_margin: 0.2,
            dwell_ms: 3_000,
            burst: 3,
            refill_ms: 20_000,
            flap_half_life_ms: 15_000,
            flap_suppress: 2_000.0,
            flap_reuse: 750.0,
            trial_factor: 1.3,
            trial_answers: 20,
            trial_max_ms: 15_000,
            penalty_ms: 60_000,
            bypass: Bypass::Profiled,
            bypass_loss_max_points: 30.0,
        }
    }
}

/// Why rules cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum RulesError {
    /// The text is no TOML, or a field is unknown or of another type.
    #[error("the policy file cannot be read")]
    Malformed(#[from] Box<toml::de::Error>),
    /// A number makes no sense.
    #[error("replan.{field} = {found} is not possible; {remedy}")]
    Range {
        /// The field.
        field: &'static str,
        /// What it is.
        found: f64,
        /// What it may be.
        remedy: &'static str,
    },
}

impl Rules {
    /// Splits a policy file into the rules and the rest, which is the policy proper.
    ///
    /// # Errors
    /// If it is no TOML, or a rule is unknown or out of range.
    pub fn split(text: &str) -> Result<(Self, toml::Table), RulesError> {
        let mut table: toml::Table = toml::from_str(text).map_err(Box::new)?;
        let rules = match table.remove("replan") {
            Some(replan) => replan.try_into().map_err(Box::new)?,
            None => Self::default(),
        };
        rules.check()?;
        Ok((rules, table))
    }

    fn check(&self) -> Result<(), RulesError> {
        let range = |field, found: f64, fits: bool, remedy| {
            if fits && found.is_finite() { Ok(()) } else { Err(RulesError::Range { field, found, remedy }) }
        };
        let share = "write a share from 0 to 10, such as 0.08";
        for (field, found) in [
            ("margin", self.margin),
            ("move_margin", self.move_margin),
            ("noise_factor", self.noise_factor),
            ("fast_margin", self.fast_margin),
            ("sharp_margin", self.sharp_margin),
        ] {
            range(field, found, (0.0..=10.0).contains(&found), share)?;
        }
        let at_least_one = "write at least 1";
        range("burst", self.burst.into(), self.burst >= 1, at_least_one)?;
        range("refill_ms", self.refill_ms as f64, self.refill_ms >= 1, at_least_one)?;
        range("flap_half_life_ms", self.flap_half_life_ms as f64, self.flap_half_life_ms >= 1, at_least_one)?;
        range("trial_factor", self.trial_factor, self.trial_factor >= 1.0, at_least_one)?;
        let below = self.flap_reuse > 0.0 && self.flap_reuse < self.flap_suppress;
        range("flap_reuse", self.flap_reuse, below, "write more than 0 and less than flap_suppress")?;
        let (points, fits) = (self.bypass_loss_max_points, self.bypass_loss_max_points >= 0.0);
        range("bypass_loss_max_points", points, fits, "write points of accuracy, at least 0")
    }

    pub(super) const fn hold(&self) -> Duration {
        Duration::from_millis(self.hold_ms)
    }

    pub(super) const fn sharp_hold(&self) -> Duration {
        Duration::from_millis(self.sharp_hold_ms)
    }

    pub(super) const fn restore_hold(&self) -> Duration {
        Duration::from_millis(self.restore_hold_ms)
    }

    pub(crate) const fn dwell(&self) -> Duration {
        Duration::from_millis(self.dwell_ms)
    }

    pub(super) const fn refill(&self) -> Duration {
        Duration::from_millis(self.refill_ms)
    }

    pub(super) const fn penalty(&self) -> Duration {
        Duration::from_millis(self.penalty_ms)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_is_taken_out_of_the_policy() {
        let (rules, rest) = Rules::split("minimise = 'latency'\n[replan]\nmargin = 0.2").unwrap();
        assert_eq!((rules.margin, rules.dwell_ms), (0.2, Rules::default().dwell_ms));
        assert!(rest.contains_key("minimise") && !rest.contains_key("replan"));
        assert_eq!(Rules::split("").unwrap().0, Rules::default());
    }

    #[test]
    fn mistakes_are_named() {
        let check = |text: &str, expect: &str| {
            let error = weir_shared::chain(&Rules::split(text).unwrap_err());
            assert!(error.contains(expect), "{error}");
        };
        check("[replan]\nmargin = -1", "replan.margin = -1");
        check("[replan]\nmargin = nan", "replan.margin = NaN");
        check("[replan]\nmargine = 1", "margine");
        check("[replan]\nflap_reuse = 9000", "less than flap_suppress");
        check("[replan]\nburst = 0", "at least 1");
        check("[replan]\ntrial_factor = 0.5", "at least 1");
    }
}
