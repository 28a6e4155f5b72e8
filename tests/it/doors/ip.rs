//! Callers over TCP: both versions of IP, the kernel's queue, and two processes at one port.

use std::cell::Cell;
use std::io;
use std::net::{SocketAddr, TcpStream};
use std::os::unix::net::UnixStream;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use profile_gateway::listener::{BindError, Bound};
use socket2::{Domain, SockAddr, Socket, Type};
use tempfile::TempDir;
use tokio::sync::watch;

use super::{PATH, ROUTE, configuration, folder, settings, wait_for_connections, written};
use crate::support::adobe::Adobe;
use crate::support::gateway::Gateway;
use crate::support::port::Port;
use crate::support::process::Process;
use crate::support::raw::{Raw, exchange, get};
use crate::support::running::eventually;

fn listening(listener: &str) -> String {
    format!("listeners: [{{ {listener} }}]\n{ROUTE}")
}

#[test]
fn callers_come_over_ipv6_and_over_both_where_no_address_is_named() {
    let adobe = Adobe::echoing();
    let gateway = Gateway::start(&adobe.url(), &listening("address: '[::1]:0'"));
    assert!(gateway.address.is_ipv6());
    assert_eq!(exchange(gateway.address, get(PATH, "")).text(), PATH);
    // In absolute form the target has to mean the address that was connected to.
    let host = gateway.address;
    let absolute = format!("GET http://{host}{PATH} HTTP/1.1\r\nHost: {host}\r\n\r\n");
    assert_eq!(exchange(gateway.address, absolute).text(), PATH);

    let open = listening("address: '[::]:0', anonymous: allow");
    let gateway = Gateway::start(&adobe.url(), &open);
    let port = gateway.address.port();
    for ip in ["127.0.0.1", "[::1]"] {
        let host: SocketAddr = format!("{ip}:{port}").parse().unwrap();
        let absolute = format!("GET http://{host}{PATH} HTTP/1.1\r\nHost: {host}\r\n\r\n");
        assert_eq!(exchange(host, absolute).text(), PATH, "{ip}");
    }
}

#[test]
fn a_port_that_is_taken_is_shared_only_where_both_say_so() {
    let first = Bound::bind(settings("address: '127.0.0.1:0', reuse_port: true")).unwrap();
    let address = first.address().to_string();
    let bind = |more: &str| Bound::bind(settings(&format!("address: '{address}'{more}")));

    let error = bind("").unwrap_err();
    let BindError::System(system) = &error else {
        panic!("{error:?}")
    };
    assert_eq!(system.kind(), io::ErrorKind::AddrInUse);
    assert!(bind(", reuse_port: true").is_ok());
    drop(first);
    let _alone = bind("").unwrap();
    assert!(bind(", reuse_port: true").is_err());
}

#[test]
fn the_kernels_queue_is_as_long_as_the_backlog() {
    let bound = Bound::bind(settings("address: '127.0.0.1:0', backlog: 2")).unwrap();
    let address = bound.address().ip().unwrap();
    let connect = || TcpStream::connect_timeout(&address, Duration::from_millis(300));
    // Linux takes one more than it was asked for.
    let _queued = [connect().unwrap(), connect().unwrap(), connect().unwrap()];
    assert!(connect().is_err());

    let (_folder, path) = folder();
    let unix = format!("address: 'unix:{}', backlog: 2", path.display());
    let _bound = Bound::bind(settings(&unix)).unwrap();
    let _queued: Vec<_> = (0..3)
        .map(|_| UnixStream::connect(&path).unwrap())
        .collect();
    let one_more = Socket::new(Domain::UNIX, Type::STREAM, None).unwrap();
    one_more.set_nonblocking(true).unwrap();
    let full = one_more.connect(&SockAddr::unix(&path).unwrap());
    assert_eq!(full.unwrap_err().kind(), io::ErrorKind::WouldBlock);
}

#[test]
fn no_more_connections_are_open_than_the_listener_allows() {
    let adobe = Adobe::echoing();
    let more = "address: '127.0.0.1:0', limits: { connections: 2 }";
    let gateway = Gateway::start(&adobe.url(), &listening(more));
    let mut taken = [Raw::connect(gateway.address), Raw::connect(gateway.address)];
    wait_for_connections(gateway.admin, 2);

    let mut third = Raw::connect(gateway.address);
    third.write(get(&format!("{PATH}?third"), ""));
    for raw in &mut taken {
        raw.write(get(PATH, ""));
        assert_eq!(raw.answer(false).unwrap().status, 200);
    }
    assert!(adobe.seen().iter().all(|seen| seen.target() == PATH));
    wait_for_connections(gateway.admin, 2);

    drop(taken);
    assert_eq!(third.answer(false).unwrap().status, 200);
}

/// Accepts what waits at a listener whose gateway stops before it has accepted anything.
async fn accepted_late(bound: Bound) -> usize {
    let (_sender, draining) = watch::channel(true);
    let count = Cell::new(0);
    bound
        .accept(draining, |accepted| {
            count.set(count.get() + 1);
            drop(accepted);
        })
        .await
        .unwrap();
    count.get()
}

#[tokio::test]
async fn everybody_in_the_queue_is_taken_before_the_socket_closes() {
    for more in ["", ", reuse_port: true"] {
        let bound = Bound::bind(settings(&format!("address: '127.0.0.1:0'{more}"))).unwrap();
        let address = bound.address().ip().unwrap();
        let _queued: Vec<_> = (0..100)
            .map(|_| TcpStream::connect(address).unwrap())
            .collect();

        assert_eq!(accepted_late(bound).await, 100, "{more}");
        assert!(TcpStream::connect(address).is_err());
    }
    let (_folder, path) = folder();
    let bound = Bound::bind(settings(&format!("address: 'unix:{}'", path.display()))).unwrap();
    let _queued: Vec<_> = (0..100)
        .map(|_| UnixStream::connect(&path).unwrap())
        .collect();

    assert_eq!(accepted_late(bound).await, 100);
    assert!(!path.exists());
}

#[tokio::test]
async fn the_queue_is_taken_at_the_drain_although_no_place_is_free() {
    let one = settings("address: '127.0.0.1:0', limits: { connections: 1 }");
    let bound = Bound::bind(one).unwrap();
    let address = bound.address().ip().unwrap();
    let _queued: Vec<_> = (0..20)
        .map(|_| TcpStream::connect(address).unwrap())
        .collect();
    let kept = std::cell::RefCell::new(Vec::new());
    let (drain, draining) = watch::channel(false);

    // The first has the one place, and keeps it.
    let accepting = bound.accept(draining, |accepted| {
        kept.borrow_mut().push(accepted);
        drain.send_replace(true);
    });
    accepting.await.unwrap();

    assert_eq!(kept.borrow().len(), 20);
}

/// Asks once over a connection of its own, and tells what came of it.
fn ask(address: SocketAddr) -> Result<(), String> {
    let stream = TcpStream::connect(address).map_err(|error| format!("connect: {error}"))?;
    stream
        .set_read_timeout(Some(Duration::from_secs(20)))
        .unwrap();
    let mut raw = Raw::over(stream);
    raw.write(get(PATH, "Connection: close\r\n"));
    match raw.answer(false) {
        Some(answer) if answer.status == 200 && answer.complete => Ok(()),
        Some(answer) => Err(answer.head),
        None => Err("no answer".to_owned()),
    }
}

#[test]
fn a_restart_with_two_processes_at_one_port_fails_no_request() {
    let adobe = Adobe::echoing();
    let port = Port::take();
    let address: SocketAddr = port.url().trim_start_matches("http://").parse().unwrap();
    // Nobody else is given the port, and both processes can have it.
    drop(port);
    let folder = TempDir::new().unwrap();
    let listener = format!("address: '{address}', reuse_port: true");
    let text = written(&folder, &configuration(&adobe.url(), &listener));
    let mut serving = Process::gateway(&text, &[]);
    eventually("service", || ask(address).is_ok().then_some(()));

    let (stop, asked) = (AtomicBool::new(false), AtomicUsize::new(0));
    let failed: Vec<String> = thread::scope(|scope| {
        let callers: Vec<_> = (0..4)
            .map(|_| {
                scope.spawn(|| {
                    let mut failed = Vec::new();
                    while !stop.load(Ordering::SeqCst) {
                        failed.extend(ask(address).err());
                        asked.fetch_add(1, Ordering::SeqCst);
                    }
                    failed
                })
            })
            .collect();
        let wait_for_some = || {
            let enough = asked.load(Ordering::SeqCst) + 100;
            eventually("hundred more requests", || {
                (asked.load(Ordering::SeqCst) >= enough).then_some(())
            });
        };
        for _ in 0..5 {
            wait_for_some();
            let next = Process::gateway(&text, &[]);
            wait_for_some();
            serving.terminate();
            let (code, printed) = std::mem::replace(&mut serving, next).finish();
            assert_eq!(code, Some(0), "{printed}");
        }
        wait_for_some();
        stop.store(true, Ordering::SeqCst);
        callers
            .into_iter()
            .flat_map(|caller| caller.join().unwrap())
            .collect()
    });

    assert!(failed.is_empty(), "{failed:?} of {asked:?}");
}

#[test]
fn an_ipv4_address_that_is_written_as_one_of_ipv6_is_listened_at() {
    let bound = Bound::bind(settings("address: '[::ffff:127.0.0.1]:0'")).unwrap();

    let address = bound.address().ip().unwrap();
    assert!(address.is_ipv4() && address.ip().is_loopback(), "{address}");
}
