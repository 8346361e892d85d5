//! A budget for retries: a fraction of what is admitted, so that trouble does not multiply the load.

/// Retries may be at most this share of admitted requests.
const SHARE: f64 = 0.2;

/// Retries that may be made at once, whatever was admitted: a small cluster that loses a worker needs some.
const RESERVE: f64 = 32.0;

/// Retries that may still be made.
#[derive(Debug)]
pub(super) struct RetryBudget {
    tokens: f64,
}

impl Default for RetryBudget {
    fn default() -> Self {
        Self { tokens: RESERVE }
    }
}

impl RetryBudget {
    /// A request was admitted.
    pub(super) fn admitted(&mut self) {
        self.tokens = (self.tokens + SHARE).min(RESERVE);
    }

    /// Takes one retry, if there is one.
    pub(super) fn take(&mut self) -> bool {
        let enough = self.tokens >= 1.0;
        if enough {
            self.tokens -= 1.0;
        }
        enough
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn retries_are_a_fifth_of_what_is_admitted() {
        let mut budget = RetryBudget::default();
        while budget.take() {}
        (0..50).for_each(|_| budget.admitted());
        let granted = (0..50).filter(|_| budget.take()).count();
        assert!((9..=10).contains(&granted), "{granted}");
    }
}
