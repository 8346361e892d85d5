//! `docs/snapshot.schema.json` and the planner agree on what a snapshot is.

use serde_json::{Value, json};
use weir_orchestrator::planner::snapshot::Snapshot;
use weir_orchestrator::planner::{Effort, Policy, solve};
use weir_shared::arch::Arch;

use crate::instances::Recipe;

fn schema() -> jsonschema::Validator {
    let text = include_str!("../../../docs/snapshot.schema.json");
    jsonschema::draft202012::new(&serde_json::from_str(text).unwrap()).unwrap()
}

fn real() -> Value {
    let mut snapshot = Recipe { limited: 0.5, ..Recipe::new(Arch::ResNet20, 3, 3, 11) }.draw();
    snapshot.offered_load = 0.5;
    snapshot.workers[0].layer_seconds[3] = None;
    snapshot.workers[1].layer_seconds.clear();
    let solution =
        solve(&snapshot, &Policy::parse("[bounds]\noffered_load = false").unwrap(), &Effort::default());
    snapshot.current = Some(solution.unwrap().placement);
    serde_json::to_value(&snapshot).unwrap()
}

#[test]
fn real_snapshots_are_accepted_by_schema_and_planner() {
    let snapshot = real();
    let errors: Vec<String> = schema().iter_errors(&snapshot).map(|error| error.to_string()).collect();
    assert!(errors.is_empty(), "{errors:?}");
    Snapshot::parse(&serde_json::to_vec(&snapshot).unwrap()).unwrap();
}

#[test]
fn broken_snapshots_are_rejected_by_schema_and_planner() {
    let schema = schema();
    let check = |change: &dyn Fn(&mut Value)| {
        let mut snapshot = real();
        change(&mut snapshot);
        assert!(!schema.is_valid(&snapshot), "the schema accepts {snapshot}");
        assert!(Snapshot::parse(&serde_json::to_vec(&snapshot).unwrap()).is_err());
    };
    check(&|s| s["version"] = json!(2));
    check(&|s| s["workers"] = json!([]));
    check(&|s| s["batch"] = json!(0));
    check(&|s| s["offered_load"] = json!(-1.0));
    check(&|s| s["links"][0]["goodput"] = json!(0.0));
    check(&|s| s["links"][0]["rtt_seconds"] = json!(-0.1));
    check(&|s| s["links"][0]["loss"] = json!(1.5));
    check(&|s| s["links"][0]["from"] = json!("nobody"));
    check(&|s| s["links"][0]["colour"] = json!("blue"));
    check(&|s| s["workers"][0]["name"] = json!("Camera"));
    check(&|s| s["workers"][0]["macs_per_second"] = json!(null));
    check(&|s| s["workers"][0]["layer_seconds"][0] = json!(-1.0));
    check(&|s| s["accuracy"]["candidates"] = json!([]));
    check(&|s| s["accuracy"]["encodings"][0]["encoding"] = json!("f8"));
    check(&|s| s["codec"][0]["seconds_per_element"] = json!("fast"));
    check(&|s| s["network"]["arch"] = json!("vgg"));
    check(&|s| s["weights"] = json!("00"));
    check(&|s| {
        s.as_object_mut().unwrap().remove("gateway");
    });
}

#[test]
fn what_only_the_planner_can_see_is_named() {
    let check = |change: &dyn Fn(&mut Value), expect: &str| {
        let mut snapshot = real();
        change(&mut snapshot);
        let error = Snapshot::parse(&serde_json::to_vec(&snapshot).unwrap()).unwrap_err();
        let error = weir_shared::chain(&error);
        assert!(error.contains(expect), "{error}");
    };
    check(&|s| s["version"] = json!(7), "version 7");
    check(&|s| s["links"][0]["to"] = json!("stranger.worker.weir.internal"), "neither a worker");
    check(&|s| s["links"][1] = s["links"][0].clone(), "listed twice");
    check(&|s| s["workers"][1] = s["workers"][0].clone(), "listed twice");
    check(&|s| s["workers"][0]["layer_seconds"] = json!([0.1]), "times of 1 layers");
    check(&|s| s["accuracy"]["candidates"] = json!([s["accuracy"]["candidates"][1].clone()]), "full one");
    check(&|s| s["accuracy"]["encodings"][0]["cut"] = json!(99), "cut point 99");
    check(&|s| s["gateway"] = json!("w000.worker.weir.internal"), "must be an orchestrator");
}
