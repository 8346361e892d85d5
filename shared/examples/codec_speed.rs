//! How fast activations are written and read: `cargo run --release -p weir-shared --example codec_speed`.
//!
//! Gigabytes of f32 numbers in a second, one thread, the plain definition and the way that serves beside each other.

use std::hint::black_box;
use std::time::{Duration, Instant};

use weir_shared::arch::Shape;
use weir_shared::plan::Encoding;
use weir_shared::wire::codec::{self, plain};

/// The activation behind the first block group of a CIFAR network, eight images: half a megabyte.
const SHAPE: Shape = Shape::new(16, 32, 32);
const BATCH: usize = 8;

fn main() {
    let count = SHAPE.elements() * BATCH;
    // As behind a relu: about half are zero, the others differ.
    let values: Vec<f32> = (0..count).map(|n| ((n * 7_919 % 1_009) as f32 - 500.0).max(0.0) / 77.0).collect();
    println!("{count} numbers, GB/s of f32: best of 5 runs");
    println!("{:8} {:>12} {:>12} {:>12} {:>12}", "", "write plain", "write", "read plain", "read");
    for encoding in Encoding::ALL {
        let bytes = codec::encode(encoding, &values, SHAPE).into_owned();
        let rates = [
            rate(count, || black_box(plain::encode(encoding, black_box(&values), SHAPE)).len()),
            rate(count, || black_box(codec::encode(encoding, black_box(&values), SHAPE)).len()),
            rate(count, || {
                black_box(plain::decode(encoding, black_box(&bytes), SHAPE)).map_or(0, |v| v.len())
            }),
            rate(count, || {
                black_box(codec::decode(encoding, black_box(&bytes), SHAPE, BATCH)).map_or(0, |v| v.len())
            }),
        ];
        println!("{encoding:8} {:12.2} {:12.2} {:12.2} {:12.2}", rates[0], rates[1], rates[2], rates[3]);
    }
}

/// Gigabytes of `numbers` f32 in a second: the best of five fifths of a second, as others use the processor too.
fn rate(numbers: usize, mut work: impl FnMut() -> usize) -> f64 {
    let mut best = 0.0f64;
    for _ in 0..5 {
        let (began, mut rounds) = (Instant::now(), 0);
        while began.elapsed() < Duration::from_millis(200) {
            black_box(work());
            rounds += 1;
        }
        best = best.max((numbers * 4 * rounds) as f64 / began.elapsed().as_secs_f64() / 1e9);
    }
    best
}
