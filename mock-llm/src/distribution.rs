use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use crate::dice::Draw;

/// The longest time that a distribution may name or yield.
const LONGEST: Duration = Duration::from_secs(24 * 3600);

/// How long something takes: always the same, or drawn anew each time.
///
/// Written as `200ms`, `normal:MEAN,DEVIATION` (`normal:200ms,20ms`; never below zero) or
/// `lognormal:MEDIAN,SIGMA[,cap=LIMIT]` (`lognormal:200ms,0.5,cap=2s`; sigma is that of the
/// logarithm). Times are those of humantime: `400us`, `1s 500ms`.
#[derive(Clone, Copy, Debug, PartialEq)]
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
}

/// A distribution that cannot be read.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("{reason}; write 200ms, normal:200ms,20ms or lognormal:200ms,0.5,cap=2s")]
pub struct BadDistribution {
    reason: String,
}

impl Distribution {
    /// The time for one draw.
    #[must_use]
    pub fn sample(&self, draw: Draw) -> Duration {
        match *self {
            Self::Constant(time) => time,
            Self::Normal { mean, deviation } => {
                seconds(mean.as_secs_f64() + deviation.as_secs_f64() * draw.normal())
            }
            Self::LogNormal { median, sigma, cap } => {
                seconds(median.as_secs_f64() * (sigma * draw.normal()).exp()).min(cap)
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
        let arguments: Vec<&str> = arguments.split(',').map(str::trim).collect();
        match (name, arguments.as_slice()) {
            ("constant", [value]) => time(value).map(Self::Constant),
            ("normal", [mean, deviation]) => Ok(Self::Normal {
                mean: time(mean)?,
                deviation: time(deviation)?,
            }),
            ("lognormal", [median, sigma, rest @ ..]) => Ok(Self::LogNormal {
                median: time(median)?,
                sigma: parse_sigma(sigma)?,
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
        }
    }
}

/// Clamps to zero and [`LONGEST`]: a wide lognormal may exceed what a `Duration` holds.
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

fn parse_sigma(text: &str) -> Result<f64, BadDistribution> {
    text.parse()
        .ok()
        .filter(|sigma| (0.0..=10.0).contains(sigma))
        .ok_or_else(|| bad(format!("sigma '{text}' is not a number from 0 to 10")))
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
            .map(|k| distribution.sample(dice.draw(k)))
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
    fn a_wide_distribution_neither_overflows_nor_goes_below_zero() {
        assert_eq!(samples("lognormal:10h,10")[20_000], LONGEST);
        assert_eq!(samples("normal:1ms,1s")[0], Duration::ZERO);
    }
}
