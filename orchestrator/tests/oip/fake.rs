//! A backend whose answers anybody can compute: logit `c` of an image is twice its `c`-th number, plus `c`.

use std::cell::RefCell;
use std::rc::Rc;
use std::time::Duration;

use actix_web::dev::ServerHandle;
use actix_web::{App, HttpServer};
use futures_util::FutureExt;
use futures_util::future::LocalBoxFuture;
use weir_orchestrator::gateway::oip::{
    InferBackend, InferDone, InferFailure, InferJob, ModelInfo, Permit, StatisticsSnapshot, configure,
};
use weir_shared::arch::Shape;
use weir_shared::ids::{Epoch, Term};
use weir_shared::plan::PlanId;

/// What a fake does with requests.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Mood {
    /// Computes them.
    Computing,
    /// Reports that no plan is committed.
    Unready,
    /// Refuses them before their body is read.
    Refusing(InferFailure),
    /// Takes them and fails.
    Failing(InferFailure),
}

/// The backend.
#[derive(Debug)]
pub(crate) struct Fake {
    model: ModelInfo,
    mood: Mood,
    statistics: Rc<RefCell<StatisticsSnapshot>>,
}

impl Fake {
    /// A fake of ResNet-20 for CIFAR-10 with batches of up to 4 images.
    pub(crate) fn new(mood: Mood) -> Self {
        let labels = (0..10).map(|class| format!("class-{class}")).collect();
        let model = ModelInfo {
            name: "resnet20".to_owned(),
            version: "1".to_owned(),
            input_name: "input".to_owned(),
            image: Shape::new(3, 32, 32),
            output_name: "logits".to_owned(),
            classes: 10,
            shorter_side: 32,
            labels: Some(labels),
            max_batch: 4,
        };
        Self { model, mood, statistics: Rc::default() }
    }

    fn logits(&self, job: &InferJob) -> Vec<f32> {
        let classes = self.model.classes as usize;
        let of_image = |image: &[f32]| -> Vec<f32> {
            image[..classes].iter().enumerate().map(|(class, pixel)| pixel * 2.0 + class as f32).collect()
        };
        job.images.chunks(self.model.image.elements()).flat_map(of_image).collect()
    }
}

impl InferBackend for Fake {
    fn model(&self) -> &ModelInfo {
        &self.model
    }

    fn is_ready(&self) -> bool {
        self.mood != Mood::Unready
    }

    fn admit(&self) -> Result<Permit, InferFailure> {
        match &self.mood {
            Mood::Unready => Err(InferFailure::NoPlan),
            Mood::Refusing(failure) => Err(failure.clone()),
            Mood::Computing | Mood::Failing(_) => Ok(Permit::default()),
        }
    }

    fn infer(&self, job: InferJob) -> LocalBoxFuture<'static, Result<InferDone, InferFailure>> {
        if let Mood::Failing(failure) = &self.mood {
            let failure = failure.clone();
            return async move { Err(failure) }.boxed_local();
        }
        let done = InferDone {
            logits: self.logits(&job),
            plan: PlanId { term: Term(3), epoch: Epoch(14) },
            attempts: 2,
            queue: Duration::from_micros(5),
            compute: Duration::from_micros(70),
            degraded: None,
        };
        let statistics = self.statistics.clone();
        async move {
            statistics.borrow_mut().add_success(job.batch, &done, Duration::from_micros(80));
            Ok(done)
        }
        .boxed_local()
    }

    fn statistics(&self) -> StatisticsSnapshot {
        self.statistics.borrow().clone()
    }
}

/// Serves a computing fake on a real socket until the returned handle stops it; the address is `host:port`.
pub(crate) fn serve() -> (String, ServerHandle) {
    serve_in(Mood::Computing)
}

/// The same in another mood.
pub(crate) fn serve_in(mood: Mood) -> (String, ServerHandle) {
    let app = move || App::new().configure(configure(Rc::new(Fake::new(mood.clone()))));
    let server = HttpServer::new(app).workers(1).disable_signals().bind(("127.0.0.1", 0)).unwrap();
    let address = server.addrs()[0].to_string();
    let server = server.run();
    let handle = server.handle();
    actix_web::rt::spawn(server);
    (address, handle)
}
