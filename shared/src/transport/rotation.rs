//! New certificates without a restart: looks at their folder, and has the transport use what is new there.
//!
//! Files are compared by what they hold, because Kubernetes swaps a link and leaves times as they were. A set is taken when
//! two looks in succession have found the same, so that one which is still being written is no set; and only if peers would
//! accept it and it has the name that this process had before. Otherwise the old identity holds on, with one warning.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use rustls_pki_types::UnixTime;
use time::OffsetDateTime;
use tokio::task::JoinHandle;

use super::certificates::Certificates;
use super::endpoint::{RenewError, Transport};
use super::identity::{Contents, Identity, IdentityError};

/// Time between two looks. Both that are needed take 4 s at most, of the 10 s in which new certificates are to be in use
/// everywhere.
pub const LOOK: Duration = Duration::from_secs(2);

/// Looks at the folder of certificates for as long as it is kept.
#[derive(Debug)]
pub struct Rotation(Option<JoinHandle<()>>);

/// Why what lies in the folder is not used.
#[derive(Debug, thiserror::Error)]
enum Refusal {
    #[error(transparent)]
    Identity(#[from] IdentityError),
    #[error(transparent)]
    Renew(#[from] RenewError),
}

/// What a look has found: files, or why there are none that can be read.
type Sight = Result<Contents, String>;

/// What the looks so far have found.
struct Watcher {
    folder: PathBuf,
    certificates: Certificates,
    transport: Transport,
    held: Contents,
    last: Sight,
    /// What was warned of, so that it is said once.
    warned: Option<Sight>,
}

impl Rotation {
    /// Looks every `period` from now on. `on_identity` is told of the identity that holds: now, and whenever it is another.
    ///
    /// Certificates without a folder stay as they are.
    pub fn start(
        certificates: Certificates,
        transport: Transport,
        period: Duration,
        on_identity: impl Fn(&Identity) + Send + 'static,
    ) -> Self {
        let identity = certificates.current();
        on_identity(&identity);
        let Some(folder) = certificates.folder().map(ToOwned::to_owned) else { return Self(None) };
        let held = identity.contents();
        let mut watcher = Watcher { folder, certificates, transport, held, last: Ok(held), warned: None };
        Self(Some(tokio::spawn(async move {
            loop {
                tokio::time::sleep(period).await;
                let folder = watcher.folder.clone();
                // A folder on a network's disk may take its time.
                let found = tokio::task::spawn_blocking(move || Identity::load(&folder)).await;
                // Not if the runtime ends.
                let Ok(found) = found else { return };
                if let Some(identity) = watcher.see(found) {
                    on_identity(&identity);
                }
            }
        })))
    }
}

impl Drop for Rotation {
    fn drop(&mut self) {
        if let Some(task) = &self.0 {
            task.abort();
        }
    }
}

impl Watcher {
    /// Takes what a look has found, and returns the identity that holds if that is a new one.
    fn see(&mut self, found: Result<Identity, IdentityError>) -> Option<Arc<Identity>> {
        let sight = found.as_ref().map(Identity::contents).map_err(|error| crate::chain(error));
        let settled = sight == self.last;
        self.last = sight.clone();
        if sight == Ok(self.held) {
            self.warned = None;
            return None;
        }
        if !settled {
            return None;
        }
        match found.map_err(Refusal::from).and_then(|identity| self.take(identity)) {
            Ok(identity) => Some(identity),
            Err(error) => {
                if self.warned.as_ref() != Some(&sight) {
                    self.warn(&error);
                    self.warned = Some(sight);
                }
                None
            }
        }
    }

    fn take(&mut self, identity: Identity) -> Result<Arc<Identity>, Refusal> {
        identity.check(UnixTime::now())?;
        self.transport.renew(&identity)?;
        (self.held, self.warned) = (identity.contents(), None);
        let (serial, expires) = (identity.serial(), stamp(identity.expires()));
        tracing::info!(%serial, %expires, "new certificate in use; connections that are up go on");
        Ok(self.certificates.replace(identity))
    }

    fn warn(&self, error: &Refusal) {
        let (folder, error) = (self.folder.display(), crate::chain(error));
        let old_expires = stamp(self.certificates.current().expires());
        tracing::warn!(
            %folder, %error, %old_expires,
            "new certificates are not used, the old ones hold; put ca.crt, tls.crt and tls.key there as they were issued together"
        );
    }
}

/// As RFC 3339 writes it.
fn stamp(at: OffsetDateTime) -> String {
    let (year, month, day) = at.to_calendar_date();
    let (hour, minute, second) = at.to_hms();
    format!("{year:04}-{:02}-{day:02}T{hour:02}:{minute:02}:{second:02}Z", u8::from(month))
}
