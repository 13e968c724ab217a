use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use clap::builder::{PossibleValuesParser, TypedValueParser};
use clap::{ArgAction, Args};

use crate::{BulkheadArgs, RuntimeKind, duration};

/// The flags of both servers; each is an environment variable as well.
#[derive(Args, Clone, Debug)]
pub struct ServerArgs {
    /// Address to serve on; port 0 picks a free port
    #[arg(
        long,
        env = "LISTEN",
        default_value = "127.0.0.1:8000",
        value_name = "ADDR:PORT"
    )]
    pub listen: SocketAddr,

    /// Address of the watchdog, whose gauges stay readable while everything else is stuck
    #[arg(
        long,
        env = "GAUGES",
        default_value = "127.0.0.1:0",
        value_name = "ADDR:PORT"
    )]
    pub gauges: SocketAddr,

    /// The upstream whose streams are relayed
    #[arg(
        long,
        env = "UPSTREAM",
        default_value = "http://127.0.0.1:9000",
        value_name = "URL"
    )]
    pub upstream: String,

    /// Speak HTTP/2 with the upstream, from the first byte on (fixed server, stream and disconnect)
    #[arg(long, env = "UPSTREAM_HTTP2")]
    pub upstream_http2: bool,

    /// Asked in turn when the upstream before fails before its first byte, by the fixed server's
    /// disconnect routes; may be given several times
    #[arg(long, env = "FALLBACK", value_name = "URL", value_delimiter = ',')]
    pub fallback: Vec<String>,

    /// Threads of the blocking pool (Tokio's own default is 512, Starlette's is 40)
    #[arg(long, env = "POOL_THREADS", default_value_t = 4, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=10_000))]
    pub pool_threads: u32,

    /// How the event loop is made of threads: multi-thread (one runtime, its workers share tasks and
    /// I/O) or single-threaded (one runtime on each thread, all accepting from one listener)
    #[arg(long, env = "RUNTIME", value_enum, hide_possible_values = true, default_value_t = RuntimeKind::MultiThread, value_name = "KIND")]
    pub runtime: RuntimeKind,

    /// Worker threads of the event loop [default: one per core; 1 if single-threaded]
    #[arg(long, env = "WORKER_THREADS", value_name = "N", value_parser = clap::value_parser!(u32).range(1..=1024))]
    pub worker_threads: Option<u32>,

    /// Wake another worker to wait for I/O before a task is run (an unstable option of Tokio)
    #[cfg(tokio_unstable)]
    #[arg(long, env = "EAGER_DRIVER_HANDOFF")]
    pub eager_driver_handoff: bool,

    /// Whether a connection serves more than one request
    #[arg(long, env = "KEEP_ALIVE", default_value = "on", value_name = "on|off", action = ArgAction::Set, value_parser = switch())]
    pub keep_alive: bool,

    /// Threads of the fixed server that parse large bodies [default: one less than there are cores]
    #[arg(long, env = "CPU_THREADS", value_name = "N", value_parser = clap::value_parser!(u32).range(1..=1024))]
    pub cpu_threads: Option<u32>,

    /// How long to wait for a connection to the upstream
    #[arg(long, env = "CONNECT_TIMEOUT", default_value = "5s", value_name = "TIME", value_parser = duration)]
    pub connect_timeout: Duration,

    /// How long the upstream may stay silent, before its first byte and between two chunks
    #[arg(long, env = "IDLE_TIMEOUT", default_value = "60s", value_name = "TIME", value_parser = duration)]
    pub idle_timeout: Duration,

    /// How long a whole stream may take
    #[arg(long, env = "TOTAL_TIMEOUT", default_value = "600s", value_name = "TIME", value_parser = duration)]
    pub total_timeout: Duration,

    /// How long a client may take nothing of what is written to it
    #[arg(long, env = "WRITE_TIMEOUT", default_value = "60s", value_name = "TIME", value_parser = duration)]
    pub write_timeout: Duration,

    /// Upstream exchanges at most; what is over it is refused with 503 (by the disconnect routes after
    /// a wait of --connect-timeout)
    #[arg(long, env = "MAX_UPSTREAM", default_value_t = 4096, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    pub max_upstream: u32,

    /// Connections to the upstream at most; who comes later waits for one, however long that takes (the
    /// broken server's stream, variant capped)
    #[arg(long, env = "UPSTREAM_CONNECTIONS", default_value_t = 100, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    pub upstream_connections: u32,

    /// Share of keys whose streams take the async path, in percent, until it is changed at run time (the
    /// broken server's rollout routes)
    #[arg(long, env = "ASYNC_ROLLOUT_PERCENTAGE", default_value_t = 0, value_name = "0..100", value_parser = clap::value_parser!(u8).range(0..=100))]
    pub async_rollout_percentage: u8,

    /// Seed of the assignment of keys to paths
    #[arg(long, env = "ROLLOUT_SEED", default_value_t = 0, value_name = "N")]
    pub rollout_seed: u64,

    /// Run this variant of a failure instead of its plain form
    #[arg(long, env = "VARIANT", value_name = "NAME")]
    pub variant: Option<String>,

    /// Log each JSON body as text into this file, which holds the last one only
    #[arg(long, env = "LOG_BODIES", value_name = "FILE")]
    pub log_bodies: Option<PathBuf>,

    /// How long live streams may go on after SIGTERM
    #[arg(long, env = "DRAIN", default_value = "10s", value_name = "TIME", value_parser = duration)]
    pub drain: Duration,

    /// Bulkheads. The last, because their heading would hold for what follows.
    #[command(flatten)]
    pub bulkheads: BulkheadArgs,
}

impl ServerArgs {
    /// Places in the queue of a bulkhead that has as many threads as the pool: `--queue`, or one for
    /// each thread.
    #[must_use]
    pub fn queue(&self) -> usize {
        self.bulkheads.queue.unwrap_or(self.pool_threads) as usize
    }
}

fn switch() -> impl TypedValueParser<Value = bool> {
    PossibleValuesParser::new(["on", "off"]).map(|word| word == "on")
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Flags {
        #[command(flatten)]
        server: ServerArgs,
    }

    #[test]
    fn addresses_are_loopback_unless_told_otherwise() {
        let defaults = Flags::parse_from(["server"]).server;
        assert!(defaults.listen.ip().is_loopback());
        assert!(defaults.gauges.ip().is_loopback());
        let told = Flags::parse_from(["server", "--listen", "0.0.0.0:80"]).server;
        assert!(told.listen.ip().is_unspecified());
    }

    #[test]
    fn fallbacks_are_asked_in_the_order_in_which_they_are_given() {
        let defaults = Flags::parse_from(["server"]).server;
        assert!(defaults.fallback.is_empty());
        let flags = ["server", "--fallback", "http://a", "--fallback", "http://b"];
        assert_eq!(
            Flags::parse_from(flags).server.fallback,
            ["http://a", "http://b"]
        );
    }

    #[test]
    fn a_switch_is_on_unless_it_is_turned_off() {
        let keep_alive = |flags: &[&str]| {
            let flags = ["server"].iter().chain(flags);
            Flags::try_parse_from(flags).map(|flags| flags.server.keep_alive)
        };
        assert!(keep_alive(&[]).expect("parses"));
        assert!(keep_alive(&["--keep-alive", "on"]).expect("parses"));
        assert!(!keep_alive(&["--keep-alive", "off"]).expect("parses"));
        assert!(keep_alive(&["--keep-alive", "no"]).is_err());
    }

    #[test]
    fn a_rollout_percentage_over_100_is_refused() {
        let percentage = |given: &str| {
            let flags = ["server", "--async-rollout-percentage", given];
            Flags::try_parse_from(flags).map(|flags| flags.server.async_rollout_percentage)
        };
        assert_eq!(percentage("100").expect("parses"), 100);
        assert!(percentage("101").is_err());
        assert!(percentage("-1").is_err());
        let defaults = Flags::parse_from(["server"]).server;
        assert_eq!(defaults.async_rollout_percentage, 0);
    }

    #[test]
    fn a_time_without_a_unit_is_told_what_one_looks_like() {
        let refused = Flags::try_parse_from(["server", "--drain", "5"]);
        let message = refused.err().expect("refused").to_string();
        assert!(message.contains("write a time such as 250ms"), "{message}");
    }
}
