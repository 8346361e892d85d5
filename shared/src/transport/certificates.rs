//! The identity that holds now, shared by all who open connections.
//!
//! Read from a folder at the start. [`Rotation`](super::Rotation) puts another one in its place when the folder has changed;
//! whoever takes it afterwards takes the new one.

use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock};

use super::identity::{Identity, IdentityError};

/// The identity of this process. Cheap to clone; all clones see a new one at once.
#[derive(Debug, Clone)]
pub struct Certificates {
    folder: Option<PathBuf>,
    current: Arc<RwLock<Arc<Identity>>>,
}

impl Certificates {
    /// Reads the identity in `folder`, where later ones will be too.
    ///
    /// # Errors
    /// Names the file that is missing or unusable.
    pub fn open(folder: &Path) -> Result<Self, IdentityError> {
        Ok(Self { folder: Some(folder.to_owned()), ..Identity::load(folder)?.into() })
    }

    /// The identity that holds now.
    pub fn current(&self) -> Arc<Identity> {
        self.current.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Where it was read; none if it stays as it is.
    pub(super) fn folder(&self) -> Option<&Path> {
        self.folder.as_deref()
    }

    pub(super) fn replace(&self, identity: Identity) -> Arc<Identity> {
        let identity = Arc::new(identity);
        *self.current.write().unwrap_or_else(PoisonError::into_inner) = identity.clone();
        identity
    }
}

/// An identity that stays as it is.
impl From<Identity> for Certificates {
    fn from(identity: Identity) -> Self {
        Self { folder: None, current: Arc::new(RwLock::new(Arc::new(identity))) }
    }
}
