//! Who takes part in the demonstration, and what the links between them are like.
//!
//! Each peer is attached to the network in one way, and a link is as good as the worse of its two ends: that is
//! how homes are wired, and it names every link with two words to remember.

use std::str::FromStr;

use super::emulator::{LinkConditions, Preset, UnknownPreset};

/// The orchestrator's name: it admits requests and is the gateway of every plan.
pub const GATEWAY: &str = "main";

/// The workers, in the order in which they are added, and how each is attached in [`Conditions::Home`].
const WORKERS: [(&str, Preset); 8] = [
    ("camera", Preset::GoodWifi),
    ("doorbell", Preset::GoodWifi),
    ("router", Preset::Lan),
    ("attic", Preset::CongestedWifi),
    ("kitchen", Preset::GoodWifi),
    ("garage", Preset::CongestedWifi),
    ("study", Preset::Lan),
    ("porch", Preset::GoodWifi),
];

/// More processes than this are no use on one machine.
pub const WORKERS_MAX: usize = WORKERS.len();

/// What the links are like.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Conditions {
    /// A home: some peers on a cable, some on good and one on congested wireless.
    Home,
    /// All links alike.
    Same(Preset),
}

/// The name is neither a mix nor a link.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{HOME} is a mix of links; otherwise all are alike: {0}")]
pub struct UnknownConditions(UnknownPreset);

/// A directed link of the demonstration.
#[derive(Debug, Clone, PartialEq)]
pub struct LinkPlan {
    /// Who sends.
    pub from: String,
    /// Who receives.
    pub to: String,
    /// A preset's name, or what a scenario calls it.
    pub name: String,
    /// What it is like in the beginning.
    pub conditions: LinkConditions,
}

const HOME: &str = "home";

/// The names of the first `count` workers.
pub fn workers(count: usize) -> Vec<String> {
    WORKERS.iter().take(count).map(|(name, _)| (*name).to_owned()).collect()
}

/// A link for every ordered pair among the gateway and the first `count` workers.
pub fn links(count: usize, conditions: Conditions) -> Vec<LinkPlan> {
    let gateway = (GATEWAY, Preset::Lan);
    let peers: Vec<_> = std::iter::once(gateway).chain(WORKERS.into_iter().take(count)).collect();
    let link = |(from, at): (&'static str, Preset), (to, there): (&'static str, Preset)| {
        let preset = match conditions {
            // Presets are ordered from best to worst.
            Conditions::Home => at.max(there),
            Conditions::Same(preset) => preset,
        };
        let (name, conditions) = (preset.name().to_owned(), preset.conditions());
        LinkPlan { from: from.to_owned(), to: to.to_owned(), name, conditions }
    };
    let pairs = peers.iter().flat_map(|from| peers.iter().map(move |to| (*from, *to)));
    pairs.filter(|(from, to)| from.0 != to.0).map(|(from, to)| link(from, to)).collect()
}

impl std::fmt::Display for Conditions {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Home => f.write_str(HOME),
            Self::Same(preset) => preset.fmt(f),
        }
    }
}

impl FromStr for Conditions {
    type Err = UnknownConditions;

    fn from_str(name: &str) -> Result<Self, UnknownConditions> {
        if name == HOME {
            return Ok(Self::Home);
        }
        name.parse().map(Self::Same).map_err(UnknownConditions)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;
    use weir_shared::ids::WorkerId;

    #[test]
    fn every_ordered_pair_has_one_link() {
        for count in 1..=WORKERS_MAX {
            let links = links(count, Conditions::Home);
            let pairs: HashSet<_> = links.iter().map(|link| (link.from.clone(), link.to.clone())).collect();
            assert_eq!((links.len(), pairs.len()), ((count + 1) * count, (count + 1) * count));
        }
    }

    #[test]
    fn a_link_is_as_good_as_its_worse_end() {
        let links = links(4, Conditions::Home);
        let name = |from: &str, to: &str| {
            let link = links.iter().find(|link| (link.from.as_str(), link.to.as_str()) == (from, to));
            link.unwrap().name.clone()
        };
        assert_eq!(name(GATEWAY, "router"), "lan");
        assert_eq!(name("router", "camera"), "good-wifi");
        assert_eq!(name("attic", "camera"), "congested-wifi");
    }

    #[test]
    fn names_can_stand_in_certificates() {
        assert!(workers(WORKERS_MAX).iter().all(|name| name.parse::<WorkerId>().is_ok()));
    }

    #[test]
    fn conditions_are_a_mix_or_a_link() {
        for name in ["home", "lan", "slow-3g"] {
            assert_eq!(name.parse::<Conditions>().unwrap().to_string(), name);
        }
        let error = "5g".parse::<Conditions>().unwrap_err().to_string();
        assert!(error.contains("home is a mix") && error.contains("good-wifi"), "{error}");
    }
}
