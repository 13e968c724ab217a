use std::fmt;
use std::str::FromStr;

use serde::{Serialize, Serializer};

use super::kind::{BadFault, Fault};
use crate::dice::Dice;
use crate::number::number;

/// A fault and the requests that it befalls, written `[first=N,][rate=SHARE,][cap=N,]FAULT`. It befalls
/// the requests that meet all the conditions before it; without a condition, all requests.
#[derive(Clone, Debug, PartialEq)]
pub struct Rule {
    /// What goes wrong.
    pub fault: Fault,
    /// `first=N`: only the first N requests.
    pub first: Option<u64>,
    /// `rate=SHARE`: this share of the requests, from 0 to 1. A request's own dice decide, so the
    /// same request ids fail in any order of arrival, and a repeat with the same id fails again.
    pub rate: Option<f64>,
    /// `cap=N`: no request while N faults are under way, those of other rules included.
    pub cap: Option<u64>,
}

impl Rule {
    /// Whether the fault befalls a request, apart from the cap. `nth` is the number of requests before it.
    #[must_use]
    pub fn befalls(&self, nth: u64, dice: Dice) -> bool {
        self.first.is_none_or(|first| nth < first)
            && self.rate.is_none_or(|rate| dice.fault().u < rate)
    }
}

impl FromStr for Rule {
    type Err = BadFault;

    fn from_str(text: &str) -> Result<Self, BadFault> {
        let (mut first, mut rate, mut cap) = (None, None, None);
        let mut rest = text.trim();
        let bad = |reason| BadFault {
            text: text.into(),
            reason,
        };
        while let Some((condition, after)) = rest.split_once(',') {
            match condition.split_once('=') {
                Some(("first", n)) => first = Some(number(n, 0, u64::MAX).map_err(bad)?),
                Some(("rate", share)) => rate = Some(number(share, 0.0, 1.0).map_err(bad)?),
                Some(("cap", n)) => cap = Some(number(n, 0, u64::MAX).map_err(bad)?),
                _ => break,
            }
            rest = after.trim_start();
        }
        let fault = rest.parse().map_err(|error: BadFault| bad(error.reason))?;
        Ok(Self {
            fault,
            first,
            rate,
            cap,
        })
    }
}

impl fmt::Display for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(first) = self.first {
            write!(f, "first={first},")?;
        }
        if let Some(rate) = self.rate {
            write!(f, "rate={rate},")?;
        }
        if let Some(cap) = self.cap {
            write!(f, "cap={cap},")?;
        }
        self.fault.fmt(f)
    }
}

impl Serialize for Rule {
    /// As it is written.
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_rule_reads_back_as_it_is_printed() {
        for text in [
            "stall@3",
            "first=3,status=503,5s",
            "rate=0.1,reset@5",
            "first=10,rate=0.5,cap=2,error@3,overloaded_error",
        ] {
            assert_eq!(text.parse::<Rule>().unwrap().to_string(), text);
        }
        let spaced: Rule = "cap=2, first=1, status=429".parse().unwrap();
        assert_eq!((spaced.cap, spaced.first), (Some(2), Some(1)));
    }

    #[test]
    fn nonsense_is_refused_and_quoted_as_it_was_written() {
        for text in [
            "first=3",
            "rate=2,eof@1",
            "cap=x,eof@1",
            "rate=nan,eof@1",
            "first=1,",
        ] {
            let error = text.parse::<Rule>().unwrap_err().to_string();
            assert!(
                error.starts_with(&format!("'{text}' is not a fault")),
                "{error}"
            );
        }
    }

    #[test]
    fn the_first_n_fail_and_then_none() {
        let rule: Rule = "first=3,eof@0".parse().unwrap();
        let failed = (0..10).filter(|nth| rule.befalls(*nth, Dice::new(0, "any")));
        assert_eq!(failed.collect::<Vec<_>>(), [0, 1, 2]);
    }

    #[test]
    fn a_rate_is_met_and_depends_on_the_request_alone() {
        let rule: Rule = "rate=0.1,eof@0".parse().unwrap();
        let befalls = |nth, n| rule.befalls(nth, Dice::new(9, &format!("request-{n}")));
        let forwards: Vec<bool> = (0..5_000).map(|n| befalls(n, n)).collect();
        let mut backwards: Vec<bool> = (0..5_000).rev().map(|n| befalls(4_999 - n, n)).collect();
        backwards.reverse();
        assert_eq!(forwards, backwards);
        let failed = forwards.iter().filter(|failed| **failed).count();
        assert!((430..=570).contains(&failed), "{failed} of 5000");
    }
}
