//! Machines with networks of their own: each a thread in a network namespace, which goes when the thread does.

use std::process::Command;
use std::sync::mpsc;
use std::thread;

use nix::sched::{CloneFlags, unshare};
use nix::unistd::gettid;

type Job = Box<dyn FnOnce() + Send>;

/// A machine. What runs on it sees its interfaces alone.
pub(crate) struct Machine {
    jobs: mpsc::Sender<Job>,
    thread: i32,
}

impl Machine {
    /// A machine with nothing but a loopback interface.
    pub(crate) fn new() -> Self {
        let (jobs, queue) = mpsc::channel::<Job>();
        let (started, thread) = mpsc::channel();
        thread::spawn(move || {
            unshare(CloneFlags::CLONE_NEWNET).expect("the right to make a network namespace: root, or `unshare -Ur`");
            started.send(gettid().as_raw()).unwrap();
            queue.into_iter().for_each(|job| job());
        });
        let machine = Self { jobs, thread: thread.recv().expect("the thread has told why not") };
        machine.ip("link set lo up");
        machine
    }

    /// Joins this machine to another one: each has an interface of this name, with these addresses.
    pub(crate) fn wire(&self, [name, peer_name]: [&str; 2], peer: &Self, addresses: [&[&str]; 2]) {
        self.ip(&format!("link add {name} type veth peer name {peer_name} netns {}", peer.thread));
        for (machine, name, addresses) in [(self, name, addresses[0]), (peer, peer_name, addresses[1])] {
            for address in addresses {
                machine.ip(&format!("address add {address} dev {name}"));
            }
            machine.ip(&format!("link set {name} up"));
        }
    }

    /// Runs `ip` with these arguments.
    pub(crate) fn ip(&self, arguments: &str) {
        let mut command = Command::new("ip");
        command.args(arguments.split(' '));
        self.succeed(command);
    }

    /// Replaces all rules of nftables.
    pub(crate) fn rules(&self, rules: &str) {
        let mut command = Command::new("nft");
        command.arg(format!("flush ruleset; {rules}"));
        self.succeed(command);
    }

    /// Runs a program to its end.
    fn succeed(&self, mut command: Command) {
        self.run(move || {
            let done = command.output().unwrap_or_else(|error| panic!("{command:?}: {error}"));
            assert!(done.status.success(), "{command:?}: {}", String::from_utf8_lossy(&done.stderr));
        });
    }

    /// Runs something there.
    pub(crate) fn run<T: Send + 'static>(&self, task: impl FnOnce() -> T + Send + 'static) -> T {
        let (done, result) = mpsc::channel();
        self.jobs.send(Box::new(move || drop(done.send(task())))).expect("the machine runs");
        result.recv().expect("the machine has told what was wrong")
    }
}
