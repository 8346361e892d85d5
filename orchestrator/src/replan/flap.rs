//! Links that come and go: a penalty that decays, as route flap damping has it (RFC 2439, section 4).

use std::collections::BTreeMap;
use std::time::Duration;

use weir_shared::ids::PeerName;

use super::rules::Rules;
use crate::planner::snapshot::{LinkState, Snapshot};

/// RFC 2439 counts a withdrawal as 1000 and a change of attributes as half of it.
const LOSS: f64 = 1000.0;
const CHANGE: f64 = 500.0;

/// RFC 2439, section 4.2: a ceiling, so that a link that flapped for an hour is not shunned for another one.
const CEILING: f64 = 6000.0;

/// A link's quality is the time that it takes for this much: the first activation of ResNet-20, 16 channels of 32 x 32.
const ACTIVATION_BYTES: f64 = 65_536.0;

/// A quality that more than doubles or halves is a change,
const QUALITY: f64 = 2.0;

/// if it is by so many seconds at least: what a fast cable does within less is no request's business.
const QUALITY_SECONDS: f64 = 0.005;

/// A link that has just appeared is taken for a poor one until it is measured; that it is none is no change.
const KNOWN_AFTER: Duration = Duration::from_secs(5);

/// A directed link.
pub(super) type Pair = (PeerName, PeerName);

/// The penalty of every link that has flapped.
#[derive(Debug, Clone, Default)]
pub(super) struct Flaps {
    links: BTreeMap<Pair, Flap>,
}

#[derive(Debug, Clone)]
struct Flap {
    penalty: f64,
    at: Duration,
    suppressed: bool,
    /// Since when it is listed, if it is.
    listed: Option<Duration>,
    /// Seconds for [`ACTIVATION_BYTES`].
    quality: f64,
}

fn quality(link: &LinkState) -> f64 {
    link.rtt_seconds + ACTIVATION_BYTES / link.goodput
}

fn is_change(old: f64, new: f64) -> bool {
    let (short, long) = (old.min(new), old.max(new));
    long > short * QUALITY && long > short + QUALITY_SECONDS
}

impl Flaps {
    /// Compares the links with those of the snapshot before.
    pub(super) fn observe(&mut self, at: Duration, snapshot: &Snapshot, rules: &Rules) {
        let half_life = Duration::from_millis(rules.flap_half_life_ms).as_secs_f64();
        let listed =
            |pair: &Pair| snapshot.links.iter().find(|link| link.from == pair.0 && link.to == pair.1);
        for (pair, flap) in &mut self.links {
            flap.penalty *= 0.5f64.powf(at.saturating_sub(flap.at).as_secs_f64() / half_life);
            flap.at = at;
            match listed(pair) {
                Some(link) => {
                    let (since, now) = (*flap.listed.get_or_insert(at), quality(link));
                    let is_known = at >= since.saturating_add(KNOWN_AFTER);
                    if !is_known {
                        flap.quality = now;
                    } else if !link.doubted && is_change(flap.quality, now) {
                        flap.penalty += CHANGE;
                        flap.quality = now;
                    }
                }
                None if flap.listed.is_some() => {
                    flap.listed = None;
                    flap.penalty += LOSS;
                }
                None => {}
            }
            flap.penalty = flap.penalty.min(CEILING);
            if flap.penalty > rules.flap_suppress {
                flap.suppressed = true;
            } else if flap.penalty < rules.flap_reuse {
                flap.suppressed = false;
            }
        }
        for link in &snapshot.links {
            self.links.entry(pair(link)).or_insert_with(|| Flap {
                penalty: 0.0,
                at,
                suppressed: false,
                listed: Some(at),
                quality: quality(link),
            });
        }
        // What is long gone and forgiven need not be remembered.
        self.links.retain(|_, flap| flap.listed.is_some() || flap.penalty > 1.0);
    }

    /// Links that are not relied on for now.
    pub(super) fn suppressed(&self) -> Vec<Pair> {
        self.links.iter().filter(|(_, flap)| flap.suppressed).map(|(pair, _)| pair.clone()).collect()
    }
}

pub(super) fn pair(link: &LinkState) -> Pair {
    (link.from.clone(), link.to.clone())
}

#[cfg(test)]
mod tests {
    use super::super::tests::{change_link, snapshot};
    use super::*;

    /// Half a minute from `start` seconds on, in which the link from the gateway to a changes every second.
    fn flaps(start: u64, change: impl Fn(&mut LinkState, bool)) -> bool {
        let mut flaps = Flaps::default();
        flaps.observe(Duration::ZERO, &snapshot(), &Rules::default());
        for second in start..start + 30 {
            let mut now = snapshot();
            change_link(&mut now, "main", "a", |link| change(link, second % 2 == 0));
            flaps.observe(Duration::from_secs(second), &now, &Rules::default());
        }
        !flaps.suppressed().is_empty()
    }

    fn slower(link: &mut LinkState, now: bool) {
        link.goodput /= if now { 10.0 } else { 1.0 };
    }

    #[test]
    fn a_link_that_is_slower_every_other_second_flaps() {
        assert!(flaps(10, slower));
    }

    #[test]
    fn what_is_only_doubted_or_a_fast_cables_noise_is_no_flap() {
        let doubted = |link: &mut LinkState, now: bool| {
            slower(link, now);
            link.doubted = now;
        };
        assert!(!flaps(10, doubted));
        let cable = |link: &mut LinkState, now: bool| {
            (link.rtt_seconds, link.goodput) = (0.001, if now { 1e8 } else { 3e7 });
        };
        assert!(!flaps(10, cable));
    }

    #[test]
    fn first_readings_are_no_change() {
        let mut flaps = Flaps::default();
        for (millis, factor) in [(0, 1.0), (1000, 10.0), (2000, 0.3), (4000, 8.0)] {
            let mut now = snapshot();
            change_link(&mut now, "main", "a", |link| link.goodput *= factor);
            flaps.observe(Duration::from_millis(millis), &now, &Rules::default());
        }
        assert!(flaps.links.values().all(|flap| flap.penalty <= 0.0));
    }
}
