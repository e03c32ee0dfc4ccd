//! Networks of our own: one for the servers, and two for the clients.

use std::io;
use std::net::IpAddr;
use std::process::{Child, Command, ExitStatus, Stdio};

/// Says that the program runs in a network namespace of its own already.
const INSIDE: &str = "TURN_PEERS_INSIDE";

/// The network of the servers is this process's; each of the clients' two networks is joined to it by a link of its own.
pub(crate) struct Place {
    /// Where a client may reach itself.
    pub(crate) open: Site,
    /// Where it may not, so that only a relay connects two agents in one program.
    pub(crate) closed: Site,
}

/// A client's network. It is gone when this is dropped.
pub(crate) struct Site {
    holder: Child,
    number: u8,
}

/// If this process is not in a network namespace of its own yet, runs it again in one, and gives how that has ended.
pub(crate) fn enter() -> io::Result<Option<ExitStatus>> {
    if std::env::var_os(INSIDE).is_some() {
        return Ok(None);
    }
    let is_root = Command::new("id").arg("-u").output()?.stdout.trim_ascii() == b"0";
    let own: &[&str] = if is_root { &[] } else { &["--user", "--map-root-user"] };
    let mut command = Command::new("unshare");
    command.args(own).arg("--net").arg(std::env::current_exe()?).args(std::env::args_os().skip(1));
    command.env(INSIDE, "1").status().map(Some)
}

impl Place {
    pub(crate) fn new() -> io::Result<Self> {
        run("ip", &["link", "set", "lo", "up"])?;
        let closed = Site::new(2)?;
        let drop_own = "table inet own { chain input { type filter hook input priority 0; iif lo drop; }\n}";
        closed.run("nft", &[drop_own])?;
        Ok(Self { open: Site::new(1)?, closed })
    }
}

impl Site {
    fn new(number: u8) -> io::Result<Self> {
        let holder = Command::new("unshare").args(["--net", "sleep", "infinity"]).stdin(Stdio::null()).spawn()?;
        let site = Self { holder, number };
        site.wait()?;
        let (ours, pid) = (format!("clients{number}"), site.holder.id().to_string());
        run("ip", &["link", "add", &ours, "type", "veth", "peer", "name", "servers", "netns", &pid])?;
        run("ip", &["address", "add", &format!("10.99.{number}.1/24"), "dev", &ours])?;
        run("ip", &["address", "add", &format!("fd00:99:{number}::1/64"), "dev", &ours, "nodad"])?;
        run("ip", &["link", "set", &ours, "up"])?;
        site.run("ip", &["link", "set", "lo", "up"])?;
        site.run("ip", &["address", "add", &format!("10.99.{number}.2/24"), "dev", "servers"])?;
        site.run("ip", &["address", "add", &format!("fd00:99:{number}::2/64"), "dev", "servers", "nodad"])?;
        site.run("ip", &["link", "set", "servers", "up"])?;
        site.run("ip", &["route", "add", "default", "via", &format!("10.99.{number}.1")])?;
        site.run("ip", &["-6", "route", "add", "default", "via", &format!("fd00:99:{number}::1")])?;
        Ok(site)
    }

    /// Until the holder is in a namespace of its own.
    fn wait(&self) -> io::Result<()> {
        let ours = std::fs::read_link("/proc/self/ns/net")?;
        let its = format!("/proc/{}/ns/net", self.holder.id());
        while std::fs::read_link(&its)? == ours {
            std::thread::yield_now();
        }
        Ok(())
    }

    /// A command that will run in this network.
    pub(crate) fn command(&self, program: &str) -> Command {
        let mut command = Command::new("nsenter");
        command.arg(format!("--net=/proc/{}/ns/net", self.holder.id())).arg(program);
        command
    }

    fn run(&self, program: &str, arguments: &[&str]) -> io::Result<()> {
        succeed(self.command(program).args(arguments))
    }

    /// The servers' addresses, as the clients here see them.
    pub(crate) fn servers(&self) -> [IpAddr; 2] {
        self.addresses(1)
    }

    /// The clients' addresses.
    pub(crate) fn clients(&self) -> [IpAddr; 2] {
        self.addresses(2)
    }

    fn addresses(&self, host: u8) -> [IpAddr; 2] {
        let number = self.number;
        [format!("10.99.{number}.{host}"), format!("fd00:99:{number}::{host}")]
            .map(|ip| ip.parse().expect("an address"))
    }
}

impl Drop for Site {
    fn drop(&mut self) {
        let _ = self.holder.kill();
        let _ = self.holder.wait();
    }
}

fn run(program: &str, arguments: &[&str]) -> io::Result<()> {
    succeed(Command::new(program).args(arguments))
}

fn succeed(command: &mut Command) -> io::Result<()> {
    let status = command.status()?;
    if status.success() { Ok(()) } else { Err(io::Error::other(format!("{command:?} ended with {status}"))) }
}
