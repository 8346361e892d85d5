//! Weir's orchestrator: admits requests, decides plans, and rolls them out.
//!
//! Layers, low to high: [`rollout`] and [`cluster`] and [`planner`] are pure; the [`supervisor`] is the one
//! actor that decides; the [`gateway`] admits, retries and answers; a [`session`] speaks for one worker;
//! [`admin`] shows all of it over HTTP; [`app`] puts it together. [`demo`] and [`cli`] are the command
//! `weir`, which knows a cluster through [`client`] alone and tells people through [`terminal`].

#![forbid(unsafe_code)]
#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used))]

pub mod admin;
pub mod app;
pub mod checker;
pub mod cli;
pub mod client;
pub mod clock;
pub mod cluster;
pub mod demo;
pub mod gateway;
pub mod journal;
pub mod labels;
pub mod layers;
pub mod metrics;
pub mod planner;
pub mod replan;
pub mod rollout;
pub mod session;
pub mod supervisor;
pub mod telemetry;
pub mod terminal;
