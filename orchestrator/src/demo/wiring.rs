//! Ports and emulated links: every peer gets an address, and every pair of peers a link of its own between them.
//!
//! Ports are the system's choice and are held until the processes start, so that two demonstrations can run at
//! once and neither meets a port in use.

use std::io;
use std::net::{Ipv4Addr, SocketAddr, TcpListener, UdpSocket};
use std::path::{Path, PathBuf};

use serde::Serialize;

use super::emulator::{EmulatedLink, LinkCounters};
use super::topology::{GATEWAY, LinkPlan};

/// Addresses of all processes, held until [`release`](Wiring::release), and the links between them.
#[derive(Debug)]
pub struct Wiring {
    peers: Vec<(String, SocketAddr)>,
    links: Vec<(LinkPlan, EmulatedLink)>,
    /// TCP address for inference.
    pub http: SocketAddr,
    /// TCP address of the admin API.
    pub admin: SocketAddr,
    held: Held,
}

#[derive(Debug, Default)]
struct Held {
    udp: Vec<UdpSocket>,
    tcp: Vec<TcpListener>,
}

/// Why there are no links.
#[derive(Debug, thiserror::Error)]
pub enum WiringError {
    /// No port.
    #[error("the system has no free port on 127.0.0.1 to give; are too many programs running?")]
    Port(#[source] io::Error),
    /// No link.
    #[error("cannot make the emulated link from {from} to {to}; try fewer --workers")]
    Link {
        /// Who sends.
        from: String,
        /// Who receives.
        to: String,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// The file for the orchestrator cannot be written.
    #[error("cannot write {}; check the folder and the free space", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// The file for the orchestrator cannot be made.
    #[error("the links cannot be written as TOML")]
    Toml(#[from] toml::ser::Error),
}

/// The orchestrator's `--links` file.
#[derive(Serialize)]
struct LinksFile<'a> {
    link: Vec<LinkEntry<'a>>,
}

#[derive(Serialize)]
struct LinkEntry<'a> {
    from: &'a str,
    to: &'a str,
    address: SocketAddr,
}

impl Wiring {
    /// Finds ports for the gateway and `workers`, and starts all `links`, whose losses and jitter come from `seed`.
    ///
    /// # Errors
    /// If the system has no more ports or threads.
    pub fn new(workers: &[String], links: Vec<LinkPlan>, seed: u64) -> Result<Self, WiringError> {
        let mut held = Held::default();
        let mut peers = Vec::new();
        for name in std::iter::once(GATEWAY).chain(workers.iter().map(String::as_str)) {
            peers.push((name.to_owned(), held.udp().map_err(WiringError::Port)?));
        }
        let (http, admin) = (held.tcp().map_err(WiringError::Port)?, held.tcp().map_err(WiringError::Port)?);
        let mut wiring = Self { peers, links: Vec::new(), http, admin, held };
        for (index, plan) in (0u64..).zip(links) {
            let Some(target) = wiring.address(&plan.to) else { continue };
            // Every link of every seed behaves apart: a demonstration has fewer than a thousand links.
            let link = EmulatedLink::spawn_seeded(plan.conditions, target, seed.wrapping_mul(1000) + index);
            let link = link.map_err(|source| WiringError::Link {
                from: plan.from.clone(),
                to: plan.to.clone(),
                source,
            })?;
            wiring.links.push((plan, link));
        }
        Ok(wiring)
    }

    /// Where `peer` itself listens.
    pub fn address(&self, peer: &str) -> Option<SocketAddr> {
        self.peers.iter().find(|(name, _)| name == peer).map(|(_, address)| *address)
    }

    /// Where `from` dials to reach `to`: the link between them.
    pub fn dialled(&self, from: &str, to: &str) -> Option<SocketAddr> {
        self.link(from, to).map(EmulatedLink::address)
    }

    /// The emulated link from one peer to another, to change how it behaves.
    pub fn link(&self, from: &str, to: &str) -> Option<&EmulatedLink> {
        let link = self.links.iter().find(|(plan, _)| (plan.from.as_str(), plan.to.as_str()) == (from, to));
        link.map(|(_, link)| link)
    }

    /// All links with what happened on them so far.
    pub fn links(&self) -> impl Iterator<Item = (&LinkPlan, LinkCounters)> + '_ {
        self.links.iter().map(|(plan, link)| (plan, link.counters()))
    }

    /// Writes the links for the orchestrator.
    ///
    /// # Errors
    /// If the file cannot be written.
    pub fn save(&self, path: &Path) -> Result<(), WiringError> {
        let entries = self.links.iter().map(|(plan, link)| LinkEntry {
            from: &plan.from,
            to: &plan.to,
            address: link.address(),
        });
        let text = toml::to_string(&LinksFile { link: entries.collect() })?;
        std::fs::write(path, text).map_err(|source| WiringError::File { path: path.to_owned(), source })
    }

    /// Frees the ports, for the processes to take.
    pub fn release(&mut self) {
        self.held = Held::default();
    }
}

impl Held {
    fn udp(&mut self) -> io::Result<SocketAddr> {
        let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0))?;
        let address = socket.local_addr()?;
        self.udp.push(socket);
        Ok(address)
    }

    fn tcp(&mut self) -> io::Result<SocketAddr> {
        let socket = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        let address = socket.local_addr()?;
        self.tcp.push(socket);
        Ok(address)
    }
}

#[cfg(test)]
mod tests {
    use super::super::emulator::Preset;
    use super::super::topology::{self, Conditions};
    use super::*;

    #[test]
    fn every_pair_dials_a_link_of_its_own_and_the_file_says_so() {
        let workers = topology::workers(2);
        let mut wiring =
            Wiring::new(&workers, topology::links(2, Conditions::Same(Preset::Loopback)), 0).unwrap();
        let dialled = wiring.dialled("camera", "doorbell").unwrap();
        assert_ne!(Some(dialled), wiring.address("doorbell"));
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("links.toml");
        wiring.save(&path).unwrap();
        let file: toml::Value = toml::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
        assert_eq!(file["link"].as_array().unwrap().len(), 6);
        let entry = &file["link"].as_array().unwrap()[0];
        assert_eq!((entry["from"].as_str(), entry["to"].as_str()), (Some("main"), Some("camera")));
        assert!(UdpSocket::bind(wiring.address("camera").unwrap()).is_err(), "held");
        wiring.release();
        assert!(UdpSocket::bind(wiring.address("camera").unwrap()).is_ok(), "free");
    }
}
