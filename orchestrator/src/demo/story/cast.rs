//! How each process of a run is started: arguments from the scenario, and small files that they read.
//!
//! A worker's power budget lies in a tree of its own that looks like `/sys` (powercap's
//! `constraint_0_power_limit_uw`), so halving it at run time is what a person would do on a board: write a file.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use serde::Serialize;

use crate::admin::views::PlanDocument;
use crate::demo::cluster::WorkerStart;
use crate::demo::scenario::{RunKind, Scenario, WorkerSpec};
use crate::demo::topology::GATEWAY;
use weir_shared::plan::Encoding;

/// Where the Linux powercap interface keeps the first package (Documentation/power/powercap/powercap.rst).
const PACKAGE: &str = "class/powercap/intel-rapl:0";

/// Its long-term limit, microwatts.
const LIMIT_FILE: &str = "constraint_0_power_limit_uw";

/// Why files for a run could not be written.
#[derive(Debug, thiserror::Error)]
#[error("cannot write {}; check the folder and the free space", path.display())]
pub struct CastError {
    path: PathBuf,
    #[source]
    source: io::Error,
}

/// Arguments of every worker of a run; their small trees are made below `folder`.
///
/// # Errors
/// If a file cannot be written.
pub fn workers(scenario: &Scenario, kind: RunKind, folder: &Path) -> Result<Vec<WorkerStart>, CastError> {
    scenario.workers.iter().map(|spec| worker(spec, kind, folder)).collect()
}

fn worker(spec: &WorkerSpec, kind: RunKind, folder: &Path) -> Result<WorkerStart, CastError> {
    let mut flags: Vec<String> = Vec::new();
    let mut push = |flag: &str, value: String| flags.extend([flag.to_owned(), value]);
    push("--threads", spec.threads.to_string());
    if let Some(gmacs) = spec.gmacs_per_second {
        push("--macs-per-second", (gmacs * 1e9).to_string());
    }
    let power = &spec.power;
    push("--power-model", format!("idle={},max={}", power.idle_watts, power.max_watts));
    let per_byte = power.joules_per_byte;
    push("--radio-model", format!("sent={per_byte},received={per_byte}"));
    push("--sysfs-root", sysfs(folder, &spec.name).to_string_lossy().into_owned());
    // The one worker of the run alone may hold the whole network: that is what it is compared for.
    let limit = spec.memory_limit_bytes.filter(|_| kind != RunKind::Alone);
    if let Some(bytes) = limit {
        push("--memory-limit-bytes", bytes.to_string());
    }
    fs::create_dir_all(sysfs(folder, &spec.name))
        .map_err(|source| CastError { path: folder.to_owned(), source })?;
    if let Some(watts) = power.budget_watts {
        set_budget(folder, &spec.name, watts)?;
    }
    Ok(WorkerStart { name: spec.name.clone(), flags, nice: spec.nice })
}

/// States what a worker may draw on average from now on.
///
/// # Errors
/// If the file cannot be written.
pub fn set_budget(folder: &Path, worker: &str, watts: f64) -> Result<(), CastError> {
    let package = sysfs(folder, worker).join(PACKAGE);
    let path = package.join(LIMIT_FILE);
    let write = || {
        fs::create_dir_all(&package)?;
        fs::write(package.join("name"), "package-0\n")?;
        // Replaced as a whole, so that no reader sees half a number.
        let next = path.with_extension("next");
        fs::write(&next, format!("{:.0}\n", watts * 1e6))?;
        fs::rename(&next, &path)
    };
    write().map_err(|source| CastError { path: path.clone(), source })
}

fn sysfs(folder: &Path, worker: &str) -> PathBuf {
    folder.join("sysfs").join(worker)
}

/// Arguments of the orchestrator of a run, with the files that they name.
///
/// # Errors
/// If a file cannot be written.
pub fn orchestrator(
    scenario: &Scenario,
    kind: RunKind,
    profile: Option<&Path>,
    first_plan: Option<&PlanDocument>,
    folder: &Path,
) -> Result<Vec<String>, CastError> {
    let mut flags = Vec::new();
    let mut push =
        |flag: &str, path: &Path| flags.extend([flag.to_owned(), path.to_string_lossy().into_owned()]);
    let write = |name: &str, text: String| {
        let path = folder.join(name);
        fs::write(&path, text).map_err(|source| CastError { path: path.clone(), source })?;
        Ok::<_, CastError>(path)
    };
    match (kind, first_plan) {
        (RunKind::Static, Some(plan)) => push("--plan", &write("plan.toml", plan_file(plan))?),
        (RunKind::Alone, _) => {
            push("--plan", &write("plan.toml", format!("workers = [{:?}]\n", scenario.alone))?);
        }
        (RunKind::Adaptive | RunKind::Static, _) => {
            if let Some(plan) = &scenario.plan {
                push("--plan", &write("plan.toml", plan.to_string())?);
            }
            // An empty policy is the default one.
            push("--policy", &write("policy.toml", scenario.policy.to_string())?);
            if let Some(profile) = profile {
                push("--profile", profile);
            }
        }
    }
    Ok(flags)
}

#[derive(Serialize)]
struct PlanFile<'a> {
    workers: Vec<&'a str>,
    cuts: Vec<&'a str>,
    off: &'a str,
    encoding: Vec<EncodingEntry<'a>>,
}

#[derive(Serialize)]
struct EncodingEntry<'a> {
    from: &'a str,
    to: &'a str,
    encoding: Encoding,
}

/// A plan as the orchestrator's `--plan` takes it.
pub fn plan_file(plan: &PlanDocument) -> String {
    let rounded = plan.routes.iter().filter(|route| route.encoding != Encoding::F32 && route.to != GATEWAY);
    let file = PlanFile {
        workers: plan.stages.iter().map(|stage| stage.worker.as_str()).collect(),
        cuts: plan.stages.iter().skip(1).map(|stage| stage.first.as_str()).collect(),
        off: &plan.active_off,
        encoding: rounded
            .map(|route| EncodingEntry { from: &route.from, to: &route.to, encoding: route.encoding })
            .collect(),
    };
    // Plain strings and lists: there is nothing that TOML could not hold.
    toml::to_string(&file).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_budget_is_a_file_of_microwatts() {
        let folder = tempfile::tempdir().unwrap();
        set_budget(folder.path(), "attic", 3.25).unwrap();
        set_budget(folder.path(), "attic", 1.5).unwrap();
        let text =
            fs::read_to_string(folder.path().join("sysfs/attic").join(PACKAGE).join(LIMIT_FILE)).unwrap();
        assert_eq!(text, "1500000\n");
    }

    #[test]
    fn a_plan_becomes_the_file_that_repeats_it() {
        let plan: PlanDocument = serde_json::from_str(
            r#"{"term":3,"epoch":2,"hash":"ab","network":"resnet20","active_off":"F:layer2.1","batch_norm":"folded",
            "max_batch":8,"admitting":true,"stages":[
            {"index":0,"worker":"camera","layers":{"start":0,"end":9},"first":"stem","last":"layer1.2.join","macs":1,"weight_bytes":1,"bypassed":false},
            {"index":1,"worker":"router","layers":{"start":9,"end":29},"first":"layer2.0.conv1","last":"head","macs":1,"weight_bytes":1,"bypassed":false}],
            "routes":[{"from":"camera","to":"router","address":"127.0.0.1:4001","encoding":"f16"},
            {"from":"router","to":"main","address":"127.0.0.1:4002","encoding":"f32"}]}"#,
        )
        .unwrap();
        let read: toml::Value = toml::from_str(&plan_file(&plan)).unwrap();
        assert_eq!(read["cuts"].as_array().unwrap()[0].as_str(), Some("layer2.0.conv1"));
        assert_eq!(read["off"].as_str(), Some("F:layer2.1"));
        let encodings = read["encoding"].as_array().unwrap();
        assert_eq!((encodings.len(), encodings[0]["to"].as_str()), (1, Some("router")));
        let network = weir_shared::arch::Arch::ResNet20.network();
        crate::planner::PlanFile::parse(&plan_file(&plan), &network).unwrap();
    }
}
