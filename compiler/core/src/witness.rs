//! A point of a partition's space becomes a request that a person can send.

use crate::diagram::Point;
use crate::model::{Model, Shape, ValueSet};
use crate::space::peer::Candidate;
use crate::space::{HEADERS, METHOD, PATH, PEER, Space};
use mesh_lang::ast::{Method, PathPattern, Segment};

/// A concrete request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Witness {
    pub(crate) method: &'static str,
    pub(crate) path: String,
    /// Name and line.
    pub(crate) headers: Vec<(String, String)>,
    /// Who asks, where it matters.
    pub(crate) peer: Option<String>,
}

impl Witness {
    /// The request of a point; what the point leaves open is the plainest value.
    pub(crate) fn of_point(model: &Model, space: &Space, point: &Point) -> Witness {
        let atom = |wanted: u32| point.iter().find(|(dim, _)| *dim == wanted).map(|(_, atom)| *atom);
        let path = atom(PATH).and_then(|atom| space.paths.witness(atom)).unwrap_or("/").to_owned();
        let plain = if path == "*" { Method::Options } else { Method::Get };
        let method = atom(METHOD).map_or(plain.as_str(), |atom| {
            Method::ALL.get(atom as usize).map_or("PROPFIND", |method| method.as_str())
        });
        let headers = space.headers.iter().zip(HEADERS..).flat_map(|(header, dim)| {
            let lines = atom(dim).map_or(&[][..], |atom| header.witness(atom));
            lines.iter().map(|line| (header.name.clone(), line.clone())).collect::<Vec<_>>()
        });
        let peer = atom(PEER).and_then(|atom| space.peers.witness(atom)).map(|peer| spoken(model, peer));
        Witness { method, path, headers: headers.collect(), peer }
    }

    /// A request that a shape matches, as plain as its author would think of it.
    pub(crate) fn of_shape(shape: &Shape) -> Witness {
        let method = shape.method.unwrap_or(Method::Get).as_str();
        let path = shape.path.as_ref().map_or("/".to_owned(), instance);
        let headers = shape.headers.iter().filter_map(|test| {
            let value = match &test.test {
                ValueSet::OneOf(values) => values.first()?.clone(),
                ValueSet::Prefix(prefix) => format!("{prefix}1"),
                ValueSet::Present | ValueSet::NoneOf(_) | ValueSet::NotPrefix(_) => "1".to_owned(),
                ValueSet::Absent => return None,
            };
            Some((test.header.clone(), value))
        });
        Witness { method, path, headers: headers.collect(), peer: None }
    }
}

impl std::fmt::Display for Witness {
    /// `GET /reviews/1  end-user: jason  from productpage`
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} {}", self.method, self.path)?;
        for (name, value) in &self.headers {
            write!(f, "  {name}: {value}")?;
        }
        match &self.peer {
            Some(peer) => write!(f, "  from {peer}"),
            None => Ok(()),
        }
    }
}

/// A path that fits a pattern.
pub(crate) fn instance(pattern: &PathPattern) -> String {
    let segments = pattern.segments.iter().map(|segment| match segment {
        Segment::Literal(text) => format!("/{text}"),
        Segment::Any(_) => "/1".to_owned(),
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
            name.unwrap_or_else(|| identity.clone())
        }
        Candidate::OtherIn { namespace } => format!("another identity of namespace {namespace}"),
        Candidate::OtherOwn => "another identity of the mesh".to_owned(),
        Candidate::OtherGateway => "another gateway".to_owned(),
        Candidate::OtherForeign => "an identity of another trust domain".to_owned(),
        Candidate::Unauthenticated => "a peer without identity".to_owned(),
    }
}
