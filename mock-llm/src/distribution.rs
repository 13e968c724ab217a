use std::fmt;
use std::ops::RangeInclusive;
use std::str::FromStr;
use std::time::Duration;

use serde::{Serialize, Serializer};

use crate::dice::Draw;

/// The longest time that a distribution may name or yield.
const LONGEST: Duration = Duration::from_secs(24 * 3600);

/// How long something takes: always the same, or drawn anew each time.
///
/// Written as `200ms`, `normal:MEAN,DEVIATION` (`normal:200ms,20ms`; never below zero),
/// `lognormal:MEDIAN,SIGMA[,cap=LIMIT]` (`lognormal:200ms,0.5,cap=2s`; sigma is that of the
/// logarithm) or `degraded:SHARE,FACTOR,DISTRIBUTION` (`degraded:0.05,10,normal:200ms,20ms`: one
/// request in twenty is ten times as slow). Times are those of humantime: `400us`, `1s 500ms`.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Distribution {
    /// Always the same time.
    Constant(Duration),
    /// Normal, cut off below zero.
    Normal {
        /// Its mean.
        mean: Duration,
        /// Its standard deviation.
        deviation: Duration,
    },
    /// Lognormal, as latencies mostly are.
    LogNormal {
        /// Its median.
        median: Duration,
        /// Standard deviation of the logarithm.
        sigma: f64,
        /// What a draw is at most.
        cap: Duration,
    },
    /// A mixture: some requests are slower as a whole, as behind a degraded replica.
    Degraded {
        /// The share of requests that are slow, from 0 to 1.
        share: f64,
        /// How many times as slow.
        factor: f64,
        /// What the others get.
        of: Box<Distribution>,
    },
}

/// A distribution that cannot be read.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "{reason}; write 200ms, normal:200ms,20ms, lognormal:200ms,0.5,cap=2s or \
     degraded:0.05,10,normal:200ms,20ms"
)]
pub struct BadDistribution {
    reason: String,
}

impl Distribution {
    /// The time of one token, by its draw and the draw of its request.
    #[must_use]
    pub fn sample(&self, token: Draw, request: Draw) -> Duration {
        match self {
            Self::Constant(time) => *time,
            Self::Normal { mean, deviation } => {
                seconds(mean.as_secs_f64() + deviation.as_secs_f64() * token.normal())
            }
            Self::LogNormal { median, sigma, cap } => {
                seconds(median.as_secs_f64() * (sigma * token.normal()).exp()).min(*cap)
            }
            Self::Degraded { share, factor, of } => {
                let time = of.sample(token, request);
                if request.u < *share {
                    scaled(time, *factor)
                } else {
                    time
                }
            }
        }
    }
}

impl FromStr for Distribution {
    type Err = BadDistribution;

    fn from_str(text: &str) -> Result<Self, BadDistribution> {
        let Some((name, arguments)) = text.split_once(':') else {
            return time(text).map(Self::Constant);
        };
        if name == "degraded" {
            return degraded(arguments);
        }
        let arguments: Vec<&str> = arguments.split(',').map(str::trim).collect();
        match (name, arguments.as_slice()) {
            ("constant", [value]) => time(value).map(Self::Constant),
            ("normal", [mean, deviation]) => Ok(Self::Normal {
                mean: time(mean)?,
                deviation: time(deviation)?,
            }),
            ("lognormal", [median, sigma, rest @ ..]) => Ok(Self::LogNormal {
                median: time(median)?,
                sigma: number("sigma", sigma, 0.0..=10.0)?,
                cap: parse_cap(rest)?,
            }),
            ("constant" | "normal" | "lognormal", _) => {
                Err(bad(format!("wrong number of arguments in '{text}'")))
            }
            _ => Err(bad(format!("unknown distribution '{name}'"))),
        }
    }
}

impl fmt::Display for Distribution {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let time = humantime::format_duration;
        match self {
            Self::Constant(value) => write!(f, "{}", time(*value)),
            Self::Normal { mean, deviation } => {
                write!(f, "normal:{},{}", time(*mean), time(*deviation))
            }
            Self::LogNormal { median, sigma, cap } => {
                write!(f, "lognormal:{},{sigma},cap={}", time(*median), time(*cap))
            }
            Self::Degraded { share, factor, of } => write!(f, "degraded:{share},{factor},{of}"),
        }
    }
}

impl Serialize for Distribution {
    /// As it is written.
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// `time` multiplied by `factor`, a day at most. A factor of 1 changes nothing, not even by rounding.
#[must_use]
pub fn scaled(time: Duration, factor: f64) -> Duration {
    if factor == 1.0 {
        time
    } else {
        seconds(time.as_secs_f64() * factor)
    }
}

/// Seconds as a time from zero to [`LONGEST`]. A wide lognormal may exceed what a `Duration` holds.
fn seconds(value: f64) -> Duration {
    Duration::try_from_secs_f64(value.clamp(0.0, LONGEST.as_secs_f64())).unwrap_or(LONGEST)
}

fn time(text: &str) -> Result<Duration, BadDistribution> {
    let time = humantime::parse_duration(text.trim())
        .map_err(|error| bad(format!("'{text}' is not a time ({error})")))?;
    if time > LONGEST {
        return Err(bad(format!("'{text}' is more than 24h")));
    }
    Ok(time)
}

fn degraded(arguments: &str) -> Result<Distribution, BadDistribution> {
    let parts: Vec<&str> = arguments.splitn(3, ',').map(str::trim).collect();
    let [share, factor, of] = parts[..] else {
        return Err(bad(format!("too few arguments in 'degraded:{arguments}'")));
    };
    let of: Distribution = of.parse()?;
    if matches!(of, Distribution::Degraded { .. }) {
        return Err(bad("a mixture of a mixture".into()));
    }
    Ok(Distribution::Degraded {
        share: number("share", share, 0.0..=1.0)?,
        factor: number("factor", factor, 0.0..=1_000_000.0)?,
        of: Box::new(of),
    })
}

fn number(what: &str, text: &str, range: RangeInclusive<f64>) -> Result<f64, BadDistribution> {
    text.parse()
        .ok()
        .filter(|number| range.contains(number))
        .ok_or_else(|| {
            let (least, most) = range.into_inner();
            bad(format!(
                "{what} '{text}' is not a number from {least} to {most}"
            ))
        })
}

fn parse_cap(rest: &[&str]) -> Result<Duration, BadDistribution> {
    match rest {
        [] => Ok(LONGEST),
        [cap] => match cap.strip_prefix("cap=") {
            Some(limit) => time(limit),
            None => Err(bad(format!("'{cap}' is not cap=LIMIT"))),
        },
        _ => Err(bad("too many arguments".into())),
    }
}

fn bad(reason: String) -> BadDistribution {
    BadDistribution { reason }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dice::Dice;

    fn samples(text: &str) -> Vec<Duration> {
        let distribution: Distribution = text.parse().unwrap();
        let dice = Dice::new(3, "samples");
        let mut times: Vec<_> = (0..20_001)
            .map(|k| distribution.sample(dice.draw(k), dice.request()))
            .collect();
        times.sort();
        times
    }

    #[test]
    fn what_is_printed_reads_back() {
        for text in [
            "200ms",
            "400us",
            "normal:200ms,20ms",
            "lognormal:200ms,0.5,cap=2s",
            "degraded:0.05,10,lognormal:200ms,0.5,cap=2s",
            "degraded:1,0.5,200ms",
        ] {
            let distribution: Distribution = text.parse().unwrap();
            assert_eq!(distribution.to_string(), text);
        }
    }

    #[test]
    fn nonsense_is_refused_with_the_reason_and_the_syntax() {
        for text in [
            "",
            "200",
            "-1ms",
            "uniform:1s,2s",
            "normal:1s",
            "lognormal:1s,x",
            "lognormal:1s,0.5,2s",
            "25h",
            "degraded:0.05,10",
            "degraded:2,10,1s",
            "degraded:0.1,-1,1s",
            "degraded:0.1,10,degraded:0.1,10,1s",
        ] {
            let error = text.parse::<Distribution>().unwrap_err().to_string();
            assert!(error.contains("write 200ms"), "{text}: {error}");
        }
    }

    #[test]
    fn a_deviation_below_a_millisecond_is_not_lost() {
        let times = samples("normal:100ms,400us");
        let spread = times[17_000] - times[3_000];
        // 15 % to 85 % of a normal distribution is 2.07 deviations.
        assert!(
            spread > Duration::from_micros(780) && spread < Duration::from_micros(880),
            "{spread:?}"
        );
    }

    #[test]
    fn a_lognormal_has_its_median_and_respects_its_cap() {
        let times = samples("lognormal:200ms,0.5,cap=400ms");
        let median = times[10_000];
        assert!(
            median > Duration::from_millis(195) && median < Duration::from_millis(205),
            "{median:?}"
        );
        assert_eq!(times[20_000], Duration::from_millis(400));
    }

    #[test]
    fn a_share_of_the_requests_is_slower_from_first_to_last() {
        let distribution: Distribution = "degraded:0.2,10,normal:100ms,1ms".parse().unwrap();
        let slow = (0..2_000)
            .filter(|request| {
                let dice = Dice::new(5, &format!("request-{request}"));
                let is_slow = |k| {
                    let time = distribution.sample(dice.draw(k), dice.request());
                    time > Duration::from_millis(500)
                };
                let first = is_slow(0);
                assert!((1..10).all(|k| is_slow(k) == first), "{request} changes");
                first
            })
            .count();
        assert!((340..=460).contains(&slow), "{slow} of 2000 are slow");
    }

    #[test]
    fn a_wide_distribution_neither_overflows_nor_goes_below_zero() {
        assert_eq!(samples("lognormal:10h,10")[20_000], LONGEST);
        assert_eq!(samples("normal:1ms,1s")[0], Duration::ZERO);
    }
}
