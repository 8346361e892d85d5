//! A client that others wrote, NVIDIA's tritonclient, finds in this server what it expects of one.

use std::process::Command;

use crate::fake::serve;

const SCRIPT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/oip/check_tritonclient.py");

fn write_numbers(path: &std::path::Path, numbers: &[f32]) {
    std::fs::write(path, numbers.iter().flat_map(|number| number.to_le_bytes()).collect::<Vec<_>>()).unwrap();
}

#[actix_web::test]
async fn tritonclient_gets_what_it_asks_for() {
    let python = std::env::var("WEIR_TEST_PYTHON").expect(
        "WEIR_TEST_PYTHON is not set: run `make test`, or set it to the output of scripts/setup-python.sh",
    );
    let (address, server) = serve();
    let folder = tempfile::tempdir().unwrap();
    let (images, logits) = (folder.path().join("images"), folder.path().join("logits"));
    let pixels: Vec<f32> = (0..2 * 3072).map(|i| (i * 37 % 101) as f32 / 17.0 - 3.0).collect();
    let due = pixels.chunks(3072).flat_map(|image| (0..10).map(|class| image[class] * 2.0 + class as f32));
    write_numbers(&images, &pixels);
    write_numbers(&logits, &due.collect::<Vec<_>>());

    let mut command = Command::new(python);
    command.arg(SCRIPT).args(["--url", &address, "--model", "resnet20"]);
    command.arg("--images").arg(images).arg("--logits").arg(logits);
    let output = tokio::task::spawn_blocking(move || command.output()).await.unwrap().unwrap();
    let text =
        [output.stdout, output.stderr].map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).concat();
    assert!(output.status.success(), "{text}");
    assert!(text.contains("statistics: as it should be"), "{text}");
    server.stop(false).await;
}
