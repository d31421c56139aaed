//! What a rule changes or does besides sending a request on: rewrites, header edits, faults and mirrors
//! (`spec/semantics.md` 9).

use super::backend;
use super::scope::{Place, Scope, Target};
use crate::model::{Model, PortId, ServiceId};
use mesh_lang::ast::{self, Action, FaultKind, HeaderEdit, PathPattern, RedirectTo, Rewrite, Segment};
use mesh_lang::{Code, Diagnostic, Span};
use mesh_plan::{Edit, NONE};

/// The edits of a rule, in the order in which they are made.
pub(super) fn resolve(
    rule: &ast::Rule,
    place: Place<'_>,
    scope: &Scope,
    model: &Model,
) -> Result<Vec<Edit>, Vec<Diagnostic>> {
    let mut edits = Vec::new();
    let mut problems = Vec::new();
    let modifiers = &rule.modifiers;
    if let Some(Action::Redirect(redirect)) = rule.action.as_ref().map(|action| &action.value) {
        match &redirect.to {
            RedirectTo::Location(_) => {}
            RedirectTo::Prefix(to) => match prefixes(rule, redirect.status.span, &to.value) {
                Ok(found) => edits.extend(found),
                Err(problem) => problems.push(problem),
            },
            RedirectTo::Parts { scheme, host } => {
                edits.extend(scheme.as_ref().map(|scheme| Edit::Scheme(scheme.value.to_string())));
                edits.extend(host.as_ref().map(|host| Edit::Host(host.value.to_string())));
            }
        }
    }
    problems.extend(answers_at_once(rule));
    problems.extend(twice(rule));
    for rewrite in &modifiers.rewrites {
        match &rewrite.value {
            Rewrite::Path(to) => edits.push(Edit::Path(to.value.to_string())),
            Rewrite::Host(to) => edits.push(Edit::Host(to.value.to_string())),
            Rewrite::Prefix(to) => match prefixes(rule, rewrite.span, &to.value) {
                Ok(found) => edits.extend(found),
                Err(problem) => problems.push(problem),
            },
        }
    }
    headers(&modifiers.request_headers, &mut edits, &mut problems, &|name, edit| match edit {
        ast::Edit::Set(value) => Edit::SetRequestHeader(name, value.value.to_string()),
        ast::Edit::Add(value) => Edit::AddRequestHeader(name, value.value.to_string()),
        ast::Edit::Remove => Edit::RemoveRequestHeader(name),
    });
    headers(&modifiers.response_headers, &mut edits, &mut problems, &|name, edit| match edit {
        ast::Edit::Set(value) => Edit::SetResponseHeader(name, value.value.to_string()),
        ast::Edit::Add(value) => Edit::AddResponseHeader(name, value.value.to_string()),
        ast::Edit::Remove => Edit::RemoveResponseHeader(name),
    });
    for fault in &modifiers.faults {
        let share = fault.share.value;
        if share == 0 {
            problems.push(
                Diagnostic::new(Code::VainStatement, "this fault is done to no request")
                    .at(fault.share.span, "a share of nothing")
                    .help("Raise the share, or delete the fault."),
            );
        }
        edits.push(match fault.kind {
            FaultKind::Delay(delay) => Edit::Delay { delay: delay.value, share },
            FaultKind::Abort(status) => Edit::Abort { status: status.value, share },
        });
    }
    for mirror in &modifiers.mirrors {
        match self::mirror(mirror, rule, place, scope, model) {
            Ok(found) => edits.push(found),
            Err(found) => problems.extend(found),
        }
    }
    edits.extend(super::browsers::edits(rule));
    edits.sort_by_cached_key(place_of);
    edits.extend(super::limits::of(&rule.limits, place, &scope.shared));
    if problems.is_empty() { Ok(edits) } else { Err(problems) }
}

/// Where an edit stands among those of its rule, in whichever order they were written (`spec/semantics.md` 9.1, 9.3): of one header
/// what is added comes last.
fn place_of(edit: &Edit) -> (u8, String, bool, String) {
    let header = |place, name: &String, added: Option<&String>| {
        (place, name.clone(), added.is_some(), added.cloned().unwrap_or_default())
    };
    let other = |place| (place, String::new(), false, String::new());
    match edit {
        Edit::Scheme(_) => other(0),
        Edit::Path(_) | Edit::Prefix { .. } => other(1),
        Edit::Host(_) => other(2),
        Edit::SetRequestHeader(name, _) | Edit::RemoveRequestHeader(name) => header(3, name, None),
        Edit::AddRequestHeader(name, value) => header(3, name, Some(value)),
        Edit::SetResponseHeader(name, _) | Edit::RemoveResponseHeader(name) => header(4, name, None),
        Edit::AddResponseHeader(name, value) => header(4, name, Some(value)),
        Edit::Delay { .. } => other(5),
        Edit::Abort { .. } => other(6),
        mirror @ Edit::Mirror { .. } => (7, format!("{mirror:?}"), false, String::new()),
        Edit::Cors(_) => other(8),
        Edit::PreflightAge(_) => other(9),
        Edit::WebSocket => other(10),
        Edit::RateLimit(_) | Edit::MaxRequestBody(_) => other(11),
        Edit::DecodeSlashes | Edit::StripParameters => other(12),
    }
}

/// Where `redirect` and `respond` answer, nothing is sent on that could be changed, delayed or copied.
fn answers_at_once(rule: &ast::Rule) -> Option<Diagnostic> {
    let action = rule.action.as_ref().filter(|action| !matches!(action.value, Action::To(_)))?;
    let modifiers = &rule.modifiers;
    let span = modifiers
        .rewrites
        .first()
        .map(|one| one.span)
        .or(modifiers.request_headers.first().map(|one| one.span))
        .or(modifiers.faults.first().map(|one| one.span))
        .or(modifiers.mirrors.first().map(|one| one.span))
        .or(modifiers.websocket)?;
    Some(
        Diagnostic::new(
            Code::UnexpectedToken,
            format!("rule `{}` sends nothing to a service", rule.name.value),
        )
        .at(span, "nothing is sent on that it could change")
        .at(action.span, "answers at once")
        .help("Delete it."),
    )
}

/// Each kind of rewrite, each kind of fault and each edit of a header stands once.
fn twice(rule: &ast::Rule) -> Vec<Diagnostic> {
    let mut seen: Vec<(String, Span)> = Vec::new();
    let mut found = Vec::new();
    let mut once = |kind: String, span: Span| match seen.iter().find(|(known, _)| *known == kind) {
        Some((_, first)) => found.push(
            Diagnostic::new(Code::DuplicateStatement, format!("the {kind} is changed twice"))
                .at(span, "changed again here")
                .at(*first, "first changed here")
                .help("Keep one of the two."),
        ),
        None => seen.push((kind, span)),
    };
    for rewrite in &rule.modifiers.rewrites {
        let kind = if matches!(rewrite.value, Rewrite::Host(_)) { "host" } else { "path" };
        once(kind.to_owned(), rewrite.span);
    }
    for (whose, edits) in
        [("request", &rule.modifiers.request_headers), ("response", &rule.modifiers.response_headers)]
    {
        for edit in edits.iter().filter(|edit| !matches!(edit.edit, ast::Edit::Add(_))) {
            once(format!("{whose}'s header `{}`", edit.name.value), edit.span);
        }
    }
    for fault in &rule.modifiers.faults {
        let kind = if matches!(fault.kind, FaultKind::Delay(_)) { "delay" } else { "abort" };
        if let Some((_, first)) = seen.iter().find(|(known, _)| known == kind) {
            found.push(
                Diagnostic::new(Code::DuplicateStatement, format!("`fault {kind}` is written twice"))
                    .at(fault.span, "written again here")
                    .at(*first, "first written here")
                    .help("Keep one of the two."),
            );
        } else {
            seen.push((kind.to_owned(), fault.span));
        }
    }
    found
}

/// A prefix is replaced where every line of the rule has one; the longest that fits counts.
fn prefixes(rule: &ast::Rule, span: Span, to: &str) -> Result<Vec<Edit>, Diagnostic> {
    let needs = |at: Span, label: &str| {
        Diagnostic::new(Code::InvalidValue, format!("rule `{}` has no prefix to replace", rule.name.value))
            .at(span, "replaces the prefix of the line that matched")
            .at(at, label)
            .help("Write every operation of the rule as a path with `/**`, without placeholders.")
    };
    if rule.matches.is_empty() {
        return Err(needs(rule.span, "matches every path"));
    }
    let to = to.strip_suffix('/').unwrap_or(to);
    let mut from = Vec::new();
    for line in &rule.matches {
        if line.ops.is_empty() {
            return Err(needs(line.span, "matches every path"));
        }
        for op in &line.ops {
            match op.path.as_ref().and_then(|path| literal(&path.value.pattern())) {
                Some(prefix) => from.push(prefix),
                None => return Err(needs(op.span, "not a prefix")),
            }
        }
    }
    from.sort_by(|a, b| b.len().cmp(&a.len()).then(a.cmp(b)));
    from.dedup();
    if from.iter().all(|from| from == to) {
        return Err(Diagnostic::new(Code::VainStatement, "the new prefix is the old one")
            .at(span, "leaves every path as it is")
            .help("Write another prefix, or delete it."));
    }
    Ok(from.into_iter().map(|from| Edit::Prefix { from, to: to.to_owned() }).collect())
}

/// The text of `/a/b/**`; empty for `/**`.
fn literal(pattern: &PathPattern) -> Option<String> {
    let segments = pattern.segments.iter().map(|segment| match segment {
        Segment::Literal(text) => Some(format!("/{text}")),
        _ => None,
    });
    segments.collect::<Option<String>>().filter(|_| pattern.subtree)
}

fn headers(
    written: &[HeaderEdit],
    edits: &mut Vec<Edit>,
    problems: &mut Vec<Diagnostic>,
    make: &dyn Fn(String, &ast::Edit) -> Edit,
) {
    for edit in written {
        match forbidden(&edit.name.value) {
            Some(why) => problems.push(
                Diagnostic::new(
                    Code::InvalidValue,
                    format!("a rule cannot change the header `{}`", edit.name.value),
                )
                .at(edit.name.span, why)
                .help("Delete it."),
            ),
            None => edits.push(make(edit.name.value.to_string(), &edit.edit)),
        }
    }
}

/// Headers that say how a message is framed: changing them would let two readers see two messages (RFC 9112 6.3).
fn forbidden(name: &str) -> Option<&'static str> {
    match name {
        "content-length" | "trailer" | "expect" => Some("it says where the body ends"),
        "x-request-id" => Some("the proxy writes it"),
        _ if name.starts_with("x-forwarded-") || name == "forwarded" => Some("the proxy writes it"),
        _ => None,
    }
}

/// A copy goes to endpoints of a service.
fn mirror(
    mirror: &ast::Mirror,
    rule: &ast::Rule,
    place: Place<'_>,
    scope: &Scope,
    model: &Model,
) -> Result<Edit, Vec<Diagnostic>> {
    let found = backend::resolve(std::slice::from_ref(&mirror.backend), mirror.span, place, scope, model)?;
    let Some(to) = found.first() else { return Err(vec![]) };
    if mirror.share.value == 0 {
        return Err(vec![
            Diagnostic::new(Code::VainStatement, "nothing is mirrored")
                .at(mirror.share.span, "a share of nothing")
                .help("Raise the share, or delete the mirror."),
        ]);
    }
    if !mirror.including_writes
        && let Some(at) = writes(rule)
    {
        return Err(vec![
            Diagnostic::new(Code::MirroredWrites, format!("rule `{}` mirrors writes", rule.name.value))
                .at(mirror.span, "the copy is done a second time")
                .at(at, "matches more than GET, HEAD and OPTIONS")
                .help("Match `GET|HEAD` only, or write `including-writes` if the copy does no harm."),
        ]);
    }
    let PortId { service, port } = to.to;
    Ok(Edit::Mirror {
        service: service.0,
        port,
        subset: to.subset.unwrap_or(NONE),
        share: mirror.share.value,
    })
}

/// Who gets copies, and where that is written, in order.
pub(super) fn mirrors(rule: &ast::Rule, place: Place<'_>, scope: &Scope) -> Vec<(ServiceId, Span)> {
    let all = rule.modifiers.mirrors.iter();
    let known = all.filter_map(|mirror| match scope.known(&mirror.backend.service, place)? {
        Target::Service(service) => Some((service, mirror.span)),
        Target::Gateway(_) => None,
    });
    let mut mirrors: Vec<(ServiceId, Span)> = known.collect();
    mirrors.sort();
    mirrors
}

/// Where a rule matches a method that may change something (RFC 9110 9.2.1).
fn writes(rule: &ast::Rule) -> Option<Span> {
    use ast::Method::{Get, Head, Options};
    if rule.matches.is_empty() {
        return Some(rule.span);
    }
    let safe = |op: &ast::Op| {
        !op.methods.is_empty() && op.methods.iter().all(|method| matches!(method, Get | Head | Options))
    };
    let line = rule.matches.iter().find(|line| line.ops.is_empty() || !line.ops.iter().all(safe))?;
    Some(line.span)
}

#[cfg(test)]
mod tests {
    use crate::testing::{route, says};

    fn rule(statements: &str) -> String {
        route(&format!("rule r {{\n{statements}\n}}\notherwise 404"))
    }

    #[test]
    fn a_prefix_is_replaced_where_there_is_one() {
        says(&rule("match /a/**, /b/**\nto s:v1\nrewrite prefix /c"), &[]);
        says(
            &rule("match /a\nto s:v1\nrewrite prefix /c"),
            &["7 MESH1012 rule `r` has no prefix to replace"],
        );
        says(
            &rule("match /a/{x}/**\nredirect prefix /c 302"),
            &["6 MESH1012 rule `r` has no prefix to replace"],
        );
        says(&rule("match /a/**\nredirect prefix /c 302"), &[]);
        let same = "the new prefix is the old one";
        says(&rule("match /a/**\nto s:v1\nrewrite prefix /a/"), &[&format!("7 MESH5040 {same}")]);
        says(&rule("match /a/**, /b/**\nto s:v1\nrewrite prefix /a"), &[]);
    }

    #[test]
    fn what_is_changed_is_changed_once() {
        says(
            &rule("match GET\nto s:v1\nrewrite path /a\nrewrite path /b"),
            &["8 MESH1008 the path is changed twice"],
        );
        says(
            &rule("match GET\nto s:v1\nrequest-header set \"x-a\" \"1\"\nrequest-header remove \"x-a\""),
            &["8 MESH1008 the request's header `x-a` is changed twice"],
        );
        says(
            &rule("match GET\nto s:v1\nrequest-header set \"content-length\" \"1\""),
            &["7 MESH1012 a rule cannot change the header `content-length`"],
        );
        says(
            &rule("match GET\nrespond 200\nrequest-header set \"x-a\" \"1\""),
            &["7 MESH1006 rule `r` sends nothing to a service"],
        );
        says(&rule("match GET\nrespond 200\nresponse-header set \"x-a\" \"1\""), &[]);
    }

    #[test]
    fn faults_are_of_some_requests() {
        says(&rule("match GET\nto s:v1\nfault delay 1s 10%\nfault abort 503 5%"), &[]);
        says(
            &rule("match GET\nto s:v1\nfault abort 503 0%"),
            &["7 MESH5040 this fault is done to no request"],
        );
        says(
            &rule("match GET\nto s:v1\nfault abort 503 5%\nfault abort 500 5%"),
            &["8 MESH1008 `fault abort` is written twice"],
        );
    }

    #[test]
    fn writes_are_not_mirrored_by_chance() {
        says(&rule("match GET\nto s:v1\nmirror s:v2 5%"), &[]);
        says(&rule("match POST\nto s:v1\nmirror s:v2 5%"), &["7 MESH5020 rule `r` mirrors writes"]);
        says(&rule("match POST\nto s:v1\nmirror s:v2 5% including-writes"), &[]);
    }
}
