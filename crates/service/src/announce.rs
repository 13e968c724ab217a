use std::io::Write;
use std::net::SocketAddr;

/// Prints one line `<what> on http://<address>` to standard output, for the person who started the
/// server and for the lab, which reads the ports of its children from these lines.
///
/// A closed standard output is not an error: the server serves all the same.
pub fn announce(what: &str, address: SocketAddr) {
    let mut stdout = std::io::stdout().lock();
    let _ = writeln!(stdout, "{what} on http://{address}");
    let _ = stdout.flush();
}
