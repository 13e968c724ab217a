//! A reader that cannot be aborted: the upstream is read on a thread of the blocking pool, which the
//! client's hang-up does not reach. It holds the thread and the permit until the upstream ends.

use axum::Router;
use axum::extract::Request;
use axum::response::Response;
use relay::RelayError;
use service::Services;
use tokio::sync::{mpsc, oneshot};
use vitals::BlockingPool;

use crate::blocking::{self, Client};
use crate::disconnect_app::{App, FOREVER, body_with, mount, timeouts};

pub(crate) fn routes(services: &mut Services) -> anyhow::Result<Router> {
    let timeouts = timeouts(&services.args);
    let upstream = Client::new(timeouts);
    let pool = services.vitals.pool().clone();
    mount(services, timeouts, move |app, path, request| {
        relay_to(app, upstream.clone(), pool.clone(), path, request)
    })
}

/// Dropping the body drops one end of the channel. A thread that waits for the upstream does not
/// notice, and one that then cannot send goes on as if it could. Where there are fewer threads than
/// permits, it is the threads that run out.
async fn relay_to(
    app: App,
    upstream: Client,
    pool: BlockingPool,
    path: String,
    request: Request,
) -> Result<Response, RelayError> {
    let relay = &app.relay;
    let (parts, body) = request.into_parts();
    let request = relay.buffer(relay.request(&parts, &path, body)?).await?;
    let permit = relay.permit_within(FOREVER).await?;
    let client = app.client();
    let (head_sender, head) = oneshot::channel();
    let (sender, chunks) = mpsc::channel(1);
    pool.spawn(move || {
        let _permit = permit;
        let (head, reader) = match upstream.send(request) {
            Ok(answer) => answer,
            Err(error) => return drop(head_sender.send(Err(error))),
        };
        let _ = head_sender.send(Ok(head));
        for chunk in blocking::chunks(reader) {
            let _ = sender.blocking_send(chunk);
        }
    });
    let head = head.await.map_err(|gone| RelayError::Upstream {
        source: gone.into(),
    })??;
    let bytes = blocking::receive(chunks);
    Ok(Response::from_parts(head, body_with(bytes, client)))
}
