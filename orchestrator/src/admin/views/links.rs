//! Links, as documents.

use std::collections::BTreeMap;
use std::time::Instant;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use weir_shared::ids::PeerName;
use weir_shared::wire::control::LinkReport;

use crate::supervisor::Status;
use crate::telemetry::LinkEstimate;

/// `GET /api/v1/links`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct LinksDocument {
    /// Every link that a plan has open or that is measured, by sender.
    pub links: Vec<LinkDocument>,
}

/// One directed link, as its sender sees it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct LinkDocument {
    /// Who sends.
    pub from: String,
    /// Who receives.
    pub to: String,
    /// Whether it works: connected, or its last probe succeeded.
    pub up: bool,
    /// Whether the committed plan sends on it.
    #[serde(default)]
    pub in_plan: bool,
    /// Smoothed round-trip time.
    pub rtt_seconds: Option<f64>,
    /// The smallest of the last three seconds, which plans reckon with.
    pub rtt_min_seconds: Option<f64>,
    /// Mean deviation of the round-trip time.
    pub rtt_variation_seconds: Option<f64>,
    /// Useful bytes per second that plans reckon with.
    pub goodput_bytes_per_second: Option<f64>,
    /// Share of packets lost in the last seconds, 0 to 1.
    pub loss_ratio: Option<f64>,
    /// Age of the newest round-trip time.
    pub estimate_age_seconds: Option<f64>,
    /// Activations sent.
    pub activations: u64,
    /// Bytes of activations sent.
    pub sent_bytes: u64,
    /// Packets sent.
    pub packets_sent: u64,
    /// Packets lost.
    pub packets_lost: u64,
}

impl LinksDocument {
    /// The document of all links; `own` are those on which the gateway sends.
    pub fn new(status: &Status, own: &[LinkReport], now: Instant) -> Self {
        let estimates = status.cluster.link_estimates(now, &status.gateway);
        let own = own.iter().map(|link| (status.gateway.clone(), link));
        let known = own.chain(status.cluster.links());
        let link = |(from, link): (PeerName, &LinkReport)| LinkDocument::new(status, &estimates, &from, link);
        Self { links: known.map(link).collect() }
    }
}

impl LinkDocument {
    fn new(
        status: &Status,
        estimates: &BTreeMap<(PeerName, PeerName), LinkEstimate>,
        from: &PeerName,
        link: &LinkReport,
    ) -> Self {
        let estimate = estimates.get(&(from.clone(), link.to.clone())).copied().unwrap_or_default();
        let measured = estimate.rtt_seconds.is_some();
        let mut routes = status.plan.iter().flat_map(|plan| &plan.draft().routes);
        Self {
            from: from.short().to_owned(),
            to: link.to.short().to_owned(),
            up: link.up,
            in_plan: routes.any(|route| route.from == *from && route.to == link.to),
            rtt_seconds: estimate.rtt_seconds,
            rtt_min_seconds: estimate.rtt_minimum_seconds,
            rtt_variation_seconds: measured.then_some(estimate.rtt_variation_seconds),
            goodput_bytes_per_second: estimate.goodput,
            loss_ratio: (link.packets_sent > 0).then_some(estimate.loss),
            estimate_age_seconds: measured.then_some(estimate.rtt_age_seconds),
            activations: link.activations,
            sent_bytes: link.sent_bytes,
            packets_sent: link.packets_sent,
            packets_lost: link.packets_lost,
        }
    }
}
