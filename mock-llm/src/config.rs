use std::net::SocketAddr;
use std::time::Duration;

use clap::Parser;

use crate::distribution::Distribution;
use crate::fault::Rule;
use crate::gate::{self, Limits};
use crate::settings::Settings;
use crate::shape::{self, Shape};

/// A slow, honest LLM service that keeps a ledger of every stream.
///
/// Times are written as 250ms, 1s or 2m. --ttft and --interval take a distribution: a time (always
/// the same), normal:MEAN,DEVIATION, lognormal:MEDIAN,SIGMA[,cap=LIMIT], or
/// degraded:SHARE,FACTOR,DISTRIBUTION, in which that share of the requests is that many times as slow.
/// What it draws for a token depends on the seed, the x-request-id of the request and the number of
/// the token only.
///
/// A request overrides --ttft, --interval, --chunks, --bytes and --fault by the headers x-mock-ttft,
/// x-mock-interval, x-mock-chunks, x-mock-bytes and x-mock-fault, where "none" is no fault
/// (/slow_stream by its query as well). POST /admin/config changes these five and --max-running,
/// --max-queued and --load-factor while the service runs.
#[derive(Clone, Debug, Parser)]
#[command(version, max_term_width = 80)]
pub struct Config {
    /// Address to serve on; port 0 picks a free port
    #[arg(
        long,
        env = "LISTEN",
        default_value = "127.0.0.1:9000",
        value_name = "ADDR:PORT"
    )]
    pub listen: SocketAddr,

    /// Worker threads of the event loop [default: one per core]
    #[arg(long, env = "WORKER_THREADS", value_name = "N", value_parser = clap::value_parser!(u32).range(1..=1024))]
    pub worker_threads: Option<u32>,

    /// Seed of all that is drawn
    #[arg(long, default_value_t = 0, value_name = "N")]
    pub seed: u64,

    /// Time from a request's arrival to its first token
    #[arg(long, default_value = "200ms", value_name = "DISTRIBUTION")]
    pub ttft: Distribution,

    /// Time from one token to the next
    #[arg(long, default_value = "100ms", value_name = "DISTRIBUTION")]
    pub interval: Distribution,

    /// Tokens of an answer
    #[arg(long, default_value = "100", value_name = "N", value_parser = shape::chunks)]
    pub chunks: u64,

    /// Bytes of padding in each token
    #[arg(long, default_value = "0", value_name = "N", value_parser = shape::bytes)]
    pub bytes: usize,

    /// What goes wrong: status=429 (with a Retry-After: status=429,5s), slow-headers=2s, stall@K,
    /// error@K (with a type: error@K,TYPE), eof@K, cut@K, reset@K, malformed@K (at token K, from 0) or
    /// slice=N (pieces of N bytes). Before it, each with a comma: first=N (only the first N requests; in
    /// a header or query, only attempts whose x-stainless-retry-count is below N), rate=SHARE (only
    /// this share of the requests, by the hash of seed and request id), cap=N (nobody while N faults
    /// are under way)
    #[arg(long, value_name = "FAULT")]
    pub fault: Option<Rule>,

    /// Streams that run at once; what comes on top is queued [default: no limit]
    #[arg(long, env = "MAX_RUNNING", value_name = "N", value_parser = gate::running)]
    pub max_running: Option<u32>,

    /// Streams that wait until they may run; what comes on top is refused with 429
    #[arg(long, env = "MAX_QUEUED", default_value = "100", value_name = "N", value_parser = gate::queued)]
    pub max_queued: u32,

    /// How many times as slow --ttft and --interval are when --max-running streams run; in between,
    /// evenly less
    #[arg(long, default_value = "1", value_name = "FACTOR", value_parser = gate::load_factor, requires = "max_running")]
    pub load_factor: f64,

    /// Send buffer (SO_SNDBUF) of each connection in bytes: a small one lets the service notice early
    /// that nobody reads [default: the kernel's, which grows to megabytes]
    #[arg(long, env = "SEND_BUFFER", value_name = "BYTES", value_parser = clap::value_parser!(u32).range(1..=1 << 30))]
    pub send_buffer: Option<u32>,

    /// Streams at once on one HTTP/2 connection (SETTINGS_MAX_CONCURRENT_STREAMS); a client keeps what
    /// comes on top to itself [default: no limit]
    #[arg(long, env = "MAX_HTTP2_STREAMS", value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub max_http2_streams: Option<u32>,

    /// How long a client may take nothing of what is written to it, on the whole connection
    /// [default: for ever]
    #[arg(long, env = "WRITE_TIMEOUT", value_name = "TIME", value_parser = service::duration)]
    pub write_timeout: Option<Duration>,

    /// Models that are listed; others are answered as well
    #[arg(
        long,
        default_value = "mock-small,mock-large",
        value_name = "NAMES",
        value_delimiter = ','
    )]
    pub models: Vec<String>,

    /// Ended streams that /streams?ended=true remembers
    #[arg(long, default_value_t = 20_000, value_name = "N")]
    pub history: usize,

    /// How long live streams may go on after SIGTERM
    #[arg(long, env = "DRAIN", default_value = "5s", value_name = "TIME", value_parser = service::duration)]
    pub drain: Duration,
}

impl Config {
    /// What can be changed while the service runs.
    #[must_use]
    pub fn settings(&self) -> Settings {
        let shape = Shape {
            ttft: self.ttft.clone(),
            interval: self.interval.clone(),
            chunks: self.chunks,
            bytes: self.bytes,
            fault: self.fault.clone(),
        };
        let limits = Limits {
            max_running: self.max_running,
            max_queued: self.max_queued,
            load_factor: self.load_factor,
        };
        Settings::new(shape, limits)
    }
}

impl Default for Config {
    /// What the flags say when none is given.
    fn default() -> Self {
        Self::parse_from(["mock-llm"])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_flags_are_consistent() {
        use clap::CommandFactory;
        Config::command().debug_assert();
    }

    #[test]
    fn a_bad_flag_is_refused_with_its_syntax() {
        let error = Config::try_parse_from(["mock-llm", "--ttft", "soon"])
            .unwrap_err()
            .to_string();
        assert!(
            error.contains("--ttft") && error.contains("lognormal:200ms,0.5,cap=2s"),
            "{error}"
        );
        assert!(Config::try_parse_from(["mock-llm", "--chunks", "0"]).is_err());
        let error = Config::try_parse_from(["mock-llm", "--load-factor", "2"]).unwrap_err();
        assert!(error.to_string().contains("--max-running"), "{error}");
    }
}
