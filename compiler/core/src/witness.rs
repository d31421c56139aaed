//! A point of a partition's space becomes a request that a person can send.

use crate::diagram::Point;
use crate::model::{Asked, Block, Field, FieldTest, Model, Polarity, Shape, ValueSet};
use crate::space::address;
use crate::space::peer::Candidate;
use crate::space::value::{Sample, Standing};
use crate::space::{FIELDS, Kind, METHOD, NOT_LISTS, PATH, PEER, Space, TOKEN};
use mesh_lang::Text;
use mesh_lang::ast::{Method, Path, PathPattern, Segment};
use std::collections::BTreeMap;
use std::net::IpAddr;

/// A concrete request.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Witness {
    pub(crate) method: &'static str,
    pub(crate) path: String,
    /// Name and value, decoded.
    pub(crate) query: Vec<(String, String)>,
    /// Name and line.
    pub(crate) headers: Vec<(String, String)>,
    /// Name and value.
    pub(crate) cookies: Vec<(String, String)>,
    /// What has to be in tokens.
    pub(crate) tokens: Vec<InToken>,
    /// Headers that clients send of themselves and that must not be there.
    pub(crate) without: Vec<&'static str>,
    pub(crate) host: Option<String>,
    pub(crate) source_ip: Option<IpAddr>,
    pub(crate) client_ip: Option<IpAddr>,
    /// Who asks, where it matters.
    pub(crate) peer: Option<String>,
}

/// A token, or a claim in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct InToken {
    /// Empty where there is one token and nobody says which.
    pub(crate) issuer: String,
    /// Empty for the token itself.
    pub(crate) path: Vec<String>,
    pub(crate) said: Claimed,
}

/// What a token says at one place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Claimed {
    /// Nothing: the token itself.
    There,
    Text(String),
    List(Vec<String>),
    /// Neither text nor a list of some.
    Odd,
}

/// Headers that most clients send of themselves.
const UNASKED: [&str; 2] = ["accept", "user-agent"];

impl Witness {
    /// `GET /`
    pub(crate) fn plain() -> Witness {
        Witness { method: Method::Get.as_str(), path: "/".to_owned(), ..Witness::default() }
    }

    /// The request of a point; what the point leaves open is the plainest value.
    pub(crate) fn of_point(model: &Model, space: &Space, point: &Point) -> Witness {
        let peer =
            point.iter().find(|(dim, _)| *dim == PEER).and_then(|(_, atom)| space.peers.witness(*atom));
        Witness { peer: peer.map(|peer| spoken(model, peer)), ..Witness::of_anybody(space, point) }
    }

    /// The same, whoever asks.
    pub(crate) fn of_anybody(space: &Space, point: &Point) -> Witness {
        let atom = |wanted: u32| point.iter().find(|(dim, _)| *dim == wanted).map(|(_, atom)| *atom);
        let path = match atom(PATH).filter(|atom| *atom == space.paths.star()) {
            None if !space.segments().is_empty() => by_segments(space, atom),
            _ => atom(PATH).and_then(|atom| space.paths.witness(atom)).unwrap_or("/").to_owned(),
        };
        let plain = if path == "*" { Method::Options } else { Method::Get };
        let method = atom(METHOD).map_or(plain.as_str(), |atom| {
            Method::ALL.get(atom as usize).map_or("PROPFIND", |method| method.as_str())
        });
        let mut witness = Witness { method, path, ..Witness::default() };
        let mut lists: BTreeMap<&Field, Vec<String>> = BTreeMap::new();
        for (dimension, dim) in space.fields.iter().zip(FIELDS..) {
            let Some(atom) = atom(dim) else { continue };
            if let (Some(part), Kind::Values(values)) = (&dimension.part, &dimension.kind)
                && values.standing(atom) == Standing::There
            {
                let items = lists.entry(&dimension.field).or_default();
                match values.sample(atom) {
                    Some(Sample::One(value)) if part.contains(value) => items.push(value.clone()),
                    Some(Sample::Several(all)) => {
                        items.extend(all.iter().find(|one| part.contains(one)).cloned())
                    }
                    _ => {}
                }
                continue;
            }
            match &dimension.kind {
                Kind::Values(values) => match values.sample(atom) {
                    None => {}
                    Some(Sample::Absent) => witness.leave_out(&dimension.field),
                    Some(Sample::One(value)) => witness.say(&dimension.field, value),
                    Some(Sample::Several(values)) => witness.say_several(&dimension.field, values),
                    Some(Sample::Odd) => witness.claim(&dimension.field, Claimed::Odd),
                },
                Kind::Addresses(addresses) if dimension.field == Field::SourceIp => {
                    witness.source_ip = addresses.sample(atom);
                }
                Kind::Addresses(addresses) => witness.client_ip = addresses.sample(atom),
                Kind::Token if atom == TOKEN => witness.claim(&dimension.field, Claimed::There),
                Kind::Token | Kind::Segment(_) => {}
            }
        }
        for (field, items) in lists {
            match items.as_slice() {
                [] => witness.say(field, &unasked(space, field)),
                [one] => witness.say(field, one),
                several => witness.say_several(field, several),
            }
        }
        witness.headers.sort_by(|(a, _), (b, _)| a.cmp(b));
        witness
    }

    fn say(&mut self, field: &Field, value: &str) {
        let value = value.to_owned();
        match field {
            Field::Header(name) => self.headers.push((name.to_string(), value)),
            Field::Query(name) => self.query.push((name.to_string(), value)),
            Field::Cookie(name) => self.cookies.push((name.to_string(), value)),
            Field::Claim { .. } => self.claim(field, Claimed::Text(value)),
            Field::Host => self.host = Some(value),
            Field::Jwt(_) | Field::Path | Field::SourceIp | Field::ClientIp => {}
        }
    }

    /// A claim is one list, everything else is repeated.
    fn say_several(&mut self, field: &Field, values: &[String]) {
        match field {
            Field::Claim { .. } => self.claim(field, Claimed::List(values.to_vec())),
            _ => values.iter().for_each(|value| self.say(field, value)),
        }
    }

    fn claim(&mut self, field: &Field, said: Claimed) {
        let (issuer, path) = match field {
            Field::Jwt(issuer) => (issuer, &[][..]),
            Field::Claim { issuer, path } => (issuer, path.as_slice()),
            _ => return,
        };
        let path = path.iter().map(|step| step.to_string()).collect();
        self.tokens.push(InToken { issuer: issuer.to_string(), path, said });
    }

    fn leave_out(&mut self, field: &Field) {
        let Field::Header(name) = field else { return };
        let unasked = UNASKED.into_iter().find(|unasked| *unasked == name.as_str());
        self.without.extend(unasked.filter(|name| !self.without.contains(name)));
    }

    /// A request that a shape matches, as plain as its author would think of it; where a regex is asked there is none.
    pub(crate) fn of_shape(shape: &Shape) -> Option<Witness> {
        let method = shape.method.unwrap_or(Method::Get).as_str();
        let path = shape.path.as_ref().map_or("/".to_owned(), instance);
        let mut witness = Witness { method, path, ..Witness::default() };
        for test in shape.tests.iter() {
            let value = match &test.set {
                ValueSet::Absent => continue,
                ValueSet::Present | ValueSet::Passing { negated: true, .. } => "1".to_owned(),
                ValueSet::Passing { asked, .. } => match asked {
                    Asked::OneOf(values) => values.first()?.to_string(),
                    Asked::Prefix(prefix) => format!("{prefix}1"),
                    Asked::Suffix(suffix) => format!("1{suffix}"),
                    Asked::Contains(text) | Asked::Has(text) => text.to_string(),
                    Asked::Matches(_) | Asked::Within(_) => return None,
                },
            };
            match test.field {
                Field::Header(_) | Field::Query(_) | Field::Cookie(_) => witness.say(&test.field, &value),
                _ => return None,
            }
        }
        Some(witness)
    }

    /// What it asks for, without what it carries; `None` where the method has no name.
    pub(crate) fn operation(&self) -> Option<Shape> {
        let method = Method::ALL.into_iter().find(|method| method.as_str() == self.method)?;
        // A pattern that says the path, where it can: it is read segment by segment, as those of most services are.
        if !self.path.contains(['{', '}', '*']) {
            let literals = self.segments().map(|segment| Segment::Literal(segment.into()));
            let path = Path::from(PathPattern { segments: literals.collect(), subtree: false });
            return Some(Shape { method: Some(method), path: Some(path), tests: vec![].into() });
        }
        let path = match self.path.as_str() {
            "*" => ValueSet::Absent,
            path => is(path),
        };
        let tests = vec![FieldTest { field: Field::Path, set: path }];
        Some(Shape { method: Some(method), path: None, tests: tests.into() })
    }

    fn segments(&self) -> impl Iterator<Item = &str> {
        self.path.split('/').skip(1)
    }

    /// Whether its path fits the pattern of a shape, or may: what stands behind a wildcard is not looked at.
    pub(crate) fn may_fit(&self, shape: &Shape) -> bool {
        let Some(path) = &shape.path else { return true };
        let mut own = self.segments();
        for wanted in path.as_str().split('/').skip(1) {
            let fits = match (own.next(), wanted) {
                (_, "**") => return self.path != "*",
                (None, _) => false,
                // Of a canonical pattern, what begins with `{` is no literal.
                (Some(own), _) if wanted.starts_with('{') => !own.is_empty(),
                (Some(own), _) => own == wanted,
            };
            if !fits {
                return false;
            }
        }
        self.path != "*" && own.next().is_none()
    }

    /// All that it says, as conditions. What it does not say they leave open, and beside the several values of a field others.
    pub(crate) fn shape(&self) -> Option<Shape> {
        let mut shape = self.operation()?;
        let mut tests: Vec<FieldTest> = shape.tests.to_vec();
        tests.extend(values(&self.headers, Field::Header));
        tests.extend(values(&self.query, Field::Query));
        tests.extend(values(&self.cookies, Field::Cookie));
        for token in &self.tokens {
            let issuer = Text::from(&token.issuer);
            let path = token.path.iter().map(Text::from).collect();
            match &token.said {
                Claimed::There => tests.push(FieldTest { field: Field::Jwt(issuer), set: ValueSet::Present }),
                Claimed::Text(text) => {
                    tests.push(FieldTest { field: Field::Claim { issuer, path }, set: is(text) })
                }
                Claimed::List(items) => {
                    let field = Field::Claim { issuer, path };
                    tests.extend(items.iter().map(|item| FieldTest { field: field.clone(), set: has(item) }));
                }
                Claimed::Odd => return None,
            }
        }
        for (field, ip) in [(Field::SourceIp, self.source_ip), (Field::ClientIp, self.client_ip)] {
            let block = ip.map(|ip| Block { first: address::number(ip), free: 0 });
            tests.extend(block.map(|block| FieldTest { field, set: passing(Asked::Within(vec![block])) }));
        }
        tests.sort();
        shape.tests = tests.into();
        Some(shape)
    }

    /// Why no `request` of a test can say all of it: it names its method, has one line for each header and claims that are
    /// texts or lists of some. `None` where one can.
    pub(crate) fn unsayable(&self) -> Option<&'static str> {
        let repeated = self.headers.iter().enumerate().any(|(index, (name, _))| {
            NOT_LISTS.contains(&name.as_str()) && self.headers[..index].iter().any(|(other, _)| other == name)
        });
        let listed = |claim: &InToken| match &claim.said {
            Claimed::There | Claimed::Text(_) => true,
            Claimed::List(items) => !items.is_empty(),
            Claimed::Odd => false,
        };
        if !Method::ALL.iter().any(|method| method.as_str() == self.method) {
            Some("its method has no name there")
        } else if repeated {
            Some("it has one line for each header")
        } else if !self.tokens.iter().all(listed) {
            Some("claims are texts there, or lists of some")
        } else if !self.is_plain() {
            Some("it has characters that nobody can read")
        } else {
            None
        }
    }

    /// Whether every character of its values can be read.
    pub(crate) fn is_plain(&self) -> bool {
        let plain =
            |value: &str| !value.contains(|c: char| c.is_control() || c == char::REPLACEMENT_CHARACTER);
        let fields = [&self.headers, &self.query, &self.cookies];
        let mut claims = self.tokens.iter().flat_map(|token| match &token.said {
            Claimed::Text(text) => std::slice::from_ref(text),
            Claimed::List(items) => items,
            Claimed::There | Claimed::Odd => &[],
        });
        fields.into_iter().flatten().all(|(_, value)| plain(value)) && claims.all(|claim| plain(claim))
    }

    /// ` when header "a" = "b" and …`, as a `request` of a test says what it carries.
    pub(crate) fn facts(&self) -> String {
        let mut facts: Vec<String> = Vec::new();
        let mut headers: Vec<(&str, Vec<&str>)> = Vec::new();
        for (name, value) in &self.headers {
            match headers.iter_mut().find(|(known, _)| known == name) {
                Some((_, values)) => values.push(value),
                None => headers.push((name, vec![value])),
            }
        }
        let pair =
            |word: &str, name: &str, value: &str| format!("{word} {} = {}", quoted(name), quoted(value));
        facts.extend(headers.iter().map(|(name, values)| pair("header", name, &values.join(", "))));
        facts.extend(self.query.iter().map(|(name, value)| pair("query", name, value)));
        facts.extend(self.cookies.iter().map(|(name, value)| pair("cookie", name, value)));
        facts.extend(self.tokens.iter().map(InToken::fact));
        facts.extend(self.source_ip.map(|ip| format!("source-ip = \"{ip}\"")));
        facts.extend(self.client_ip.map(|ip| format!("client-ip = \"{ip}\"")));
        if facts.is_empty() { String::new() } else { format!(" when {}", facts.join(" and ")) }
    }

    /// The path with its query, encoded.
    pub(crate) fn target(&self) -> String {
        let pairs = self.query.iter().map(|(name, value)| {
            if value.is_empty() { encoded(name) } else { format!("{}={}", encoded(name), encoded(value)) }
        });
        let query = pairs.collect::<Vec<_>>().join("&");
        if query.is_empty() { self.path.clone() } else { format!("{}?{query}", self.path) }
    }
}

/// The path of a point, segment by segment.
fn by_segments(space: &Space, atom: impl Fn(u32) -> Option<u32>) -> String {
    let places = space.segments().into_iter().zip(FIELDS..);
    let segments = places.map_while(|(place, dim)| place.sample(atom(dim)?));
    let path: String = segments.map(|segment| format!("/{segment}")).collect();
    if path.is_empty() { "/".to_owned() } else { path }
}

/// A value that no part of the field is about.
fn unasked(space: &Space, field: &Field) -> String {
    let parts = || space.fields.iter().filter(|own| own.field == *field).flat_map(|own| &own.part);
    let plain = ["x", "other"].into_iter().map(str::to_owned).chain((2..).map(|number| format!("x{number}")));
    let mut free = plain.filter(|value| !parts().any(|part| part.contains(value)));
    free.next().unwrap_or_default()
}

/// Names and values as conditions: of a name that is said several times each value is one of its list.
fn values<'w>(
    said: &'w [(String, String)],
    field: fn(Text) -> Field,
) -> impl Iterator<Item = FieldTest> + 'w {
    said.iter().map(move |(name, value)| {
        let several = said.iter().filter(|(other, _)| other == name).count() > 1;
        FieldTest { field: field(name.into()), set: if several { has(value) } else { is(value) } }
    })
}

fn passing(asked: Asked) -> ValueSet {
    ValueSet::Passing { asked, negated: false, polarity: Polarity::Grant }
}

fn is(value: &str) -> ValueSet {
    passing(Asked::OneOf(vec![value.into()]))
}

fn has(value: &str) -> ValueSet {
    passing(Asked::Has(value.into()))
}

impl InToken {
    /// `jwt sso present`, `claim sso "realm" "roles" has "a"`: as a fact of a test.
    fn fact(&self) -> String {
        let of = if self.issuer.is_empty() { String::new() } else { format!(" {}", self.issuer) };
        let path: Vec<String> = self.path.iter().map(|step| quoted(step)).collect();
        let claim = format!("claim{of} {}", path.join(" "));
        match &self.said {
            Claimed::There | Claimed::Odd => format!("jwt{of} present"),
            Claimed::Text(text) => format!("{claim} = {}", quoted(text)),
            Claimed::List(items) => {
                let items = items.iter().map(|item| format!("{claim} has {}", quoted(item)));
                items.collect::<Vec<_>>().join(" and ")
            }
        }
    }
}

/// `jwt sso`, `claim sso realm.roles=[a, b]`: as a person reads it.
impl std::fmt::Display for InToken {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let of = if self.issuer.is_empty() { String::new() } else { format!(" {}", self.issuer) };
        let claim = format!("claim{of} {}", self.path.join("."));
        match &self.said {
            Claimed::There => write!(f, "jwt{of}"),
            Claimed::Text(text) => write!(f, "{claim}={text}"),
            Claimed::List(items) => write!(f, "{claim}=[{}]", items.join(", ")),
            Claimed::Odd => write!(f, "{claim}={{}}"),
        }
    }
}

/// A string as the language writes it.
pub(crate) fn quoted(text: &str) -> String {
    format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""))
}

/// As it stands in a query.
fn encoded(text: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~:/@!$'()*,".contains(&byte);
    text.bytes()
        .map(|byte| if plain(byte) { char::from(byte).to_string() } else { format!("%{byte:02X}") })
        .collect()
}

impl std::fmt::Display for Witness {
    /// `GET /reviews/1?k=v  end-user: jason  cookie type=insider  from productpage  from 10.0.0.1`
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} {}", self.method, self.target())?;
        for (name, value) in &self.headers {
            write!(f, "  {name}: {value}")?;
        }
        for (name, value) in &self.cookies {
            write!(f, "  cookie {name}={value}")?;
        }
        for token in &self.tokens {
            write!(f, "  {token}")?;
        }
        if let Some(host) = &self.host {
            write!(f, "  host {host}")?;
        }
        if let Some(peer) = &self.peer {
            write!(f, "  from {peer}")?;
        }
        if let Some(ip) = self.source_ip {
            write!(f, "  from {ip}")?;
        }
        match self.client_ip {
            Some(ip) => write!(f, "  client-ip {ip}"),
            None => Ok(()),
        }
    }
}

/// A path that fits a pattern.
pub(crate) fn instance(path: &Path) -> String {
    let pattern = path.pattern();
    let segments = pattern.segments.iter().map(|segment| match segment {
        Segment::Literal(text) => format!("/{text}"),
        Segment::Any(_) => "/1".to_owned(),
        Segment::AnyWithSuffix { suffix, .. } => format!("/1{suffix}"),
    });
    let path: String = segments.collect();
    if path.is_empty() { "/".to_owned() } else { path }
}

fn spoken(model: &Model, peer: &Candidate) -> String {
    match peer {
        Candidate::Own { identity, .. }
        | Candidate::Gateway { identity }
        | Candidate::Foreign { identity } => {
            let services = model.services.iter().map(|service| &service.workload);
            let gateways = model.gateways.iter().map(|gateway| &gateway.workload);
            let mut declared = services.chain(gateways);
            let name =
                declared.find(|workload| workload.identity == *identity).map(|workload| workload.full_name());
            name.unwrap_or_else(|| identity.to_string())
        }
        Candidate::OtherIn { namespace } => format!("another identity of namespace {namespace}"),
        Candidate::OtherBelow { parent } => format!("another identity below {parent}"),
        Candidate::OtherOf { trust_domain } => format!("another identity of trust domain {trust_domain}"),
        Candidate::OtherOwn => "another identity of the mesh".to_owned(),
        Candidate::OtherGateway => "another gateway".to_owned(),
        Candidate::OtherForeign => "an identity of another trust domain".to_owned(),
        Candidate::Unauthenticated => "a peer without identity".to_owned(),
    }
}
