//! The learning rate at each step: up in a line, down along half a cosine.
//!
//! One cycle (Smith and Topin 2018, "Super-convergence") without its momentum cycle; the descent is that of
//! Loshchilov and Hutter 2017 (SGDR), Eq. 5, ending at zero, so that the last steps only settle.

/// The course of the learning rate over a run.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Schedule {
    peak: f64,
    warm_up: u64,
    steps: u64,
}

impl Schedule {
    /// A course of `steps` steps with its highest rate `peak` after the share `warm_up` of them.
    pub fn new(peak: f64, warm_up: f64, steps: u64) -> Self {
        Self { peak, warm_up: (steps as f64 * warm_up.clamp(0.0, 1.0)) as u64, steps }
    }

    /// The learning rate of step `step`, counted from 0.
    pub fn rate(&self, step: u64) -> f64 {
        if step < self.warm_up {
            return self.peak * (step + 1) as f64 / (self.warm_up + 1) as f64;
        }
        let descent = (self.steps - self.warm_up).max(1) as f64;
        let done = (step - self.warm_up) as f64 / descent;
        self.peak * 0.5 * (1.0 + (std::f64::consts::PI * done.min(1.0)).cos())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_rate_rises_peaks_and_ends_near_zero() {
        let schedule = Schedule::new(0.4, 0.25, 100);
        let rates: Vec<f64> = (0..100).map(|step| schedule.rate(step)).collect();
        assert!(rates[..26].windows(2).all(|pair| pair[0] < pair[1]));
        assert!(rates[25..].windows(2).all(|pair| pair[0] > pair[1]));
        assert_eq!(rates[25], 0.4);
        assert!(rates[0] < 0.02 && rates[99] < 0.001);
    }
}
