//! The page's files, and what the page must know about the servers.

use axum::Json;
use axum::Router;
use axum::extract::Path;
use axum::http::{HeaderName, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use serde_json::Value;

/// Everything that comes from elsewhere is refused; the page has no need of it.
const HEADERS: [(HeaderName, &str); 4] = [
    (header::CACHE_CONTROL, "no-cache"),
    (
        header::CONTENT_SECURITY_POLICY,
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self' ws: wss:; \
         base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    ),
    (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    (header::REFERRER_POLICY, "no-referrer"),
];

macro_rules! files {
    ($($name:literal: $kind:literal),* $(,)?) => {
        /// The name, content type and content of each file.
        const FILES: &[(&str, &str, &str)] = &[$(($name, $kind, include_str!(concat!("../page/", $name)))),*];
    };
}

files! {
    "index.html": "text/html; charset=utf-8",
    "style.css": "text/css; charset=utf-8",
    "icon.svg": "image/svg+xml",
    "app.js": "text/javascript; charset=utf-8",
    "conversation.js": "text/javascript; charset=utf-8",
    "paths.js": "text/javascript; charset=utf-8",
    "session.js": "text/javascript; charset=utf-8",
    "sha256.js": "text/javascript; charset=utf-8",
    "signaling.js": "text/javascript; charset=utf-8",
    "transfer.js": "text/javascript; charset=utf-8",
    "view.js": "text/javascript; charset=utf-8",
}

/// Serves the page; `config` is what it asks for as `config.json`.
pub(crate) fn router(config: Value) -> Router {
    Router::new()
        .route("/", get(async || file("index.html")))
        .route("/config.json", get(async move || (HEADERS, Json(config))))
        .route("/{name}", get(async |Path(name): Path<String>| file(&name)))
}

fn file(name: &str) -> Response {
    match FILES.iter().find(|(known, ..)| *known == name) {
        Some((_, kind, content)) => (HEADERS, [(header::CONTENT_TYPE, *kind)], *content).into_response(),
        None => (StatusCode::NOT_FOUND, HEADERS, "There is no such page.\n").into_response(),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn every_file_of_the_page_is_served() {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/page");
        let there: BTreeSet<String> =
            std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        let served: BTreeSet<String> = FILES.iter().map(|(name, ..)| (*name).to_owned()).collect();
        assert_eq!(there, served);
    }

    #[test]
    fn the_page_names_nothing_from_elsewhere() {
        for (name, _, content) in FILES {
            let foreign = content.split_whitespace().find(|word| {
                let word = word.replace("http://www.w3.org/2000/svg", "");
                word.contains("http://") || word.contains("https://") || word.contains("//cdn")
            });
            assert_eq!(foreign, None, "{name}");
        }
    }
}
