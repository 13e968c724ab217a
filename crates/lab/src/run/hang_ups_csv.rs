use std::fmt::Write as _;
use std::path::Path;

use verdict::load::hang_ups::{HangUpRecorder, Release};

/// Writes `hang_ups.csv`: a row for each request of the row, in the order of their numbers. An empty
/// field was not measured; `released_us` is empty where the upstream still has the stream, and
/// `not_released_us` then says for how long.
pub(super) fn write(path: &Path, recorder: &HangUpRecorder) -> std::io::Result<()> {
    let mut text = String::from(
        "number,request_id,stage,reached,ending,status,due_us,sent_us,head_us,left_us,left_unix_us,\
         released_us,not_released_us\n",
    );
    let shown = |value: Option<u64>| value.map_or(String::new(), |value| value.to_string());
    for (one, release) in recorder.by_number() {
        let (released, not_released) = match release {
            Some(Release::After(us)) => (Some(us), None),
            Some(Release::NotFor(us)) => (None, Some(us)),
            None => (None, None),
        };
        // Writing to a string cannot fail.
        let _ = writeln!(
            text,
            "{},{},{},{},{},{},{},{},{},{},{},{},{}",
            one.number,
            one.id,
            one.stage.name(),
            one.reached.map_or("", |stage| stage.name()),
            one.ending.name(),
            shown(one.status.map(u64::from)),
            one.due_us,
            shown(one.sent_us),
            shown(one.head_us),
            one.left_us,
            one.left_unix_us,
            shown(released),
            shown(not_released)
        );
    }
    std::fs::write(path, text)
}
