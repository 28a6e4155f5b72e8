//! A simulated Adobe on a thread of its own, for tests that wait in other ways than by `await`.

use std::net::SocketAddr;
use std::sync::mpsc::channel;
use std::thread::{self, JoinHandle};

use profile_gateway::simulator::{Control, Settings, Simulator};
use tokio::sync::oneshot;

/// A running simulator, ended when dropped.
pub(crate) struct Simulated {
    pub(crate) control: Control,
    pub(crate) address: SocketAddr,
    pub(crate) url: String,
    /// What has to be trusted when it speaks TLS.
    pub(crate) certificate_pem: Option<String>,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Simulated {
    pub(crate) fn start(settings: Settings) -> Self {
        let (tell, told) = channel();
        let (stop, stopped) = oneshot::channel::<()>();
        let thread = thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()
                .unwrap();
            runtime.block_on(async {
                let simulator = Simulator::start(settings).await.unwrap();
                let facts = (
                    simulator.control().clone(),
                    simulator.address(),
                    simulator.url(),
                    simulator.certificate_pem().map(str::to_owned),
                );
                tell.send(facts).unwrap();
                let _ = stopped.await;
            });
        });
        let (control, address, url, certificate_pem) = told.recv().unwrap();
        Self {
            control,
            address,
            url,
            certificate_pem,
            stop: Some(stop),
            thread: Some(thread),
        }
    }
}

impl Drop for Simulated {
    fn drop(&mut self) {
        self.stop.take();
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}
