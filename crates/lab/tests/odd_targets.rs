//! `lab attach` at what is no stream, or one that is asked for in another way: what it says, and when.

use std::process::Output;
use std::sync::Arc;
use std::time::{Duration, Instant};

use async_compression::tokio::write::{BrotliEncoder, GzipEncoder, ZlibEncoder, ZstdEncoder};
use bytes::Bytes;
use http_body_util::{Full, StreamBody};
use hyper::body::Frame;
use hyper_util::rt::{TokioExecutor, TokioIo};
use rcgen::{CertifiedKey, generate_simple_self_signed};
use rustls::ServerConfig;
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use serde_json::Value;
use tokio::io::{AsyncWrite, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

use crate::support::canned::{Canned, Script, events, text};
use crate::support::fake::{Fake, TOKEN};
use crate::support::{Bench, short_attach as args, stderr, stdout};

/// Whatever is refused is refused well before this: what is odd is named within 3 s.
const SOON: Duration = Duration::from_secs(8);

/// Runs it beside the test's own servers.
async fn measure(bench: Bench, args: Vec<String>) -> (Bench, Output) {
    let run = move || {
        let args: Vec<_> = args.iter().map(String::as_str).collect();
        let output = bench.measure(&args);
        (bench, output)
    };
    tokio::task::spawn_blocking(run).await.expect("joined")
}

fn owned(args: Vec<&str>) -> Vec<String> {
    args.into_iter().map(str::to_owned).collect()
}

/// It was refused with one sentence in which all of this stands; returns the sentence.
fn assert_refused(what: &str, output: &Output, parts: &[&str]) -> String {
    let all = stderr(output);
    assert_eq!(output.status.code(), Some(4), "{what}: {all}");
    // Nothing but the progress stands before it.
    let said = all.split("error: ").nth(1).unwrap_or_default().trim_end();
    assert_eq!(said.lines().count(), 1, "{what}: {all}");
    for part in parts {
        assert!(said.contains(part), "{what}: `{part}` is not in: {all}");
    }
    all
}

/// Answers that are no stream, by path, with what is said of each.
fn odd(path: &str) -> Option<(Script, &'static [&'static str])> {
    let html = "200 OK\r\nContent-Type: text/html; charset=utf-8";
    let json = "200 OK\r\nContent-Type: application/json";
    let error = r#"data: {"error": {"message": "no such model"}}"#.to_owned() + "\n\n";
    Some(match path {
        "/moved" => (
            text(
                "307 Temporary Redirect\r\nLocation: /chat/?token=sesame-9",
                "",
            ),
            &[
                "with 307",
                "to http://127.0.0.1:",
                "/chat/?token=REDACTED",
                "not followed",
            ],
        ),
        "/gone" => (
            text("404 Not Found", r#"{"detail": "Not Found"}"#),
            &[
                "with 404",
                r#""{"detail": "Not Found"}""#,
                "nothing at this path",
            ],
        ),
        "/by-post" => (
            text("405 Method Not Allowed\r\nAllow: OPTIONS, POST", ""),
            &["with 405", "Allow: OPTIONS, POST", "try --method POST"],
        ),
        "/typed" => (
            text("415 Unsupported Media Type", ""),
            &["with 415", "--body", "--openai"],
        ),
        "/fields" => (
            text(
                "422 Unprocessable Entity",
                "\x1b[31mfield\r\nrequired\u{202e}, not sesame-4711",
            ),
            &[
                "with 422",
                "\"[31mfield required, not REDACTED\"",
                "--body FILE",
            ],
        ),
        "/long" => (
            text("400 Bad Request", &"ä".repeat(3_000)),
            &["with 400", "ä…\"", "--body"],
        ),
        "/socket" => (
            text("426 Upgrade Required\r\nUpgrade: websocket", ""),
            &["with 426", "a WebSocket"],
        ),
        "/socket-too" => (
            text("400 Bad Request", "No WebSocket UPGRADE header"),
            &["with 400", "a WebSocket"],
        ),
        "/private" => (text("401 Unauthorized", ""), &["with 401", "--bearer-env"]),
        "/full" => (
            text("503 Service Unavailable\r\nRetry-After: 30", "busy"),
            &[
                "with 503",
                "Retry-After: 30",
                "\"busy\"",
                "full or over a quota before anything",
            ],
        ),
        "/quota" => (
            text("429 Too Many Requests", ""),
            &["with 429", "over a quota before anything"],
        ),
        "/behind" => (text("502 Bad Gateway", ""), &["with 502", "is it running?"]),
        "/teapot" => (
            text("418 I'm a teapot", ""),
            &["with 418", "nothing of it can be measured"],
        ),
        "/grpc" => (
            text("200 OK\r\nContent-Type: application/grpc", ""),
            &["gRPC, which cannot be measured"],
        ),
        "/page" => (
            text(html, "\n<!DOCTYPE html><title>Log in</title>"),
            &["an HTML page", "Log in", "cookie"],
        ),
        "/empty" => (
            text("200 OK", ""),
            &["with 200", "there is no body to measure"],
        ),
        "/done" => (
            events(0, ["data: [DONE]\n\n"]),
            &["without a piece of content", "[DONE]"],
        ),
        "/error" => (
            events(0, [error.as_str()]),
            &["is an error", "no such model"],
        ),
        "/named-error" => (
            events(0, ["event: error\ndata: too many\n\n"]),
            &["is an error", "too many"],
        ),
        "/json-error" => (
            text(json, r#"{"error": "no such model"}"#),
            &["is an error", "no such model"],
        ),
        "/comments" => (
            events(400, [": ping\n\n"; 20]),
            &["nothing but pings", ": ping"],
        ),
        "/pings" => (
            events(400, ["event: ping\ndata: 1\n\n"; 20]),
            &["nothing but pings"],
        ),
        "/typed-pings" => (
            events(2_500, ["data: {\"type\": \"ping\"}\n\n"; 4]),
            &["nothing but pings"],
        ),
        _ => return None,
    })
}

const ODD: [&str; 23] = [
    "/moved",
    "/gone",
    "/by-post",
    "/typed",
    "/fields",
    "/long",
    "/socket",
    "/socket-too",
    "/private",
    "/full",
    "/quota",
    "/behind",
    "/teapot",
    "/grpc",
    "/page",
    "/empty",
    "/done",
    "/error",
    "/named-error",
    "/json-error",
    "/comments",
    "/pings",
    "/typed-pings",
];

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_stream_is_named_before_the_baseline() {
    let answer = |path: &str, _| odd(path).map_or_else(Vec::new, |(script, _)| script);
    let canned = Canned::start(answer).await;
    let health = canned.url("/health");
    let bench = Bench::new("");
    let begun = Instant::now();
    let header = format!("x-secret: {TOKEN}");
    let labs = ODD.map(|path| {
        let url = canned.url(path);
        let lab = bench.lab(&args(
            &url,
            &health,
            &["--header", &header, "--name", &path[1..]],
        ));
        let mut lab = lab;
        (path, lab.spawn().expect("lab starts"))
    });
    for (path, lab) in labs {
        let output = lab.wait_with_output().expect("ended");
        let (_, parts) = odd(path).expect("listed");
        let said = assert_refused(path, &output, parts);
        assert!(
            said.len() < 600 && !said.contains(['\x1b', '\u{202e}']),
            "{said}"
        );
        assert!(!said.contains("sesame"), "{said}");
        assert_eq!(canned.requests(&format!("GET {path} ")).len(), 1, "{path}");
    }
    assert!(begun.elapsed() < SOON, "{:?}", begun.elapsed());
    // A baseline would have asked fifty times a second.
    assert_eq!(canned.requests("GET /health").len(), ODD.len());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_chat_is_sent_without_a_body_file() {
    let echo = format!("what Bearer {TOKEN} may not");
    let canned = Canned::start(move |_, _| text("400 Bad Request", &echo)).await;
    let (stream, health) = (canned.url("/"), canned.url("/health"));
    for (format, path) in [
        ("--openai", "/v1/chat/completions"),
        ("--anthropic", "/v1/messages"),
    ] {
        let bench = Bench::new("");
        let more = [format, "tiny-1", "--bearer-env", "LAB_TEST_TOKEN"];
        let mut lab = bench.lab(&args(&stream, &health, &more));
        let output = lab.env("LAB_TEST_TOKEN", TOKEN).output().expect("lab runs");
        let said = assert_refused(format, &output, &[path, "check the model", "may not"]);
        assert!(!said.contains(TOKEN), "{said}");
        let asked = canned.requests(&format!("POST {path} HTTP/1.1\r\n")).pop();
        let (head, body) = asked
            .as_ref()
            .and_then(|asked| asked.split_once("\r\n\r\n"))
            .expect(path);
        let body: Value = serde_json::from_str(body).expect("JSON");
        assert_eq!(
            (&body["model"], &body["stream"]),
            (&"tiny-1".into(), &true.into())
        );
        assert_eq!(body["messages"][0]["role"], "user");
        let has = |line: &str| head.lines().any(|one| one.eq_ignore_ascii_case(line));
        assert!(has("content-type: application/json"), "{head}");
        assert!(has(&format!("authorization: Bearer {TOKEN}")), "{head}");
        let is_anthropic = format == "--anthropic";
        assert_eq!(has(&format!("x-api-key: {TOKEN}")), is_anthropic, "{head}");
        assert_eq!(has("anthropic-version: 2023-06-01"), is_anthropic, "{head}");
    }
    let conflict = Bench::new("").run(&args(
        &stream,
        &health,
        &["--openai", "m", "--method", "POST"],
    ));
    assert_eq!(conflict.status.code(), Some(2), "{}", stderr(&conflict));
}

/// A server that speaks HTTP/2 without TLS and nothing else.
async fn http2_only() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("bound");
    tokio::spawn(async move {
        while let Ok((socket, _)) = listener.accept().await {
            let answer = hyper::service::service_fn(answer_http2);
            let server = hyper::server::conn::http2::Builder::new(TokioExecutor::new());
            tokio::spawn(server.serve_connection(TokioIo::new(socket), answer));
        }
    });
    format!("http://{address}")
}

async fn answer_http2(
    request: hyper::Request<hyper::body::Incoming>,
) -> Result<
    hyper::Response<http_body_util::combinators::UnsyncBoxBody<Bytes, hyper::Error>>,
    hyper::Error,
> {
    use http_body_util::BodyExt;
    let piece = |_| async {
        tokio::time::sleep(Duration::from_millis(100)).await;
        Some((Ok(Frame::data(Bytes::from_static(b"data: a\n\n"))), ()))
    };
    let (kind, body) = match request.uri().path() {
        "/stream" => {
            let pieces = StreamBody::new(futures_util::stream::unfold((), piece));
            ("text/event-stream", pieces.boxed_unsync())
        }
        "/pkg.Service/Method" => (
            "application/grpc",
            Full::default().map_err(|e| match e {}).boxed_unsync(),
        ),
        _ => (
            "text/plain",
            Full::from("ok").map_err(|e| match e {}).boxed_unsync(),
        ),
    };
    let answer = hyper::Response::builder().header("content-type", kind);
    Ok(answer.body(body).expect("an answer"))
}

#[tokio::test(flavor = "multi_thread")]
async fn http2_without_tls_is_spoken_if_it_is_asked_for_and_named_if_not() {
    let base = http2_only().await;
    let fake = Fake::start().await;
    let bench = Bench::new("");
    let (stream, health, grpc) = (
        format!("{base}/stream"),
        format!("{base}/health"),
        format!("{base}/pkg.Service/Method"),
    );
    let (plain_stream, plain) = (fake.url("/events"), fake.url("/health"));
    for (what, args, part) in [
        (
            "health",
            args(&stream, &health, &[]),
            "speaks HTTP/2 without TLS: add --http2",
        ),
        (
            "stream",
            args(&stream, &plain, &[]),
            "speaks HTTP/2 without TLS: add --http2",
        ),
        (
            "gRPC",
            args(&grpc, &plain, &[]),
            "gRPC, which cannot be measured",
        ),
        (
            "gRPC by HTTP/2",
            args(&grpc, &health, &["--http2"]),
            "gRPC, which cannot be measured",
        ),
        (
            "HTTP/1.1",
            args(&plain_stream, &plain, &["--http2"]),
            "HTTP/1.1: leave out --http2",
        ),
    ] {
        let begun = Instant::now();
        assert_refused(what, &bench.run(&args), &[part]);
        assert!(begun.elapsed() < SOON, "{what}");
    }
    let (bench, output) = measure(bench, owned(args(&stream, &health, &["--http2"]))).await;
    assert_eq!(
        output.status.code(),
        Some(0),
        "{}{}",
        stdout(&output),
        stderr(&output)
    );
    let summary = bench.summary("attach").expect("saved");
    assert_eq!(summary["phases"]["load"]["streams"]["receiving_peak"], 4);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_certificate_of_its_own_is_trusted_if_it_is_given() {
    let own = || generate_simple_self_signed(["service.test".to_owned()]).expect("a certificate");
    let (CertifiedKey { cert, signing_key }, other) = (own(), own());
    let key = PrivateKeyDer::from(PrivatePkcs8KeyDer::from(signing_key.serialize_der()));
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("TLS")
        .with_no_client_auth()
        .with_single_cert(vec![cert.der().clone()], key)
        .expect("a key that fits");
    let tls = TlsAcceptor::from(Arc::new(config));
    let canned = Canned::start_tls(tls, |_, _| text("200 OK", "")).await;
    let plain = canned.url("/empty");
    let (stream, health) = (
        plain.replace("http:", "https:"),
        canned.url("/health").replace("http:", "https:"),
    );
    let bench = Bench::new("");
    let write =
        |name: &str, text: String| std::fs::write(bench.path().join(name), text).expect("written");
    write("own.pem", cert.pem());
    write("other.pem", other.cert.pem());
    let fake = Fake::start().await;
    let unsafe_http = fake.url("/health").replace("http:", "https:");
    for (health, more, part) in [
        (
            &health,
            &[][..],
            "--ca-certificate FILE, or any certificate by --insecure",
        ),
        (
            &health,
            &["--ca-certificate", "other.pem"],
            "--ca-certificate FILE",
        ),
        // Health and the stream have been asked, and the stream is empty.
        (
            &health,
            &["--ca-certificate", "own.pem"],
            "there is no body to measure",
        ),
        (&health, &["--insecure"], "there is no body to measure"),
        (&plain, &[], "speaks TLS: write https://"),
        (&unsafe_http, &[], "it speaks no TLS: write http://"),
    ] {
        let output = bench.run(&args(&stream, health, more));
        let what = format!("{health} {more:?}");
        assert_refused(&what, &output, &[part]);
        let warnings = stdout(&output)
            .matches("any certificate is accepted")
            .count();
        assert_eq!(
            warnings,
            more.iter().filter(|flag| **flag == "--insecure").count()
        );
    }
    for (more, checks) in [
        (&["--insecure"][..], 2),
        (&["--ca-certificate", "own.pem"], 2),
        (&[], 0),
    ] {
        let watch = ["watch", "--every", "100ms", "--for", "300ms"];
        let urls = ["--sync", &health, "--async", &health];
        let output = bench.run(&[&watch[..], &urls, more].concat());
        let answered = stdout(&output).matches("3 ok").count();
        assert_eq!(answered, checks, "{more:?} {}", stderr(&output));
        let warnings = stderr(&output)
            .matches("any certificate is accepted")
            .count();
        assert_eq!(
            warnings,
            more.iter().filter(|flag| **flag == "--insecure").count()
        );
    }
}

/// Events as gzip has them, flushed one by one.
async fn gzipped(count: usize) -> Script {
    let mut script = text(
        "200 OK\r\nContent-Type: text/event-stream\r\nContent-Encoding: gzip",
        "",
    );
    let mut encoder = GzipEncoder::new(Vec::new());
    for _ in 0..count {
        encoder
            .write_all(b"data: {\"text\": \"a\"}\n\n")
            .await
            .expect("in memory");
        encoder.flush().await.expect("in memory");
        script.push((100, std::mem::take(encoder.get_mut())));
    }
    script
}

#[tokio::test(flavor = "multi_thread")]
async fn a_compressed_stream_is_seen_event_by_event() {
    let script = gzipped(200).await;
    let canned = Canned::start(move |_, _| script.clone()).await;
    let args = owned(args(&canned.url("/gzip"), &canned.url("/health"), &[]));
    let (bench, output) = measure(Bench::new(""), args).await;
    assert_eq!(
        output.status.code(),
        Some(0),
        "{}{}",
        stdout(&output),
        stderr(&output)
    );
    let summary = bench.summary("attach").expect("saved");
    let gap = summary["phases"]["load"]["streams"]["gap_us"]["p50"]
        .as_u64()
        .expect("gaps");
    assert!((80_000..150_000).contains(&gap), "{gap}");
    let look = &summary["attach"]["first_look"];
    assert_eq!(
        (&look["held"], &look["buffered"]),
        (&true.into(), &false.into()),
        "{look}"
    );
    assert_eq!(look["health_server"], "canned/1");
}

async fn send_error(encoder: &mut (impl AsyncWrite + Unpin)) {
    let event = b"data: {\"error\": \"no such model\"}\n\n";
    encoder.write_all(event).await.expect("in memory");
    encoder.flush().await.expect("in memory");
}

#[tokio::test(flavor = "multi_thread")]
async fn other_codings_are_read_before_they_end() {
    let mut brotli = BrotliEncoder::new(Vec::new());
    let mut deflate = ZlibEncoder::new(Vec::new());
    let mut zstd = ZstdEncoder::new(Vec::new());
    send_error(&mut brotli).await;
    send_error(&mut deflate).await;
    send_error(&mut zstd).await;
    let coded = [
        ("br", brotli.into_inner()),
        ("deflate", deflate.into_inner()),
        ("zstd", zstd.into_inner()),
    ];
    for (coding, bytes) in coded {
        let head = "200 OK\r\nContent-Type: text/event-stream\r\nContent-Encoding";
        let mut script = text(&format!("{head}: {coding}"), "");
        script.extend([(0, bytes), (60_000, Vec::new())]);
        let canned = Canned::start(move |_, _| script.clone()).await;
        let begun = Instant::now();
        let (stream, health) = (canned.url("/coded"), canned.url("/health"));
        let output = Bench::new("").run(&args(&stream, &health, &[]));
        assert_refused(coding, &output, &["is an error", "no such model"]);
        assert!(begun.elapsed() < SOON, "{coding}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_buffered_stream_is_measured_and_said_to_be_one() {
    let whole = "data: {\"text\": \"a\"}\n\n".repeat(10);
    let script = events(500, [whole.as_str()]);
    let canned = Canned::start(move |path, _| match path {
        "/json" => vec![(500, text("200 OK", "{\"a\": 1}").remove(0).1)],
        _ => script.clone(),
    })
    .await;
    for (path, is_buffered) in [("/buffered", true), ("/json", false)] {
        let args = owned(args(
            &canned.url(path),
            &canned.url("/health"),
            &["--no-hang-up"],
        ));
        let (bench, output) = measure(Bench::new(""), args).await;
        assert!(
            matches!(output.status.code(), Some(0 | 3)),
            "{}",
            stderr(&output)
        );
        let summary = bench.summary("attach").expect("saved");
        let look = &summary["attach"]["first_look"];
        assert_eq!(
            (&look["held"], &look["buffered"]),
            (&false.into(), &is_buffered.into()),
            "{look}"
        );
        let remarks = summary["quality"]["remarks"].to_string();
        assert_eq!(remarks.contains("buffers it"), is_buffered, "{remarks}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_service_that_asks_to_be_left_alone_is_left_alone() {
    let refusal = text(
        "429 Too Many Requests\r\nRetry-After: 30\r\nX-RateLimit-Remaining: 0",
        "",
    );
    let stream = events(100, ["data: a\n\n"; 100]);
    // The look before and the first step are served.
    let canned = Canned::start(move |_, before| {
        if before < 2 {
            stream.clone()
        } else {
            refusal.clone()
        }
    })
    .await;
    let mut all = args("", "", &["--no-hang-up"]);
    let (stream, health) = (canned.url("/stream"), canned.url("/health"));
    (all[2], all[4], all[8]) = (&stream, &health, "2s");
    let (bench, output) = measure(Bench::new(""), owned(all)).await;
    assert_eq!(
        output.status.code(),
        Some(0),
        "{}{}",
        stdout(&output),
        stderr(&output)
    );
    let streams = &bench.summary("attach").expect("saved")["phases"]["load"]["streams"];
    assert_eq!(
        (&streams["refused"], &streams["quota"]),
        (&3.into(), &3.into()),
        "{streams:#}"
    );
}
