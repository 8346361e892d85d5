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

/// A goodput or round-trip time that more than doubles or halves is a change of quality.
const QUALITY: f64 = 2.0;

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
    present: bool,
    goodput: f64,
    rtt: f64,
}

fn changed(old: f64, new: f64) -> bool {
    old > 0.0 && new > 0.0 && (new / old > QUALITY || old / new > QUALITY)
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
                    if flap.present
                        && (changed(flap.goodput, link.goodput) || changed(flap.rtt, link.rtt_seconds))
                    {
                        flap.penalty += CHANGE;
                        (flap.goodput, flap.rtt) = (link.goodput, link.rtt_seconds);
                    }
                    flap.present = true;
                }
                None if flap.present => {
                    flap.present = false;
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
                present: true,
                goodput: link.goodput,
                rtt: link.rtt_seconds,
            });
        }
        // What is long gone and forgiven need not be remembered.
        self.links.retain(|_, flap| flap.present || flap.penalty > 1.0);
    }

    /// Links that are not relied on for now.
    pub(super) fn suppressed(&self) -> Vec<Pair> {
        self.links.iter().filter(|(_, flap)| flap.suppressed).map(|(pair, _)| pair.clone()).collect()
    }
}

pub(super) fn pair(link: &LinkState) -> Pair {
    (link.from.clone(), link.to.clone())
}
