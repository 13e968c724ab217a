//! TLS towards the upstream: which HTTP is negotiated in it, and whom the relay trusts.

use std::net::SocketAddr;
use std::sync::Arc;

use futures_util::StreamExt;
use mock_llm::Mock;
use mock_llm::ledger::Cause;
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use relay::{ConfigError, Protocol, Relay};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::pki_types::PrivateKeyDer;

use crate::support::*;

const BOTH: &[&str] = &["h2", "http/1.1"];

/// A mock upstream behind TLS, and the certificate of who vouches for it.
struct Secured {
    mock: Mock,
    url: relay::Url,
    root: String,
}

impl Secured {
    /// Whatever is negotiated is passed on byte for byte: the mock tells HTTP/2 by its first bytes.
    async fn offering(protocols: &[&str]) -> Self {
        let (mock, upstream) = upstream(|_| {});
        let mut params = CertificateParams::new([]).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let root = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
        let key = KeyPair::generate().unwrap();
        let own = CertificateParams::new(["127.0.0.1".to_owned()]).unwrap();
        let own = own.signed_by(&key, &root).unwrap();
        let _ = rustls::crypto::ring::default_provider().install_default();
        let key = PrivateKeyDer::try_from(key.serialize_der()).unwrap();
        let mut config = ServerConfig::builder()
            .with_no_client_auth()
            .with_single_cert(vec![own.der().clone()], key)
            .unwrap();
        config.alpn_protocols = protocols
            .iter()
            .map(|name| name.as_bytes().to_vec())
            .collect();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(serve(
            listener,
            TlsAcceptor::from(Arc::new(config)),
            upstream,
        ));
        Self {
            mock,
            url: format!("https://{address}").parse().unwrap(),
            root: root.pem(),
        }
    }

    fn relay(&self) -> Relay {
        Relay::new(self.url.clone(), generous(), 50).unwrap()
    }

    fn trusting_relay(&self) -> Relay {
        self.relay()
            .with_root_certificates(self.root.as_bytes())
            .unwrap()
    }
}

async fn serve(listener: TcpListener, tls: TlsAcceptor, upstream: SocketAddr) {
    loop {
        let (peer, _) = listener.accept().await.unwrap();
        let tls = tls.clone();
        tokio::spawn(async move {
            // Who does not trust us ends the handshake.
            let Ok(mut peer) = tls.accept(peer).await else {
                return;
            };
            let mut upstream = TcpStream::connect(upstream).await.unwrap();
            let _ = tokio::io::copy_bidirectional(&mut peer, &mut upstream).await;
        });
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn http2_is_spoken_where_the_upstream_offers_it() {
    let secured = Secured::offering(BOTH).await;
    let stand = Stand::of(secured.mock.clone(), secured.trusting_relay()).await;
    let endless = "/slow_stream?chunks=100000&interval=20ms";
    let mut kept = stand.get(endless).await.bytes_stream();
    let mut left = Vec::new();
    for _ in 0..20 {
        let mut stream = Box::pin(stand.get(endless).await.bytes_stream());
        stream.next().await.unwrap().unwrap();
        left.push(stream);
    }
    assert_eq!((stand.open(), stand.mock.stats().connections), (21, 1));
    drop(left);
    eventually("their streams are reset", async || stand.open() == 1).await;
    for record in stand.mock.ledger().ended_streams(0) {
        assert_eq!(record.cause, Some(Cause::ClientStreamReset));
    }
    kept.next().await.unwrap().expect("it goes on");
    drop(kept);
    stand.is_released().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn http1_is_spoken_where_the_upstream_or_the_relay_has_nothing_else() {
    for (offered, protocol) in [
        (&["http/1.1"][..], Protocol::Negotiated),
        (&[], Protocol::Negotiated),
        (BOTH, Protocol::Http1),
    ] {
        let secured = Secured::offering(offered).await;
        // In either order, neither call undoes the other.
        let relay = secured.relay().with_protocol(protocol).unwrap();
        let relay = relay
            .with_root_certificates(secured.root.as_bytes())
            .unwrap();
        let stand = Stand::of(secured.mock.clone(), relay).await;
        let endless = "/slow_stream?chunks=100000&interval=20ms";
        let mut streams = Vec::new();
        for _ in 0..5 {
            let mut stream = Box::pin(stand.get(endless).await.bytes_stream());
            stream.next().await.unwrap().unwrap();
            streams.push(stream);
        }
        let connections = stand.mock.stats().connections;
        assert_eq!(connections, 5, "{offered:?}, {protocol:?}: one each");
        drop(streams);
        stand.is_released().await;
        assert_eq!(stand.relay.snapshot().endings["client_gone"], 5);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_certificate_that_nobody_vouches_for_is_a_502() {
    let secured = Secured::offering(BOTH).await;
    let other = Secured::offering(BOTH).await;
    let of_another = secured
        .relay()
        .with_root_certificates(other.root.as_bytes())
        .unwrap();
    for relay in [secured.relay(), of_another] {
        let stand = Stand::of(secured.mock.clone(), relay).await;
        let answer = stand.get("/slow_stream").await;
        assert_eq!(answer.status(), 502);
        let text = answer.text().await.unwrap();
        assert!(text.contains("upstream_unreachable"), "{text}");
        assert!(text.contains("certificate"), "{text}");
        stand.is_released().await;
        assert_eq!(stand.relay.snapshot().endings["connect_failed"], 1);
    }
    assert_eq!(secured.mock.ledger().tally().started, 0, "nothing was sent");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_certificate_for_another_name_is_told_without_the_name() {
    let secured = Secured::offering(BOTH).await;
    let port = secured.url.port().unwrap();
    let named = format!("https://localhost:{port}").parse().unwrap();
    let relay = Relay::new(named, generous(), 1).unwrap();
    let relay = relay
        .with_root_certificates(secured.root.as_bytes())
        .unwrap();
    let error = relay.build(http::Method::GET, "/slow_stream").try_forward();
    let error = error.await.unwrap_err();
    let expected = "the upstream cannot be reached: its certificate is not trusted";
    assert_eq!(error.message(), expected);
    let log = error.with_causes();
    assert!(
        log.contains("localhost"),
        "what the client is spared: {log}"
    );
}

#[test]
fn what_is_no_certificate_is_refused() {
    let relay = Relay::new("https://localhost".parse().unwrap(), generous(), 1).unwrap();
    let broken = "-----BEGIN CERTIFICATE-----\n?\n-----END CERTIFICATE-----\n";
    for text in ["", "certificate", broken] {
        let refused = relay.clone().with_root_certificates(text.as_bytes());
        assert!(
            matches!(refused, Err(ConfigError::RootCertificates(_))),
            "{text:?}: {refused:?}"
        );
    }
}
