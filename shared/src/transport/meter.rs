//! Watches a connection's acknowledgements: round-trip times, and when how many bytes were acknowledged.
//!
//! QUIC's path statistics give the smoothed round-trip time only. Congestion control hears of every acknowledgement, so
//! the meter sits around the congestion controller and changes nothing. It is found again through
//! [`Connection::congestion_state`](quinn::Connection::congestion_state).

use std::any::Any;
use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use quinn::congestion::{Controller, ControllerFactory, ControllerMetrics};
use quinn_proto::RttEstimator;

use crate::telemetry::{RecentMinimum, RttLevel, RttReading};

/// Acknowledgements that are remembered: those of a megabyte, at one for every second packet.
const ACKS: usize = 512;

/// The minimum is of one to two of these.
const MINIMUM_SPAN: Duration = Duration::from_secs(1);

/// What was seen on one connection. Cheap to clone.
#[derive(Clone)]
pub(super) struct PathMeter {
    state: Arc<Mutex<State>>,
}

struct State {
    acked: u64,
    acks: VecDeque<(Instant, u64)>,
    smoothed: Option<f64>,
    variation: f64,
    minimum: RecentMinimum,
    /// When the newest sample came.
    sampled: Option<Instant>,
    level: RttLevel,
    /// When the level changed last, until somebody has asked.
    stepped: Option<Instant>,
}

impl PathMeter {
    fn new() -> Self {
        let state = State {
            acked: 0,
            acks: VecDeque::new(),
            smoothed: None,
            variation: 0.0,
            minimum: RecentMinimum::new(MINIMUM_SPAN),
            sampled: None,
            level: RttLevel::default(),
            stepped: None,
        };
        Self { state: Arc::new(Mutex::new(state)) }
    }

    /// The meter of a connection of ours; none if it was made with other settings.
    pub(super) fn of(connection: &quinn::Connection) -> Option<Self> {
        let metered = connection.congestion_state().into_any().downcast::<Metered>().ok()?;
        Some(metered.meter)
    }

    /// Bytes acknowledged so far, headers included.
    pub(super) fn acked(&self) -> u64 {
        self.lock().acked
    }

    /// When the connection had `acked` bytes acknowledged, if it had and is remembered.
    pub(super) fn when_acked(&self, acked: u64) -> Option<Instant> {
        let state = self.lock();
        let first = state.acks.partition_point(|&(_, so_far)| so_far < acked);
        state.acks.get(first).map(|&(at, _)| at)
    }

    /// The smallest round-trip time of the last seconds, or the smoothed one where there was no sample.
    pub(super) fn rtt_minimum(&self, now: Instant) -> Duration {
        let mut state = self.lock();
        let seconds = state.minimum.get(now).or(state.smoothed).unwrap_or(0.0);
        Duration::from_secs_f64(seconds)
    }

    /// Round-trip times, once there is one. `smoothed` is what the connection says now.
    pub(super) fn rtt(&self, now: Instant, smoothed: Duration) -> Option<RttReading> {
        let mut state = self.lock();
        state.note(now, smoothed.as_secs_f64());
        let sampled = state.sampled?;
        let minimum = state.minimum.get(now).or(state.smoothed).unwrap_or(0.0);
        Some(RttReading {
            seconds: smoothed.as_secs_f64(),
            variation_seconds: state.variation,
            minimum_seconds: minimum,
            age_seconds: now.saturating_duration_since(sampled).as_secs_f64(),
        })
    }

    /// When the path has become another one, if it has since this was asked last.
    pub(super) fn take_step(&self) -> Option<Instant> {
        self.lock().stepped.take()
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// Takes the sample out of a smoothed value: RFC 9002, section 5.3, `smoothed = 7/8 smoothed + 1/8 adjusted`, solved
    /// for `adjusted`, which has the peer's stated delay taken off. An unchanged value is no new sample.
    fn note(&mut self, now: Instant, smoothed: f64) {
        let sample = match self.smoothed {
            Some(before) if before == smoothed => return,
            Some(before) => (8.0 * smoothed - 7.0 * before).max(0.0),
            None => smoothed,
        };
        // Same section: rttvar = 3/4 rttvar + 1/4 |smoothed - adjusted|, from half the first sample.
        self.variation = match self.smoothed {
            Some(before) => 0.75 * self.variation + 0.25 * (before - sample).abs(),
            None => sample / 2.0,
        };
        self.smoothed = Some(smoothed);
        self.minimum.add(now, sample);
        self.sampled = Some(now);
        if self.level.step(now, sample) {
            self.stepped = Some(now);
        }
    }
}

/// Makes congestion controllers with a meter around them.
pub(super) struct MeteredFactory(pub(super) Arc<dyn ControllerFactory + Send + Sync>);

impl ControllerFactory for MeteredFactory {
    fn build(self: Arc<Self>, now: Instant, current_mtu: u16) -> Box<dyn Controller> {
        let controller = Arc::clone(&self.0).build(now, current_mtu);
        Box::new(Metered { controller, meter: PathMeter::new() })
    }
}

/// A congestion controller that is watched.
struct Metered {
    controller: Box<dyn Controller>,
    meter: PathMeter,
}

impl Controller for Metered {
    fn on_sent(&mut self, now: Instant, bytes: u64, last_packet_number: u64) {
        self.controller.on_sent(now, bytes, last_packet_number);
    }

    fn on_ack(&mut self, now: Instant, sent: Instant, bytes: u64, app_limited: bool, rtt: &RttEstimator) {
        {
            let mut state = self.meter.lock();
            state.acked += bytes;
            // Before the first sample the estimator holds a guess.
            if state.acks.len() > 1 || state.smoothed.is_some() {
                state.note(now, rtt.get().as_secs_f64());
            }
        }
        self.controller.on_ack(now, sent, bytes, app_limited, rtt);
    }

    fn on_end_acks(&mut self, now: Instant, in_flight: u64, app_limited: bool, largest: Option<u64>) {
        {
            let mut state = self.meter.lock();
            let acked = state.acked;
            if state.acks.back().is_none_or(|&(_, before)| before < acked) {
                if state.acks.len() == ACKS {
                    state.acks.pop_front();
                }
                state.acks.push_back((now, acked));
            }
        }
        self.controller.on_end_acks(now, in_flight, app_limited, largest);
    }

    fn on_congestion_event(
        &mut self,
        now: Instant,
        sent: Instant,
        is_persistent_congestion: bool,
        lost_bytes: u64,
    ) {
        self.controller.on_congestion_event(now, sent, is_persistent_congestion, lost_bytes);
    }

    fn on_mtu_update(&mut self, new_mtu: u16) {
        self.controller.on_mtu_update(new_mtu);
    }

    fn window(&self) -> u64 {
        self.controller.window()
    }

    fn metrics(&self) -> ControllerMetrics {
        self.controller.metrics()
    }

    fn clone_box(&self) -> Box<dyn Controller> {
        Box::new(Self { controller: self.controller.clone_box(), meter: self.meter.clone() })
    }

    fn initial_window(&self) -> u64 {
        self.controller.initial_window()
    }

    fn into_any(self: Box<Self>) -> Box<dyn Any> {
        self
    }
}
