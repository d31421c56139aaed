//! Section 9: what rules do besides sending a request on.

use crate::Question;
use crate::route::Backend;
use mesh_lang::ast::{self, FaultKind, Method, PathPattern, RateKey, RedirectTo, Rewrite, Segment};
use std::collections::BTreeSet;

/// What a rule changes, and what else is done to its requests; a form in which equal meanings are equal values.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Edits {
    path: Option<NewPath>,
    host: Option<String>,
    /// 9.4: of a redirect.
    scheme: Option<String>,
    pub(crate) effects: Vec<Effect>,
    /// 9.9, 9.10: no test asks about them, but rules with others are other rules.
    cors: Option<Cors>,
    websocket: bool,
}

/// What a `cors` says, in any order.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Cors {
    origins: BTreeSet<String>,
    methods: BTreeSet<Method>,
    headers: BTreeSet<String>,
    exposed: BTreeSet<String>,
    credentials: bool,
    /// Seconds.
    max_age: Option<u32>,
}

impl Cors {
    fn of(rule: &ast::Rule, written: &ast::Cors) -> Cors {
        let set = |names: &[mesh_lang::Name]| names.iter().map(|name| name.value.to_string()).collect();
        let every =
            |line: &ast::Match| line.ops.is_empty() || line.ops.iter().any(|op| op.methods.is_empty());
        let methods = match written.allow_methods.as_slice() {
            [] if rule.matches.is_empty() || rule.matches.iter().any(every) => {
                Method::ALL.into_iter().collect()
            }
            [] => {
                let ops = rule.matches.iter().flat_map(|line| &line.ops);
                ops.flat_map(|op| op.methods.iter()).collect()
            }
            said => said.iter().map(|method| method.value).collect(),
        };
        Cors {
            origins: set(&written.allow_origins),
            methods,
            headers: set(&written.allow_headers),
            exposed: set(&written.expose_headers),
            credentials: written.allow_credentials.is_some(),
            max_age: written.max_age.map(|age| age.value / 1_000),
        }
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum NewPath {
    Whole(String),
    /// 9.2: the beginnings that are replaced, and by what.
    Prefix(Vec<String>, String),
}

/// One thing that is done to a request, to its response or with it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Effect {
    RequestHeader(String, HeaderEdit),
    ResponseHeader(String, HeaderEdit),
    /// Milliseconds, and the share in basis points.
    Delay(u32, u32),
    /// Status and share.
    Abort(u16, u32),
    Mirror {
        service: String,
        port: u16,
        subset: Option<String>,
        share: u32,
    },
    RateLimit(RateLimit),
    /// Bytes.
    MaxRequestBody(u64),
    /// 12.4: the `ext-authz` of this name is asked before.
    Ask(String),
}

impl Effect {
    /// 11.11a
    pub(crate) fn is_global(&self) -> bool {
        matches!(self, Effect::RateLimit(RateLimit { by: Some(_), .. }))
    }

    /// What it is done to: what is done to something else can be done before it or after it.
    pub fn what(&self) -> (u8, String) {
        match self {
            Effect::RequestHeader(name, _) => (0, name.clone()),
            Effect::ResponseHeader(name, _) => (1, name.clone()),
            Effect::Delay(..) => (2, String::new()),
            Effect::Abort(..) => (3, String::new()),
            mirror @ Effect::Mirror { .. } => (4, format!("{mirror:?}")),
            limit @ (Effect::RateLimit(_) | Effect::MaxRequestBody(_)) => (5, format!("{limit:?}")),
            Effect::Ask(name) => (6, name.clone()),
        }
    }
}

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum HeaderEdit {
    Set(String),
    Remove,
    Add(String),
}

/// 11.11
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct RateLimit {
    pub count: u32,
    /// Milliseconds.
    pub per: u32,
    pub burst: u32,
    /// What is counted by itself, in the language's words; sorted.
    pub keys: Vec<String>,
    pub audit: bool,
    /// The `rate-limiter` that counts for all.
    pub by: Option<String>,
}

impl Edits {
    /// What a rule says; `backend` looks up where a mirror goes.
    pub(crate) fn of(
        rule: &ast::Rule,
        backend: impl Fn(&ast::Backend) -> Result<Backend, String>,
    ) -> Result<Edits, String> {
        let mut edits = Edits::default();
        let written = &rule.modifiers;
        if let Some(ast::Action::Redirect(redirect)) = rule.action.as_ref().map(|action| &action.value) {
            match &redirect.to {
                RedirectTo::Location(_) => {}
                RedirectTo::Prefix(to) => {
                    edits.path = Some(NewPath::Prefix(prefixes(rule)?, to.value.to_string()))
                }
                RedirectTo::Parts { scheme, host } => {
                    edits.scheme = scheme.as_ref().map(|name| name.value.to_string());
                    edits.host = host.as_ref().map(|name| name.value.to_string());
                }
            }
        }
        for rewrite in &written.rewrites {
            match &rewrite.value {
                Rewrite::Path(to) => edits.path = Some(NewPath::Whole(to.value.to_string())),
                Rewrite::Prefix(to) => {
                    edits.path = Some(NewPath::Prefix(prefixes(rule)?, to.value.to_string()))
                }
                Rewrite::Host(to) => edits.host = Some(to.value.to_string()),
            }
        }
        let header = |edit: &ast::Edit| match edit {
            ast::Edit::Set(value) => HeaderEdit::Set(value.value.to_string()),
            ast::Edit::Add(value) => HeaderEdit::Add(value.value.to_string()),
            ast::Edit::Remove => HeaderEdit::Remove,
        };
        for edit in &written.request_headers {
            edits.effects.push(Effect::RequestHeader(edit.name.value.to_string(), header(&edit.edit)));
        }
        for edit in &written.response_headers {
            edits.effects.push(Effect::ResponseHeader(edit.name.value.to_string(), header(&edit.edit)));
        }
        for fault in &written.faults {
            edits.effects.push(match fault.kind {
                FaultKind::Delay(delay) => Effect::Delay(delay.value, fault.share.value),
                FaultKind::Abort(status) => Effect::Abort(status.value, fault.share.value),
            });
        }
        for mirror in &written.mirrors {
            let Backend { service, port, subset, .. } = backend(&mirror.backend)?;
            edits.effects.push(Effect::Mirror { service, port, subset, share: mirror.share.value });
        }
        edits.cors = written.cors.as_ref().map(|cors| Cors::of(rule, &cors.value));
        edits.websocket = written.websocket.is_some();
        edits.effects.extend(limits(&rule.limits));
        // 9.3: of one header what is added comes last.
        edits.effects.sort_by_key(|effect| (effect.what(), effect.clone()));
        Ok(edits)
    }

    /// 9.1: the request behind the rule.
    pub(crate) fn edited(&self, request: &Question) -> Question {
        let mut edited = request.clone();
        if let (Some(path), true) = (&self.path, request.path != "*") {
            edited.path = path.instead_of(&request.path);
        }
        edited.host = self.host.clone().unwrap_or(edited.host);
        for effect in &self.effects {
            let Effect::RequestHeader(name, edit) = effect else { continue };
            if !matches!(edit, HeaderEdit::Add(_)) {
                edited.headers.retain(|(other, _)| other != name);
            }
            if let HeaderEdit::Set(value) | HeaderEdit::Add(value) = edit {
                edited.headers.push((name.clone(), value.clone()));
            }
        }
        edited
    }

    /// Of a redirect to the same URL with `https`.
    pub(crate) fn to_https() -> Edits {
        Edits { scheme: Some("https".to_owned()), ..Edits::default() }
    }

    /// Whether a request behind the rule is another one than before it.
    pub(crate) fn change_requests(&self) -> bool {
        let of_header = |effect: &Effect| matches!(effect, Effect::RequestHeader(..));
        self.path.is_some() || self.host.is_some() || self.effects.iter().any(of_header)
    }

    /// 9.4: whether a redirect says scheme and host.
    pub(crate) fn scheme_and_host(&self) -> (Option<String>, Option<String>) {
        (self.scheme.clone(), self.host.clone())
    }
}

impl NewPath {
    fn instead_of(&self, path: &str) -> String {
        match self {
            NewPath::Whole(new) => new.clone(),
            NewPath::Prefix(beginnings, new) => {
                let rest = |beginning: &String| {
                    let rest = path.strip_prefix(beginning.as_str())?;
                    (rest.is_empty() || rest.starts_with('/')).then_some(rest)
                };
                // The longest beginning leaves the shortest rest.
                let Some(rest) = beginnings.iter().filter_map(rest).min_by_key(|rest| rest.len()) else {
                    return path.to_owned();
                };
                let whole = format!("{}{rest}", new.trim_end_matches('/'));
                if whole.is_empty() { "/".to_owned() } else { whole }
            }
        }
    }
}

/// 9.2: what the `/**` of each path of a rule leaves open to its left.
fn prefixes(rule: &ast::Rule) -> Result<Vec<String>, String> {
    let no_prefix = || format!("rule `{}` has no prefix", rule.name.value);
    let of_pattern = |pattern: &PathPattern| {
        let text = |segment: &Segment| match segment {
            Segment::Literal(text) => Ok(format!("/{text}")),
            _ => Err(no_prefix()),
        };
        if pattern.subtree { pattern.segments.iter().map(text).collect() } else { Err(no_prefix()) }
    };
    let paths = rule.matches.iter().flat_map(|line| &line.ops).map(|op| op.path.as_ref());
    let prefixes: Result<Vec<String>, String> =
        paths.map(|path| of_pattern(&path.ok_or_else(no_prefix)?.value.pattern())).collect();
    let mut prefixes = prefixes?;
    prefixes.sort();
    prefixes.dedup();
    Ok(prefixes)
}

/// 11.11, 11.12
pub(crate) fn limits(written: &ast::Limits) -> Vec<Effect> {
    let rates = written.rate_limits.iter().map(|limit| {
        let mut keys: Vec<String> = limit
            .per
            .iter()
            .map(|key| match key {
                RateKey::Source => "source".to_owned(),
                RateKey::SourceIp => "source-ip".to_owned(),
                RateKey::ClientIp => "client-ip".to_owned(),
                RateKey::Header(name) => format!("header {}", name.value),
            })
            .collect();
        keys.sort();
        Effect::RateLimit(RateLimit {
            count: limit.rate.value.count,
            per: limit.rate.value.per,
            burst: limit.burst.map_or(limit.rate.value.count, |burst| burst.value),
            keys,
            audit: limit.audit,
            by: limit.by.as_ref().map(|name| name.value.to_string()),
        })
    });
    let mut all: Vec<Effect> = rates.collect();
    all.extend(written.max_request_body.map(|bytes| Effect::MaxRequestBody(bytes.value)));
    all
}
