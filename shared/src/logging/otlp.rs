//! Spans for trace viewers: OTLP over HTTP to the collector that `OTEL_EXPORTER_OTLP_ENDPOINT` names.
//!
//! A thread of its own sends them in batches. When it falls behind, spans are dropped and requests are not held up.

use std::sync::OnceLock;
use std::time::SystemTime;

use opentelemetry::trace::{SpanContext, SpanId, SpanKind, Status, TraceFlags, TraceId, TraceState};
use opentelemetry::{InstrumentationScope, KeyValue, Value as OtelValue};
use opentelemetry_otlp::{SpanExporter, WithExportConfig as _};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::trace::{BatchSpanProcessor, SpanData, SpanProcessor as _};

use super::span::{Attribute, Kind, Outcome, Span, Value};

static SENDER: OnceLock<BatchSpanProcessor> = OnceLock::new();

/// Whether spans are exported.
pub(super) fn is_on() -> bool {
    SENDER.get().is_some()
}

pub(super) fn start(program: &'static str, peer: &str) {
    let protocol = opentelemetry_otlp::Protocol::HttpBinary;
    let exporter = match SpanExporter::builder().with_http().with_protocol(protocol).build() {
        Ok(exporter) => exporter,
        Err(error) => {
            return tracing::error!(%error, "spans are not exported; check OTEL_EXPORTER_OTLP_ENDPOINT");
        }
    };
    let mut sender = BatchSpanProcessor::builder(exporter).build();
    let resource = Resource::builder()
        .with_service_name(program)
        .with_attributes([
            KeyValue::new("service.instance.id", peer.to_owned()),
            KeyValue::new("service.version", env!("CARGO_PKG_VERSION")),
        ])
        .build();
    sender.set_resource(&resource);
    if SENDER.set(sender).is_ok() {
        tracing::info!(program, peer, "spans are exported");
    }
}

/// Sends the rest.
pub(super) fn stop() {
    if let Some(sender) = SENDER.get()
        && let Err(error) = sender.shutdown()
    {
        tracing::warn!(%error, "the last spans were not exported");
    }
}

pub(super) fn export(span: &Span, outcome: Outcome<'_>, attributes: Vec<Attribute>) {
    let Some(sender) = SENDER.get().filter(|_| span.context().is_sampled()) else { return };
    let context = span.context();
    let state = context.state().parse::<TraceState>().unwrap_or_default();
    let trace_id = TraceId::from_bytes(context.trace_id().to_be_bytes());
    let id = |number: u64| SpanId::from_bytes(number.to_be_bytes());
    let data = SpanData {
        span_context: SpanContext::new(trace_id, id(context.span_id()), TraceFlags::SAMPLED, false, state),
        parent_span_id: id(span.parent),
        parent_span_is_remote: span.parent != 0,
        span_kind: match span.kind {
            Kind::Server => SpanKind::Server,
            Kind::Consumer => SpanKind::Consumer,
        },
        name: span.name.into(),
        start_time: span.began,
        end_time: SystemTime::now(),
        attributes: attributes.into_iter().map(attribute).collect(),
        dropped_attributes_count: 0,
        events: Default::default(),
        links: Default::default(),
        status: match outcome {
            Outcome::Done => Status::Ok,
            Outcome::Failed(reason) => Status::error(reason.to_owned()),
        },
        instrumentation_scope: InstrumentationScope::builder("weir").build(),
    };
    sender.on_end(data);
}

fn attribute((name, value): Attribute) -> KeyValue {
    let value = match value {
        Value::Text(text) => OtelValue::from(text),
        Value::Whole(number) => OtelValue::from(number),
        Value::Real(number) => OtelValue::from(number),
    };
    KeyValue::new(name, value)
}
