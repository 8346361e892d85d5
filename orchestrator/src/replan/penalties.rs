//! Plans that did not deliver, or could not be rolled out: left out for a while, and each further time for twice as long.

use std::time::Duration;

use crate::planner::snapshot::Placement;

/// What is left out, and until when.
#[derive(Debug, Clone, Default)]
pub(super) struct Penalties {
    all: Vec<Penalty>,
}

#[derive(Debug, Clone)]
struct Penalty {
    placement: Placement,
    until: Duration,
    pause: Duration,
}

impl Penalties {
    /// Leaves `placement` out for `pause`, or for twice as long as the last time.
    pub(super) fn add(&mut self, at: Duration, placement: Placement, pause: Duration) {
        let known = self.all.iter().position(|penalty| penalty.placement == placement);
        let pause = known.map_or(pause, |index| self.all.swap_remove(index).pause.saturating_mul(2));
        self.all.push(Penalty { placement, until: at.saturating_add(pause), pause });
    }

    /// What is left out now. A penalty is remembered for as long again as it lasted.
    pub(super) fn avoided(&mut self, at: Duration) -> Vec<Placement> {
        self.all.retain(|penalty| penalty.until.saturating_add(penalty.pause) > at);
        let active = self.all.iter().filter(|penalty| penalty.until > at);
        active.map(|penalty| penalty.placement.clone()).collect()
    }

    pub(super) const fn is_empty(&self) -> bool {
        self.all.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use weir_shared::plan::ActiveSet;

    use super::*;

    #[test]
    fn each_further_time_is_twice_as_long_unless_it_was_long_ago() {
        let placement = Placement {
            active: ActiveSet::full(),
            cuts: vec![],
            workers: vec!["a".parse().unwrap()],
            encodings: vec![],
        };
        let (mut penalties, seconds) = (Penalties::default(), Duration::from_secs);
        let pause = seconds(10);
        penalties.add(seconds(0), placement.clone(), pause);
        let out = std::slice::from_ref(&placement);
        assert_eq!(penalties.avoided(seconds(9)), out);
        assert!(penalties.avoided(seconds(11)).is_empty());
        penalties.add(seconds(12), placement.clone(), pause);
        assert_eq!(penalties.avoided(seconds(31)), out);
        assert!(penalties.avoided(seconds(100)).is_empty() && penalties.is_empty());
        penalties.add(seconds(100), placement.clone(), pause);
        assert!(penalties.avoided(seconds(111)).is_empty());
    }
}
