use crate::load::Delivery;
use crate::summary::State;

/// Whether some clients did not hang up as planned, or their end is unknown.
pub(crate) fn doubts(delivery: Delivery<'_>) -> Vec<String> {
    let is_over = delivery.summary.state == State::Complete;
    let row = delivery.summary.phases.load.hang_ups.as_ref();
    let Some(row) = row.filter(|_| is_over) else {
        return Vec::new();
    };
    let count = |ending: &str| row.endings.get(ending).copied().unwrap_or(0);
    let mut reasons = Vec::new();
    if !row.is_over {
        reasons.push(format!(
            "the row of hang-ups was not over in time: {} of {} requests had their turn; ask for fewer, or raise `within`",
            row.sent, row.planned
        ));
    }
    if row.sent == 0 {
        reasons.push("not one client that is to hang up was sent".to_owned());
    }
    if count("not_sent") > 0 {
        reasons.push(format!(
            "{} clients that are to hang up could not be sent: no port or no file left; raise `ulimit -n`",
            count("not_sent")
        ));
    }
    if count("missed") > 0 {
        reasons.push(format!(
            "{} clients could not leave where they were to, because their answers were over first, in every attempt",
            count("missed")
        ));
    }
    if delivery.summary.leftovers.is_none() {
        reasons.push(
            "what the server held before the load was not read: it was not warm in time; make the baseline longer"
                .to_owned(),
        );
    }
    match row.unknown_to_upstream {
        None => reasons.push(
            "the upstream's ledger of streams could not be read: nothing is known of releases"
                .to_owned(),
        ),
        Some(unknown) if unknown > 0 => reasons.push(format!(
            "the upstream's ledger lacks {unknown} requests that were served: raise its `--history`"
        )),
        Some(_) => {}
    }
    reasons
}
