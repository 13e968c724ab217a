use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::load::table::{Parameters, Table};
use crate::names::names;
use crate::scenario::Method;
use crate::scenario::duration::{count, seconds, time};
use crate::scenario::ranges::{HOUR, Range, Ranges, ms};
use crate::units::us;

/// The length of a stream, or of a phase of one, that must outlast every cell.
const FOREVER: &str = "1h";

/// Clients that hang up, each on a connection of its own.
///
/// Requests form a *row*, numbered from 1. The number decides the stage. The stage decides what the
/// upstream must do so that the stage is reached and lasts. `x-mock-…` headers, which the server passes
/// on, ask the upstream for that.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HangUpSpec {
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
    #[serde(default = "count::<1>")]
    pub concurrency: u32,
    /// Where clients leave, in turn.
    pub stages: Vec<HangUpStage>,
    /// How they leave.
    #[serde(default)]
    pub leave: Leave,
    /// True if the upstream sends nothing after the stage is reached.
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
    #[serde(deserialize_with = "time", default = "seconds::<1>")]
    pub pause: Duration,
    /// Chunks after which a client leaves in mid-stream, and all chunks of a stream whose client stays
    /// for the last one.
    #[serde(default = "count::<2>")]
    pub tokens: u32,
    /// How long a stream that its client leaves earlier would go on.
    #[serde(deserialize_with = "time")]
    pub length: Duration,
    /// Padding in each chunk.
    #[serde(default)]
    pub bytes: u32,
    /// A request that is served nothing in this time hangs, and its client gives up.
    #[serde(deserialize_with = "time")]
    pub patience: Duration,
    /// How many requests are still sent after the first one that hangs.
    #[serde(default)]
    pub after_hanging: u32,
    /// Whole streams before the baseline is taken, all at the same time. They open what stays open, such
    /// as connections to the upstream that are kept for later.
    #[serde(default)]
    pub warm_up: u32,
    /// The row must be over this long after its start.
    #[serde(deserialize_with = "time", default = "seconds::<120>")]
    pub within: Duration,
    /// From the last hang-up until what is left over is counted.
    #[serde(deserialize_with = "time", default = "seconds::<5>")]
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

names!(HangUpStage {
    BeforeHeaders = "before_headers",
    BeforeFirstToken = "before_first_token",
    MidStream = "mid_stream",
    AfterLastContent = "after_last_content",
    Complete = "complete",
});

/// How a client leaves.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Leave {
    /// It closes its socket: a FIN, or a reset if there is something that it has not read.
    #[default]
    Fin,
    /// It resets the connection.
    Rst,
    /// It vanishes without a FIN, as when its network fails: the socket stays open and nothing is read
    /// from it.
    Vanish,
}

impl HangUpSpec {
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
                // The end comes in small pieces, a millisecond apart. So it takes long enough for a
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
}

impl Table for HangUpSpec {
    fn within(&self) -> Duration {
        self.within
    }

    fn at_once(&self) -> u64 {
        let open = match self.leave {
            Leave::Vanish => self.count,
            Leave::Fin | Leave::Rst => self.concurrency,
        };
        u64::from(open.max(self.warm_up))
    }

    fn name(&self, parameters: &mut Parameters) {
        parameters.count("hang_ups", self.count);
        parameters.count("at_once", self.concurrency);
        parameters.time("patience_us", self.patience);
        parameters.time("interval_us", self.interval);
    }

    fn without_steps(&self) -> Option<&'static str> {
        Some("no steps beside [load.hang_ups], whose row is one")
    }

    fn ranges(&self) -> Vec<Range> {
        let has = |stage| self.stages.contains(&stage);
        let needs_a_fault = has(HangUpStage::BeforeHeaders) || has(HangUpStage::AfterLastContent);
        let further = self.length.as_secs_f64() / self.interval.as_secs_f64();
        Ranges::of("load.hang_ups")
            .path("path", &self.path)
            .within("body_bytes", self.body_bytes, 1..=16 << 20)
            .within("count", self.count, 1..=100_000)
            .within("concurrency", self.concurrency, 1..=1_000)
            .must(
                "stages",
                (1..=self.count as usize).contains(&self.stages.len()),
                "at least one, and no more than there are requests",
            )
            .must(
                "silent",
                !(self.silent && has(HangUpStage::Complete)),
                "false where a client stays to the end, which a silent upstream never comes to",
            )
            .must(
                "leave",
                self.leave != Leave::Vanish || (self.silent && !has(HangUpStage::Complete)),
                "vanish only from a silent upstream: nobody reads what one that streams still sends",
            )
            .must(
                "fault",
                self.fault
                    .as_ref()
                    .is_none_or(|fault| !(self.silent || needs_a_fault || fault.contains("stall@"))),
                "no stall, which `silent` is for, and none where the upstream is silent or a client leaves \
                 before_headers or after_last_content: these are reached by a fault of their own",
            )
            .must(
                "ttft",
                self.ttft <= HOUR && (ms(1)..=HOUR).contains(&self.pause),
                "at most 1h, as is `pause`, which is at least 1ms",
            )
            .within("interval", self.interval, ms(1)..=HOUR)
            .within("tokens", self.tokens, 1..=1_000)
            .must(
                "length",
                self.length <= 24 * HOUR && further <= 9e5,
                "at most 24h and 900000 chunks",
            )
            .at_most("bytes", self.bytes, 1 << 20)
            .within("patience", self.patience, ms(10)..=ms(120_000))
            .at_most("warm_up", self.warm_up, 1_000)
            .at_most("within", self.within, HOUR)
            .at_most("settle", self.settle, ms(120_000))
            .into_vec()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    pub(crate) fn spec(more: &str) -> HangUpSpec {
        let text = format!(
            "path = \"/\"\ncount = 10\nttft = \"10ms\"\ninterval = \"100ms\"\nlength = \"10s\"\n\
             patience = \"1s\"\n{more}"
        );
        toml::from_str(&text).expect("a load")
    }

    fn header(spec: &HangUpSpec, stage: HangUpStage, name: &str) -> Option<String> {
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
