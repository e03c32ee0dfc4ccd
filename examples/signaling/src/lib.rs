//! A signalling server: it carries offers, answers and candidates between the members of a room.
//!
//! There is one room model ([`room`]) and two doors to it, socket.io and plain WebSocket; a member that came in by
//! one talks to a member that came in by the other. The messages are described in `docs/signaling.md` and typed in
//! [`message`].
//!
//! ```no_run
//! # async fn example() -> std::io::Result<()> {
//! use frazil_signaling::{Config, Signaling, serve};
//!
//! let signaling = Signaling::start(Config::default());
//! let listener = tokio::net::TcpListener::bind("127.0.0.1:8080").await?;
//! let stop = async { tokio::signal::ctrl_c().await.unwrap_or(()) };
//! serve(listener, signaling.router(), signaling, stop).await
//! # }
//! ```

#![forbid(unsafe_code)]

mod admin;
mod hub;
mod limits;
mod listener;
pub mod message;
pub mod names;
mod rate;
mod refusal;
pub mod room;
mod socketio;
mod stop;
mod websocket;

use std::io;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::State;
use axum::extract::ws::WebSocketUpgrade;
use axum::response::Response;
use axum::routing::any;
use socketioxide::SocketIo;
use tokio::net::TcpListener;
use tokio::time::{MissedTickBehavior, interval, timeout};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

pub use limits::Limits;
pub use names::RoomName;
pub use rate::Rate;
pub use refusal::Refusal;
pub use room::RoomReport;
pub use stop::stop_requested;

/// How often connections that are in no room are looked at.
const SWEEP: Duration = Duration::from_millis(500);

/// How a [`Signaling`] is to be.
#[derive(Clone, Debug, Default)]
pub struct Config {
    /// What it puts up with.
    pub limits: Limits,
    /// The token that opens `/admin`; without it there is no such door.
    pub admin_token: Option<String>,
}

/// A running signalling server, without a socket of its own: [`router`](Self::router) goes into any axum
/// application, and [`serve`] runs one. Cloning gives another handle to the same server.
#[derive(Clone)]
pub struct Signaling {
    inner: Arc<Inner>,
}

struct Inner {
    hub: Arc<hub::Hub>,
    router: Router,
    io: SocketIo,
    websockets: TaskTracker,
    stopped: CancellationToken,
}

impl Signaling {
    /// Starts a server. Must be called within a tokio runtime.
    pub fn start(config: Config) -> Self {
        let hub = Arc::new(hub::Hub::new(config.limits));
        let websockets = TaskTracker::new();
        let stopped = CancellationToken::new();
        let (socketio, io) = socketio::door(hub.clone());
        let router = Router::new()
            .route("/ws", any(upgrade).with_state(WebSocketDoor { hub: hub.clone(), open: websockets.clone() }))
            .merge(socketio);
        let router = match config.admin_token {
            Some(token) => router.merge(admin::router(hub.clone(), token)),
            None => router,
        };
        let (swept, until) = (Arc::downgrade(&hub), stopped.clone());
        tokio::spawn(until.run_until_cancelled_owned(async move {
            let mut ticks = interval(SWEEP);
            ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
            loop {
                ticks.tick().await;
                match swept.upgrade() {
                    Some(hub) => hub.sweep(),
                    None => break,
                }
            }
        }));
        Self { inner: Arc::new(Inner { hub, router, io, websockets, stopped }) }
    }

    /// The doors: `/ws`, `/socket.io/` and, with a token, `/admin/rooms`.
    pub fn router(&self) -> Router {
        self.inner.router.clone()
    }

    /// The rooms there are, by name.
    pub fn rooms(&self) -> Vec<RoomReport> {
        self.inner.hub.rooms()
    }

    /// Closes a room: its members are told and stay connected. Says how many there were, or `None` if there is no
    /// such room.
    pub fn close_room(&self, room: &RoomName) -> Option<usize> {
        self.inner.hub.close_room(room)
    }

    /// Shuts down: takes no more clients, tells all members that their rooms are closed, writes what is queued, and
    /// closes all connections. Takes at most [`Limits::shutdown`].
    pub async fn shut_down(&self) {
        let Inner { hub, io, websockets, stopped, .. } = &*self.inner;
        stopped.cancel();
        hub.shut_down();
        websockets.close();
        let gone = async {
            websockets.wait().await;
            io.close().await;
        };
        let _ = timeout(hub.limits.shutdown, gone).await;
    }
}

/// Serves an application that contains [`Signaling::router`] until `stop` resolves, then shuts both down within
/// [`Limits::shutdown`].
///
/// # Errors
/// What the listener's accept loop ends with, if it ends.
pub async fn serve(
    listener: TcpListener,
    app: Router,
    signaling: Signaling,
    stop: impl Future<Output = ()> + Send,
) -> io::Result<()> {
    let limits = &signaling.inner.hub.limits;
    let listener = listener::GuardedListener::new(listener, limits);
    let closing = CancellationToken::new();
    let server = axum::serve(listener, app).with_graceful_shutdown(closing.clone().cancelled_owned());
    let mut server = tokio::spawn(server.into_future());
    tokio::select! {
        ended = &mut server => return ended.unwrap_or_else(|error| Err(io::Error::other(error))),
        () = stop => {}
    }
    closing.cancel();
    let all = async {
        signaling.shut_down().await;
        (&mut server).await
    };
    match timeout(limits.shutdown, all).await {
        Ok(ended) => ended.unwrap_or_else(|error| Err(io::Error::other(error))),
        Err(_) => {
            server.abort();
            Ok(())
        }
    }
}

#[derive(Clone)]
struct WebSocketDoor {
    hub: Arc<hub::Hub>,
    open: TaskTracker,
}

async fn upgrade(State(door): State<WebSocketDoor>, upgrade: WebSocketUpgrade) -> Response {
    let limit = door.hub.limits.hard_message_bytes();
    upgrade
        .max_message_size(limit)
        .max_frame_size(limit)
        .on_upgrade(async move |socket| door.open.track_future(websocket::serve(socket, door.hub)).await)
}
