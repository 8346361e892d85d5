//! Who measures the link to whom while no plan uses it.
//!
//! In a small cluster everybody measures everybody. In a large one each worker has [`MEASURED_MAX`] peers: the gateway and its
//! neighbours in the ring of names, so that the whole is O(n) and each link is measured in both directions or in none.

use weir_shared::ids::PeerName;
use weir_shared::wire::control::{MEASURED_MAX, ProbeTarget, ToWorker};

use super::Cluster;
use crate::planner::LinkMap;

/// Neighbours to each side in the ring of names.
const NEIGHBOURS: usize = (MEASURED_MAX - 1) / 2;

/// What everybody should measure.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Measurements {
    /// For each connected worker, by name.
    pub workers: Vec<(weir_shared::ids::WorkerId, ToWorker)>,
    /// For the gateway: all workers.
    pub gateway: Vec<ProbeTarget>,
}

impl Cluster {
    /// What everybody should measure, as long as the same workers are connected.
    pub fn measurements(&self, links: &LinkMap, gateway: &PeerName) -> Measurements {
        let members: Vec<_> = self.connected().collect();
        let n = members.len();
        let mut found = Measurements::default();
        for (index, (worker, view)) in members.iter().enumerate() {
            let here = worker.peer();
            let offsets = (1..=NEIGHBOURS).flat_map(|step| [step, n.saturating_sub(step)]);
            let mut others: Vec<usize> =
                offsets.map(|offset| (index + offset) % n).filter(|&other| other != index).collect();
            // In a small ring steps go round, and the two sides meet the same peers.
            others.sort_unstable();
            others.dedup();
            let target = |to: PeerName, advertised| {
                let address = links.address(&here, &to).unwrap_or(advertised);
                ProbeTarget { peer: to, address }
            };
            let peers = others.iter().map(|&other| members[other]);
            let mut probe: Vec<_> =
                peers.map(|(peer, view)| target(peer.peer(), view.hello.data_address)).collect();
            let mut admit: Vec<_> = probe.iter().map(|target| target.peer.clone()).collect();
            probe.push(target(gateway.clone(), view.gateway_address));
            admit.push(gateway.clone());
            found.workers.push(((*worker).clone(), ToWorker::Measure { probe, admit }));
            let address = links.address(gateway, &here).unwrap_or(view.hello.data_address);
            found.gateway.push(ProbeTarget { peer: here, address });
        }
        found
    }
}
