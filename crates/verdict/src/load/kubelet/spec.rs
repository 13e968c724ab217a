use std::time::Duration;

use serde::Deserialize;

use crate::load::table::{Parameters, Table};
use crate::scenario::duration::count;
use crate::scenario::ranges::{Range, Ranges};

/// Probes the server, and kills and restarts its process, as a node's kubelet does with a container.
/// Fields, defaults and units are Kubernetes' own. Only `time_scale` is the lab's.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct KubeletSpec {
    /// Restarts the container when it fails.
    pub liveness_probe: Option<KubeletProbe>,
    /// Says whether the pod may get traffic. Here it is only counted and reported. No traffic is held
    /// back, because there is no other pod to send it to.
    pub readiness_probe: Option<KubeletProbe>,
    /// From SIGTERM to SIGKILL.
    #[serde(default = "count::<30>")]
    pub termination_grace_period_seconds: u32,
    /// Multiplies all of these times, and the back-off: 0.1 for a run of a tenth of the length. 1 if
    /// absent.
    #[serde(default = "unscaled", rename = "time_scale")]
    pub time_scale: f64,
}

/// An `httpGet` probe.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct KubeletProbe {
    /// What is asked, with its query.
    pub path: String,
    /// Between two probes.
    #[serde(default = "count::<10>")]
    pub period_seconds: u32,
    /// A probe that is not answered in this time after it was sent has failed.
    #[serde(default = "count::<1>")]
    pub timeout_seconds: u32,
    /// Failures in a row that make a failure.
    #[serde(default = "count::<3>")]
    pub failure_threshold: u32,
    /// Successes in a row that make a success after a failure; of a liveness probe, 1.
    #[serde(default = "count::<1>")]
    pub success_threshold: u32,
    /// From the start of the container to the first probe.
    #[serde(default)]
    pub initial_delay_seconds: u32,
}

/// The rules of one probe, with the times of this run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "as in KubeletProbe")]
pub struct ProbeRules {
    pub period: Duration,
    pub timeout: Duration,
    pub initial_delay: Duration,
    pub failure_threshold: u32,
    pub success_threshold: u32,
}

/// `minimumGracePeriodInSeconds` of the kubelet: no container gets less.
const LEAST_GRACE_SECONDS: u32 = 2;

/// The first back-off of a container that ends again, and the longest.
const BACK_OFF_SECONDS: (u32, u32) = (10, 300);

fn unscaled() -> f64 {
    1.0
}

impl KubeletSpec {
    /// The rules of the liveness probe, if there is one.
    #[must_use]
    pub fn liveness(&self) -> Option<ProbeRules> {
        self.liveness_probe.as_ref().map(|probe| self.rules(probe))
    }

    /// The rules of the readiness probe, if there is one.
    #[must_use]
    pub fn readiness(&self) -> Option<ProbeRules> {
        self.readiness_probe.as_ref().map(|probe| self.rules(probe))
    }

    /// The rules of `probe` in this run.
    #[must_use]
    pub fn rules(&self, probe: &KubeletProbe) -> ProbeRules {
        ProbeRules {
            period: self.scaled(probe.period_seconds),
            timeout: self.scaled(probe.timeout_seconds),
            initial_delay: self.scaled(probe.initial_delay_seconds),
            failure_threshold: probe.failure_threshold,
            success_threshold: probe.success_threshold,
        }
    }

    /// From SIGTERM to SIGKILL in this run, and at least the kubelet's own minimum.
    #[must_use]
    pub fn grace(&self) -> Duration {
        self.scaled(
            self.termination_grace_period_seconds
                .max(LEAST_GRACE_SECONDS),
        )
    }

    /// The first and the longest back-off in this run.
    #[must_use]
    pub fn back_off(&self) -> (Duration, Duration) {
        let (first, longest) = BACK_OFF_SECONDS;
        (self.scaled(first), self.scaled(longest))
    }

    fn scaled(&self, seconds: u32) -> Duration {
        Duration::from_secs(u64::from(seconds)).mul_f64(self.time_scale)
    }
}

impl Table for KubeletSpec {
    fn at_once(&self) -> u64 {
        0
    }

    fn name(&self, parameters: &mut Parameters) {
        if let Some(liveness) = self.liveness() {
            parameters.time("liveness_period_us", liveness.period);
            parameters.time("liveness_timeout_us", liveness.timeout);
            parameters.count("liveness_failures", liveness.failure_threshold);
            parameters.time("grace_us", self.grace());
        }
    }

    /// As the kubelet's own validation has it, and bounded.
    fn ranges(&self) -> Vec<Range> {
        let liveness = self.liveness_probe.as_ref();
        let own = Ranges::of("kubelet")
            .within("time_scale", self.time_scale, 0.01..=1.0)
            .at_most(
                "terminationGracePeriodSeconds",
                self.termination_grace_period_seconds,
                3600,
            )
            .must(
                "",
                liveness.is_some() || self.readiness_probe.is_some(),
                "a [kubelet.livenessProbe] or a [kubelet.readinessProbe], or both",
            )
            .must(
                "livenessProbe.successThreshold",
                liveness.is_none_or(|probe| probe.success_threshold == 1),
                "1, as of every liveness probe",
            );
        let of = |name: &str, probe: &Option<KubeletProbe>| {
            let ranges = probe.as_ref().map(|probe| probe.ranges(name));
            ranges.unwrap_or_default()
        };
        let mut ranges = own.into_vec();
        ranges.extend(of("livenessProbe", &self.liveness_probe));
        ranges.extend(of("readinessProbe", &self.readiness_probe));
        ranges
    }
}

impl KubeletProbe {
    fn ranges(&self, name: &str) -> Vec<Range> {
        Ranges::of(format!("kubelet.{name}"))
            .path("path", &self.path)
            .within("periodSeconds", self.period_seconds, 1..=3600)
            .within("timeoutSeconds", self.timeout_seconds, 1..=3600)
            .within("failureThreshold", self.failure_threshold, 1..=3600)
            .within("successThreshold", self.success_threshold, 1..=3600)
            .within("initialDelaySeconds", self.initial_delay_seconds, 0..=3600)
            .into_vec()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> KubeletSpec {
        toml::from_str(text).expect("a kubelet")
    }

    fn refused(text: &str) -> Vec<String> {
        let ranges = read(text).ranges();
        let wrong = ranges.into_iter().filter(|range| !range.fits);
        wrong.map(|range| range.key).collect()
    }

    #[test]
    fn the_defaults_are_those_of_kubernetes() {
        let kubelet = read("livenessProbe = { path = \"/livez\" }");
        let probe = kubelet.liveness_probe.as_ref().expect("a probe");
        let rules = kubelet.rules(probe);
        let seconds = Duration::from_secs;
        assert_eq!((rules.period, rules.timeout), (seconds(10), seconds(1)));
        assert_eq!((rules.failure_threshold, rules.success_threshold), (3, 1));
        assert_eq!(rules.initial_delay, Duration::ZERO);
        assert_eq!(kubelet.grace(), seconds(30));
        assert_eq!(kubelet.back_off(), (seconds(10), seconds(300)));
        assert!(refused("livenessProbe = { path = \"/livez\" }").is_empty());
    }

    #[test]
    fn the_scale_shortens_every_time_and_no_count() {
        let kubelet = read(
            "time_scale = 0.1\nterminationGracePeriodSeconds = 5\n\
             readinessProbe = { path = \"/\", periodSeconds = 5, timeoutSeconds = 2, initialDelaySeconds = 3 }",
        );
        let probe = kubelet.readiness_probe.as_ref().expect("a probe");
        let rules = kubelet.rules(probe);
        let millis = Duration::from_millis;
        assert_eq!((rules.period, rules.timeout), (millis(500), millis(200)));
        assert_eq!(rules.initial_delay, millis(300));
        assert_eq!(rules.failure_threshold, 3);
        assert_eq!(kubelet.grace(), millis(500));
        assert_eq!(kubelet.back_off(), (millis(1_000), millis(30_000)));
    }

    #[test]
    fn no_container_gets_less_grace_than_the_kubelet_gives() {
        let text = "terminationGracePeriodSeconds = 0\nlivenessProbe = { path = \"/\" }";
        assert_eq!(read(text).grace(), Duration::from_secs(2));
    }

    #[test]
    fn unknown_keys_and_parts_of_seconds_are_refused() {
        for text in [
            "livenessProbe = { path = \"/\", period = 5 }",
            "livenessProbe = { path = \"/\", periodSeconds = 0.5 }",
            "livenessProbe = { path = \"/\" }\ntimeScale = 0.1",
            "livenessProbe = {}",
        ] {
            assert!(toml::from_str::<KubeletSpec>(text).is_err(), "{text}");
        }
    }

    #[test]
    fn what_kubernetes_would_refuse_is_refused() {
        let wrong = [
            (
                "livenessProbe = { path = \"/\", successThreshold = 2 }",
                "kubelet.livenessProbe.successThreshold",
            ),
            (
                "readinessProbe = { path = \"/\", periodSeconds = 0 }",
                "kubelet.readinessProbe.periodSeconds",
            ),
            ("time_scale = 1.0", "kubelet"),
        ];
        for (text, key) in wrong {
            assert_eq!(refused(text), [key], "{text}");
        }
        assert!(refused("readinessProbe = { path = \"/\", successThreshold = 2 }").is_empty());
    }
}
