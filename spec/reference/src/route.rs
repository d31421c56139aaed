//! Rules 3.5 and 3.7 to 3.10: tables of rules, what they are attached to, and what a rule does.

use crate::Question;
use crate::access::Asked;
use crate::edits::Edits;
use crate::line::{self, Line};
use crate::settings::Settings;
use mesh_lang::ast::HostPattern;
use std::collections::{BTreeMap, BTreeSet};

/// The rules of one target and host, which are those of all its `route` statements.
#[derive(Clone, Debug, Default)]
pub(crate) struct Table {
    /// `TARGET` as rules of it are reported (3.5).
    pub(crate) target: String,
    pub(crate) rules: Vec<Rule>,
    pub(crate) otherwise: Option<u16>,
    pub(crate) lines: Vec<Line>,
    /// `beats[a][b]`: line a beats line b (3.4).
    pub(crate) beats: Vec<Vec<bool>>,
    /// 11.11a: who counts for limits of its rules.
    pub(crate) counting: Vec<Asked>,
}

#[derive(Clone, Debug)]
pub(crate) struct Rule {
    pub(crate) name: String,
    pub(crate) overrides: BTreeSet<String>,
    pub(crate) result: RuleResult,
}

/// What 3.5 compares: action, edits and written settings, after names are looked up.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct RuleResult {
    pub(crate) action: Action,
    pub(crate) edits: Edits,
    pub(crate) settings: Settings,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Action {
    /// The share of each backend in basis points; they sum to 10,000 (3.9).
    To(BTreeMap<Backend, u32>),
    Redirect {
        status: u16,
        /// `None`: the request's own, as the edits change it (9.4).
        location: Option<String>,
    },
    Respond {
        status: u16,
        body: String,
    },
}

/// Where a rule sends a request.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Backend {
    pub(crate) service: String,
    pub(crate) port: u16,
    pub(crate) subset: Option<String>,
    /// 3.10: whether the service's own route decides further.
    pub(crate) enters: bool,
}

/// What a table says of a request.
#[derive(Clone, Debug)]
pub(crate) struct Choice {
    pub(crate) result: RuleResult,
    /// As they are reported.
    pub(crate) rules: BTreeSet<String>,
    pub(crate) ambiguous: bool,
}

impl Table {
    /// Works out which line beats which; `lines` are those of the rules.
    pub(crate) fn new(target: String, rules: Vec<(Rule, Vec<Line>)>, otherwise: Option<u16>) -> Table {
        let (rules, lines): (Vec<Rule>, Vec<Vec<Line>>) = rules.into_iter().unzip();
        let lines = lines.concat();
        let beats = line::beats(&lines, |r, s| rules[r].overrides.contains(&rules[s].name));
        Table { target, rules, otherwise, lines, beats, counting: Vec::new() }
    }

    /// 3.5: the maximal lines decide; where none matches, `otherwise`.
    pub(crate) fn ask(&self, request: &Question) -> Option<Choice> {
        let maximal = line::maximal(&self.lines, &self.beats, request);
        let rules = maximal.iter().map(|line| &self.rules[self.lines[*line].rule]);
        let Some(least) = rules.clone().min_by_key(|rule| &rule.name) else {
            return self.otherwise.map(|status| self.answer_otherwise(status));
        };
        Some(Choice {
            result: least.result.clone(),
            ambiguous: rules.clone().any(|rule| rule.result != least.result),
            rules: rules.map(|rule| format!("route {} rule {}", self.target, rule.name)).collect(),
        })
    }

    /// 3.10: the service ports whose routes decide further.
    pub(crate) fn entered(&self) -> impl Iterator<Item = (String, u16)> {
        let backends = self.rules.iter().flat_map(|rule| match &rule.result.action {
            Action::To(backends) => backends.keys().collect::<Vec<_>>(),
            Action::Redirect { .. } | Action::Respond { .. } => Vec::new(),
        });
        backends.filter(|backend| backend.enters).map(|backend| (backend.service.clone(), backend.port))
    }

    fn answer_otherwise(&self, status: u16) -> Choice {
        let action = Action::Respond { status, body: String::new() };
        Choice {
            result: RuleResult { action, edits: Edits::default(), settings: Settings::default() },
            rules: BTreeSet::from([format!("route {} otherwise", self.target)]),
            ambiguous: false,
        }
    }
}

/// 3.7: the tables of a listener that cover a host, the most specific first.
pub(crate) fn tables_of_host<'a>(tables: &'a BTreeMap<HostPattern, Table>, host: &str) -> Vec<&'a Table> {
    let mut covering: Vec<(&HostPattern, &Table)> =
        tables.iter().filter(|(pattern, _)| covers(pattern, host)).collect();
    covering.sort_by_key(|(pattern, _)| width(pattern));
    covering.into_iter().map(|(_, table)| table).collect()
}

/// Of two patterns that cover a host the one of less is more specific.
pub(crate) fn width(pattern: &HostPattern) -> (u8, usize) {
    match pattern {
        HostPattern::Exact(_) => (0, 0),
        HostPattern::OneLabel(_) => (1, 0),
        HostPattern::Labels(name) => (2, usize::MAX - name.len()),
        HostPattern::Any => (3, 0),
    }
}

/// Whether a host is in a pattern.
pub(crate) fn covers(pattern: &HostPattern, host: &str) -> bool {
    let labels_before = |name: &str| {
        host.strip_suffix(name).and_then(|rest| rest.strip_suffix('.')).filter(|rest| !rest.is_empty())
    };
    match pattern {
        HostPattern::Exact(name) => host == name,
        HostPattern::OneLabel(name) => labels_before(name).is_some_and(|label| !label.contains('.')),
        HostPattern::Labels(name) => labels_before(name).is_some(),
        HostPattern::Any => true,
    }
}
