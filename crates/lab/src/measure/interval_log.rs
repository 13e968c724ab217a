use std::fs::File;
use std::io::LineWriter;
use std::path::Path;
use std::time::{Duration, SystemTime};

use hdrhistogram::Histogram;
use hdrhistogram::serialization::V2Serializer;
use hdrhistogram::serialization::interval_log::{
    IntervalLogWriterBuilder, IntervalLogWriterError, Tag,
};
use verdict::record::Times;

/// One series of one interval.
pub struct Entry {
    /// Name of the series, such as `hold.health_sync.all`.
    pub tag: String,
    /// Start, on the cell's clock.
    pub start: Duration,
    /// Length.
    pub length: Duration,
    /// What was recorded.
    pub times: Times,
}

/// Writes intervals to the HdrHistogram interval log format, V2, until `next` has none left.
///
/// Each line reaches the operating system before the next interval is asked for: what was logged
/// survives the end of the process.
///
/// # Errors
/// If the file cannot be written.
pub fn write(path: &Path, mut next: impl FnMut() -> Option<Entry>) -> std::io::Result<()> {
    let mut file = LineWriter::new(File::create(path)?);
    let mut serializer = V2Serializer::new();
    let mut log = IntervalLogWriterBuilder::new()
        .add_comment("response and service times in microseconds; tags are <segment>.<endpoint>.<all|ok|service>")
        .with_start_time(SystemTime::now())
        .begin_log_with(&mut file, &mut serializer)?;
    while let Some(interval) = next() {
        // Names are checked when the scenario is read; a tag without comma or white space is valid.
        let tag = Tag::new(&interval.tag);
        log.write_histogram(
            &histogram_of(&interval.times)?,
            interval.start,
            interval.length,
            tag,
        )
        .map_err(|error| match error {
            IntervalLogWriterError::IoError(error) => error,
            other => std::io::Error::other(format!("{other:?}")),
        })?;
    }
    Ok(())
}

/// The same times as the format has them.
fn histogram_of(times: &Times) -> std::io::Result<Histogram<u64>> {
    let mut histogram = Histogram::new(3).map_err(std::io::Error::other)?;
    histogram.auto(true);
    for (us, count) in times.counts() {
        histogram
            .record_n(us, count)
            .map_err(std::io::Error::other)?;
    }
    Ok(histogram)
}
