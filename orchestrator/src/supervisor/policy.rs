//! Another policy, and other pins: checked as a whole before anything changes. The running plan goes on meanwhile.

use std::sync::Arc;

use actix::prelude::*;

use super::actor::Supervisor;
use super::log::{About, EventKind};
use super::messages::{ChangePins, ChangePolicy, Refusal};
use super::pins;
use crate::cluster::{accuracy_table, full_only, with_off};
use crate::planner::Pins;
use crate::planner::snapshot::AccuracyTable;
use crate::replan::Rules;
use crate::replan::model::{self, PlannerModel};
use crate::replan::trace::What;

/// A policy that can be put in force.
struct Prepared {
    /// The policy file with the pins in it.
    text: String,
    rules: Rules,
    model: PlannerModel,
    accuracy: AccuracyTable,
}

impl Supervisor {
    /// Another policy. The running plan goes on, whatever is wrong with it.
    pub(super) fn set_policy(&mut self, text: &str) -> Result<(), String> {
        let prepared = self.prepare(text, &self.steering.pins)?;
        self.put_in_force(prepared);
        self.replanning.policy = text.to_owned();
        tracing::info!("policy changed");
        self.tell_people(EventKind::PolicyChanged, "another policy is in force".to_owned(), About::default());
        Ok(())
    }

    /// The text of a policy file with the pins in it, as the planner would have it.
    pub(super) fn effective(&self, text: &str) -> Result<String, String> {
        self.prepare(text, &self.steering.pins).map(|prepared| prepared.text)
    }

    fn prepare(&self, text: &str, pins: &Pins) -> Result<Prepared, String> {
        let text = pins::with_pins(text, pins)?;
        let (rules, model) = model::read(&text)?;
        let network = self.parts.network.network();
        let accuracy = self.table(model.policy().pins());
        pins::check_policy(model.policy(), &network, &accuracy)?;
        Ok(Prepared { text, rules, model, accuracy })
    }

    /// What may be dropped, and what it costs; with the sets that pins ask for, where the profile knows them.
    fn table(&self, pins: &Pins) -> AccuracyTable {
        let Some(profile) = &self.replanning.profile else { return full_only(None) };
        let off = pins::off(pins, &self.parts.network.network());
        with_off(accuracy_table(profile), profile, &off)
    }

    fn put_in_force(&mut self, prepared: Prepared) {
        let Prepared { text, rules, model, accuracy } = prepared;
        self.parts.metrics.policy_bounds(&model.policy().bounds());
        self.replanning.replanner.policy_changed(rules);
        self.replanning.model = Some(Arc::new(model));
        self.replanning.accuracy = accuracy;
        self.replanning.note(What::Policy(text));
        self.replanning.looked = None;
    }

    fn set_pins(&mut self, mut pins: Pins) -> Result<(), String> {
        for names in [&mut pins.on, &mut pins.off] {
            names.sort_unstable();
            names.dedup();
        }
        if self.replanning.model.is_some() {
            let prepared = self.prepare(&self.replanning.policy, &pins)?;
            self.put_in_force(prepared);
        } else {
            let accuracy = self.table(&pins);
            pins::check(&pins, &self.parts.network.network(), &accuracy)?;
            self.replanning.accuracy = accuracy;
        }
        let named = |what: &str, names: &[String]| match names {
            [] => format!("nothing {what}"),
            names => format!("{} {what}", names.join(", ")),
        };
        let message = format!("pins: {}, {}", named("on", &pins.on), named("off", &pins.off));
        tracing::info!(on = ?pins.on, off = ?pins.off, "pins changed");
        self.steering.pins = pins;
        self.tell_people(EventKind::PinsChanged, message, About::default());
        Ok(())
    }
}

impl Handler<ChangePolicy> for Supervisor {
    type Result = Result<(), Refusal>;

    fn handle(
        &mut self,
        ChangePolicy { text, seen }: ChangePolicy,
        context: &mut Self::Context,
    ) -> Self::Result {
        if seen.is_some_and(|seen| self.replanning.model.is_none() || seen != self.replanning.policy) {
            return Err(Refusal::Changed);
        }
        self.set_policy(&text).map_err(Refusal::Unusable)?;
        self.reconcile(context);
        Ok(())
    }
}

impl Handler<ChangePins> for Supervisor {
    type Result = Result<(), Refusal>;

    fn handle(&mut self, ChangePins { pins, seen }: ChangePins, context: &mut Self::Context) -> Self::Result {
        if seen.is_some_and(|seen| seen != self.steering.pins) {
            return Err(Refusal::Changed);
        }
        self.set_pins(pins).map_err(Refusal::Unusable)?;
        self.reconcile(context);
        Ok(())
    }
}
