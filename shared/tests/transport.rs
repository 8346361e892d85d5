//! Who gets in and who does not, over real QUIC on loopback.

#![allow(clippy::unwrap_used, reason = "tests")]

use std::net::SocketAddr;
use std::path::Path;

use weir_shared::ids::{PeerName, Role};
use weir_shared::transport::{
    AcceptError, Authority, Identity, IdentityError, PeerConnection, Protocol, Settings, Transport,
};

fn worker(name: &str) -> PeerName {
    PeerName::new(Role::Worker, name).unwrap()
}

fn identity(authority: &Authority, folder: &Path, peer: &PeerName) -> Identity {
    let own = folder.join(peer.dns_name());
    authority.issue(peer).unwrap().save(&own).unwrap();
    Identity::load(&own).unwrap()
}

fn bind(identity: &Identity) -> Transport {
    let any: SocketAddr = "127.0.0.1:0".parse().unwrap();
    Transport::bind(identity, any, Settings::default()).unwrap()
}

/// Dials from one identity to another and returns what both sides saw.
async fn meet(
    caller: &Transport,
    callee: &Transport,
    expected: &PeerName,
) -> (Result<PeerConnection, String>, Result<PeerConnection, AcceptError>) {
    let accepting = callee.clone();
    let accepted = tokio::spawn(async move { accepting.accept().await.unwrap().establish().await });
    let address = callee.address().unwrap();
    let dialled = caller.connect(expected, address, Protocol::Data).await;
    let accepted = accepted.await.unwrap();
    (dialled.map_err(|error| format!("{error} {:?}", std::error::Error::source(&error))), accepted)
}

#[tokio::test]
async fn peers_of_one_authority_know_each_other_by_name() {
    let folder = tempfile::tempdir().unwrap();
    let authority = Authority::create().unwrap();
    let a = bind(&identity(&authority, folder.path(), &worker("a")));
    let b = bind(&identity(&authority, folder.path(), &worker("b")));
    let (dialled, accepted) = meet(&a, &b, &worker("b")).await;
    let (dialled, accepted) = (dialled.unwrap(), accepted.unwrap());
    assert_eq!((accepted.peer, accepted.protocol), (worker("a"), Protocol::Data));

    let mut sender = dialled.connection.open_uni().await.unwrap();
    sender.write_all(b"activation").await.unwrap();
    sender.finish().unwrap();
    let mut receiver = accepted.connection.accept_uni().await.unwrap();
    assert_eq!(receiver.read_to_end(64).await.unwrap(), b"activation");
}

#[tokio::test]
async fn a_peer_of_another_authority_is_refused_by_the_one_who_accepts() {
    let folder = tempfile::tempdir().unwrap();
    let (ours, theirs) = (Authority::create().unwrap(), Authority::create().unwrap());
    let honest = bind(&identity(&ours, folder.path(), &worker("honest")));
    // The stranger trusts our authority, but its own certificate comes from another one.
    let stranger_folder = folder.path().join("stranger");
    theirs.issue(&worker("stranger")).unwrap().save(&stranger_folder).unwrap();
    let ca = folder.path().join(worker("honest").dns_name()).join("ca.crt");
    std::fs::copy(ca, stranger_folder.join("ca.crt")).unwrap();
    let stranger = bind(&Identity::load(&stranger_folder).unwrap());

    let (_, accepted) = meet(&stranger, &honest, &worker("honest")).await;
    assert!(matches!(accepted, Err(AcceptError::Handshake(_))), "{accepted:?}");
}

#[tokio::test]
async fn whoever_answers_must_have_the_name_that_was_dialled() {
    let folder = tempfile::tempdir().unwrap();
    let authority = Authority::create().unwrap();
    let a = bind(&identity(&authority, folder.path(), &worker("a")));
    let impostor = bind(&identity(&authority, folder.path(), &worker("impostor")));
    let (dialled, _) = meet(&a, &impostor, &worker("b")).await;
    let error = dialled.unwrap_err();
    assert!(error.contains("cannot connect to worker b"), "{error}");
}

#[tokio::test]
async fn a_port_in_use_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let authority = Authority::create().unwrap();
    let identity = identity(&authority, folder.path(), &worker("a"));
    let first = bind(&identity);
    let taken = first.address().unwrap();
    let error = Transport::bind(&identity, taken, Settings::default()).unwrap_err().to_string();
    assert!(error.contains(&taken.to_string()) && error.contains("in use"), "{error}");
}

#[test]
fn a_missing_certificate_says_how_to_make_one() {
    let folder = tempfile::tempdir().unwrap();
    let error = Identity::load(folder.path()).unwrap_err();
    assert!(matches!(error, IdentityError::Unreadable { .. }));
    assert!(error.to_string().contains("weir certs"), "{error}");
}

#[test]
fn an_authority_is_kept_across_openings() {
    let folder = tempfile::tempdir().unwrap();
    let first = Authority::open_or_create(folder.path()).unwrap().issue(&worker("a")).unwrap();
    let again = Authority::open_or_create(folder.path()).unwrap().issue(&worker("b")).unwrap();
    assert_eq!(first.ca, again.ca);
    use std::os::unix::fs::PermissionsExt as _;
    let mode = std::fs::metadata(folder.path().join("ca.key")).unwrap().permissions().mode();
    assert_eq!(mode & 0o077, 0);
}
