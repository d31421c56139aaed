//! Why a request ends as it does, over generated programs: the ways that are told end as the engine and the reference say, and every line
//! that is named is the one that the plan names.

use super::dense::DENSE;
use super::{Files, accepted_within, sources};
use mesh_compiler::survey::why::{Kind, Question as Asked, Step};
use mesh_compiler::{Budget, Survey};
use mesh_engine::trace::{Next, Root, Trace};
use mesh_engine::{Action, Decision, Refusal};
use mesh_reference::{Chance, Question};
use mesh_tests::asking::with_request;
use mesh_tests::generate;
use std::collections::BTreeMap;

/// Programs that are accepted and asked about.
const PROGRAMS: usize = 80;
/// Requests to each of them.
const REQUESTS: usize = 40;

/// What was looked at.
#[derive(Default)]
struct Seen {
    ways: usize,
    steps: usize,
    others: usize,
    settings: usize,
    refusals: usize,
}

#[test]
fn why_tells_what_the_engine_and_the_reference_decide() {
    tells(Budget::default());
}

#[test]
fn why_tells_the_same_of_lists_of_candidates() {
    tells(DENSE);
}

fn tells(budget: Budget) {
    let mut seen = Seen::default();
    for (seed, mut rng, generated, subject) in accepted_within(PROGRAMS, budget) {
        let sources = sources(&generated.files);
        let project = mesh_compiler::Project::parse(&sources).within(budget);
        let survey = project.survey(None);
        for _ in 0..REQUESTS {
            let question = generate::question(&mut rng, &generated.places);
            // Ends and chances, as the whole of them is compared with the reference.
            subject.compare(&question, 0).unwrap_or_else(|difference| panic!("seed {seed}\n{difference}"));
            let Some(entry) = subject.entry(&question.entry) else { continue };
            with_request(&question, |peer, request| {
                let trace = mesh_engine::trace(&subject.view, entry, peer, request);
                let all = mesh_engine::distribution(&subject.view, entry, peer, request);
                let said: BTreeMap<_, _> = all
                    .possible
                    .iter()
                    .map(|one| (one.decision.clone(), Chance::new(one.numerator, all.denominator)))
                    .collect();
                let mut ends = BTreeMap::new();
                let context = || format!("seed {seed}\n{}\n{question:?}", shown(&generated.files));
                let told = Told { survey: &survey, trace: &trace, question: &question, context: &context };
                told.follow(0, Chance::CERTAIN, &[], &mut ends, &mut seen);
                assert!(ends == said, "{}\ntold: {ends:?}\nsaid: {said:?}", context());
            });
        }
    }
    let Seen { ways, steps, others, settings, refusals } = seen;
    assert!(ways > 2_000 && steps > 4_000 && others > 500, "{ways} ways, {steps} steps, {others} others");
    assert!(settings > 200 && refusals > 200, "{settings} settings, {refusals} refusals");
}

fn shown(files: &Files) -> String {
    files.iter().map(|(directory, text)| format!("--- {directory}/policy.mesh\n{text}")).collect()
}

struct Told<'a> {
    survey: &'a Survey<'a>,
    trace: &'a Trace<'a>,
    question: &'a Question,
    context: &'a dyn Fn() -> String,
}

impl<'a> Told<'a> {
    fn follow(
        &self,
        hop: usize,
        chance: Chance,
        before: &[Step],
        ends: &mut BTreeMap<Decision<'a>, Chance>,
        seen: &mut Seen,
    ) {
        let hop = &self.trace.hops[hop];
        let mut steps = before.to_vec();
        for asked in &hop.asked {
            let table = match asked.root {
                Root::Access => None,
                Root::Table(table) => Some(table),
            };
            let step = self.survey.step(&Asked { partition: asked.partition, table, atoms: &asked.atoms });
            let step = step.unwrap_or_else(|| panic!("{}\n{asked:?} means nothing", (self.context)()));
            seen.others += step.others.len();
            steps.push(step);
        }
        match &hop.next {
            Next::End(decision) => {
                seen.ways += 1;
                seen.steps += steps.len();
                self.agrees(decision, &steps, seen);
                let known = ends.get(decision).copied().unwrap_or(Chance::NEVER);
                ends.insert(decision.clone(), known.or(chance));
            }
            Next::Split(split) => {
                for (backend, next) in split {
                    let share = Chance::new(u128::from(backend.weight), 10_000);
                    self.follow(*next, chance.and(share), &steps, ends, seen);
                }
            }
        }
    }

    /// The steps are those that the decision reports.
    fn agrees(&self, decision: &Decision<'_>, steps: &[Step], seen: &mut Seen) {
        let failing: Vec<&Step> = steps.iter().filter(|step| !step.holds).collect();
        let fail = |why: &str| panic!("{}\n{why}: {decision:?}\n{steps:#?}", (self.context)());
        let last_rule = steps.iter().rev().find(|step| step.kind == Kind::Route).map(|step| step.by.as_str());
        match &decision.action {
            Action::Refuse(refusal) => {
                seen.refusals += 1;
                let kind = match refusal {
                    Refusal::Denied { .. } => Kind::Authorize,
                    Refusal::UndeclaredCall => Kind::Call,
                    Refusal::NoRoute | Refusal::Broken => Kind::Route,
                };
                match failing.as_slice() {
                    // Where no host and no call fits, nothing is asked.
                    [] if matches!(refusal, Refusal::NoRoute | Refusal::UndeclaredCall) => {}
                    [one] if one.kind == kind => {
                        let is_it = decision.rule.ends_with(one.by.as_str());
                        let is_said = decision.rule.is_empty() == one.at.is_none();
                        if !is_it || !is_said {
                            fail("another line");
                        }
                    }
                    _ => fail("another step refuses"),
                }
            }
            action => {
                if !failing.is_empty() {
                    fail("a step refuses");
                }
                let rule = last_rule.unwrap_or_default();
                let is_it = decision.rule.ends_with(rule)
                    || decision.rule.ends_with(" rule default")
                        && (rule.is_empty() || rule.starts_with("to "))
                    || decision.rule.ends_with(" rule https");
                if !is_it && !matches!(self.question.entry, mesh_reference::Entry::Inbound { .. }) {
                    fail("another rule");
                }
                if let Action::Forward(forward) = action {
                    let way: Vec<&Step> = steps.iter().collect();
                    let settings = self.survey.settings(&way, forward.service_index, forward.port);
                    let line = |keyword: &str| {
                        let found = settings.iter().find(|setting| setting.keyword == keyword);
                        found.and_then(|setting| setting.line.as_ref()).map(|line| line.text.clone())
                    };
                    seen.settings +=
                        usize::from(line("timeout").is_some()) + usize::from(line("retry").is_some());
                    if line("timeout").as_deref().and_then(milliseconds) != forward.timeout() {
                        fail(&format!("another timeout: {settings:?}"));
                    }
                    let count = forward.retry().map(|retry| retry.count.to_string());
                    let said = line("retry").and_then(|text| text.split(' ').next().map(str::to_owned));
                    if said.filter(|said| said != "none") != count {
                        fail(&format!("another retry: {settings:?}"));
                    }
                }
            }
        }
    }
}

/// `2s`, `2m30s`, `500ms`, `none`
fn milliseconds(text: &str) -> Option<u32> {
    let (mut sum, mut rest) = (None, text);
    while !rest.is_empty() {
        let (number, behind) = rest.split_at(rest.find(|c: char| !c.is_ascii_digit())?);
        let (unit, behind) =
            behind.split_at(behind.find(|c: char| c.is_ascii_digit()).unwrap_or(behind.len()));
        let unit = match unit {
            "ms" => 1,
            "s" => 1_000,
            "m" => 60_000,
            "h" => 3_600_000,
            _ => return None,
        };
        sum = Some(sum.unwrap_or(0) + number.parse::<u32>().ok()? * unit);
        rest = behind;
    }
    sum
}
