//! Every mistake we can name: THE table. A code without a page in `spec/diagnostics/` does not compile.
//!
//! Hundreds group by what the author got wrong (1 text, 2 names and ownership, 3 routing, 4 authorization, 5 resilience
//! and call graph, 6 style, 7 import and export, 8 plan, 9 cluster), so a check may move between modules without
//! renumbering. A retired number is never reused. Names read after "allow".

use super::Severity;

macro_rules! codes {
    ($($variant:ident $code:literal $severity:ident $name:literal,)*) => {
        /// A mistake that has a name.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub enum Code { $($variant,)* }

        impl Code {
            /// All codes, in order of their number.
            pub const ALL: &'static [Code] = &[$(Code::$variant,)*];

            /// The stable code, `MESH` and four digits.
            pub fn as_str(self) -> &'static str {
                match self { $(Code::$variant => $code,)* }
            }

            /// The name that reads after "allow".
            pub fn name(self) -> &'static str {
                match self { $(Code::$variant => $name,)* }
            }

            /// How much it matters unless the check knows better.
            pub fn severity(self) -> Severity {
                match self { $(Code::$variant => Severity::$severity,)* }
            }

            /// The code of this number, with or without `MESH`, or of this name.
            pub fn find(written: &str) -> Option<Code> {
                let number = written.to_ascii_uppercase();
                let name = written.to_ascii_lowercase();
                let is_it = |code: &&Code| {
                    code.as_str() == number || code.as_str().strip_prefix("MESH") == Some(&number) || code.name() == name
                };
                Code::ALL.iter().find(is_it).copied()
            }

            /// The page that `mesh explain` prints: Markdown.
            pub fn page(self) -> &'static str {
                match self {
                    $(Code::$variant => include_str!(concat!(
                        env!("CARGO_MANIFEST_DIR"), "/../spec/diagnostics/", $code, ".md"
                    )),)*
                }
            }
        }
    };
}

codes! {
    InvalidUtf8          "MESH1001" Error   "invalid-utf8",
    TooLarge             "MESH1002" Error   "too-large",
    UnexpectedCharacter  "MESH1003" Error   "unexpected-character",
    UnterminatedString   "MESH1004" Error   "unterminated-string",
    UnbalancedBrace      "MESH1005" Error   "unbalanced-brace",
    UnexpectedToken      "MESH1006" Error   "unexpected-token",
    UnknownStatement     "MESH1007" Error   "unknown-statement",
    DuplicateStatement   "MESH1008" Error   "duplicate-statement",
    TooDeep              "MESH1009" Error   "too-deep",
    NotYetExecuted       "MESH1010" Error   "not-yet-executed",
    MissingStatement     "MESH1011" Error   "missing-statement",
    InvalidValue         "MESH1012" Error   "invalid-value",
    NonCanonicalPath     "MESH1013" Error   "non-canonical-path",
    InvalidName          "MESH1014" Error   "invalid-name",
    UnknownName          "MESH2001" Error   "unknown-name",
    DuplicateName        "MESH2002" Error   "duplicate-name",
    UnknownSubset        "MESH2003" Error   "unknown-subset",
    PortNeeded           "MESH2004" Error   "port-needed",
    ListenerNeeded       "MESH2005" Error   "listener-needed",
    ForeignStatement     "MESH2010" Error   "foreign-statement",
    NotExported          "MESH2020" Error   "not-exported",
    UnusedName           "MESH2021" Warning "unused-name",
    AmbiguousRules       "MESH3001" Error   "ambiguous-rules",
    UnreachableRule      "MESH3002" Error   "unreachable-rule",
    OverridesNothing     "MESH3003" Error   "overrides-nothing",
    OverridesNarrower    "MESH3004" Error   "overrides-narrower",
    DeadLine             "MESH3005" Warning "dead-line",
    HostOutsideListener  "MESH3006" Error   "host-outside-listener",
    IncompleteRoute      "MESH3007" Error   "incomplete-route",
    RouteCycle           "MESH3009" Error   "route-cycle",
    ListenerConflict     "MESH3010" Error   "listener-conflict",
    FailedTest           "MESH3050" Error   "failed-test",
    EmptyDescription     "MESH3051" Error   "empty-description",
    StrangersUnasked     "MESH3052" Warning "strangers-unasked",
    AnalysisBudget       "MESH3090" Error   "analysis-budget",
    NoAuthorize          "MESH4001" Warning "no-authorize",
    AllowWithoutFrom     "MESH4002" Error   "allow-without-from",
    DenySparesStrangers  "MESH4003" Error   "deny-spares-strangers",
    EmptyPrincipals      "MESH4004" Error   "empty-principals",
    RedundantLine        "MESH4005" Warning "redundant-line",
    SharedIdentity       "MESH4006" Warning "shared-identity",
    UnallowedCall        "MESH4010" Error   "unallowed-call",
    UncalledAllow        "MESH4011" Warning "uncalled-allow",
    DeadGrant            "MESH4012" Error   "dead-grant",
    RefusedCheck         "MESH4013" Error   "refused-check",
    AuditInProduction    "MESH4020" Error   "audit-in-production",
    AuditExpired         "MESH4021" Error   "audit-expired",
    RetryCircle          "MESH5001" Warning "retry-circle",
    RetryAmplification   "MESH5002" Warning  "retry-amplification",
    NoTimeForRetries     "MESH5003" Warning "no-time-for-retries",
    ImpatientCaller      "MESH5004" Warning "impatient-caller",
    MissingBreaker       "MESH5005" Warning "missing-circuit-breaker",
    ProtocolMismatch     "MESH5006" Error   "protocol-mismatch",
    UnknownPeers         "MESH5007" Error   "unknown-peers",
    WeightsNotHundred    "MESH5008" Error   "weights-not-hundred",
    VainFailover         "MESH5009" Error   "vain-failover",
    MirrorCircle         "MESH5010" Warning "mirror-circle",
    OrphanService        "MESH5011" Warning "orphan-service",
    UnsafeRetry          "MESH5012" Warning "unsafe-retry",
    FaultInProduction    "MESH5013" Error   "fault-in-production",
    MirroredWrites       "MESH5020" Error   "mirrored-writes",
    CutUpgrade           "MESH5021" Warning "cut-upgrade",
    LostHeader           "MESH5022" Warning "lost-header",
    VainStatement        "MESH5040" Error   "vain-statement",
    UnverifiedTls        "MESH5041" Warning "unverified-tls",
    OverlappingSubsets   "MESH5042" Warning "overlapping-subsets",
    InvalidSuppression   "MESH6001" Error   "invalid-suppression",
    UnusedSuppression    "MESH6002" Warning "unused-suppression",
    NotAPlan             "MESH8001" Error   "not-a-plan",
    TruncatedPlan        "MESH8002" Error   "truncated-plan",
    NewerPlan            "MESH8003" Error   "newer-plan",
    CorruptPlan          "MESH8004" Error   "corrupt-plan",
}
