//! From where each number of a draw comes. `docs/truth.md` shows this table.

use std::ops::Range;

/// A number of a service.
#[derive(Clone, Debug)]
pub struct Drawn {
    /// What it is.
    pub what: &'static str,
    /// Its unit; empty for a count.
    pub unit: &'static str,
    /// From where to where.
    pub range: Range<f64>,
    /// Whether each order of magnitude is as frequent as the others.
    pub by_magnitude: bool,
}

macro_rules! ranges {
    ($($name:ident: $what:literal, $unit:literal, $low:literal .. $high:literal, $by_magnitude:literal;)*) => {
        $(
            #[doc = $what]
            pub const $name: Drawn = Drawn {
                what: $what,
                unit: $unit,
                range: $low..$high,
                by_magnitude: $by_magnitude,
            };
        )*
        /// All of them, in the order of the page.
        pub const ALL: &[Drawn] = &[$($name),*];
    };
}

ranges! {
    CAPACITY: "places of a pool, a limit or a queue", "", 1.0..65.0, true;
    FIRST_BYTE: "from the request to the first byte", "ms", 20.0..5_000.0, true;
    GAP: "from one chunk to the next", "ms", 20.0..400.0, true;
    ANSWER: "a short answer, which comes whole at its end", "ms", 50.0..5_000.0, true;
    SHORT_STREAM: "a stream that ends and is asked for again", "ms", 500.0..6_000.0, true;
    HEALTH: "a health check that waits for nobody", "ms", 0.3..20.0, true;
    SPREAD: "spread of every time: standard deviation of its logarithm", "", 0.02..0.2, false;
    PAUSES: "pauses of the machine in a second", "", 0.0..0.3, false;
    PAUSE: "a pause of the machine", "ms", 20.0..100.0, true;
    COLD: "how much longer the very first stream takes, in half of the draws", "ms", 100.0..2_000.0, true;
    PATIENCE: "how long a queue is endured before 503, in a quarter of the limits", "s", 5.0..31.0, true;
    RETRY_AFTER: "Retry-After, in a third of those that shed with a status", "s", 1.0..30.0, true;
    CORES: "cores", "", 1.0..9.0, true;
    BLOCK: "how long each chunk has the loop to itself", "ms", 0.2..60.0, true;
    PROMPT: "how long each request has the loop to itself at its beginning", "ms", 20.0..800.0, true;
    STALL: "how long the loop is blocked now and then", "ms", 100.0..2_000.0, true;
    LOAD_CLEAR: "work for a loop or for cores at the largest step, in what they can do: clear draws", "×", 2.5..12.0, true;
    LOAD_NEAR: "the same near the border", "×", 0.7..2.5, true;
    LOAD_LIGHT: "the same, with room enough", "×", 0.01..0.5, true;
    GROWN_CLEAR: "how many times slower all streams are at the largest step: clear draws", "×", 3.5..30.0, true;
    GROWN_NEAR: "the same near the border", "×", 1.05..3.5, true;
    KEPT_LONG: "how long a place is kept for nobody, if not for ever", "s", 20.0..90.0, true;
    KEPT_NEAR: "the same near the border", "s", 0.5..18.0, true;
    GROWTH: "after how long a growing pool adds a thread", "ms", 100.0..1_000.0, true;
    DEATH: "after how long under load a process ends", "s", 0.5..12.0, true;
    DOWN: "how long nothing listens after that", "s", 0.5..3.0, true;
    FREEZE: "how long nothing at all runs", "s", 1.5..3.0, false;
    FREEZE_AT: "when that begins", "s", 3.0..20.0, false;
}
