use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::scenario::Method;
use crate::scenario::duration::time;
use crate::scenario::ranges::{HOUR, Range, range};
use crate::units::us;

/// A stream or a phase of one that shall last longer than any cell.
const FOREVER: &str = "1h";

/// Clients that hang up, each on a connection of its own.
///
/// A request is one of a *row* and has its number in it, from 1. Its stage follows from the number;
/// what the upstream has to do so that the stage is reached and lasts follows from the stage, and is
/// asked for by `x-mock-…` headers that the server passes on.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HangUps {
    /// How it is asked.
    #[serde(default)]
    pub method: Method,
    /// Route that is asked for a stream.
    pub path: String,
    /// Size of the chat request that is sent as body, in bytes; none if absent.
    pub body_bytes: Option<u64>,
    /// How many requests.
    pub count: u32,
    /// How many at once; 1 is one after the other.
    #[serde(default = "one")]
    pub concurrency: u32,
    /// Where clients leave, in turn.
    pub stages: Vec<HangUpStage>,
    /// How they leave.
    #[serde(default)]
    pub leave: Leave,
    /// Whether the upstream says nothing any more once the stage is reached.
    #[serde(default)]
    pub silent: bool,
    /// A fault of the upstream, as `x-mock-fault` has it, for stages that need none of their own.
    pub fault: Option<String>,
    /// From the upstream's receiving a request to the first chunk.
    #[serde(deserialize_with = "time")]
    pub ttft: Duration,
    /// Between two chunks.
    #[serde(deserialize_with = "time")]
    pub interval: Duration,
    /// How long the upstream pauses where a client leaves before the head or before the first chunk.
    #[serde(deserialize_with = "time", default = "pause")]
    pub pause: Duration,
    /// Chunks after which a client leaves in mid-stream, and all chunks of a stream whose client stays
    /// for the last one.
    #[serde(default = "tokens")]
    pub tokens: u32,
    /// How long a stream that its client leaves earlier would go on.
    #[serde(deserialize_with = "time")]
    pub length: Duration,
    /// Padding in each chunk.
    #[serde(default)]
    pub bytes: u32,
    /// A request that is served nothing in this time hangs, and is given up.
    #[serde(deserialize_with = "time")]
    pub patience: Duration,
    /// How many requests are still sent after the first one that hangs.
    #[serde(default)]
    pub after_hanging: u32,
    /// Whole streams at once before the baseline is taken, which open what stays open, such as
    /// connections to the upstream that are kept for later.
    #[serde(default)]
    pub warm_up: u32,
    /// The row must be over this long after its start.
    #[serde(deserialize_with = "time", default = "within")]
    pub within: Duration,
    /// From the last hang-up until what is left over is counted.
    #[serde(deserialize_with = "time", default = "settle")]
    pub settle: Duration,
}

/// Where in its stream a client leaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum HangUpStage {
    /// The upstream has the request, as its ledger says, and has not answered.
    BeforeHeaders,
    /// The head of the answer is there, no chunk yet.
    BeforeFirstToken,
    /// Some chunks are there, and more would come.
    MidStream,
    /// The last chunk is there, the end of the stream is not.
    AfterLastContent,
    /// It does not leave: the stream comes to its end.
    Complete,
}

impl HangUpStage {
    /// All of them, in the order in which a stream passes them.
    pub const ALL: [Self; 5] = [
        Self::BeforeHeaders,
        Self::BeforeFirstToken,
        Self::MidStream,
        Self::AfterLastContent,
        Self::Complete,
    ];

    /// As it stands in files.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::BeforeHeaders => "before_headers",
            Self::BeforeFirstToken => "before_first_token",
            Self::MidStream => "mid_stream",
            Self::AfterLastContent => "after_last_content",
            Self::Complete => "complete",
        }
    }
}

/// How a client leaves.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Leave {
    /// It closes its socket: a FIN, or a reset if there is something that it has not read.
    #[default]
    Fin,
    /// It resets the connection.
    Rst,
    /// It is there no more and nobody is told, as when its network fails: the socket stays open and
    /// nothing is read from it.
    Vanish,
}

fn one() -> u32 {
    1
}

fn tokens() -> u32 {
    2
}

fn pause() -> Duration {
    Duration::from_secs(1)
}

fn within() -> Duration {
    Duration::from_secs(120)
}

fn settle() -> Duration {
    Duration::from_secs(5)
}

impl HangUps {
    /// The stage of request `number`, from 1. A load that was validated has one.
    #[must_use]
    pub fn stage(&self, number: u64) -> HangUpStage {
        let turn = number.saturating_sub(1) % (self.stages.len() as u64).max(1);
        let stage = self.stages.get(turn as usize);
        stage.copied().unwrap_or(HangUpStage::Complete)
    }

    /// The headers by which the upstream is asked for a stream that reaches `stage`, and for what it
    /// does then.
    #[must_use]
    pub fn headers(&self, stage: HangUpStage) -> Vec<(&'static str, String)> {
        let pause = match self.silent {
            true => FOREVER.to_owned(),
            false => format!("{}us", us(self.pause)),
        };
        let mut ttft = format!("{}us", us(self.ttft));
        let mut chunks = u64::from(self.tokens) + self.further_chunks();
        let mut fault = self.fault.clone();
        match stage {
            HangUpStage::BeforeHeaders => fault = Some(format!("slow-headers={pause}")),
            HangUpStage::BeforeFirstToken => ttft = pause,
            HangUpStage::MidStream if self.silent => fault = Some(format!("stall@{}", self.tokens)),
            HangUpStage::MidStream => {}
            HangUpStage::AfterLastContent => {
                chunks = self.tokens.into();
                // In small pieces, with a millisecond between two, the end takes long enough for a
                // client to leave before it.
                fault = Some(match self.silent {
                    true => format!("stall@{}", self.tokens),
                    false => "slice=2".to_owned(),
                });
            }
            HangUpStage::Complete => chunks = self.tokens.into(),
        }
        let mut headers = vec![
            ("x-mock-ttft", ttft),
            ("x-mock-interval", format!("{}us", us(self.interval))),
            ("x-mock-chunks", chunks.to_string()),
            ("x-mock-bytes", self.bytes.to_string()),
        ];
        headers.extend(fault.map(|fault| ("x-mock-fault", fault)));
        headers
    }

    /// Chunks that would come after those that a client reads.
    fn further_chunks(&self) -> u64 {
        // In range: validated to be at most a million.
        (self.length.as_secs_f64() / self.interval.as_secs_f64()).ceil() as u64
    }

    /// Most connections that it can have open at once.
    #[must_use]
    pub fn at_once(&self) -> u64 {
        let open = match self.leave {
            Leave::Vanish => self.count,
            Leave::Fin | Leave::Rst => self.concurrency,
        };
        u64::from(open.max(self.warm_up))
    }

    /// Loads are bounded in count and in time, whatever a file says.
    pub(crate) fn ranges(&self) -> Vec<Range> {
        let key = |key: &str| format!("load.hang_ups.{key}");
        let has = |stage| self.stages.contains(&stage);
        let least = Duration::from_millis(1);
        vec![
            range(
                key("path"),
                self.path.starts_with('/'),
                "a path that starts with /",
            ),
            range(
                key("body_bytes"),
                self.body_bytes
                    .is_none_or(|bytes| (1..=16 << 20).contains(&bytes)),
                "1 to 16777216",
            ),
            range(
                key("count"),
                (1..=100_000).contains(&self.count),
                "1 to 100000",
            ),
            range(
                key("concurrency"),
                (1..=1_000).contains(&self.concurrency),
                "1 to 1000",
            ),
            range(
                key("stages"),
                (1..=self.count as usize).contains(&self.stages.len()),
                "at least one, and no more than there are requests",
            ),
            range(
                key("silent"),
                !(self.silent && has(HangUpStage::Complete)),
                "false where a client stays to the end, which a silent upstream never comes to",
            ),
            range(
                key("leave"),
                self.leave != Leave::Vanish || (self.silent && !has(HangUpStage::Complete)),
                "vanish only from a silent upstream: nobody reads what one that streams still sends",
            ),
            range(
                key("fault"),
                self.fault.as_ref().is_none_or(|fault| {
                    let is_own =
                        has(HangUpStage::BeforeHeaders) || has(HangUpStage::AfterLastContent);
                    !(self.silent || is_own || fault.contains("stall@"))
                }),
                "no stall, which `silent` is for, and none where the upstream is silent or a client leaves \
                 before_headers or after_last_content: these are reached by a fault of their own",
            ),
            range(
                key("ttft"),
                self.ttft <= HOUR && self.pause >= least && self.pause <= HOUR,
                "at most 1h, as is `pause`, which is at least 1ms",
            ),
            range(
                key("interval"),
                (least..=HOUR).contains(&self.interval),
                "1ms to 1h",
            ),
            range(
                key("tokens"),
                (1..=1_000).contains(&self.tokens),
                "1 to 1000",
            ),
            range(
                key("length"),
                self.length <= 24 * HOUR
                    && self.length.as_secs_f64() / self.interval.as_secs_f64() <= 9e5,
                "at most 24h and 900000 chunks",
            ),
            range(key("bytes"), self.bytes <= 1 << 20, "at most 1048576"),
            range(
                key("patience"),
                (10 * least..=Duration::from_secs(120)).contains(&self.patience),
                "10ms to 2m",
            ),
            range(key("warm_up"), self.warm_up <= 1_000, "at most 1000"),
            range(key("within"), self.within <= HOUR, "at most 1h"),
            range(
                key("settle"),
                self.settle <= Duration::from_secs(120),
                "at most 2m",
            ),
        ]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    pub(crate) fn spec(more: &str) -> HangUps {
        let text = format!(
            "path = \"/\"\ncount = 10\nttft = \"10ms\"\ninterval = \"100ms\"\nlength = \"10s\"\n\
             patience = \"1s\"\n{more}"
        );
        toml::from_str(&text).expect("a load")
    }

    fn header(spec: &HangUps, stage: HangUpStage, name: &str) -> Option<String> {
        let headers = spec.headers(stage);
        headers
            .into_iter()
            .find_map(|(header, value)| (header == name).then_some(value))
    }

    #[test]
    fn stages_are_used_in_turn_from_the_first_request_on() {
        let spec = spec("stages = [\"before_headers\", \"complete\"]");
        let stages: Vec<_> = (1..=3).map(|number| spec.stage(number)).collect();
        assert_eq!(
            stages,
            [
                HangUpStage::BeforeHeaders,
                HangUpStage::Complete,
                HangUpStage::BeforeHeaders
            ]
        );
    }

    #[test]
    fn the_upstream_is_asked_for_what_makes_a_stage_last() {
        let streaming = spec("stages = [\"mid_stream\"]");
        let silent = spec("stages = [\"mid_stream\"]\nsilent = true");
        let fault = |spec, stage| header(spec, stage, "x-mock-fault");
        let is = |text: &str| Some(text.to_owned());
        assert_eq!(
            fault(&streaming, HangUpStage::BeforeHeaders),
            is("slow-headers=1000000us")
        );
        assert_eq!(
            fault(&silent, HangUpStage::BeforeHeaders),
            is("slow-headers=1h")
        );
        assert_eq!(fault(&streaming, HangUpStage::MidStream), None);
        assert_eq!(fault(&silent, HangUpStage::MidStream), is("stall@2"));
        assert_eq!(
            fault(&streaming, HangUpStage::AfterLastContent),
            is("slice=2")
        );
        assert_eq!(fault(&silent, HangUpStage::AfterLastContent), is("stall@2"));
        let ttft = header(&silent, HangUpStage::BeforeFirstToken, "x-mock-ttft");
        assert_eq!(ttft, is("1h"));
        let chunks = |stage| header(&streaming, stage, "x-mock-chunks");
        assert_eq!(chunks(HangUpStage::MidStream), is("102"));
        assert_eq!(chunks(HangUpStage::Complete), is("2"));
    }

    #[test]
    fn what_cannot_be_reached_is_refused() {
        let fits = |more: &str| spec(more).ranges().iter().all(|range| range.fits);
        assert!(fits("stages = [\"mid_stream\"]\nfault = \"reset@1\""));
        assert!(!fits("stages = [\"before_headers\"]\nfault = \"reset@1\""));
        assert!(!fits("stages = [\"mid_stream\"]\nfault = \"stall@1\""));
        assert!(!fits("stages = [\"complete\"]\nsilent = true"));
        assert!(!fits("stages = [\"mid_stream\"]\nleave = \"vanish\""));
        assert!(!fits("stages = []"));
        let eleven = ["\"mid_stream\""; 11].join(", ");
        assert!(!fits(&format!("stages = [{eleven}]")));
    }
}
