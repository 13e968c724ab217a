//! A pump that nobody stops. A task of its own reads the upstream to the end, even if the client has
//! left. The task owns the permit.

use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::Request;
use axum::response::Response;
use failures::disconnect::mount;
use failures::task_is_gone;
use futures_util::{StreamExt, stream};
use relay::{Framing, Relay, RelayError};
use service::Services;
use tokio::sync::{mpsc, oneshot};

/// Stands for "no limit". It is a year, because Tokio's timers do not reach much farther.
pub(crate) const FOREVER: Duration = Duration::from_secs(365 * 24 * 3600);

pub(crate) fn routes(services: &mut Services) -> anyhow::Result<Router> {
    mount(services, relay_to)
}

/// The client's body is the receiver of an unbounded channel. A hang-up drops the receiver and nothing
/// else: the task ignores failed sends until the upstream ends.
async fn relay_to(relay: Relay, path: String, request: Request) -> Result<Response, RelayError> {
    let (parts, body) = request.into_parts();
    let request = relay.read(relay.request(&parts, &path, body)?).await?;
    let permit = relay.permit_within(FOREVER).await?;
    let (head_sender, head) = oneshot::channel();
    let (sender, mut chunks) = mpsc::unbounded_channel();
    tokio::spawn(async move {
        let upstream = match relay.send(request).await {
            Ok(upstream) => upstream,
            Err(error) => return drop(head_sender.send(Err(error))),
        };
        let head = relay::response_head(&upstream);
        let mut bytes = relay.guard(upstream.bytes_stream(), permit, Framing::of(&head));
        let _ = head_sender.send(Ok(head));
        while let Some(chunk) = bytes.next().await {
            let _ = sender.send(chunk);
        }
    });
    let head = head.await.map_err(task_is_gone)??;
    let bytes = stream::poll_fn(move |cx| chunks.poll_recv(cx));
    Ok(Response::from_parts(head, Body::from_stream(bytes)))
}
