//! Named links, from none at all to barely usable, and why each number is what it is.
//!
//! The ladder of names follows iroh's degradation tests (`iroh/tests/patchbay/degrade.rs`), which raise delay,
//! jitter and loss together. Where another source measured, its figure stands here; the rest is judgement and
//! says so. Round trips below are the mean on an idle link: twice the delay and twice half the jitter.

use std::str::FromStr;
use std::time::Duration;

use super::conditions::{BitRate, LinkConditions, LinkState, LossRate};

/// A named link.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Preset {
    /// What the machine itself gives, through one more pair of sockets.
    Loopback,
    /// Two boards on one switch.
    Lan,
    /// Two boards with a good signal on a quiet channel.
    GoodWifi,
    /// The same boards while the neighbourhood streams films.
    CongestedWifi,
    /// Boards behind mobile modems, with few bars.
    Weak4g,
    /// Boards behind mobile modems, at the edge of coverage.
    Slow3g,
}

/// No link has this name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("unknown link {name:?}; known are {}", Preset::ALL.map(Preset::name).join(", "))]
pub struct UnknownPreset {
    name: String,
}

const fn up(
    rate: BitRate,
    delay: Duration,
    jitter: Duration,
    loss: LossRate,
    queue_bytes: usize,
) -> LinkConditions {
    let (both, state) = (Some(rate), LinkState::Up);
    LinkConditions { rate: both, reverse_rate: both, delay, jitter, loss, queue_bytes, state }
}

/// Rate: 1000BASE-T. Delay: judgement, a ping between boards on one switch takes some 0.4 ms. Jitter: judgement,
/// interrupts and the emulator's own timers make about 0.1 ms. Loss: a healthy cable loses nothing that counts.
/// Queue: the packet memory of a cheap switch is 128 KiB to 512 KiB.
const LAN: LinkConditions = up(
    BitRate::megabits(1_000),
    Duration::from_micros(200),
    Duration::from_micros(100),
    LossRate::NONE,
    512 * 1024,
);

/// Rate: a board with one antenna has 72.2 Mbit/s on the air (802.11n, 20 MHz, one stream, the highest scheme);
/// about two thirds remain for the payload. Delay and jitter: together 10 ms per round trip, iroh's mildest level.
/// Loss: judgement; 802.11 repeats lost frames itself, so little of iroh's 0.5 % remains. Queue: 256 packets.
const GOOD_WIFI: LinkConditions = up(
    BitRate::megabits(48),
    Duration::from_millis(3),
    Duration::from_millis(4),
    LossRate::per_ten_thousand(10),
    384 * 1024,
);

/// Rate: judgement, one sixth of the good channel's air. Delay and jitter: a third of iroh's second level ("bad
/// wifi or 3G", 100 ms), which stands for the whole path over the internet; jitter is most of it, for it is the
/// waiting for the air. Loss: iroh's 3 % less what 802.11 repeats. Queue: as before, now 0.4 s of air.
const CONGESTED_WIFI: LinkConditions = up(
    BitRate::megabits(8),
    Duration::from_millis(8),
    Duration::from_millis(40),
    LossRate::per_ten_thousand(200),
    384 * 1024,
);

/// Rate and round trip: Lighthouse's "slow 4G", the worst quarter of 4G connections: 750 kbit/s up and 150 ms.
/// Both directions go up somewhere, so both have the uplink's rate. Jitter: iroh's second level. Loss: judgement,
/// as the radio link repeats. Queue: 1 s at the rate, since mobile networks buffer rather than drop.
const WEAK_4G: LinkConditions = up(
    BitRate::kilobits(750),
    Duration::from_millis(60),
    Duration::from_millis(30),
    LossRate::per_ten_thousand(100),
    94 * 1024,
);

/// Rate and round trip: WebPageTest's "slow 3G": 400 kbit/s and 400 ms. Jitter: iroh's third level ("congested
/// 3G"). Loss: judgement, half of that level's 5 %, as the radio link repeats. Queue: 1.3 s at the rate.
const SLOW_3G: LinkConditions = up(
    BitRate::kilobits(400),
    Duration::from_millis(170),
    Duration::from_millis(60),
    LossRate::per_ten_thousand(250),
    64 * 1024,
);

impl Preset {
    /// Every named link, best first.
    pub const ALL: [Self; 6] =
        [Self::Loopback, Self::Lan, Self::GoodWifi, Self::CongestedWifi, Self::Weak4g, Self::Slow3g];

    /// The name in commands and files.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Loopback => "loopback",
            Self::Lan => "lan",
            Self::GoodWifi => "good-wifi",
            Self::CongestedWifi => "congested-wifi",
            Self::Weak4g => "weak-4g",
            Self::Slow3g => "slow-3g",
        }
    }

    /// How the link behaves.
    pub const fn conditions(self) -> LinkConditions {
        match self {
            Self::Loopback => LinkConditions::PERFECT,
            Self::Lan => LAN,
            Self::GoodWifi => GOOD_WIFI,
            Self::CongestedWifi => CONGESTED_WIFI,
            Self::Weak4g => WEAK_4G,
            Self::Slow3g => SLOW_3G,
        }
    }
}

impl std::fmt::Display for Preset {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Preset {
    type Err = UnknownPreset;

    fn from_str(name: &str) -> Result<Self, UnknownPreset> {
        let found = Self::ALL.into_iter().find(|preset| preset.name() == name);
        found.ok_or_else(|| UnknownPreset { name: name.to_owned() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_leads_to_its_link() {
        for preset in Preset::ALL {
            assert_eq!(preset.name().parse(), Ok(preset));
        }
        let error = "5g".parse::<Preset>().unwrap_err().to_string();
        assert!(
            error.contains("known are loopback, lan, good-wifi, congested-wifi, weak-4g, slow-3g"),
            "{error}"
        );
    }

    #[test]
    fn each_rung_of_the_ladder_is_worse_than_the_one_above() {
        let rate = |c: LinkConditions| c.rate.map_or(u64::MAX, BitRate::per_second);
        for pair in Preset::ALL.windows(2) {
            let (better, worse) = (pair[0].conditions(), pair[1].conditions());
            assert!(rate(worse) < rate(better), "{} and {}", pair[0], pair[1]);
            assert!(
                worse.delay + worse.jitter / 2 > better.delay + better.jitter / 2,
                "{} and {}",
                pair[0],
                pair[1]
            );
        }
    }
}
