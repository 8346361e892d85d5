//! How far a measured share can be trusted.

/// 97.5th percentile of the standard normal distribution: two sides of 2.5 % make 95 %.
const Z: f64 = 1.959_963_984_540_054;

/// The 95 % confidence interval of a share, both ends in 0 to 1.
#[derive(Debug, Clone, Copy, PartialEq, serde::Serialize)]
pub struct Interval {
    /// The lower end.
    pub low: f64,
    /// The upper end.
    pub high: f64,
}

/// Wilson's score interval (Wilson 1927, "Probable inference", JASA 22) for `hits` of `count`.
///
/// Unlike the textbook interval it is sound near 0 and 1, where accuracies lie. Without any trial it is all of 0 to 1.
pub fn wilson(hits: usize, count: usize) -> Interval {
    if count == 0 {
        return Interval { low: 0.0, high: 1.0 };
    }
    let (n, share) = (count as f64, hits as f64 / count as f64);
    let scale = 1.0 + Z * Z / n;
    let centre = (share + Z * Z / (2.0 * n)) / scale;
    let reach = Z / scale * (share * (1.0 - share) / n + Z * Z / (4.0 * n * n)).sqrt();
    Interval { low: (centre - reach).max(0.0), high: (centre + reach).min(1.0) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_interval_matches_published_figures() {
        // Newcombe 1998, "Two-sided confidence intervals for the single proportion", Table I, method 3.
        for (hits, count, low, high) in
            [(81, 263, 0.2553, 0.3662), (15, 148, 0.0624, 0.1605), (0, 20, 0.0, 0.1611)]
        {
            let interval = wilson(hits, count);
            assert!((interval.low - low).abs() < 5e-5 && (interval.high - high).abs() < 5e-5, "{interval:?}");
        }
    }
}
