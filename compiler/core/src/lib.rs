//! Sources in, plan and diagnostics out. Pure: the drivers do the I/O.
//!
//! [`Project`] is the pipeline, each line a verb from one form of the mesh to the next; read the modules in that order.

#![deny(clippy::disallowed_methods, reason = "pure: the driver does the I/O")]

pub mod case;

mod bits;
mod check;
pub mod compare;
mod day;
pub mod describe;
mod diagram;
mod echo;
mod example;
mod executed;
mod lower;
mod model;
mod partition;
mod quantified;
mod rank;
mod resolve;
mod shown;
mod space;
mod suppression;
pub mod survey;
#[cfg(test)]
mod testing;
pub mod trim;
pub mod values;
mod witness;
mod workspace;

pub use day::Day;
pub use space::Budget;
pub use suppression::Suppressed;
pub use survey::Survey;
pub use workspace::{Edited, InEffect, Workspace};

use echo::Wounds;
use mesh_lang::statement::Statement;
use mesh_lang::{Code, Diagnostic, Diagnostics, FileId, Source, SourceSet, Span, Text, ast, expand};
use model::{Endpoint, GatewayId, Model, ServiceId};
use partition::{Owner, Partition};
use rayon::prelude::*;
use resolve::Resolved;
use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::sync::Arc;
use suppression::Suppressions;

/// What became of the sources.
#[derive(Debug, Default)]
pub struct Compilation {
    /// The plan; `None` where an error forbids it.
    pub plan: Option<mesh_plan::Plan>,
    /// Where its rules stand, by what they are called in logs. Nothing that the plan says depends on it.
    pub sources: mesh_plan::Sources,
    /// Everything to say, in order of place.
    pub diagnostics: Vec<Diagnostic>,
    /// Warnings that are not said, because a remark allows them.
    pub suppressed: Vec<Suppressed>,
    /// What the proxy of this version does not do (`MESH1010`). The plan answers what is asked of it when compiling; whoever
    /// wants to run it refuses it while this is not empty.
    pub unexecuted: Vec<Diagnostic>,
    /// The `test` statements, ready to be asked of the plan; indices are those of `plan`. Empty without a plan.
    pub tests: Vec<case::Test>,
    /// Service ports that need a stand-in to run: they have no endpoints of their own.
    pub needs: Vec<StandIn>,
    /// For each service, in order of name: an example of every call it declares.
    pub calls: Vec<case::ExampleCall>,
    /// Requests to try at a gateway: the plainest first, then one for each rule that a header chooses.
    pub examples: Vec<case::ExampleRequest>,
}

/// A place where a stand-in server is to listen: one for each subset of a service port, or one for a port of a service
/// without subsets.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct StandIn {
    /// `name.namespace`
    pub service: String,
    /// The port callers say.
    pub port: u16,
    /// The subset, if the service has some.
    pub subset: Option<String>,
}

/// Addresses for [`Compilation::needs`]. What is not listed stays without endpoints.
pub type StandIns = BTreeMap<StandIn, SocketAddr>;

/// Compiles a project: parse, resolve, decide, check, lower.
///
/// Analysis begins where every name means something: a rule that could not be read would otherwise show up again as a
/// hole in its route.
///
/// A project without environments is compiled as it stands; of one with environments, [`compile_in`] compiles each.
pub fn compile(sources: &SourceSet, stand_ins: &StandIns) -> Compilation {
    compile_in(sources, None, stand_ins)
}

/// Compiles a project as it is in one environment.
pub fn compile_in(sources: &SourceSet, environment: Option<&str>, stand_ins: &StandIns) -> Compilation {
    compile_on(sources, environment, None, stand_ins)
}

/// Compiles a project as it is in one environment on one day: what is written until an earlier one is an error then.
pub fn compile_on(
    sources: &SourceSet,
    environment: Option<&str>,
    today: Option<Day>,
    stand_ins: &StandIns,
) -> Compilation {
    let (project, files) = Project::read_text(sources, expand::Said::at_once);
    let expanded = expand::expand(project.of_each(files), environment);
    project.conclude(project.look_up(expanded, environment, today), stand_ins)
}

/// A project whose text has been read: parsed once, compiled for each environment.
pub struct Project<'a> {
    sources: &'a SourceSet,
    /// What each of them says.
    files: Vec<Vec<Statement>>,
    wounds: Wounds,
    suppressions: Suppressions,
    /// What is wrong with the text, in every environment.
    diagnostics: Diagnostics,
    budget: Budget,
}

impl<'a> Project<'a> {
    /// Reads the text, on all cores.
    pub fn parse(sources: &'a SourceSet) -> Project<'a> {
        let (mut project, files) = Project::read_text(sources, |statements| statements);
        project.files = files;
        project
    }

    /// The same project, decided within another budget.
    pub fn within(self, budget: Budget) -> Project<'a> {
        Project { budget, ..self }
    }

    /// Reads the text, and makes of the statements of each file what is to be kept of them.
    fn read_text<F: Send>(
        sources: &'a SourceSet,
        keep: impl Fn(Vec<Statement>) -> F + Sync,
    ) -> (Project<'a>, Vec<F>) {
        let mut project = Project {
            sources,
            files: Vec::new(),
            wounds: Wounds::default(),
            suppressions: Suppressions::default(),
            diagnostics: Diagnostics::new(),
            budget: Budget::default(),
        };
        let files: Vec<(FileId, &Source)> = sources.iter().collect();
        let read = files.into_par_iter().map(|(id, source)| {
            let Reading { statements, wounds, suppressions, diagnostics } =
                Reading::of(id, &source.text, mesh_lang::parse(id, &source.text));
            (keep(statements), wounds, suppressions, diagnostics)
        });
        let mut kept = Vec::with_capacity(sources.len());
        for (file, wounds, suppressions, diagnostics) in read.collect::<Vec<_>>() {
            kept.push(file);
            project.wounds.extend(wounds);
            project.suppressions.extend(suppressions);
            project.diagnostics.extend(diagnostics);
        }
        (project, kept)
    }

    /// The environments that it names, in the order written.
    pub fn environments(&self) -> Vec<String> {
        expand::environments(&self.statements()).into_iter().map(|name| name.value.to_string()).collect()
    }

    /// Those of them that are production.
    pub fn production(&self) -> Vec<String> {
        let items = self.files(None).into_iter().flat_map(|file| file.items);
        let names = items.filter_map(|item| match item {
            ast::Item::Mesh(mesh) => Some(mesh.production),
            _ => None,
        });
        names.flatten().map(|name| name.value.to_string()).collect()
    }

    /// The files as they are in an environment.
    pub fn files(&self, environment: Option<&str>) -> Vec<ast::File> {
        expand::expand(self.statements(), environment).files
    }

    /// The first mistake for which something could not be read.
    pub fn unreadable(&self) -> Option<&Diagnostic> {
        let errors = self.diagnostics.iter().filter(|found| found.severity == mesh_lang::Severity::Error);
        errors.min_by_key(|found| found.span())
    }

    /// What `reviews.timeout` is in an environment, and the lines that say so.
    pub fn value(&self, asked: &str, environment: Option<&str>) -> Result<values::Value, values::Unknown> {
        self.written(environment).value(asked)
    }

    /// What there is to know of each service and gateway in an environment. Of a project with errors it is what could be
    /// understood.
    pub fn describe(&self, environment: Option<&str>) -> describe::Description {
        let Read { mut model, diagnostics, .. } = self.read(environment, None);
        resolve::lines_in_order_of_text(&mut model);
        // What beats what can be asked where every name means something.
        let partitions = if diagnostics.has_errors() { Vec::new() } else { partitions(&model) };
        let files = self.files(environment);
        describe::describe(&model, &partitions, &files, &self.written(environment))
    }

    /// What the `allow` lines of services let in beyond what was seen, each request with how often, in an environment. The error
    /// is what is wrong with the project: nothing is proposed then.
    pub fn trim(
        &self,
        environment: Option<&str>,
        observed: &BTreeMap<trim::Observed, usize>,
    ) -> Result<trim::Trimmed, Vec<Diagnostic>> {
        let Read { model, diagnostics, .. } = self.read(environment, None);
        if diagnostics.has_errors() {
            return Err(diagnostics.sorted());
        }
        let (lines, unknown) = trim::trim(&model, observed);
        Ok(trim::Trimmed { lines, unknown: unknown.into_iter().collect() })
    }

    fn written(&self, environment: Option<&str>) -> values::Written<'_> {
        let (files, parameters) = expand::statements(self.statements(), environment);
        values::Written { sources: self.sources, files, parameters }
    }

    /// Compiles it as it is in one environment on one day: what is written until an earlier one is an error then.
    pub fn compile(
        &self,
        environment: Option<&str>,
        today: Option<Day>,
        stand_ins: &StandIns,
    ) -> Compilation {
        self.conclude(self.read(environment, today), stand_ins)
    }

    /// Decides what was read, and says what no remark allows.
    fn conclude(&self, read: Read, stand_ins: &StandIns) -> Compilation {
        let (mut compilation, told) = decide(read, stand_ins);
        compilation.sources = self.places(&told);
        let found = std::mem::take(&mut compilation.diagnostics);
        (compilation.diagnostics, compilation.suppressed) = self.suppressions.apply(found);
        compilation.diagnostics.sort_by_key(Diagnostic::span);
        compilation
    }

    /// In which line of which file something stands.
    fn places(&self, told: &[(Text, Span)]) -> mesh_plan::Sources {
        let files: Vec<Arc<str>> =
            self.sources.iter().map(|(_, source)| source.path_inside().into()).collect();
        let mut sources = mesh_plan::Sources::default();
        for (text, span) in told {
            if let Some(file) = files.get(span.file().0 as usize) {
                sources.note(text, file, self.sources.position(*span).0 as u32);
            }
        }
        sources
    }

    fn read(&self, environment: Option<&str>, today: Option<Day>) -> Read {
        self.look_up(expand::expand(self.statements(), environment), environment, today)
    }

    fn look_up(&self, expanded: expand::Expanded, environment: Option<&str>, today: Option<Day>) -> Read {
        let mut unexecuted = executed::refused(&expanded.checked, &expanded.files);
        let read = self.understand(expanded, environment, today);
        unexecuted.extend(executed::addresses(&read.model));
        unexecuted.sort_by_key(Diagnostic::span);
        Read { unexecuted, ..read }
    }

    fn understand(&self, expanded: expand::Expanded, environment: Option<&str>, today: Option<Day>) -> Read {
        let mut diagnostics = self.diagnostics.clone();
        diagnostics.extend(expanded.diagnostics);
        let files = expanded.files;
        let when = resolve::When { environment, today };
        let Resolved { mut model, tests, mistakes, .. } = Resolved::new(&modules(self.sources, &files), when);
        let heard = mistakes.iter().filter(|diagnostic| !self.wounds.explain(diagnostic, self.sources));
        heard.for_each(|diagnostic| diagnostics.push(diagnostic.clone()));
        files.into_par_iter().for_each(drop);
        model.budget = self.budget;
        Read { model, tests, unexecuted: Vec::new(), diagnostics }
    }

    /// What the files say, each with its directory.
    fn statements(&self) -> Vec<expand::Source<'_>> {
        self.of_each(self.files.iter().map(|file| expand::Said::Statements(file.into())))
    }

    fn of_each<'s>(&'s self, said: impl IntoIterator<Item = expand::Said<'s>>) -> Vec<expand::Source<'s>> {
        let both = self.sources.iter().zip(said);
        both.map(|((_, source), said)| expand::Source { module: &source.module, said }).collect()
    }
}

/// What is read of one file.
struct Reading {
    statements: Vec<Statement>,
    wounds: Wounds,
    suppressions: Suppressions,
    diagnostics: Diagnostics,
}

impl Reading {
    fn of(id: FileId, text: &str, mut parse: mesh_lang::parser::Parse) -> Reading {
        let wounds = Wounds::of(id, text, &parse);
        let mut diagnostics = std::mem::take(&mut parse.diagnostics);
        let suppressions = Suppressions::of(id, text, &parse, &mut diagnostics);
        Reading { statements: parse.statements, wounds, suppressions, diagnostics }
    }
}

/// Also what rules and lines are called in logs, and where they stand.
fn decide(read: Read, stand_ins: &StandIns) -> (Compilation, Vec<(Text, Span)>) {
    let Read { mut model, tests, unexecuted, mut diagnostics } = read;
    if diagnostics.has_errors() {
        let diagnostics = diagnostics.sorted();
        return (Compilation { diagnostics, unexecuted, ..Compilation::default() }, vec![]);
    }
    let needs = needs(&model);
    stand_in(&mut model, stand_ins);
    resolve::lines_in_order_of_text(&mut model);
    resolve::keep_words_alone(&mut model);
    let lowered = judge(&model, &mut diagnostics);
    let (plan, told) = lowered.map_or((None, vec![]), |lowered| (Some(lowered.plan), lowered.told));
    let (calls, examples) = (example::calls(&model), example::requests(&model));
    let tests = if plan.is_some() { prove(&model, &tests, &mut diagnostics) } else { vec![] };
    let diagnostics = diagnostics.sorted();
    let compilation = Compilation {
        plan,
        diagnostics,
        unexecuted,
        tests,
        needs,
        calls,
        examples,
        ..Compilation::default()
    };
    (compilation, told)
}

/// Decides the `every` and `some` lines of tests.
fn prove(
    model: &Model,
    tests: &[(case::Test, Vec<quantified::Asking>)],
    diagnostics: &mut Diagnostics,
) -> Vec<case::Test> {
    let mut proved = Vec::with_capacity(tests.len());
    for (test, askings) in tests {
        let mut test = test.clone();
        for asking in askings {
            let failure = match quantified::decide(model, asking) {
                Ok(quantified::Found::Holds) => None,
                Ok(quantified::Found::Fails { witness, got }) => Some(case::Failure { witness, got }),
                Ok(quantified::Found::Empty) => {
                    diagnostics.push(check::empty_description(asking.span));
                    continue;
                }
                Err(quantified::TooMuch::Changed(rule)) => {
                    diagnostics.push(
                        Diagnostic::new(Code::AnalysisBudget, "this line meets a rule that changes requests")
                            .at(asking.span, "what is decided behind the rule is about other requests")
                            .at(rule, "changes them here")
                            .help("Ask with `request`, which follows one request through its changes."),
                    );
                    continue;
                }
                Err(quantified::TooMuch::Budget) => {
                    diagnostics.push(
                        Diagnostic::new(Code::AnalysisBudget, "this cannot be decided within the budget")
                            .at(asking.span, "too many requests that end differently")
                            .help("Ask about fewer: name a method, a path or a caller."),
                    );
                    continue;
                }
            };
            test.proofs.push(case::Proof {
                span: asking.span,
                expect_span: asking.expect_span,
                every: asking.quantifier == ast::Quantifier::Every,
                expect: asking.expect.clone(),
                timeout: asking.timeout,
                retry: asking.retry,
                besides: asking.besides.clone(),
                failure,
            });
        }
        proved.push(test);
    }
    proved
}

/// Parses and resolves a project and decides nothing: what is wrong with its text and with what its names mean, as soon
/// as that is known. It is asked for one environment and nothing is run, so nothing need be kept, and what a proxy does is not
/// asked.
pub fn check_names(sources: &SourceSet, environment: Option<&str>) -> Vec<Diagnostic> {
    // On the threads of the pool: what they make, they give back.
    rayon::scope(|_| {
        let (project, files) = Project::read_text(sources, expand::Said::at_once);
        let expanded = expand::expand(project.of_each(files), environment);
        let Read { model, diagnostics, .. } = project.understand(expanded, environment, None);
        // As many things are given back as were made.
        model.services.into_par_iter().for_each(drop);
        diagnostics.sorted()
    })
}

/// What the sources describe, before anything is decided.
struct Read {
    model: Model,
    tests: Vec<(case::Test, Vec<quantified::Asking>)>,
    unexecuted: Vec<Diagnostic>,
    diagnostics: Diagnostics,
}

fn modules<'a>(sources: &'a SourceSet, files: &'a [ast::File]) -> Vec<resolve::Module<'a>> {
    let both = sources.iter().zip(files);
    both.map(|((id, source), file)| resolve::Module { directory: &source.module, id, file }).collect()
}

/// Whose partitions there are: each service port's, then each listener's, each call's, each consumer route's.
fn owners(model: &Model) -> impl Iterator<Item = Owner> + '_ {
    let listeners = model.gateways.iter().zip(0..).flat_map(|(gateway, id)| {
        (0..gateway.listeners.len() as u32).map(move |listener| Owner::Listener(GatewayId(id), listener))
    });
    let calls = model.services.iter().zip(0..).flat_map(|(service, id)| {
        (0..service.calls.len() as u32).map(move |call| Owner::Call(ServiceId(id), call))
    });
    let consumers = (0..model.consumer_routes.len() as u32).map(Owner::Consumer);
    model.ports().map(Owner::Port).chain(listeners).chain(calls).chain(consumers)
}

/// Decides, checks and lowers one partition after the other, so that the nodes of one are all there are at a time; then what is
/// about the whole mesh. The plan is there where nothing is an error.
fn judge(model: &Model, diagnostics: &mut Diagnostics) -> Option<lower::Lowered> {
    let mut lowering = lower::Lowering::new(model);
    let mut redundant = check::Redundant::default();
    for owner in owners(model) {
        let Some(mut partition) = kept(model, owner, diagnostics) else { continue };
        say(check::of_partition(model, &mut partition, &mut redundant), diagnostics);
        if lowering.add(model, &mut partition).is_err() {
            diagnostics.push(check::over_budget(model, owner, &partition.unwritable()));
        }
    }
    say(check::of_mesh(model), diagnostics);
    let mut uncalled = check::Uncalled::new(model);
    model.workloads().for_each(|who| say(check::of_workload(model, who, &mut uncalled), diagnostics));
    if !diagnostics.has_errors() {
        let set: BTreeSet<&str> = model.tables().flat_map(check::set_by).collect();
        let is_set = |header: &str| set.contains(header);
        model.service_ids().for_each(|id| say(check::of_caller(model, id, &is_set), diagnostics));
        let hops = check::Hops::new(model);
        say(check::of_tries(model, &hops), diagnostics);
        say(check::of_waits(model, &hops), diagnostics);
        say(check::of_ends(model, &hops), diagnostics);
        say(redundant.found(model), diagnostics);
    }
    (!diagnostics.has_errors()).then(|| lowering.finish(model))
}

fn say(found: Vec<Diagnostic>, diagnostics: &mut Diagnostics) {
    found.into_iter().for_each(|diagnostic| diagnostics.push(diagnostic));
}

/// All partitions at once.
fn partitions(model: &Model) -> Vec<Partition> {
    let mut unsaid = Diagnostics::new();
    owners(model).filter_map(|owner| kept(model, owner, &mut unsaid)).collect()
}

fn kept(model: &Model, owner: Owner, diagnostics: &mut Diagnostics) -> Option<Partition> {
    match partition::of(model, owner) {
        Ok(partition) => Some(partition),
        Err(why) => {
            diagnostics.push(check::over_budget(model, owner, &why));
            None
        }
    }
}

/// Where stand-ins are needed: ports without endpoints.
fn needs(model: &Model) -> Vec<StandIn> {
    let mut needs = Vec::new();
    for service in &model.services {
        for port in service.ports.iter().filter(|port| port.endpoints.is_empty()) {
            let at = |subset| StandIn { service: service.full_name(), port: port.number, subset };
            match service.subsets.as_slice() {
                [] => needs.push(at(None)),
                subsets => needs.extend(subsets.iter().map(|subset| at(Some(subset.name.to_string())))),
            }
        }
    }
    needs
}

/// Gives ports without endpoints the addresses of their stand-ins.
fn stand_in(model: &mut Model, stand_ins: &StandIns) {
    for (place, address) in stand_ins {
        let Some(service) = model.services.iter_mut().find(|service| service.full_name() == place.service)
        else {
            continue;
        };
        let subset = |name: &String| service.subsets.iter().position(|subset| subset.name == *name);
        let subsets = place.subset.as_ref().and_then(subset).map(|index| index as u32).into_iter().collect();
        if let Some(port) = service.ports.iter_mut().find(|port| port.number == place.port) {
            port.endpoints.push(Endpoint::new(address.ip(), address.port(), subsets));
            port.endpoints.sort();
        }
    }
}
