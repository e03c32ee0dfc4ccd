//! What was recorded: each a connection in the virtual internet, of which one side is written down.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use frazil::Instant;
use frazil_border::Event;
use frazil_internet::{Access, HostId, InterfaceId, Internet, RealmId, RouterConfig, Step, TurnServer};

use crate::recorder::Recorder;

/// Every scenario: its name, which is also its file's, and how it is recorded.
pub const ALL: [(&str, Record); 4] = [("direct", direct), ("restart", restart), ("relayed", relayed), ("lost", lost)];

/// Has a scenario happen, and gives its schedule.
pub type Record = fn() -> String;

/// A certificate for schedules alone. Without one the fingerprint in the descriptions would be another each time.
const IDENTITY: &str = include_str!("identity.txt");

/// Between each machine and the internet.
const DELAY: Duration = Duration::from_millis(15);

const NAMES: [(&str, &str); 2] = [("turn.example.org", "203.0.113.3"), ("stun.example.org", "203.0.113.3")];

/// Two machines with addresses of both families that find each other and agree on a path.
fn direct() -> String {
    let mut stage = Stage::new();
    let [a, b] =
        [stage.machine(1, &["192.0.2.1", "2001:db8::1"], &[]), stage.machine(2, &["192.0.2.2", "2001:db8::2"], &[])];
    stage.negotiate(a, b);
    stage.run(15);
    stage.leave(a)
}

/// The machine moves to another network, and ICE is restarted there.
fn restart() -> String {
    let mut stage = Stage::new();
    let [a, b] = [stage.machine(3, &["192.0.2.1"], &[]), stage.machine(4, &["192.0.2.2"], &[])];
    stage.negotiate(a, b);
    stage.run(6);
    stage.move_to(a, &["192.0.2.77", "2001:db8::77"]);
    stage.run(2);
    stage.internet.with(a.host, |recorder, _| recorder.act("restart"));
    stage.describe(a, b);
    stage.run(10);
    stage.leave(a)
}

/// Both sides are behind NATs that give every remote address another port, so that a relay is needed.
fn relayed() -> String {
    let mut stage = Stage::new();
    stage.internet.add_server(
        stage.internet.public(),
        &["203.0.113.3".parse().expect("it is an address")],
        Access::delay(DELAY),
        TurnServer { pads_channel_data: true, ..TurnServer::with_user("alice", "secret") },
    );
    let servers = [
        "server stun:stun.example.org - -",
        "server turn:turn.example.org alice secret",
        "server turn:turn.example.org?transport=tcp alice secret",
    ];
    let [a, b] = [stage.machine_behind_nat(5, 1, &servers), stage.machine_behind_nat(6, 2, &servers)];
    stage.negotiate(a, b);
    stage.run(40);
    stage.leave(a)
}

/// The other machine goes silent for good.
fn lost() -> String {
    let mut stage = Stage::new();
    let [a, b] =
        [stage.machine(7, &["192.0.2.1"], &["config mdns_candidates=true"]), stage.machine(8, &["192.0.2.2"], &[])];
    stage.negotiate(a, b);
    stage.run(8);
    stage.internet.detach(b.interface);
    stage.run(60);
    stage.leave(a)
}

struct Stage {
    internet: Internet<Recorder>,
    machines: Vec<Machine>,
}

#[derive(Clone, Copy)]
struct Machine {
    host: HostId,
    interface: InterfaceId,
    realm: RealmId,
}

impl Stage {
    fn new() -> Self {
        Self { internet: Internet::new(1), machines: Vec::new() }
    }

    fn machine(&mut self, seed: u8, addresses: &[&str], lines: &[&str]) -> Machine {
        self.machine_in(self.internet.public(), seed, addresses, lines)
    }

    fn machine_behind_nat(&mut self, seed: u8, number: u8, lines: &[&str]) -> Machine {
        let outside = IpAddr::from([198, 51, 100, number]);
        let access = Access::delay(DELAY);
        let (_, realm) =
            self.internet.add_router(self.internet.public(), &[outside], access, RouterConfig::symmetric());
        self.machine_in(realm, seed, &[&format!("10.0.{number}.2")], lines)
    }

    fn machine_in(&mut self, realm: RealmId, seed: u8, addresses: &[&str], lines: &[&str]) -> Machine {
        let host = self.internet.add_host(Instant::from_millis(1_000 * u64::from(seed)), |now| {
            let mut all = vec![format!("seed {}", format!("{seed:02x}").repeat(32)), IDENTITY.trim().to_owned()];
            all.extend(lines.iter().map(|&line| line.to_owned()));
            all.push(format!("new {}", now.as_nanos()));
            Recorder::new(&all)
        });
        let interface = self.internet.attach(host, realm, &read(addresses), Access::delay(DELAY));
        let machine = Machine { host, interface, realm };
        self.name_sockets(machine, addresses);
        self.internet.with(host, |recorder, now| recorder.act(&format!("end {}", now.as_nanos())));
        self.machines.push(machine);
        machine
    }

    fn name_sockets(&mut self, machine: Machine, addresses: &[&str]) {
        for ip in read(addresses) {
            self.internet.bind(machine.host, SocketAddr::new(ip, 4000));
        }
        let sockets: Vec<String> =
            addresses.iter().map(|ip| format!("udp,{ip},4000,ethernet,2,0,false,false")).collect();
        self.internet.with(machine.host, |recorder, now| {
            recorder.act(&format!("sockets {} {}", now.as_nanos(), sockets.join(" ")));
        });
    }

    fn move_to(&mut self, machine: Machine, addresses: &[&str]) {
        self.internet.detach(machine.interface);
        let interface = self.internet.attach(machine.host, machine.realm, &read(addresses), Access::delay(DELAY));
        let machine = Machine { interface, ..machine };
        self.name_sockets(machine, addresses);
    }

    fn negotiate(&mut self, a: Machine, b: Machine) {
        self.internet.with(a.host, |recorder, now| recorder.act(&format!("channel {} chat", now.as_nanos())));
        self.describe(a, b);
    }

    /// An offer of `a`'s and the answer.
    fn describe(&mut self, a: Machine, b: Machine) {
        let described = |recorder: &mut Recorder, verb: &str, now| {
            let description = recorder.act(verb).description.expect("it was asked for");
            recorder.describe("local", &description, now);
            description
        };
        let offer = self.internet.with(a.host, |recorder, now| described(recorder, "offer", now));
        let answer = self.internet.with(b.host, |recorder, now| {
            recorder.describe("remote", &offer, now);
            described(recorder, "answer", now)
        });
        self.internet.with(a.host, |recorder, now| recorder.describe("remote", &answer, now));
    }

    /// Lets so many seconds pass, and carries what the two sides say to one another.
    fn run(&mut self, seconds: u64) {
        let until = self.internet.now() + Duration::from_secs(seconds);
        while let Some(step) = self.internet.next(until) {
            let Step::Event(host, event) = step else { continue };
            match event {
                Event::LocalIceCandidate { candidate, sdp_mid, username_fragment, .. } => {
                    let others = self.machines.iter().map(|machine| machine.host).filter(|other| *other != host);
                    for other in others.collect::<Vec<_>>() {
                        self.internet.with(other, |recorder, now| {
                            recorder.add_candidate(sdp_mid.as_deref(), username_fragment.as_deref(), &candidate, now);
                        });
                    }
                }
                Event::Resolve { request, name } => {
                    let known = NAMES.iter().find(|(known, _)| *known == name);
                    // A name below `.local` is the first machine's, where it is recorded.
                    let address = known.map_or("192.0.2.1", |(_, address)| address);
                    self.internet.with(host, |recorder, now| {
                        recorder.act(&format!("resolved {} {request} {address}", now.as_nanos()));
                    });
                }
                _ => {}
            }
        }
    }

    /// The first side says goodbye; gives its schedule.
    fn leave(mut self, machine: Machine) -> String {
        self.internet.with(machine.host, |recorder, now| recorder.act(&format!("leave {}", now.as_nanos())));
        self.run(5);
        self.internet.endpoint(machine.host).schedule().to_owned()
    }
}

fn read(addresses: &[&str]) -> Vec<IpAddr> {
    addresses.iter().map(|ip| ip.parse().expect("it is an address")).collect()
}
