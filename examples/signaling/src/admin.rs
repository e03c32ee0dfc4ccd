//! The operator's door: list the rooms, close one. Every request carries the token given at start.

use std::sync::Arc;

use axum::Json;
use axum::Router;
use axum::extract::{Path, Request, State};
use axum::http::{StatusCode, header};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use axum::routing::{delete, get};
use serde_json::json;

use crate::hub::Hub;
use crate::names::RoomName;

pub(crate) fn router(hub: Arc<Hub>, token: String) -> Router {
    let token: Arc<str> = token.into();
    Router::new()
        .route("/admin/rooms", get(list))
        .route("/admin/rooms/{room}", delete(close))
        .with_state(hub)
        .layer(middleware::from_fn_with_state(token, authorise))
}

async fn list(State(hub): State<Arc<Hub>>) -> Response {
    Json(json!({ "rooms": hub.rooms() })).into_response()
}

async fn close(State(hub): State<Arc<Hub>>, Path(room): Path<String>) -> Response {
    let closed = match room.parse::<RoomName>() {
        Ok(room) => hub.close_room(&room),
        Err(error) => return (StatusCode::BAD_REQUEST, Json(json!({ "error": error.to_string() }))).into_response(),
    };
    match closed {
        Some(members) => Json(json!({ "room": room, "members": members })).into_response(),
        None => (StatusCode::NOT_FOUND, Json(json!({ "error": format!("no room {room}") }))).into_response(),
    }
}

async fn authorise(State(token): State<Arc<str>>, request: Request, next: Next) -> Response {
    let given =
        request.headers().get(header::AUTHORIZATION).and_then(|value| value.as_bytes().strip_prefix(b"Bearer "));
    match given.is_some_and(|given| same(given, token.as_bytes())) {
        true => next.run(request).await,
        false => {
            let challenge = [(header::WWW_AUTHENTICATE, "Bearer")];
            (StatusCode::UNAUTHORIZED, challenge, Json(json!({ "error": "the admin token is needed" }))).into_response()
        }
    }
}

/// Compares in a time that tells nothing but the length.
fn same(a: &[u8], b: &[u8]) -> bool {
    a.len() == b.len() && a.iter().zip(b).fold(0, |difference, (a, b)| difference | (a ^ b)) == 0
}
