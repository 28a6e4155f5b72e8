//! A fault of the program's own in the middle of a request.
//!
//! The program has no request that makes it panic, so that here its parts are put together as a worker does it, with one
//! more: a request's body that panics when the stack reads it. Listener, connection and stack are the real ones.

use std::cell::RefCell;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::thread::{self, JoinHandle};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use profile_gateway::config::{self, Supplied};
use profile_gateway::connect::{Dialer, Pool};
use profile_gateway::context::Inbound;
use profile_gateway::ims::{Credentials, Keepers};
use profile_gateway::listener::{Bound, CallerBody};
use profile_gateway::telemetry::{Lines, Recorder, Sink};
use profile_gateway::{gateway, listener, run};
use prometheus_client::encoding::text::encode;
use prometheus_client::registry::Registry;
use tokio::runtime::{Builder, LocalOptions};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;
use tower::Service;

use super::in_front_of;
use crate::support::adobe::{Act, Adobe};
use crate::support::raw::{Raw, exchange, send};

/// A body that panics where it says so.
struct Fragile(CallerBody);

impl Body for Fragile {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        let polled = Pin::new(&mut self.0).poll_frame(cx);
        if let Poll::Ready(Some(Ok(frame))) = &polled
            && let Some(data) = frame.data_ref()
        {
            assert!(
                !data.windows(5).any(|part| part == b"panic"),
                "a fault of the gateway"
            );
        }
        polled
    }

    fn is_end_stream(&self) -> bool {
        self.0.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.0.size_hint()
    }
}

/// Has the stack read fragile bodies.
struct Reading<S>(S);

impl<S> Service<Inbound<CallerBody>> for Reading<S>
where
    S: Service<Inbound<Fragile>>,
{
    type Response = S::Response;
    type Error = S::Error;
    type Future = S::Future;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.0.poll_ready(cx)
    }

    fn call(&mut self, inbound: Inbound<CallerBody>) -> S::Future {
        self.0.call(Inbound {
            request: Box::new(inbound.request.map(Fragile)),
            connection: inbound.connection,
            refused: inbound.refused,
        })
    }
}

/// One worker, ended when dropped.
struct Worker {
    address: SocketAddr,
    registry: Registry,
    draining: watch::Sender<bool>,
    thread: Option<JoinHandle<()>>,
}

impl Worker {
    fn start(text: &str) -> Self {
        let settings = config::parse("test.yaml", text, &Supplied::default()).unwrap();
        let bound = Bound::bind(settings.listeners[0].clone()).unwrap();
        let address = bound.address().ip().unwrap();
        let mut registry = Registry::default();
        let credentials = Credentials::new(&settings.ims);
        let plan = run::plan(&settings, credentials.clone(), &mut registry).unwrap();
        let (draining, drain) = watch::channel(false);
        let thread = thread::spawn(move || {
            let runtime = Builder::new_current_thread()
                .enable_all()
                .build_local(LocalOptions::default())
                .unwrap();
            runtime.block_on(async {
                let dialer = Dialer::new(settings.ims.connect.clone()).unwrap();
                let mut keepers = Keepers::new(settings.ims, dialer, None);
                keepers.keep(&credentials);
                let (sink, _writing) = Sink::start(io::sink()).unwrap();
                let recorder = Recorder::new(
                    Some(Lines::new(sink)),
                    true,
                    plan.names(),
                    plan.metrics.clone(),
                );
                let pool = Pool::new(plan.upstream.clone(), Arc::default());
                let stack = gateway::stack(&plan, pool, Rc::new(recorder)).unwrap();
                let stack = Rc::new(RefCell::new(Reading(stack)));
                let (deliver, mut delivered) = mpsc::unbounded_channel();
                let mut tasks = JoinSet::new();
                let ends = drain.clone();
                tasks.spawn_local(async move {
                    bound
                        .accept(ends, |accepted| deliver.send(accepted).unwrap())
                        .await
                        .unwrap();
                });
                while let Some(accepted) = delivered.recv().await {
                    let stack = Rc::clone(&stack);
                    tasks.spawn_local(listener::serve(accepted, stack, drain.clone(), ()));
                }
            });
        });
        Self {
            address,
            registry,
            draining,
            thread: Some(thread),
        }
    }

    fn metrics(&self) -> String {
        let mut text = String::new();
        encode(&mut text, &self.registry).unwrap();
        text
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        self.draining.send_replace(true);
        self.thread.take().unwrap().join().unwrap();
    }
}

fn post(body: &str) -> String {
    send("POST", PATH, "", body)
}

const EARLY: &str = "/data/core/ups/early";

#[test]
fn a_panic_is_one_500_that_is_counted_and_everybody_else_is_served() {
    let adobe = Adobe::at_heads(|seen| {
        let before_the_body = Act::play(|wire| {
            wire.write("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhello");
            wire.wait_for_end();
        });
        (seen.target() == EARLY).then_some(before_the_body)
    });
    let common = "listeners: [{ address: '127.0.0.1:0' }]\nsandboxes: { dev-2: {} }\n";
    let worker = Worker::start(&in_front_of(&adobe.url(), common));
    let mut other = Raw::connect(worker.address);
    let mut ask = || {
        other.write(post("[]"));
        other.answer(false).unwrap().status
    };
    assert_eq!(ask(), 200);

    let chunked = |target: &str, body: &str| {
        format!(
            "POST {target} HTTP/1.1\r\nHost: gateway\r\nContent-Type: a/b\r\n\
             Transfer-Encoding: chunked\r\n\r\n{body}"
        )
    };
    for request in [post("panic"), chunked(PATH, "5\r\npanic\r\n0\r\n\r\n")] {
        let refused = exchange(worker.address, request);
        assert_eq!(refused.problem(), (500, "internal".to_owned()));
        assert_eq!(ask(), 200);
    }
    // When the answer has begun, it breaks off.
    let mut late = Raw::connect(worker.address);
    late.write(chunked(EARLY, "5\r\nbegun\r\n"));
    assert!(late.read_until(b"hello"));
    late.write("5\r\npanic\r\n");
    let broken = late.answer(false).unwrap();
    assert_eq!((broken.status, broken.complete), (200, false));
    assert_eq!(ask(), 200);

    let metrics = worker.metrics();
    for line in [
        r#"profile_gateway_failures_total{reason="internal",side="gateway"} 2"#,
        "profile_gateway_requests_in_flight 0",
    ] {
        assert!(metrics.contains(line), "{line} in {metrics}");
    }
}

const PATH: &str = "/data/core/ups/segment/jobs";
