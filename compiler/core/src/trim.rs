//! Least privilege: what the `allow` lines let in beyond what was seen, and narrower lines for it.
//!
//! What is proposed holds all that was seen and nothing that is not allowed now: seen ⊆ proposed ⊆ current, both decided on
//! diagrams before a line is proposed. Conditions of a line stay as they are: a log does not show what they ask.

use crate::diagram::TooManyNodes;
use crate::model::{AccessLine, Caller, Model, Principal, ServiceId, Shape, Wording};
use crate::partition;
use crate::space::Budget;
use crate::space::peer::{Candidate, Peers};
use mesh_lang::ast::{
    self, AuthorizeLine, Effect, Method, Methods, Op, Path, PathPattern, Segment, ServiceRef,
};
use mesh_lang::{Span, Spanned};
use mesh_plan::Target;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// A request that was let in, as an access log has it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Observed {
    /// Who asked: `web.shop`, or `gateway edge.shop`.
    pub caller: String,
    /// Who was asked: `cart.shop`.
    pub callee: String,
    /// As on the wire.
    pub method: String,
    /// As the callee saw it, canonical; `None` where it is no path: `OPTIONS *`.
    pub path: Option<String>,
}

/// What was found out about a project and what was seen.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Trimmed {
    /// Lines that let in more than was seen, in order of place.
    pub lines: Vec<Trimming>,
    /// Callers and callees that the project does not have, sorted.
    pub unknown: Vec<String>,
}

/// A line that lets in more than was seen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Trimming {
    /// The line.
    pub span: Span,
    /// Whose authorization it is: `cart.shop`.
    pub target: String,
    /// The line as it is, in canonical form.
    pub line: String,
    /// How many of the requests that were seen it lets in.
    pub seen: usize,
    /// What it could be.
    pub proposed: Proposed,
}

/// What could become of a line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Proposed {
    /// Nothing that was seen needs it.
    Unused,
    /// This line lets in all that was seen of it, and less than it does now.
    Narrower(String),
}

/// More callers are not named one by one: a group or a namespace says them better.
const MAX_CALLERS: usize = 8;

/// More paths are not listed one by one.
const MAX_PATHS: usize = 6;

/// So many different texts in one place of paths that are otherwise the same are values of a parameter.
const MANY_TEXTS: usize = 4;

/// What of the `allow` lines of services nothing needs that was seen. The first list is of lines, in order of place, the second of
/// callers and callees that the project does not have.
pub(crate) fn trim(model: &Model, observed: &BTreeMap<Observed, usize>) -> (Vec<Trimming>, BTreeSet<String>) {
    let mut seen: BTreeMap<ServiceId, Vec<Seen<'_>>> = BTreeMap::new();
    let mut unknown = BTreeSet::new();
    for (request, count) in observed {
        match (caller(model, &request.caller), service(model, &request.callee)) {
            (Some(caller), Some(callee)) => {
                seen.entry(callee).or_default().push(Seen { caller, request, count: *count })
            }
            (None, _) => drop(unknown.insert(request.caller.clone())),
            (_, None) => drop(unknown.insert(request.callee.clone())),
        }
    }
    let mut found = Vec::new();
    for (service, id) in model.services.iter().zip(0..) {
        let mut told: BTreeSet<Span> = BTreeSet::new();
        for line in service.ports.iter().flat_map(|port| &port.access) {
            let Wording::Authorize { line: written, .. } = &line.text else { continue };
            if line.effect == Effect::Allow && told.insert(line.span) {
                let own = seen.get(&ServiceId(id)).map_or(&[][..], Vec::as_slice);
                found.extend(of_line(model, ServiceId(id), line, written, own));
            }
        }
    }
    found.sort_by_key(|trimming| trimming.span);
    (found, unknown)
}

/// A request with its names looked up.
struct Seen<'o> {
    caller: Caller,
    request: &'o Observed,
    count: usize,
}

fn service(model: &Model, name: &str) -> Option<ServiceId> {
    let found = model.services.iter().position(|service| service.full_name() == name);
    found.map(|index| ServiceId(index as u32))
}

fn caller(model: &Model, name: &str) -> Option<Caller> {
    let Some(gateway) = name.strip_prefix("gateway ") else {
        return service(model, name).map(Caller::Service);
    };
    let found = model.gateways.iter().position(|own| own.full_name() == gateway);
    found.map(|index| Caller::Gateway(crate::model::GatewayId(index as u32)))
}

fn of_line(
    model: &Model,
    target: ServiceId,
    line: &AccessLine,
    written: &Arc<AuthorizeLine>,
    seen: &[Seen<'_>],
) -> Option<Trimming> {
    let is_let_in = |seen: &&Seen<'_>| {
        let identity = &model.workload(seen.caller).identity;
        Candidate::of_identity(model, identity.clone()).is_in(&line.from, model)
            && line.shapes.iter().any(|shape| fits(shape, seen.request))
    };
    let own: Vec<&Seen<'_>> = seen.iter().filter(is_let_in).collect();
    let trimming = |proposed| Trimming {
        span: line.span,
        target: model[target].full_name(),
        line: written.to_string(),
        seen: own.iter().map(|seen| seen.count).sum(),
        proposed,
    };
    if own.is_empty() {
        return Some(trimming(Proposed::Unused));
    }
    let mut narrower = AuthorizeLine::clone(written);
    let callers = narrowed_callers(model, target, line, &own);
    let is_fewer = callers.is_some();
    if let (Some(principals), Some(from)) = (callers, &mut narrower.from) {
        *from = ast::From { span: from.span, principals: principals.into(), except: Box::default() };
    }
    let ops = narrowed_ops(line, written, &own);
    let is_less = ops.is_some();
    narrower.ops = ops.unwrap_or(narrower.ops);
    (is_fewer || is_less).then(|| trimming(Proposed::Narrower(narrower.to_string())))
}

/// Whether a request has the method and the path of a shape; its conditions are not asked.
fn fits(shape: &Shape, request: &Observed) -> bool {
    let method = shape.method.is_none_or(|method| method.as_str() == request.method);
    let path = match (&shape.path, &request.path) {
        (None, _) | (_, None) => true,
        (Some(pattern), Some(path)) => covers(&pattern.pattern(), path),
    };
    method && path
}

fn covers(pattern: &PathPattern, path: &str) -> bool {
    let segments: Vec<&str> = path.split('/').skip(1).collect();
    let (count, wanted) = (segments.len(), pattern.segments.len());
    let long_enough = if pattern.subtree { count >= wanted } else { count == wanted };
    long_enough && pattern.segments.iter().zip(segments).all(|(wanted, own)| is_segment(wanted, own))
}

fn is_segment(wanted: &Segment, own: &str) -> bool {
    match wanted {
        Segment::Literal(text) => text == own,
        Segment::Any(_) => !own.is_empty(),
        Segment::AnyWithSuffix { suffix, .. } => own.len() > suffix.len() && own.ends_with(suffix.as_str()),
    }
}

/// Those who came, where that is fewer than may come and they can be named.
fn narrowed_callers(
    model: &Model,
    target: ServiceId,
    line: &AccessLine,
    own: &[&Seen<'_>],
) -> Option<Vec<ast::Principal>> {
    let callers: BTreeSet<Caller> = own.iter().map(|seen| seen.caller).collect();
    let names_each = |principal: &Principal| match principal {
        Principal::Workload { who, .. } => callers.contains(who),
        _ => false,
    };
    let is_all = line.from.except.is_empty() && line.from.of.iter().all(names_each);
    if is_all || callers.len() > MAX_CALLERS {
        return None;
    }
    let namespace = &model[target].workload.namespace;
    let principal = |caller: &Caller| {
        let workload = model.workload(*caller);
        let name =
            if workload.namespace == *namespace { workload.name.to_string() } else { workload.full_name() };
        let named = ServiceRef::new(line.span, name);
        let kind = match caller {
            Caller::Gateway(_) => ast::PrincipalKind::Gateway(named),
            Caller::Service(_) => ast::PrincipalKind::Service(named),
        };
        ast::Principal { span: line.span, kind }
    };
    Some(callers.iter().map(principal).collect())
}

/// Operations that hold all that was seen and are less than what is allowed now; `None` where there are none to propose.
fn narrowed_ops(line: &AccessLine, written: &AuthorizeLine, own: &[&Seen<'_>]) -> Option<Box<[Op]>> {
    let mut plain = Patterns::new();
    for seen in own {
        // A method without a name can only be let in by a line that names none.
        let method = Method::parse(&seen.request.method)?;
        let path = seen.request.path.as_ref()?;
        let narrowest = line.shapes.iter().filter(|shape| fits(shape, seen.request));
        let narrowest = narrowest.max_by_key(|shape| shape.path.as_ref().map(|path| path.as_str().len()));
        let pattern = narrowest.and_then(|shape| shape.path.as_ref()).map(Path::pattern);
        plain.entry(template(pattern.as_ref(), path)).or_default().insert(method);
    }
    // What is gathered may be more than the line lets in: then what was seen is listed as it is.
    [gathered(plain.clone()), plain]
        .into_iter()
        .find_map(|patterns| proved_ops(line, written, &patterns, own))
}

/// Patterns, each with the methods seen of it.
type Patterns = BTreeMap<PathPattern, BTreeSet<Method>>;

/// The operations of these patterns, if they are few and proved.
fn proved_ops(
    line: &AccessLine,
    written: &AuthorizeLine,
    patterns: &Patterns,
    own: &[&Seen<'_>],
) -> Option<Box<[Op]>> {
    if patterns.len() > MAX_PATHS {
        return None;
    }
    let op = |(path, methods): (&PathPattern, &BTreeSet<Method>)| Op {
        span: written.span,
        methods: methods.iter().copied().collect::<Methods>(),
        path: Some(Spanned { value: Path::from(path.clone()), span: written.span }),
        grpc: false,
    };
    let ops: Vec<Op> = patterns.iter().map(op).collect();
    is_proved(line, &ops, own).unwrap_or(false).then(|| ops.into())
}

/// A path as a pattern: as the line writes it where it does, and behind a `/**` with what looks like the name of one thing among
/// many as a parameter.
fn template(pattern: Option<&PathPattern>, path: &str) -> PathPattern {
    let written = pattern.map_or(&[][..], |pattern| &pattern.segments);
    let segments = path.split('/').skip(1).enumerate().map(|(index, text)| match written.get(index) {
        Some(segment) => segment.clone(),
        None if is_id(text) => Segment::Any("id".into()),
        None => Segment::Literal(text.into()),
    });
    PathPattern { segments: segments.collect(), subtree: false }
}

/// A number, a UUID, or a long word with digits in it.
fn is_id(text: &str) -> bool {
    let digits = text.bytes().filter(u8::is_ascii_digit).count();
    let word = text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_');
    word && digits > 0 && (digits == text.len() || (text.len() >= 8 && digits >= 2))
}

/// Patterns that differ in one place only and there in many texts are one with a parameter.
fn gathered(mut patterns: Patterns) -> Patterns {
    loop {
        let mut alike: BTreeMap<(usize, PathPattern), Vec<PathPattern>> = BTreeMap::new();
        for pattern in patterns.keys() {
            for (index, segment) in pattern.segments.iter().enumerate() {
                if matches!(segment, Segment::Literal(text) if !text.is_empty()) {
                    let mut wider = pattern.clone();
                    wider.segments[index] = Segment::Any("id".into());
                    alike.entry((index, wider)).or_default().push(pattern.clone());
                }
            }
        }
        let Some(((_, wider), own)) = alike.into_iter().find(|(_, own)| own.len() >= MANY_TEXTS) else {
            break;
        };
        let methods: BTreeSet<Method> =
            own.iter().filter_map(|pattern| patterns.remove(pattern)).flatten().collect();
        patterns.entry(wider).or_default().extend(methods);
    }
    patterns
}

/// Nothing more fits into the budget: then nothing is proposed.
struct TooMuch;

impl From<TooManyNodes> for TooMuch {
    fn from(_: TooManyNodes) -> TooMuch {
        TooMuch
    }
}

/// Whether seen ⊆ proposed ⊂ current.
fn is_proved(line: &AccessLine, ops: &[Op], own: &[&Seen<'_>]) -> Result<bool, TooMuch> {
    let plain = |op: &Op| {
        let path = op.path.as_ref().map(|path| path.value.clone());
        op.methods.iter().map(move |method| Shape {
            method: Some(method),
            path: path.clone(),
            ..Shape::default()
        })
    };
    let proposed: Vec<Shape> = ops.iter().flat_map(plain).collect();
    let current: Vec<Shape> =
        line.shapes.iter().map(|shape| Shape { tests: Default::default(), ..shape.clone() }).collect();
    let literal = |seen: &&Seen<'_>| {
        let segments = seen.request.path.as_deref()?.split('/').skip(1);
        let segments = segments.map(|text| Segment::Literal(text.into())).collect();
        let path = Path::from(PathPattern { segments, subtree: false });
        Some(Shape { method: Method::parse(&seen.request.method), path: Some(path), ..Shape::default() })
    };
    let seen: Vec<Shape> = own.iter().filter_map(literal).collect();
    let shapes = proposed.iter().chain(&current).chain(&seen);
    let diagram = partition::diagram(shapes, &Peers::indifferent, Budget::default());
    let mut diagram = diagram.map_err(|_| TooMuch)?;
    let mut set = |shapes: &[Shape]| -> Result<Target, TooManyNodes> {
        let mut all = Vec::with_capacity(shapes.len());
        for shape in shapes {
            let product = diagram.space().product(shape, None);
            all.push(diagram.product(&product)?);
        }
        diagram.any_of_sets(&all)
    };
    let (proposed, current, seen) = (set(&proposed)?, set(&current)?, set(&seen)?);
    let mut is_inside = |inner: Target, outer: Target| -> Result<bool, TooManyNodes> {
        let outside = diagram.minus(inner, outer)?;
        Ok(diagram.any_of(outside).is_none())
    };
    let proved =
        is_inside(seen, proposed)? && is_inside(proposed, current)? && !is_inside(current, proposed)?;
    if diagram.is_exhausted() { Err(TooMuch) } else { Ok(proved) }
}

#[cfg(test)]
mod tests {
    use super::{Observed, Proposed};
    use crate::Project;
    use mesh_lang::SourceSet;
    use std::collections::BTreeMap;

    const MESH: &str = "service web { calls cart }\nservice job { calls cart }\nservice cart { port 80 http }\nauthorize cart {\n";

    /// `CALLER METHOD PATH` each; what becomes of each line, `-` where it stays.
    #[track_caller]
    fn becomes(line: &str, seen: &[&str], expected: &str) {
        let text = format!("{MESH}{line}\n}}\n");
        let sources = SourceSet::single("test.mesh", &text);
        let mut observed = BTreeMap::new();
        for request in seen {
            let mut words = request.split(' ');
            let mut word = || words.next().expect("a word").to_owned();
            let request = Observed {
                caller: format!("{}.default", word()),
                callee: "cart.default".to_owned(),
                method: word(),
                path: Some(word()),
            };
            *observed.entry(request).or_insert(0) += 1;
        }
        let trimmed = Project::parse(&sources).trim(None, &observed).expect("no errors");
        assert!(trimmed.unknown.is_empty());
        let said = trimmed.lines.iter().map(|trimming| match &trimming.proposed {
            Proposed::Unused => "unused".to_owned(),
            Proposed::Narrower(line) => line.clone(),
        });
        let said: Vec<String> = said.collect();
        assert_eq!(said, if expected == "-" { vec![] } else { vec![expected] }, "{text}");
    }

    #[test]
    fn what_nobody_needs_is_unused_and_what_is_needed_stays() {
        becomes("allow from web to GET /carts/{id}", &[], "unused");
        becomes("allow from web to GET /carts/{id}", &["job GET /carts/1"], "unused");
        becomes("allow from web to GET /carts/{id}", &["web GET /carts/1", "web GET /carts/mine"], "-");
    }

    #[test]
    fn who_came_is_named_and_what_was_asked_is_written() {
        let seen = ["web GET /carts/17", "web POST /carts/17/items", "web GET /carts/18"];
        let expected = "allow from web to GET /carts/{id}, POST /carts/{id}/items";
        becomes("allow from namespace default", &seen, expected);
        becomes("allow from web, job to GET|POST /carts/**", &seen, expected);
        becomes(
            "allow from web to GET|PUT /carts/{cart}",
            &["web GET /carts/a"],
            "allow from web to GET /carts/{cart}",
        );
    }

    #[test]
    fn what_is_gathered_is_never_more_than_is_allowed_now() {
        let four = ["web GET /a", "web GET /b", "web GET /c", "web GET /d"];
        let line = "allow from web to GET|PUT /a, GET|PUT /b, GET|PUT /c, GET|PUT /d";
        becomes(line, &four, "allow from web to GET /a, GET /b, GET /c, GET /d");
    }

    #[test]
    fn an_empty_segment_and_a_word_are_no_parameter() {
        let seen = ["web GET /carts/", "web GET /carts/checkout", "web GET /carts/17"];
        let expected = "allow from web to GET /carts/, GET /carts/checkout, GET /carts/{id}";
        becomes("allow from web to /carts/**", &seen, expected);
    }

    #[test]
    fn conditions_stay() {
        let line = "allow from web to /carts/** when header \"x\" = \"1\"";
        becomes(line, &["web GET /carts/1"], "allow from web to GET /carts/{id} when header \"x\" = \"1\"");
    }

    #[test]
    fn many_texts_in_one_place_are_a_parameter_and_few_are_not() {
        let few = ["web GET /a", "web GET /b", "web GET /c"];
        becomes("allow from web", &few, "allow from web to GET /a, GET /b, GET /c");
        becomes("allow from web", &[&few[..], &["web GET /d"]].concat(), "allow from web to GET /{id}");
    }
}
