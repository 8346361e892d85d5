//! Asks every two milliseconds whether requests would be admitted, to see a gap that no request happened to meet.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use tokio::time::{MissedTickBehavior, interval};

use super::recording::AdmissionRecord;
use crate::demo::client::AdminClient;

/// A gap shorter than this may pass unseen. Asking takes some 0.2 ms, so this costs a tenth of a core.
const PERIOD: Duration = Duration::from_millis(2);

/// What was seen so far.
pub type Shared = Arc<Mutex<AdmissionRecord>>;

/// Asks until it is dropped.
pub async fn probe(admin: AdminClient, seen: Shared) {
    let mut tick = interval(PERIOD);
    tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut last_open = Instant::now();
    let mut closed = false;
    loop {
        tick.tick().await;
        // Between asking and answer is when it was so; both ends count to the gap, so it is never too short.
        let asked = Instant::now();
        let Ok(answer) = admin.readiness().await else { continue };
        let mut seen = seen.lock().unwrap_or_else(PoisonError::into_inner);
        seen.asked += 1;
        match answer {
            Ok(()) => {
                if std::mem::take(&mut closed) {
                    let gap = last_open.elapsed().as_secs_f64() * 1e3;
                    seen.longest_closed_ms = seen.longest_closed_ms.max(gap);
                }
                last_open = asked;
            }
            Err(_) => closed = true,
        }
    }
}
