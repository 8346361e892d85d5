//! Agreeing on a term with a worker that has seen another orchestrator. Pure.
//!
//! Workers obey no term lower than the highest they have seen. Ours can be lower when the clock went back between two
//! incarnations, which happens on boards that keep no time without power.

use weir_shared::ids::Term;

/// A worker may be ahead by this many milliseconds, of which terms are made: ten years. More is no clock that went
/// wrong, but a worker that lies.
const LEAP_MAX: u64 = 10 * 365 * 24 * 3600 * 1000;

/// Whether our term is bound already.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Commitment {
    /// No plan carries it.
    None,
    /// A plan does, or is about to.
    Planned,
}

/// Why a worker will not obey us.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Disagreement {
    /// No clock is that wrong.
    #[error("it says that it obeyed term {0}, which is beyond belief; restart the worker")]
    Absurd(Term),
    /// Another orchestrator is or was in charge.
    #[error(
        "it has obeyed term {obeyed}, and this orchestrator has term {ours}: another one is or was in charge; \
         stop the other one, or restart the worker"
    )]
    Superseded {
        /// The worker's.
        obeyed: Term,
        /// Ours.
        ours: Term,
    },
}

/// The term under which a worker that has `obeyed` a term will obey us: ours, or a higher one if ours is not bound.
///
/// # Errors
/// If there is none.
pub fn agree(ours: Term, obeyed: Term, commitment: Commitment) -> Result<Term, Disagreement> {
    if obeyed <= ours {
        return Ok(ours);
    }
    if obeyed.0 - ours.0 > LEAP_MAX {
        return Err(Disagreement::Absurd(obeyed));
    }
    match commitment {
        Commitment::None => Ok(Term(obeyed.0 + 1)),
        Commitment::Planned => Err(Disagreement::Superseded { obeyed, ours }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clock_that_went_back_is_caught_up_with_before_the_first_plan() {
        assert_eq!(agree(Term(100), Term(7), Commitment::Planned), Ok(Term(100)));
        assert_eq!(agree(Term(100), Term(200), Commitment::None), Ok(Term(201)));
        let superseded = agree(Term(100), Term(200), Commitment::Planned).unwrap_err().to_string();
        assert!(superseded.contains("stop the other one"), "{superseded}");
    }

    #[test]
    fn a_worker_cannot_push_the_term_to_its_end() {
        assert_eq!(
            agree(Term(100), Term(u64::MAX), Commitment::None),
            Err(Disagreement::Absurd(Term(u64::MAX)))
        );
    }
}
