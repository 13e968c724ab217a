//! When the old path may still take over from the new one.

use axum::response::IntoResponse;

use crate::error::RelayError;

/// An error of the app's own path, returned while nothing of an answer is out.
pub trait PathError: IntoResponse {
    /// Why the blocking path should be asked instead; `None` if it would do no better, and the error is
    /// the answer. Use a few fixed words: they become a label and a header. In the header, anything but
    /// visible ASCII is a `?`.
    fn fallback_reason(&self) -> Option<&'static str>;

    /// What happened, for the log.
    fn message(&self) -> String;
}

/// Falls back if the upstream could not be reached, broke, or was silent. Does not fall back at a limit,
/// which is there to refuse, nor after the deadline of the whole exchange, nor if the client's own
/// request is at fault.
impl PathError for RelayError {
    fn fallback_reason(&self) -> Option<&'static str> {
        match self {
            Self::Connect { .. }
            | Self::ConnectTimeout { .. }
            | Self::HeadTimeout { .. }
            | Self::Idle { .. }
            | Self::Upstream { .. }
            | Self::Truncated { .. } => Some(self.code()),
            _ => None,
        }
    }

    fn message(&self) -> String {
        self.with_causes()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::permits::{Scarce, Shed};

    #[test]
    fn only_what_another_path_may_do_better_falls_back() {
        let limit = Duration::from_secs(1);
        let source = || "x".into();
        for error in [
            RelayError::Connect { source: source() },
            RelayError::HeadTimeout {
                waited: limit,
                limit,
            },
            RelayError::Upstream { source: source() },
            RelayError::Truncated { bytes: 0 },
        ] {
            assert_eq!(error.fallback_reason(), Some(error.code()));
        }
        let shed = Shed {
            of: Scarce::Permits,
            limit: 1,
            waited: Duration::ZERO,
        };
        for error in [
            RelayError::Shed(shed),
            RelayError::Deadline {
                waited: limit,
                limit,
            },
            RelayError::BodyTooLarge { limit: 1 },
        ] {
            assert_eq!(error.fallback_reason(), None, "{error}");
        }
    }
}
