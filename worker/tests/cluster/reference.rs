//! The network that a cluster serves, as a checkpoint on disk and whole in memory: the oracle of every test.

use std::path::PathBuf;
use std::sync::Mutex;

use tempfile::TempDir;
use weir_shared::arch::{Arch, Network, NetworkSpec, Shape};
use weir_shared::digest::Digest;
use weir_shared::plan::ActiveSet;
use weir_shared::plan::plan::BatchNorm;
use weir_shared::weights::{Checkpoint, LayerTensors, writer};
use weir_worker::resnet::{WholeNetwork, random, threads};

const SEED: u64 = 11;

/// What a split must equal.
pub struct Reference {
    pub spec: NetworkSpec,
    pub network: Network,
    /// The checkpoint from which the workers load.
    pub weights: PathBuf,
    /// One for each layer, as plans carry them.
    pub digests: Vec<Digest>,
    whole: Mutex<WholeNetwork>,
    answers: Mutex<Vec<(ActiveSet, u16, Vec<f32>)>>,
    _folder: TempDir,
}

impl Reference {
    /// Seeded random weights for `arch` at the image size of its paper.
    pub fn of(arch: Arch) -> Self {
        Self::with(arch.into())
    }

    /// Seeded random weights for small images, where the size does not matter.
    pub fn small(arch: Arch) -> Self {
        Self::with(NetworkSpec::new(arch, Shape::new(3, 32, 32), 10).unwrap())
    }

    fn with(spec: NetworkSpec) -> Self {
        threads::configure(super::THREADS).unwrap();
        let network = spec.network();
        let layers = network.layers().iter().map(|layer| random::layer(&network, layer.kind, SEED));
        let layers: Vec<LayerTensors> = layers.collect();
        let folder = tempfile::tempdir().unwrap();
        let weights = folder.path().join("weights.safetensors");
        writer::save_layers(&weights, &layers).unwrap();
        let checkpoint = Checkpoint::open(&weights).unwrap();
        let whole = WholeNetwork::load(&checkpoint, network.clone(), BatchNorm::Folded).unwrap();
        Self {
            spec,
            network,
            weights,
            digests: layers.iter().map(LayerTensors::digest).collect(),
            whole: Mutex::new(whole),
            answers: Mutex::new(Vec::new()),
            _folder: folder,
        }
    }

    /// Numbers from -2 to 2, as a normalised image has.
    pub fn images(&self, batch: u16) -> Vec<f32> {
        let elements = self.network.input.elements() * usize::from(batch);
        let spread = |n: u32| (n.wrapping_mul(2_654_435_769) >> 8) as f32 / (1 << 22) as f32 - 2.0;
        (0..elements as u32).map(spread).collect()
    }

    /// The whole network's logits for [`images`](Self::images), in one process and without a plan.
    pub fn logits(&self, active: &ActiveSet, batch: u16) -> Vec<f32> {
        let mut answers = self.answers.lock().unwrap();
        if let Some((.., known)) = answers.iter().find(|(set, n, _)| (set, *n) == (active, batch)) {
            return known.clone();
        }
        let whole = self.whole.lock().unwrap();
        let logits = whole.logits(active, usize::from(batch), self.images(batch)).unwrap();
        assert!(logits.iter().all(|logit| logit.is_finite()) && logits.iter().any(|logit| *logit != 0.0));
        answers.push((active.clone(), batch, logits.clone()));
        logits
    }

    /// The layer of that name, such as `layer2.1.conv2`, as a cut point before it.
    pub fn before(&self, name: &str) -> u16 {
        let named = |layer: &&weir_shared::arch::Layer| self.network.layer_name(layer.kind) == name;
        self.network.layers().iter().find(named).unwrap().id.0
    }

    /// Active connections by name: all but `off`.
    pub fn without(&self, off: &str) -> ActiveSet {
        ActiveSet::parse(off, &self.network).unwrap()
    }
}
