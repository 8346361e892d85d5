//! Spans of traced requests: what one process did for one request of a trace, in its log and for trace viewers.
//!
//! Only requests whose client sent a trace context have spans, and with the export on also those of clients that sent
//! none. A request without costs nothing here.

use std::time::SystemTime;

use crate::wire::TraceContext;

/// What a span tells about itself.
pub type Attribute = (&'static str, Value);

/// Numbers and words.
#[derive(Debug, Clone, PartialEq)]
pub enum Value {
    /// A word.
    Text(String),
    /// A whole number.
    Whole(i64),
    /// Any number.
    Real(f64),
}

/// A span under way.
#[derive(Debug)]
pub struct Span {
    pub(super) name: &'static str,
    pub(super) kind: Kind,
    /// The trace, at this span.
    context: TraceContext,
    /// The span that this one belongs to; 0 for the first of a trace.
    pub(super) parent: u64,
    pub(super) began: SystemTime,
    log: tracing::Span,
}

/// Where a span stands among others.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Answers a client.
    Server,
    /// Takes up what another process has sent.
    Consumer,
}

/// How a span ended.
#[derive(Debug, Clone, Copy)]
pub enum Outcome<'a> {
    /// As it should.
    Done,
    /// With an error, for people.
    Failed(&'a str),
}

impl Span {
    /// The span in which a client is answered, whose own context is `client`. None if there is nobody to tell.
    pub fn request(client: Option<&TraceContext>) -> Option<Self> {
        let (context, parent) = match client {
            Some(client) => (client.at(number()), client.span_id()),
            None if exports() => (TraceContext::recorded(trace_number(), number())?, 0),
            None => return None,
        };
        let log = tracing::info_span!(
            "request",
            trace_id = format_args!("{:032x}", context.trace_id()),
            span_id = format_args!("{:016x}", context.span_id()),
        );
        Some(Self { name: "request", kind: Kind::Server, context, parent, began: SystemTime::now(), log })
    }

    /// The span in which a stage is computed, for the request that `of` travels with.
    pub fn stage(of: &TraceContext) -> Self {
        let context = of.at(number());
        let log = tracing::info_span!(
            "stage",
            trace_id = format_args!("{:032x}", context.trace_id()),
            span_id = format_args!("{:016x}", context.span_id()),
        );
        let (parent, began) = (of.span_id(), SystemTime::now());
        Self { name: "stage", kind: Kind::Consumer, context, parent, began, log }
    }

    /// What goes on to those that act because of it.
    pub const fn context(&self) -> &TraceContext {
        &self.context
    }

    /// The span as log lines show it.
    pub const fn log(&self) -> &tracing::Span {
        &self.log
    }

    /// It is over.
    pub fn end(self, outcome: Outcome<'_>, attributes: Vec<Attribute>) {
        #[cfg(feature = "otlp")]
        super::otlp::export(&self, outcome, attributes);
        #[cfg(not(feature = "otlp"))]
        let _ = (outcome, attributes, self.parent, self.began, self.name, self.kind);
    }
}

/// Begins to export spans if `OTEL_EXPORTER_OTLP_ENDPOINT` says where to, in the name of this program and peer.
pub fn start_export(program: &'static str, peer: &str) {
    let wanted = ["OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT"];
    if !wanted.iter().any(|name| std::env::var_os(name).is_some_and(|value| !value.is_empty())) {
        return;
    }
    #[cfg(feature = "otlp")]
    super::otlp::start(program, peer);
    #[cfg(not(feature = "otlp"))]
    tracing::warn!(
        program,
        peer,
        "OTEL_EXPORTER_OTLP_ENDPOINT is set, but this program was built without the feature otlp"
    );
}

/// Sends what has not been sent yet; to be called once, before the process ends.
pub fn stop_export() {
    #[cfg(feature = "otlp")]
    super::otlp::stop();
}

fn exports() -> bool {
    #[cfg(feature = "otlp")]
    {
        super::otlp::is_on()
    }
    #[cfg(not(feature = "otlp"))]
    {
        false
    }
}

/// A random number that is not 0.
fn number() -> u64 {
    let mut bytes = [0; 8];
    // Without randomness the span is as good as any, and the trace has two of one number.
    let _ = ring::rand::SecureRandom::fill(&ring::rand::SystemRandom::new(), &mut bytes);
    u64::from_le_bytes(bytes).max(1)
}

fn trace_number() -> u128 {
    (u128::from(number()) << 64) | u128::from(number())
}
