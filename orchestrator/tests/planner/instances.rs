//! Seeded random clusters, for tests and benches.
//!
//! Workers: rates log-uniform from 2 to 50 GMAC/s; each layer's time is its share of MACs at that rate times a factor
//! from 0.8 to 1.3, and a join costs time for its bytes. Active power 2 to 15 W, 10 to 200 nJ for a byte at each end.
//! Links: one kind for each pair of workers, drawn from wired, Wi-Fi and radio (see `KINDS`), each direction with its own
//! goodput. Losses: a candidate loses more the more it switches off; f16 loses next to nothing, int8 up to 0.4 points.

use rand::Rng;
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use weir_orchestrator::planner::snapshot::{
    AccuracyTable, Candidate, CodecCost, EncodingLoss, LinkState, LossSource, Snapshot, VERSION, WorkerState,
};
use weir_shared::arch::{Arch, BlockId, LayerId, Network, NetworkSpec};
use weir_shared::digest::Digest;
use weir_shared::ids::{PeerName, Role};
use weir_shared::plan::{ActiveSet, Connection, Encoding};

/// What to draw.
#[derive(Debug, Clone, Copy)]
pub struct Recipe {
    pub network: NetworkSpec,
    pub workers: usize,
    /// Candidates, the full set among them.
    pub sets: usize,
    pub seed: u64,
    /// Offered load as a share of what the fastest worker could do alone; above 1 the network must be split.
    pub load: f64,
    /// Share of pairs that have a link.
    pub density: f64,
    /// Share of workers with a memory limit or a power budget that may bind.
    pub limited: f64,
    /// Whether some workers are copies of others.
    pub twins: bool,
}

impl Recipe {
    pub fn new(arch: Arch, workers: usize, sets: usize, seed: u64) -> Self {
        Self {
            network: arch.into(),
            workers,
            sets,
            seed,
            load: 0.5,
            density: 1.0,
            limited: 0.0,
            twins: false,
        }
    }

    pub fn draw(&self) -> Snapshot {
        let mut rng = ChaCha8Rng::seed_from_u64(self.seed);
        let network = self.network.network();
        let workers: Vec<WorkerState> =
            (0..self.workers).map(|index| self.worker(index, &network, &mut rng)).collect();
        let gateway = PeerName::new(Role::Orchestrator, "main").unwrap();
        let mut links = Vec::new();
        for (index, one) in workers.iter().enumerate() {
            links.extend(link_pair(&gateway, &one.name.peer(), &mut rng));
            for two in &workers[index + 1..] {
                let pair = link_pair(&one.name.peer(), &two.name.peer(), &mut rng);
                links.extend(pair.into_iter().filter(|_| rng.random_bool(self.density)));
            }
        }
        let fastest = workers.iter().map(|worker| worker.layer_seconds.iter().flatten().sum::<f64>());
        let fastest = fastest.fold(f64::INFINITY, f64::min);
        let mut snapshot = Snapshot {
            version: VERSION,
            taken_unix_ms: 0,
            network: self.network,
            weights: Digest::of(b"drawn"),
            gateway,
            batch: 1,
            offered_load: self.load / fastest,
            workers,
            links,
            accuracy: AccuracyTable {
                full_accuracy: Some(0.9),
                candidates: candidates(&network, self.sets, &mut rng),
                encodings: encoding_losses(&network, &mut rng),
            },
            codec: vec![
                CodecCost { encoding: Encoding::F32, seconds_per_element: 0.0 },
                CodecCost { encoding: Encoding::F16, seconds_per_element: 1e-9 },
                CodecCost { encoding: Encoding::Int8, seconds_per_element: 3e-9 },
            ],
            current: None,
        };
        self.limit(&mut snapshot, &network, &mut rng);
        if self.twins {
            make_twins(&mut snapshot);
        }
        snapshot
    }

    fn worker(&self, index: usize, network: &Network, rng: &mut ChaCha8Rng) -> WorkerState {
        let rate = log_uniform(rng, 2e9, 50e9);
        let layers = network.layers().iter().map(|layer| {
            let seconds = if layer.macs > 0 { layer.macs as f64 / rate } else { 2e5 / rate };
            Some(seconds * rng.random_range(0.8..1.3))
        });
        WorkerState {
            name: format!("w{index:03}").parse().unwrap(),
            layer_seconds: layers.collect(),
            macs_per_second: rate,
            memory_bytes: None,
            idle_watts: rng.random_range(0.5..5.0),
            active_watts: rng.random_range(2.0..15.0),
            power_budget_watts: None,
            joules_per_byte_sent: log_uniform(rng, 1e-8, 2e-7),
            joules_per_byte_received: log_uniform(rng, 1e-8, 2e-7),
        }
    }

    /// Memory of a third to all of the network; power for a share of what full use would draw.
    fn limit(&self, snapshot: &mut Snapshot, network: &Network, rng: &mut ChaCha8Rng) {
        for worker in &mut snapshot.workers {
            if rng.random_bool(self.limited) {
                let whole = network.weight_bytes() as f64 * 1.2 + 2e6;
                worker.memory_bytes = Some((whole * rng.random_range(0.3..1.1)) as u64);
            }
            if rng.random_bool(self.limited) {
                let share = rng.random_range(0.1..1.0);
                worker.power_budget_watts = Some(worker.idle_watts + worker.active_watts * share);
            }
        }
    }
}

/// Name, round-trip time in seconds and goodput in bytes per second, each from a range.
const KINDS: [(f64, f64, f64, f64); 3] =
    [(0.2e-3, 1e-3, 50e6, 115e6), (1e-3, 8e-3, 3e6, 30e6), (10e-3, 40e-3, 0.5e6, 4e6)];

fn link_pair(one: &PeerName, two: &PeerName, rng: &mut ChaCha8Rng) -> Vec<LinkState> {
    let (rtt_low, rtt_high, low, high) = KINDS[rng.random_range(0..KINDS.len())];
    let rtt_seconds = log_uniform(rng, rtt_low, rtt_high);
    let mut link = |from: &PeerName, to: &PeerName| LinkState {
        from: from.clone(),
        to: to.clone(),
        rtt_seconds,
        goodput: log_uniform(rng, low, high),
        loss: 0.0,
        doubted: false,
    };
    vec![link(one, two), link(two, one)]
}

fn log_uniform(rng: &mut ChaCha8Rng, low: f64, high: f64) -> f64 {
    rng.random_range(low.ln()..high.ln()).exp()
}

fn candidates(network: &Network, sets: usize, rng: &mut ChaCha8Rng) -> Vec<Candidate> {
    let full = Candidate { active: ActiveSet::full(), loss_points: 0.0, source: LossSource::Measured };
    let mut found = vec![full];
    let blocks = network.blocks.len();
    while found.len() < sets {
        let share = rng.random_range(0.02..0.4);
        let mut off = Vec::new();
        let mut loss_points = 0.0;
        for block in 0..blocks {
            if rng.random_bool(share) {
                let id = BlockId(block as u16);
                let reshapes = network.block(id).reshapes();
                let branch = rng.random_bool(0.5) && !reshapes;
                off.push(if branch { Connection::Branch(id) } else { Connection::Shortcut(id) });
                loss_points += rng.random_range(0.0..2.0) / blocks as f64 * if reshapes { 3.0 } else { 1.0 };
            }
        }
        let active = ActiveSet::without(off).unwrap();
        if found.iter().all(|known| known.active != active) {
            found.push(Candidate { active, loss_points, source: LossSource::Predicted });
        }
    }
    found
}

fn encoding_losses(network: &Network, rng: &mut ChaCha8Rng) -> Vec<EncodingLoss> {
    let mut losses = Vec::new();
    for cut in 1..network.layer_count() {
        let cut = LayerId(cut);
        losses.push(EncodingLoss {
            cut,
            encoding: Encoding::F16,
            loss_points: rng.random_range(-0.005..0.01),
        });
        // Here and there int8 was not measured, and must not be used.
        if rng.random_bool(0.9) {
            losses.push(EncodingLoss {
                cut,
                encoding: Encoding::Int8,
                loss_points: rng.random_range(0.0..0.4),
            });
        }
    }
    losses
}

/// Every second worker becomes a copy of the one before it, with the same links.
fn make_twins(snapshot: &mut Snapshot) {
    let names: Vec<_> = snapshot.workers.iter().map(|worker| worker.name.clone()).collect();
    for pair in names.chunks_exact(2) {
        let (one, two) = (pair[0].clone(), pair[1].clone());
        let first = snapshot.workers.iter().find(|worker| worker.name == one).unwrap().clone();
        let second = snapshot.workers.iter_mut().find(|worker| worker.name == two).unwrap();
        *second = WorkerState { name: two.clone(), ..first };
        let (one, two) = (one.peer(), two.peer());
        let mut copies = Vec::new();
        for link in &snapshot.links {
            if link.from == one && link.to != two {
                copies.push(LinkState { from: two.clone(), ..link.clone() });
            }
            if link.to == one && link.from != two {
                copies.push(LinkState { to: two.clone(), ..link.clone() });
            }
        }
        let between = snapshot.links.iter().find(|link| link.from == one && link.to == two).cloned();
        let touches = |link: &LinkState| link.from == two || link.to == two;
        snapshot.links.retain(|link| !(touches(link) || link.from == one && link.to == two));
        snapshot.links.extend(copies);
        if let Some(between) = between {
            snapshot.links.push(LinkState { from: two.clone(), to: one.clone(), ..between.clone() });
            snapshot.links.push(between);
        }
    }
}
