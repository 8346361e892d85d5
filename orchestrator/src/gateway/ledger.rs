//! The book of admitted requests: who is in, on which attempt, until when.
//!
//! Pure. Each request keeps its input until its one terminal outcome, because inference is pure and can be done
//! again. Attempts are few, and retries as a whole are few: a cluster in trouble must not be buried under them.
//!
//! Always true: a request that was admitted leaves exactly once, with a reply or with an error.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use weir_shared::ids::{Attempt, RequestId};
use weir_shared::plan::PlanId;
use weir_shared::wire::TraceContext;
use weir_shared::wire::control::RequestFailure;

use super::budget::RetryBudget;

/// Attempts at one request. A third failure is the cluster's state, not bad luck.
const ATTEMPTS_MAX: u8 = 3;

/// Pause before the second attempt; doubled before the third.
const BACKOFF: Duration = Duration::from_millis(20);

/// A request with everything that another attempt needs. `R` is where the answer goes.
#[derive(Debug)]
pub struct Pending<R> {
    /// The images, NCHW.
    pub input: Arc<Vec<f32>>,
    /// Number of images.
    pub batch: u16,
    /// When it was admitted.
    pub admitted: Instant,
    /// When it must be answered.
    pub deadline: Instant,
    /// When it was first sent.
    pub sent: Option<Instant>,
    /// The current attempt; 0 before the first.
    pub attempt: Attempt,
    /// The trace that it belongs to.
    pub trace: Option<TraceContext>,
    /// Where the answer goes.
    pub reply: R,
    state: State,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// Waits for a plan, or for the pause before an attempt to pass.
    Waiting { until: Instant },
    /// Under way on a plan.
    Running(PlanId),
}

impl<R> Pending<R> {
    /// The plan on which it is under way.
    pub const fn plan(&self) -> Option<PlanId> {
        match self.state {
            State::Running(plan) => Some(plan),
            State::Waiting { .. } => None,
        }
    }
}

/// Admitted requests.
#[derive(Debug)]
pub struct Ledger<R> {
    capacity: usize,
    pending: BTreeMap<RequestId, Pending<R>>,
    budget: RetryBudget,
    retries: u64,
}

/// What a failed attempt leads to.
#[derive(Debug)]
pub enum Verdict<R> {
    /// Another attempt will be made.
    Retry,
    /// The request has failed for good.
    GiveUp(Pending<R>, GiveUp),
    /// The failure is of an attempt that is over.
    Outdated,
}

/// What an answer leads to.
#[derive(Debug)]
pub enum Answered<R> {
    /// The request is done.
    Done(Pending<R>),
    /// Nobody waits for it: it was answered before, given up, or never asked.
    Unexpected,
    /// It is for another number of images.
    WrongBatch {
        /// As asked.
        expected: u16,
    },
}

/// Why a request has failed for good.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum GiveUp {
    /// Its time is over.
    Expired,
    /// Every attempt failed; the last one for this reason.
    Exhausted(String),
}

impl<R> Ledger<R> {
    /// A book with room for `capacity` requests.
    pub fn new(capacity: usize) -> Self {
        Self { capacity, pending: BTreeMap::new(), budget: RetryBudget::default(), retries: 0 }
    }

    /// Requests that are in.
    pub fn len(&self) -> usize {
        self.pending.len()
    }

    /// Whether no request is in.
    pub fn is_empty(&self) -> bool {
        self.pending.is_empty()
    }

    /// Attempts beyond the first, since the start.
    pub const fn retries(&self) -> u64 {
        self.retries
    }

    /// Takes a request in, or gives back where its answer goes if the book is full.
    ///
    /// # Errors
    /// The reply, when there is no room.
    pub fn admit(&mut self, now: Instant, id: RequestId, request: NewRequest<R>) -> Result<(), R> {
        if self.pending.len() >= self.capacity {
            return Err(request.reply);
        }
        self.budget.admitted();
        let NewRequest { input, batch, deadline, trace, reply } = request;
        let pending = Pending {
            input,
            batch,
            admitted: now,
            deadline,
            sent: None,
            attempt: Attempt(0),
            trace,
            reply,
            state: State::Waiting { until: now },
        };
        self.pending.insert(id, pending);
        Ok(())
    }

    /// Begins the next attempt of every request whose pause is over, on `plan`.
    pub fn begin_due(&mut self, now: Instant, plan: PlanId) -> Vec<RequestId> {
        let mut begun = Vec::new();
        for (&id, pending) in &mut self.pending {
            if !matches!(pending.state, State::Waiting { until } if until <= now) {
                continue;
            }
            if pending.attempt.0 > 0 {
                self.retries += 1;
            }
            pending.attempt = Attempt(pending.attempt.0 + 1);
            pending.sent.get_or_insert(now);
            pending.state = State::Running(plan);
            begun.push(id);
        }
        begun
    }

    /// The request of that number.
    pub fn get(&self, id: RequestId) -> Option<&Pending<R>> {
        self.pending.get(&id)
    }

    /// An answer has come. The first one of any attempt that was made ends the request; a later one finds nothing.
    pub fn answered(&mut self, id: RequestId, attempt: Attempt, batch: u16) -> Answered<R> {
        match self.pending.get(&id) {
            None => Answered::Unexpected,
            Some(pending) if attempt > pending.attempt || attempt.0 == 0 => Answered::Unexpected,
            Some(pending) if pending.batch != batch => Answered::WrongBatch { expected: pending.batch },
            Some(_) => self.pending.remove(&id).map_or(Answered::Unexpected, Answered::Done),
        }
    }

    /// Forgets requests whose client has gone away.
    pub fn forget(&mut self, gone: impl Fn(&R) -> bool) {
        self.pending.retain(|_, pending| !gone(&pending.reply));
    }

    /// An attempt has failed.
    pub fn failed(&mut self, now: Instant, failure: &RequestFailure) -> Verdict<R> {
        let RequestFailure { request, attempt, ref reason, .. } = *failure;
        let Some(pending) = self.pending.get_mut(&request) else { return Verdict::Outdated };
        if pending.attempt != attempt || !matches!(pending.state, State::Running(_)) {
            return Verdict::Outdated;
        }
        // Our own clock decides: a worker may have believed in less time.
        let expired = pending.deadline <= now;
        if !expired && pending.attempt.0 < ATTEMPTS_MAX && self.budget.take() {
            let pause = BACKOFF * (1 << (pending.attempt.0.saturating_sub(1)));
            pending.state = State::Waiting { until: now + pause };
            return Verdict::Retry;
        }
        let why = if expired { GiveUp::Expired } else { GiveUp::Exhausted(reason.to_string()) };
        self.pending.remove(&request).map_or(Verdict::Outdated, |pending| Verdict::GiveUp(pending, why))
    }

    /// A plan has lost a worker, or its time to drain is over: its requests wait for the next plan.
    ///
    /// This is no failure of theirs, so it costs no budget; their attempts still count.
    pub fn interrupt(&mut self, now: Instant, plan: PlanId) -> Vec<Pending<R>> {
        let exhausted = |pending: &Pending<R>| pending.attempt.0 >= ATTEMPTS_MAX;
        let mut given_up = Vec::new();
        let running = self.pending.iter().filter(|(_, pending)| pending.state == State::Running(plan));
        let ids: Vec<RequestId> = running.map(|(&id, _)| id).collect();
        for id in ids {
            match self.pending.get_mut(&id) {
                Some(pending) if !exhausted(pending) => pending.state = State::Waiting { until: now },
                _ => given_up.extend(self.pending.remove(&id)),
            }
        }
        given_up
    }

    /// Removes the requests whose time is over.
    pub fn expire(&mut self, now: Instant) -> Vec<Pending<R>> {
        let over = self.pending.iter().filter(|(_, pending)| pending.deadline <= now);
        let ids: Vec<RequestId> = over.map(|(&id, _)| id).collect();
        ids.into_iter().filter_map(|id| self.pending.remove(&id)).collect()
    }

    /// Whether any request is under way on `plan`.
    pub fn runs_on(&self, plan: PlanId) -> Occupancy {
        let busy = self.pending.values().any(|pending| pending.state == State::Running(plan));
        if busy { Occupancy::Busy } else { Occupancy::Drained }
    }
}

/// A request before it is admitted.
#[derive(Debug)]
pub struct NewRequest<R> {
    /// The images, NCHW.
    pub input: Arc<Vec<f32>>,
    /// Number of images.
    pub batch: u16,
    /// When it must be answered.
    pub deadline: Instant,
    /// The trace that it belongs to.
    pub trace: Option<TraceContext>,
    /// Where the answer goes.
    pub reply: R,
}

/// Whether a plan has requests.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Occupancy {
    /// Requests are under way on it.
    Busy,
    /// None is.
    Drained,
}

#[cfg(test)]
mod tests {
    use weir_shared::ids::{Epoch, Term};
    use weir_shared::wire::control::FailureKind;

    use super::*;

    const fn plan(epoch: u64) -> PlanId {
        PlanId { term: Term(1), epoch: Epoch(epoch) }
    }

    fn admit(ledger: &mut Ledger<()>, now: Instant, id: u128) -> Result<(), ()> {
        let deadline = now + Duration::from_secs(1);
        let request = NewRequest { input: Arc::default(), batch: 1, deadline, trace: None, reply: () };
        ledger.admit(now, RequestId(id), request)
    }

    fn failure(id: u128, attempt: u8, kind: FailureKind) -> RequestFailure {
        let reason = "the link is down".into();
        RequestFailure { request: RequestId(id), attempt: Attempt(attempt), plan: plan(1), kind, reason }
    }

    #[test]
    fn a_full_book_admits_nobody() {
        let (mut ledger, now) = (Ledger::new(1), Instant::now());
        assert_eq!(admit(&mut ledger, now, 1), Ok(()));
        assert_eq!(admit(&mut ledger, now, 2), Err(()));
        ledger.begin_due(now, plan(1));
        assert!(matches!(ledger.answered(RequestId(1), Attempt(1), 1), Answered::Done(_)));
        assert!(matches!(ledger.answered(RequestId(1), Attempt(1), 1), Answered::Unexpected));
        assert_eq!(admit(&mut ledger, now, 3), Ok(()));
    }

    #[test]
    fn a_failed_attempt_is_made_again_after_a_pause_and_not_for_ever() {
        let (mut ledger, mut now) = (Ledger::new(4), Instant::now());
        admit(&mut ledger, now, 1).unwrap();
        for attempt in 1..=2 {
            assert_eq!(ledger.begin_due(now, plan(1)), [RequestId(1)]);
            let verdict = ledger.failed(now, &failure(1, attempt, FailureKind::LinkDown));
            assert!(matches!(verdict, Verdict::Retry));
            assert_eq!(ledger.begin_due(now, plan(1)), []);
            now += BACKOFF * 4;
        }
        ledger.begin_due(now, plan(1));
        let verdict = ledger.failed(now, &failure(1, 3, FailureKind::LinkDown));
        assert!(matches!(verdict, Verdict::GiveUp(_, GiveUp::Exhausted(reason)) if reason.contains("link")));
        assert_eq!((ledger.len(), ledger.retries()), (0, 2));
    }

    #[test]
    fn a_late_failure_of_an_old_attempt_changes_nothing() {
        let (mut ledger, now) = (Ledger::new(4), Instant::now());
        admit(&mut ledger, now, 1).unwrap();
        ledger.begin_due(now, plan(1));
        ledger.failed(now, &failure(1, 1, FailureKind::StalePlan));
        let again = ledger.failed(now, &failure(1, 1, FailureKind::StalePlan));
        assert!(matches!(again, Verdict::Outdated));
    }

    #[test]
    fn requests_of_a_broken_plan_wait_for_the_next_one() {
        let (mut ledger, now) = (Ledger::new(4), Instant::now());
        admit(&mut ledger, now, 1).unwrap();
        ledger.begin_due(now, plan(1));
        assert_eq!(ledger.runs_on(plan(1)), Occupancy::Busy);
        assert!(ledger.interrupt(now, plan(1)).is_empty());
        assert_eq!(ledger.runs_on(plan(1)), Occupancy::Drained);
        assert_eq!(ledger.begin_due(now, plan(2)), [RequestId(1)]);
        assert_eq!(ledger.get(RequestId(1)).map(|pending| pending.attempt), Some(Attempt(2)));
    }

    #[test]
    fn an_answer_must_fit_what_was_asked() {
        let (mut ledger, now) = (Ledger::new(4), Instant::now());
        admit(&mut ledger, now, 1).unwrap();
        ledger.begin_due(now, plan(1));
        let wrong = ledger.answered(RequestId(1), Attempt(1), 2);
        assert!(matches!(wrong, Answered::WrongBatch { expected: 1 }));
        assert!(matches!(ledger.answered(RequestId(1), Attempt(2), 1), Answered::Unexpected));
        assert!(matches!(ledger.answered(RequestId(1), Attempt(1), 1), Answered::Done(_)));
    }

    #[test]
    fn a_worker_cannot_end_a_request_by_saying_that_its_time_is_over() {
        let (mut ledger, now) = (Ledger::new(4), Instant::now());
        admit(&mut ledger, now, 1).unwrap();
        ledger.begin_due(now, plan(1));
        assert!(matches!(ledger.failed(now, &failure(1, 1, FailureKind::Expired)), Verdict::Retry));
    }

    #[test]
    fn the_deadline_ends_a_request_wherever_it_is() {
        let (mut ledger, now) = (Ledger::new(4), Instant::now());
        admit(&mut ledger, now, 1).unwrap();
        assert!(ledger.expire(now).is_empty());
        assert_eq!(ledger.expire(now + Duration::from_secs(2)).len(), 1);
        assert!(ledger.is_empty());
    }
}
