//! The signalling server as a program.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use clap::Parser;
use frazil_signaling::{Config, Limits, Rate, Signaling, serve, stop_requested};
use tokio::net::TcpListener;
use tracing_subscriber::EnvFilter;

/// Carries offers, answers and candidates between the members of a room.
///
/// Clients connect by WebSocket at /ws or by socket.io at /socket.io/.
#[derive(Parser)]
#[command(version)]
struct Arguments {
    /// Address and port to listen on; port 0 lets the system choose
    #[arg(long, default_value = "127.0.0.1:8080")]
    listen: SocketAddr,
    /// Opens /admin/rooms to whoever presents this token
    #[arg(long, env = "FRAZIL_ADMIN_TOKEN", hide_env_values = true)]
    admin_token: Option<String>,
    /// Largest message, in bytes
    #[arg(long, default_value_t = Limits::default().message_bytes)]
    max_message: usize,
    /// Most rooms at once
    #[arg(long, default_value_t = Limits::default().rooms)]
    max_rooms: usize,
    /// Most members in a room
    #[arg(long, default_value_t = Limits::default().room_members)]
    max_members: usize,
    /// Most clients at once
    #[arg(long, default_value_t = Limits::default().connections)]
    max_connections: usize,
    /// Most messages a client may send per second, in the long run; three times as many at once
    #[arg(long, default_value_t = Limits::default().messages.per_second)]
    max_rate: f64,
    /// Seconds between questions whether a client is still there
    #[arg(long, default_value_t = Limits::default().heartbeat.as_secs(), value_parser = clap::value_parser!(u64).range(1..))]
    heartbeat: u64,
    /// Seconds a client may be connected without being in a room
    #[arg(long, default_value_t = Limits::default().idle.as_secs())]
    idle: u64,
}

#[tokio::main]
async fn main() -> io::Result<()> {
    let arguments = Arguments::parse();
    tracing_subscriber::fmt()
        .with_env_filter(EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("warn")))
        .with_writer(io::stderr)
        .init();
    let heartbeat = Duration::from_secs(arguments.heartbeat);
    let limits = Limits {
        message_bytes: arguments.max_message,
        rooms: arguments.max_rooms,
        room_members: arguments.max_members,
        connections: arguments.max_connections,
        messages: Rate { per_second: arguments.max_rate, burst: 3.0 * arguments.max_rate },
        heartbeat,
        silence: heartbeat.saturating_mul(5) / 2,
        idle: Duration::from_secs(arguments.idle),
        ..Limits::default()
    };
    let signaling = Signaling::start(Config { limits, admin_token: arguments.admin_token });
    let listener = TcpListener::bind(arguments.listen).await?;
    println!("listening on http://{}", listener.local_addr()?);
    serve(listener, signaling.router(), signaling, stop_requested()).await
}
