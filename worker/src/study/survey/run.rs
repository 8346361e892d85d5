//! A study from its first measurement to the profile.

use std::collections::{HashMap, HashSet};
use std::time::Instant;

use weir_shared::arch::{Network, NetworkSpec};
use weir_shared::digest::Digest;
use weir_shared::plan::plan::BatchNorm;
use weir_shared::plan::{ActiveSet, Connection, Dataflow, Encoding};
use weir_shared::profile::profile::{macs, mean_cut_bytes};
use weir_shared::profile::schema::{Among, VERSION};
use weir_shared::profile::{
    Document, EncodingResult, Kind, Order, Profile, Provenance, Score, SetResult, StudyData,
};

use super::bench::Bench;
use super::greedy::{Found, Search};
use super::sets::{self, Draw};
use super::{Options, SurveyError};
use crate::dataset::Split;
use crate::resnet::Variant;

/// A set that surely loses more than this many points is of no use to anyone, and is not measured further.
pub const HOPELESS_POINTS: f64 = 30.0;

/// What is studied, as the profile states it.
#[derive(Debug, Clone)]
pub struct Subject {
    /// The network.
    pub network: NetworkSpec,
    /// Its weights.
    pub weights: Digest,
    /// The images.
    pub data: StudyData,
    /// The command, for the profile.
    pub command: String,
    /// How batch normalisation is computed.
    pub batch_norm: BatchNorm,
}

/// Measures everything and makes the profile; tells `each_phase` in a line what was done.
///
/// # Errors
/// If measuring fails or the ledger can not be written.
pub fn survey(
    subject: Subject,
    options: Options,
    bench: &mut Bench<'_>,
    each_phase: impl FnMut(&str),
) -> Result<Profile, SurveyError> {
    let network = bench.network().clone();
    let mut survey = Survey { network, options, bench, sets: Sets::default(), each_phase };
    let full = survey.full()?;
    let alone = survey.singles(full[0])?;
    let encodings = survey.encodings()?;
    let mut orders = Vec::new();
    for among in [Among::Branches, Among::Shortcuts, Among::Joint] {
        orders.push(survey.order(among, &alone, full[0])?);
    }
    survey.samples(&alone, full[0])?;
    let sets = survey.test()?;
    let Subject { network, weights, data, command, batch_norm } = subject;
    let release = concat!("weir-worker ", env!("CARGO_PKG_VERSION")).to_owned();
    let batch = options.batch.get() as u32;
    Ok(Profile::from_measurements(Document {
        version: VERSION,
        network,
        weights,
        data,
        full_validation: full[0],
        full_test: full[1],
        sets,
        orders,
        encodings,
        surrogate: None,
        provenance: Provenance { command, release, seed: options.seed, batch, batch_norm },
    })?)
}

/// Sets that are measured on the validation split, in the order in which they came up, each once.
#[derive(Default)]
struct Sets {
    list: Vec<(ActiveSet, Kind, Score)>,
    known: HashMap<ActiveSet, usize>,
}

impl Sets {
    fn push(&mut self, set: ActiveSet, kind: Kind, score: Score) {
        if !self.known.contains_key(&set) {
            self.known.insert(set.clone(), self.list.len());
            self.list.push((set, kind, score));
        }
    }
}

struct Survey<'a, 'b, F> {
    network: Network,
    options: Options,
    bench: &'a mut Bench<'b>,
    sets: Sets,
    each_phase: F,
}

impl<F: FnMut(&str)> Survey<'_, '_, F> {
    fn full(&mut self) -> Result<[Score; 2], SurveyError> {
        self.bench.phase("everything active");
        let full = [Variant::from(ActiveSet::full())];
        let validation = self.bench.score(&full, Split::Validation, None)?[0];
        let test = self.bench.score(&full, Split::Test, None)?[0];
        let percent = 100.0 * test.accuracy();
        (self.each_phase)(&format!("everything active: {percent:.2} % of {} test images", test.count()));
        Ok([validation, test])
    }

    /// Measures every connection alone, on all images: the lesion study. Tells what each costs on validation.
    fn singles(&mut self, full: Score) -> Result<Vec<(Connection, f64)>, SurveyError> {
        let began = Instant::now();
        self.bench.phase("one connection off");
        let connections = sets::connections(&self.network);
        let sets = connections.iter().map(|&connection| ActiveSet::without([connection]));
        let sets = sets.collect::<Result<Vec<_>, _>>()?;
        let variants: Vec<Variant> = sets.iter().cloned().map(Variant::from).collect();
        let scores = self.bench.score(&variants, Split::Validation, None)?;
        self.bench.score(&variants, Split::Test, None)?;
        for (set, score) in sets.into_iter().zip(&scores) {
            self.sets.push(set, Kind::Single, *score);
        }
        self.tell("one connection off", variants.len(), began);
        Ok(connections.into_iter().zip(scores.iter().map(|s| full.accuracy() - s.accuracy())).collect())
    }

    /// Measures each encoding that rounds at each cut, everything active.
    fn encodings(&mut self) -> Result<Vec<EncodingResult>, SurveyError> {
        let began = Instant::now();
        self.bench.phase("encodings");
        let flow = Dataflow::new(&self.network, &ActiveSet::full());
        let cuts = self.network.layers().iter().skip(1);
        let places: Vec<_> =
            cuts.flat_map(|layer| [Encoding::F16, Encoding::Int8].map(|e| (layer, e))).collect();
        let recoded = |(layer, encoding): &(&weir_shared::arch::Layer, Encoding)| Variant {
            active: ActiveSet::full(),
            recoded: Some((layer.id, *encoding)),
        };
        let variants: Vec<Variant> = places.iter().map(recoded).collect();
        let validation = self.bench.score(&variants, Split::Validation, None)?;
        let test = self.bench.score(&variants, Split::Test, None)?;
        let result =
            |((&(layer, encoding), validation), test): ((&(&weir_shared::arch::Layer, _), Score), Score)| {
                let shapes = flow.live_at(layer.id).into_iter().filter_map(|value| flow.shape(value));
                let bytes = shapes.map(|shape| Encoding::payload_bytes(encoding, shape, 1) as u64).sum();
                let before = self.network.layer_name(layer.kind);
                EncodingResult { cut: layer.id, before, encoding, bytes, validation, test }
            };
        let results = places.iter().zip(validation).zip(test).map(result).collect();
        self.tell("encodings at every cut", variants.len(), began);
        Ok(results)
    }

    fn order(
        &mut self,
        among: Among,
        alone: &[(Connection, f64)],
        full: Score,
    ) -> Result<Order, SurveyError> {
        let began = Instant::now();
        let title = match among {
            Among::Branches => "order of residual branches",
            Among::Shortcuts => "order of shortcuts",
            Among::Joint => "order of both",
        };
        self.bench.phase(title);
        let candidates = self.options.effort.candidates;
        let search = Search { among, alone, candidates, full, quarter: quarter(full) };
        let Found { among, connections, sets } = search.run(self.bench)?;
        let steps = sets.len();
        for (set, score) in sets {
            self.sets.push(set, Kind::Greedy, score);
        }
        self.tell(title, steps, began);
        let name = |connection: &Connection| Ok(ActiveSet::without([*connection])?.describe(&self.network));
        let connections = connections.iter().map(name).collect::<Result<_, SurveyError>>()?;
        Ok(Order { among, connections })
    }

    /// Measures pairs, nested and drawn sets on the validation split, the hopeless ones on a quarter of it.
    fn samples(&mut self, alone: &[(Connection, f64)], full: Score) -> Result<(), SurveyError> {
        let began = Instant::now();
        self.bench.phase("pairs, nested and drawn sets");
        let effort = self.options.effort;
        let mut ranked = alone.to_vec();
        ranked.sort_by(|a, b| a.1.total_cmp(&b.1));
        let ranked = ranked.into_iter().map(|(connection, _)| connection).collect();
        let network = self.network.clone();
        let mut draw = Draw::new(&network, ranked, self.options.seed);
        let of_kind = |kind, sets: Vec<ActiveSet>| sets.into_iter().map(move |set| (set, kind));
        let mut wanted: Vec<(ActiveSet, Kind)> = of_kind(Kind::Pair, sets::neighbours(&network)).collect();
        wanted.extend(of_kind(Kind::Nested, sets::nested(&network)));
        wanted.extend(of_kind(Kind::Pair, draw.pairs(effort.pairs)));
        wanted.extend(of_kind(Kind::Random, draw.levels(effort.random_per_level)));
        let of_orders = self.sets.list.iter().filter(|(_, kind, _)| *kind == Kind::Greedy);
        let good: Vec<ActiveSet> = of_orders.map(|(set, ..)| set.clone()).collect();
        wanted.extend(of_kind(Kind::Random, draw.near(&good, effort.near)));
        // A drawn pair may be a pair of neighbours.
        let mut seen = HashSet::new();
        wanted.retain(|(set, _)| !self.sets.known.contains_key(set) && seen.insert(set.clone()));
        let variants: Vec<Variant> = wanted.iter().map(|(set, _)| Variant::from(set.clone())).collect();
        let early = self.bench.score(&variants, Split::Validation, Some(quarter(full)))?;
        let floor = full.accuracy() - HOPELESS_POINTS / 100.0;
        let is_hopeful = |score: &Score| score.interval().high >= floor;
        let hopeful = variants.iter().zip(&early).filter(|(_, score)| is_hopeful(score));
        let hopeful: Vec<Variant> = hopeful.map(|(variant, _)| variant.clone()).collect();
        let mut whole = self.bench.score(&hopeful, Split::Validation, None)?.into_iter();
        for ((set, kind), early) in wanted.into_iter().zip(early) {
            let score = if is_hopeful(&early) { whole.next().unwrap_or(early) } else { early };
            self.sets.push(set, kind, score);
        }
        self.tell("pairs, nested and drawn sets", variants.len(), began);
        Ok(())
    }

    /// Measures on the test split whatever got through the validation split.
    fn test(&mut self) -> Result<Vec<SetResult>, SurveyError> {
        let began = Instant::now();
        self.bench.phase("test images");
        let sets = std::mem::take(&mut self.sets).list;
        let all = self.bench.score(&[ActiveSet::full().into()], Split::Validation, None)?[0].count();
        let through = |score: &Score, kind: Kind| kind == Kind::Single || score.count() == all;
        let measured = sets.iter().filter(|(_, kind, score)| through(score, *kind));
        let variants: Vec<Variant> = measured.map(|(set, ..)| set.clone().into()).collect();
        let mut scores = self.bench.score(&variants, Split::Test, None)?.into_iter();
        let full = ActiveSet::full();
        let all_bytes = mean_cut_bytes(&self.network, &full);
        let result = |(active, kind, validation): (ActiveSet, Kind, Score)| SetResult {
            off: active.describe(&self.network),
            kind,
            macs_kept: macs(&self.network, &active) as f64 / self.network.macs() as f64,
            bytes_kept: mean_cut_bytes(&self.network, &active) / all_bytes,
            validation,
            test: if through(&validation, kind) { scores.next() } else { None },
            active,
        };
        let results = sets.into_iter().map(result).collect();
        self.tell("on test images", variants.len(), began);
        Ok(results)
    }

    fn tell(&mut self, what: &str, count: usize, began: Instant) {
        (self.each_phase)(&format!("{what}: {count} measured, {:.1} s", began.elapsed().as_secs_f64()));
    }
}

/// Images after which what is clearly behind is given up.
fn quarter(full: Score) -> usize {
    (full.count() as usize / 4).max(1)
}
