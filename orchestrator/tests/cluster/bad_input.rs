//! Mistakes that a person makes at the start: each gets a message that names the thing and the remedy.

use std::net::{TcpListener, UdpSocket};

use weir_shared::ids::Role;

use crate::support::{Site, failure_of, free_address, orchestrator_command};

/// Starts an orchestrator with arguments in place of or behind the good ones; it must fail with `expect`.
fn check(site: &Site, change: &[(&str, &str)], expect: &[&str]) {
    let mut arguments = site.orchestrator_arguments(free_address(), free_address(), free_address());
    for &(flag, value) in change {
        match arguments.iter().position(|argument| argument == flag) {
            Some(at) => value.clone_into(&mut arguments[at + 1]),
            None => arguments.extend([flag.to_owned(), value.to_owned()]),
        }
    }
    let said = failure_of(orchestrator_command().args(arguments));
    assert!(expect.iter().all(|part| said.contains(part)), "{said}");
}

#[test]
fn every_mistake_at_the_start_is_named() {
    let site = Site::new("resnet20");
    let write = |name: &str, text: &str| {
        std::fs::write(site.path(name), text).unwrap();
        site.path(name).display().to_string()
    };
    check(&site, &[("--certs", "/nowhere")], &["/nowhere", "weir certs"]);
    check(&site, &[("--weights", "/nowhere.safetensors")], &["/nowhere.safetensors"]);
    let text = write("text.safetensors", "this is no checkpoint, it is a line of text");
    check(&site, &[("--weights", &text)], &["text.safetensors"]);
    check(&site, &[("--arch", "resnet56")], &["layer1.3"]);
    let worker = site.certificates(Role::Worker, "camera").display().to_string();
    check(&site, &[("--certs", &worker)], &["worker camera", "orchestrator.weir.internal"]);
    let plan = write("cut.toml", "workers = ['a', 'b']\ncuts = [77]");
    check(&site, &[("--plan", &plan)], &["cut point 77 is impossible", "1 to 28"]);
    let plan = write("layer.toml", "workers = ['a', 'b']\ncuts = ['layer7.0.conv1']");
    check(&site, &[("--plan", &plan)], &["layer7.0.conv1", "no layer of resnet20"]);
    let policy = write("policy.toml", "minimise = 'beauty'");
    check(&site, &[("--policy", &policy)], &["policy.toml", "beauty"]);
    let policy = write("bounds.toml", "[bounds]\nlatency_seconds = -1.0");
    check(&site, &[("--policy", &policy)], &["bounds.toml", "latency_seconds is -1"]);
    let policy = write("rules.toml", "[replan]\nburst = 0");
    check(&site, &[("--policy", &policy)], &["rules.toml", "replan.burst = 0"]);
    let others = crate::adaptive::profile(&Site::new("resnet56"), &[]).to_json().unwrap();
    let profile = write("profile.json", std::str::from_utf8(&others).unwrap());
    check(&site, &[("--profile", &profile)], &["profile.json", "resnet56"]);
    let links = write("links.toml", "[[link]]\nfrom = 'a'\nto = 'b'\naddress = 'attic'");
    check(&site, &[("--links", &links)], &["links.toml", "address"]);
}

#[test]
fn a_port_in_use_is_named_with_the_remedy() {
    let site = Site::new("resnet20");
    let tcp = TcpListener::bind("127.0.0.1:0").unwrap();
    let udp = UdpSocket::bind("127.0.0.1:0").unwrap();
    let taken = tcp.local_addr().unwrap().to_string();
    check(&site, &[("--http", &taken)], &[&taken, "choose another port"]);
    check(&site, &[("--admin", &taken)], &[&taken, "choose another port"]);
    let taken = udp.local_addr().unwrap().to_string();
    check(&site, &[("--listen", &taken)], &[&taken, "choose another port"]);
}

#[test]
fn an_unknown_network_lists_the_known_ones() {
    let said = orchestrator_command().args(["--arch", "resnet51"]).output().unwrap();
    let said = String::from_utf8_lossy(&said.stderr).into_owned();
    assert!(said.contains("resnet51") && said.contains("resnet152"), "{said}");
}

#[test]
fn weights_that_differ_from_their_manifest_are_refused() {
    let site = Site::new("resnet20");
    let other = site.random_weights(2, "other.safetensors");
    std::fs::copy(other, site.weights()).unwrap();
    check(&site, &[], &["stem", "manifest"]);
}
