use crate::load::{Delivery, LATE_FLOOR_US, shown};

/// Whether the kubelet itself was late for its plan. The time to a kill depends on that.
pub(crate) fn doubts(delivery: Delivery<'_>) -> Vec<String> {
    late(delivery).into_iter().collect()
}

fn late(delivery: Delivery<'_>) -> Option<String> {
    let kubelet = delivery.summary.kubelet.as_ref()?;
    let late = kubelet.liveness.late_us_max;
    let timeout = delivery.summary.parameters.get("liveness_timeout_us")?;
    let allowed = LATE_FLOOR_US.max(timeout / 10);
    (late > allowed).then(|| {
        format!(
            "the kubelet sent a liveness probe {} late, more than the {} allowed: the machine was \
             too busy; close other programs",
            shown(late),
            shown(allowed)
        )
    })
}
