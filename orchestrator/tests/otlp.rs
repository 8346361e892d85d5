//! Spans as a trace viewer gets them: a receiver of OTLP sees one trace from the client through the gateway to each stage.
//!
//! The receiver is a socket that speaks HTTP, and reads protocol buffers by their rules, not by the exporter's code.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "tests")]

#[allow(dead_code, reason = "other tests use the rest")]
#[path = "cluster/support.rs"]
mod support;

use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use serde_json::json;
use support::{Site, images};

const CLIENT: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
const CLIENT_SPAN: &str = "00f067aa0ba902b7";

/// A span as it was received.
#[derive(Debug, Clone)]
struct Span {
    service: String,
    trace: String,
    id: String,
    parent: String,
    name: String,
    state: String,
    began: u64,
    ended: u64,
    attributes: BTreeMap<String, String>,
}

/// Field numbers and contents of one message (protobuf.dev, "Encoding").
fn fields(mut bytes: &[u8]) -> Vec<(u64, Vec<u8>)> {
    fn varint(bytes: &mut &[u8]) -> u64 {
        let mut value = 0;
        for shift in (0..64).step_by(7) {
            let (&first, rest) = bytes.split_first().expect("a message that ends within a number");
            *bytes = rest;
            value |= u64::from(first & 0x7f) << shift;
            if first < 0x80 {
                break;
            }
        }
        value
    }
    let mut found = Vec::new();
    while !bytes.is_empty() {
        let tag = varint(&mut bytes);
        let length = match tag & 7 {
            0 => {
                found.push((tag >> 3, varint(&mut bytes).to_le_bytes().to_vec()));
                continue;
            }
            1 => 8,
            2 => varint(&mut bytes) as usize,
            5 => 4,
            other => panic!("wire type {other}"),
        };
        let (content, rest) = bytes.split_at(length);
        found.push((tag >> 3, content.to_vec()));
        bytes = rest;
    }
    found
}

fn every(message: &[u8], number: u64) -> impl Iterator<Item = Vec<u8>> {
    fields(message).into_iter().filter(move |(found, _)| *found == number).map(|(_, content)| content)
}

fn one(message: &[u8], number: u64) -> Vec<u8> {
    every(message, number).next().unwrap_or_default()
}

fn text(bytes: Vec<u8>) -> String {
    String::from_utf8(bytes).unwrap()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Words and whole numbers; others are empty.
fn attributes(message: &[u8], number: u64) -> BTreeMap<String, String> {
    let value = |value: Vec<u8>| match fields(&value).first() {
        Some((1, word)) => text(word.clone()),
        Some((3, number)) => i64::from_le_bytes(number.clone().try_into().unwrap()).to_string(),
        _ => String::new(),
    };
    every(message, number).map(|pair| (text(one(&pair, 1)), value(one(&pair, 2)))).collect()
}

/// opentelemetry-proto, `trace/v1/trace.proto`.
fn spans(request: &[u8]) -> Vec<Span> {
    let mut found = Vec::new();
    for resource_spans in every(request, 1) {
        let service = attributes(&one(&resource_spans, 1), 1).remove("service.name").unwrap_or_default();
        for scope_spans in every(&resource_spans, 2) {
            found.extend(every(&scope_spans, 2).map(|span| Span {
                service: service.clone(),
                trace: hex(&one(&span, 1)),
                id: hex(&one(&span, 2)),
                state: text(one(&span, 3)),
                parent: hex(&one(&span, 4)),
                name: text(one(&span, 5)),
                began: u64::from_le_bytes(one(&span, 7).try_into().unwrap()),
                ended: u64::from_le_bytes(one(&span, 8).try_into().unwrap()),
                attributes: attributes(&span, 9),
            }));
        }
    }
    found
}

/// Listens until the test ends; keeps what was sent to `/v1/traces`.
fn receive() -> (SocketAddr, Arc<Mutex<Vec<Span>>>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let (address, kept) = (listener.local_addr().unwrap(), Arc::new(Mutex::new(Vec::new())));
    let keeping = kept.clone();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let keeping = keeping.clone();
            std::thread::spawn(move || while take(stream.as_ref().unwrap(), &keeping).is_some() {});
        }
    });
    (address, kept)
}

/// One request of a connection.
fn take(mut stream: &TcpStream, kept: &Mutex<Vec<Span>>) -> Option<()> {
    let mut reader = BufReader::new(stream);
    let mut head = Vec::new();
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).ok().filter(|&read| read > 0)?;
        if line == "\r\n" {
            break;
        }
        head.push(line.trim().to_lowercase());
    }
    assert!(head[0].starts_with("post /v1/traces "), "{head:?}");
    assert!(head.contains(&"content-type: application/x-protobuf".to_owned()), "{head:?}");
    let length = head.iter().find_map(|line| line.strip_prefix("content-length: ")).unwrap();
    let mut body = vec![0; length.parse().unwrap()];
    reader.read_exact(&mut body).unwrap();
    kept.lock().unwrap().extend(spans(&body));
    stream
        .write_all(b"HTTP/1.1 200 OK\r\ncontent-type: application/x-protobuf\r\ncontent-length: 0\r\n\r\n")
        .ok()
}

#[test]
fn one_trace_goes_from_the_client_through_the_gateway_to_each_stage() {
    let (receiver, received) = receive();
    // SAFETY: no other thread of this test program reads or writes variables yet.
    #[expect(unsafe_code, reason = "the programs that the test starts take it from here")]
    unsafe {
        std::env::set_var("OTEL_EXPORTER_OTLP_ENDPOINT", format!("http://{receiver}"));
        std::env::set_var("OTEL_BSP_SCHEDULE_DELAY", "200");
        std::env::set_var("WEIR_LOG", "info,weir_worker::stage=debug,weir_orchestrator::gateway=debug");
    }
    let site = Site::new("resnet20");
    let plan_path = site.path("plan.toml");
    // Two cuts inside one block: the shortcut goes from the first worker to the third.
    let plan = "workers = ['camera', 'router', 'attic']\ncuts = ['layer2.1.conv2', 'layer2.1.join']";
    std::fs::write(&plan_path, plan).unwrap();
    let settings = ["--plan", plan_path.to_str().unwrap(), "--log-format", "json"];
    let cluster = site.start(&["camera", "router", "attic"], &settings);
    cluster.plan_over(3);
    let client = reqwest::blocking::Client::new();
    let url = format!("http://{}/v2/models/resnet20/infer", cluster.http);
    let input =
        json!({ "name": "input", "shape": [1, 3, 32, 32], "datatype": "FP32", "data": images(1, 32) });
    let body = json!({ "inputs": [input] });
    let ask = || client.post(&url).json(&body);
    let traced = ask().header("traceparent", CLIENT).header("tracestate", "home=1").send().unwrap();
    assert_eq!(traced.status(), 200);
    // A client that says not to record, one that says nonsense, and one that says nothing.
    let unrecorded = CLIENT.replace("-01", "-00").replace(TRACE, &"a".repeat(32));
    assert_eq!(ask().header("traceparent", unrecorded).send().unwrap().status(), 200);
    assert_eq!(ask().header("traceparent", "00-nonsense").send().unwrap().status(), 200);
    assert_eq!(ask().send().unwrap().status(), 200);

    let all = || received.lock().unwrap().clone();
    let started = Instant::now();
    // Three recorded requests with a span at the gateway and one for each of three stages.
    while all().len() < 12 && started.elapsed() < Duration::from_secs(20) {
        std::thread::sleep(Duration::from_millis(50));
    }
    let all = all();
    assert_eq!(all.len(), 12, "{all:#?}\n{}", cluster.logs());
    let ours: Vec<_> = all.iter().filter(|span| span.trace == TRACE).collect();
    let request = ours.iter().find(|span| span.name == "request").unwrap();
    assert_eq!((request.parent.as_str(), request.service.as_str()), (CLIENT_SPAN, "weir-orchestrator"));
    assert_eq!(
        (request.state.as_str(), request.attributes["http.response.status_code"].as_str()),
        ("home=1", "200")
    );
    let mut stages: Vec<_> = ours.iter().filter(|span| span.name == "stage").collect();
    stages.sort_by_key(|span| span.attributes["weir.stage"].clone());
    let workers: Vec<_> = stages.iter().map(|span| span.attributes["weir.worker"].as_str()).collect();
    assert_eq!(workers, ["camera", "router", "attic"]);
    for stage in &stages {
        assert_eq!((&stage.parent, stage.service.as_str()), (&request.id, "weir-worker"));
        assert_eq!(stage.attributes["weir.plan"], request.attributes["weir.plan"]);
        assert!(request.began <= stage.began && stage.began <= stage.ended && stage.ended <= request.ended);
    }
    assert!(stages[0].ended <= stages[2].began, "the last stage needs what the first makes");
    // Those without a context of their own begin a trace each; what is not to be recorded is not.
    let roots: Vec<_> = all.iter().filter(|span| span.name == "request" && span.trace != TRACE).collect();
    assert_eq!(roots.len(), 2);
    assert!(roots.iter().all(|span| span.parent.is_empty() && span.trace != "a".repeat(32)), "{roots:?}");

    let log = std::fs::read_to_string(site.path("camera.log")).unwrap();
    let line = log.lines().find(|line| line.contains("stage computed") && line.contains(TRACE));
    assert!(line.is_some(), "{log}");
    let log = std::fs::read_to_string(site.path("orchestrator.log")).unwrap();
    let lines = log.lines().map(|line| serde_json::from_str::<serde_json::Value>(line).expect(line));
    let answered: Vec<_> = lines.filter(|line| line["message"] == "request answered").collect();
    assert!(answered.iter().any(|line| line["span"]["trace_id"] == TRACE), "{answered:#?}");
    // Also the trace that is not recorded is in the log.
    assert!(answered.iter().any(|line| line["span"]["trace_id"] == "a".repeat(32)), "{answered:#?}");
}
