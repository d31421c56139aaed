//! What there is to know of each service and gateway, as a person asks it: who may call, what it calls, which rule comes first.
//! Plain data for whoever writes pages of it.

use crate::model::{
    AccessLine, Caller, Check, GatewayId, Model, PortId, Service, ServiceId, Table, Workload as Declared,
};
use crate::partition::{Judged, Owner, Partition};
use crate::rank::Ranked;
use crate::values::{Block, Value, Written};
use mesh_lang::ast::{self, Effect, Item};
use mesh_lang::statement::{Args, Statement};
use mesh_lang::{Span, ast::Op};
use std::collections::{BTreeMap, BTreeSet};

/// All services and gateways of a project in one environment.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Description {
    /// The name of the mesh; empty where no file says it.
    pub mesh: String,
    /// Gateways, then services, each by name.
    pub workloads: Vec<Workload>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    Gateway,
    Service,
}

/// A service or a gateway, by its full name.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Named {
    pub kind: Kind,
    /// `reviews.default`
    pub name: String,
}

/// A service or a gateway.
#[derive(Clone, Debug, PartialEq)]
pub struct Workload {
    pub named: Named,
    /// What the comment above it says.
    pub doc: String,
    /// May be empty.
    pub owner: String,
    pub identity: String,
    /// Ports or listeners.
    pub doors: Vec<Door>,
    /// The `subset` statements, and those of `endpoints`.
    pub endpoints: Vec<String>,
    pub access: Vec<Access>,
    pub calls: Vec<Called>,
    /// Who calls it, or sends requests to it, by name.
    pub callers: Vec<Named>,
    /// To whom it sends, by name.
    pub callees: Vec<Named>,
    /// In the order in which they win.
    pub rules: Vec<Rule>,
    pub settings: Vec<Value>,
    pub tests: Vec<Test>,
}

/// A port or a listener.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Door {
    /// Empty where there is one port without a name.
    pub name: String,
    pub number: u16,
    pub protocol: &'static str,
    /// The hosts of a listener.
    pub hosts: Vec<String>,
}

/// Who may do what, or may not: one operation of a line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Access {
    /// `GET /reviews/{id}`; empty: every request.
    pub operation: String,
    /// `allow`, `deny` or `audit`; `guardrail` and `mode` for lines that say it in another way.
    pub effect: String,
    /// `productpage, gateway edge`; empty: everyone.
    pub who: String,
    /// Further conditions, or, of a guardrail or mode, all that it says; may be empty.
    pub when: String,
    pub span: Span,
}

/// One `calls` statement.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Called {
    pub service: Named,
    /// `GET /reviews/{id}`; empty: every request.
    pub operations: Vec<String>,
    /// What its block says.
    pub says: Vec<String>,
    pub span: Span,
}

/// A rule of a route.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rule {
    /// Of a gateway, the listener and the host: `web "*"`; of a service with several ports, the port; of a route of one's own for what
    /// one calls, `to ratings.default`.
    pub table: String,
    pub name: String,
    /// What its `match` statements say; empty: every request.
    pub matches: Vec<String>,
    /// Its other statements.
    pub does: Vec<String>,
    pub span: Span,
}

/// A test in which a service or gateway has a part.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Test {
    pub name: String,
    /// Its statements, as written.
    pub lines: Vec<String>,
    pub span: Span,
}

/// What is shown of a service or gateway with the lines it comes from, in this order.
pub const SETTINGS: [&str; 13] = [
    "timeout",
    "retry",
    "connect-timeout",
    "idle-timeout",
    "load-balancer",
    "circuit-breaker",
    "outlier-detection",
    "health-check",
    "rate-limit",
    "max-request-body",
    "mtls",
    "tls",
    "jwt",
];

/// Describes a model. Time: linear in the project for each workload.
pub(crate) fn describe(
    model: &Model,
    partitions: &[Partition],
    files: &[ast::File],
    written: &Written<'_>,
) -> Description {
    let context = Context::of(model, partitions, files, written);
    let items = || files.iter().flat_map(|file| &file.items);
    let mesh = items().find_map(|item| match item {
        Item::Mesh(mesh) => Some(mesh.name.value.clone()),
        _ => None,
    });
    let gateways = (0..model.gateways.len() as u32).map(|id| context.gateway(GatewayId(id)));
    let services = (0..model.services.len() as u32).map(|id| context.service(ServiceId(id)));
    let mut workloads: Vec<Workload> = gateways.chain(services).collect();
    let edges: BTreeSet<(Named, Named)> = workloads
        .iter()
        .flat_map(|from| from.callees.iter().map(|to| (from.named.clone(), to.clone())))
        .collect();
    for workload in &mut workloads {
        let calls = edges.iter().filter(|(_, to)| *to == workload.named);
        workload.callers = calls.map(|(from, _)| from.clone()).collect();
    }
    Description { mesh: mesh.unwrap_or_default().to_string(), workloads }
}

/// What is asked again and again.
struct Context<'a> {
    model: &'a Model,
    partitions: &'a [Partition],
    written: &'a Written<'a>,
    blocks: Vec<Block<'a>>,
    /// By the place of their names.
    docs: BTreeMap<Span, &'a str>,
    /// Lines of `authorize`, by their place.
    lines: BTreeMap<Span, &'a ast::AuthorizeLine>,
    /// And who is asked besides.
    checks: BTreeMap<Span, &'a ast::Check>,
    /// Rules, and bare `to` statements of routes, by their place, with their directory.
    rules: BTreeMap<Span, (&'a str, &'a Statement)>,
    tests: Vec<(&'a ast::Test, Test)>,
}

impl<'a> Context<'a> {
    fn of(
        model: &'a Model,
        partitions: &'a [Partition],
        files: &'a [ast::File],
        written: &'a Written<'a>,
    ) -> Context<'a> {
        let blocks = written.blocks();
        let (mut docs, mut lines, mut asts) = (BTreeMap::new(), BTreeMap::new(), Vec::new());
        let mut checks = BTreeMap::new();
        for item in files.iter().flat_map(|file| &file.items) {
            match item {
                Item::Service(service) => {
                    docs.extend(service.doc.as_deref().map(|doc| (service.name.span, doc)))
                }
                Item::Gateway(gateway) => {
                    docs.extend(gateway.doc.as_deref().map(|doc| (gateway.name.span, doc)))
                }
                Item::Authorize(authorize) => {
                    lines.extend(authorize.lines.iter().map(|line| (line.span, &**line)));
                    checks.extend(authorize.checks.iter().map(|check| (check.span, check)));
                }
                Item::Test(test) => asts.push(test),
                _ => {}
            }
        }
        let mut rules = BTreeMap::new();
        let mut tests = Vec::new();
        for Block { statement, directory, .. } in blocks.iter().copied() {
            match &statement.args {
                Args::Route(_) => {
                    rules.extend(statement.block.iter().map(|inner| (inner.span, (directory, inner))));
                }
                Args::Test(test) => {
                    let name = &test.0;
                    let lines = statement.block.iter().map(|line| written.head(line)).collect();
                    let test = Test { name: name.value.to_string(), lines, span: statement.span };
                    let own = asts.iter().find(|test| test.span == statement.span).copied();
                    tests.extend(own.map(|own| (own, test)));
                }
                _ => {}
            }
        }
        Context { model, partitions, written, blocks, docs, lines, checks, rules, tests }
    }

    fn service(&self, id: ServiceId) -> Workload {
        let service = &self.model[id];
        let named = Named { kind: Kind::Service, name: service.full_name() };
        let several = service.ports.len() > 1;
        let mut rules = Vec::new();
        let mut callees: BTreeSet<Named> =
            service.calls.iter().map(|call| self.named(call.to.service)).collect();
        for (index, port) in service.ports.iter().enumerate() {
            let Some(table) = &port.route else { continue };
            let owner = Owner::Port(PortId { service: id, port: index as u32 });
            let name = if several { format!("port {}", port.name) } else { String::new() };
            rules.extend(self.rules(&name, table, self.judged(owner, 0)));
            callees.extend(self.sent_to(table));
        }
        rules.extend(self.consumer_rules(Caller::Service(id), &mut callees));
        callees.remove(&named);
        let doors = service.ports.iter().map(|port| Door {
            name: port.name.to_string(),
            number: port.number,
            protocol: port.protocol.as_str(),
            hosts: Vec::new(),
        });
        let access: Vec<&[AccessLine]> = service.ports.iter().map(|port| port.access.as_slice()).collect();
        Workload {
            doors: doors.collect(),
            endpoints: self.endpoints(service),
            access: self.access(&access, self.model.checks(Caller::Service(id))),
            calls: self.calls(service),
            callees: callees.into_iter().collect(),
            rules,
            ..self.workload(named, &service.workload)
        }
    }

    fn gateway(&self, id: GatewayId) -> Workload {
        let gateway = &self.model[id];
        let named = Named { kind: Kind::Gateway, name: gateway.full_name() };
        let (mut rules, mut callees) = (Vec::new(), BTreeSet::new());
        for (index, listener) in gateway.listeners.iter().enumerate() {
            for (number, host) in listener.tables.iter().enumerate() {
                let judged = self.judged(Owner::Listener(id, index as u32), number);
                let name = format!("{} \"{}\"", listener.name, host.host);
                rules.extend(self.rules(&name, &host.table, judged));
                callees.extend(self.sent_to(&host.table));
            }
        }
        rules.extend(self.consumer_rules(Caller::Gateway(id), &mut callees));
        let doors = gateway.listeners.iter().map(|listener| Door {
            name: listener.name.clone(),
            number: listener.number,
            protocol: listener.protocol.as_str(),
            hosts: listener.hosts.iter().map(|(host, _)| host.to_string()).collect(),
        });
        let access: Vec<&[AccessLine]> =
            gateway.listeners.iter().map(|listener| listener.access.as_slice()).collect();
        Workload {
            doors: doors.collect(),
            access: self.access(&access, self.model.checks(Caller::Gateway(id))),
            callees: callees.into_iter().collect(),
            rules,
            ..self.workload(named, &gateway.workload)
        }
    }

    /// The rules of a caller's own routes, and to whom they send.
    fn consumer_rules(&self, caller: Caller, callees: &mut BTreeSet<Named>) -> Vec<Rule> {
        let mut rules = Vec::new();
        for (route, index) in self.model.consumer_routes.iter().zip(0..) {
            if route.caller == caller {
                let name = format!("to {}", self.model.port_name(route.to));
                rules.extend(self.rules(&name, &route.table, self.judged(Owner::Consumer(index), 0)));
                callees.extend(self.sent_to(&route.table));
            }
        }
        rules
    }

    /// What services and gateways have both.
    fn workload(&self, named: Named, declared: &Declared) -> Workload {
        let target = named.name.as_str();
        let owner = (target, declared.name.as_str(), Some(declared.namespace.as_str()));
        let settings =
            SETTINGS.iter().filter_map(|keyword| self.written.value_of(&self.blocks, owner, keyword).ok());
        let settings = settings.filter(|value| !value.lines.is_empty() || !value.nearer.is_empty()).collect();
        let tests =
            self.tests.iter().filter(|(test, _)| test.lines.iter().any(|line| has_part(line, declared)));
        Workload {
            doc: self.docs.get(&declared.span).copied().unwrap_or_default().to_owned(),
            owner: declared.owner.to_string(),
            identity: declared.identity.to_string(),
            doors: Vec::new(),
            endpoints: Vec::new(),
            access: Vec::new(),
            calls: Vec::new(),
            callers: Vec::new(),
            callees: Vec::new(),
            rules: Vec::new(),
            settings,
            tests: tests.map(|(_, test)| test.clone()).collect(),
            named,
        }
    }

    fn named(&self, id: ServiceId) -> Named {
        Named { kind: Kind::Service, name: self.model[id].full_name() }
    }

    fn sent_to(&self, table: &Table) -> BTreeSet<Named> {
        crate::check::backends(table).map(|to| self.named(to.service)).collect()
    }

    fn judged(&self, owner: Owner, table: usize) -> Option<&'a Judged> {
        let partition = self.partitions.iter().find(|partition| partition.owner == owner)?;
        partition.tables.get(table)
    }

    fn rules(&self, name: &str, table: &Table, judged: Option<&Judged>) -> Vec<Rule> {
        let order = match judged {
            Some(judged) => precedence(&judged.ranked, table.rules.len()),
            None => (0..table.rules.len()).collect(),
        };
        let rules = order.into_iter().filter_map(|index| table.rules.get(index));
        let mut found: Vec<Rule> = rules
            .map(|rule| {
                let (mut matches, mut does) = (Vec::new(), Vec::new());
                if let Some((directory, statement)) = self.rules.get(&rule.span) {
                    let says = |line: &Statement| self.written.line(directory, line, String::new()).text;
                    match &statement.args {
                        Args::Rule(..) => {
                            for line in &statement.block {
                                match line.keyword() {
                                    "match" => matches.push(without(&says(line), "match")),
                                    _ => does.push(says(line)),
                                }
                            }
                        }
                        _ => does.push(says(statement)),
                    }
                }
                Rule { table: name.to_owned(), name: rule.name.to_string(), matches, does, span: rule.span }
            })
            .collect();
        found.extend(table.otherwise.map(|(status, span)| Rule {
            table: name.to_owned(),
            name: "otherwise".to_owned(),
            matches: Vec::new(),
            does: vec![format!("answers {status}")],
            span,
        }));
        found
    }

    /// Lines that hold at several doors are said once.
    fn access<'c>(&self, doors: &[&[AccessLine]], checks: impl Iterator<Item = &'c Check>) -> Vec<Access> {
        let mut seen: BTreeSet<Span> = BTreeSet::new();
        let mut found = Vec::new();
        for line in doors.iter().copied().flatten().filter(|line| seen.insert(line.span)) {
            let Some(written) = self.lines.get(&line.span) else {
                let effect = match (line.is_mode, line.is_probe) {
                    (true, _) => "mode",
                    (false, true) => "probe",
                    (false, false) => "guardrail",
                };
                found.push(Access {
                    operation: String::new(),
                    effect: effect.to_owned(),
                    who: String::new(),
                    when: self.plain(line.span),
                    span: line.span,
                });
                continue;
            };
            let effect = match written.effect {
                Effect::Allow => "allow",
                Effect::Deny => "deny",
                Effect::Audit => "audit",
            };
            let port = written.port.as_ref().map(|port| format!("port {}", port.value));
            let operations: Vec<String> = written.ops.iter().map(Op::to_string).collect();
            let operations = if operations.is_empty() { vec![String::new()] } else { operations };
            for operation in operations {
                let parts: Vec<String> =
                    port.clone().into_iter().chain([operation]).filter(|part| !part.is_empty()).collect();
                let who = written.from.as_ref().map(ToString::to_string).unwrap_or_default();
                let when: Vec<String> =
                    written.when.iter().map(|condition| self.plain(condition.span)).collect();
                found.push(Access {
                    operation: parts.join(" "),
                    effect: effect.to_owned(),
                    who: without(&who, "from"),
                    when: when.join(" and "),
                    span: line.span,
                });
            }
        }
        let own = checks.filter(|check| seen.insert(check.span));
        for written in own.filter_map(|check| self.checks.get(&check.span)) {
            let port = written.port.as_ref().map(|port| format!("port {}", port.value));
            let operations = written.ops.iter().map(Op::to_string).chain(port);
            found.push(Access {
                operation: operations.collect::<Vec<_>>().join(", "),
                effect: "check".to_owned(),
                who: format!("ext-authz {}", written.ext_authz.value),
                when: String::new(),
                span: written.span,
            });
        }
        found.sort_by(|a, b| (&a.operation, a.span).cmp(&(&b.operation, b.span)));
        found
    }

    fn calls(&self, service: &Service) -> Vec<Called> {
        let own = |block: &&Block<'_>| match &block.statement.args {
            Args::Name(name) => name.span == service.workload.span,
            _ => false,
        };
        let Some(block) = self.blocks.iter().find(own) else { return Vec::new() };
        let mut found = Vec::new();
        for call in &service.calls {
            let mut seen = BTreeSet::new();
            for span in call.lines.iter().map(|line| line.span).filter(|span| seen.insert(*span)) {
                let statement = block.statement.block.iter().find(|line| covers(line.span, span));
                let Some((statement, Args::Calls(calls))) = statement.map(|line| (line, &line.args)) else {
                    continue;
                };
                let says = statement
                    .block
                    .iter()
                    .map(|line| self.written.line(block.directory, line, String::new()).text);
                let called = Called {
                    service: self.named(call.to.service),
                    operations: calls.to.iter().map(Op::to_string).collect(),
                    says: says.collect(),
                    span: statement.span,
                };
                if !found.contains(&called) {
                    found.push(called);
                }
            }
        }
        found
    }

    fn endpoints(&self, service: &Service) -> Vec<String> {
        let own = |block: &&Block<'_>| match &block.statement.args {
            Args::Name(name) => name.span == service.workload.span,
            _ => false,
        };
        let lines = self.blocks.iter().find(own).into_iter().flat_map(|block| {
            let lines = block.statement.block.iter();
            let lines = lines.filter(|line| matches!(line.keyword(), "subset" | "endpoints" | "external"));
            lines.map(|line| self.written.line(block.directory, line, String::new()).text)
        });
        lines.collect()
    }

    /// The source on one line.
    fn plain(&self, span: Span) -> String {
        self.written.sources.text(span).split_whitespace().collect::<Vec<_>>().join(" ")
    }
}

fn covers(whole: Span, part: Span) -> bool {
    whole.file() == part.file() && whole.start() <= part.start() && part.end() <= whole.end()
}

fn without(text: &str, keyword: &str) -> String {
    text.strip_prefix(keyword).unwrap_or(text).trim_start().to_owned()
}

/// Whether a line of a test asks this service or gateway, or asks for it.
fn has_part(line: &ast::TestLine, declared: &Declared) -> bool {
    let is_it = |name: &ast::ServiceRef| {
        name.name() == declared.name && name.namespace().is_none_or(|own| own == declared.namespace)
    };
    let asks = line.from.iter().flat_map(|from| &from.principals).any(|who| match &who.kind {
        ast::PrincipalKind::Service(name) | ast::PrincipalKind::Gateway(name) => is_it(name),
        _ => false,
    });
    let asked = match &line.to {
        ast::Destination::Target(name) | ast::Destination::Gateway(name) => is_it(name),
        ast::Destination::Namespace(_) => false,
    };
    asks || asked
}

/// The rules in an order in which each stands before those it beats: of several that could come next, the first by name.
fn precedence(ranked: &Ranked, rules: usize) -> Vec<usize> {
    let mut beaten_by: Vec<BTreeSet<usize>> = vec![BTreeSet::new(); rules];
    for (line, beaters) in ranked.lines.iter().zip(&ranked.beaten_by) {
        let beaters = beaters.iter().filter_map(|beater| ranked.lines.get(*beater as usize));
        if let Some(own) = beaten_by.get_mut(line.rule as usize) {
            own.extend(
                beaters.map(|beater| beater.rule as usize).filter(|beater| *beater != line.rule as usize),
            );
        }
    }
    let mut left: BTreeSet<usize> = (0..rules).collect();
    let mut order = Vec::with_capacity(rules);
    while let Some(first) = left.first().copied() {
        // Two rules may beat each other in different lines; then the one with the first name stands first.
        let free = left.iter().copied().find(|rule| beaten_by[*rule].is_disjoint(&left));
        let next = free.unwrap_or(first);
        left.remove(&next);
        order.push(next);
    }
    order
}

#[cfg(test)]
mod tests {
    use super::{Description, Kind, Workload};
    use crate::Project;
    use mesh_lang::SourceSet;

    const SHOP: &str = "mesh shop { default { timeout 10s } }
## Sells.
## Things.
service web { port 80 http; calls cart port a to GET /cart/{id} { timeout 1s } }
service cart { port a 80 http; port b 81 http; subset v1 label version = \"1\"; subset v2 label version = \"2\" }
gateway edge { listener web port 8080 http { host \"*\" } }
route edge { rule all { match /**; to web }  otherwise 404 }
route cart port a {
  rule everybody { to cart:v1 port a }
  rule narrow { match GET /cart/1; to cart:v2 port a }
  rule middle { match GET; to cart:v2 port a; timeout 2s }
}
authorize edge { allow from anyone }
authorize web { allow from gateway edge }
authorize cart { deny to port b; allow from web, gateway edge to port a GET /cart/{id}, POST when header \"x\" present }
test \"it works\" { request from web to cart port a GET /cart/1 when header \"x\" = \"1\" expect cart:v2 port a }
";

    fn described(text: &str) -> Description {
        Project::parse(&SourceSet::single("a.mesh", text)).describe(None)
    }

    fn find<'a>(description: &'a Description, name: &str) -> &'a Workload {
        description.workloads.iter().find(|workload| workload.named.name == name).unwrap()
    }

    #[test]
    fn gateways_come_first_and_each_knows_its_neighbours() {
        let all = described(SHOP);
        assert_eq!(all.mesh, "shop");
        let names: Vec<_> =
            all.workloads.iter().map(|one| (one.named.kind, one.named.name.as_str())).collect();
        let expected = [
            (Kind::Gateway, "edge.default"),
            (Kind::Service, "cart.default"),
            (Kind::Service, "web.default"),
        ];
        assert_eq!(names, expected);
        let web = find(&all, "web.default");
        assert_eq!(web.doc, "Sells.\nThings.");
        assert_eq!(web.callers.iter().map(|one| one.name.as_str()).collect::<Vec<_>>(), ["edge.default"]);
        assert_eq!(web.callees.iter().map(|one| one.name.as_str()).collect::<Vec<_>>(), ["cart.default"]);
        assert_eq!(web.calls[0].operations, ["GET /cart/{id}"]);
        assert_eq!(web.calls[0].says, ["timeout 1s"]);
    }

    #[test]
    fn rules_stand_in_the_order_in_which_they_win() {
        let all = described(SHOP);
        let rules = &find(&all, "cart.default").rules;
        let shown: Vec<_> = rules
            .iter()
            .map(|rule| (rule.name.as_str(), rule.matches.join("; "), rule.does.join("; ")))
            .collect();
        let expected = [
            ("narrow", "GET /cart/1", "to cart:v2 port a"),
            ("middle", "GET", "to cart:v2 port a; timeout 2s"),
            ("everybody", "", "to cart:v1 port a"),
        ];
        assert_eq!(shown, expected.map(|(name, matches, does)| (name, matches.to_owned(), does.to_owned())));
        let edge = &find(&all, "edge.default").rules;
        assert_eq!((edge[0].table.as_str(), edge[1].name.as_str()), ("web \"*\"", "otherwise"));
    }

    #[test]
    fn who_may_call_is_said_for_each_operation() {
        let all = described(SHOP);
        let access: Vec<_> = find(&all, "cart.default")
            .access
            .iter()
            .map(|line| format!("{} {} {} {}", line.operation, line.effect, line.who, line.when))
            .collect();
        let expected = [
            "port a GET /cart/{id} allow gateway edge, web header \"x\" present",
            "port a POST allow gateway edge, web header \"x\" present",
            "port b deny  ",
        ];
        assert_eq!(access, expected);
    }

    #[test]
    fn settings_say_where_they_come_from_and_tests_are_examples() {
        let all = described(SHOP);
        let cart = find(&all, "cart.default");
        let timeout = &cart.settings[0];
        assert_eq!(
            (timeout.lines[0].text.as_str(), timeout.lines[0].place.as_str()),
            ("timeout 10s", "mesh default")
        );
        assert_eq!(timeout.nearer.len(), 2);
        assert_eq!(cart.tests[0].name, "it works");
        assert!(find(&all, "edge.default").tests.is_empty());
        assert_eq!(cart.endpoints, ["subset v1 label version = \"1\"", "subset v2 label version = \"2\""]);
    }

    #[test]
    fn what_cannot_be_understood_is_left_out() {
        let all = described(
            "service web { prot 80 }\nservice cart { port 80 http }\nroute cart { rule a { to web } }",
        );
        assert_eq!(all.workloads.len(), 2);
    }
}
