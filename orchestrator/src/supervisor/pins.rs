//! Connections that a person has decided on: read, checked, and put into a policy. Pure.
//!
//! The planner obeys the pins of its policy, and a trace holds policies as they were in force: so a person's pins become
//! part of the policy's text, and a replay sees them too.

use weir_shared::arch::Network;
use weir_shared::plan::{ActiveSet, Connection};

use crate::planner::snapshot::AccuracyTable;
use crate::planner::{Pins, Policy};

/// The connection of a name.
fn connection(name: &str, network: &Network) -> Result<Connection, String> {
    let set = ActiveSet::parse(name, network).map_err(|error| error.to_string())?;
    let mut off = set.off();
    match (off.next(), off.next()) {
        (Some(single), None) => Ok(single),
        _ => Err(format!("{name:?} names no single connection; write one as F:layer2.1 or S:layer1.0")),
    }
}

/// The connections of names.
fn connections(names: &[String], network: &Network) -> Result<Vec<Connection>, String> {
    names.iter().map(|name| connection(name, network)).collect()
}

/// Connections that are pinned off; names that are none are left out.
pub(super) fn off(pins: &Pins, network: &Network) -> Vec<Connection> {
    pins.off.iter().filter_map(|name| connection(name, network).ok()).collect()
}

/// Checks that pins can be obeyed: each names a connection, none twice over, and some active set of `table` agrees.
///
/// # Errors
/// Names the one that cannot.
pub(super) fn check(pins: &Pins, network: &Network, table: &AccuracyTable) -> Result<(), String> {
    let (on, off) = (connections(&pins.on, network)?, connections(&pins.off, network)?);
    if let Some((name, _)) = pins.off.iter().zip(&off).find(|(_, pin)| on.contains(pin)) {
        return Err(format!("{name} is pinned both on and off; keep one of them"));
    }
    ActiveSet::without(off.iter().copied()).map_err(|error| format!("the pins cannot be: {error}"))?;
    let drops =
        |pin: &Connection| table.candidates.iter().any(|one| one.active.off().any(|gone| gone == *pin));
    if let Some((name, _)) = pins.off.iter().zip(&off).find(|(_, pin)| !drops(pin)) {
        return Err(format!(
            "{name} is mandatory: no accuracy profile says what answers lose without it, so it cannot be pinned off"
        ));
    }
    let known = table.candidates.iter().any(|candidate| agree(pins, &candidate.active, network));
    if known {
        Ok(())
    } else {
        Err("no active set of the accuracy profile agrees with all pins; take one away".to_owned())
    }
}

/// Whether an active set is as pinned.
pub(super) fn agree(pins: &Pins, active: &ActiveSet, network: &Network) -> bool {
    let gone = |name: &String| connection(name, network).ok().map(|pin| active.off().any(|off| off == pin));
    pins.on.iter().all(|name| gone(name) != Some(true))
        && pins.off.iter().all(|name| gone(name) != Some(false))
}

/// The set as pinned; unchanged where that cannot be.
pub(super) fn obeyed(pins: &Pins, active: &ActiveSet, network: &Network) -> ActiveSet {
    let on = connections(&pins.on, network).unwrap_or_default();
    let kept = active.off().filter(|connection| !on.contains(connection));
    ActiveSet::without(kept.chain(off(pins, network))).unwrap_or_else(|_| active.clone())
}

/// The policy file with the pins in it.
///
/// # Errors
/// If it is no TOML.
pub(super) fn with_pins(text: &str, pins: &Pins) -> Result<String, String> {
    if *pins == Pins::default() {
        return Ok(text.to_owned());
    }
    let mut table: toml::Table = toml::from_str(text).map_err(|error| error.to_string())?;
    let written = table.entry("pins").or_insert_with(|| toml::Table::new().into());
    let written = written.as_table_mut().ok_or("pins is no table; write [pins]")?;
    for (key, names) in [("on", &pins.on), ("off", &pins.off)] {
        let list = written.entry(key).or_insert_with(|| toml::Value::Array(Vec::new()));
        let list = list.as_array_mut().ok_or_else(|| format!("pins.{key} is no list of names"))?;
        for name in names {
            let value = toml::Value::String(name.clone());
            if !list.contains(&value) {
                list.push(value);
            }
        }
    }
    toml::to_string(&table).map_err(|error| error.to_string())
}

/// What a policy pins, its own and a person's together; names that a person could not mean are refused.
///
/// # Errors
/// Names the pin that cannot be obeyed.
pub(super) fn check_policy(policy: &Policy, network: &Network, table: &AccuracyTable) -> Result<(), String> {
    check(policy.pins(), network, table)
}

#[cfg(test)]
mod tests {
    use weir_shared::arch::Arch;

    use super::*;
    use crate::planner::snapshot::{Candidate, LossSource};

    fn pins(on: &[&str], off: &[&str]) -> Pins {
        let names = |list: &[&str]| list.iter().map(ToString::to_string).collect();
        Pins { on: names(on), off: names(off) }
    }

    fn table(sets: &[&str]) -> AccuracyTable {
        let network = Arch::ResNet20.network();
        let candidate = |off: &&str| Candidate {
            active: ActiveSet::parse(off, &network).unwrap(),
            loss_points: 0.0,
            source: LossSource::Measured,
        };
        AccuracyTable {
            full_accuracy: None,
            candidates: sets.iter().map(candidate).collect(),
            encodings: vec![],
        }
    }

    #[test]
    fn pins_that_cannot_be_obeyed_are_named() {
        let (network, table) =
            (Arch::ResNet20.network(), table(&["", "F:layer1.1", "S:layer1.1,F:layer2.1"]));
        let refused = |on: &[&str], off: &[&str]| check(&pins(on, off), &network, &table).unwrap_err();
        assert_eq!(check(&pins(&["S:layer3.2"], &["F:layer1.1"]), &network, &table), Ok(()));
        assert!(refused(&[], &["F:layer9.9"]).contains("layer9.9"));
        assert!(refused(&["layer1.1"], &[]).contains("layer1.1"));
        assert!(refused(&["F:layer1.1"], &["F:layer1.1"]).contains("both on and off"));
        assert!(refused(&[], &["F:layer3.2"]).contains("F:layer3.2 is mandatory"));
        assert!(refused(&[], &["F:layer1.1", "S:layer1.1"]).contains("both"));
        assert!(refused(&["F:layer2.1"], &["S:layer1.1"]).contains("agrees"));
        assert!(refused(&["F:layer1.1,F:layer2.1"], &[]).contains("single"));
    }

    #[test]
    fn pins_join_those_of_the_policy() {
        let text = "minimise = 'latency'\n[pins]\non = ['S:layer2.0']\n[replan]\nmargin = 0.2\n";
        let both = with_pins(text, &pins(&["S:layer2.0", "F:layer1.0"], &["F:layer1.1"])).unwrap();
        let (rules, model) = crate::replan::model::read(&both).unwrap();
        assert_eq!((rules.margin, model.policy().pins().on.len()), (0.2, 2));
        assert_eq!(model.policy().pins().off, ["F:layer1.1"]);
        assert_eq!(with_pins(text, &Pins::default()).unwrap(), text);
        assert!(with_pins("pins = 3", &pins(&["F:layer1.0"], &[])).is_err());
    }

    #[test]
    fn an_active_set_obeys() {
        let network = Arch::ResNet20.network();
        let set = ActiveSet::parse("F:layer1.1,S:layer2.1", &network).unwrap();
        let obeyed = obeyed(&pins(&["F:layer1.1"], &["F:layer3.1"]), &set, &network);
        assert_eq!(obeyed.describe(&network), "F:layer3.1,S:layer2.1");
    }
}
