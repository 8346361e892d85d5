//! What a trace context costs each activation: its header written and read, and its span, without one and with one.
//!
//! `cargo run --release -p weir-shared --example trace_cost`

use std::hint::black_box;
use std::time::Instant;

use weir_shared::ids::{Attempt, Epoch, RequestId, Term};
use weir_shared::logging::span::{Outcome, Span};
use weir_shared::plan::{Encoding, PlanId, Value};
use weir_shared::wire::header::PREAMBLE_BYTES;
use weir_shared::wire::{Header, TraceContext};

const ROUNDS: u32 = 200_000;

/// Nanoseconds of one call: the least of five runs, which is what the work itself takes.
fn nanoseconds(mut work: impl FnMut()) -> f64 {
    let run = |work: &mut dyn FnMut()| {
        let began = Instant::now();
        (0..ROUNDS).for_each(|_| work());
        began.elapsed().as_secs_f64() * 1e9 / f64::from(ROUNDS)
    };
    (0..5).map(|_| run(&mut work)).fold(f64::INFINITY, f64::min)
}

fn main() {
    let header = |trace| Header {
        request: RequestId(7),
        attempt: Attempt(1),
        plan: PlanId { term: Term(1_795_470_000_000), epoch: Epoch(3) },
        plan_prefix: 0xdead_beef,
        value: Value(9),
        batch: 1,
        encoding: Encoding::F32,
        remaining_micros: 9_000_000,
        checksum: 0x1234_5678,
        trace,
    };
    let parent = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
    let client = TraceContext::from_headers(parent, "rojo=00f067aa0ba902b7");
    println!("| per activation | without a context | with one |\n|---|---|---|");
    let through = |header: &Header| {
        let bytes = header.to_bytes().unwrap_or_default();
        black_box(Header::from_bytes(&bytes[PREAMBLE_BYTES..]).ok());
    };
    let (plain, traced) = (header(None), header(client.clone()));
    let [without, with] = [&plain, &traced].map(|header| nanoseconds(|| through(black_box(header))));
    println!("| header written and read | {without:.0} ns | {with:.0} ns |");
    let spanned = |of: Option<&TraceContext>| {
        if let Some(span) = of.map(Span::stage) {
            span.end(Outcome::Done, Vec::new());
        }
    };
    let [without, with] = [None, client.as_ref()].map(|of| nanoseconds(|| spanned(black_box(of))));
    println!("| span, no log kept | {without:.0} ns | {with:.0} ns |");
}
