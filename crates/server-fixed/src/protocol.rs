use relay::Protocol;
use service::ServerArgs;

/// Which HTTP is spoken with the upstream.
pub(crate) fn spoken(args: &ServerArgs) -> Protocol {
    if args.upstream_http2 {
        Protocol::Http2PriorKnowledge
    } else {
        Protocol::default()
    }
}
