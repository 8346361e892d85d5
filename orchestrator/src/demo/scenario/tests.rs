//! What a scenario file may say, what it may not, and when things happen.

use std::path::Path;
use std::time::Duration;

use super::arrivals::arrivals;
use super::*;

const HEAD: &str = r#"
version = 1
name = "test"
duration_seconds = 10
[load]
requests_per_second = 10
[[worker]]
name = "camera"
link = "good-wifi"
power = { idle_watts = 2.0, max_watts = 6.0, budget_watts = 4.0 }
[[worker]]
name = "router"
gmacs_per_second = 2.0
memory_limit_mb = 600
"#;

fn parse(rest: &str) -> Result<Scenario, ScenarioError> {
    Scenario::parse(&format!("{HEAD}{rest}"), Path::new("s.toml"))
}

/// The error must name the field and hold the hint.
fn check(rest: &str, expect: &[&str]) {
    let error = weir_shared::chain(&parse(rest).unwrap_err());
    for expect in expect {
        assert!(error.contains(expect), "{rest}: should say {expect:?}, but says {error}");
    }
}

#[test]
fn mistakes_are_named_by_their_field() {
    check("[[worker]]\nname = \"Camera\"", &["worker[2].name"]);
    check("[[worker]]\nname = \"camera\"", &["worker[2].name", "another peer"]);
    check(
        "[[worker]]\nname = \"attic\"\ngmacs_per_second = 0",
        &["worker[2].gmacs_per_second", "0.001 to 1000000"],
    );
    check("[[worker]]\nname = \"attic\"\nlink = \"5g\"", &["worker[2].link", "good-wifi"]);
    check("[[worker]]\nname = \"attic\"\nmemory = 3", &["memory"]);
    check("[[event]]\nkind = \"kill\"\nworker = \"camera\"", &["event[0].at_seconds"]);
    check(
        "[[event]]\nat_seconds = 1\nkind = \"kill\"\nworker = \"barn\"",
        &["event[0].worker", "camera, router"],
    );
    check("[[event]]\nat_seconds = 1\nkind = \"start\"\nworker = \"camera\"", &["event[0].worker", "runs"]);
    check("[[event]]\nat_seconds = 1\nkind = \"dance\"", &["event[0]", "dance"]);
    check("[[event]]\nat_seconds = 11\nkind = \"heal\"", &["event[0].at_seconds", "before duration_seconds"]);
    check(
        "[[event]]\nat_seconds = 1\nkind = \"power\"\nworker = \"router\"\nfactor = 0.5",
        &["event[0].factor", "no budget_watts"],
    );
    check("[[event]]\nat_seconds = 1\nkind = \"load\"", &["event[0].factor", "either factor or"]);
    check(
        "[[event]]\nat_seconds = 1\nkind = \"link\"\nworker = \"camera\"\nlink = { rate = 3 }",
        &["event[0].link", "rate_kbit"],
    );
    let error =
        Scenario::parse(&HEAD.replace("version = 1", "version = 9"), Path::new("s.toml")).unwrap_err();
    assert!(error.to_string().contains("version: 9"), "{error}");
}

#[test]
fn a_link_collapses_and_heals() {
    let scenario = parse(
        "[[event]]\nat_seconds = 2\nkind = \"link\"\nworker = \"camera\"\nwith = \"router\"\nlink = { preset = \"good-wifi\", rate_kbit = 400 }\n\
         [[event]]\nat_seconds = 4\nkind = \"heal\"",
    )
    .unwrap();
    let mut timeline = Timeline::new(&scenario);
    assert_eq!(timeline.link("camera", "router").unwrap().name, "good-wifi", "as good as its worse end");
    assert_eq!(timeline.advance(Duration::from_millis(1999)), []);
    assert_eq!(timeline.next_due(), Some(Duration::from_secs(2)));
    let steps = timeline.advance(Duration::from_secs(2));
    assert_eq!(steps.len(), 3, "the event and both directions: {steps:?}");
    let changed = timeline.link("router", "camera").unwrap();
    assert_eq!(changed.conditions.rate.unwrap().per_second(), 400_000);
    assert_eq!(changed.name, "good-wifi with 400 kbit/s");
    assert_eq!(timeline.link("main", "camera").unwrap().name, "good-wifi");
    assert_eq!(timeline.advance(Duration::from_secs(5)).len(), 3);
    assert_eq!(timeline.next_due(), None);
}

#[test]
fn noise_stays_within_its_share_until_it_heals() {
    let scenario =
        parse("[[event]]\nat_seconds = 1\nkind = \"noise\"\npercent = 20\nperiod_ms = 100").unwrap();
    let mut timeline = Timeline::new(&scenario);
    let base = timeline.link("camera", "router").unwrap().conditions.delay;
    for step in 0..50 {
        let steps = timeline.advance(Duration::from_millis(1000 + step * 100));
        let set = steps.iter().find_map(|step| match step {
            Step::Set { from, to, conditions } if (from.as_str(), to.as_str()) == ("camera", "router") => {
                Some(conditions.delay)
            }
            _ => None,
        });
        let share = set.unwrap().as_secs_f64() / base.as_secs_f64();
        assert!((0.8..=1.2).contains(&share), "{share}");
    }
}

#[test]
fn an_event_may_happen_again_and_again() {
    let policy = |at: f64, minimise: &str| {
        format!(
            "[[event]]\nat_seconds = {at}\nkind = \"policy\"\nrepeat = {{ every_seconds = 2, times = 3 }}\n\
             policy = {{ minimise = \"{minimise}\" }}\n"
        )
    };
    let scenario = parse(&(policy(1.0, "latency") + &policy(2.0, "energy"))).unwrap();
    let at: Vec<_> = scenario.events.iter().map(|event| event.at.as_secs()).collect();
    assert_eq!(at, [1, 2, 3, 4, 5, 6]);
    check(&policy(7.0, "latency"), &["event[0].repeat", "at 11 s"]);
    let kill = "[[event]]\nat_seconds = 1\nkind = \"kill\"\nworker = \"camera\"\nrepeat = { every_seconds = 1, times = 2 }";
    check(kill, &["event[0].repeat", "only link, heal and policy"]);
}

#[test]
fn factors_are_of_what_was_true_before() {
    let scenario = parse(
        "[[event]]\nat_seconds = 2\nkind = \"power\"\nworker = \"camera\"\nfactor = 0.5\n\
         [[event]]\nat_seconds = 5\nkind = \"load\"\nfactor = 2.0",
    )
    .unwrap();
    assert_eq!(scenario.events[0].action, Action::Budget { worker: "camera".to_owned(), watts: 2.0 });
    assert_eq!(scenario.events[1].action, Action::Load(20.0));
    let arrivals = arrivals(&scenario, 7);
    assert_eq!(arrivals.len(), 50 + 100);
    assert!(arrivals.iter().all(|arrival| arrival.image < 7));
}

#[test]
fn arrivals_are_the_same_again_and_on_average_as_many_as_asked() {
    let text = HEAD.replace("requests_per_second = 10", "requests_per_second = 100\narrivals = \"poisson\"");
    let scenario = Scenario::parse(&text, Path::new("s.toml")).unwrap();
    let first = arrivals(&scenario, 1);
    assert_eq!(first, arrivals(&scenario, 1));
    assert!((900..1100).contains(&first.len()), "{}", first.len());
}

#[test]
fn the_scenarios_that_come_with_weir_can_be_read() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../scenarios");
    let files: Vec<_> = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    let toml: Vec<_> =
        files.iter().filter(|path| path.extension().is_some_and(|ext| ext == "toml")).collect();
    assert!(toml.len() >= 3, "{files:?}");
    for path in toml {
        Scenario::load(path).unwrap();
    }
}
