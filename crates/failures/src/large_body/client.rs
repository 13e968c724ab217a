use axum::extract::ConnectInfo;
use axum::http::request::Parts;
use service::Peer;

/// Most characters of a client's name.
const NAME_LIMIT: usize = 64;

/// What a client calls itself in `x-client`, else its address.
pub(super) fn name(parts: &Parts) -> String {
    let header = parts.headers.get("x-client");
    if let Some(given) = header.and_then(|value| value.to_str().ok()) {
        return given.chars().take(NAME_LIMIT).collect();
    }
    match parts.extensions.get::<ConnectInfo<Peer>>() {
        Some(ConnectInfo(peer)) => peer.address.ip().to_string(),
        None => "unknown".to_owned(),
    }
}
