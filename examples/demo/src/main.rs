//! The demo: a page, the native peer it connects to, and the servers that both need, in one program.

mod page;
mod turn;

use std::io::{self, IsTerminal};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::process::{Command, Stdio};

use clap::Parser;
use frazil_signaling::{Config, Limits, Signaling, serve};
use serde_json::json;
use tokio::net::TcpListener;
use tracing_subscriber::EnvFilter;

use crate::turn::Turn;

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
    /// The native peer makes the offer, unless the page is told otherwise
    #[arg(long)]
    offer: bool,
}

#[tokio::main]
async fn main() -> io::Result<()> {
    let arguments = Arguments::parse();
    tracing_subscriber::fmt()
        .with_env_filter(EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("error,stun_proto=off")))
        .with_writer(io::stderr)
        .init();
    host(&arguments).await
}

async fn host(arguments: &Arguments) -> io::Result<()> {
    let listener = TcpListener::bind((arguments.bind, arguments.port)).await.map_err(|error| {
        let hint = match error.kind() {
            io::ErrorKind::AddrInUse => "; another program has it, try --port 0",
            _ => "",
        };
        io::Error::new(error.kind(), format!("cannot listen on {}:{}: {error}{hint}", arguments.bind, arguments.port))
    })?;
    let reachable = reachable_address(arguments.bind)?;
    let turn = Turn::start(reachable, arguments.turn_port).await?;
    let signaling = Signaling::start(Config { limits: Limits { rooms: 64, ..Limits::default() }, admin_token: None });
    let config = json!({
        "room": ROOM,
        "offer": if arguments.offer { "peer" } else { "page" },
        "iceServers": turn.ice_servers(),
    });
    let app = page::router(config).merge(signaling.router());
    let url = url_of(reachable, listener.local_addr()?.port());
    if arguments.no_browser {
        println!("{url}");
    } else {
        print_guide(&url);
        open_browser(&url);
    }
    serve(listener, app, signaling, stop()).await
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

Ctrl-C stops everything."
    );
}

/// The address by which others reach what listens on `bind`: itself, or for a wildcard the first address of this
/// machine that is not its own alone.
fn reachable_address(bind: IpAddr) -> io::Result<IpAddr> {
    if !bind.is_unspecified() {
        return Ok(bind);
    }
    let usable = |ip: &IpAddr| match ip {
        IpAddr::V4(v4) => !v4.is_loopback() && !v4.is_link_local(),
        IpAddr::V6(_) => false,
    };
    let found = if_addrs::get_if_addrs()?.into_iter().map(|interface| interface.ip()).find(usable);
    Ok(found.unwrap_or(IpAddr::V4(Ipv4Addr::LOCALHOST)))
}

/// Asks the desktop to show the page. Without a desktop, or if it cannot, the printed URL is all.
fn open_browser(url: &str) {
    let desktop = cfg!(any(windows, target_os = "macos"))
        || ["DISPLAY", "WAYLAND_DISPLAY"].iter().any(|name| std::env::var_os(name).is_some());
    if !desktop || !io::stdout().is_terminal() {
        return;
    }
    let mut command = if cfg!(windows) {
        let mut command = Command::new("cmd");
        command.args(["/C", "start", ""]);
        command
    } else {
        Command::new(if cfg!(target_os = "macos") { "open" } else { "xdg-open" })
    };
    let _ = command.arg(url).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn();
}

/// Resolves when the program is asked to stop.
async fn stop() {
    #[cfg(unix)]
    {
        use tokio::signal::unix::{SignalKind, signal};
        if let Ok(mut terminate) = signal(SignalKind::terminate()) {
            tokio::select! {
                _ = tokio::signal::ctrl_c() => {}
                _ = terminate.recv() => {}
            }
            return;
        }
    }
    let _ = tokio::signal::ctrl_c().await;
}
