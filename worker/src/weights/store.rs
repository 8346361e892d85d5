//! A folder of layers by content, so that what came over the network once need not come again.

use std::collections::HashSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use weir_shared::arch::{LayerKind, Network};
use weir_shared::digest::Digest;
use weir_shared::weights::{Checkpoint, LayerTensors, WriteError, writer};

/// What a layer's file is called behind its digest.
const ENDING: &str = "layer.safetensors";

/// A folder with one file for each layer, named by its digest.
#[derive(Debug)]
pub struct Store {
    folder: PathBuf,
    /// Weights of the network that the last plan named.
    latest: Mutex<HashSet<Digest>>,
}

/// The folder cannot be used.
#[derive(Debug, thiserror::Error)]
#[error("cannot use the folder {} for weights; name another with --cache, or make it writable", folder.display())]
pub struct StoreError {
    folder: PathBuf,
    #[source]
    source: std::io::Error,
}

impl Store {
    /// The store in `folder`, which is made if it is not there.
    ///
    /// # Errors
    /// If it cannot be made.
    pub fn open(folder: &Path) -> Result<Self, StoreError> {
        let folder = folder.to_owned();
        fs::create_dir_all(&folder).map_err(|source| StoreError { folder: folder.clone(), source })?;
        Ok(Self { folder, latest: Mutex::default() })
    }

    /// The layer of that digest, if it is here and whole. A file that is neither is removed.
    pub fn find(&self, network: &Network, layer: LayerKind, digest: Digest) -> Option<LayerTensors> {
        let path = self.path(digest);
        if !path.exists() {
            return None;
        }
        let read = Checkpoint::open(&path).and_then(|file| LayerTensors::read(&file, network, layer));
        match read {
            Ok(tensors) if tensors.digest() == digest => Some(tensors),
            _ => {
                tracing::warn!(path = %path.display(), "a kept layer is damaged; it is fetched again");
                // If it cannot be removed it will be replaced.
                let _ = fs::remove_file(&path);
                None
            }
        }
    }

    /// Keeps `layer` under its digest.
    ///
    /// # Errors
    /// If the disk is full or refuses.
    pub fn keep(&self, layer: &LayerTensors, digest: Digest) -> Result<(), WriteError> {
        writer::save_layers(&self.path(digest), std::slice::from_ref(layer))
    }

    /// Notes which weights the network of a plan has, and removes layers that neither it nor the one before needs. So
    /// the folder never holds more than two networks.
    pub fn needed(&self, weights: &[Digest]) {
        let mut latest = self.latest.lock().unwrap_or_else(PoisonError::into_inner);
        let now: HashSet<Digest> = weights.iter().copied().collect();
        if *latest == now {
            return;
        }
        let before = std::mem::replace(&mut *latest, now);
        // After a restart nobody knows what came before; what is kept then goes at the next change.
        if before.is_empty() {
            return;
        }
        let wanted: HashSet<PathBuf> = latest.union(&before).map(|&digest| self.path(digest)).collect();
        let Ok(entries) = fs::read_dir(&self.folder) else { return };
        for path in entries.flatten().map(|entry| entry.path()) {
            if path.to_string_lossy().ends_with(ENDING) && !wanted.contains(&path) {
                // One that stays costs some disk.
                let _ = fs::remove_file(path);
            }
        }
    }

    fn path(&self, digest: Digest) -> PathBuf {
        self.folder.join(format!("{digest}.{ENDING}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use weir_shared::arch::Arch;

    fn head(first: f32) -> LayerTensors {
        let mut next = first;
        LayerTensors::make(&Arch::ResNet20.network(), LayerKind::Head, |parameter| {
            next += 1.0;
            vec![next; parameter.elements() as usize]
        })
    }

    #[test]
    fn a_kept_layer_is_found_and_a_damaged_one_is_not() {
        let folder = tempfile::tempdir().unwrap();
        let (store, network, layer) =
            (Store::open(folder.path()).unwrap(), Arch::ResNet20.network(), head(0.0));
        let digest = layer.digest();
        assert!(store.find(&network, LayerKind::Head, digest).is_none());
        store.keep(&layer, digest).unwrap();
        assert_eq!(store.find(&network, LayerKind::Head, digest).unwrap().digest(), digest);

        let path = store.path(digest);
        let mut bytes = fs::read(&path).unwrap();
        *bytes.last_mut().unwrap() ^= 1;
        fs::write(&path, bytes).unwrap();
        assert!(store.find(&network, LayerKind::Head, digest).is_none());
        assert!(!path.exists());
    }

    #[test]
    fn the_folder_holds_two_networks_at_most() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(folder.path()).unwrap();
        let layers = [head(0.0), head(10.0), head(20.0)];
        for layer in &layers {
            store.needed(&[layer.digest()]);
            store.keep(layer, layer.digest()).unwrap();
        }
        assert!(!store.path(layers[0].digest()).exists());
        assert!(layers[1..].iter().all(|layer| store.path(layer.digest()).exists()));
    }
}
