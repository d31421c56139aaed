//! The same decisions by others: a scan of the target's rules, Cedar, and Rego.

use super::workload::{Answer, Path, Request, Rule, Service, Source, Workload};
use cedar_policy::{
    Authorizer, Context, Decision, Entities, Entity, EntityUid, PolicySet, RestrictedExpression,
};
use std::collections::{HashMap, HashSet};
use std::fmt::Write;
use std::str::FromStr;

/// Rules by target, each looked at: what a few lines of Rust do. Services are numbers, so no text is compared but those of requests.
pub struct Buckets<'w> {
    workload: &'w Workload,
}

impl<'w> Buckets<'w> {
    pub fn new(workload: &'w Workload) -> Buckets<'w> {
        Buckets { workload }
    }

    /// Stops at the first denial; the route is the first that fits.
    pub fn answer(&self, request: &Request) -> Answer {
        self.workload.answer(request)
    }
}

/// Cedar, with all policies in one set or a set for each target.
pub struct Cedar {
    authorizer: Authorizer,
    entities: Entities,
    all: Option<PolicySet>,
    sliced: HashMap<usize, PolicySet>,
}

/// As many segments as a path has at most.
const SEGMENTS: usize = 12;

impl Cedar {
    pub fn new(workload: &Workload, in_one_set: bool) -> Cedar {
        let services = workload.services.iter().enumerate();
        let entity = |(index, service): (usize, &Service)| {
            let parent = uid("Namespace", &service.namespace.to_string());
            Entity::new(uid("Service", &index.to_string()), HashMap::new(), HashSet::from([parent]))
                .expect("an entity without attributes")
        };
        let entities = Entities::from_entities(services.map(entity), None).expect("entities");
        let texts = |service: &Service| -> String {
            workload.rules[service.rules.clone()].iter().map(policy).collect()
        };
        let set = |text: &str| PolicySet::from_str(text).expect("policies");
        let all = in_one_set.then(|| set(&workload.services.iter().map(texts).collect::<String>()));
        let own = workload.services.iter().enumerate();
        let sliced = match in_one_set {
            true => HashMap::new(),
            false => own.map(|(index, service)| (index, set(&texts(service)))).collect(),
        };
        Cedar { authorizer: Authorizer::new(), entities, all, sliced }
    }

    /// What is asked, ready made.
    pub fn request(&self, request: &Request) -> cedar_policy::Request {
        let text = |text: &str| RestrictedExpression::new_string(text.to_owned());
        let mut segments = request.path.split('/').skip(1);
        let mut pairs = vec![(
            "n".to_owned(),
            RestrictedExpression::new_long(request.path.split('/').count() as i64 - 1),
        )];
        for place in 0..SEGMENTS {
            pairs.push((format!("s{place}"), text(segments.next().unwrap_or_default())));
        }
        let named = request.headers.iter().chain(&request.claims);
        pairs.extend(named.map(|(name, value)| (name.replace('-', "_"), text(value))));
        let context = Context::from_pairs(pairs).expect("a context");
        let principal =
            request.source.map_or_else(|| uid("Nobody", "0"), |source| uid("Service", &source.to_string()));
        let action = uid("Action", request.method);
        let resource = uid("Service", &request.target.to_string());
        cedar_policy::Request::new(principal, action, resource, context, None).expect("a request")
    }

    pub fn allows(&self, target: usize, request: &cedar_policy::Request) -> bool {
        let set = self.all.as_ref().or_else(|| self.sliced.get(&target)).expect("policies of the target");
        self.authorizer.is_authorized(request, set, &self.entities).decision() == Decision::Allow
    }
}

fn uid(kind: &str, id: &str) -> EntityUid {
    EntityUid::from_str(&format!("{kind}::\"{id}\"")).expect("an entity's id")
}

fn policy(rule: &Rule) -> String {
    let effect = if rule.deny { "forbid" } else { "permit" };
    let source = match &rule.source {
        Source::Services(services) => {
            let each: Vec<String> =
                services.iter().map(|own| format!("principal == Service::\"{own}\"")).collect();
            format!("({})", each.join(" || "))
        }
        Source::Namespace(namespace) => format!("principal in Namespace::\"{namespace}\""),
        Source::Anyone => "true".to_owned(),
    };
    let actions: Vec<String> = rule.methods.iter().map(|method| format!("Action::\"{method}\"")).collect();
    let mut text = format!(
        "{effect} (principal, action in [{}], resource == Service::\"{}\") when {{ {source} && {}",
        actions.join(", "),
        rule.target,
        segments(&rule.path)
    );
    for (name, value) in rule.header.iter().chain(&rule.claim) {
        let name = name.replace('-', "_");
        let _ = write!(text, " && context has {name} && context.{name} == \"{value}\"");
    }
    text + " };\n"
}

fn segments(path: &Path) -> String {
    let count = path.segments.len();
    let mut text = if path.below { format!("context.n >= {count}") } else { format!("context.n == {count}") };
    for (place, segment) in path.segments.iter().enumerate() {
        let _ = match segment {
            Some(segment) => write!(text, " && context.s{place} == \"{segment}\""),
            None => write!(text, " && context.s{place} != \"\""),
        };
    }
    text
}

/// Rego: the rules of a target as data, which one policy goes through.
pub struct Rego(regorus::Engine);

const POLICY: &str = r#"
package mesh

default allow := false

allow if {
    some rule in data.rules[input.target].allow
    fits(rule)
    not denied
}

denied if {
    some rule in data.rules[input.target].deny
    fits(rule)
}

fits(rule) if {
    input.method in rule.methods
    is_source(rule)
    is_path(rule)
    every name, value in rule.named { input.named[name] == value }
}

is_source(rule) if rule.anyone
is_source(rule) if input.source in rule.services
is_source(rule) if input.namespace == rule.namespace

is_path(rule) if {
    rule.below
    count(input.path) >= count(rule.path)
    every place, segment in rule.path { is_segment(segment, input.path[place]) }
}

is_path(rule) if {
    not rule.below
    count(input.path) == count(rule.path)
    every place, segment in rule.path { is_segment(segment, input.path[place]) }
}

is_segment(wanted, segment) if wanted == segment
is_segment("*", segment) if segment != ""
"#;

impl Rego {
    pub fn new(workload: &Workload) -> Rego {
        let mut engine = regorus::Engine::new();
        engine.add_policy("mesh.rego".to_owned(), POLICY.to_owned()).expect("a policy");
        let rules = |service: &Service, deny: bool| {
            let own = workload.rules[service.rules.clone()].iter().filter(|rule| rule.deny == deny);
            own.map(rego_rule).collect::<Vec<String>>().join(",")
        };
        let targets = workload.services.iter().enumerate().map(|(index, service)| {
            format!(
                "\"{index}\":{{\"allow\":[{}],\"deny\":[{}]}}",
                rules(service, false),
                rules(service, true)
            )
        });
        let data = format!("{{\"rules\":{{{}}}}}", targets.collect::<Vec<String>>().join(","));
        engine.add_data(regorus::Value::from_json_str(&data).expect("data")).expect("data");
        Rego(engine)
    }

    pub fn request(workload: &Workload, request: &Request) -> regorus::Value {
        let quoted = |text: &str| format!("\"{text}\"");
        let path: Vec<String> = request.path.split('/').skip(1).map(quoted).collect();
        let named = request.headers.iter().chain(&request.claims);
        let named: Vec<String> = named.map(|(name, value)| format!("\"{name}\":\"{value}\"")).collect();
        let source = request.source.map_or_else(
            || "\"source\":-1,\"namespace\":-1".to_owned(),
            |source| format!("\"source\":{source},\"namespace\":{}", workload.services[source].namespace),
        );
        let text = format!(
            "{{\"target\":\"{}\",\"method\":\"{}\",{source},\"path\":[{}],\"named\":{{{}}}}}",
            request.target,
            request.method,
            path.join(","),
            named.join(",")
        );
        regorus::Value::from_json_str(&text).expect("an input")
    }

    pub fn allows(&mut self, input: regorus::Value) -> bool {
        self.0.set_input(input);
        let allowed = self.0.eval_rule("data.mesh.allow".to_owned()).expect("a decision");
        allowed == regorus::Value::from(true)
    }
}

fn rego_rule(rule: &Rule) -> String {
    let source = match &rule.source {
        Source::Services(services) => format!("\"anyone\":false,\"services\":{services:?},\"namespace\":-2"),
        Source::Namespace(namespace) => format!("\"anyone\":false,\"services\":[],\"namespace\":{namespace}"),
        Source::Anyone => "\"anyone\":true,\"services\":[],\"namespace\":-2".to_owned(),
    };
    let path: Vec<&str> =
        rule.path.segments.iter().map(|segment| segment.as_deref().unwrap_or("*")).collect();
    let named = rule.header.iter().chain(&rule.claim);
    let named: Vec<String> = named.map(|(name, value)| format!("\"{name}\":\"{value}\"")).collect();
    format!(
        "{{{source},\"methods\":{:?},\"path\":{path:?},\"below\":{},\"named\":{{{}}}}}",
        rule.methods,
        rule.path.below,
        named.join(",")
    )
}
