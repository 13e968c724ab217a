//! A pump that nobody stops: a task of its own drains the upstream, whether anybody listens or not,
//! and the permit lives in the task.

use axum::Router;
use axum::extract::Request;
use axum::response::Response;
use futures_util::{StreamExt, stream};
use relay::{Framing, RelayError};
use service::Services;
use tokio::sync::{mpsc, oneshot};

use crate::disconnect_app::{App, FOREVER, body_with, mount, timeouts};

pub(crate) fn routes(services: &mut Services) -> anyhow::Result<Router> {
    let timeouts = timeouts(&services.args);
    mount(services, timeouts, relay_to)
}

/// The client's body is the end of a channel. When the client goes away only that is dropped: the
/// task sends into the void until the upstream ends. The channel has no bound, so a client that is
/// merely slow costs memory as well.
async fn relay_to(app: App, path: String, request: Request) -> Result<Response, RelayError> {
    let relay = app.relay.clone();
    let (parts, body) = request.into_parts();
    let request = relay.read(relay.request(&parts, &path, body)?).await?;
    let permit = relay.permit_within(FOREVER).await?;
    let client = app.client();
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
    let head = head.await.map_err(|gone| RelayError::Upstream {
        source: gone.into(),
    })??;
    let bytes = stream::poll_fn(move |cx| chunks.poll_recv(cx));
    Ok(Response::from_parts(head, body_with(bytes, client)))
}
