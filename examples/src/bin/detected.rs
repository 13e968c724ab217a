//! The app of `plain.rs`, with four lines of vitals. `/health` shows that answers wait for a thread. The
//! log says when that begins and ends. A second port answers even while the app's event loop is blocked.

use std::error::Error;
use std::io::{self, Read};

use axum::{Router, body::Body, routing::post};
use examples::{THREADS, listen, upstream};
use tokio::{net::TcpListener, runtime};
use tokio_util::io::{ReaderStream, SyncIoBridge};

async fn complete(question: String) -> Body {
    let (answer, chunks) = tokio::io::duplex(8192);
    let mut answer = SyncIoBridge::new(answer);
    vitals::spawn_blocking(move || io::copy(&mut ask(&question)?, &mut answer));
    Body::from_stream(ReaderStream::new(chunks))
}

#[expect(clippy::disallowed_methods, reason = "the disease that this app shows")]
fn ask(question: &str) -> io::Result<impl Read> {
    let request = ureq::post(upstream() + "/v1/chat/completions");
    let request = request.header("content-type", "application/json");
    let response = request.send(question).map_err(ureq::Error::into_io)?;
    Ok(response.into_body().into_reader())
}

async fn serve() -> Result<(), Box<dyn Error>> {
    let vitals = vitals::Vitals::watch(THREADS);
    let _watchdog = vitals.watchdog(examples::gauges()?, Router::new())?;
    let app = Router::new().route("/v1/chat/completions", post(complete));
    let app = app.merge(vitals.routes());
    let listener = TcpListener::bind(listen()).await?;
    println!("listening on http://{}", listener.local_addr()?);
    Ok(axum::serve(listener, app).await?)
}

fn main() -> Result<(), Box<dyn Error>> {
    let mut runtime = runtime::Builder::new_multi_thread();
    let runtime = runtime.enable_all().max_blocking_threads(THREADS).build()?;
    runtime.block_on(serve())
}
