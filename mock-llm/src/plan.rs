use axum::http::HeaderMap;

use crate::call::Call;
use crate::dice::Dice;
use crate::distribution::Distribution;
use crate::fault::{ActiveFault, Fault};
use crate::mock::Mock;
use crate::shape::BadParameter;

/// The decisions about an answer before it begins: its shape, and whether it fails.
#[derive(Debug)]
pub struct Plan {
    /// Time to the first token.
    pub ttft: Distribution,
    /// Time from one token to the next.
    pub interval: Distribution,
    /// Number of tokens.
    pub chunks: u64,
    /// Bytes of padding in each token.
    pub bytes: usize,
    /// What goes wrong with this answer.
    pub fault: Option<Fault>,
    /// Counts the fault as under way until this is dropped.
    pub active: Option<ActiveFault>,
}

impl Plan {
    /// The plan of a call: the settings of this moment, as changed by the request's headers and then by
    /// its query.
    ///
    /// # Errors
    /// An unknown parameter or a value that cannot be read.
    pub fn new(
        mock: &Mock,
        call: &Call,
        headers: &HeaderMap,
        query: &[(String, String)],
    ) -> Result<Self, BadParameter> {
        let settings = mock.settings();
        let shape = settings
            .shape
            .clone()
            .with_headers(headers)?
            .with_query(query)?;
        let rule = shape.fault.filter(|rule| {
            // For a fault of the request itself, its own attempts count; for one of the service, all
            // requests.
            let is_own =
                headers.contains_key("x-mock-fault") || query.iter().any(|(key, _)| key == "fault");
            let nth = if is_own {
                u64::from(call.retry)
            } else {
                settings.consider_fault()
            };
            rule.befalls(nth, Dice::new(mock.seed(), &call.request_id))
        });
        let active = rule.as_ref().and_then(|rule| mock.faults().begin(rule.cap));
        Ok(Self {
            ttft: shape.ttft,
            interval: shape.interval,
            chunks: shape.chunks,
            bytes: shape.bytes,
            fault: rule.map(|rule| rule.fault).filter(|_| active.is_some()),
            active,
        })
    }

    /// Whether tokens contain a character of several bytes.
    #[must_use]
    pub fn is_wide(&self) -> bool {
        self.fault
            .as_ref()
            .is_some_and(|fault| fault.slice().is_some())
    }
}
