//! What replicas share, on real Redis servers. Each store stands for a replica.

mod leases;
mod outages;
mod secrecy;
mod servers;

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use profile_gateway::shared::{Lease, Leased, Store};

/// Longer than any test takes.
const LONG: Duration = Duration::from_mins(10);

/// Takes a lease that nobody has.
async fn take(store: &Store, name: &str, lasts: Duration) -> Lease {
    match store.lease(name, lasts).await.unwrap() {
        Leased::Ours(lease) => lease,
        Leased::Theirs { left } => panic!("somebody has it for {left:?}"),
    }
}

/// Takes a lease as soon as another's is over. Redis has a clock of its own, so that the test really waits.
async fn take_after(store: &Store, name: &str, lasts: Duration) -> Lease {
    loop {
        match store.lease(name, lasts).await.unwrap() {
            Leased::Ours(lease) => return lease,
            Leased::Theirs { left } => tokio::time::sleep(left).await,
        }
    }
}

/// Returns what is published.
async fn content(store: &Store, name: &str) -> Option<String> {
    let record = store.read(name).await.unwrap()?;
    Some(String::from_utf8(record.plain.expose().to_vec()).unwrap())
}

/// A server that accepts, and answers a connection's first requests with `answers`. Counts connections.
fn stand_in(answers: Vec<&'static str>) -> (SocketAddr, Arc<AtomicUsize>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let accepted = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&accepted);
    thread::spawn(move || {
        let mut held = Vec::new();
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            count.fetch_add(1, Ordering::SeqCst);
            for answer in &answers {
                let _ = stream.read(&mut [0; 1024]);
                let _ = stream.write_all(answer.as_bytes());
            }
            held.push(stream);
        }
    });
    (address, accepted)
}
