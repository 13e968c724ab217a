//! Who may be asked: a load on somebody else's service is no measurement but an attack.

use std::net::{IpAddr, Ipv4Addr, SocketAddr, ToSocketAddrs};

use crate::exit::Usage;
use crate::http::Reach;
use crate::stage::StageError;
use verdict::scenario::Target;

/// Looks up every address of a target before anything is sent to one, and refuses what is not private.
///
/// # Errors
/// [`Usage`] for a public address, unless the target says that it is the user's own, or a URL that is
/// none; [`StageError::Target`] for a name that has no address.
pub fn reach(target: &Target) -> anyhow::Result<Reach> {
    let mut reach = Reach::default();
    for text in target.urls() {
        let url: reqwest::Url = text
            .parse()
            .map_err(|error| Usage(format!("`{text}` is no URL: {error}")))?;
        let host = url.host_str().unwrap_or_default().to_owned();
        let bare = host.trim_matches(['[', ']']);
        let port = url.port_or_known_default().unwrap_or(80);
        let addresses: Vec<SocketAddr> = (bare, port)
            .to_socket_addrs()
            .map_err(|error| StageError::Target(format!("{host} has no address: {error}")))?
            .collect();
        if let Some(public) = addresses.iter().find(|address| !is_private(address.ip()))
            && !target.i_own_this_service
        {
            return Err(Usage(format!(
                "{} is at {}, a public address: a load may only be put on a service of one's own; \
                 if this one is yours, say so with --i-own-this-service",
                host,
                public.ip()
            ))
            .into());
        }
        if bare.parse::<IpAddr>().is_err() {
            reach.addresses.push((host, addresses));
        }
    }
    Ok(reach)
}

/// Whether an address is reachable only from here or from a network of one's own: loopback, RFC 1918,
/// link-local, shared (RFC 6598, behind a carrier's NAT) and unique local ones.
#[must_use]
pub fn is_private(address: IpAddr) -> bool {
    match address.to_canonical() {
        IpAddr::V4(v4) => {
            let is_shared = v4.octets()[0] == 100 && v4.octets()[1] & 0b1100_0000 == 64;
            v4.is_loopback()
                || v4.is_private()
                || v4.is_link_local()
                || is_shared
                || v4 == Ipv4Addr::UNSPECIFIED
        }
        IpAddr::V6(v6) => {
            v6.is_loopback()
                || v6.is_unique_local()
                || v6.is_unicast_link_local()
                || v6.is_unspecified()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_nobody_else_can_have_is_private() {
        let is_private = |text: &str| is_private(text.parse().expect("an address"));
        for address in [
            "127.0.0.1",
            "10.1.2.3",
            "172.16.0.1",
            "172.31.255.255",
            "192.168.1.1",
            "169.254.1.1",
            "100.64.0.1",
            "100.127.255.255",
            "::1",
            "fd00::1",
            "fe80::1",
            "::ffff:10.0.0.1",
        ] {
            assert!(is_private(address), "{address}");
        }
        for address in [
            "8.8.8.8",
            "203.0.113.1",
            "172.32.0.1",
            "100.128.0.1",
            "192.169.0.1",
            "2001:db8::1",
            "2606:4700::1111",
            "::ffff:8.8.8.8",
        ] {
            assert!(!is_private(address), "{address}");
        }
    }
}
