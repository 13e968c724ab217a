//! Hang-ups, cured where a task is needed. The client's body owns the handle of the task. Dropping the
//! handle aborts the task, wherever it waits.

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
use tokio_util::task::AbortOnDropHandle;

pub(crate) fn routes(services: &mut Services) -> anyhow::Result<Router> {
    mount(services, relay_to)
}

/// The handle is a local variable until the head is there, then it is part of the body. An aborted task
/// drops the upstream's response, and after it the permit. The channel is bounded, so a slow client
/// slows the upstream.
async fn relay_to(relay: Relay, path: String, request: Request) -> Result<Response, RelayError> {
    let (parts, body) = request.into_parts();
    let request = relay.read(relay.request(&parts, &path, body)?).await?;
    let permit = relay.permit_within(relay.timeouts().connect).await?;
    let (head_sender, head) = oneshot::channel();
    let (sender, mut chunks) = mpsc::channel(1);
    let pump = AbortOnDropHandle::new(tokio::spawn(async move {
        let upstream = match relay.send(request).await {
            Ok(upstream) => upstream,
            Err(error) => return drop(head_sender.send(Err(error))),
        };
        let head = relay::response_head(&upstream);
        let mut bytes = relay.guard(upstream.bytes_stream(), permit, Framing::of(&head));
        let _ = head_sender.send(Ok(head));
        while let Some(chunk) = bytes.next().await {
            if sender.send(chunk).await.is_err() {
                return;
            }
        }
    }));
    let head = head.await.map_err(task_is_gone)??;
    let bytes = stream::poll_fn(move |cx| {
        let _owned = &pump;
        chunks.poll_recv(cx)
    });
    Ok(Response::from_parts(head, Body::from_stream(bytes)))
}
