//! What the line under the cursor could ask of `mesh why`: who asks whom for what.

use crate::cursor::cursor;
use crate::{Analysis, At};
use mesh_lang::ast::{
    Asked, AuthorizeLine, Destination, Field, From, Op, PrincipalKind, ServiceRef, TestLine, ValueTest,
};
use mesh_lang::statement::{Args, Statement};

/// A request to ask about.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Question {
    /// A service, `gateway NAME`, an identity, or `unauthenticated`.
    pub from: String,
    pub to: String,
    pub port: Option<String>,
    pub listener: Option<String>,
    pub host: Option<String>,
    /// `GET /reviews/1`; `None` is a connection.
    pub request: Option<String>,
    /// Headers that it carries.
    pub headers: Vec<(String, String)>,
}

impl Analysis {
    /// The request that the line at a place is about: that of a test, or an example of what an `allow`, a `deny` or a `calls` describes.
    pub fn question(&self, at: At) -> Option<Question> {
        let parse = self.parse(at.file);
        let text = self.text(at.file);
        let cursor = cursor(&parse, text, at.offset as usize);
        // The nearest statement that is about a request: a line of a block of `calls` is, too.
        let mut near = cursor.statement.into_iter().chain(cursor.around.iter().rev().copied());
        near.find_map(|statement| {
            let start = parse.tokens.get(statement.first as usize)?.start() as u32;
            let (outer, line) = find(self.statements(at.file), start)?;
            self.question_of(outer, line)
        })
    }

    fn question_of(&self, outer: &Statement, line: &Statement) -> Option<Question> {
        match (&outer.args, &line.args) {
            (_, Args::TestLine(line)) => Some(self.of_test(line)),
            (Args::Services(targets), Args::AuthorizeLine(line)) => of_line(targets.first()?, line),
            (Args::Name(caller), Args::Calls(calls)) => Some(Question {
                from: caller.value.to_string(),
                to: calls.services.first()?.as_str().to_owned(),
                port: calls.port.as_ref().map(|port| port.value.to_string()),
                request: Some(example(calls.to.first())),
                ..Question::default()
            }),
            _ => None,
        }
    }

    fn of_test(&self, line: &TestLine) -> Question {
        let request = match &line.asked {
            Asked::One(one) => {
                one.as_ref().map(|(method, path)| format!("{} {}", method.value.as_str(), path.value))
            }
            Asked::All(op) => Some(example(op.as_ref())),
        };
        let headers = line.when.iter().filter_map(|fact| match (&fact.field, &fact.test) {
            (Field::Header(name), ValueTest::Equals(value)) => {
                Some((name.value.to_string(), value.value.to_string()))
            }
            _ => None,
        });
        Question {
            from: line.from.as_ref().and_then(who).unwrap_or_else(|| "unauthenticated".to_owned()),
            to: match &line.to {
                Destination::Target(to) | Destination::Gateway(to) => to.as_str().to_owned(),
                Destination::Namespace(name) => name.value.to_string(),
            },
            port: line.port.as_ref().map(|port| port.value.to_string()),
            listener: line.listener.as_ref().map(|listener| listener.value.to_string()),
            host: line.host.as_ref().map(|host| host.value.to_string()),
            request,
            headers: headers.collect(),
        }
    }
}

fn of_line(target: &ServiceRef, line: &AuthorizeLine) -> Option<Question> {
    Some(Question {
        from: line.from.as_ref().map_or(Some("unauthenticated".to_owned()), who)?,
        to: target.as_str().to_owned(),
        port: line.port.as_ref().map(|port| port.value.to_string()),
        request: Some(example(line.ops.first())),
        ..Question::default()
    })
}

/// Somebody of those that are described; nobody stands for a whole namespace.
fn who(from: &From) -> Option<String> {
    from.principals.iter().find_map(|principal| match &principal.kind {
        PrincipalKind::Service(service) => Some(service.as_str().to_owned()),
        PrincipalKind::Gateway(gateway) => Some(gateway.as_str().to_owned()),
        PrincipalKind::Identity(identity) if !identity.ends_with('*') => Some(identity.to_string()),
        PrincipalKind::Unauthenticated | PrincipalKind::Anyone => Some("unauthenticated".to_owned()),
        _ => None,
    })
}

/// A request of a description: each parameter of the path is `1`, and what is below a path is left out.
fn example(op: Option<&Op>) -> String {
    let Some(op) = op else { return "GET /".to_owned() };
    let method = op.methods.iter().next().map_or("GET", |method| method.as_str());
    let pattern = op.path.as_ref().map_or("/", |path| path.value.as_str());
    let segments = pattern.split('/').skip(1).filter(|segment| *segment != "**");
    let segments: Vec<String> = segments
        .map(|segment| match (segment.find('{'), segment.find('}')) {
            (Some(open), Some(close)) if open < close => {
                format!("{}1{}", &segment[..open], &segment[close + 1..])
            }
            _ => segment.replace('*', "1"),
        })
        .collect();
    format!("{method} /{}", segments.join("/"))
}

/// The statement that begins at a byte, and the one of the file level that it is in.
fn find(statements: &[Statement], start: u32) -> Option<(&Statement, &Statement)> {
    fn inner(statement: &Statement, start: u32) -> Option<&Statement> {
        if statement.span.start() == start {
            return Some(statement);
        }
        statement.block.iter().find_map(|one| inner(one, start))
    }
    statements.iter().find_map(|outer| Some((outer, inner(outer, start)?)))
}
