//! `cargo xtask`: the project's own commands.

mod arguments;
mod border_cost;
mod cargo_tool;
mod counts;
mod demo;
mod download;
mod failure;
mod fuzz;
mod job;
mod kernel_matrix;
mod kotlin;
mod language_matrix;
mod nat_matrix;
mod node;
mod probe;
mod process;
mod program;
mod python;
mod report;
mod repository;
mod runner;
mod setup;
mod step;
mod suite;
mod swift;
mod swift_package;
mod transcript;
mod turn_peers;
mod version;

use std::process::ExitCode;

use repository::Repository;

const HELP: &str = "\
cargo xtask <command>

  demo [ARGUMENTS]               builds and runs the demo; the arguments are the demo's own (try --help)
  test [STEP…] [--seconds N]     sets up and runs everything, or the steps whose names contain one of the words;
       [--list]                  N is the time for each fuzz target (60); --list only names the steps
  setup                          only installs what `test` needs
  advisories                     fails if a dependency has a known hole; `test` only tells
  nat-matrix [--peers]           every pair of network kinds with every set of servers, in virtual time; fails if a cell
       [--json F] [--svg F]      is not as it must be; writes to target/nat-matrix.* unless told otherwise; --peers puts
                                 other implementations beside and counts instructions
  nat-matrix ten-by-ten          agents with ten candidates each, of which only the relayed ones connect
       [--peers]
  border-cost [WORD…]            what a datagram costs over the border to each language, and how large the packages are; only
                                 those whose names contain a word
  probe [URI…] [--json]          builds and runs the probe: interfaces, candidates and NATs from here, with the STUN and
       [--user U --password P]   TURN servers that are named; the arguments are the probe's own (try --help)
  kernel-matrix [--json F]       two native peers behind the kernel's own NATs with coturn, beside what nat-matrix predicts;
       [--only WORD]             fails if the two differ; writes to target/kernel-matrix.json unless told otherwise; only
       [--chromium]              the cells with that word in their name; a few of them with Chromium on one side
  language-matrix [--only WORD]  the echo program in every language against that in every other; fails if a cell does; only
       [--bytes N] [--json F]    the languages with one of these words in their names; that many bytes (1048576); writes
                                 to target/language-matrix.json unless told otherwise
  swift-calls                    writes the Swift code anew that calls the native library, which is committed
  turn-peers [--only WORD]       what other TURN clients and ICE agents do in the hard cases, against a server that is told
       [--with WORD] [--page F]  what to do; a quarter of an hour; only cases or implementations whose names contain WORD;
                                 writes docs/turn-peers.md, or a part of it to the output; --page puts a part in its place
  fuzz TARGET [--seconds N]      runs one fuzz target, for ever unless told how long; what follows `--` goes to
       [--sanitize] [-- …]       libFuzzer; --sanitize builds it with AddressSanitizer
";

fn main() -> ExitCode {
    let repository = Repository::here();
    let mut arguments = std::env::args().skip(1);
    let result = match arguments.next().as_deref() {
        Some("demo") => demo::run(&repository, arguments.collect()),
        Some("test") => suite::run(&repository, arguments.collect()),
        Some("advisories") => suite::check_advisories(&repository, arguments.collect()),
        Some("setup") => suite::set_up(&repository, arguments.collect()),
        Some("nat-matrix") => nat_matrix::run(&repository, arguments.collect()),
        Some("border-cost") => border_cost::run(&repository, arguments.collect()),
        Some("probe") => probe::run(&repository, arguments.collect()),
        Some("kernel-matrix") => kernel_matrix::run(&repository, arguments.collect()),
        Some("language-matrix") => language_matrix::run(&repository, arguments.collect()),
        Some("swift-calls") => swift_package::run(&repository, arguments.collect()),
        Some("turn-peers") => turn_peers::run(&repository, arguments.collect()),
        Some("fuzz") => fuzz::run(&repository, arguments.collect()),
        Some("help" | "--help" | "-h") => {
            print!("{HELP}");
            return ExitCode::SUCCESS;
        }
        Some(other) => Err(format!("no command `{other}`\n\n{HELP}")),
        None => Err(format!("a command is missing\n\n{HELP}")),
    };
    match result {
        Ok(code) => code,
        Err(message) => {
            eprintln!("xtask: {message}");
            ExitCode::from(2)
        }
    }
}
