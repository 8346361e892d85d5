//! What `examples/` shows, against a real cluster: photographs get their labels, and a camera's folder is worked off.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::support::{Cluster, Site};

const ROOT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/..");

const LABELS: [&str; 10] =
    ["airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck"];

/// Images of the test: enough that chance does not reach what is asked of them.
const IMAGES: usize = 40;

/// Bytes of one image in CIFAR-10's files: its class, then three planes of 32 by 32.
const RECORD: usize = 1 + 3 * 32 * 32;

fn python() -> String {
    let python = std::env::var("WEIR_TEST_PYTHON");
    python
        .expect("WEIR_TEST_PYTHON is not set; run `make test`, or set it to scripts/setup-python.sh's output")
}

fn example(name: &str) -> PathBuf {
    Path::new(ROOT).join("examples").join(name)
}

/// A network that was trained on photographs, where random weights would know none of them.
fn site() -> Site {
    let site = Site::new("resnet20");
    for suffix in ["", ".manifest.json"] {
        let from = Path::new(ROOT).join(format!("models/resnet20-cifar10.safetensors{suffix}"));
        std::fs::copy(from, site.path(&format!("weights.safetensors{suffix}"))).unwrap();
    }
    let mut file = std::fs::File::create(site.path("labels.txt")).unwrap();
    LABELS.iter().for_each(|label| writeln!(file, "{label}").unwrap());
    site
}

/// Writes photographs of CIFAR-10 as PNG files and returns the class of each; none where the data set is not.
fn photographs(folder: &Path) -> Option<Vec<usize>> {
    let data = std::env::var_os("WEIR_CIFAR10")
        .map_or_else(|| Path::new(ROOT).join("../shared/cifar-10-batches-bin"), PathBuf::from);
    let Ok(bytes) = std::fs::read(data.join("test_batch.bin")) else {
        eprintln!("SKIPPED: there is no CIFAR-10 at {}; name its folder with WEIR_CIFAR10", data.display());
        return None;
    };
    std::fs::create_dir_all(folder).unwrap();
    let write = |(number, record): (usize, &[u8])| {
        let (class, planes) = record.split_first().unwrap();
        let pixel = |at: usize| image::Rgb([planes[at], planes[1024 + at], planes[2048 + at]]);
        let picture = image::RgbImage::from_fn(32, 32, |x, y| pixel((y * 32 + x) as usize));
        picture.save(folder.join(format!("{number:02}.png"))).unwrap();
        usize::from(*class)
    };
    Some(bytes.chunks_exact(RECORD).take(IMAGES).enumerate().map(write).collect())
}

fn said(command: &mut Command, cluster: &Cluster<'_>) -> String {
    let output = command.stdin(Stdio::null()).output().unwrap();
    let error = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{error}\n{}", cluster.logs());
    String::from_utf8(output.stdout).unwrap()
}

/// `classify.py` or `camera.py` with what both take.
fn run(name: &str, site: &Site, cluster: &Cluster<'_>) -> Command {
    let mut command = Command::new(python());
    command.arg(example(name)).args(["--url", &cluster.http.to_string(), "--model", site.arch]);
    command.arg("--labels").arg(site.path("labels.txt"));
    command
}

fn right(labels: &[&str], classes: &[usize]) -> usize {
    assert_eq!(labels.len(), classes.len());
    labels.iter().zip(classes).filter(|&(&label, &class)| label == LABELS[class]).count()
}

#[test]
fn photographs_get_their_labels_and_a_camera_folder_is_worked_off() {
    let site = site();
    let folder = site.path("photographs");
    let Some(classes) = photographs(&folder) else { return };
    let cluster = site.start(&["camera", "router"], &[]);
    cluster.plan_over(2);
    let mut files: Vec<_> = std::fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();

    let lines = said(run("classify.py", &site, &cluster).args(&files), &cluster);
    let labels: Vec<_> = lines.lines().map(|line| line.split('\t').nth(2).unwrap()).collect();
    // The network is right about 9 of 10 of them; a wrong preprocessing leaves fewer than half.
    assert!(right(&labels, &classes) >= IMAGES * 4 / 5, "{lines}");

    let lines = said(run("camera.py", &site, &cluster).arg("--once").arg(&folder), &cluster);
    let mut seen: Vec<_> = lines.lines().map(|line| line.split('\t').collect::<Vec<_>>()).collect();
    seen.sort_by_key(|parts| parts[1]);
    let labels: Vec<_> = seen.iter().map(|parts| parts[2]).collect();
    assert!(right(&labels, &classes) >= IMAGES * 4 / 5, "{lines}");
}

#[test]
fn curl_alone_gets_an_answer() {
    let site = site();
    let cluster = site.start(&["camera"], &[]);
    cluster.plan_over(1);
    let url = format!("http://{}", cluster.http);
    let lines = said(Command::new("sh").arg(example("curl.sh")).args([&url, site.arch]), &cluster);
    let answer: serde_json::Value = serde_json::from_str(lines.lines().last().unwrap()).unwrap();
    assert_eq!(
        (&answer["id"], &answer["outputs"][0]["shape"]),
        (&"curl-1".into(), &[1, 3].into()),
        "{lines}"
    );
    assert!(lines.contains(r#""ready":true"#), "{lines}");
}
