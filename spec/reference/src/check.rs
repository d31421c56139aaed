//! What rules 3.4 to 3.8, 5.4 and 5.7 call an error, found by trying a sample of every kind of request.

use crate::hop;
use crate::line::{self, Line, Request, Set, Universe};
use crate::program::{Calls, Listener, Program};
use crate::route::{Action, Table, tables_of_host};
use mesh_lang::ast::{Effect, HostPattern, Method};
use std::collections::BTreeSet;

/// A mistake: which rule of which target.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Finding {
    /// 3.5: the maximal lines of some request disagree; 5.4: so do the settings of a call.
    AmbiguousRules(String),
    /// 3.6: no line of the rule is maximal for any possible request, or conditions of a line exclude each other; or nothing is
    /// left for an `otherwise`.
    UnreachableRule(String),
    /// 3.4: an `overrides` decides nothing, or lines beat each other in a circle.
    OverridesNothing(String),
    /// 3.4: an `overrides` of something narrower.
    OverridesNarrower(String),
    /// 3.8: a request can reach the end without an answer.
    IncompleteRoute(String),
    /// 5.7: every request of a declared call is denied.
    UnallowedCall(String),
}

impl Finding {
    /// The code of `spec/diagnostics/` for it.
    pub fn code(&self) -> &'static str {
        match self {
            Finding::AmbiguousRules(_) => "MESH3001",
            Finding::UnreachableRule(_) => "MESH3002",
            Finding::OverridesNothing(_) => "MESH3003",
            Finding::OverridesNarrower(_) => "MESH3004",
            Finding::IncompleteRoute(_) => "MESH3007",
            Finding::UnallowedCall(_) => "MESH4010",
        }
    }
}

pub(crate) fn findings(program: &Program) -> BTreeSet<Finding> {
    let mut findings = BTreeSet::new();
    for (name, service) in &program.services {
        for table in service.routes.values() {
            of_table(table, &mut findings);
            of_chain(&[table], &mut findings);
            of_otherwise(std::iter::once(table), &[vec![table]], &mut findings);
        }
        for calls in service.calls.values() {
            of_calls(name, calls, &mut findings);
        }
    }
    for (caller, service) in &program.services {
        for ((callee, port), calls) in &service.calls {
            if is_refused(program, caller, callee, *port, calls) {
                findings.insert(Finding::UnallowedCall(format!("calls {callee} of {caller}")));
            }
        }
    }
    for listener in program.gateways.values().flat_map(|gateway| gateway.listeners.values()) {
        of_listener(listener, &mut findings);
    }
    findings
}

/// 3.7, 3.8
fn of_listener(listener: &Listener, findings: &mut BTreeSet<Finding>) {
    listener.tables.values().for_each(|table| of_table(table, findings));
    // Patterns contain each other or have nothing in common, so one host that is in a pattern and in none of the narrower
    // ones stands for all of them.
    let mut chains = Vec::new();
    for host in listener.hosts.iter().chain(listener.tables.keys()) {
        let chain = tables_of_host(&listener.tables, &sample(host, &listener.tables));
        match chain.as_slice() {
            [] => {
                findings.insert(Finding::IncompleteRoute(format!("host \"{host}\"")));
            }
            chain => of_chain(chain, findings),
        }
        chains.push(chain);
    }
    of_otherwise(listener.tables.values(), &chains, findings);
}

/// 3.6: an `otherwise` answers if some request gets through the rules of its table and of the narrower ones before it.
fn of_otherwise<'t>(
    tables: impl Iterator<Item = &'t Table>,
    chains: &[Vec<&Table>],
    findings: &mut BTreeSet<Finding>,
) {
    let mut answering = BTreeSet::new();
    for chain in chains {
        let Some(last) = chain.iter().position(|table| table.otherwise.is_some()) else { continue };
        let lines: Vec<Line> = chain[..=last].iter().flat_map(|table| table.lines.clone()).collect();
        let kinds = Kinds::of(&lines);
        if kinds.any(|point| kinds.matching(point).is_empty()) {
            answering.insert(&chain[last].target);
        }
    }
    for table in tables.filter(|table| table.otherwise.is_some() && !answering.contains(&table.target)) {
        findings.insert(Finding::UnreachableRule(format!("route {} otherwise", table.target)));
    }
}

/// A host that is in the pattern and in no narrower one of the tables.
fn sample(pattern: &HostPattern, tables: &std::collections::BTreeMap<HostPattern, Table>) -> String {
    // Longer than every label of every pattern, so it is part of none of them.
    let length = tables.keys().map(|pattern| pattern.to_string().len()).max().unwrap_or(0) + 1;
    let fresh = "z".repeat(length);
    match pattern {
        HostPattern::Exact(name) => name.to_string(),
        HostPattern::OneLabel(name) => format!("{fresh}.{name}"),
        HostPattern::Labels(name) => format!("{fresh}.{fresh}.{name}"),
        HostPattern::Any => fresh,
    }
}

/// 3.8: asks the tables one after the other, as 3.7 does. The path `*` is left out of this question.
fn of_chain(chain: &[&Table], findings: &mut BTreeSet<Finding>) {
    if chain.iter().any(|table| table.otherwise.is_some()) {
        return;
    }
    let lines: Vec<Line> = chain.iter().flat_map(|table| table.lines.clone()).collect();
    let kinds = Kinds::of(&lines);
    if kinds.any(|point| !kinds.is_star(point) && kinds.matching(point).is_empty()) {
        findings.insert(Finding::IncompleteRoute(chain[0].target.clone()));
    }
}

fn of_table(table: &Table, findings: &mut BTreeSet<Finding>) {
    let title = |rule: usize| format!("route {} rule {}", table.target, table.rules[rule].name);
    of_overrides(table, &title, findings);
    let kinds = Kinds::of(&table.lines);
    let mut reached: BTreeSet<usize> = BTreeSet::new();
    kinds.any(|point| {
        let maximal = kinds.maximal(&table.beats, point);
        let rules: BTreeSet<usize> = maximal.iter().map(|line| table.lines[*line].rule).collect();
        let mut results = rules.iter().map(|rule| &table.rules[*rule].result);
        let first = results.next();
        if results.any(|result| Some(result) != first) {
            findings.insert(Finding::AmbiguousRules(table.target.clone()));
        }
        reached.extend(rules);
        false
    });
    for (line, set) in table.lines.iter().zip(&kinds.sets) {
        // Methods and paths have no line that is in none of them, so it is the conditions that exclude each other.
        if set.is_empty() {
            reached.remove(&line.rule);
        }
    }
    for rule in (0..table.rules.len()).filter(|rule| !reached.contains(rule)) {
        findings.insert(Finding::UnreachableRule(title(rule)));
    }
}

/// 3.4
fn of_overrides(table: &Table, title: &impl Fn(usize) -> String, findings: &mut BTreeSet<Finding>) {
    let universe = Universe::of(&table.lines);
    let sets: Vec<(usize, Set)> =
        table.lines.iter().map(|line| (line.rule, Set::of(line, &universe))).collect();
    for (r, rule) in table.rules.iter().enumerate() {
        for (s, _) in table.rules.iter().enumerate().filter(|(_, other)| rule.overrides.contains(&other.name))
        {
            let pairs = sets.iter().filter(|(rule, _)| *rule == r).flat_map(|(_, mine)| {
                let theirs = sets.iter().filter(|(rule, _)| *rule == s).map(|(_, theirs)| theirs);
                theirs.filter(|theirs| mine.overlaps(theirs)).map(move |theirs| (mine, theirs))
            });
            let pairs: Vec<(&Set, &Set)> = pairs.collect();
            if pairs.iter().any(|(mine, theirs)| theirs.is_narrower(mine)) {
                findings.insert(Finding::OverridesNarrower(title(r)));
            }
            if !pairs.iter().any(|(mine, theirs)| !mine.is_narrower(theirs) && !theirs.is_narrower(mine)) {
                findings.insert(Finding::OverridesNothing(title(r)));
            }
        }
    }
    if has_circle(&table.beats) {
        findings.insert(Finding::OverridesNothing(table.target.clone()));
    }
}

/// Takes away, again and again, the lines that beat nothing that is left.
fn has_circle(beats: &[Vec<bool>]) -> bool {
    let mut left: BTreeSet<usize> = (0..beats.len()).collect();
    loop {
        let done: Vec<usize> = left.iter().copied().filter(|a| !left.iter().any(|b| beats[*a][*b])).collect();
        if done.is_empty() {
            return !left.is_empty();
        }
        left.retain(|line| !done.contains(line));
    }
}

/// 5.4
fn of_calls(caller: &str, calls: &Calls, findings: &mut BTreeSet<Finding>) {
    let kinds = Kinds::of(&calls.lines);
    let disagree = |point: &[usize]| {
        let maximal = kinds.maximal(&calls.beats, point);
        let settings: Vec<_> = maximal.iter().map(|line| &calls.settings[calls.lines[*line].rule]).collect();
        settings.iter().any(|other| *other != settings[0])
    };
    if kinds.any(disagree) {
        findings.insert(Finding::AmbiguousRules(format!("calls of {caller}")));
    }
}

/// 5.7: whether every request of some line of a call is denied, behind the routes that it meets. Where nobody may call, 4.2 says so.
fn is_refused(program: &Program, caller: &str, callee: &str, port: u16, calls: &Calls) -> bool {
    let of_port = |service: &str, port: u16| {
        let service = program.services.get(service);
        let lines = service.into_iter().flat_map(|service| &service.access);
        lines.filter(move |line| line.port.is_none_or(|own| own == port))
    };
    if !of_port(callee, port).any(|line| line.effect == Effect::Allow) {
        return false;
    }
    let mut met: Vec<Line> = Vec::new();
    let (mut left, mut known) = (vec![(callee.to_owned(), port)], BTreeSet::new());
    while let Some(place) = left.pop() {
        if !known.insert(place.clone()) {
            continue;
        }
        met.extend(of_port(&place.0, place.1).flat_map(|line| line.ops.iter().cloned()));
        let table = program.services.get(&place.0).and_then(|service| service.routes.get(&place.1));
        met.extend(table.into_iter().flat_map(|table| table.lines.iter().cloned()));
        for rule in table.into_iter().flat_map(|table| &table.rules) {
            if let Action::To(backends) = &rule.result.action {
                left.extend(backends.keys().map(|backend| (backend.service.clone(), backend.port)));
            }
        }
    }
    let plain = calls.plain.iter().map(|_| Line::default());
    let mut lines = calls.lines.iter().cloned().chain(plain);
    lines.any(|line| {
        let kinds = Kinds::of(&[met.as_slice(), std::slice::from_ref(&line)].concat());
        let mine = kinds.sets.len() - 1;
        let passes = |point: &[usize]| {
            kinds.sets[mine].contains(point)
                && !hop::is_denied(program, caller, callee, port, &kinds.request(point))
        };
        !kinds.any(passes)
    })
}

/// All kinds of request that some lines can tell apart: points of the product of their universe.
struct Kinds {
    universe: Universe,
    /// How many samples each dimension has.
    sizes: Vec<usize>,
    sets: Vec<Set>,
}

impl Kinds {
    fn of(lines: &[Line]) -> Kinds {
        let universe = Universe::of(lines);
        let headers = universe.headers.values().map(Vec::len);
        Kinds {
            sizes: [universe.methods.len(), universe.paths.len()].into_iter().chain(headers).collect(),
            sets: lines.iter().map(|line| Set::of(line, &universe)).collect(),
            universe,
        }
    }

    /// The sample at a point.
    fn request(&self, point: &[usize]) -> Request {
        let headers = self.universe.headers.iter().zip(&point[2..]);
        Request {
            method: self.universe.methods.iter().nth(point[0]).copied().flatten(),
            path: self.universe.paths[point[1]].clone(),
            headers: headers.map(|((name, values), place)| (name.clone(), values[*place].clone())).collect(),
        }
    }

    fn matching(&self, point: &[usize]) -> Vec<usize> {
        (0..self.sets.len()).filter(|line| self.sets[*line].contains(point)).collect()
    }

    fn maximal(&self, beats: &[Vec<bool>], point: &[usize]) -> Vec<usize> {
        line::unbeaten(&self.matching(point), beats)
    }

    /// Whether this holds of some point; asks one after the other.
    fn any(&self, mut holds: impl FnMut(&[usize]) -> bool) -> bool {
        let mut point = vec![0; self.sizes.len()];
        loop {
            if self.is_possible(&point) && holds(&point) {
                return true;
            }
            let Some(place) = (0..point.len()).find(|place| point[*place] + 1 < self.sizes[*place]) else {
                return false;
            };
            point[..place].fill(0);
            point[place] += 1;
        }
    }

    /// 1.4: the path `*` is asked for with `OPTIONS` only.
    fn is_possible(&self, point: &[usize]) -> bool {
        !self.is_star(point) || self.universe.methods.iter().nth(point[0]) == Some(&Some(Method::Options))
    }

    fn is_star(&self, point: &[usize]) -> bool {
        self.universe.paths[point[1]] == "*"
    }
}
