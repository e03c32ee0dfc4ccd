//! What a relayed datagram costs a TURN client, frazil's beside `turn-client-proto`.
//!
//! ```text
//! turn-cost                          instructions and blocks of heap per datagram, for every way that there is
//! turn-cost run CLIENT CASE COUNT    carries COUNT datagrams and says nothing; what callgrind is pointed at
//! ```
//!
//! No sockets: a scripted server makes the allocation, and from then on datagrams of a thousand bytes are handed to the
//! client, or frames that have them. Only what the client does is counted.

mod client;
mod frazil_client;
mod proto_client;
mod server;

use std::fmt;
use std::hint::black_box;
use std::process::ExitCode;

use frazil::Instant;
use frazil_conformance::allocations::{self, CountingAllocator};
use frazil_conformance::instructions::{self, Repetitions, Scope, in_the_agent};

use client::{Client, Polls};
use frazil_client::Frazil;
use proto_client::Proto;
use server::{Form, Transport};

#[global_allocator]
static ALLOCATOR: CountingAllocator = CountingAllocator;

const PAYLOAD: [u8; 1000] = [0xA5; 1000];

#[derive(Clone, Copy, Debug)]
enum Direction {
    Send,
    Receive,
}

/// One way in which datagrams go.
#[derive(Clone, Copy)]
struct Case {
    transport: Transport,
    form: Form,
    direction: Direction,
    polls: Polls,
}

impl Case {
    fn all() -> Vec<Self> {
        let mut all = Vec::new();
        for polls in [Polls::Left, Polls::Made] {
            for transport in [Transport::Udp, Transport::Tcp] {
                for form in [Form::Channel, Form::Indication] {
                    for direction in [Direction::Send, Direction::Receive] {
                        all.push(Self { transport, form, direction, polls });
                    }
                }
            }
        }
        all
    }
}

impl fmt::Display for Case {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { transport, form, direction, polls } = self;
        let polls = if *polls == Polls::Made { "+polls" } else { "" };
        write!(f, "{transport:?}/{form:?}/{direction:?}{polls}")
    }
}

type Carry = fn(Case, u64) -> u64;

const CLIENTS: [(&str, Carry); 2] = [("frazil", carry::<Frazil>), ("turn-client-proto", carry::<Proto>)];

/// Carries datagrams, and gives how many blocks of heap the client has taken for them.
fn carry<C: Client>(case: Case, count: u64) -> u64 {
    let mut now = Instant::from_millis(1000);
    let mut client = C::open(case.transport, case.form, &mut now);
    let number = client.channel();
    let frame = server::frame_from_peer(case.form, number, &PAYLOAD, case.transport);
    let mut buf = [0; 2000];
    let before = allocations::so_far();
    for _ in 0..count {
        now += std::time::Duration::from_micros(10);
        match case.direction {
            Direction::Send => {
                let len = in_the_agent(|| client.send(&PAYLOAD, &mut buf, case.polls, now));
                assert_eq!(len, frame.len(), "{case}");
            }
            Direction::Receive => {
                let len = in_the_agent(|| client.receive(&frame, case.polls, now));
                assert_eq!(len, PAYLOAD.len(), "{case}");
            }
        }
        black_box(&buf);
    }
    allocations::so_far().since(before).blocks
}

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let done = match arguments.as_slice() {
        [] => table(),
        ["run", client, case, count] => run(client, case, count),
        _ => Err("usage: turn-cost | turn-cost run CLIENT CASE COUNT".to_owned()),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(why) => {
            eprintln!("{why}");
            ExitCode::FAILURE
        }
    }
}

fn run(client: &str, case: &str, count: &str) -> Result<(), String> {
    let (_, carry) = CLIENTS.into_iter().find(|(name, _)| *name == client).ok_or("no such client")?;
    let case = Case::all().into_iter().find(|known| known.to_string() == case).ok_or("no such case")?;
    black_box(carry(case, count.parse().map_err(|_| "no such count")?));
    Ok(())
}

fn table() -> Result<(), String> {
    if cfg!(debug_assertions) {
        return Err("a build without optimisation says nothing about cost: build with --release".to_owned());
    }
    let program = std::env::current_exe().map_err(|error| format!("this program cannot find itself: {error}"))?;
    println!(
        "{:<32} {:>10} {:>18} {:>6}   blocks of heap",
        "instructions per datagram", "frazil", "turn-client-proto", "ratio"
    );
    for case in Case::all() {
        let name = case.to_string();
        let measure = |(client, carry): (&str, Carry)| {
            let repetitions = Repetitions { warm_up: 100, measured: 1000 };
            let arguments = ["run", client, &name];
            let count = instructions::per_repetition(&program, &arguments, repetitions, Scope::Agents);
            count.map(|count| (count, carry(case, 1000) / 1000)).map_err(|error| error.to_string())
        };
        let [(ours, our_blocks), (theirs, their_blocks)] = [measure(CLIENTS[0])?, measure(CLIENTS[1])?];
        let ratio = theirs as f64 / ours as f64;
        println!("{name:<32} {ours:>10} {theirs:>18} {ratio:>6.1}   {our_blocks} {their_blocks}");
    }
    Ok(())
}
