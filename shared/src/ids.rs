//! Names and numbers that identify peers, plans and requests.

use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// A plan's generation. It rises with every plan, and a number is never used twice.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Epoch(pub u64);

/// The orchestrator's incarnation. A worker that has seen a term obeys no lower one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Term(pub u64);

/// One admitted request, unique across restarts of the gateway.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct RequestId(pub u128);

/// How often a request was sent into the pipeline, counted from 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Attempt(pub u8);

/// What a certificate entitles its holder to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// Computes stages.
    Worker,
    /// Decides plans and admits requests.
    Orchestrator,
}

/// The name of a peer, as its certificate states it: `<name>.<role>.weir.internal`.
///
/// Role and name are one DNS name, so that any issuer that can set DNS names (cert-manager, Helm's
/// `genSignedCert`, `weir certs`) can make certificates for Weir.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct PeerName {
    role: Role,
    name: String,
}

/// The name of a worker, without its role.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct WorkerId(String);

/// The text is not a name that a peer can have.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{text:?} is not a peer name: {reason}")]
pub struct BadName {
    text: String,
    reason: &'static str,
}

/// The domain of all names. `.internal` is reserved for private use (ICANN resolution 2024.07.29.06).
const DOMAIN: &str = "weir.internal";

/// RFC 1035, section 2.3.4: a label is at most 63 octets.
const LABEL_MAX: usize = 63;

fn check_label(name: &str) -> Result<(), BadName> {
    let bad = |reason| Err(BadName { text: name.to_owned(), reason });
    if name.is_empty() || name.len() > LABEL_MAX {
        return bad("it must have 1 to 63 characters");
    }
    if !name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-') {
        return bad("only lower-case letters, digits and '-' are allowed");
    }
    if name.starts_with('-') || name.ends_with('-') {
        return bad("it must not begin or end with '-'");
    }
    Ok(())
}

impl Role {
    /// The label in a DNS name.
    pub const fn label(self) -> &'static str {
        match self {
            Self::Worker => "worker",
            Self::Orchestrator => "orchestrator",
        }
    }
}

impl PeerName {
    /// The peer that is called `name` in `role`.
    ///
    /// # Errors
    /// If the name is not a lower-case DNS label.
    pub fn new(role: Role, name: &str) -> Result<Self, BadName> {
        check_label(name)?;
        Ok(Self { role, name: name.to_owned() })
    }

    /// What the peer may do.
    pub const fn role(&self) -> Role {
        self.role
    }

    /// The name without role and domain.
    pub fn short(&self) -> &str {
        &self.name
    }

    /// The name as it stands in the certificate.
    pub fn dns_name(&self) -> String {
        format!("{}.{}.{DOMAIN}", self.name, self.role.label())
    }

    /// The worker of that name, if the role is worker.
    pub fn as_worker(&self) -> Option<WorkerId> {
        (self.role == Role::Worker).then(|| WorkerId(self.name.clone()))
    }
}

impl WorkerId {
    /// The peer name of this worker.
    pub fn peer(&self) -> PeerName {
        PeerName { role: Role::Worker, name: self.0.clone() }
    }

    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for PeerName {
    type Err = BadName;

    fn from_str(text: &str) -> Result<Self, BadName> {
        let bad = |reason| BadName { text: text.to_owned(), reason };
        let form = "the form is <name>.worker.weir.internal or <name>.orchestrator.weir.internal";
        let rest =
            text.strip_suffix(DOMAIN).and_then(|rest| rest.strip_suffix('.')).ok_or_else(|| bad(form))?;
        let (name, label) = rest.split_once('.').ok_or_else(|| bad(form))?;
        let role = [Role::Worker, Role::Orchestrator].into_iter().find(|role| role.label() == label);
        Self::new(role.ok_or_else(|| bad(form))?, name)
    }
}

impl FromStr for WorkerId {
    type Err = BadName;

    fn from_str(text: &str) -> Result<Self, BadName> {
        check_label(text)?;
        Ok(Self(text.to_owned()))
    }
}

impl TryFrom<String> for PeerName {
    type Error = BadName;

    fn try_from(text: String) -> Result<Self, BadName> {
        text.parse()
    }
}

impl From<PeerName> for String {
    fn from(name: PeerName) -> Self {
        name.dns_name()
    }
}

impl TryFrom<String> for WorkerId {
    type Error = BadName;

    fn try_from(text: String) -> Result<Self, BadName> {
        text.parse()
    }
}

impl From<WorkerId> for String {
    fn from(id: WorkerId) -> Self {
        id.0
    }
}

impl std::fmt::Display for PeerName {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} {}", self.role.label(), self.name)
    }
}

impl std::fmt::Display for WorkerId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::fmt::Display for Epoch {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}", self.0)
    }
}

impl std::fmt::Display for Term {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}", self.0)
    }
}

impl std::fmt::Display for RequestId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:032x}", self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_certificate_name_tells_role_and_name() {
        let name: PeerName = "porch-cam.worker.weir.internal".parse().unwrap();
        assert_eq!((name.role(), name.short()), (Role::Worker, "porch-cam"));
        assert_eq!(name.dns_name().parse(), Ok(name));
    }

    #[test]
    fn strangers_have_no_name_here() {
        for text in
            ["porch.example.com", "a.b.worker.weir.internal", ".worker.weir.internal", "x.king.weir.internal"]
        {
            assert!(text.parse::<PeerName>().is_err(), "{text}");
        }
        assert!("Porch".parse::<WorkerId>().is_err());
    }
}
