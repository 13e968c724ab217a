use rustix::io::Errno;

/// Whether a request failed on this side: no file or no port left. Such a failure says nothing about
/// the server and must not be counted against it.
#[must_use]
pub fn is_local(error: &reqwest::Error) -> bool {
    std::iter::successors(Some(error as &dyn std::error::Error), |error| {
        error.source()
    })
    .filter_map(|error| error.downcast_ref::<std::io::Error>())
    .any(is_local_io)
}

/// The same of an operation on a socket.
#[must_use]
pub fn is_local_io(error: &std::io::Error) -> bool {
    matches!(
        Errno::from_io_error(error),
        Some(Errno::MFILE | Errno::NFILE | Errno::ADDRNOTAVAIL | Errno::NOBUFS | Errno::NOMEM)
    )
}
