//! A request of our own through the live plan, to see that it still answers, and still the same.
//!
//! Pure. One canary is under way at most, and only while somebody asks whether the gateway is ready. It stands in no
//! ledger and in no statistics, so users' figures and the load that plans are made for know nothing of it.
//!
//! What it may conclude: an answer that is not finite, or differs from the plan's first, condemns the plan's readiness
//! at once. No answer does so only if users get none either: a canary that waits behind many users proves nothing.

use std::time::{Duration, Instant};

use weir_shared::ids::{Attempt, RequestId};
use weir_shared::plan::PlanId;

/// A verdict is good for so long. Kubernetes asks every few seconds; nobody is served better by more canaries.
const FRESH: Duration = Duration::from_secs(2);

/// An answer may take so long. With [`FRESH`], a stage that computes no more is noticed within five seconds.
const LIMIT: Duration = Duration::from_secs(3);

/// A pipeline that is slow by nature gets so many times what the plan's last canary took.
const SLOWNESS: u32 = 4;

/// Pause before another attempt.
const PAUSE: Duration = Duration::from_millis(50);

/// What a canary found.
#[derive(Debug, Clone, PartialEq)]
pub enum Verdict {
    /// The answer came, is finite and as it was before.
    Passed {
        /// From its send to its logits.
        took: Duration,
    },
    /// No answer came, and users were answered meanwhile.
    Busy,
    /// No answer came.
    Missing {
        /// For people.
        reason: String,
    },
    /// Logits that are no numbers.
    NotFinite,
    /// Other logits than the first canary of this plan got.
    Different,
}

/// The canary of the live plan. `W` is told the verdict.
#[derive(Debug)]
pub struct Canary<W> {
    plan: Option<PlanId>,
    first: Option<Vec<f32>>,
    usual: Option<Duration>,
    verdict: Option<(Instant, Verdict)>,
    running: Option<Running>,
    waiting: Vec<W>,
}

#[derive(Debug)]
struct Running {
    began: Instant,
    until: Instant,
    id: RequestId,
    attempt: Attempt,
    /// When the attempt under way was sent; none in the pause before the next.
    sent: Result<Instant, Pause>,
}

#[derive(Debug)]
struct Pause {
    until: Instant,
    reason: String,
}

/// A canary to send.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Launch {
    /// Its number.
    pub id: RequestId,
    /// Which attempt this is.
    pub attempt: Attempt,
    /// Of no use to anybody after this.
    pub until: Instant,
}

impl Verdict {
    /// The value of the metric label `outcome`.
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Passed { .. } => "passed",
            Self::Busy => "busy",
            Self::Missing { .. } => "missing",
            Self::NotFinite => "not_finite",
            Self::Different => "different",
        }
    }

    /// Whether requests may be sent on its strength.
    pub const fn is_good(&self) -> bool {
        matches!(self, Self::Passed { .. } | Self::Busy)
    }
}

impl<W> Canary<W> {
    /// Before any plan.
    pub const fn new() -> Self {
        Self { plan: None, first: None, usual: None, verdict: None, running: None, waiting: Vec::new() }
    }

    /// The plan that is live now. What was found of another one counts no more; who waits gets nothing.
    pub fn on(&mut self, plan: Option<PlanId>) {
        if self.plan != plan {
            *self = Self { plan, ..Self::new() };
        }
    }

    /// What is known, if anything is.
    pub fn known(&self) -> Option<&Verdict> {
        self.verdict.as_ref().map(|(_, verdict)| verdict)
    }

    /// Whether what is known is too old to answer with.
    pub fn is_stale(&self, now: Instant) -> bool {
        self.verdict.as_ref().is_none_or(|(at, _)| now >= *at + FRESH)
    }

    /// Somebody waits for the next verdict. A canary is begun unless one is under way; `slowest` bounds the plan's first.
    pub fn wait(&mut self, now: Instant, waiter: W, id: RequestId, slowest: Duration) {
        self.waiting.push(waiter);
        if self.running.is_some() {
            return;
        }
        let limit = self.usual.map_or(slowest, |usual| LIMIT.max(usual * SLOWNESS).min(slowest));
        let pause = Pause { until: now, reason: String::new() };
        let running = Running { began: now, until: now + limit, id, attempt: Attempt(0), sent: Err(pause) };
        self.running = Some(running);
    }

    /// The attempt that is due, if one is; from now on it is under way.
    pub fn launch(&mut self, now: Instant) -> Option<Launch> {
        let running = self.running.as_mut()?;
        if !matches!(&running.sent, Err(pause) if pause.until <= now) {
            return None;
        }
        running.attempt = Attempt(running.attempt.0.saturating_add(1));
        running.sent = Ok(now);
        Some(Launch { id: running.id, attempt: running.attempt, until: running.until })
    }

    /// Whether that is the number of the canary under way.
    pub fn is(&self, id: RequestId) -> bool {
        self.running.as_ref().is_some_and(|running| running.id == id)
    }

    /// Its logits have come.
    pub fn answered(&mut self, now: Instant, logits: &[f32]) -> Option<(Verdict, Vec<W>)> {
        let Running { began, sent, .. } = self.running.take()?;
        if !logits.iter().all(|logit| logit.is_finite()) {
            return Some(self.conclude(now, Verdict::NotFinite));
        }
        let first = self.first.get_or_insert_with(|| logits.to_vec());
        // Bit for bit: a plan's stages compute the same from the same.
        if first.len() != logits.len() || first.iter().zip(logits).any(|(a, b)| a.to_bits() != b.to_bits()) {
            return Some(self.conclude(now, Verdict::Different));
        }
        let took = now - sent.unwrap_or(began);
        self.usual = Some(took);
        Some(self.conclude(now, Verdict::Passed { took }))
    }

    /// Its attempt has failed; another one is made while there is time.
    pub fn failed(&mut self, now: Instant, attempt: Attempt, reason: String) {
        if let Some(running) = self.running.as_mut().filter(|running| running.attempt == attempt) {
            running.sent = Err(Pause { until: now + PAUSE, reason });
        }
    }

    /// Ends a canary whose time is over. `users` is when a user's request was last answered on this plan.
    pub fn expire(&mut self, now: Instant, users: Option<Instant>) -> Option<(Verdict, Vec<W>)> {
        let running = self.running.take_if(|running| running.until <= now)?;
        if users.is_some_and(|users| users >= running.began) {
            return Some(self.conclude(now, Verdict::Busy));
        }
        let waited = running.until - running.began;
        let reason = match running.sent {
            Err(Pause { reason, .. }) if !reason.is_empty() => reason,
            _ => format!("nothing came back within {waited:?}"),
        };
        Some(self.conclude(now, Verdict::Missing { reason }))
    }

    fn conclude(&mut self, now: Instant, verdict: Verdict) -> (Verdict, Vec<W>) {
        self.verdict = Some((now, verdict.clone()));
        (verdict, std::mem::take(&mut self.waiting))
    }
}

#[cfg(test)]
mod tests {
    use weir_shared::ids::{Epoch, Term};

    use super::*;

    const SLOWEST: Duration = Duration::from_secs(10);

    struct Scene {
        canary: Canary<u8>,
        now: Instant,
    }

    impl Scene {
        fn new() -> Self {
            let mut canary = Canary::new();
            canary.on(Some(plan(1)));
            Self { canary, now: Instant::now() }
        }

        fn pass(&mut self, seconds: f64) {
            self.now += Duration::from_secs_f64(seconds);
        }

        fn begin(&mut self) -> Launch {
            self.canary.wait(self.now, 7, RequestId(9), SLOWEST);
            self.canary.launch(self.now).unwrap()
        }

        fn answer(&mut self, logits: &[f32]) -> Verdict {
            let (verdict, told) = self.canary.answered(self.now, logits).unwrap();
            assert_eq!(told, [7]);
            verdict
        }
    }

    const fn plan(epoch: u64) -> PlanId {
        PlanId { term: Term(1), epoch: Epoch(epoch) }
    }

    #[test]
    fn the_same_answer_passes_and_another_does_not() {
        let mut scene = Scene::new();
        scene.begin();
        scene.pass(0.2);
        assert_eq!(scene.answer(&[1.0, 2.0]), Verdict::Passed { took: Duration::from_millis(200) });
        assert!(!scene.canary.is_stale(scene.now));
        scene.pass(2.5);
        assert!(scene.canary.is_stale(scene.now));
        scene.begin();
        assert_eq!(scene.answer(&[1.0, 2.000_001]), Verdict::Different);
        scene.begin();
        assert_eq!(scene.answer(&[1.0, f32::NAN]), Verdict::NotFinite);
        scene.begin();
        assert!(scene.answer(&[1.0, 2.0]).is_good());
    }

    #[test]
    fn another_plan_is_judged_anew() {
        let mut scene = Scene::new();
        scene.begin();
        scene.answer(&[1.0]);
        scene.canary.on(Some(plan(2)));
        assert_eq!(scene.canary.known(), None);
        scene.begin();
        assert!(scene.answer(&[3.0]).is_good());
    }

    #[test]
    fn a_pipeline_that_stops_is_missed_within_three_seconds() {
        let mut scene = Scene::new();
        scene.begin();
        scene.pass(0.1);
        scene.answer(&[1.0]);
        scene.begin();
        scene.pass(2.9);
        assert_eq!(scene.canary.expire(scene.now, None), None);
        scene.pass(0.2);
        let (verdict, _) = scene.canary.expire(scene.now, None).unwrap();
        assert!(matches!(verdict, Verdict::Missing { reason } if reason.contains("3s")));
    }

    #[test]
    fn users_who_are_answered_speak_for_a_canary_that_is_not() {
        let mut scene = Scene::new();
        let before = scene.now;
        scene.pass(1.0);
        scene.begin();
        scene.pass(11.0);
        let (verdict, _) = scene.canary.expire(scene.now, Some(scene.now)).unwrap();
        assert_eq!(verdict, Verdict::Busy);
        scene.begin();
        scene.pass(11.0);
        assert!(!scene.canary.expire(scene.now, Some(before)).unwrap().0.is_good());
    }

    #[test]
    fn a_lost_attempt_is_made_again_after_a_pause() {
        let mut scene = Scene::new();
        let first = scene.begin();
        scene.canary.failed(scene.now, first.attempt, "the link is down".to_owned());
        assert_eq!(scene.canary.launch(scene.now), None);
        scene.pass(0.06);
        let second = scene.canary.launch(scene.now).unwrap();
        assert_eq!((second.attempt, second.id), (Attempt(2), first.id));
        scene.canary.failed(scene.now, first.attempt, "late news".to_owned());
        assert!(scene.answer(&[1.0]).is_good());
    }

    #[test]
    fn a_slow_network_gets_the_time_that_it_needs() {
        let mut scene = Scene::new();
        scene.begin();
        scene.pass(2.0);
        scene.answer(&[1.0]);
        assert_eq!(scene.begin().until, scene.now + Duration::from_secs(8));
    }
}
