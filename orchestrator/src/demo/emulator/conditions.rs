//! How a link behaves, as data.

use std::time::Duration;

/// How a link behaves, in both directions.
///
/// The directions differ in their rate only: activations travel forward and fill it, acknowledgements return.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct LinkConditions {
    /// From sender to receiver; `None` is without limit.
    pub rate: Option<BitRate>,
    /// From receiver to sender; `None` is without limit.
    pub reverse_rate: Option<BitRate>,
    /// Shortest time on the way, in each direction.
    pub delay: Duration,
    /// Most that is added to the delay; what is added wanders between 0 and this, see [`super::wander`].
    pub jitter: Duration,
    /// Fraction of packets that vanish, in each direction.
    pub loss: LossRate,
    /// Bytes that may wait for their turn at the rate's bottleneck; what comes on top is dropped.
    pub queue_bytes: usize,
    /// Whether anything passes at all.
    pub state: LinkState,
}

/// Whether anything passes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LinkState {
    /// Packets pass as the other conditions say.
    Up,
    /// Nothing passes, and what was on the way is gone. Nobody is told, as when a cable is pulled elsewhere.
    Cut,
}

/// Bits per second; never 0, because a link that lets nothing pass is [`LinkState::Cut`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct BitRate(u64);

/// A fraction of packets, from 0 to 1.
#[derive(Debug, Clone, Copy, PartialEq, PartialOrd)]
pub struct LossRate(f64);

/// The number is no fraction of packets.
#[derive(Debug, Clone, Copy, PartialEq, thiserror::Error)]
#[error("{0} is no fraction of packets: give a number from 0 (none) to 1 (all)")]
pub struct NotALossRate(f64);

/// What the IPv4 and UDP headers add to a payload on a real link, bytes (RFC 791, RFC 768).
const HEADER_BYTES: usize = 20 + 8;

impl BitRate {
    /// A rate in bits per second; below 1 it is 1.
    pub const fn bits(bits_per_second: u64) -> Self {
        Self(if bits_per_second == 0 { 1 } else { bits_per_second })
    }

    /// A rate in kilobits per second.
    pub const fn kilobits(kilobits_per_second: u64) -> Self {
        Self::bits(kilobits_per_second.saturating_mul(1_000))
    }

    /// A rate in megabits per second.
    pub const fn megabits(megabits_per_second: u64) -> Self {
        Self::bits(megabits_per_second.saturating_mul(1_000_000))
    }

    /// Bits per second.
    pub const fn per_second(self) -> u64 {
        self.0
    }

    /// How long a datagram with a payload of so many bytes occupies the link, headers included.
    pub fn time_for(self, payload_bytes: usize) -> Duration {
        let bits = (payload_bytes + HEADER_BYTES) as u128 * 8;
        let nanos = bits * 1_000_000_000 / u128::from(self.0);
        Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX))
    }
}

impl LossRate {
    /// Nothing is lost.
    pub const NONE: Self = Self(0.0);

    /// A fraction of packets.
    ///
    /// # Errors
    /// If it is not between 0 and 1.
    pub fn new(fraction: f64) -> Result<Self, NotALossRate> {
        if (0.0..=1.0).contains(&fraction) { Ok(Self(fraction)) } else { Err(NotALossRate(fraction)) }
    }

    /// So many packets in ten thousand; more than that is all of them.
    pub const fn per_ten_thousand(packets: u16) -> Self {
        Self(if packets < 10_000 { packets as f64 / 10_000.0 } else { 1.0 })
    }

    /// The fraction.
    pub const fn fraction(self) -> f64 {
        self.0
    }
}

impl LinkConditions {
    /// No limit, no delay and no loss: a relay that only relays.
    pub const PERFECT: Self = Self {
        rate: None,
        reverse_rate: None,
        delay: Duration::ZERO,
        jitter: Duration::ZERO,
        loss: LossRate::NONE,
        queue_bytes: usize::MAX,
        state: LinkState::Up,
    };

    /// The same link, cut.
    pub const fn cut(self) -> Self {
        Self { state: LinkState::Cut, ..self }
    }

    /// The same link with this rate in both directions.
    pub const fn with_rate(self, rate: BitRate) -> Self {
        Self { rate: Some(rate), reverse_rate: Some(rate), ..self }
    }

    /// The same link as its reverse direction sees it.
    pub const fn reversed(self) -> Self {
        Self { rate: self.reverse_rate, reverse_rate: self.rate, ..self }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_packet_occupies_the_link_with_its_headers() {
        // 1222 + 28 bytes are 10,000 bits.
        assert_eq!(BitRate::megabits(1).time_for(1222), Duration::from_millis(10));
        assert_eq!(BitRate::bits(0).per_second(), 1);
    }

    #[test]
    fn a_loss_rate_is_a_fraction() {
        assert_eq!(LossRate::new(0.25), Ok(LossRate::per_ten_thousand(2_500)));
        assert!(LossRate::new(1.5).unwrap_err().to_string().contains("0 (none) to 1 (all)"));
        assert!(LossRate::new(f64::NAN).is_err());
    }
}
