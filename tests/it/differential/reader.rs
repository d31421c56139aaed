//! The format document against the bytes: a reader in Python that was written from it alone decides as the engine does.

use super::dense::DENSE;
use super::{Subject, compiled, environments};
use fastrand::Rng;
use mesh_compiler::Budget;
use mesh_engine::{Action, Decision, Entry, Forward, Refusal};
use mesh_plan::layout::Section;
use mesh_plan::view::{Balancer, Edit, HashKey};
use mesh_plan::{Counting, NONE, Plan, PlanView};
use mesh_reference::{Claim, Question};
use mesh_tests::asking::with_request;
use mesh_tests::generate;
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Decisions to compare, unless `MESH_READER` says another number.
const DECISIONS: usize = 12_000;

/// Few to each plan: it is the plans that differ in their tables.
const REQUESTS_OF_A_PLAN: usize = 60;

/// What a plan must have somewhere, for the comparison to say something about it.
const TABLES: [Section; 13] = [
    Section::PeerPrefixes,
    Section::States,
    Section::Automata,
    Section::FieldValues,
    Section::FieldPrefixes,
    Section::FieldAddresses,
    Section::FieldUnions,
    Section::Edits,
    Section::ConsumerRoutes,
    Section::Retries,
    Section::Lists,
    Section::ListBeaters,
    Section::Hosts,
];

#[test]
fn the_reader_that_was_written_from_the_document_decides_as_the_engine_does() {
    if Command::new("python3").arg("--version").output().is_err() {
        return say("NOT RUN: python3 is missing; the independent reader of plans was not asked");
    }
    let decisions = std::env::var("MESH_READER").ok().and_then(|text| text.parse().ok()).unwrap_or(DECISIONS);
    let folder = tempfile();
    let asked = asked(decisions, &folder);
    let answers = read(&asked.questions, &folder);
    std::fs::remove_dir_all(&folder).expect("a folder that is there");
    assert_eq!(answers.len(), asked.expected.len(), "an answer to each request");
    for ((expected, context), answer) in asked.expected.iter().zip(&answers) {
        let answer: Vec<(String, Value)> = serde_json::from_str(answer).expect("odds and endings");
        let found: BTreeSet<String> =
            answer.iter().map(|(odds, ending)| format!("{odds} {}", in_order(ending))).collect();
        assert_eq!(&found, expected, "{context}");
    }
    let plans = |table: Section| asked.tables.get(table.name()).copied().unwrap_or_default();
    let tables = TABLES.map(|table| format!("{} in {}", table.name(), plans(table)));
    say(&format!(
        "{} decisions on {} plans by the reader in Python, 0 differences ({})",
        answers.len(),
        asked.plans,
        tables.join(", ")
    ));
    for table in TABLES {
        assert!(asked.tables.contains_key(table.name()), "no plan has {}", table.name());
    }
}

#[expect(clippy::print_stdout, reason = "how much was compared is worth a line in the log")]
fn say(text: &str) {
    println!("{text}");
}

fn tempfile() -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("reader-{}", std::process::id()));
    std::fs::create_dir_all(&folder).expect("a folder");
    folder
}

/// What the reader is asked, and what the engine says.
#[derive(Default)]
struct Comparison {
    /// A line for each plan and each request.
    questions: String,
    /// For each request its endings, and where it comes from.
    expected: Vec<(BTreeSet<String>, String)>,
    plans: usize,
    /// How many plans have something in a table.
    tables: BTreeMap<&'static str, usize>,
}

/// Programs as they are compiled, and with lists in place of diagrams.
fn asked(decisions: usize, folder: &Path) -> Comparison {
    let mut asked = Comparison::default();
    for seed in 1.. {
        let mut rng = Rng::with_seed(seed);
        let generated = generate::program(&mut rng);
        let budget = if seed % 2 == 0 { DENSE } else { Budget::default() };
        for environment in environments(&generated.files) {
            let environment = environment.as_deref();
            let compilation = compiled(&generated.files, environment, budget);
            let Ok(subject) = Subject::of(compilation, &generated.files, environment) else { continue };
            asked.plans += 1;
            let file = folder.join(format!("{}.mplan", asked.plans));
            std::fs::write(&file, subject.view.bytes()).expect("a file");
            let _ = writeln!(asked.questions, "{}", json!({ "plan": file }));
            for table in Section::ALL.into_iter().filter(|table| has(&subject.view, *table)) {
                *asked.tables.entry(table.name()).or_default() += 1;
            }
            for _ in 0..REQUESTS_OF_A_PLAN {
                let question = generate::question(&mut rng, &generated.places);
                let Some(entry) = subject.entry(&question.entry) else { continue };
                let _ = writeln!(asked.questions, "{}", question_in_words(&question));
                let expected = endings(&subject, entry, &question);
                let listed =
                    || generated.files.iter().map(|(module, text)| format!("//- {module}\n{text}\n"));
                let context =
                    format!("seed {seed} in {environment:?}: {question:?}\n{}", listed().collect::<String>());
                asked.expected.push((expected, context));
            }
        }
        if asked.expected.len() >= decisions {
            break;
        }
    }
    asked
}

/// Whether a plan has a record in a table, by the section table of the document.
fn has(plan: &PlanView, table: Section) -> bool {
    let (_, entries) = plan.bytes().split_at(mesh_plan::layout::HEADER_BYTES);
    let entries = entries.chunks_exact(mesh_plan::layout::ENTRY_BYTES).take(Section::ALL.len());
    entries.into_iter().any(|entry| entry[..2] == (table as u16).to_le_bytes() && entry[8..12] != [0; 4])
}

fn question_in_words(question: &Question) -> Value {
    let tokens: Vec<Value> = question
        .tokens
        .iter()
        .map(|token| {
            let claims = token.claims.iter().map(|(path, claim)| {
                let value = match claim {
                    Claim::Text(text) => json!(text),
                    Claim::List(items) => json!(items),
                    Claim::Other => json!(1),
                };
                (mesh_tests::asking::pointer(path), value)
            });
            json!({ "issuer": token.issuer, "claims": claims.collect::<serde_json::Map<_, _>>() })
        })
        .collect();
    let entry = match &question.entry {
        mesh_reference::Entry::Gateway { gateway, listener } => {
            json!({ "gateway": gateway, "listener": listener })
        }
        mesh_reference::Entry::Sidecar { service } => json!({ "sidecar": service }),
        mesh_reference::Entry::FromGateway { gateway, service, port } => {
            json!({ "gateway": gateway, "service": service, "port": port })
        }
        mesh_reference::Entry::Inbound { service, port } => json!({ "service": service, "port": port }),
    };
    json!({
        "entry": entry, "peer": question.peer, "method": question.method, "host": question.host,
        "host_port": question.host_port, "path": question.path, "query": question.query, "headers": question.headers,
        "tokens": tokens, "source_ip": question.source_ip, "client_ip": question.client_ip,
    })
}

/// What can become of the request, in the reader's words.
fn endings(subject: &Subject, entry: Entry, question: &Question) -> BTreeSet<String> {
    with_request(question, |peer, request| {
        let distribution = mesh_engine::distribution(&subject.view, entry, peer, request);
        let mut odds: BTreeMap<String, u128> = BTreeMap::new();
        for possible in &distribution.possible {
            let ending = in_order(&ending(subject, entry, &possible.decision, question));
            *odds.entry(ending).or_default() += possible.numerator;
        }
        let fraction = |numerator| fraction(numerator, distribution.denominator);
        odds.into_iter().map(|(ending, numerator)| format!("{} {ending}", fraction(numerator))).collect()
    })
}

fn fraction(numerator: u128, denominator: u128) -> String {
    let (mut divisor, mut rest) = (denominator, numerator);
    while rest > 0 {
        (divisor, rest) = (rest, divisor % rest);
    }
    match denominator / divisor {
        1 => (numerator / divisor).to_string(),
        denominator => format!("{}/{denominator}", numerator / divisor),
    }
}

fn ending(subject: &Subject, entry: Entry, decision: &Decision<'_>, question: &Question) -> Value {
    let plan = &subject.plan;
    let mut ending = match &decision.action {
        Action::Forward(forward) => json!({
            "kind": "forward", "service": forward.service.as_str(), "subset": forward.subset.as_str(), "timeout": forward.timeout(),
            "port": plan.services[forward.service_index as usize].ports[forward.port as usize].number,
            "retry": forward.retry().as_ref().map(retry),
            "connect": forward.connect_timeout(),
            "idle": forward.idle_timeout(),
            "balancer": subject.view.balancer(forward.balancer()).map(balancer),
            "breakers": limits(&subject.view, forward),
        }),
        Action::Redirect { status, location } => {
            json!({ "kind": "redirect", "status": status, "text": location })
        }
        Action::Respond { status, body } => json!({ "kind": "respond", "status": status, "text": body }),
        Action::Refuse(Refusal::Denied { by }) => json!({ "kind": "denied", "by": by.as_str() }),
        Action::Refuse(Refusal::UndeclaredCall) => json!({ "kind": "undeclared" }),
        Action::Refuse(Refusal::NoRoute) => json!({ "kind": "no route" }),
        Action::Refuse(Refusal::Broken) => panic!("a plan that contradicts itself: {decision:?}"),
    };
    ending["rule"] = json!(decision.rule.as_str());
    ending["told"] = decision.audit.iter().flat_map(|text| text.lines()).collect();
    let place = |place: mesh_plan::Place<'_>| place.to_string();
    ending["source"] = json!(decision.rule.place().map(place).unwrap_or_default());
    ending["told_at"] = decision.audit.iter().flat_map(|text| text.places()).map(place).collect();
    if !matches!(decision.action, Action::Refuse(_)) {
        ending["path"] = json!(decision.edited.path(&subject.view, &question.path));
        ending["host"] = json!(decision.edited.host(&subject.view, &question.host));
        ending["edits"] = edits(subject, entry, decision);
        ending["asks"] = decision.asks(&subject.view).map(|own| own.name().to_owned()).collect();
    }
    ending
}

/// The limits of the places passed, and then what the rules do.
fn edits(subject: &Subject, entry: Entry, decision: &Decision<'_>) -> Value {
    let view = &subject.view;
    let mut edits: Vec<Edit<'_>> = Vec::new();
    if let Entry::Gateway { gateway, listener } = entry
        && let Some(gateway) = view.gateway(gateway)
    {
        edits.extend(gateway.limits().iter());
        edits.extend(gateway.listener(listener).into_iter().flat_map(|listener| listener.limits().iter()));
    }
    if let Action::Forward(forward) = &decision.action {
        let service = view.service(forward.service_index);
        let own = service.into_iter().flat_map(|service| service.limits().iter());
        edits.extend(own.filter(|limit| !decision.is_probe || !matches!(limit, Edit::RateLimit(_))));
    }
    edits.extend(decision.edited.edits(view));
    edits.into_iter().map(|edit| in_words(&subject.plan, edit)).collect()
}

fn in_words(plan: &Plan, edit: Edit<'_>) -> Value {
    match edit {
        Edit::Path(to) => json!(["path", to, ""]),
        Edit::Prefix { from, to } => json!(["prefix", from, to]),
        Edit::Host(to) => json!(["host", to, ""]),
        Edit::Scheme(to) => json!(["scheme", to, ""]),
        Edit::SetRequestHeader(name, value) => json!(["set", name, value]),
        Edit::AddRequestHeader(name, value) => json!(["add", name, value]),
        Edit::RemoveRequestHeader(name) => json!(["remove", name, ""]),
        Edit::SetResponseHeader(name, value) => json!(["set-response", name, value]),
        Edit::AddResponseHeader(name, value) => json!(["add-response", name, value]),
        Edit::RemoveResponseHeader(name) => json!(["remove-response", name, ""]),
        Edit::Delay { delay, share } => json!(["delay", delay, share]),
        Edit::Abort { status, share } => json!(["abort", status, share]),
        Edit::Mirror { service, port, subset, share } => {
            let service = &plan.services[service as usize];
            let subset = if subset == NONE { "" } else { &service.subsets[subset as usize] };
            json!(["mirror", service.name, service.ports[port as usize].number, subset, share])
        }
        Edit::MaxRequestBody(bytes) => json!(["body", bytes]),
        Edit::RateLimit(limit) => {
            let flags = u32::from(limit.by_source_ip)
                | u32::from(limit.audit) << 1
                | u32::from(limit.by_client_ip) << 3
                | u32::from(limit.by_source) << 4;
            match limit.counting {
                Counting::Local { burst } => {
                    json!(["limit", limit.count, limit.per, burst, limit.by_headers, flags])
                }
                Counting::Global { by } => {
                    let by = &plan.authorities[by as usize].name;
                    json!(["global-limit", limit.count, limit.per, by, limit.by_headers, flags])
                }
            }
        }
        Edit::Cors(cors) => {
            let flags = u32::from(cors.credentials) << 2;
            json!(["cors", cors.origins, cors.methods, cors.headers, cors.exposed, flags])
        }
        Edit::PreflightAge(seconds) => json!(["age", seconds]),
        Edit::WebSocket => json!(["websocket"]),
        Edit::DecodeSlashes => json!(["decode-slashes"]),
        Edit::StripParameters => json!(["strip-parameters"]),
    }
}

fn balancer(balancer: Balancer<'_>) -> Value {
    let (kind, name, lifetime) = match balancer.key() {
        None => (0, "", None),
        Some(HashKey::Header(name)) => (1, name, None),
        Some(HashKey::Cookie(name, lifetime)) => (2, name, lifetime),
        Some(HashKey::Query(name)) => (3, name, None),
        Some(HashKey::SourceIp) => (4, "", None),
    };
    json!([balancer.algorithm() as u32, kind, name, lifetime.unwrap_or(NONE), balancer.slow_start()])
}

/// The circuit breaker and the outlier detection of each level that has one.
fn limits(view: &PlanView, forward: &Forward<'_>) -> Value {
    let levels = forward.limits().into_iter().filter_map(|level| view.settings(level));
    let words = levels.flat_map(|level| {
        let breaker = level.breaker().map(|own| {
            let limits = [own.max_connections, own.max_pending, own.max_requests, own.pending_timeout];
            limits.map(|limit| limit.unwrap_or(NONE)).to_vec()
        });
        let outliers = level.outliers().map(|own| {
            vec![
                own.consecutive_5xx,
                own.consecutive_gateway_errors,
                own.success_rate,
                own.interval,
                own.base_ejection,
                own.max_ejection,
                own.max_share,
                own.max_at_least,
                own.min_hosts,
            ]
        });
        breaker.into_iter().chain(outliers)
    });
    words.map(Value::from).collect()
}

fn retry(retry: &mesh_engine::Retry<'_>) -> Value {
    let flags = u32::from(retry.on_connect_failure)
        | u32::from(retry.on_reset) << 1
        | u32::from(retry.on_timeout) << 2
        | u32::from(retry.budget.is_some()) << 3;
    let statuses: Vec<u16> = (1..=599).filter(|status| retry.on_status(*status)).collect();
    let budget = retry.budget.map_or((0, 0, 0), |budget| (budget.share, budget.min_per_second, budget.over));
    let policy = json!([
        retry.count,
        flags,
        retry.methods,
        retry.per_try_timeout.unwrap_or(0),
        retry.backoff_base,
        retry.backoff_cap,
        retry.buffer,
        budget.0,
        budget.1,
        budget.2,
    ]);
    policy.as_array().into_iter().flatten().cloned().chain(statuses.into_iter().map(Value::from)).collect()
}

/// The reader's answers, a line each.
fn read(questions: &str, folder: &Path) -> Vec<String> {
    let file = folder.join("questions.jsonl");
    std::fs::write(&file, questions).expect("a file");
    let reader = Path::new(env!("CARGO_MANIFEST_DIR")).join("real/plan_reader.py");
    let output = Command::new("python3")
        .arg(reader)
        .stdin(std::fs::File::open(file).expect("the file"))
        .output()
        .expect("python3 runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).expect("JSON").lines().map(str::to_owned).collect()
}

/// A value as text, the fields of an object by name: in which order `serde_json` keeps them depends on who else is built beside us.
fn in_order(value: &Value) -> String {
    match value {
        Value::Object(fields) => {
            let fields: BTreeMap<&String, String> =
                fields.iter().map(|(name, value)| (name, in_order(value))).collect();
            format!("{fields:?}")
        }
        Value::Array(items) => format!("{:?}", items.iter().map(in_order).collect::<Vec<_>>()),
        other => other.to_string(),
    }
}
