//! What must not change a decision does not: names, the way in which lists are written, where a statement is written, and services that
//! nobody speaks of. What may change some changes no other: an `allow` more takes nothing away, a `deny` more lets nobody in.

use fastrand::Rng;
use mesh_compiler::StandIns;
use mesh_engine::Action;
use mesh_lang::{Source, SourceSet};
use mesh_plan::{Plan, PlanView};
use mesh_reference::{Entry, Question};
use mesh_tests::asking::with_request;
use mesh_tests::generate::{self, Generated};

/// Programs to try each law on, unless `MESH_LAWS` says another number.
const PROGRAMS: usize = 60;

/// Requests to each of them, where decisions are compared and not bytes.
const REQUESTS: usize = 100;

/// Directory and text of each file.
type Files = Vec<(String, String)>;

fn compiled(files: &Files) -> Option<Plan> {
    let source = |(module, text): &(String, String)| Source {
        path: format!("{module}/policy.mesh").trim_start_matches('/').to_owned(),
        module: module.clone(),
        text: text.clone(),
    };
    let sources = SourceSet::new(files.iter().map(source).collect());
    let project = mesh_compiler::Project::parse(&sources);
    let environment = project.environments().into_iter().next();
    project.compile(environment.as_deref(), None, &StandIns::new()).plan
}

fn bytes(plan: &Plan) -> Vec<u8> {
    mesh_plan::encode(plan).expect("a small plan")
}

fn view(plan: &Plan) -> PlanView {
    mesh_plan::verify(bytes(plan)).expect("a plan that was just made")
}

/// Programs that compile, with their plans, and their number.
fn programs() -> impl Iterator<Item = (u64, Generated, Plan)> {
    let wanted = std::env::var("MESH_LAWS").ok().and_then(|text| text.parse().ok()).unwrap_or(PROGRAMS);
    let all = (0..).map(|seed| (seed, generate::program(&mut Rng::with_seed(seed))));
    all.filter_map(|(seed, program)| {
        Some((seed, compiled(&program.files)?)).map(|(seed, plan)| (seed, program, plan))
    })
    .take(wanted)
}

fn shown(files: &Files) -> String {
    files.iter().map(|(directory, text)| format!("--- {directory}/policy.mesh\n{text}")).collect()
}

/// Each line of each file as one or several.
fn rewritten(files: &Files, rewrite: impl Fn(&str) -> Vec<String>) -> Files {
    let text = |text: &String| text.lines().flat_map(&rewrite).map(|line| line + "\n").collect();
    files.iter().map(|(directory, own)| (directory.clone(), text(own))).collect()
}

#[test]
fn lists_mean_the_same_written_out() {
    let mut split = 0;
    for (seed, program, plan) in programs() {
        let files = rewritten(&program.files, written_out);
        split += usize::from(files != program.files);
        let other = compiled(&files).unwrap_or_else(|| panic!("seed {seed}\n{}", shown(&files)));
        assert!(bytes(&plan) == bytes(&other), "seed {seed}\n{}", shown(&files));
    }
    assert!(split > 10, "{split}");
}

/// `match GET|POST /a, /b when x in ("1", "2")` as eight lines.
fn written_out(line: &str) -> Vec<String> {
    let Some(rest) = line.strip_prefix("    match ") else { return vec![line.to_owned()] };
    let (ops, when) = match rest.split_once("when ") {
        Some((ops, when)) => (ops.trim(), when),
        None => (rest, ""),
    };
    let ops: Vec<String> =
        if ops.is_empty() { vec![String::new()] } else { ops.split(", ").flat_map(each_op).collect() };
    let conditions: Vec<Vec<String>> = match when {
        "" => vec![vec![]],
        when => when.split(" and ").map(each_value).collect(),
    };
    let mut lines = ops;
    for values in conditions.iter().filter(|values| !values.is_empty()) {
        let with = |line: &String| {
            let word = if line.contains("when ") { " and" } else { " when" };
            values.iter().map(|value| format!("{line}{word} {value}")).collect::<Vec<_>>()
        };
        lines = lines.iter().flat_map(with).collect();
    }
    lines.into_iter().map(|line| format!("    match {}", line.trim())).collect()
}

/// `GET|POST /a`, `grpc p.S/M|N`
fn each_op(op: &str) -> Vec<String> {
    let (before, listed, after) = match op.strip_prefix("grpc ").and_then(|op| op.split_once('/')) {
        Some((service, methods)) => (format!("grpc {service}/"), methods, String::new()),
        None => match op.split_once(' ') {
            Some((methods, path)) => (String::new(), methods, format!(" {path}")),
            None => (String::new(), op, String::new()),
        },
    };
    listed.split('|').map(|one| format!("{before}{one}{after}")).collect()
}

/// `x in ("1", "2")`
fn each_value(condition: &str) -> Vec<String> {
    match condition.split_once(" in (") {
        Some((field, values)) if !field.starts_with("not ") => {
            let values = values.trim_end_matches(')').split(", ");
            values.map(|value| format!("{field} = {value}")).collect()
        }
        _ => vec![condition.to_owned()],
    }
}

#[test]
fn names_of_rules_decide_nothing() {
    // The new names are in the same order, so that of several the same is the least.
    let renamed = |text: &str| {
        let mut out = String::new();
        let mut rest = text;
        while let Some(at) = rest.find(['k', 'm', 'r']) {
            let (before, from) = rest.split_at(at);
            let is_word = !before
                .chars()
                .last()
                .or(out.chars().last())
                .is_some_and(|c| c.is_alphanumeric() || c == '-');
            let digits = from[1..].chars().take_while(char::is_ascii_digit).count();
            let ends = !from[1 + digits..].starts_with(|c: char| c.is_alphanumeric() || c == '-');
            out.push_str(before);
            out.push_str(if is_word && digits > 0 && ends { "n" } else { "" });
            out.push_str(&from[..1]);
            rest = &from[1..];
        }
        out + rest
    };
    for (seed, program, plan) in programs() {
        let files: Files =
            program.files.iter().map(|(directory, text)| (directory.clone(), renamed(text))).collect();
        let other = compiled(&files).unwrap_or_else(|| panic!("seed {seed}\n{}", shown(&files)));
        assert_eq!(renamed(&format!("{plan:?}")), format!("{other:?}"), "seed {seed}\n{}", shown(&files));
    }
}

#[test]
fn what_a_profile_says_means_the_same_in_the_block() {
    let mut moved = 0;
    for (seed, program, plan) in programs() {
        let Some(files) = with_profile(&program.files) else { continue };
        moved += 1;
        let other = compiled(&files).unwrap_or_else(|| panic!("seed {seed}\n{}", shown(&files)));
        assert!(bytes(&plan) == bytes(&other), "seed {seed}\n{}", shown(&files));
    }
    assert!(moved > 5, "{moved}");
}

/// The time-out of a rule that uses no profile, moved into one.
fn with_profile(files: &Files) -> Option<Files> {
    for (index, (_, text)) in files.iter().enumerate() {
        for rule in text.split("\n  rule ").skip(1) {
            let rule = rule.split("\n  }").next()?;
            let own = rule.lines().find(|line| line.starts_with("    timeout "));
            let Some(own) = own.filter(|_| !rule.contains("    use ") && !rule.contains("  env ")) else {
                continue;
            };
            let moved = text.replacen(rule, &rule.replacen(own, "    use moved", 1), 1);
            let mut files = files.clone();
            files[index].1 = format!("{moved}profile moved {{\n{own}\n}}\n");
            return Some(files);
        }
    }
    None
}

#[test]
fn a_service_that_nobody_speaks_of_changes_no_decision() {
    let mut rng = Rng::with_seed(3);
    for (seed, program, plan) in programs() {
        let mut files = program.files.clone();
        files[0].1.push_str(
            "service zebra {\n  port 80 http\n}\nauthorize zebra {\n  allow from anyone to GET /zebra\n}\n",
        );
        let other = compiled(&files).unwrap_or_else(|| panic!("seed {seed}\n{}", shown(&files)));
        let (before, after) = (view(&plan), view(&other));
        for _ in 0..REQUESTS {
            let question = generate::question(&mut rng, &program.places);
            assert_eq!(
                ends(&plan, &before, &question),
                ends(&other, &after, &question),
                "seed {seed}\n{question:?}\n{}",
                shown(&files)
            );
        }
    }
}

#[test]
fn an_allow_more_takes_nothing_away_and_a_deny_more_lets_nobody_in() {
    let mut rng = Rng::with_seed(4);
    let (mut opened, mut closed) = (0, 0);
    for (seed, program, plan) in programs() {
        for line in [
            "  allow from anyone to /a/**",
            "  deny from anyone to GET|POST /a/**",
            "  allow from anyone",
            "  deny from unauthenticated to /b",
        ] {
            let more = |own: &str| match own.strip_prefix("authorize ") {
                Some(_) => vec![own.to_owned(), line.to_owned()],
                None => vec![own.to_owned()],
            };
            let files = rewritten(&program.files, more);
            // Where an `allow` lets nobody in any more, or a target has several ports, it is refused.
            let Some(other) = compiled(&files) else { continue };
            let (before, after) = (view(&plan), view(&other));
            for _ in 0..REQUESTS {
                let question = generate::question(&mut rng, &program.places);
                let (was, is) = (passes(&plan, &before, &question), passes(&other, &after, &question));
                let fits = if line.contains("allow") { is >= was } else { is <= was };
                assert!(fits, "seed {seed}\n{line}\n{question:?}\n{}", shown(&program.files));
                opened += usize::from(is && !was);
                closed += usize::from(was && !is);
            }
        }
    }
    assert!(opened > 10 && closed > 10, "{opened} opened and {closed} closed");
}

/// Whether no draw is refused.
fn passes(plan: &Plan, view: &PlanView, question: &Question) -> bool {
    let Some(entry) = entry(plan, &question.entry) else { return false };
    with_request(question, |peer, request| {
        let distribution = mesh_engine::distribution(view, entry, peer, request);
        distribution.possible.iter().all(|possible| match possible.decision.action {
            Action::Refuse(refusal) => refusal.status() != 403,
            _ => true,
        })
    })
}

/// All that can happen.
fn ends(plan: &Plan, view: &PlanView, question: &Question) -> Vec<String> {
    let Some(entry) = entry(plan, &question.entry) else { return vec![] };
    with_request(question, |peer, request| {
        let distribution = mesh_engine::distribution(view, entry, peer, request);
        let possible = distribution.possible.iter();
        let said = possible.map(|possible| {
            let decision = &possible.decision;
            let share = format!("{}/{}", possible.numerator, distribution.denominator);
            format!("{share} {:?} {} {:?}", decision.action, decision.rule, decision.audit)
        });
        said.collect()
    })
}

/// The same place in a plan.
fn entry(plan: &Plan, entry: &Entry) -> Option<mesh_engine::Entry> {
    let service =
        |name: &str| plan.services.iter().position(|own| own.name == name).map(|index| index as u32);
    let gateway =
        |name: &str| plan.gateways.iter().position(|own| own.name == name).map(|index| index as u32);
    let port = |service: u32, number: u16| {
        let ports = &plan.services[service as usize].ports;
        ports.iter().position(|port| port.number == number).map(|index| index as u32)
    };
    Some(match entry {
        Entry::Gateway { gateway: name, listener } => {
            let gateway = gateway(name)?;
            let listeners = &plan.gateways[gateway as usize].listeners;
            let listener = listeners.iter().position(|own| own.name == *listener)? as u32;
            mesh_engine::Entry::Gateway { gateway, listener }
        }
        Entry::Sidecar { service: name } => mesh_engine::Entry::Sidecar { service: service(name)? },
        Entry::FromGateway { gateway: name, service: callee, port: number } => {
            let service = service(callee)?;
            mesh_engine::Entry::FromGateway {
                gateway: gateway(name)?,
                service,
                port: port(service, *number)?,
            }
        }
        Entry::Inbound { service: name, port: number } => {
            let service = service(name)?;
            mesh_engine::Entry::Inbound { service, port: port(service, *number)? }
        }
    })
}
