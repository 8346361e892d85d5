//! What an idle link is worth after another link of one of its ends has collapsed.
//!
//! Peers share one radio or cable for all their links. To find out link by link what a collapse took with it would move the
//! network once for each. So a link that was measured before a collapse at one of its ends is doubted:
//!
//! - not at all, if that end has another link that was found well since: the fault lies at the collapsed link's far end
//! - wholly, if the far end has such a link, or this end alone has more than one that collapsed: the fault lies here, and this
//!   link is worth as much as the collapsed one
//! - wholly, if the far end is the gateway: were that at fault, no plan would be better than another
//! - by half, in the geometric mean, if nobody knows: plans keep away from a peer that they can do without
//!
//! A link whose own round trips have grown since is doubted wholly as well; one whose round trips are known since then and
//! have not, only by half, and only its goodput. Pure.

use std::collections::BTreeMap;

use weir_shared::ids::PeerName;

use crate::telemetry::LinkEstimate;

/// A link that has this many times the goodput of a collapsed one did not collapse with it.
const WELL: f64 = 4.0;

/// A measurement counts as later if it is by so much: one that was under way while the other link fell is of before.
const LATER_SECONDS: f64 = 0.05;

/// What a doubted link is worth: at most this goodput, at least this round-trip time.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Worth {
    pub(super) goodput: f64,
    pub(super) rtt_seconds: f64,
}

/// Links by their ends.
pub(super) struct Doubts<'a> {
    gateway: &'a PeerName,
    at: BTreeMap<&'a PeerName, Vec<(&'a PeerName, &'a LinkEstimate)>>,
}

impl<'a> Doubts<'a> {
    pub(super) fn new(
        known: &'a BTreeMap<(PeerName, PeerName), LinkEstimate>,
        gateway: &'a PeerName,
    ) -> Self {
        let mut at: BTreeMap<_, Vec<_>> = BTreeMap::new();
        for ((from, to), link) in known {
            at.entry(from).or_default().push((to, link));
            at.entry(to).or_default().push((from, link));
        }
        Self { gateway, at }
    }

    /// What `link` is worth, if there is reason to doubt it.
    pub(super) fn worth(&self, link: &LinkEstimate, from: &PeerName, to: &PeerName) -> Option<Worth> {
        let own = Worth {
            goodput: link.trusted_goodput()?,
            rtt_seconds: link.trusted_rtt().or(link.rtt_seconds).unwrap_or(0.0),
        };
        let at_ends = [from, to].into_iter().flat_map(|end| {
            let collapsed = self.of(end).filter(|(_, other)| {
                other.fell_age_seconds.is_some_and(|age| age < link.goodput_age_seconds)
            });
            collapsed.filter_map(move |(far, other)| self.after(own, link, end, far, other))
        });
        at_ends.reduce(|a, b| Worth {
            goodput: a.goodput.min(b.goodput),
            rtt_seconds: a.rtt_seconds.max(b.rtt_seconds),
        })
    }

    /// What a link is worth after `other`, from `end` to `far`, has collapsed.
    fn after(
        &self,
        own: Worth,
        link: &LinkEstimate,
        end: &PeerName,
        far: &PeerName,
        other: &LinkEstimate,
    ) -> Option<Worth> {
        let age = other.fell_age_seconds?;
        let worst = Worth {
            goodput: other.trusted_goodput()?.min(own.goodput),
            rtt_seconds: other.rtt_seconds.unwrap_or(0.0).max(own.rtt_seconds),
        };
        let half = Worth {
            goodput: (worst.goodput * own.goodput).sqrt(),
            rtt_seconds: (worst.rtt_seconds * own.rtt_seconds).sqrt(),
        };
        if link.slower_since {
            return Some(worst);
        }
        // Were the gateway at fault, no plan would be better than another.
        if end == self.gateway || self.is_well(end, far, age, worst.goodput) {
            return None;
        }
        // Round trips of its own that are as short as before are believed.
        if link.rtt_age_seconds < age {
            return Some(Worth { rtt_seconds: own.rtt_seconds, ..half });
        }
        let alone = self.is_ill(end, far) && !self.is_ill(far, end);
        let at_fault = far == self.gateway || alone || self.is_well(far, end, age, worst.goodput);
        Some(if at_fault { worst } else { half })
    }

    /// Whether a link of `end`, not the one to `far`, was measured in the last `age` seconds and found well: not fallen itself,
    /// and far from the goodput of the one that has.
    fn is_well(&self, end: &PeerName, far: &PeerName, age: f64, collapsed: f64) -> bool {
        self.of(end).any(|(other, link)| {
            let is_fast = link.goodput.is_some_and(|goodput| goodput > collapsed * WELL);
            let is_measured = is_fast && link.goodput_age_seconds + LATER_SECONDS < age;
            other != far && is_measured && link.fell_age_seconds.is_none() && !link.slower_since
        })
    }

    /// Whether another link of `end`, not one to `far`, has fallen too.
    fn is_ill(&self, end: &PeerName, far: &PeerName) -> bool {
        self.of(end).any(|(other, link)| other != far && link.fell_age_seconds.is_some())
    }

    fn of(&self, end: &PeerName) -> impl Iterator<Item = (&'a PeerName, &'a LinkEstimate)> {
        self.at.get(end).into_iter().flatten().copied()
    }
}

#[cfg(test)]
mod tests {
    use weir_shared::ids::Role;

    use super::*;

    /// From, to, goodput, seconds since it was measured, and whether it fell then.
    fn worth(links: &[(&str, &str, f64, f64, bool)], from: &str, to: &str) -> Option<Worth> {
        let peer = |name: &str| {
            let role = if name == "main" { Role::Orchestrator } else { Role::Worker };
            PeerName::new(role, name).unwrap()
        };
        let known = links.iter().map(|&(from, to, goodput, age, fell)| {
            let rtt = if fell { 0.4 } else { 0.01 };
            let link = LinkEstimate {
                rtt_seconds: Some(rtt),
                rtt_minimum_seconds: Some(rtt),
                rtt_age_seconds: age,
                goodput: Some(goodput),
                goodput_age_seconds: age,
                fell_age_seconds: fell.then_some(age),
                ..LinkEstimate::default()
            };
            ((peer(from), peer(to)), link)
        });
        let known: BTreeMap<_, _> = known.collect();
        let (from, to) = (peer(from), peer(to));
        let gateway = peer("main");
        Doubts::new(&known, &gateway).worth(&known[&(from.clone(), to.clone())], &from, &to)
    }

    #[test]
    fn whose_fault_a_collapse_is_decides_what_the_neighbours_are_worth() {
        let collapsed = ("hub", "camera", 1e4, 1.0, true);
        let (idle, elsewhere) = (("camera", "attic", 1e6, 4.0, false), ("hub", "attic", 1e6, 4.0, false));
        let half = Worth { goodput: 1e5, rtt_seconds: (0.4f64 * 0.01).sqrt() };
        let near = |found: Option<Worth>, expected: Worth| {
            let found = found.unwrap();
            assert!((found.goodput / expected.goodput - 1.0).abs() < 1e-9, "{found:?}");
            assert!((found.rtt_seconds / expected.rtt_seconds - 1.0).abs() < 1e-9, "{found:?}");
        };
        near(worth(&[collapsed, idle, elsewhere], "camera", "attic"), half);
        near(worth(&[collapsed, idle, elsewhere], "hub", "attic"), half);
        // The hub reaches somebody else: it is the camera's radio.
        let well = ("hub", "door", 1e6, 0.5, false);
        near(worth(&[collapsed, idle, well], "camera", "attic"), Worth { goodput: 1e4, rtt_seconds: 0.4 });
        assert_eq!(worth(&[collapsed, elsewhere, well], "hub", "attic"), None);
        // Nobody was measured since, but the camera has two links that got worse.
        let second = ("camera", "door", 1e4, 1.0, true);
        near(worth(&[collapsed, second, idle], "camera", "attic"), Worth { goodput: 1e4, rtt_seconds: 0.4 });
        near(worth(&[collapsed, second, elsewhere], "hub", "attic"), half);
        // The gateway's own collapse is the camera's fault.
        let of_gateway = ("main", "camera", 1e4, 1.0, true);
        near(worth(&[of_gateway, idle], "camera", "attic"), Worth { goodput: 1e4, rtt_seconds: 0.4 });
        // What was measured after the collapse is believed.
        assert_eq!(worth(&[collapsed, ("camera", "attic", 1e6, 0.5, false)], "camera", "attic"), None);
    }
}
