//! New certificates while connections are made and used, over real QUIC on loopback; folders as Kubernetes lays them out.

#![allow(clippy::unwrap_used, reason = "tests")]

use std::cell::RefCell;
use std::io::Write;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject as _;
use tempfile::TempDir;
use tokio::time::{Instant, sleep};
use weir_shared::ids::{PeerName, Role};
use weir_shared::transport::{
    Authority, CertificateFiles, Certificates, Identity, PeerConnection, Protocol, Rotation, Settings,
    Transport,
};

const PERIOD: Duration = Duration::from_millis(30);

/// Enough for two looks and more, on a busy machine too.
const SOON: Duration = Duration::from_secs(10);

fn worker(name: &str) -> PeerName {
    PeerName::new(Role::Worker, name).unwrap()
}

/// A folder of certificates that is replaced as a whole: `..data` is a link to what holds, and the files are links into it.
struct Secret {
    folder: TempDir,
    versions: AtomicUsize,
}

impl Secret {
    fn new(files: &CertificateFiles) -> Self {
        let secret = Self { folder: tempfile::tempdir().unwrap(), versions: AtomicUsize::new(0) };
        secret.put(files);
        for file in ["ca.crt", "tls.crt", "tls.key"] {
            std::os::unix::fs::symlink(Path::new("..data").join(file), secret.path().join(file)).unwrap();
        }
        secret
    }

    fn path(&self) -> &Path {
        self.folder.path()
    }

    fn put(&self, files: &CertificateFiles) {
        let version = format!("..{}", self.versions.fetch_add(1, Ordering::Relaxed));
        files.save(&self.path().join(&version)).unwrap();
        let link = self.path().join("..data_tmp");
        std::os::unix::fs::symlink(version, &link).unwrap();
        std::fs::rename(link, self.path().join("..data")).unwrap();
    }

    /// The certificate that lies there.
    fn leaf(&self) -> CertificateDer<'static> {
        CertificateDer::from_pem_file(self.path().join("tls.crt")).unwrap()
    }
}

/// A process in a test: it answers every stream, and its certificates are looked at.
struct Peer {
    name: PeerName,
    secret: Secret,
    transport: Transport,
    certificates: Certificates,
    _rotation: Rotation,
}

impl Peer {
    fn start(name: &str, files: &CertificateFiles) -> Self {
        let secret = Secret::new(files);
        let certificates = Certificates::open(secret.path()).unwrap();
        let any: SocketAddr = "127.0.0.1:0".parse().unwrap();
        let transport = Transport::bind(&certificates.current(), any, Settings::default()).unwrap();
        let rotation = Rotation::start(certificates.clone(), transport.clone(), PERIOD, |_| ());
        let accepting = transport.clone();
        tokio::spawn(async move {
            while let Some(incoming) = accepting.accept().await {
                tokio::spawn(async move {
                    let Ok(peer) = incoming.establish().await else { return };
                    while let Ok((mut send, mut receive)) = peer.connection.accept_bi().await {
                        let asked = receive.read_to_end(64).await.unwrap();
                        send.write_all(&asked).await.unwrap();
                        send.finish().unwrap();
                    }
                });
            }
        });
        Self { name: worker(name), secret, transport, certificates, _rotation: rotation }
    }

    async fn dial(&self, other: &Self) -> Result<PeerConnection, String> {
        let address = other.transport.address().unwrap();
        let dialled = self.transport.connect(&other.name, address, Protocol::Control).await;
        dialled.map_err(|error| weir_shared::chain(&error))
    }

    /// Waits until the folder's certificate is the one that holds.
    async fn taken(&self) {
        let wanted = Identity::load(self.secret.path()).unwrap().serial();
        let began = Instant::now();
        while self.certificates.current().serial() != wanted {
            assert!(began.elapsed() < SOON, "{} still shows its old certificate", self.name);
            sleep(PERIOD).await;
        }
    }
}

/// Says something on a connection and hears it back.
async fn talk(connection: &PeerConnection) -> Result<(), String> {
    let (mut send, mut receive) = connection.connection.open_bi().await.map_err(|error| error.to_string())?;
    send.write_all(b"hello").await.map_err(|error| error.to_string())?;
    send.finish().map_err(|error| error.to_string())?;
    let heard = receive.read_to_end(64).await.map_err(|error| error.to_string())?;
    if heard == b"hello" { Ok(()) } else { Err(format!("heard {heard:?}")) }
}

/// The certificate that the other end of a connection has shown.
fn shown(connection: &PeerConnection) -> CertificateDer<'static> {
    let chain = connection.connection.peer_identity().unwrap();
    chain.downcast::<Vec<CertificateDer<'static>>>().unwrap()[0].clone()
}

/// Dials and talks without a pause, in both directions, until it is dropped; counts what went well and keeps what did not.
struct Traffic {
    good: Arc<AtomicUsize>,
    bad: Arc<Mutex<Vec<String>>>,
    tasks: Vec<tokio::task::JoinHandle<()>>,
}

impl Traffic {
    fn between(a: &Arc<Peer>, b: &Arc<Peer>) -> Self {
        let (good, bad) = (Arc::<AtomicUsize>::default(), Arc::<Mutex<Vec<String>>>::default());
        let tasks = [(a.clone(), b.clone()), (b.clone(), a.clone())].map(|(from, to)| {
            let (good, bad) = (good.clone(), bad.clone());
            tokio::spawn(async move {
                loop {
                    let done = match from.dial(&to).await {
                        Ok(connection) => {
                            let heard = talk(&connection).await;
                            connection.close(1, "done");
                            heard
                        }
                        Err(error) => Err(error),
                    };
                    match done {
                        Ok(()) => _ = good.fetch_add(1, Ordering::Relaxed),
                        Err(error) => bad.lock().unwrap().push(error),
                    }
                    sleep(Duration::from_millis(2)).await;
                }
            })
        });
        Self { good, bad, tasks: tasks.into() }
    }

    fn check(&self) {
        assert_eq!(*self.bad.lock().unwrap(), Vec::<String>::new());
        assert!(self.good.load(Ordering::Relaxed) > 20, "hardly anything was dialled");
    }
}

impl Drop for Traffic {
    fn drop(&mut self) {
        self.tasks.iter().for_each(tokio::task::JoinHandle::abort);
    }
}

#[tokio::test]
async fn both_ends_show_new_certificates_and_what_is_connected_goes_on() {
    let authority = Authority::create().unwrap();
    let start = |name| Arc::new(Peer::start(name, &authority.issue(&worker(name)).unwrap()));
    let (a, b) = (start("a"), start("b"));
    let before = a.dial(&b).await.unwrap();
    let traffic = Traffic::between(&a, &b);
    for _ in 0..5 {
        for peer in [&a, &b] {
            peer.secret.put(&authority.issue(&peer.name).unwrap());
            peer.taken().await;
            talk(&before).await.unwrap();
        }
        for (from, to) in [(&a, &b), (&b, &a)] {
            assert_eq!(shown(&from.dial(to).await.unwrap()), to.secret.leaf());
        }
        sleep(PERIOD).await;
    }
    traffic.check();
    assert_ne!(shown(&before), b.secret.leaf());
    talk(&before).await.unwrap();
}

#[tokio::test]
async fn the_one_who_accepts_sees_the_new_certificate_of_the_one_who_dials() {
    let authority = Authority::create().unwrap();
    let a = Peer::start("a", &authority.issue(&worker("a")).unwrap());
    let listening = Secret::new(&authority.issue(&worker("b")).unwrap());
    let any: SocketAddr = "127.0.0.1:0".parse().unwrap();
    let b = Transport::bind(&Identity::load(listening.path()).unwrap(), any, Settings::default()).unwrap();
    for _ in 0..2 {
        a.secret.put(&authority.issue(&worker("a")).unwrap());
        a.taken().await;
        let accepting = b.clone();
        let accepted = tokio::spawn(async move { accepting.accept().await.unwrap().establish().await });
        let _dialled = a.transport.connect(&worker("b"), b.address().unwrap(), Protocol::Data).await.unwrap();
        assert_eq!(shown(&accepted.await.unwrap().unwrap()), a.secret.leaf());
    }
}

#[tokio::test]
async fn an_authority_is_replaced_by_way_of_both_and_the_old_one_is_trusted_no_more() {
    let (old, new) = (Authority::create().unwrap(), Authority::create().unwrap());
    let ca = |authority: &Authority| authority.issue(&worker("x")).unwrap().ca;
    let both = format!("{}{}", ca(&old), ca(&new));
    let start = |name| Arc::new(Peer::start(name, &old.issue(&worker(name)).unwrap()));
    let (a, b) = (start("a"), start("b"));
    let traffic = Traffic::between(&a, &b);
    for (issuer, trusted) in [(&old, &both), (&new, &both), (&new, &ca(&new))] {
        for peer in [&a, &b] {
            let issued = issuer.issue(&peer.name).unwrap();
            peer.secret.put(&CertificateFiles { ca: trusted.clone(), ..issued });
            peer.taken().await;
            // Between the two, some are a step ahead of others.
            sleep(PERIOD).await;
        }
    }
    traffic.check();
    // It trusts both, and nobody trusts its certificate any more.
    let issued = old.issue(&worker("late")).unwrap();
    let late = Peer::start("late", &CertificateFiles { ca: both, ..issued });
    assert!(a.dial(&late).await.is_err());
    let refused = match late.dial(&a).await {
        Ok(connection) => talk(&connection).await,
        Err(error) => Err(error),
    };
    assert!(refused.is_err());
}

thread_local! {
    /// What was logged by the test of this thread.
    static LOG: RefCell<Vec<u8>> = const { RefCell::new(vec![]) };
}

struct Log;

impl Write for Log {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        LOG.with_borrow_mut(|log| log.extend(bytes));
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl Log {
    /// One for all tests: a subscriber of one thread's own misses what another thread was the first to log.
    fn start() {
        let made = tracing_subscriber::fmt().with_ansi(false).with_writer(|| Log).finish();
        // Another test may have been first.
        let _ = tracing::subscriber::set_global_default(made);
    }

    fn take() -> String {
        String::from_utf8(LOG.take()).unwrap()
    }
}

/// A certificate for `name` that ran out yesterday, of an authority of its own.
fn expired(name: &PeerName) -> CertificateFiles {
    let now = time::OffsetDateTime::now_utc();
    let mut params = CertificateParams::default();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let key = KeyPair::generate().unwrap();
    let ca = params.self_signed(&key).unwrap().pem();
    let issuer = Issuer::new(params, key);
    let own = KeyPair::generate().unwrap();
    let mut params = CertificateParams::new(vec![name.dns_name()]).unwrap();
    (params.not_before, params.not_after) = (now - time::Duration::days(9), now - time::Duration::days(1));
    let certificate = params.signed_by(&own, &issuer).unwrap().pem();
    CertificateFiles { ca, certificate, key: own.serialize_pem() }
}

#[tokio::test]
async fn who_has_let_his_certificate_run_out_is_refused_by_both_ends() {
    let (ours, old) = (Authority::create().unwrap(), expired(&worker("late")));
    let issued = ours.issue(&worker("a")).unwrap();
    let both = format!("{}{}", issued.ca, old.ca);
    let a = Peer::start("a", &CertificateFiles { ca: both.clone(), ..issued });
    let late = Peer::start("late", &CertificateFiles { ca: both, ..old });
    let error = a.dial(&late).await.unwrap_err();
    assert!(error.contains("expired"), "{error}");
    let refused = match late.dial(&a).await {
        Ok(connection) => talk(&connection).await,
        Err(error) => Err(error),
    };
    assert!(refused.is_err());
    // It is let in again when a new one lies in its folder.
    let issued = ours.issue(&worker("late")).unwrap();
    late.secret.put(&issued);
    late.taken().await;
    talk(&late.dial(&a).await.unwrap()).await.unwrap();
}

/// Waits for a warning, and a little longer for a second one; returns all that was logged.
async fn warning() -> String {
    let (began, mut said) = (Instant::now(), String::new());
    while !said.contains("new certificates are not used") {
        assert!(began.elapsed() < SOON, "no warning: {said}");
        sleep(PERIOD).await;
        said += &Log::take();
    }
    sleep(PERIOD * 5).await;
    said + &Log::take()
}

#[tokio::test]
async fn a_set_that_cannot_be_used_changes_nothing_and_is_warned_of_once() {
    Log::start();
    let (ours, theirs) = (Authority::create().unwrap(), Authority::create().unwrap());
    let [a, b] = ["a", "b"].map(|name| Peer::start(name, &ours.issue(&worker(name)).unwrap()));
    let (held, original) = (b.secret.leaf(), ours.issue(&worker("b")).unwrap());
    let whole = || ours.issue(&worker("b")).unwrap();
    let half = whole().certificate[..300].to_owned();
    let sets = [
        (CertificateFiles { certificate: half, ..whole() }, "cannot read"),
        (CertificateFiles { certificate: String::new(), ..whole() }, "tls.crt holds no certificate"),
        (CertificateFiles { key: String::new(), ..whole() }, "tls.key"),
        (CertificateFiles { key: whole().key, ..whole() }, "keys may not be consistent"),
        (CertificateFiles { ca: String::new(), ..whole() }, "ca.crt holds no certificate"),
        (
            CertificateFiles { ca: theirs.issue(&worker("b")).unwrap().ca, ..whole() },
            "no authority of its own ca.crt",
        ),
        (expired(&worker("b")), "it has expired"),
        (
            ours.issue(&worker("c")).unwrap(),
            "the certificate is that of worker c, and this process is worker b",
        ),
    ];
    Log::take();
    for (set, why) in sets {
        b.secret.put(&set);
        let said = warning().await;
        assert_eq!(said.matches("WARN").count(), 1, "{said}");
        assert!(
            said.contains(why) && said.contains("put ca.crt, tls.crt and tls.key there"),
            "{why}: {said}"
        );
        let connection = a.dial(&b).await.unwrap();
        talk(&connection).await.unwrap();
        assert_eq!(shown(&connection), held, "{why}");
    }
    // A folder that is not there at all.
    let gone: PathBuf = b.secret.path().join("..data");
    std::fs::remove_file(&gone).unwrap();
    assert_eq!(warning().await.matches("WARN").count(), 1);
    assert_eq!(shown(&a.dial(&b).await.unwrap()), held);
    // One that fits is taken after all.
    b.secret.put(&original);
    b.taken().await;
    let said = Log::take();
    assert!(said.contains("INFO") && said.contains("new certificate in use"), "{said}");
    let identity = Identity::load(b.secret.path()).unwrap();
    let end = identity.expires().date();
    assert!(said.contains(&format!("serial={}", identity.serial())), "{said}");
    assert!(
        said.contains(&format!("expires={:04}-{:02}-{:02}T", end.year(), u8::from(end.month()), end.day())),
        "{said}"
    );
    assert_eq!(shown(&a.dial(&b).await.unwrap()), b.secret.leaf());
}

#[tokio::test]
async fn files_that_are_written_one_after_the_other_are_taken_when_they_fit() {
    let authority = Authority::create().unwrap();
    let [a, b] = ["a", "b"].map(|name| Peer::start(name, &authority.issue(&worker(name)).unwrap()));
    let next = authority.issue(&worker("b")).unwrap();
    let (certificate, key) = (b.secret.path().join("tls.crt"), b.secret.path().join("tls.key"));
    for (file, text) in
        [(&certificate, &next.certificate[..200]), (&certificate, &*next.certificate), (&key, &next.key)]
    {
        std::fs::write(file, text).unwrap();
        sleep(PERIOD / 3).await;
    }
    b.taken().await;
    assert_eq!(shown(&a.dial(&b).await.unwrap()), b.secret.leaf());
}
