//! A witness in the two forms in which people use it: a command that sends it, and a line of a `test` that asks it. This is the
//! one place where requests are put into words for a finding.

use crate::bits::Bits;
use crate::case::Expectation;
use crate::check::duration;
use crate::diagram::{NO, Point, TooManyNodes, YES};
use crate::model::{Caller, GatewayId, Listener, Model, PeerSet, PortId, Principal, Rule};
use crate::partition::{Owner, Partition};
use crate::quantified::{self, Asking, Entry};
use crate::space::peer::{Candidate, Peers};
use crate::space::{PEER, Product, Space};
use crate::witness::{Witness, quoted};
use mesh_lang::ast::{Effect, HostPattern, Protocol};
use mesh_lang::diagnostic;
use mesh_plan::Target;

/// So many callers of a port are asked whether a request can come from them: one of the first nearly always fits.
const MAX_CALLERS: usize = 16;

/// A witness and how it gets to the place that it is about.
pub(crate) struct Arrival {
    pub(crate) witness: Witness,
    pub(crate) entry: Entry,
    /// Why no test can let it arrive there.
    unreachable: Option<&'static str>,
}

impl Arrival {
    /// One that gets there.
    pub(crate) fn of(witness: Witness, entry: Entry) -> Arrival {
        Arrival { witness, entry, unreachable: None }
    }
}

/// A possible request of a set, and how it gets to a table of a partition: rather one that is let in.
pub(crate) fn arrival(
    model: &Model,
    partition: &mut Partition,
    table: usize,
    set: Target,
) -> Result<Option<Arrival>, TooManyNodes> {
    // Nearly every set that is asked about is empty: then nobody is looked for who could send of it.
    if partition.diagram.any_of(set).is_none() {
        return Ok(None);
    }
    let welcome = let_in(model, partition, set)?;
    for set in [welcome, set] {
        for entry in entries(model, partition, table) {
            let own = from_peer(model, partition, &entry, set)?;
            let Some(point) = partition.diagram.any_of(own) else { continue };
            let witness = Witness::of_point(model, partition.diagram.space(), &point);
            let entry = asked_by(model, &partition.diagram.space().peers, &entry, &point).unwrap_or(entry);
            let entry = entry.with_host(model, &witness, table);
            if is_sent(model, &entry, &witness) {
                return Ok(Some(Arrival { witness, entry, unreachable: None }));
            }
        }
    }
    let Some(point) = partition.diagram.any_of(set) else { return Ok(None) };
    let witness = Witness::of_point(model, partition.diagram.space(), &point);
    let entry = match partition.owner {
        Owner::Port(to) => Entry::Inbound { from: PeerSet::one(Principal::Unauthenticated), to },
        _ => match entries(model, partition, table).into_iter().next() {
            Some(entry) => entry,
            None => return Ok(None),
        },
    };
    Ok(Some(Arrival { witness, entry, unreachable: Some("nobody declares that it sends it") }))
}

impl PeerSet {
    /// The principal alone.
    pub(crate) fn one(principal: Principal) -> PeerSet {
        PeerSet { of: vec![principal], except: vec![] }
    }
}

impl Entry {
    /// What the witness says of the host, where the entry leaves it open.
    fn with_host(self, model: &Model, witness: &Witness, table: usize) -> Entry {
        match (self, &witness.host) {
            (Entry::Gateway { from, gateway, listener, host }, Some(asked)) => {
                let own = &model[gateway].listeners[listener as usize];
                let fits = quantified::host_table(own, asked) == Some(table);
                let host = if fits { asked.clone() } else { host };
                Entry::Gateway { from, gateway, listener, host }
            }
            (entry, _) => entry,
        }
    }

    /// The one who asks, as an identity, where it is one.
    fn identity<'m>(&'m self, model: &'m Model) -> Option<&'m str> {
        match self {
            Entry::Sidecar { caller, .. } => Some(&model[*caller].workload.identity),
            Entry::FromGateway { gateway, .. } => Some(&model[*gateway].workload.identity),
            Entry::Inbound { from, .. } | Entry::Gateway { from, .. } => {
                model.identity(from.of.first()?).map(|identity| identity.as_str())
            }
        }
    }
}

/// The ways to a table of a partition, the likeliest first.
fn entries(model: &Model, partition: &Partition, table: usize) -> Vec<Entry> {
    let anyone = || PeerSet::one(Principal::Anyone);
    match partition.owner {
        Owner::Port(to) => callers(model, to).map(|caller| sent_by(caller, to)).collect(),
        Owner::Listener(gateway, listener) => {
            let host = host_reaching(&model[gateway].listeners[listener as usize], table);
            host.map(|host| Entry::Gateway { from: anyone(), gateway, listener, host }).into_iter().collect()
        }
        Owner::Call(caller, call) => {
            vec![Entry::Sidecar { caller, to: model[caller].calls[call as usize].to }]
        }
        Owner::Consumer(index) => {
            let route = &model.consumer_routes[index as usize];
            vec![sent_by(route.caller, route.to)]
        }
    }
}

fn sent_by(caller: Caller, to: PortId) -> Entry {
    match caller {
        Caller::Service(caller) => Entry::Sidecar { caller, to },
        Caller::Gateway(gateway) => Entry::FromGateway { gateway, to },
    }
}

/// Who enters the route of a port: services that declare the call, then gateways; not those with a route of their own.
fn callers(model: &Model, to: PortId) -> impl Iterator<Item = Caller> + '_ {
    let services =
        model.services.iter().zip(0..).filter(move |(own, _)| own.calls.iter().any(|call| call.to == to));
    let services = services.map(|(_, id)| Caller::Service(crate::model::ServiceId(id)));
    let gateways = (0..model.gateways.len() as u32).map(|id| Caller::Gateway(GatewayId(id)));
    services
        .chain(gateways)
        .filter(move |caller| model.consumer_route(*caller, to).is_none())
        .take(MAX_CALLERS)
}

/// A host for which a listener asks this table first.
fn host_reaching(listener: &Listener, table: usize) -> Option<String> {
    let Some(own) = listener.tables.get(table) else { return Some(String::new()) };
    hosts_of(&own.host).into_iter().find(|host| {
        listener.protocol == Protocol::Tcp || quantified::host_table(listener, host) == Some(table)
    })
}

/// Hosts that a pattern covers, the plainest first.
pub(crate) fn hosts_of(pattern: &HostPattern) -> Vec<String> {
    let below = |name: &str| ["www", "a", "b", "any"].map(|label| format!("{label}.{name}")).to_vec();
    match pattern {
        HostPattern::Exact(name) => vec![name.to_string()],
        HostPattern::OneLabel(name) => below(name),
        HostPattern::Labels(name) => [below(name), below(&format!("a.{name}"))].concat(),
        HostPattern::Any => ["www.example", "any.example", "any.test"].map(str::to_owned).to_vec(),
    }
}

/// The requests of a set that the authorization of the partition lets in.
fn let_in(model: &Model, partition: &mut Partition, set: Target) -> Result<Target, TooManyNodes> {
    let lines = match partition.owner {
        Owner::Port(id) => &model.port(id).access,
        Owner::Listener(gateway, listener) => &model[gateway].listeners[listener as usize].access,
        Owner::Call(..) | Owner::Consumer(_) => return Ok(set),
    };
    let allows = |leaf: u32| lines.get(leaf as usize).is_some_and(|line| line.effect == Effect::Allow);
    let allowed = partition.diagram.map(partition.access, &|leaf| if allows(leaf) { YES } else { NO })?;
    partition.diagram.and(set, allowed)
}

/// Those requests of a set that come from the peer of an entry.
fn from_peer(
    model: &Model,
    partition: &mut Partition,
    entry: &Entry,
    set: Target,
) -> Result<Target, TooManyNodes> {
    let Some(identity) = entry.identity(model) else { return Ok(set) };
    let peers = &partition.diagram.space().peers;
    let peer = Candidate::of_identity(model, identity);
    let atom = peers.atom_where(|candidate| *candidate == peer);
    let only = Bits::such_that(peers.atoms(), |own| own == atom);
    let only = partition.diagram.product(&Product { sets: vec![(PEER, only)] })?;
    partition.diagram.and(set, only)
}

/// Whether the caller of an entry declares that it sends a request.
fn is_sent(model: &Model, entry: &Entry, witness: &Witness) -> bool {
    let Entry::Sidecar { caller, to } = entry else { return true };
    let calls = model[*caller].calls.iter().filter(|call| call.to == *to);
    let Some(request) = witness.operation() else { return false };
    calls.flat_map(|call| &call.lines).any(|line| {
        let both = [&line.shape, &request];
        let space = Space::new(both.into_iter(), Peers::indifferent());
        space.is_ok_and(|space| space.product(&request, None).meets(&space.product(&line.shape, None)))
    })
}

/// The entry with the one peer of a point, as a test can name it.
pub(crate) fn asked_by(model: &Model, peers: &Peers, entry: &Entry, point: &Point) -> Option<Entry> {
    let atom = point.iter().find(|(dim, _)| *dim == PEER).map(|(_, atom)| *atom);
    let one = |from: &PeerSet| Some(PeerSet::one(peer_of(model, peers, from, atom)?));
    Some(match entry {
        Entry::Sidecar { caller, to } => Entry::Sidecar { caller: *caller, to: *to },
        Entry::FromGateway { gateway, to } => Entry::FromGateway { gateway: *gateway, to: *to },
        Entry::Inbound { from, to } => Entry::Inbound { from: one(from)?, to: *to },
        Entry::Gateway { from, gateway, listener, host } => {
            Entry::Gateway { from: one(from)?, gateway: *gateway, listener: *listener, host: host.clone() }
        }
    })
}

/// Somebody of a set, of whom a test can say who it is.
fn peer_of(model: &Model, peers: &Peers, from: &PeerSet, atom: Option<u32>) -> Option<Principal> {
    let everybody = [(Candidate::Unauthenticated, 0)];
    let candidates = if peers.candidates.is_empty() { &everybody[..] } else { &peers.candidates };
    let fitting = candidates
        .iter()
        .filter(|(candidate, own)| candidate.is_in(from, model) && atom.is_none_or(|atom| atom == *own));
    let mut all: Vec<&Candidate> = fitting.map(|(candidate, _)| candidate).collect();
    // The plainest somebody first: who has no identity, then who is named.
    all.sort_by_key(|candidate| !matches!(candidate, Candidate::Unauthenticated));
    all.into_iter().find_map(|candidate| candidate.somebody(model))
}

/// A request of some peers to a port or a listener, whatever routes say of it.
pub(crate) fn of_access(
    model: &Model,
    partition: &Partition,
    from: &PeerSet,
    point: &Point,
) -> Option<Arrival> {
    let space = partition.diagram.space();
    let witness = Witness::of_point(model, space, point);
    let from = from.clone();
    let entry = match partition.owner {
        Owner::Port(to) => Entry::Inbound { from, to },
        Owner::Listener(gateway, listener) => {
            let own = &model[gateway].listeners[listener as usize];
            let hosts = own.hosts.iter().flat_map(|(host, _)| hosts_of(host));
            let host = witness.host.clone().or_else(|| hosts.into_iter().next()).unwrap_or_default();
            Entry::Gateway { from, gateway, listener, host }
        }
        Owner::Call(..) | Owner::Consumer(_) => return None,
    };
    let entry = asked_by(model, &space.peers, &entry, point)?;
    Some(Arrival { entry: through_its_proxy(model, entry, &witness), witness, unreachable: None })
}

/// A peer that is a service or a gateway of the mesh comes by its own proxy, where no rule stands on the way.
fn through_its_proxy(model: &Model, entry: Entry, witness: &Witness) -> Entry {
    let Entry::Inbound { to, .. } = entry else { return entry };
    let Some(identity) = entry.identity(model) else { return entry };
    let its = |caller: &Caller| *model.workload(*caller).identity == *identity;
    let way = callers(model, to).filter(its).map(|caller| (caller, sent_by(caller, to)));
    let mut way =
        way.filter(|(caller, way)| model.route_from(*caller, to).is_none() && is_sent(model, way, witness));
    way.next().map_or(entry, |(_, way)| way)
}

/// What an arrival shows, with what becomes of it: where `rule` decides, if it is said.
pub(crate) fn shown(
    model: &Model,
    shows: impl Into<String>,
    arrival: &Arrival,
    rule: Option<&Rule>,
) -> diagnostic::Witness {
    let Arrival { witness, entry, unreachable } = arrival;
    let test = match unreachable {
        Some(why) => Err((*why).to_owned()),
        None => request(model, entry, witness).and_then(|request| {
            let expect = quantified::expectation(model, entry, witness, rule)?;
            Ok(format!("{request} expect {expect}"))
        }),
    };
    diagnostic::Witness { shows: shows.into(), curl: curl(model, entry, witness), test }
}

/// A request for which an `every` line does not hold, and the line that asks it.
pub(crate) fn counterexample(
    model: &Model,
    entry: &Entry,
    witness: &Witness,
    asking: &Asking,
) -> diagnostic::Witness {
    let test = request(model, entry, witness)
        .and_then(|request| Ok(format!("{request} expect {}", expected(asking)?)));
    diagnostic::Witness { shows: "counterexample".to_owned(), curl: curl(model, entry, witness), test }
}

/// What a line expects, in its words.
fn expected(asking: &Asking) -> Result<String, String> {
    if asking.besides != crate::case::Besides::default() {
        return Err("what else is expected stands in the line itself".to_owned());
    }
    let mut said = match &asking.expect {
        Expectation::Allow => "allow".to_owned(),
        Expectation::Deny => "deny".to_owned(),
        Expectation::Status(status) => status.to_string(),
        Expectation::Redirect { location, status } => {
            format!("redirect {} {status}", written_location(location))
        }
        Expectation::Backends(backends) => {
            let certain = backends.len() == 1;
            let said = backends.iter().map(|backend| match certain {
                true => backend.text.clone(),
                false => format!("{} {}%", backend.text, f64::from(backend.weight) / 100.0),
            });
            said.collect::<Vec<_>>().join(", ")
        }
    };
    if let Some(timeout) = asking.timeout {
        said.push_str(&format!(
            " timeout {}",
            timeout.map_or("none".to_owned(), |timeout| duration(timeout.into()))
        ));
    }
    if let Some(retry) = asking.retry {
        said.push_str(&format!(" retry {}", if retry == 0 { "none".to_owned() } else { retry.to_string() }));
    }
    Ok(said)
}

/// A full name as a test says it: where all there is has one namespace, that need not be said.
pub(crate) fn name(model: &Model, full: &str) -> String {
    let services = model.services.iter().map(|service| &service.workload);
    let mut all = services.chain(model.gateways.iter().map(|gateway| &gateway.workload));
    match full.strip_suffix(".default") {
        Some(short) if all.all(|workload| workload.namespace == "default") => short.to_owned(),
        _ => full.to_owned(),
    }
}

/// `cart port http`: as a test says it.
fn port(model: &Model, to: PortId) -> String {
    let service = name(model, &model[to.service].full_name());
    match model[to.service].ports.len() {
        1 => service,
        _ => format!("{service} port {}", model.port(to).name),
    }
}

/// An endpoint as an `expect` says it: `cart:beta port http`.
pub(crate) fn endpoint(model: &Model, to: PortId, subset: Option<u32>) -> String {
    let subset = subset.and_then(|subset| model[to.service].subsets.get(subset as usize));
    let subset = subset.map_or(String::new(), |subset| format!(":{}", subset.name));
    let port = match model[to.service].ports.len() {
        1 => String::new(),
        _ => format!(" port {}", model.port(to).name),
    };
    format!("{}{subset}{port}", name(model, &model[to.service].full_name()))
}

impl Entry {
    fn protocol(&self, model: &Model) -> Protocol {
        match self {
            Entry::Sidecar { to, .. } | Entry::FromGateway { to, .. } | Entry::Inbound { to, .. } => {
                model.port(*to).protocol
            }
            Entry::Gateway { gateway, listener, .. } => {
                model[*gateway].listeners[*listener as usize].protocol
            }
        }
    }

    /// Who asks, as the language says it; empty where it is nobody in particular.
    fn from(&self, model: &Model) -> String {
        match self {
            Entry::Sidecar { caller, .. } => name(model, &model[*caller].full_name()),
            Entry::FromGateway { gateway, .. } => {
                format!("gateway {}", name(model, &model[*gateway].full_name()))
            }
            Entry::Inbound { from, .. } | Entry::Gateway { from, .. } => match from.of.first() {
                Some(Principal::Identity(identity)) => format!("identity {}", quoted(identity)),
                _ => "unauthenticated".to_owned(),
            },
        }
    }
}

/// A line of a test that asks a request, up to `expect`; or why there is none.
pub(crate) fn request(model: &Model, entry: &Entry, witness: &Witness) -> Result<String, String> {
    if let Some(why) = witness.unsayable() {
        return Err(why.to_owned());
    }
    let to = match entry {
        Entry::Sidecar { to, .. } | Entry::FromGateway { to, .. } | Entry::Inbound { to, .. } => {
            port(model, *to)
        }
        Entry::Gateway { gateway, listener, host, .. } => {
            let own = &model[*gateway].listeners[*listener as usize];
            let listener = match model[*gateway].listeners.len() {
                1 => String::new(),
                _ => format!(" listener {}", own.name),
            };
            let host = if host.is_empty() { String::new() } else { format!(" {}", quoted(host)) };
            format!("{}{listener}{host}", name(model, &model[*gateway].full_name()))
        }
    };
    let op = match entry.protocol(model).is_http() {
        true => format!(" {} {}", witness.method, written_path(&witness.path)),
        false => String::new(),
    };
    Ok(format!("request from {} to {to}{op}{}", entry.from(model), witness.facts()))
}

/// A path as the language writes it.
fn written_path(path: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~:@!$&'+%/".contains(&byte);
    if path.starts_with('/') && path.bytes().all(plain) { path.to_owned() } else { quoted(path) }
}

/// Where a redirect goes, as the language writes it: a path, a URL, `prefix /new`, `scheme https host "shop.example"`.
pub(crate) fn written_location(location: &str) -> String {
    let parts =
        |rest: &str| rest.split_once("host ").map(|(scheme, host)| format!("{scheme}host {}", quoted(host)));
    match location {
        path if path.starts_with('/') => written_path(path),
        words if words.starts_with("prefix ") => words.to_owned(),
        words if words.starts_with("scheme ") || words.starts_with("host ") => {
            parts(words).unwrap_or_else(|| words.to_owned())
        }
        url => quoted(url),
    }
}

/// A command for a POSIX shell that sends a request; what it cannot say is a comment. `None` for what is no HTTP request, and
/// for values that a terminal would not show.
pub(crate) fn curl(model: &Model, entry: &Entry, witness: &Witness) -> Option<String> {
    let protocol = entry.protocol(model);
    if !protocol.is_http() || !witness.is_plain() {
        return None;
    }
    let mut words = vec!["curl".to_owned()];
    match witness.method {
        "GET" => {}
        // With another word curl would wait for a body.
        "HEAD" => words.push("-I".to_owned()),
        method => words.extend(["-X".to_owned(), method.to_owned()]),
    }
    if matches!(protocol, Protocol::Http2 | Protocol::Grpc) {
        words.push("--http2-prior-knowledge".to_owned());
    }
    for (name, value) in &witness.headers {
        let line = if value.is_empty() { format!("{name};") } else { format!("{name}: {value}") };
        words.extend(["-H".to_owned(), shell(&line)]);
    }
    words.extend(witness.without.iter().flat_map(|name| ["-H".to_owned(), shell(&format!("{name}:"))]));
    if !witness.cookies.is_empty() {
        let cookies: Vec<String> =
            witness.cookies.iter().map(|(name, value)| format!("{name}={value}")).collect();
        words.extend(["-b".to_owned(), shell(&cookies.join("; "))]);
    }
    if !witness.tokens.is_empty() {
        words.extend(["-H".to_owned(), "\"authorization: Bearer $TOKEN\"".to_owned()]);
    }
    let (authority, target) = (authority(model, entry, protocol), witness.target());
    let url = match target.as_str() {
        "*" => {
            words.extend(["--request-target".to_owned(), shell("*")]);
            authority
        }
        path => format!("{authority}{path}"),
    };
    if url.contains(['[', ']', '{', '}']) {
        words.push("-g".to_owned());
    }
    words.push(shell(&url));
    words.extend(comment(model, entry, witness));
    Some(words.join(" "))
}

/// Scheme, host and port.
fn authority(model: &Model, entry: &Entry, protocol: Protocol) -> String {
    match entry {
        Entry::Sidecar { to, .. } | Entry::FromGateway { to, .. } | Entry::Inbound { to, .. } => {
            format!("http://{}:{}", model[to.service].full_name(), model.port(*to).number)
        }
        Entry::Gateway { gateway, listener, host, .. } => {
            let own = &model[*gateway].listeners[*listener as usize];
            let scheme = if protocol == Protocol::Https { "https" } else { "http" };
            let host = if host.is_empty() { model[*gateway].full_name() } else { host.clone() };
            format!("{scheme}://{host}:{}", own.number)
        }
    }
}

/// Who has to send it, and with which tokens.
fn comment(model: &Model, entry: &Entry, witness: &Witness) -> Option<String> {
    let from = Some(entry.from(model)).filter(|from| from != "unauthenticated");
    let address = witness.source_ip.map(|ip| ip.to_string());
    let who = from.into_iter().chain(address).map(|who| format!("from {who}"));
    let client = witness.client_ip.map(|ip| format!("client-ip {ip}"));
    let tokens = witness.tokens.iter().map(|token| format!("with {token}"));
    let facts: Vec<String> = who.chain(client).chain(tokens).collect();
    (!facts.is_empty()).then(|| format!("# {}", facts.join(", ")))
}

/// A word that a POSIX shell takes as it is.
fn shell(word: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~:/@%+=,".contains(&byte);
    match word.bytes().all(plain) && !word.starts_with('~') {
        true => word.to_owned(),
        false => format!("'{}'", word.replace('\'', r"'\''")),
    }
}

#[cfg(test)]
mod tests {
    use crate::testing::{route, shows};

    /// Two rules of which a request has to fulfil these conditions to match both.
    fn both(first: &str, second: &str) -> String {
        let rules = format!(
            "rule a {{ match when {first}\nto s:v1 }}\nrule b {{ match when {second}\nto s:v2 }}\notherwise 404"
        );
        format!("{}service c {{ calls s }}\n", route(&rules))
    }

    #[test]
    fn a_request_that_is_let_in_is_shown_rather_than_one_that_is_not() {
        let text = both(r#"header "h" = "1""#, r#"query "k" = "1""#);
        shows(
            &text.replace("allow from anyone", "allow from anyone to POST /in"),
            &[
                "request both match:",
                "  curl -X POST -H 'h: 1' 'http://s.default:80/in?k=1' # from c",
                r#"  request from c to s POST /in when header "h" = "1" and query "k" = "1" expect s:v2"#,
            ],
        );
    }

    #[test]
    fn a_shell_and_a_test_read_what_is_meant() {
        shows(
            &both(r#"header "h" = "it's""#, r#"query "k" = "a b&c""#),
            &[
                "request both match:",
                r"  curl -H 'h: it'\''s' 'http://s.default:80/?k=a%20b%26c' # from c",
                r#"  request from c to s GET / when header "h" = "it's" and query "k" = "a b&c" expect s:v2"#,
            ],
        );
        shows(
            &both(r#"header "h" = """#, r#"cookie "k" = "a b""#),
            &[
                "request both match:",
                "  curl -H 'h;' -b 'k=a b' http://s.default:80/ # from c",
                r#"  request from c to s GET / when header "h" = "" and cookie "k" = "a b" expect s:v2"#,
            ],
        );
        // What curl sends of itself is taken out where it must not be there.
        shows(
            &both(r#"header "accept" absent"#, r#"header "h" = "1""#),
            &[
                "request both match:",
                "  curl -H 'h: 1' -H accept: http://s.default:80/ # from c",
                r#"  request from c to s GET / when header "h" = "1" expect s:v2"#,
            ],
        );
    }

    #[test]
    fn a_dot_in_the_name_of_a_claim_is_a_dot() {
        let text = both(r#"claim sso "a.b" "c" = "x""#, r#"header "h" = "1""#);
        let text = text.replacen("service s {", "service s { jwt sso optional;", 1);
        let jwt = "jwt sso { issuer \"i\"; audience \"a\"; jwks \"/k\" }\n";
        shows(
            &format!("{text}{jwt}"),
            &[
                "request both match:",
                "  curl -H 'h: 1' -H \"authorization: Bearer $TOKEN\" http://s.default:80/ # from c, with claim sso a.b.c=x",
                r#"  request from c to s GET / when header "h" = "1" and claim sso "a.b" "c" = "x" expect s:v2"#,
            ],
        );
    }

    #[test]
    fn why_no_test_asks_it_is_said() {
        let lost =
            both("header \"h\" = \"1\"", "header \"i\" = \"1\"").replace("service c { calls s }\n", "");
        shows(
            &lost,
            &[
                "request both match:",
                "  curl -H 'h: 1' -H 'i: 1' http://s.default:80/",
                "  (no `request` of a test asks it: nobody declares that it sends it)",
            ],
        );
        let rewritten = both("header \"h\" = \"1\"", "header \"i\" = \"1\"")
            .replace("to s:v2 }", "to s:v2\nrewrite path /x }");
        shows(
            &rewritten,
            &[
                "request both match:",
                "  curl -H 'h: 1' -H 'i: 1' http://s.default:80/ # from c",
                "  (no `request` of a test asks it: a rule on its way changes it)",
            ],
        );
    }
}
