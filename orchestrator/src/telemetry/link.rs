//! Estimates of one directed link, from its sender's reports.

use std::time::{Duration, Instant};

use weir_shared::telemetry::{LinkReport, WindowedMinimum};

/// Window of the smallest round-trip time: long enough to hold a moment without own load, short enough to follow a route
/// that has become longer. BBR takes 10 s (draft-cardwell-iccrg-bbr-congestion-control, section 4.1.2); a plan should
/// follow sooner than a rate.
const MINIMUM_WINDOW: Duration = Duration::from_secs(3);

/// Lost packets are averaged over this time: a tenth of a percent of some hundred packets a second is visible.
const LOSS_WINDOW: Duration = Duration::from_secs(5);

/// Half of the way to a new goodput, for changes that may be noise.
const GOODPUT_WEIGHT: f64 = 0.5;

/// A change by more than this factor is no noise and is believed at once.
const GOODPUT_JUMP: f64 = 2.0;

/// Faster than 100 Mbit/s, what moves a request takes as long to hand over as to send, and readings differ by several times
/// for no reason of the link's: no collapse is seen up there.
const GOODPUT_RESOLVED: f64 = 12.5e6;

/// A round-trip time this many times longer, and by [`RTT_RISE_MIN`] at least, says that a link has changed.
const RTT_RISE: f64 = 2.0;

/// Shorter rises, in seconds, are a scheduler's.
const RTT_RISE_MIN: f64 = 0.005;

/// Ages of the same reading differ by this much from report to report.
const SAME: Duration = Duration::from_millis(20);

/// Older readings are not trusted: three rounds of probing the most peers that a worker probes, one a second.
pub const LINK_STALE: Duration = Duration::from_secs(60);

/// A link that a plan opens is being dialled, and has not failed, for so long: the handshake takes a few round trips, and a
/// poor link's take half a second each.
const DIAL_MAX: Duration = Duration::from_secs(2);

/// Folds the reports about one link.
#[derive(Debug, Clone)]
pub struct LinkEstimator {
    open: bool,
    up: bool,
    failed: bool,
    /// Since when it has been open and was not up yet.
    dialled: Option<Instant>,
    rtt: Option<Rtt>,
    minimum: WindowedMinimum,
    goodput: Option<Goodput>,
    loss: Loss,
}

#[derive(Debug, Clone, Copy)]
struct Rtt {
    at: Instant,
    smoothed: f64,
    variation: f64,
}

#[derive(Debug, Clone, Copy)]
struct Goodput {
    at: Instant,
    rate: f64,
    samples: u64,
    /// The round-trip time when it was measured.
    rtt: Option<f64>,
    /// What it fell from by more than noise, unless it has come back to that.
    fell: Option<Fall>,
}

#[derive(Debug, Clone, Copy)]
struct Fall {
    at: Instant,
    from: f64,
}

#[derive(Debug, Clone, Copy, Default)]
struct Loss {
    at: Option<Instant>,
    /// The counters at that time.
    counted: (u64, u64),
    /// Packets sent and lost, older ones counting less.
    sent: f64,
    lost: f64,
}

/// What is believed about one link.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct LinkEstimate {
    /// Whether a plan has it open.
    pub open: bool,
    /// Whether it works.
    pub up: bool,
    /// Whether it was tried and did not.
    pub failed: bool,
    /// Smoothed round-trip time, if one was measured.
    pub rtt_seconds: Option<f64>,
    /// Its mean deviation.
    pub rtt_variation_seconds: f64,
    /// The smallest of the last three seconds.
    pub rtt_minimum_seconds: Option<f64>,
    /// How old the newest round-trip time is.
    pub rtt_age_seconds: f64,
    /// Useful bytes per second, if any were measured.
    pub goodput: Option<f64>,
    /// How old the newest word about it is.
    pub goodput_age_seconds: f64,
    /// How long ago the goodput fell by more than noise, if it has not risen since.
    pub fell_age_seconds: Option<f64>,
    /// Whether the round-trip time has become much longer since the goodput was measured.
    pub slower_since: bool,
    /// Share of packets lost, 0 to 1.
    pub loss: f64,
}

impl Default for LinkEstimator {
    fn default() -> Self {
        Self {
            open: false,
            up: false,
            failed: false,
            dialled: None,
            rtt: None,
            minimum: WindowedMinimum::new(MINIMUM_WINDOW),
            goodput: None,
            loss: Loss::default(),
        }
    }
}

impl LinkEstimator {
    /// Takes what the sender says. After a restart of the sender its counters begin anew.
    pub fn fold(&mut self, now: Instant, report: &LinkReport, restarted: bool) {
        self.fold_state(now, report, restarted);
        if let Some(reading) = report.rtt {
            let at = before(now, reading.age_seconds);
            if self.rtt.is_none_or(|known| at >= known.at) {
                self.rtt = Some(Rtt { at, smoothed: reading.seconds, variation: reading.variation_seconds });
                self.minimum.add(at, reading.minimum_seconds);
            }
        }
        let news = |samples| self.goodput.is_none_or(|known| restarted || known.samples != samples);
        if let Some(reading) = report.goodput.filter(|reading| news(reading.samples)) {
            let at = before(now, reading.age_seconds);
            let found = reading.bytes_per_second;
            let rate = self.goodput.map_or(found, |known| towards(known.rate, found));
            let fell = self.goodput.and_then(|known| known.fall(at, found));
            // The largest of several may still be that of before.
            let rtt = match self.goodput {
                Some(known) if at <= known.at + SAME => known.rtt,
                _ => self.rtt.map(|rtt| rtt.smoothed),
            };
            self.goodput = Some(Goodput { at, rate, samples: reading.samples, rtt, fell });
        }
        self.fold_loss(now, report, restarted);
    }

    /// It has failed if it is down and was up before for a plan, if the last probe failed, or if it is dialled for too long.
    fn fold_state(&mut self, now: Instant, report: &LinkReport, restarted: bool) {
        let (was_open, was_up) = (self.open && !restarted, self.up);
        let dialled = (was_open && !was_up).then_some(self.dialled).flatten().unwrap_or(now);
        self.failed = !report.up
            && if report.open {
                let too_long = now.saturating_duration_since(dialled) >= DIAL_MAX;
                was_open && was_up || self.failed && !restarted || too_long
            } else {
                report.probe_failures > 0
            };
        self.dialled = (report.open && !report.up).then_some(dialled);
        (self.open, self.up) = (report.open, report.up);
    }

    fn fold_loss(&mut self, now: Instant, report: &LinkReport, restarted: bool) {
        let counted = (report.packets_sent, report.packets_lost);
        let loss = &mut self.loss;
        if let Some(at) = loss.at.filter(|_| !restarted) {
            let passed = now.saturating_duration_since(at).as_secs_f64();
            let fading = (-passed / LOSS_WINDOW.as_secs_f64()).exp();
            loss.sent = loss.sent * fading + counted.0.saturating_sub(loss.counted.0) as f64;
            loss.lost = loss.lost * fading + counted.1.saturating_sub(loss.counted.1) as f64;
        }
        (loss.at, loss.counted) = (Some(now), counted);
    }

    fn is_slower_since(&self) -> bool {
        let Some((rtt, goodput)) = self.rtt.zip(self.goodput) else { return false };
        let then = goodput.rtt.unwrap_or(rtt.smoothed);
        rtt.at > goodput.at && rtt.smoothed > (then * RTT_RISE).max(then + RTT_RISE_MIN)
    }

    /// What is believed now.
    pub fn estimate(&self, now: Instant) -> LinkEstimate {
        let age = |at: Instant| now.saturating_duration_since(at).as_secs_f64();
        LinkEstimate {
            open: self.open,
            up: self.up,
            failed: self.failed,
            rtt_seconds: self.rtt.map(|rtt| rtt.smoothed),
            rtt_variation_seconds: self.rtt.map_or(0.0, |rtt| rtt.variation),
            rtt_minimum_seconds: self.minimum.get(now),
            rtt_age_seconds: self.rtt.map_or(0.0, |rtt| age(rtt.at)),
            goodput: self.goodput.map(|goodput| goodput.rate),
            goodput_age_seconds: self.goodput.map_or(0.0, |goodput| age(goodput.at)),
            fell_age_seconds: self.goodput.and_then(|goodput| goodput.fell).map(|fall| age(fall.at)),
            slower_since: self.is_slower_since(),
            loss: if self.loss.sent >= 1.0 { (self.loss.lost / self.loss.sent).min(1.0) } else { 0.0 },
        }
    }
}

impl Goodput {
    /// The fall of a link whose goodput is now `found`. To fall deeper is no other fall, and to rise a little no recovery.
    fn fall(&self, at: Instant, found: f64) -> Option<Fall> {
        let (found, rate) = (found.min(GOODPUT_RESOLVED), self.rate.min(GOODPUT_RESOLVED));
        let fresh = (found < rate / GOODPUT_JUMP).then_some(Fall { at, from: rate });
        let lasts = |fall: &Fall| found < fall.from / GOODPUT_JUMP && at < fall.at + LINK_STALE;
        self.fell.map_or(fresh, |fall| Some(fall).filter(lasts))
    }
}

impl LinkEstimate {
    /// The smallest round-trip time, unless it is too old.
    pub fn trusted_rtt(&self) -> Option<f64> {
        // What was short before a collapse says nothing about the link of now.
        let fell = self.fell_age_seconds.is_some_and(|age| age <= MINIMUM_WINDOW.as_secs_f64());
        let found =
            if fell { self.rtt_seconds.or(self.rtt_minimum_seconds) } else { self.rtt_minimum_seconds };
        found.filter(|_| self.rtt_age_seconds <= LINK_STALE.as_secs_f64())
    }

    /// The goodput, unless it is too old.
    pub fn trusted_goodput(&self) -> Option<f64> {
        self.goodput.filter(|_| self.goodput_age_seconds <= LINK_STALE.as_secs_f64())
    }
}

/// Exponentially weighted towards `found`, or `found` itself where it is far away.
fn towards(known: f64, found: f64) -> f64 {
    let far = found > known * GOODPUT_JUMP || found < known / GOODPUT_JUMP;
    if far { found } else { known + GOODPUT_WEIGHT * (found - known) }
}

/// The moment `seconds` before `now`; ages were checked to be sane, and one before the clock began is now's.
fn before(now: Instant, seconds: f64) -> Instant {
    let age = Duration::try_from_secs_f64(seconds).unwrap_or_default();
    now.checked_sub(age).unwrap_or(now)
}

#[cfg(test)]
mod tests {
    use weir_shared::ids::{PeerName, Role};
    use weir_shared::telemetry::{GoodputReading, RttReading};

    use super::*;

    fn report(rtt: f64, rate: f64, samples: u64, packets: (u64, u64)) -> LinkReport {
        let rtt = RttReading {
            seconds: rtt * 3.0,
            variation_seconds: 0.001,
            minimum_seconds: rtt,
            age_seconds: 0.0,
        };
        LinkReport {
            up: true,
            rtt: Some(rtt),
            goodput: Some(GoodputReading { bytes_per_second: rate, samples, age_seconds: 0.0 }),
            packets_sent: packets.0,
            packets_lost: packets.1,
            ..LinkReport::unknown(PeerName::new(Role::Worker, "b").unwrap())
        }
    }

    fn seconds(n: u64) -> Duration {
        Duration::from_secs(n)
    }

    #[test]
    fn own_load_does_not_raise_the_round_trip_time_that_plans_use() {
        let (mut link, start) = (LinkEstimator::default(), Instant::now());
        link.fold(start, &report(0.02, 1e6, 1, (0, 0)), false);
        for n in 1..=2 {
            link.fold(start + seconds(n), &report(0.2, 1e6, 1, (0, 0)), false);
        }
        assert_eq!(link.estimate(start + seconds(2)).trusted_rtt(), Some(0.02));
        link.fold(start + seconds(4), &report(0.2, 1e6, 1, (0, 0)), false);
        assert_eq!(link.estimate(start + seconds(4)).trusted_rtt(), Some(0.2));
    }

    #[test]
    fn noise_is_smoothed_and_a_collapse_is_believed_at_once() {
        let (mut link, start) = (LinkEstimator::default(), Instant::now());
        link.fold(start, &report(0.02, 1e6, 1, (0, 0)), false);
        link.fold(start, &report(0.02, 1.2e6, 2, (0, 0)), false);
        assert_eq!(link.estimate(start).goodput, Some(1.1e6));
        link.fold(start, &report(0.02, 1e5, 3, (0, 0)), false);
        assert_eq!(link.estimate(start).goodput, Some(1e5));
    }

    #[test]
    fn a_fall_is_remembered_until_the_rate_rises_and_a_longer_way_is_seen_on_an_idle_link() {
        let (mut link, start) = (LinkEstimator::default(), Instant::now());
        link.fold(start, &report(0.02, 1e6, 1, (0, 0)), false);
        assert_eq!(link.estimate(start).fell_age_seconds, None);
        link.fold(start + seconds(1), &report(0.02, 1e5, 2, (0, 0)), false);
        assert_eq!(link.estimate(start + seconds(3)).fell_age_seconds, Some(2.0));
        link.fold(start + seconds(4), &report(0.02, 1e6, 3, (0, 0)), false);
        assert_eq!(link.estimate(start + seconds(4)).fell_age_seconds, None);
        assert!(!link.estimate(start + seconds(4)).slower_since);
        link.fold(start + seconds(5), &report(0.2, 1e6, 3, (0, 0)), false);
        assert!(link.estimate(start + seconds(5)).slower_since, "no new transfer, but a longer way");
    }

    #[test]
    fn a_cable_that_is_sometimes_faster_has_not_collapsed() {
        let (mut link, start) = (LinkEstimator::default(), Instant::now());
        for (samples, rate) in [(1, 1e8), (2, 3e7), (3, 9e7), (4, 1.3e7)] {
            link.fold(start, &report(0.001, rate, samples, (0, 0)), false);
            assert_eq!(link.estimate(start).fell_age_seconds, None);
        }
        link.fold(start, &report(0.001, 5e6, 5, (0, 0)), false);
        assert!(link.estimate(start).fell_age_seconds.is_some());
    }

    #[test]
    fn a_link_that_is_dialled_has_not_failed_and_one_that_was_up_has() {
        let (mut link, start) = (LinkEstimator::default(), Instant::now());
        let probed = report(0.4, 1e6, 1, (0, 0));
        let dialled = LinkReport { open: true, up: false, ..probed.clone() };
        let up = LinkReport { open: true, ..probed.clone() };
        let mut failed = |after: u64, report: &LinkReport| {
            link.fold(start + Duration::from_millis(after), report, false);
            link.estimate(start).failed
        };
        assert!(!failed(0, &probed));
        assert!(!failed(250, &dialled) && !failed(500, &dialled), "the first dial of a plan");
        assert!(!failed(750, &up));
        assert!(failed(1000, &dialled) && failed(1250, &dialled), "it was up");
        assert!(!failed(1500, &up));
        assert!(!failed(1750, &probed));
        assert!(!failed(2000, &dialled) && !failed(3900, &dialled) && failed(4000, &dialled), "too long");
        let unreached = LinkReport { up: false, probe_failures: 1, ..probed.clone() };
        assert!(failed(5000, &unreached) && failed(5250, &dialled), "the last probe said so");
    }

    #[test]
    fn what_is_old_is_not_trusted() {
        let (mut link, start) = (LinkEstimator::default(), Instant::now());
        link.fold(start, &report(0.02, 1e6, 1, (0, 0)), false);
        let estimate = link.estimate(start + LINK_STALE + seconds(1));
        assert_eq!((estimate.trusted_rtt(), estimate.trusted_goodput()), (None, None));
        assert_eq!(estimate.goodput, Some(1e6));
    }

    #[test]
    fn loss_is_a_share_of_what_was_sent_lately_and_survives_a_restart() {
        let (mut link, start) = (LinkEstimator::default(), Instant::now());
        link.fold(start, &report(0.02, 1e6, 1, (1000, 0)), false);
        link.fold(start + seconds(1), &report(0.02, 1e6, 1, (1100, 10)), false);
        assert!((link.estimate(start).loss - 0.1).abs() < 1e-9);
        link.fold(start + seconds(2), &report(0.02, 1e6, 1, (3, 0)), true);
        assert!((link.estimate(start).loss - 0.1).abs() < 1e-9);
    }
}
