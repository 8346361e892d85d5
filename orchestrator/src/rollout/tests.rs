//! Rollouts as stories.

use super::*;
use crate::planner::tests::two_stage_plan;

fn worker(name: &str) -> WorkerId {
    name.parse().unwrap()
}

struct Story {
    rollout: Rollout,
    now: Instant,
    plan: Arc<Plan>,
}

fn begin(old: Option<Arc<Plan>>) -> Story {
    begin_with(old, BTreeSet::new())
}

fn begin_with(old: Option<Arc<Plan>>, linked: BTreeSet<WorkerId>) -> Story {
    let plan = Arc::new(two_stage_plan(2));
    let now = Instant::now();
    let (rollout, first) = Rollout::begin(now, plan.clone(), old, Duration::from_secs(5), linked);
    assert_eq!(first, [Step::Prepare(worker("a")), Step::Prepare(worker("b"))]);
    Story { rollout, now, plan }
}

impl Story {
    fn on(&mut self, event: Event) -> Vec<Step> {
        self.rollout.on(self.now, event)
    }

    fn prepared(&mut self) -> Vec<Step> {
        self.on(Event::Prepared(worker("a"), self.plan.hash()));
        self.on(Event::Prepared(worker("b"), self.plan.hash()))
    }

    fn connected(&mut self) -> Vec<Step> {
        self.on(Event::Connected(worker("b")));
        self.on(Event::GatewayConnected);
        self.on(Event::Connected(worker("a")))
    }
}

#[test]
fn a_plan_is_committed_when_everyone_is_ready_and_the_old_one_retired_when_drained() {
    let old = Arc::new(two_stage_plan(1));
    let mut story = begin(Some(old.clone()));
    assert_eq!(
        story.prepared(),
        [Step::Connect(worker("a")), Step::Connect(worker("b")), Step::ConnectGateway]
    );
    assert_eq!(story.connected(), [Step::Remember]);
    assert_eq!(story.on(Event::Remembered), [Step::Commit]);
    let retire = |name| Step::Retire(worker(name), old.id());
    assert_eq!(story.on(Event::Drained), [retire("a"), retire("b"), Step::Finished]);
    assert_eq!(story.on(Event::Drained), []);
}

#[test]
fn whoever_reaches_its_peers_already_is_not_asked_to() {
    let linked = BTreeSet::from([worker("a"), worker("b")]);
    let mut story = begin_with(Some(Arc::new(two_stage_plan(1))), linked);
    assert_eq!(story.prepared(), [Step::ConnectGateway]);
    assert_eq!(story.on(Event::GatewayConnected), [Step::Remember]);
}

#[test]
fn a_plan_that_never_drains_is_retired_at_the_deadline() {
    let mut story = begin(Some(Arc::new(two_stage_plan(1))));
    story.prepared();
    story.connected();
    story.on(Event::Remembered);
    assert_eq!(story.on(Event::Tick), []);
    story.now += Duration::from_secs(6);
    assert_eq!(story.on(Event::Tick).last(), Some(&Step::Finished));
}

#[test]
fn a_refusal_aborts_and_the_new_plan_is_forgotten() {
    let mut story = begin(None);
    let steps = story.on(Event::Refused(worker("b"), "wrong digest".to_owned(), BTreeSet::new()));
    let id = story.plan.id();
    assert_eq!(steps[..2], [Step::Retire(worker("a"), id), Step::Retire(worker("b"), id)]);
    let fault = Fault::Workers(BTreeSet::from([worker("b")]));
    assert_eq!(steps[2], Step::Aborted(Abort { reason: "worker b: wrong digest".to_owned(), fault }));
    assert_eq!(story.prepared(), []);
}

#[test]
fn a_worker_that_prepared_something_else_aborts() {
    let mut story = begin(None);
    let other = two_stage_plan(9).hash();
    let steps = story.on(Event::Prepared(worker("a"), other));
    assert!(matches!(steps.last(), Some(Step::Aborted(abort)) if abort.reason.contains("another hash")));
}

#[test]
fn silence_aborts_and_names_the_silent() {
    let mut story = begin(None);
    story.on(Event::Prepared(worker("a"), story.plan.hash()));
    story.now += PREPARE_MAX;
    let steps = story.on(Event::Tick);
    assert!(
        matches!(steps.last(), Some(Step::Aborted(abort)) if abort.reason.starts_with("b did not prepare"))
    );
}

#[test]
fn a_stranger_that_is_lost_does_not_matter() {
    let mut story = begin(None);
    assert_eq!(story.on(Event::Lost(worker("z"))), []);
    assert!(matches!(story.on(Event::Lost(worker("a"))).last(), Some(Step::Aborted(_))));
}

#[test]
fn the_first_plan_has_nothing_to_drain() {
    let mut story = begin(None);
    story.prepared();
    story.connected();
    assert_eq!(story.on(Event::Remembered), [Step::Commit, Step::Finished]);
}

#[test]
fn what_strangers_say_does_not_matter() {
    let mut story = begin(None);
    let refused = Event::Refused(worker("z"), "no".to_owned(), BTreeSet::new());
    assert_eq!(story.on(refused), []);
    assert_eq!(story.on(Event::Prepared(worker("z"), two_stage_plan(9).hash())), []);
    assert_eq!(story.prepared().len(), 3);
}

#[test]
fn a_worker_that_nobody_reaches_is_blamed_and_not_the_one_who_says_so() {
    let mut story = begin(None);
    story.prepared();
    let unreachable = BTreeSet::from([worker("b")]);
    let steps = story.on(Event::Refused(worker("a"), "b did not let us in".to_owned(), unreachable.clone()));
    assert!(matches!(steps.last(), Some(Step::Aborted(abort)) if abort.fault == Fault::Workers(unreachable)));
}

#[test]
fn a_loss_while_draining_ends_the_rollout_at_once() {
    let mut story = begin(Some(Arc::new(two_stage_plan(1))));
    story.prepared();
    story.connected();
    story.on(Event::Remembered);
    assert_eq!(story.on(Event::Lost(worker("a"))).last(), Some(&Step::Finished));
}

#[test]
fn a_plan_that_cannot_be_remembered_is_not_committed_and_nobody_else_is_to_blame() {
    let mut story = begin(Some(Arc::new(two_stage_plan(1))));
    assert_eq!(story.on(Event::Remembered), [], "nothing was written yet");
    story.prepared();
    story.connected();
    let steps = story.on(Event::NotRemembered("no space".to_owned()));
    let id = story.plan.id();
    assert_eq!(steps[..2], [Step::Retire(worker("a"), id), Step::Retire(worker("b"), id)]);
    assert_eq!(steps[2], Step::Aborted(Abort { reason: "no space".to_owned(), fault: Fault::Journal }));
    assert_eq!(story.on(Event::Remembered), []);
}

#[test]
fn a_disk_that_hangs_and_a_loss_meanwhile_abort() {
    let waiting = || {
        let mut story = begin(Some(Arc::new(two_stage_plan(1))));
        story.prepared();
        assert_eq!(story.connected(), [Step::Remember]);
        story
    };
    let mut story = waiting();
    story.now += REMEMBER_MAX;
    let steps = story.on(Event::Tick);
    assert!(matches!(steps.last(), Some(Step::Aborted(abort)) if abort.fault == Fault::Journal));
    let mut story = waiting();
    let steps = story.on(Event::Lost(worker("b")));
    assert!(matches!(steps.last(), Some(Step::Aborted(abort)) if abort.fault == Fault::Loss));
    assert_eq!(story.on(Event::Remembered), [], "what comes too late commits nothing");
}
