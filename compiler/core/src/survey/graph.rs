//! Who calls whom, as a picture needs it: services, gateways and what is outside, the calls and routes between them, whether they are
//! allowed, how requests are split, and how often they are tried.

use super::ways::ways;
use super::who::{NoAnswer, Verdict};
use super::{Survey, spelling};
use crate::check::Hops;
use crate::model::{Action, Caller, PortId, Rule, ServiceId, Table};
use mesh_lang::Span;
use mesh_lang::ast::Mtls;
use petgraph::algo::tarjan_scc;
use petgraph::graph::{DiGraph, NodeIndex};
use petgraph::visit::EdgeRef;
use std::collections::{BTreeMap, BTreeSet};

/// The graph of a mesh.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Graph {
    /// The name of the mesh; empty where no file says it.
    pub mesh: String,
    /// Gateways, then services, each by name.
    pub nodes: Vec<Node>,
    /// By the numbers of their nodes.
    pub edges: Vec<Edge>,
}

/// A service or a gateway.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Node {
    pub kind: Kind,
    /// `reviews.default`
    pub name: String,
    pub namespace: String,
    /// May be empty.
    pub owner: String,
    /// How its own route splits requests among its subsets: `v1 90%, v3 10%`, with the rule where there are several.
    pub splits: Vec<String>,
    /// Whether each of its ports asks peers to show who they are.
    pub mtls_strict: bool,
    /// How many tries one request at the beginning of a way may become here; `None` where there is no most.
    pub tries: Option<u64>,
    /// Whether that is more than the mesh's `limit retry-amplification`, or than eight where it has none.
    pub is_amplified: bool,
}

/// What a node is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    Gateway,
    Service,
    /// Outside of the mesh.
    External,
}

/// A call or a route from one to another. All calls and routes between two are one edge.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Edge {
    /// Number of a node.
    pub from: usize,
    pub to: usize,
    /// Whether `calls` says so; else only routes do.
    pub is_call: bool,
    /// Of calls, the operations; none: every request.
    pub operations: Vec<String>,
    /// Of routes, each rule that sends there, with its share where it is not all: `beta 20%`.
    pub rules: Vec<String>,
    /// What is let in of what is called; of a gateway, whether anything is.
    pub verdict: Verdict,
    /// How many tries one request becomes.
    pub tries: u64,
    pub at: Span,
}

/// More tries than this are said to be many, where the mesh has no limit of its own.
const MANY_TRIES: u64 = 8;

impl Survey<'_> {
    /// The graph of the whole mesh.
    pub fn graph(&self) -> Result<Graph, NoAnswer> {
        let hops = Hops::new(&self.model);
        let mut tries: BTreeMap<(Caller, ServiceId), u64> = BTreeMap::new();
        for hop in hops.iter() {
            let known = tries.entry((hop.from, hop.to)).or_insert(1);
            *known = hop.tries().max(*known);
        }
        let most = most(&tries);
        let limit = self.model.retry_limit.map_or(MANY_TRIES, |limit| u64::from(limit.value));
        let callers = self.callers();
        let numbers: BTreeMap<Caller, usize> =
            callers.iter().zip(0..).map(|(caller, number)| (*caller, number)).collect();
        let outside = self.outside();
        let nodes = callers.iter().map(|caller| {
            let workload = self.model.workload(*caller);
            let tries = most.get(caller).copied().unwrap_or(Some(1));
            Node {
                kind: match caller {
                    Caller::Gateway(_) => Kind::Gateway,
                    Caller::Service(id) if outside.contains(id) => Kind::External,
                    Caller::Service(_) => Kind::Service,
                },
                name: workload.full_name(),
                namespace: workload.namespace.to_string(),
                owner: workload.owner.to_string(),
                splits: self.splits(*caller),
                mtls_strict: self.is_strict(*caller),
                tries,
                is_amplified: tries.is_none_or(|tries| tries > limit),
            }
        });
        let mut graph = Graph { mesh: self.mesh(), nodes: nodes.collect(), edges: Vec::new() };
        let mut edges: BTreeMap<(usize, usize), Edge> = BTreeMap::new();
        for sent in self.sent()? {
            let key = (numbers[&sent.from], numbers[&Caller::Service(sent.to)]);
            let tries = tries.get(&(sent.from, sent.to)).copied().unwrap_or(1);
            let edge = edges.entry(key).or_insert_with(|| Edge {
                from: key.0,
                to: key.1,
                is_call: false,
                operations: vec![],
                rules: vec![],
                verdict: sent.verdict,
                tries,
                at: sent.at,
            });
            edge.is_call |= sent.operations.is_some();
            edge.operations.extend(sent.operations.unwrap_or_default());
            edge.rules.extend(sent.rule);
            // Where something is let in and something else is not, some of it is.
            if edge.verdict != sent.verdict {
                edge.verdict = Verdict::Partly;
            }
        }
        for edge in edges.values_mut() {
            edge.operations.sort();
            edge.operations.dedup();
            edge.rules.sort();
            edge.rules.dedup();
        }
        graph.edges = edges.into_values().collect();
        Ok(graph)
    }

    /// Gateways, then services, each by name.
    fn callers(&self) -> Vec<Caller> {
        let mut callers: Vec<Caller> = self.workloads().map(|(caller, _)| caller).collect();
        callers.sort();
        callers
    }

    fn mesh(&self) -> String {
        let blocks = self.written.blocks();
        let mesh = blocks.iter().find(|block| block.statement.keyword() == "mesh");
        let head = mesh.map(|block| self.written.head(block.statement)).unwrap_or_default();
        head.split(' ').nth(1).unwrap_or_default().to_owned()
    }

    /// The services that are `external`.
    fn outside(&self) -> BTreeSet<ServiceId> {
        let blocks = self.written.blocks();
        let services = blocks.iter().filter(|block| block.statement.keyword() == "service");
        let outside =
            services.filter(|block| block.statement.block.iter().any(|line| line.keyword() == "external"));
        let spans: Vec<Span> = outside.map(|block| block.statement.span).collect();
        let is_outside = |name: Span| {
            spans.iter().any(|own| {
                own.file() == name.file() && own.start() <= name.start() && name.end() <= own.end()
            })
        };
        let all = self.model.services.iter().zip(0..);
        all.filter(|(own, _)| is_outside(own.workload.span)).map(|(_, id)| ServiceId(id)).collect()
    }

    fn is_strict(&self, caller: Caller) -> bool {
        let Caller::Service(id) = caller else { return false };
        let ports = &self.model[id].ports;
        !ports.is_empty() && ports.iter().all(|port| port.mtls.is_some_and(|mode| mode.value == Mtls::Strict))
    }

    /// `v1 90%, v3 10%`
    fn splits(&self, caller: Caller) -> Vec<String> {
        let Caller::Service(id) = caller else { return vec![] };
        let mut splits = Vec::new();
        for table in self.model[id].ports.iter().filter_map(|port| port.route.as_ref()) {
            for rule in &table.rules {
                let Action::Forward(backends) = &rule.action else { continue };
                let own = backends.iter().filter(|backend| backend.to.service == id);
                let parts: Vec<String> = own
                    .filter_map(|backend| {
                        let subset = self.model[id].subsets.get(backend.subset? as usize)?;
                        Some(format!("{} {}", subset.name, percent(backend.weight)))
                    })
                    .collect();
                if parts.len() > 1 {
                    let rule = if table.rules.len() > 1 { format!("{}: ", rule.name) } else { String::new() };
                    splits.push(format!("{rule}{}", parts.join(", ")));
                }
            }
        }
        splits
    }

    /// Everything that is sent from one to another.
    fn sent(&self) -> Result<Vec<Sent>, NoAnswer> {
        let ways = ways(&self.model);
        let mut found = Vec::new();
        for (service, id) in self.model.services.iter().zip(0..).map(|(own, id)| (own, ServiceId(id))) {
            let from = Caller::Service(id);
            for call in &service.calls {
                let operations = call.lines.iter().map(|line| spelling::operation(&line.shape));
                found.push(Sent {
                    from,
                    to: call.to.service,
                    operations: Some(operations.filter(|operation| !operation.is_empty()).collect()),
                    rule: None,
                    verdict: self.verdict(from, &ways, call.to)?,
                    at: call.span,
                });
            }
            for table in service.ports.iter().filter_map(|port| port.route.as_ref()) {
                found.extend(routed(from, table, Some(id)));
            }
        }
        for (gateway, id) in self.model.gateways.iter().zip(0..) {
            let from = Caller::Gateway(crate::model::GatewayId(id));
            for table in gateway.listeners.iter().flat_map(|listener| &listener.tables) {
                for mut sent in routed(from, &table.table, None) {
                    let ports = ports(&table.table, sent.to);
                    let mut verdicts = Vec::new();
                    for port in ports {
                        verdicts.push(self.verdict(from, &ways, port)?);
                    }
                    // A gateway's rule sends some requests: what matters is whether any is let in.
                    if verdicts.iter().all(|verdict| *verdict == Verdict::Denied) {
                        sent.verdict = Verdict::Denied;
                    }
                    found.push(sent);
                }
            }
        }
        for own in &self.model.consumer_routes {
            found.extend(routed(own.caller, &own.table, Some(own.to.service)));
        }
        Ok(found)
    }
}

/// One thing that is sent from one to another.
struct Sent {
    from: Caller,
    to: ServiceId,
    /// Of a call.
    operations: Option<Vec<String>>,
    /// Of a rule.
    rule: Option<String>,
    verdict: Verdict,
    at: Span,
}

/// Where the rules of a table send, but for the service that it is about.
fn routed(from: Caller, table: &Table, own: Option<ServiceId>) -> Vec<Sent> {
    let of_rule = |rule: &Rule| {
        let Action::Forward(backends) = &rule.action else { return vec![] };
        let mut shares: BTreeMap<ServiceId, u32> = BTreeMap::new();
        for backend in backends.iter().filter(|backend| Some(backend.to.service) != own) {
            *shares.entry(backend.to.service).or_default() += backend.weight;
        }
        let sent = shares.into_iter().map(|(to, weight)| {
            let share = if weight < WHOLE { format!(" {}", percent(weight)) } else { String::new() };
            let rule_name = Some(format!("{}{share}", rule.name));
            Sent { from, to, operations: None, rule: rule_name, verdict: Verdict::Allowed, at: rule.span }
        });
        sent.collect::<Vec<_>>()
    };
    table.rules.iter().flat_map(of_rule).collect()
}

/// The ports of a service that a table sends to.
fn ports(table: &Table, to: ServiceId) -> BTreeSet<PortId> {
    crate::check::backends(table).filter(|port| port.service == to).collect()
}

/// Basis points.
const WHOLE: u32 = 10_000;

fn percent(weight: u32) -> String {
    format!("{}%", f64::from(weight) / 100.0)
}

/// For each caller, the most tries that one request of whoever begins a way may become at it. Within a circle in which something is tried
/// again there is no most.
fn most(tries: &BTreeMap<(Caller, ServiceId), u64>) -> BTreeMap<Caller, Option<u64>> {
    let mut graph: DiGraph<Caller, u64> = DiGraph::new();
    let mut nodes: BTreeMap<Caller, NodeIndex> = BTreeMap::new();
    for ((from, to), tries) in tries {
        let [from, to] =
            [*from, Caller::Service(*to)].map(|own| *nodes.entry(own).or_insert_with(|| graph.add_node(own)));
        graph.add_edge(from, to, *tries);
    }
    let mut most: BTreeMap<NodeIndex, Option<u64>> = BTreeMap::new();
    // Components come in reverse order of calls.
    for component in tarjan_scc(&graph).into_iter().rev() {
        let mut all = Some(1u64);
        for node in &component {
            for edge in graph.edges_directed(*node, petgraph::Direction::Incoming) {
                let before = match component.contains(&edge.source()) {
                    true if *edge.weight() > 1 => None,
                    true => Some(1),
                    false => most
                        .get(&edge.source())
                        .copied()
                        .flatten()
                        .map(|before| before.saturating_mul(*edge.weight())),
                };
                all = match (all, before) {
                    (Some(all), Some(before)) => Some(all.max(before)),
                    _ => None,
                };
            }
        }
        most.extend(component.into_iter().map(|node| (node, all)));
    }
    nodes.into_iter().map(|(caller, node)| (caller, most.get(&node).copied().flatten())).collect()
}

#[cfg(test)]
mod tests {
    use super::{Graph, Kind};
    use crate::Project;
    use mesh_lang::SourceSet;

    fn graph(text: &str) -> Graph {
        Project::parse(&SourceSet::single("a.mesh", text)).survey(None).graph().unwrap()
    }

    fn edges(graph: &Graph) -> Vec<String> {
        let name = |number: usize| graph.nodes[number].name.trim_end_matches(".default");
        let edge = |edge: &super::Edge| {
            let what = if edge.is_call { "calls" } else { "routes" };
            format!(
                "{} {what} {} [{}] [{}] {:?} x{}",
                name(edge.from),
                name(edge.to),
                edge.operations.join(", "),
                edge.rules.join(", "),
                edge.verdict,
                edge.tries
            )
        };
        graph.edges.iter().map(edge).collect()
    }

    const CHAIN: &str = "mesh m { mtls strict }
service web { port 80 http; calls cart to GET /cart, POST /cart { retry 2 on reset } }
service cart { port 80 http; calls db { retry 3 on reset } }
service db { port 80 http; subset a label v = \"1\"; subset b label v = \"2\" }
route db { rule most { match GET; to db:a 60%, db:b 40% }; to db:a }
authorize web { deny }
authorize cart { allow from web to GET /cart }
authorize db { allow from cart }
";

    #[test]
    fn calls_have_operations_a_verdict_and_their_tries() {
        let all = graph(CHAIN);
        assert_eq!(all.mesh, "m");
        assert_eq!(
            edges(&all),
            ["cart calls db [] [] Allowed x4", "web calls cart [GET /cart, POST /cart] [] Partly x3"]
        );
    }

    #[test]
    fn tries_multiply_along_the_way_and_have_no_most_in_a_circle() {
        let all = graph(CHAIN);
        let tries: Vec<_> = all.nodes.iter().map(|node| (node.tries, node.is_amplified)).collect();
        assert_eq!(tries, [(Some(3), false), (Some(12), true), (Some(1), false)], "more than eight are many");
        let limited = graph(&CHAIN.replace("mtls strict", "mtls strict; limit retry-amplification 12"));
        assert!(limited.nodes.iter().all(|node| !node.is_amplified), "the mesh says what is too many");
        let circle = "service a { port 80 http; calls b { retry 1 on reset } }\nservice b { port 80 http; calls a }\nservice c { port 80 http; calls a }\n";
        let tries: Vec<_> = graph(circle).nodes.iter().map(|node| node.tries).collect();
        assert_eq!(tries, [None, None, Some(1)]);
    }

    #[test]
    fn nodes_know_their_splits_and_locks_and_what_is_outside() {
        let all = graph(CHAIN);
        assert_eq!(all.nodes[1].splits, ["most: a 60%, b 40%"]);
        assert!(all.nodes.iter().all(|node| node.mtls_strict));
        let text = "service api { external \"api.example\"; port 443 http { tls none } }\nservice web { calls api }\n";
        let kinds: Vec<_> = graph(text).nodes.iter().map(|node| node.kind).collect();
        assert_eq!(kinds, [Kind::External, Kind::Service]);
    }

    #[test]
    fn routes_lead_from_gateways_and_from_services_to_others() {
        let text = "gateway edge { listener web port 80 http { host \"*\" } }
route edge { rule new { match /new/**; to web 75%, old 25% }; rule all { to web } }
authorize edge { allow from anyone }
service web { port 80 http }
service old { port 80 http }
service next { port 80 http }
route web { rule beta { match when header \"beta\" present; to next }; to web }
authorize web { allow from gateway edge }
authorize old { deny }
authorize next { allow from gateway edge }
";
        assert_eq!(
            edges(&graph(text)),
            [
                "edge routes old [] [new 25%] Denied x1",
                "edge routes web [] [all, new 75%] Allowed x1",
                "web routes next [] [beta] Allowed x1",
            ]
        );
    }
}
