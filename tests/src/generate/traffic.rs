//! Settings, limits and edits.

use super::routing::Owner;
use super::{Draft, Family};
use std::fmt::Write as _;

impl Draft<'_> {
    /// ` { … }`, or nothing.
    pub(super) fn settings_block(&mut self, namespace: &str, percent: u32, family: Family) -> String {
        let settings = self.settings(namespace, percent, family);
        Self::block(&settings)
    }

    /// Settings of a block, with profiles now and then.
    pub(super) fn settings(&mut self, namespace: &str, percent: u32, family: Family) -> String {
        let mut text = self.own_settings(namespace, percent, family);
        if self.chance(percent / 4) {
            let profiles = match family {
                Family::Bytes => vec!["quick"],
                _ => self.pick(&[&["calm"][..], &["quick"], &["calm", "quick"]]).to_vec(),
            };
            let names: Vec<&str> = profiles.into_iter().map(|name| self.shared(namespace, name)).collect();
            let _ = writeln!(text, "    use {}", names.join(", "));
        }
        text
    }

    /// `timeout`, `retry` and so on, each as often as said.
    pub(super) fn own_settings(&mut self, namespace: &str, percent: u32, family: Family) -> String {
        let mut text = String::new();
        if self.chance(percent) && family != Family::Bytes {
            let literal = self.pick(&["none", "1s", "250ms", "2m30s"]);
            let timeout = self.value(namespace, "wait", literal);
            let _ = writeln!(text, "    timeout {timeout}");
        }
        if self.chance(percent) {
            let retry = match family {
                Family::Bytes => "1 on connect-failure".to_owned(),
                _ => self.retry(namespace, family),
            };
            let _ = writeln!(text, "    retry {retry}");
        }
        for (line, share) in [("connect-timeout 100ms", 4), ("idle-timeout 1h", 5), ("idle-timeout none", 9)]
        {
            if self.chance(percent / share) && !text.contains("idle-timeout") {
                let _ = writeln!(text, "    {line}");
            }
        }
        if self.chance(percent / 6) {
            let balancer = match family {
                Family::Bytes => self.pick(&["random", "maglev source-ip"]),
                _ => self.pick(&[
                    "round-robin",
                    "least-request {\n      slow-start 10s\n    }",
                    "peak-ewma",
                    "ring-hash header \"x-kind\"",
                    "maglev cookie \"type\" ttl 1h",
                ]),
            };
            let _ = writeln!(text, "    load-balancer {balancer}");
        }
        text
    }

    fn retry(&mut self, namespace: &str, family: Family) -> String {
        match self.rng.u32(..8) {
            0 => "none".to_owned(),
            1 => "1 on connect-failure".to_owned(),
            2 => "2 on reset, 503".to_owned(),
            3 => "2 on gateway-error, 500".to_owned(),
            4 => {
                // A try that times out and is made again is refused wherever the callee waits longer.
                let also = if self.chance(4) { "timeout" } else { "reset" };
                format!(
                    "1 on 5xx, {also} {{\n      per-try-timeout 100ms\n      backoff 25ms..250ms\n      methods POST\n    }}"
                )
            }
            5 if family == Family::Grpc => "1 on grpc-unavailable".to_owned(),
            6 => format!("{} on reset", self.value(namespace, "tries", "1")),
            _ => format!(
                "1 on 504 {{\n      budget 20% min 10/s over 10s\n      buffer {}\n    }}",
                self.value(namespace, "room", "64KiB")
            ),
        }
    }

    /// What a rule may say of settings.
    pub(super) fn rule_settings(&mut self, namespace: &str, family: Family, gets: bool) -> String {
        let mut text = String::new();
        if self.chance(20) && family != Family::Bytes {
            let timeout = self.pick(&["none", "1s", "500ms"]);
            let _ = writeln!(text, "    timeout {timeout}");
        }
        if self.chance(20) {
            let retry = match family {
                Family::Bytes => "none".to_owned(),
                // What may not be sent twice is tried again after a failed connection only.
                _ if !gets => "1 on connect-failure".to_owned(),
                _ => self.retry(namespace, family),
            };
            let _ = writeln!(text, "    retry {retry}");
        }
        if self.chance(4) {
            text.push_str("    idle-timeout 10s\n");
        }
        if self.chance(6) {
            let profile = if family == Family::Bytes { "patient" } else { self.pick(&["calm", "patient"]) };
            let _ = writeln!(text, "    use {}", self.shared(namespace, profile));
        }
        text
    }

    pub(super) fn circuit_breaker(&mut self) -> String {
        let most = self.pick(&["max-connections 10", "max-pending-requests 5", "max-requests 100"]);
        let wait = self.pick(&["", "    pending-timeout 10ms\n"]);
        format!("  circuit-breaker {{\n    {most}\n{wait}  }}\n")
    }

    pub(super) fn outlier_detection(&mut self) -> String {
        let when = self.pick(&["consecutive-gateway-errors 3", "consecutive-5xx 5", "success-rate 50%"]);
        let more = self.pick(&["", "    max-ejection-time 2m\n", "    min-hosts 3\n"]);
        format!(
            "  outlier-detection {{\n    {when}\n    interval 10s\n    base-ejection-time 30s\n    max-ejection-percent 50% min 1\n{more}  }}\n"
        )
    }

    /// Limits of what comes in at a place.
    pub(super) fn limits(&mut self, namespace: &str, percent: u32, knows_clients: bool) -> String {
        let mut text = String::new();
        if self.chance(percent) {
            let pace = self.value(namespace, "pace", "50/m");
            let key = self.pick(&["", " per source-ip", " per header \"x-kind\"", " per source"]);
            let burst = self.pick(&["", " burst 10"]);
            let audit = self.pick(&["", "", " audit"]);
            let _ = writeln!(text, "    rate-limit local {pace}{burst}{key}{audit}");
        }
        if self.chance(percent / 3) {
            let by = self.shared(namespace, "counter");
            let key = if knows_clients { "client-ip" } else { "header \"user-agent\"" };
            let _ = writeln!(text, "    rate-limit global 10/m per {key} by {by}");
        }
        if self.chance(percent / 2) {
            let room = self.value(namespace, "room", "2MiB");
            let _ = writeln!(text, "    max-request-body {room}");
        }
        text
    }

    /// What a rule does besides sending requests on; `prefixes`: its lines have prefixes that can be replaced.
    pub(super) fn edits(&mut self, owner: &Owner<'_>, prefixes: bool, gets: bool) -> String {
        let mut text = String::new();
        if self.chance(88) {
            return text;
        }
        match self.rng.u32(..4) {
            0 => {
                let path = self.pick(&["/a", "/b/a", "/c/", "/shop.Cart/Add"]);
                let _ = writeln!(text, "    rewrite path {path}");
            }
            1 | 2 if prefixes => {
                let prefix = self.pick(&["/", "/b", "/a/b", "/c/"]);
                let _ = writeln!(text, "    rewrite prefix {prefix}");
            }
            _ => {}
        }
        if self.chance(25) {
            text.push_str("    rewrite host \"inside.example\"\n");
        }
        let mut edits = vec![
            "request-header set \"x-kind\" \"a\"",
            "request-header add \"x-kind\" \"b\"",
            "request-header remove \"user-agent\"",
            "request-header add \"x-kind\" \"ab\"",
            "request-header set \"user-agent\" \"ab\"",
            "response-header set \"x-by\" \"mesh\"",
            "response-header add \"x-by\" \"us\"",
            "response-header remove \"x-kind\"",
        ];
        self.rng.shuffle(&mut edits);
        let mut seen: Vec<String> = Vec::new();
        for edit in edits.into_iter().take(self.rng.usize(..4)) {
            let header = edit.split('"').nth(1).unwrap_or_default();
            let whose = &edit[..3];
            // What is set or removed is so once.
            let key = format!("{whose}{header}");
            if edit.contains(" add ") || !seen.contains(&key) {
                let _ = writeln!(text, "    {edit}");
            }
            if !edit.contains(" add ") {
                seen.push(key);
            }
        }
        if !self.has_production && self.chance(40) {
            let fault = self.pick(&["fault delay 10ms 50%", "fault abort 503 10%"]);
            let _ = writeln!(text, "    {fault}");
        }
        if self.chance(30)
            && let Some(backend) = self.some_backend(owner)
        {
            let _ = writeln!(text, "    mirror {backend} 5% including-writes");
        }
        if owner.seen() == Family::Http && self.chance(30) {
            text += self.pick(&[
                if gets { "    upgrade websocket\n" } else { "" },
                "    cors {\n      allow-origins \"*\"\n      allow-methods GET, POST\n      expose-headers \"x-kind\"\n      max-age 1h\n    }\n",
                "    cors {\n      allow-origins \"https://*.shop.example\"\n      allow-headers \"x-kind\"\n      allow-credentials\n    }\n",
            ]);
        }
        text += &self.limits(owner.namespace, 30, false);
        text
    }
}
