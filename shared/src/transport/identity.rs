//! Who this process is: certificate, key and the authority that it trusts.

use std::path::{Path, PathBuf};

use rustls::RootCertStore;
use rustls_pki_types::pem::PemObject as _;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};

use crate::ids::PeerName;

/// Certificate chain, private key and trusted authority of one peer.
///
/// Read from a folder with `ca.crt`, `tls.crt` and `tls.key`: the names that Kubernetes and cert-manager use.
#[derive(Debug)]
pub struct Identity {
    name: PeerName,
    pub(super) chain: Vec<CertificateDer<'static>>,
    pub(super) key: PrivateKeyDer<'static>,
    pub(super) roots: RootCertStore,
}

/// Why a process has no identity.
#[derive(Debug, thiserror::Error)]
pub enum IdentityError {
    /// A file is missing or is not PEM.
    #[error("cannot read {}; make certificates with `weir certs`, or point --certs at the folder that holds them", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: rustls_pki_types::pem::Error,
    },
    /// There is no certificate in the file.
    #[error("{} holds no certificate", .0.display())]
    Empty(PathBuf),
    /// The authority's certificate cannot be used.
    #[error("{} is not a certificate authority that can be trusted", path.display())]
    Authority {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: rustls::Error,
    },
    /// The certificate states no name of ours.
    #[error(
        "the certificate names no Weir peer; one of its DNS names must be <name>.worker.weir.internal or <name>.orchestrator.weir.internal"
    )]
    Nameless,
    /// The certificate states two names of ours, and a peer has one.
    #[error("the certificate names two Weir peers, {0} and {1}; give each peer its own certificate")]
    Ambiguous(PeerName, PeerName),
    /// The bytes are no X.509 certificate.
    #[error("the certificate cannot be parsed")]
    Malformed(#[source] webpki::Error),
}

impl Identity {
    /// Reads `ca.crt`, `tls.crt` and `tls.key` from `folder`.
    ///
    /// # Errors
    /// Names the file that is missing or unusable.
    pub fn load(folder: &Path) -> Result<Self, IdentityError> {
        let chain_path = folder.join("tls.crt");
        let chain = certificates(&chain_path)?;
        let key_path = folder.join("tls.key");
        let key = PrivateKeyDer::from_pem_file(&key_path)
            .map_err(|source| IdentityError::Unreadable { path: key_path, source })?;
        let ca_path = folder.join("ca.crt");
        let mut roots = RootCertStore::empty();
        for certificate in certificates(&ca_path)? {
            let added = roots.add(certificate);
            added.map_err(|source| IdentityError::Authority { path: ca_path.clone(), source })?;
        }
        let name = name_in(chain.first().ok_or(IdentityError::Empty(chain_path))?)?;
        Ok(Self { name, chain, key, roots })
    }

    /// The name that the certificate states.
    pub const fn name(&self) -> &PeerName {
        &self.name
    }

    /// A secret that stays the same across restarts, for tokens that outlive the process.
    ///
    /// The purpose keeps tokens of different uses apart.
    pub(super) fn stable_secret(&self, purpose: &[u8]) -> ring::hmac::Tag {
        let key = ring::hmac::Key::new(ring::hmac::HMAC_SHA256, self.key.secret_der());
        ring::hmac::sign(&key, purpose)
    }
}

fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, IdentityError> {
    let unreadable = |source| IdentityError::Unreadable { path: path.to_owned(), source };
    let found: Vec<_> = CertificateDer::pem_file_iter(path)
        .map_err(unreadable)?
        .collect::<Result<_, _>>()
        .map_err(|source| IdentityError::Unreadable { path: path.to_owned(), source })?;
    if found.is_empty() { Err(IdentityError::Empty(path.to_owned())) } else { Ok(found) }
}

/// The one Weir name among the DNS names of a certificate. Names of other domains are ignored.
pub(super) fn name_in(certificate: &CertificateDer<'_>) -> Result<PeerName, IdentityError> {
    let parsed = webpki::EndEntityCert::try_from(certificate).map_err(IdentityError::Malformed)?;
    let mut ours = parsed.valid_dns_names().filter_map(|name| name.parse::<PeerName>().ok());
    let name = ours.next().ok_or(IdentityError::Nameless)?;
    match ours.find(|other| *other != name) {
        Some(other) => Err(IdentityError::Ambiguous(name, other)),
        None => Ok(name),
    }
}
