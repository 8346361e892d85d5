//! The gateway's part in a plan: sends images to the first stage, takes logits from the last, hears of failures.

use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, HashMap};
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::sync::oneshot;
use tokio::time::Instant;
use weir_shared::ids::{Attempt, PeerName, RequestId};
use weir_shared::plan::{Inlet, Node, Plan, PlanId};
use weir_shared::transport::activation::{self, Expected, Refusal};
use weir_shared::transport::{Links, Parcel, PeerConnection, Transport, Undelivered};
use weir_shared::wire::control::RequestFailure;
use weir_shared::wire::{Header, codec};

/// How long a request may take, unless a test says otherwise.
const PATIENCE: Duration = Duration::from_secs(20);

/// Logits, or why there are none.
pub type Answer = Result<Vec<f32>, RequestFailure>;

/// The plans whose logits are welcome.
type Plans = Rc<RefCell<BTreeMap<PlanId, Arc<Plan>>>>;

/// The gateway of a test.
pub struct Gateway {
    transport: Transport,
    links: Links,
    plans: Plans,
    failures: Failures,
    next: Cell<u128>,
}

/// Where failures of requests are told, from any thread; remembers them all.
#[derive(Clone, Default)]
pub struct Failures {
    waiting: Arc<Mutex<HashMap<RequestId, oneshot::Sender<Answer>>>>,
    log: Arc<Mutex<Vec<RequestFailure>>>,
}

impl Failures {
    /// A request has failed somewhere.
    pub fn heard(&self, failure: RequestFailure) {
        self.log.lock().unwrap().push(failure.clone());
        self.answer(failure.request, Err(failure));
    }

    /// Only the first answer counts.
    fn answer(&self, request: RequestId, answer: Answer) {
        if let Some(waiting) = self.waiting.lock().unwrap().remove(&request) {
            let _ = waiting.send(answer);
        }
    }
}

impl Gateway {
    pub fn start(transport: Transport) -> Self {
        let failures = Failures::default();
        let heard = failures.clone();
        let undelivered = move |Undelivered { header, kind, reason }| {
            heard.heard(RequestFailure::of(&header, kind, reason));
        };
        let gateway = Self {
            links: Links::new(transport.clone(), Arc::new(undelivered)),
            transport,
            plans: Rc::default(),
            failures,
            next: Cell::new(1),
        };
        let (transport, plans) = (gateway.transport.clone(), gateway.plans.clone());
        let answers = gateway.failures.clone();
        actix_rt::spawn(async move {
            while let Some(incoming) = transport.accept().await {
                let (plans, answers) = (plans.clone(), answers.clone());
                actix_rt::spawn(async move {
                    if let Ok(peer) = incoming.establish().await {
                        serve(peer, plans, answers).await;
                    }
                });
            }
        });
        gateway
    }

    /// Where logits are accepted.
    pub fn address(&self) -> SocketAddr {
        self.transport.address().unwrap()
    }

    /// Takes logits of this plan from now on.
    pub fn learn(&self, plan: &Plan) {
        self.plans.borrow_mut().insert(plan.id(), Arc::new(plan.clone()));
    }

    /// Takes none any more, and closes the links that no other plan uses.
    pub fn forget(&self, plan: &Plan) {
        let mut plans = self.plans.borrow_mut();
        plans.remove(&plan.id());
        self.links.keep_only(plans.values().map(Arc::as_ref));
    }

    /// Where workers tell failures.
    pub fn failures(&self) -> Failures {
        self.failures.clone()
    }

    /// All failures so far.
    pub fn failed(&self) -> Vec<RequestFailure> {
        self.failures.log.lock().unwrap().clone()
    }

    /// The first failure of a request, once it is told.
    pub async fn failure_of(&self, request: RequestId) -> RequestFailure {
        let find = || self.failed().into_iter().find(|failure| failure.request == request);
        super::eventually("the request fails", async || find().is_some()).await;
        find().unwrap()
    }

    /// Completes when the worker that takes the images is connected.
    pub async fn connect(&self, plan: &Plan) {
        let (to, address, _) = entrance(plan);
        self.links.reach(&to, address).await;
    }

    /// A number that no request has had.
    pub fn next_request(&self) -> RequestId {
        self.next.set(self.next.get() + 1);
        RequestId(self.next.get())
    }

    /// The header of `batch` images for `plan` whose payload is `payload`.
    pub fn header(&self, plan: &Plan, batch: u16, payload: &[u8]) -> Header {
        let (.., inlet) = entrance(plan);
        Header {
            request: self.next_request(),
            attempt: Attempt(1),
            plan: plan.id(),
            plan_prefix: plan.hash().0.prefix(),
            value: inlet.value,
            batch,
            encoding: plan.draft().routes[0].encoding,
            remaining_micros: PATIENCE.as_micros() as u64,
            checksum: codec::checksum(payload),
            trace: None,
        }
    }

    /// Sends `images` through `plan`.
    pub async fn infer(&self, plan: &Plan, batch: u16, images: Vec<f32>) -> Answer {
        let (to, address, inlet) = entrance(plan);
        let first = plan.node(&to).unwrap();
        let encoding = plan.route(Node::Gateway, first).unwrap().encoding;
        let payload = activation::payload(encoding, &Arc::new(images), inlet.shape);
        let header = Header { encoding, ..self.header(plan, batch, &payload) };
        let request = header.request;
        let (answer, answered) = oneshot::channel();
        self.failures.waiting.lock().unwrap().insert(request, answer);
        let parcel = Parcel { header, payload, deadline: Instant::now() + PATIENCE };
        self.links.send(&to, address, parcel).unwrap();
        let answered = tokio::time::timeout(PATIENCE, answered).await;
        answered.expect("the request was answered neither with logits nor with a failure").unwrap()
    }
}

/// Who takes the images of a plan, where, and as which value.
fn entrance(plan: &Plan) -> (PeerName, SocketAddr, Inlet) {
    let inlets = plan
        .programs()
        .iter()
        .flat_map(|program| program.inlets.iter().map(|inlet| (Node::Stage(program.stage), *inlet)));
    let (stage, inlet) = inlets.into_iter().find(|(_, inlet)| inlet.from == Node::Gateway).unwrap();
    let route = plan.route(Node::Gateway, stage).unwrap();
    (route.to.clone(), route.address, inlet)
}

/// Reads logits off one connection.
async fn serve(peer: PeerConnection, plans: Plans, answers: Failures) {
    while let Ok(mut stream) = peer.connection.accept_uni().await {
        let (plans, answers, from) = (plans.clone(), answers.clone(), peer.peer.clone());
        actix_rt::spawn(async move {
            let expect = |header: &Header| {
                let plan =
                    plans.borrow().get(&header.plan).cloned().ok_or(Refusal::StalePlan(header.plan))?;
                let from = plan.node(&from).ok_or(Refusal::NotInPlan)?;
                let encoding = plan.route(from, Node::Gateway).ok_or(Refusal::NotInPlan)?.encoding;
                let shape = plan.draft().network.network().logits();
                Ok((plan, Expected { shape, encoding }))
            };
            match activation::receive(&mut stream, expect).await {
                Ok(logits) => answers.answer(logits.header.request, Ok(logits.values)),
                Err(error) => {
                    panic!("the gateway was sent what it cannot read: {}", weir_shared::chain(&error))
                }
            }
        });
    }
}
