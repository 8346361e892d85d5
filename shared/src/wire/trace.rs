//! W3C Trace Context (www.w3.org/TR/trace-context): which trace of its client a request belongs to. Pure.
//!
//! A client says it in the headers `traceparent` and `tracestate`; activations carry it from worker to worker. It is an
//! aid to whoever looks for where the time went, so what is wrong in it is left out and never an error.

use serde::{Deserialize, Deserializer, Serialize};

/// The most characters of a state. The recommendation lets longer ones be dropped, section 3.3.1.5.
const STATE_MAX: usize = 512;

/// The most members of a state, section 3.3.1.1.
const MEMBERS_MAX: usize = 32;

/// The flag of a trace that is recorded, section 3.2.2.5.1, and that of an id that is random.
const SAMPLED: u8 = 1;
const KNOWN_FLAGS: u8 = 3;

/// Trace, span within it, and what goes with both.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct TraceContext {
    trace_id: u128,
    span_id: u64,
    flags: u8,
    state: Box<str>,
}

/// As it stands on the wire, before anybody looked at it.
#[derive(Deserialize)]
struct Unchecked {
    trace_id: u128,
    span_id: u64,
    flags: u8,
    state: Box<str>,
}

impl TraceContext {
    /// A trace of our own that is recorded; none if a number is 0, which means "none" in the recommendation.
    pub fn recorded(trace_id: u128, span_id: u64) -> Option<Self> {
        Self::checked(trace_id, span_id, KNOWN_FLAGS, "")
    }

    /// What a client said; none if `traceparent` does not say it well. A bad `tracestate` is left out.
    pub fn from_headers(traceparent: &str, tracestate: &str) -> Option<Self> {
        let mut parts = traceparent.trim().split('-');
        let mut part = |digits: usize| parts.next().filter(|part| part.len() == digits && is_hex(part));
        let (version, trace_id, span_id, flags) = (part(2)?, part(32)?, part(16)?, part(2)?);
        // Section 2.2.2: later versions may say more behind what this one says, and ff is none.
        if version == "ff" || (version == "00" && parts.next().is_some()) {
            return None;
        }
        let trace_id = u128::from_str_radix(trace_id, 16).ok()?;
        let span_id = u64::from_str_radix(span_id, 16).ok()?;
        Self::checked(trace_id, span_id, u8::from_str_radix(flags, 16).ok()?, tracestate.trim())
    }

    fn checked(trace_id: u128, span_id: u64, flags: u8, state: &str) -> Option<Self> {
        let state = if is_state(state) { state } else { "" };
        let known = trace_id != 0 && span_id != 0;
        known.then(|| Self { trace_id, span_id, flags: flags & KNOWN_FLAGS, state: state.into() })
    }

    /// The same trace, at another span of it.
    #[must_use]
    pub fn at(&self, span_id: u64) -> Self {
        Self { span_id, ..self.clone() }
    }

    /// The trace.
    pub const fn trace_id(&self) -> u128 {
        self.trace_id
    }

    /// The span in which this was said: the parent of whatever is done because of it.
    pub const fn span_id(&self) -> u64 {
        self.span_id
    }

    /// Whether the client records the trace.
    pub const fn is_sampled(&self) -> bool {
        self.flags & SAMPLED != 0
    }

    /// What tracing systems along the way have added.
    pub fn state(&self) -> &str {
        &self.state
    }

    /// As a header.
    pub fn traceparent(&self) -> String {
        format!("00-{:032x}-{:016x}-{:02x}", self.trace_id, self.span_id, self.flags)
    }
}

/// Section 3.2.2.3: digits and lower-case letters only.
fn is_hex(text: &str) -> bool {
    text.bytes().all(|byte| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte))
}

fn is_state(text: &str) -> bool {
    let printable = text.bytes().all(|byte| matches!(byte, b' '..=b'~' | b'\t'));
    text.len() <= STATE_MAX && printable && text.split(',').count() <= MEMBERS_MAX
}

/// Reads what a peer wrote. Well-formed bytes with a bad context in them are a header without one.
///
/// # Errors
/// If the bytes are no context at all.
pub(super) fn read_lenient<'de, D: Deserializer<'de>>(source: D) -> Result<Option<TraceContext>, D::Error> {
    let found = Option::<Unchecked>::deserialize(source)?;
    Ok(found.and_then(|Unchecked { trace_id, span_id, flags, state }| {
        TraceContext::checked(trace_id, span_id, flags, &state)
    }))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const EXAMPLE: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

    #[test]
    fn the_example_of_the_recommendation_is_read_and_written() {
        let context = TraceContext::from_headers(EXAMPLE, "rojo=00f067aa0ba902b7,congo=t61rcWkgMzE").unwrap();
        assert_eq!(context.traceparent(), EXAMPLE);
        assert!(context.is_sampled() && context.state().starts_with("rojo="));
        let next = context.at(7);
        assert_eq!((next.trace_id(), next.span_id()), (context.trace_id(), 7));
        assert!(!TraceContext::from_headers(&EXAMPLE.replace("-01", "-00"), "").unwrap().is_sampled());
    }

    #[test]
    fn a_later_version_may_say_more() {
        let later = EXAMPLE.replacen("00", "cc", 1);
        assert!(TraceContext::from_headers(&later, "").is_some());
        assert!(TraceContext::from_headers(&format!("{later}-what-ever"), "").is_some());
        assert!(TraceContext::from_headers(&format!("{EXAMPLE}-what"), "").is_none());
    }

    #[test]
    fn what_is_wrong_is_left_out() {
        for bad in [
            "",
            "00",
            "ff-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
            "00-4BF92F3577B34DA6A3CE929D0E0E4736-00f067aa0ba902b7-01",
            "00-00000000000000000000000000000000-00f067aa0ba902b7-01",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000000-01",
            "00-4bf92f3577b34da6a3ce929d0e0e473-00f067aa0ba902b7-01",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7",
            "00-+bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
        ] {
            assert_eq!(TraceContext::from_headers(bad, ""), None, "{bad}");
        }
        for bad in ["x=".repeat(300), "a=1,".repeat(40), "a=\u{e9}".to_owned(), "a=\n".repeat(2) + "b"] {
            assert_eq!(TraceContext::from_headers(EXAMPLE, &bad).unwrap().state(), "", "{bad}");
        }
    }

    proptest! {
        #[test]
        fn nothing_that_a_client_says_panics(parent: String, state: String) {
            let _ = TraceContext::from_headers(&parent, &state);
        }
    }
}
