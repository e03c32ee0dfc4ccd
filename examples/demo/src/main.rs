//! The demo: a page, the native peer it connects to, and the servers that both need, in one program.

mod file;
mod native;
mod page;
mod protocol;
mod servers;
mod session;
mod signal;

use std::io::{self, IsTerminal};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::process::{self, Stdio};
use std::sync::Arc;
use std::time::Duration;

use clap::Parser;
use frazil_signaling::{Config, Limits, Signaling, serve, stop_requested};
use frazil_turn_server as turn;
use serde_json::json;
use tokio::net::TcpListener;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;
use tracing::info;
use tracing_subscriber::EnvFilter;

use crate::native::{Narrate, Native};
use crate::session::Command;
use crate::signal::Place;

/// How long it may take to be ready.
const STARTUP: Duration = Duration::from_secs(10);
/// The room in which the native peer waits.
const ROOM: &str = "demo";

/// Connects a page to a native peer over WebRTC and shows how.
///
/// Starts a signalling server, a STUN and TURN server and a native peer that waits in a room, and serves the page.
/// All of it is for this machine alone unless --bind says otherwise.
#[derive(Parser)]
#[command(name = "demo", version)]
struct Arguments {
    /// Port of the page and the signalling server; 0 lets the system choose
    #[arg(long, default_value_t = 8080)]
    port: u16,
    /// Address to listen on; 0.0.0.0 opens the demo to everyone who can reach this machine, such as a phone
    #[arg(long, default_value_t = IpAddr::V4(Ipv4Addr::LOCALHOST))]
    bind: IpAddr,
    /// Port of the STUN and TURN server; 0 lets the system choose
    #[arg(long, default_value_t = 0)]
    turn_port: u16,
    /// Prints the URL and nothing else, and opens no browser
    #[arg(long)]
    no_browser: bool,
    /// The native peer makes the offer; the switch on the page begins with that
    #[arg(long)]
    offer: bool,
    /// Starts no server, only a native peer that joins a room of a demo which runs elsewhere
    #[arg(long, num_args = 2, value_names = ["URL", "ROOM"], conflicts_with_all = ["port", "bind", "turn_port"])]
    join: Option<Vec<String>>,
}

#[tokio::main]
async fn main() -> io::Result<()> {
    let arguments = Arguments::parse();
    tracing_subscriber::fmt()
        .with_env_filter(EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("error,stun_proto=off")))
        .with_writer(io::stderr)
        .init();
    match arguments.join.as_deref() {
        Some([url, room]) => join(url, room, arguments.offer).await,
        _ => host(&arguments).await,
    }
}

/// Runs a native peer alone, with the terminal as its chat.
async fn join(url: &str, room: &str, offers: bool) -> io::Result<()> {
    let place =
        Place { url: websocket_url(url)?, room: room.to_owned(), name: "a second native peer".to_owned(), offers };
    let servers = servers::of_page(host_of(url)?).await.unwrap_or_else(|error| {
        println!("without STUN and TURN servers, as the demo does not name them: {error}");
        Vec::new()
    });
    let native = Native::start(place, servers, Arc::new(|what| println!("{what}")));
    println!("joining the room {room} at {url}");
    println!("A line is said to the other side; /send MIB and /ask MIB move files; Ctrl-C stops.");
    let mut lines = typed_lines();
    let mut stopped = std::pin::pin!(stop_requested());
    loop {
        tokio::select! {
            // Without a terminal it goes on until it is stopped.
            Some(line) = lines.recv() => match command_of(line.trim()) {
                Ok(Some(command)) => native.command(command),
                Ok(None) => {}
                Err(hint) => println!("{hint}"),
            },
            () = &mut stopped => break,
        }
    }
    native.stop().await;
    Ok(())
}

/// What is typed. A thread of its own reads it, since the runtime would wait for the end of a read when it stops.
fn typed_lines() -> mpsc::Receiver<String> {
    let (lines, typed) = mpsc::channel(1);
    std::thread::spawn(move || {
        for line in io::stdin().lines().map_while(Result::ok) {
            if lines.blocking_send(line).is_err() {
                return;
            }
        }
    });
    typed
}

/// What a line typed at the terminal means.
fn command_of(line: &str) -> Result<Option<Command>, String> {
    let size = |text: &str| match text.trim().parse::<u64>() {
        Ok(mebibytes) if mebibytes <= protocol::MAX_FILE >> 20 => Ok(mebibytes << 20),
        _ => Err(format!("the size is a whole number of MiB, at most {}", protocol::MAX_FILE >> 20)),
    };
    if line.is_empty() {
        Ok(None)
    } else if let Some(text) = line.strip_prefix("/send") {
        Ok(Some(Command::SendFile(size(text)?)))
    } else if let Some(text) = line.strip_prefix("/ask") {
        Ok(Some(Command::AskForFile(size(text)?)))
    } else {
        Ok(Some(Command::Say(line.to_owned())))
    }
}

/// The signalling server's WebSocket door beside a page.
fn websocket_url(page: &str) -> io::Result<String> {
    Ok(format!("ws://{}/ws", host_of(page)?))
}

/// Where a page is: an address or a name, perhaps with a port.
fn host_of(page: &str) -> io::Result<&str> {
    let refuse = |why: &str| Err(io::Error::new(io::ErrorKind::InvalidInput, format!("{page}: {why}")));
    match page.split_once("://") {
        Some(("http" | "ws", rest)) if !rest.is_empty() => Ok(rest.split(['/', '?', '#']).next().unwrap_or(rest)),
        Some(("https" | "wss", _)) => refuse("the native peer of this demo speaks to its own server only, without TLS"),
        _ => refuse("a URL such as http://127.0.0.1:8080/ is wanted"),
    }
}

async fn host(arguments: &Arguments) -> io::Result<()> {
    let listener = TcpListener::bind((arguments.bind, arguments.port)).await.map_err(|error| {
        let hint = match error.kind() {
            io::ErrorKind::AddrInUse => "; another program has it, try --port 0",
            _ => "",
        };
        io::Error::new(error.kind(), format!("cannot listen on {}:{}: {error}{hint}", arguments.bind, arguments.port))
    })?;
    let outward = outward_address()?.unwrap_or(IpAddr::V4(Ipv4Addr::LOCALHOST));
    let reachable = if arguments.bind.is_unspecified() { outward } else { arguments.bind };
    // Peers take no path between a loopback address and another. So relayed addresses are not on loopback, even if
    // the relay is to be reached from there only.
    let relay = if reachable.is_loopback() { outward } else { reachable };
    let turn = turn::Config { ip: reachable, port: arguments.turn_port, relay, ..turn::Config::default() };
    let turn = turn::Server::start(turn).await?;
    let servers = servers::of(&turn);
    let signaling = Signaling::start(Config { limits: Limits { rooms: 64, ..Limits::default() }, admin_token: None });
    let config = json!({
        "room": ROOM,
        "offer": if arguments.offer { "peer" } else { "page" },
        "iceServers": &servers,
    });
    let app = page::router(config).merge(signaling.router());
    let port = listener.local_addr()?.port();
    let url = url_of(reachable, port);
    let quiet = arguments.no_browser;
    let narrate: Narrate = Arc::new(move |what| match quiet {
        true => info!("{what}"),
        false => println!("{what}"),
    });

    let stopping = CancellationToken::new();
    let served = tokio::spawn({
        let stopping = stopping.clone();
        async move { serve(listener, app, signaling, stopping.cancelled()).await }
    });
    let near = if arguments.bind.is_unspecified() { IpAddr::V4(Ipv4Addr::LOCALHOST) } else { arguments.bind };
    let place = Place {
        url: websocket_url(&url_of(near, port))?,
        room: ROOM.to_owned(),
        name: "the native peer".to_owned(),
        offers: arguments.offer,
    };
    let native = Native::start(place, servers, narrate);
    // Whoever opens the page finds the native peer waiting.
    if !native.joined(STARTUP).await {
        return Err(io::Error::new(io::ErrorKind::TimedOut, "the native peer cannot join its room"));
    }
    if quiet {
        println!("{url}");
    } else {
        print_guide(&url);
        open_browser(&url);
    }
    stop_requested().await;
    native.stop().await;
    drop(turn);
    stopping.cancel();
    served.await.map_err(io::Error::other)?
}

fn url_of(ip: IpAddr, port: u16) -> String {
    format!("http://{}/", SocketAddr::new(ip, port))
}

fn print_guide(url: &str) {
    println!(
        "\
frazil demo

  Open                {url}
                      A native peer waits in the room \"{ROOM}\"; the page connects to it and shows how.

  The other way round {url}?offer=peer
                      The native peer makes the offer.

  Two pages           {url}?room=two
                      Open it twice: one page connects to the other.

  Two native peers    cargo xtask demo --join {url} {ROOM}
                      From another terminal: a second native peer instead of the page.

  A phone             Start with --bind 0.0.0.0 to let others reach the demo; whoever opens the page may use
                      the relay, so do it in a network that you trust.

Ctrl-C stops everything."
    );
}

/// The first address of this machine that others can reach, if it has one.
fn outward_address() -> io::Result<Option<IpAddr>> {
    let usable = |ip: &IpAddr| match ip {
        IpAddr::V4(v4) => !v4.is_loopback() && !v4.is_link_local(),
        IpAddr::V6(_) => false,
    };
    Ok(if_addrs::get_if_addrs()?.into_iter().map(|interface| interface.ip()).find(usable))
}

/// Asks the desktop to show the page. Without a desktop, or if it cannot, the printed URL is all.
fn open_browser(url: &str) {
    let desktop = cfg!(any(windows, target_os = "macos"))
        || ["DISPLAY", "WAYLAND_DISPLAY"].iter().any(|name| std::env::var_os(name).is_some());
    if !desktop || !io::stdout().is_terminal() {
        return;
    }
    let mut command = if cfg!(windows) {
        let mut command = process::Command::new("cmd");
        command.args(["/C", "start", ""]);
        command
    } else {
        process::Command::new(if cfg!(target_os = "macos") { "open" } else { "xdg-open" })
    };
    let _ = command.arg(url).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn();
}
