//! A cluster that serves: third-party client, many cuts, several samples, overload.

use std::process::Command;

use crate::support::{Site, images, logits};

#[test]
fn triton_client_drives_a_real_cluster() {
    let python = std::env::var("WEIR_TEST_PYTHON");
    let python = python.expect(
        "WEIR_TEST_PYTHON is not set; run `make test`, or set it to scripts/setup-python.sh's output",
    );
    let site = Site::new("resnet20");
    let cluster = site.start(&["camera", "router"], &[]);
    cluster.plan_over(2);
    let images = images(2, 32);
    let logits: Vec<u8> =
        cluster.infer(&images, 2).iter().flat_map(|&number| (number as f32).to_le_bytes()).collect();
    let (images_path, logits_path) = (site.path("images.bin"), site.path("logits.bin"));
    std::fs::write(&images_path, bytemuck::cast_slice(&images)).unwrap();
    std::fs::write(&logits_path, logits).unwrap();

    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/oip/check_tritonclient.py");
    let mut command = Command::new(python);
    command.arg(script).args(["--url", &cluster.http.to_string(), "--model", site.arch]);
    let output = command.arg("--images").arg(images_path).arg("--logits").arg(logits_path).output().unwrap();
    let said =
        String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    println!("{said}");
    assert!(output.status.success(), "{said}\n{}", cluster.logs());
}

#[test]
fn a_plan_file_is_followed_and_answers_do_not_depend_on_the_cut() {
    let site = Site::new("resnet20");
    let image = images(1, 32);
    let whole = {
        let cluster = site.start(&["camera"], &[]);
        cluster.plan_over(1);
        cluster.infer(&image, 1)
    };
    let plan_path = site.path("plan.toml");
    // Two cuts inside one block: the shortcut goes straight from the first worker to the third.
    let text = "workers = ['camera', 'router', 'attic']\ncuts = ['layer2.1.conv2', 'layer2.1.join']";
    std::fs::write(&plan_path, text).unwrap();
    let cluster = site.start(&["camera", "router", "attic"], &["--plan", plan_path.to_str().unwrap()]);
    let plan = cluster.plan_over(3);
    assert_eq!(
        (plan["stages"][1]["first"].as_str(), plan["stages"][1]["macs"].as_u64()),
        (Some("layer2.1.conv2"), Some(2_359_296))
    );
    assert_eq!(cluster.infer(&image, 1), whole);

    let count = |from: &str, to: &str| {
        let links = cluster.admin("/api/v1/links").unwrap();
        let found =
            links["links"].as_array().unwrap().iter().find(|l| l["from"] == from && l["to"] == to).cloned();
        found.and_then(|link| link["activations"].as_u64())
    };
    cluster.until("the shortcut's own link", || count("camera", "attic").filter(|&sent| sent == 1));
    assert_eq!(count("camera", "router"), Some(1));
}

#[test]
fn too_many_requests_are_refused_at_once_and_told_when_to_come_back() {
    let site = Site::new("resnet56");
    let cluster = site.start(&["camera"], &["--max-in-flight", "2"]);
    cluster.plan_over(1);
    let batch = images(8, 32);
    let answers: Vec<_> = std::thread::scope(|scope| {
        let clients: Vec<_> = (0..12).map(|_| scope.spawn(|| cluster.try_infer(&batch, 8))).collect();
        clients.into_iter().map(|client| client.join().unwrap()).collect()
    });
    let served: Vec<_> =
        answers.iter().filter(|answer| answer.status == 200).map(|a| logits(&a.body)).collect();
    let refused: Vec<_> = answers.iter().filter(|answer| answer.status == 503).collect();
    assert_eq!(served.len() + refused.len(), 12, "{answers:?}");
    assert!(!served.is_empty() && !refused.is_empty());
    assert!(served.iter().all(|answer| *answer == served[0]), "refusals do not disturb the others");
    assert!(refused.iter().all(|answer| answer.headers.contains_key("retry-after")));
    assert!(cluster.text("/metrics").contains(r#"weir_requests_total{outcome="overloaded"}"#));
}
