//! Is it this machine that asks? And not a page of somebody else's in a browser on it? Pure.
//!
//! Without tokens, being on the machine is all that the admin port can go by. A page from elsewhere reaches it in two
//! ways: under a name of its own that it lets resolve to the loopback (DNS rebinding), which `Host` gives away; or by a
//! plain cross-site request, which `Origin` gives away.

use std::net::{IpAddr, SocketAddr};

/// Whether the peer is on this machine.
pub(super) fn is_local_peer(peer: Option<SocketAddr>) -> bool {
    peer.is_some_and(|peer| peer.ip().to_canonical().is_loopback())
}

/// Whether `Host` names this machine by what no DNS has a say in.
pub(super) fn is_local_host(host: &str) -> bool {
    name(host).is_some_and(|name| {
        let literal = name.strip_prefix('[').and_then(|name| name.strip_suffix(']')).unwrap_or(name);
        name.eq_ignore_ascii_case("localhost") || literal.parse().is_ok_and(|ip: IpAddr| ip.is_loopback())
    })
}

/// Whether `Origin` is the page of this very host. `null`, as sandboxed pages send it, is not.
pub(super) fn is_own_origin(origin: &str, host: &str) -> bool {
    let rest = origin.strip_prefix("http://").or_else(|| origin.strip_prefix("https://"));
    rest.is_some_and(|from| from.eq_ignore_ascii_case(host))
}

/// `Host` without its port; none where it is no host.
fn name(host: &str) -> Option<&str> {
    let (name, port) = match host.rsplit_once(':') {
        // The colons of an IPv6 address stand within its brackets.
        Some((name, port)) if !port.contains(']') => (name, Some(port)),
        _ => (host, None),
    };
    port.is_none_or(|port| port.parse::<u16>().is_ok()).then_some(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_this_machine_is_local() {
        for (peer, local) in [
            ("127.0.0.1:5", true),
            ("127.9.9.9:5", true),
            ("[::1]:5", true),
            ("[::ffff:127.0.0.1]:5", true),
            ("10.0.0.1:5", false),
            ("[::ffff:10.0.0.1]:5", false),
        ] {
            assert_eq!(is_local_peer(peer.parse().ok()), local, "{peer}");
        }
        assert!(!is_local_peer(None));
    }

    #[test]
    fn a_name_that_some_dns_answers_for_is_not_local() {
        for host in ["localhost", "LOCALHOST:7610", "127.0.0.1", "127.0.0.1:7610", "[::1]", "[::1]:7610"] {
            assert!(is_local_host(host), "{host}");
        }
        for host in [
            "evil.example",
            "localhost.evil.example",
            "evil.example:7610",
            "127.0.0.1.evil.example",
            "10.0.0.1",
            "",
            ":7610",
            "localhost:x",
            "localhost@evil.example",
            "[::2]:7610",
        ] {
            assert!(!is_local_host(host), "{host}");
        }
    }

    #[test]
    fn only_the_own_page_is_the_own_origin() {
        assert!(is_own_origin("http://localhost:7610", "localhost:7610"));
        for origin in ["http://evil.example", "http://localhost:8080", "null", "", "file://localhost:7610"] {
            assert!(!is_own_origin(origin, "localhost:7610"), "{origin}");
        }
    }
}
