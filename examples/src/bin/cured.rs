//! The app of `detected.rs`, with one call of relay in place of the blocking client. An answer holds no
//! thread, so no number of answers slows `/health`.

use std::error::Error;

use axum::extract::{Request, State};
use axum::{Router, response::Response, routing::post};
use examples::{THREADS, listen, upstream};
use relay::{Relay, Timeouts};
use tokio::{net::TcpListener, runtime};

async fn complete(State(relay): State<Relay>, question: Request) -> Response {
    relay.forward(question, "/v1/chat/completions").await
}

async fn serve() -> Result<(), Box<dyn Error>> {
    let vitals = vitals::Vitals::watch(THREADS);
    let _watchdog = vitals.watchdog(examples::gauges()?, Router::new())?;
    let relay = Relay::new(upstream().parse()?, Timeouts::default(), 1000)?;
    let app = Router::new().route("/v1/chat/completions", post(complete));
    let app = app.merge(vitals.routes()).with_state(relay);
    let listener = TcpListener::bind(listen()).await?;
    println!("listening on http://{}", listener.local_addr()?);
    Ok(axum::serve(listener, app).await?)
}

fn main() -> Result<(), Box<dyn Error>> {
    let mut runtime = runtime::Builder::new_multi_thread();
    let runtime = runtime.enable_all().max_blocking_threads(THREADS).build()?;
    runtime.block_on(serve())
}
