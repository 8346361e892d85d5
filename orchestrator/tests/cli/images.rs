//! `weir infer` and `weir bench` on a small real cluster that computes a network that was shipped.
//!
//! The images are those of the data set that the network was trained for, as files; what the worker's own evaluation says
//! of them is the oracle.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use image::{Rgb, RgbImage};
use safetensors::SafeTensors;
use serde_json::Value;
use weir_shared::images::{MEAN, STANDARD_DEVIATION};

use crate::support::{Cluster, Site, worker_binary};

const COUNT: usize = 20;
const SIDE: u32 = 32;

fn models() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../models")
}

/// What the worker's evaluation says of the first images of `shapes`: bytes, logits, labels.
struct Oracle {
    images: Vec<RgbImage>,
    logits: Vec<Vec<f32>>,
}

impl Oracle {
    fn new(folder: &Path) -> Self {
        let export = folder.join("export.safetensors");
        let mut eval = Command::new(worker_binary());
        eval.args(["eval", "--arch", "resnet20", "--dataset", "shapes", "--batch", "1", "--limit"]);
        eval.arg(COUNT.to_string()).arg("--weights").arg(models().join("shapes-resnet20.safetensors"));
        assert!(eval.arg("--export").arg(&export).output().unwrap().status.success());
        let bytes = std::fs::read(export).unwrap();
        let tensors = SafeTensors::deserialize(&bytes).unwrap();
        let numbers = |name: &str| -> Vec<f32> {
            let data = tensors.tensor(name).unwrap().data().chunks_exact(4);
            data.map(|bytes| f32::from_le_bytes(bytes.try_into().unwrap())).collect()
        };
        let plane = (SIDE * SIDE) as usize;
        let picture = |numbers: &[f32]| {
            RgbImage::from_fn(SIDE, SIDE, |x, y| {
                let at = (y * SIDE + x) as usize;
                let byte = |c: usize| (numbers[c * plane + at] * STANDARD_DEVIATION[c] + MEAN[c]) * 255.0;
                Rgb([0, 1, 2].map(|channel| byte(channel).round() as u8))
            })
        };
        Self {
            images: numbers("images").chunks(3 * plane).map(picture).collect(),
            logits: numbers("logits").chunks(10).map(<[f32]>::to_vec).collect(),
        }
    }

    fn best(&self, index: usize) -> usize {
        let logits = &self.logits[index];
        (0..logits.len()).max_by(|a, b| logits[*a].total_cmp(&logits[*b])).unwrap()
    }
}

/// A cluster of two workers with the network of `shapes`.
pub fn site() -> Site {
    let site = Site::new("resnet20");
    for end in ["", ".labels.txt", ".manifest.json"] {
        let from = models().join(format!("shapes-resnet20.safetensors{end}"));
        std::fs::copy(from, site.path(&format!("weights.safetensors{end}"))).unwrap();
    }
    site
}

fn weir(cluster: &Cluster<'_>, arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_weir"));
    command.args(arguments).env("WEIR_HTTP_URL", format!("http://{}", cluster.http)).output().unwrap()
}

fn json(output: &Output) -> Value {
    serde_json::from_slice(&output.stdout)
        .unwrap_or_else(|error| panic!("{error}: {}", String::from_utf8_lossy(&output.stderr)))
}

const LABELS: [&str; 10] =
    ["disc", "ring", "crescent", "square", "triangle", "cross", "star", "stripes", "checker", "dots"];

#[test]
fn photographs_get_the_labels_that_the_whole_network_gives() {
    let site = site();
    let oracle = Oracle::new(site.folder.path());
    let cluster = site.start(&["camera", "attic"], &[]);
    cluster.plan_over(2);
    let mut paths = Vec::new();
    for (index, image) in oracle.images.iter().enumerate() {
        let path = site.path(&format!("{index}.png")).display().to_string();
        image.save(&path).unwrap();
        paths.push(path);
    }
    // A PNG of the right size is what the data set holds, so the logits are the same to the bit.
    for batch in ["1", "8"] {
        let mut arguments = vec!["infer", "--output", "json", "--top", "10", "--batch", batch];
        arguments.extend(paths.iter().map(String::as_str));
        let found = json(&weir(&cluster, &arguments));
        let images = found["images"].as_array().unwrap();
        assert_eq!(images.len(), COUNT);
        for (index, image) in images.iter().enumerate() {
            assert_eq!(image["image"], *paths[index]);
            assert_eq!(image["classes"][0]["label"], LABELS[oracle.best(index)], "{image}");
            if batch == "1" {
                for class in image["classes"].as_array().unwrap() {
                    let expect = oracle.logits[index][class["index"].as_u64().unwrap() as usize];
                    assert_eq!(class["logit"].as_f64().unwrap() as f32, expect, "{image}");
                }
            }
            let sum: f64 = image["classes"]
                .as_array()
                .unwrap()
                .iter()
                .map(|class| class["probability"].as_f64().unwrap())
                .sum();
            assert!((sum - 1.0).abs() < 1e-9);
        }
    }
    // A photograph: larger, wider, and a JPEG. What is on it stays.
    let wide = |image: &RgbImage| {
        let large = image::imageops::resize(image, 128, 128, image::imageops::FilterType::Nearest);
        let mut wide = RgbImage::from_pixel(200, 128, Rgb([90; 3]));
        image::imageops::replace(&mut wide, &large, 36, 0);
        wide
    };
    let (mut right, mut alike) = (0, 0);
    for (index, image) in oracle.images.iter().enumerate() {
        let label = |end: &str, quality: Option<u8>| {
            let path = site.path(&format!("wide-{index}.{end}"));
            match quality {
                None => wide(image).save(&path).unwrap(),
                Some(quality) => {
                    let file = std::fs::File::create(&path).unwrap();
                    let mut jpeg = image::codecs::jpeg::JpegEncoder::new_with_quality(file, quality);
                    jpeg.encode_image(&wide(image)).unwrap();
                }
            }
            let output = weir(&cluster, &["infer", "--top", "1", path.to_str().unwrap()]);
            let printed = String::from_utf8(output.stdout).unwrap();
            assert!(output.status.success() && printed.starts_with("image"), "{printed}");
            assert_eq!(String::from_utf8(output.stderr).unwrap(), "", "progress is for terminals");
            LABELS.into_iter().find(|label| printed.contains(label)).unwrap()
        };
        let (exact, lossy) = (label("png", None), label("jpg", Some(95)));
        right += usize::from(lossy == LABELS[oracle.best(index)]);
        alike += usize::from(exact == lossy);
    }
    // Scaling blurs a little, and JPEG rounds; each changes a doubtful image's class now and then.
    assert!(right >= COUNT - 3, "{right} of {COUNT} photographs got the label of their image");
    assert!(alike >= COUNT - 1, "{alike} of {COUNT} got the same label as PNG and as JPEG");
    // One bad file does not keep the others back.
    let bad = site.path("notes.txt").display().to_string();
    std::fs::write(&bad, "no picture").unwrap();
    let output = weir(&cluster, &["infer", "--batch", "4", &paths[0], &bad, &paths[1]]);
    assert_eq!(output.status.code(), Some(1));
    let (printed, told) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(printed.contains("0.png") && printed.contains("1.png"), "{printed}");
    assert!(told.contains("notes.txt is not a readable PNG or JPEG image"), "{told}");
}

#[test]
fn a_load_is_measured_in_both_loops() {
    let site = site();
    let cluster = site.start(&["camera"], &[]);
    cluster.plan_over(1);
    let bench = |more: &[&str]| {
        let arguments = [&["bench", "--duration", "1", "--output", "json"], more].concat();
        let output = weir(&cluster, &arguments);
        (output.status.code(), json(&output))
    };
    let (status, closed) = bench(&["--concurrency", "2", "--warm-up", "0.2"]);
    assert_eq!(status, Some(0), "{closed}");
    assert_eq!(closed["sent"], closed["answered"]);
    assert_eq!(closed["loop"], "closed");
    let latency = |report: &Value, name: &str| report["latency_ms"][name].as_f64().unwrap();
    assert!(0.0 < latency(&closed, "p50") && latency(&closed, "p50") <= latency(&closed, "p99"));
    assert!(latency(&closed, "p99") <= latency(&closed, "max"));
    // Two clients, each waiting for its answer: as many a second as their latency allows (Little's law).
    let expect = 2.0 / latency(&closed, "mean") * 1e3;
    let found = closed["answered_per_second"].as_f64().unwrap();
    assert!((0.7..1.3).contains(&(found / expect)), "{found}/s, but Little says {expect}/s");

    let (status, open) = bench(&["--rate", "40", "--arrivals", "even", "--warm-up", "0.2"]);
    assert_eq!((status, open["loop"].as_str()), (Some(0), Some("open")), "{open}");
    assert!((39..=41).contains(&open["sent"].as_u64().unwrap()), "{open}");

    let (status, counted) = bench(&["--requests", "12", "--warm-up", "0", "--batch", "8"]);
    assert_eq!((status, counted["answered"].as_u64()), (Some(0), Some(12)), "{counted}");

    // Far more than it computes: what is refused is told with its reason, and the status says so.
    let (status, over) = bench(&["--rate", "600", "--batch", "8", "--warm-up", "0"]);
    assert_eq!(status, Some(1), "{over}");
    let failures = over["failures"].as_object().unwrap();
    assert!(failures.keys().any(|why| why.starts_with("503: ")), "{over}");
    let count: u64 = failures.values().map(|count| count.as_u64().unwrap()).sum();
    assert_eq!(count + over["answered"].as_u64().unwrap(), over["sent"].as_u64().unwrap());

    let output = weir(&cluster, &["bench", "--batch", "9"]);
    assert!(String::from_utf8_lossy(&output.stderr).contains("takes at most 8 images"));
    let table = weir(&cluster, &["bench", "--requests", "3", "--warm-up", "0"]);
    let printed = String::from_utf8(table.stdout).unwrap();
    assert!(printed.contains("3 of 3 answered") && printed.contains("p99"), "{printed}");
}

const STEADY: [&str; 11] =
    ["bench", "--rate", "50", "--arrivals", "even", "--duration", "3", "--warm-up", "0", "--output", "json"];

/// A gateway that stands still: requests that were due meanwhile must be charged with the wait.
#[test]
fn a_stall_is_charged_to_all_that_wait_in_it() {
    let site = site();
    let cluster = site.start(&["camera"], &[]);
    cluster.plan_over(1);
    let signal = |name: &str| {
        let pid = cluster.orchestrator.0.id().to_string();
        assert!(Command::new("kill").args([name, &pid]).status().unwrap().success());
    };
    let report = std::thread::scope(|scope| {
        let bench = scope.spawn(|| weir(&cluster, &STEADY));
        std::thread::sleep(std::time::Duration::from_millis(1500));
        signal("-STOP");
        std::thread::sleep(std::time::Duration::from_millis(600));
        signal("-CONT");
        json(&bench.join().unwrap())
    });
    assert_eq!(report["sent"], 150, "{report}");
    // 30 of 150 requests were due in the stall: the slowest tenth waited for more than half of it.
    assert!(report["latency_ms"]["p90"].as_f64().unwrap() > 200.0, "{report}");
    assert!(report["latency_ms"]["max"].as_f64().unwrap() > 550.0, "{report}");
}
