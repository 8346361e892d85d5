//! A private certificate authority, for clusters that have no other.

use std::path::{Path, PathBuf};

use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose,
};

use crate::ids::PeerName;

/// How long a leaf certificate is valid.
pub const LEAF_DAYS: i64 = 90;

/// How long the authority is valid.
const AUTHORITY_DAYS: i64 = 3650;

/// Clocks of small machines are off after a boot: certificates are valid from a little earlier.
const BACKDATE_HOURS: i64 = 24;

/// An authority with its private key.
pub struct Authority {
    certificate_pem: String,
    issuer: Issuer<'static, KeyPair>,
}

/// The three files of one peer, as PEM text.
pub struct CertificateFiles {
    /// The authority's certificate: `ca.crt`.
    pub ca: String,
    /// The peer's certificate: `tls.crt`.
    pub certificate: String,
    /// The peer's private key: `tls.key`.
    pub key: String,
}

/// Why certificates could not be made.
#[derive(Debug, thiserror::Error)]
pub enum AuthorityError {
    /// A certificate could not be made or read.
    #[error("cannot make or read the certificate")]
    Certificate(#[from] rcgen::Error),
    /// A file could not be read or written.
    #[error("cannot access {}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
}

impl Authority {
    /// A new authority with a key of its own.
    ///
    /// # Errors
    /// If the system has no randomness to make a key from.
    pub fn create() -> Result<Self, AuthorityError> {
        let key = KeyPair::generate()?;
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, "Weir private authority");
        params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        set_validity(&mut params, AUTHORITY_DAYS);
        let certificate_pem = params.self_signed(&key)?.pem();
        Ok(Self { certificate_pem, issuer: Issuer::new(params, key) })
    }

    /// Opens the authority in `folder` (`ca.crt` and `ca.key`), or makes one there.
    ///
    /// # Errors
    /// If the files cannot be read or written.
    pub fn open_or_create(folder: &Path) -> Result<Self, AuthorityError> {
        let (certificate_path, key_path) = (folder.join("ca.crt"), folder.join("ca.key"));
        if key_path.exists() {
            let certificate_pem = read(&certificate_path)?;
            let key = KeyPair::from_pem(&read(&key_path)?)?;
            let issuer = Issuer::from_ca_cert_pem(&certificate_pem, key)?;
            return Ok(Self { certificate_pem, issuer });
        }
        let authority = Self::create()?;
        create_folder(folder)?;
        write(&certificate_path, &authority.certificate_pem, Secrecy::Public)?;
        write(&key_path, &authority.issuer.key().serialize_pem(), Secrecy::Private)?;
        Ok(authority)
    }

    /// A certificate for `peer`, for dialling and for accepting.
    ///
    /// # Errors
    /// If the certificate cannot be made.
    pub fn issue(&self, peer: &PeerName) -> Result<CertificateFiles, AuthorityError> {
        let key = KeyPair::generate()?;
        let mut params = CertificateParams::new(vec![peer.dns_name()])?;
        params.distinguished_name.push(DnType::CommonName, peer.dns_name());
        params.use_authority_key_identifier_extension = true;
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages =
            vec![ExtendedKeyUsagePurpose::ClientAuth, ExtendedKeyUsagePurpose::ServerAuth];
        set_validity(&mut params, LEAF_DAYS);
        let certificate = params.signed_by(&key, &self.issuer)?.pem();
        Ok(CertificateFiles { ca: self.certificate_pem.clone(), certificate, key: key.serialize_pem() })
    }
}

impl CertificateFiles {
    /// Writes `ca.crt`, `tls.crt` and `tls.key` into `folder`; the key is readable for its owner only.
    ///
    /// # Errors
    /// If a file cannot be written.
    pub fn save(&self, folder: &Path) -> Result<(), AuthorityError> {
        create_folder(folder)?;
        write(&folder.join("ca.crt"), &self.ca, Secrecy::Public)?;
        write(&folder.join("tls.crt"), &self.certificate, Secrecy::Public)?;
        write(&folder.join("tls.key"), &self.key, Secrecy::Private)
    }
}

#[derive(Clone, Copy)]
enum Secrecy {
    Public,
    Private,
}

fn set_validity(params: &mut CertificateParams, days: i64) {
    let now = time::OffsetDateTime::now_utc();
    params.not_before = now - time::Duration::hours(BACKDATE_HOURS);
    params.not_after = now + time::Duration::days(days);
}

fn create_folder(folder: &Path) -> Result<(), AuthorityError> {
    let created = std::fs::create_dir_all(folder);
    created.map_err(|source| AuthorityError::File { path: folder.to_owned(), source })
}

fn read(path: &Path) -> Result<String, AuthorityError> {
    std::fs::read_to_string(path).map_err(|source| AuthorityError::File { path: path.to_owned(), source })
}

/// The mode is set when the file is made, so that a key is never readable for a moment.
fn write(path: &Path, text: &str, secrecy: Secrecy) -> Result<(), AuthorityError> {
    use std::io::Write as _;
    use std::os::unix::fs::OpenOptionsExt as _;
    let mode = match secrecy {
        Secrecy::Public => 0o644,
        Secrecy::Private => 0o600,
    };
    let failed = |source| AuthorityError::File { path: path.to_owned(), source };
    let mut options = std::fs::OpenOptions::new();
    let mut file = options.write(true).create(true).truncate(true).mode(mode).open(path).map_err(failed)?;
    file.write_all(text.as_bytes()).map_err(failed)
}
