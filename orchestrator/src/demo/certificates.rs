//! Certificates for a private cluster: one authority, and a folder with three files for each peer.
//!
//! Always true: an authority or a peer's certificate that is there already is kept, because replacing it would
//! lock out whoever trusts it.

use std::path::{Path, PathBuf};

use weir_shared::ids::PeerName;
use weir_shared::transport::{Authority, AuthorityError};

/// What became of one folder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Issued {
    /// Whose it is.
    pub peer: PeerName,
    /// Where `ca.crt`, `tls.crt` and `tls.key` are.
    pub folder: PathBuf,
    /// What was done.
    pub outcome: Outcome,
}

/// What was done for an authority or a peer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// It is new.
    Made,
    /// It was there.
    Kept,
}

/// What there is now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Certificates {
    /// Where the authority is, with its key.
    pub authority: PathBuf,
    /// Whether it is new.
    pub authority_outcome: Outcome,
    /// One for each peer, in the order asked for.
    pub peers: Vec<Issued>,
}

/// Why there are no certificates. Nothing that was there has been changed.
#[derive(Debug, thiserror::Error)]
pub enum CertificatesError {
    /// The authority cannot be used.
    #[error("cannot make certificates")]
    Authority(#[from] AuthorityError),
    /// Some files of a set are there, others are not.
    #[error("{} holds {present} but no {missing}; bring the file back, or remove the folder to have it made anew", folder.display())]
    Incomplete {
        /// The folder.
        folder: PathBuf,
        /// A file that is there.
        present: &'static str,
        /// One that is not.
        missing: &'static str,
    },
    /// A peer's certificate trusts another authority.
    #[error("{} is from another authority than {}; remove the folder to have it made anew", folder.display(), authority.display())]
    Foreign {
        /// The peer's folder.
        folder: PathBuf,
        /// The authority's.
        authority: PathBuf,
    },
}

/// Makes the authority in `folder/ca` and the certificates in `folder/<role>/<name>`, where they are not there.
///
/// # Errors
/// If a file cannot be read or written, or what is there does not fit together.
pub fn make(folder: &Path, peers: &[PeerName]) -> Result<Certificates, CertificatesError> {
    let authority_folder = folder.join("ca");
    let authority_outcome = outcome_of(&authority_folder, &["ca.crt", "ca.key"])?;
    let authority = Authority::open_or_create(&authority_folder)?;
    let issue = |peer: &PeerName| {
        let folder = peer_folder(folder, peer);
        let outcome = outcome_of(&folder, &["ca.crt", "tls.crt", "tls.key"])?;
        match outcome {
            Outcome::Made => authority.issue(peer)?.save(&folder)?,
            Outcome::Kept => check_trust(&folder, &authority_folder)?,
        }
        Ok(Issued { peer: peer.clone(), folder, outcome })
    };
    let peers = peers.iter().map(issue).collect::<Result<_, CertificatesError>>()?;
    Ok(Certificates { authority: authority_folder, authority_outcome, peers })
}

/// Where the files of `peer` are.
pub fn peer_folder(folder: &Path, peer: &PeerName) -> PathBuf {
    folder.join(peer.role().label()).join(peer.short())
}

/// All files of a set are there, or none is.
fn outcome_of(folder: &Path, files: &[&'static str]) -> Result<Outcome, CertificatesError> {
    let (present, missing): (Vec<&str>, Vec<&str>) =
        files.iter().partition(|file| folder.join(file).exists());
    match (present.first(), missing.first()) {
        (None, _) => Ok(Outcome::Made),
        (_, None) => Ok(Outcome::Kept),
        (Some(present), Some(missing)) => {
            Err(CertificatesError::Incomplete { folder: folder.to_owned(), present, missing })
        }
    }
}

fn check_trust(folder: &Path, authority: &Path) -> Result<(), CertificatesError> {
    let read = |folder: &Path| {
        let path = folder.join("ca.crt");
        std::fs::read(&path).map_err(|source| AuthorityError::File { path, source })
    };
    if read(folder)? == read(authority)? {
        return Ok(());
    }
    Err(CertificatesError::Foreign { folder: folder.to_owned(), authority: authority.to_owned() })
}

#[cfg(test)]
mod tests {
    use super::*;
    use weir_shared::ids::Role;
    use weir_shared::transport::Identity;

    fn peer(name: &str) -> PeerName {
        PeerName::new(Role::Worker, name).unwrap()
    }

    #[test]
    fn a_second_call_keeps_what_is_there_and_adds_the_rest() {
        let folder = tempfile::tempdir().unwrap();
        let first = make(folder.path(), &[peer("camera")]).unwrap();
        assert_eq!((first.authority_outcome, first.peers[0].outcome), (Outcome::Made, Outcome::Made));
        let key = std::fs::read(folder.path().join("ca/ca.key")).unwrap();
        let second = make(folder.path(), &[peer("camera"), peer("attic")]).unwrap();
        assert_eq!(second.authority_outcome, Outcome::Kept);
        assert_eq!(
            second.peers.iter().map(|p| p.outcome).collect::<Vec<_>>(),
            [Outcome::Kept, Outcome::Made]
        );
        assert_eq!(std::fs::read(folder.path().join("ca/ca.key")).unwrap(), key);
        assert_eq!(Identity::load(&second.peers[1].folder).unwrap().name(), &peer("attic"));
    }

    #[test]
    fn an_authority_without_its_key_is_not_replaced() {
        let folder = tempfile::tempdir().unwrap();
        make(folder.path(), &[]).unwrap();
        std::fs::remove_file(folder.path().join("ca/ca.key")).unwrap();
        let certificate = std::fs::read(folder.path().join("ca/ca.crt")).unwrap();
        let error = make(folder.path(), &[]).unwrap_err().to_string();
        assert!(error.contains("ca.crt but no ca.key"), "{error}");
        assert_eq!(std::fs::read(folder.path().join("ca/ca.crt")).unwrap(), certificate);
    }

    #[test]
    fn a_peer_of_another_authority_is_told_apart() {
        let folder = tempfile::tempdir().unwrap();
        make(folder.path(), &[peer("camera")]).unwrap();
        std::fs::remove_dir_all(folder.path().join("ca")).unwrap();
        let error = make(folder.path(), &[peer("camera")]).unwrap_err().to_string();
        assert!(error.contains("another authority"), "{error}");
    }
}
