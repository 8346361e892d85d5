//! Who this process is: certificate, key and the authority that it trusts.

use std::path::{Path, PathBuf};

use ring::digest;
use rustls::RootCertStore;
use rustls_pki_types::pem::{Error as PemError, PemObject as _};
use rustls_pki_types::{CertificateDer, PrivateKeyDer, UnixTime};
use time::OffsetDateTime;
use webpki::KeyUsage;
use x509_parser::prelude::{FromDer as _, X509Certificate};

use crate::ids::PeerName;

/// Certificate chain, private key and trusted authorities of one peer.
///
/// Read from a folder with `ca.crt`, `tls.crt` and `tls.key`: the names that Kubernetes and cert-manager use. `ca.crt` may
/// hold several authorities, so that one can be replaced by another while both are trusted.
#[derive(Debug)]
pub struct Identity {
    name: PeerName,
    expires: OffsetDateTime,
    contents: Contents,
    pub(super) chain: Vec<CertificateDer<'static>>,
    pub(super) key: PrivateKeyDer<'static>,
    pub(super) roots: RootCertStore,
}

/// What tells one set of files from another.
pub(super) type Contents = [u8; digest::SHA256_OUTPUT_LEN];

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
    /// The certificate states no end of its validity that can be read.
    #[error("the certificate does not say until when it is valid")]
    Endless,
    /// The certificate is of an authority that its own holder does not trust, or is not valid now.
    #[error(
        "the certificate would be refused: it has expired, is not valid yet, or comes from no authority of its own ca.crt"
    )]
    Unusable(#[source] webpki::Error),
}

impl Identity {
    /// Reads `ca.crt`, `tls.crt` and `tls.key` from `folder`.
    ///
    /// # Errors
    /// Names the file that is missing or unusable.
    pub fn load(folder: &Path) -> Result<Self, IdentityError> {
        let [ca_path, chain_path, key_path] = ["ca.crt", "tls.crt", "tls.key"].map(|file| folder.join(file));
        let (chain_pem, key_pem, ca_pem) = (read(&chain_path)?, read(&key_path)?, read(&ca_path)?);
        let chain = certificates(&chain_path, &chain_pem)?;
        let key = PrivateKeyDer::from_pem_slice(&key_pem).map_err(unreadable(&key_path))?;
        let mut roots = RootCertStore::empty();
        for certificate in certificates(&ca_path, &ca_pem)? {
            let added = roots.add(certificate);
            added.map_err(|source| IdentityError::Authority { path: ca_path.clone(), source })?;
        }
        let leaf = chain.first().ok_or(IdentityError::Empty(chain_path))?;
        let (name, expires) = (name_in(leaf)?, end_of(leaf)?);
        let contents = contents(&[&ca_pem, &chain_pem, &key_pem]);
        Ok(Self { name, expires, contents, chain, key, roots })
    }

    /// The name that the certificate states.
    pub const fn name(&self) -> &PeerName {
        &self.name
    }

    /// Until when the certificate is valid.
    pub const fn expires(&self) -> OffsetDateTime {
        self.expires
    }

    /// The certificate's serial number in hexadecimal, as openssl writes it.
    pub fn serial(&self) -> String {
        let parsed = self.chain.first().and_then(|leaf| webpki::EndEntityCert::try_from(leaf).ok());
        let serial = parsed.map(|leaf| leaf.serial().to_vec()).unwrap_or_default();
        // A leading zero only says that the number is not negative.
        let number = serial.strip_prefix(&[0]).filter(|rest| !rest.is_empty()).unwrap_or(&serial);
        number.iter().map(|byte| format!("{byte:02X}")).collect()
    }

    /// What tells these files from others.
    pub(super) const fn contents(&self) -> Contents {
        self.contents
    }

    /// Whether a peer that trusts the same authorities would accept the certificate at `now`.
    ///
    /// # Errors
    /// If the certificate has expired, is not valid yet, or comes from none of these authorities.
    pub(super) fn check(&self, now: UnixTime) -> Result<(), IdentityError> {
        let [leaf, between @ ..] = self.chain.as_slice() else { return Err(IdentityError::Nameless) };
        let leaf = webpki::EndEntityCert::try_from(leaf).map_err(IdentityError::Malformed)?;
        let algorithms = rustls::crypto::ring::default_provider().signature_verification_algorithms;
        // Every peer dials and accepts.
        for usage in [KeyUsage::client_auth(), KeyUsage::server_auth()] {
            let path =
                leaf.verify_for_usage(algorithms.all, &self.roots.roots, between, now, usage, None, None);
            path.map_err(IdentityError::Unusable)?;
        }
        Ok(())
    }

    /// A secret that stays the same across restarts, for tokens that outlive the process.
    ///
    /// The purpose keeps tokens of different uses apart.
    pub(super) fn stable_secret(&self, purpose: &[u8]) -> ring::hmac::Tag {
        let key = ring::hmac::Key::new(ring::hmac::HMAC_SHA256, self.key.secret_der());
        ring::hmac::sign(&key, purpose)
    }
}

fn unreadable(path: &Path) -> impl Fn(PemError) -> IdentityError {
    move |source| IdentityError::Unreadable { path: path.to_owned(), source }
}

fn read(path: &Path) -> Result<Vec<u8>, IdentityError> {
    std::fs::read(path).map_err(PemError::Io).map_err(unreadable(path))
}

fn certificates(path: &Path, pem: &[u8]) -> Result<Vec<CertificateDer<'static>>, IdentityError> {
    let found: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem).collect();
    let found = found.map_err(unreadable(path))?;
    if found.is_empty() { Err(IdentityError::Empty(path.to_owned())) } else { Ok(found) }
}

fn contents(files: &[&[u8]]) -> Contents {
    let mut context = digest::Context::new(&digest::SHA256);
    for file in files {
        // Its length too, so that what moves from one file to the next is seen.
        context.update(&file.len().to_be_bytes());
        context.update(file);
    }
    let mut contents = Contents::default();
    contents.copy_from_slice(context.finish().as_ref());
    contents
}

/// Until when a certificate is valid.
fn end_of(certificate: &CertificateDer<'_>) -> Result<OffsetDateTime, IdentityError> {
    let parsed = X509Certificate::from_der(certificate).map_err(|_| IdentityError::Endless)?;
    Ok(parsed.1.validity().not_after.to_datetime())
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
