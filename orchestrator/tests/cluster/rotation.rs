//! New certificates for processes that run: no request is lost, no process is started again.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use weir_shared::ids::{PeerName, Role};
use weir_shared::transport::{Authority, CertificateFiles, Identity, Protocol, Settings, Transport};

use crate::support::{Cluster, Site, images};

/// New certificates are in use everywhere within this time.
const TAKEN: Duration = Duration::from_secs(10);

const PEERS: [(Role, &str); 3] =
    [(Role::Orchestrator, "main"), (Role::Worker, "camera"), (Role::Worker, "router")];

fn folder(site: &Site, name: &str) -> PathBuf {
    site.path("certs").join(name)
}

/// Until when the certificate is valid that a process shows.
fn expiry(admin: SocketAddr) -> Option<f64> {
    let text = reqwest::blocking::get(format!("http://{admin}/metrics")).ok()?.text().ok()?;
    let name = "weir_certificate_expiry_timestamp_seconds ";
    text.lines().find_map(|line| line.strip_prefix(name)?.parse().ok())
}

/// Replaces the files of each process, waits until all have taken theirs, and returns how long the slowest took.
fn replace(cluster: &Cluster<'_>, issuer: &Authority, trusted: &[&Authority]) -> Duration {
    let site = cluster.site;
    let ca =
        |authority: &&Authority| authority.issue(&PeerName::new(Role::Worker, "any").unwrap()).unwrap().ca;
    let ca: String = trusted.iter().map(ca).collect();
    let began = Instant::now();
    for (role, name) in PEERS {
        let issued = issuer.issue(&PeerName::new(role, name).unwrap()).unwrap();
        CertificateFiles { ca: ca.clone(), ..issued }.save(&folder(site, name)).unwrap();
    }
    for (_, name) in PEERS {
        let file = if name == "main" { "orchestrator.log".to_owned() } else { format!("{name}.log") };
        let serial = format!("serial={}", Identity::load(&folder(site, name)).unwrap().serial());
        cluster.until(&format!("the new certificate of {name}, {serial}"), || {
            std::fs::read_to_string(site.path(&file)).unwrap().contains(&serial).then_some(())
        });
    }
    let took = began.elapsed();
    assert!(took < TAKEN, "{took:?}");
    let admins = [vec![cluster.admin], cluster.worker_admins()].concat();
    for ((_, name), admin) in PEERS.into_iter().zip(admins) {
        let expires = Identity::load(&folder(site, name)).unwrap().expires().unix_timestamp();
        assert_eq!(expiry(admin), Some(expires as f64), "{name}");
    }
    took
}

/// Whether a peer with the certificates in `folder` can shake hands with each process.
fn welcome(cluster: &Cluster<'_>, folder: &Path) -> Vec<bool> {
    let document = cluster.admin("/api/v1/workers").unwrap();
    let workers = document["workers"].as_array().unwrap().iter();
    let mut addresses = vec![(PeerName::new(Role::Orchestrator, "main").unwrap(), cluster.quic)];
    addresses.extend(workers.map(|worker| {
        let name = PeerName::new(Role::Worker, worker["name"].as_str().unwrap()).unwrap();
        (name, worker["address"].as_str().unwrap().parse().unwrap())
    }));
    let identity = Identity::load(folder).unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let transport =
            Transport::bind(&identity, "127.0.0.1:0".parse().unwrap(), Settings::default()).unwrap();
        let mut welcome = vec![];
        for (name, address) in addresses {
            welcome.push(transport.connect(&name, address, Protocol::Data).await.is_ok());
        }
        welcome
    })
}

#[test]
fn certificates_and_their_authority_are_replaced_under_load_and_no_request_fails() {
    let site = Site::new("resnet20");
    let mut cluster = site.start(&["camera", "router"], &[]);
    cluster.plan_over(2);
    let next = Authority::create().unwrap();
    let onlooker = site.certificates_by(&next, Role::Worker, "onlooker", "onlooker");
    assert_eq!(welcome(&cluster, &onlooker), [false; 3]);
    let image = images(1, 32);
    let (over, answered) = (AtomicBool::new(false), AtomicUsize::new(0));
    std::thread::scope(|scope| {
        let load = || {
            let mut refused = vec![];
            while !over.load(Ordering::Relaxed) {
                let answer = cluster.try_infer(&image, 1);
                if answer.status == 200 {
                    answered.fetch_add(1, Ordering::Relaxed);
                } else {
                    refused.push(format!("{} {}", answer.status, answer.body));
                }
                std::thread::sleep(Duration::from_millis(10));
            }
            refused
        };
        let clients = [scope.spawn(load), scope.spawn(load)];
        let ours = &site.authority;
        let steps: [(&Authority, &[&Authority]); 5] = [
            (ours, &[ours]),
            (ours, &[ours]),
            (ours, &[ours, &next]),
            (&next, &[ours, &next]),
            (&next, &[&next]),
        ];
        let took = steps.map(|(issuer, trusted)| replace(&cluster, issuer, trusted));
        over.store(true, Ordering::Relaxed);
        for client in clients {
            assert_eq!(client.join().unwrap(), Vec::<String>::new(), "{}", cluster.logs());
        }
        println!("{} answered; taken after {took:?}", answered.load(Ordering::Relaxed));
    });
    assert!(answered.load(Ordering::Relaxed) > 100);
    // All show certificates of the new authority, and trust it.
    assert_eq!(welcome(&cluster, &onlooker), [true; 3]);
    assert_eq!(welcome(&cluster, &site.certificates(Role::Worker, "late")), [false; 3]);

    // What comes later has all its connections made with the new ones.
    cluster.kill_worker("router");
    cluster.plan_over(1);
    let command = cluster.worker_command(&folder(&site, "router"), &site.weights());
    cluster.spawn_worker("router", command);
    cluster.plan_over(2);
    cluster.infer(&image, 1);
}

#[test]
fn a_worker_whose_files_are_damaged_goes_on_with_what_it_had() {
    let site = Site::new("resnet20");
    // The first plan waits for another worker, so that layers are fetched when the files are damaged already.
    let mut cluster = site.start_orchestrator(2, &[]);
    cluster.start_worker_fetching("camera", None, &site.path("cache"));
    let log = || std::fs::read_to_string(site.path("camera.log")).unwrap();
    cluster.until("the start", || log().contains("worker started").then_some(()));
    std::fs::write(folder(&site, "camera").join("tls.crt"), "-----BEGIN CERTIFICATE-----\n").unwrap();
    cluster.until("the warning", || log().contains("new certificates are not used").then_some(()));
    cluster.start_worker("router");
    cluster.plan_over(2);
    // The session is made anew, with the certificate that is in no file any more.
    cluster.restart_orchestrator();
    cluster.plan_over(2);
    cluster.infer(&images(1, 32), 1);
    assert_eq!(log().matches("new certificates are not used").count(), 1);
    assert!(log().contains("layer fetched"));
}
