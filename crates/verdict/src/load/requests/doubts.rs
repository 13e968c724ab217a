use super::{Loop, RequestFigures};
use crate::load::{Delivery, LATE_FLOOR_US, NOT_SENT_PERCENT, shown};
use crate::summary::Quality;

/// Whether the lab failed to send what was planned. A request that was not sent proves nothing.
pub(crate) fn doubts(delivery: Delivery<'_>) -> Vec<String> {
    let classes = delivery.summary.phases.load.requests.iter();
    classes
        .flat_map(|(name, class)| of_class(name, class, delivery.quality))
        .collect()
}

fn of_class(name: &str, class: &RequestFigures, quality: &Quality) -> Vec<String> {
    let mut reasons = Vec::new();
    let outcomes = &class.outcomes;
    if outcomes.due == 0 {
        return vec![format!("not one request of {name} was sent")];
    }
    let not_sent = 100.0 * outcomes.not_sent as f64 / outcomes.due as f64;
    if not_sent > NOT_SENT_PERCENT {
        reasons.push(format!(
            "{not_sent:.1} % of the requests of {name} could not be sent: no port or no file left; raise `ulimit -n`"
        ));
    }
    if class.arrivals == Loop::Open {
        let late = quality
            .requests_dispatch_us
            .get(name)
            .map_or(0, |late| late.p99);
        let p99 = outcomes.response_us.p99.unwrap_or(0);
        let allowed = LATE_FLOOR_US.max(p99 / 10);
        if late > allowed {
            reasons.push(format!(
                "the lab sent the requests of {name} up to {} late (p99), more than the {} allowed: \
                 the machine was too busy; close other programs or ask for fewer",
                shown(late),
                shown(allowed)
            ));
        }
    }
    reasons
}
