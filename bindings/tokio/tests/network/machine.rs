//! Machines with networks of their own: each a thread in a network namespace, which goes when the thread does.

use nix::sched::{CloneFlags, unshare};
use nix::unistd::gettid;
use std::future::Future;
use std::process::Command;
use std::sync::mpsc;
use tokio::runtime::{Builder, Handle};
use tokio::sync::oneshot;

/// A machine. What runs on it sees its interfaces alone.
pub(crate) struct Machine {
    runtime: Handle,
    thread: i32,
    _stops_when_dropped: oneshot::Sender<()>,
}

impl Machine {
    /// A machine with nothing but a loopback interface.
    pub(crate) async fn new() -> Self {
        let (runtime_tx, runtime_rx) = mpsc::channel();
        let (stop, stopped) = oneshot::channel();
        std::thread::spawn(move || {
            unshare(CloneFlags::CLONE_NEWNET).expect("the right to make a network namespace: root, or `unshare -Ur`");
            // All of its tasks run on this one thread.
            let runtime = Builder::new_current_thread().enable_all().build().unwrap();
            runtime_tx.send((runtime.handle().clone(), gettid().as_raw())).unwrap();
            let _ = runtime.block_on(stopped);
        });
        let (runtime, thread) = runtime_rx.recv().unwrap();
        let machine = Self { runtime, thread, _stops_when_dropped: stop };
        machine.ip("link set lo up").await;
        machine
    }

    /// Two machines with a link named `wire` between them, up, and no address on it yet.
    pub(crate) async fn two() -> (Self, Self) {
        let (one, other) = (Self::new().await, Self::new().await);
        one.ip(&format!("link add wire type veth peer name wire netns {}", other.thread)).await;
        for machine in [&one, &other] {
            // No IPv6 addresses that come of themselves.
            machine.ip("link set wire addrgenmode none").await;
            machine.ip("link set wire up").await;
        }
        (one, other)
    }

    /// Runs `ip` with these arguments.
    pub(crate) async fn ip(&self, arguments: &str) {
        let arguments: Vec<String> = arguments.split(' ').map(str::to_owned).collect();
        self.run(async move {
            let done = Command::new("ip").args(&arguments).output().unwrap();
            assert!(done.status.success(), "ip {arguments:?}: {}", String::from_utf8_lossy(&done.stderr));
        })
        .await;
    }

    /// Runs a task there.
    pub(crate) async fn run<T: Send + 'static>(&self, task: impl Future<Output = T> + Send + 'static) -> T {
        self.runtime.spawn(task).await.unwrap()
    }
}
