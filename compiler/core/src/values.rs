//! Where a value comes from: the lines that write it, from the one that counts to those behind it (`spec/semantics.md` 6.1, 8.1).

use crate::resolve::DEFAULT_NAMESPACE;
use mesh_lang::diagnostic::suggest::nearest;
use mesh_lang::expand::Parameter;
use mesh_lang::signature::Place;
use mesh_lang::statement::{Args, Statement};
use mesh_lang::{SourceSet, Span, ast};

/// A value of a service or gateway in one environment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Value {
    /// `service reviews.default`
    pub of: String,
    /// The keyword of the statements that write it.
    pub keyword: &'static str,
    /// The lines that hold for every request, the nearest first. Of one that is not a limit, the first counts.
    pub lines: Vec<Line>,
    /// Lines that are nearer still, for the requests that pass them.
    pub nearer: Vec<Line>,
    /// Whether the lines hold together, as limits do, and none takes the place of another.
    pub together: bool,
}

/// A line that writes a value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Line {
    /// Where it stands, in words: `service reviews`, `profile fast, used by service reviews`.
    pub place: String,
    /// What it says, on one line, with the values of parameters in their places.
    pub text: String,
    pub span: Span,
    /// The parameters in it.
    pub parameters: Vec<Parameter>,
}

/// Why there is no such value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unknown {
    /// A clause.
    pub message: String,
    /// A sentence.
    pub help: String,
}

/// The statements of a project in one environment.
pub(crate) struct Written<'a> {
    pub(crate) sources: &'a SourceSet,
    pub(crate) files: Vec<Vec<Statement>>,
    pub(crate) parameters: Vec<Parameter>,
}

/// A block of the file level, and what its file belongs to.
#[derive(Clone, Copy)]
pub(crate) struct Block<'a> {
    pub(crate) statement: &'a Statement,
    pub(crate) directory: &'a str,
    namespace: &'a str,
}

/// Limits do not take the place of each other.
const TOGETHER: [&str; 4] = ["circuit-breaker", "outlier-detection", "rate-limit", "max-request-body"];

/// More names than this help nobody.
const MAX_NAMES: usize = 12;

impl<'a> Written<'a> {
    /// What `name.keyword` or `name.namespace.keyword` is.
    pub(crate) fn value(&self, asked: &str) -> Result<Value, Unknown> {
        let Some((target, keyword)) = asked.rsplit_once('.') else {
            return Err(Unknown {
                message: format!("`{asked}` is no value"),
                help: "A value is written `reviews.timeout`: a service or gateway, and a statement in it."
                    .into(),
            });
        };
        let (name, namespace) =
            target.split_once('.').map_or((target, None), |(name, rest)| (name, Some(rest)));
        self.value_of(&self.blocks(), (target, name, namespace), keyword)
    }

    /// What a statement of a service or gateway is: `target` as it was written, and its parts.
    pub(crate) fn value_of(
        &self,
        blocks: &[Block<'_>],
        (target, name, namespace): (&str, &str, Option<&str>),
        keyword: &str,
    ) -> Result<Value, Unknown> {
        let is_it = |block: &&Block<'_>| {
            name_of(block.statement) == Some(name) && namespace.is_none_or(|wanted| wanted == block.namespace)
        };
        let Some(owner) = workloads(blocks).find(is_it).copied() else {
            return Err(unknown(blocks, target));
        };
        let place = if owner.statement.keyword() == "service" { Place::Service } else { Place::Gateway };
        let Some(row) = place.statement(keyword) else { return Err(no_statement(place, keyword)) };
        let of = format!("{} {name}.{}", owner.statement.keyword(), owner.namespace);
        let mut lines = self.lines_of(
            blocks,
            owner,
            owner.statement,
            keyword,
            &format!("{} {name}", owner.statement.keyword()),
        );
        for mesh in blocks.iter().filter(|block| block.statement.keyword() == "mesh") {
            let defaults = mesh.statement.block.iter().filter(|line| line.keyword() == "default");
            for (block, place) in
                defaults.map(|line| (line, "mesh default")).chain([(mesh.statement, "mesh")])
            {
                let own = block.block.iter().filter(|line| line.keyword() == keyword);
                lines.extend(own.map(|line| self.line(mesh.directory, line, place.to_owned())));
            }
        }
        let nearer = if place == Place::Service { self.nearer(blocks, owner, keyword) } else { Vec::new() };
        Ok(Value { of, keyword: row.keyword, lines, nearer, together: TOGETHER.contains(&keyword) })
    }

    /// The blocks of the file level.
    pub(crate) fn blocks(&self) -> Vec<Block<'_>> {
        let directories = || {
            let all = self.sources.iter().zip(&self.files).filter(|(_, file)| !file.is_empty());
            all.map(|((_, source), file)| (source.module.as_str(), file))
        };
        let namespace = |wanted: &str| {
            let modules =
                directories().filter(|(directory, _)| *directory == wanted).flat_map(|(_, file)| file);
            let lines = modules.filter(|one| one.keyword() == "module").flat_map(|module| &module.block);
            let names = lines.filter(|line| line.keyword() == "namespace").filter_map(name_of);
            names.last().unwrap_or(DEFAULT_NAMESPACE)
        };
        let with_file = directories().flat_map(|(directory, file)| {
            let namespace = namespace(directory);
            file.iter().map(move |statement| Block { statement, directory, namespace })
        });
        with_file.collect()
    }

    /// The lines of a keyword in a block, and behind them those of the profiles it uses.
    pub(crate) fn lines_of(
        &self,
        blocks: &[Block<'_>],
        home: Block<'_>,
        block: &Statement,
        keyword: &str,
        place: &str,
    ) -> Vec<Line> {
        let own = block.block.iter().filter(|line| line.keyword() == keyword);
        let mut lines: Vec<Line> =
            own.map(|line| self.line(home.directory, line, place.to_owned())).collect();
        for profile in block.block.iter().filter(|line| line.keyword() == "use").flat_map(names_of) {
            for (name, found) in self.profiles(blocks, home, profile) {
                let written = found.statement.block.iter().filter(|line| line.keyword() == keyword);
                let place = format!("profile {name}, used by {place}");
                lines.extend(written.map(|line| self.line(found.directory, line, place.clone())));
            }
        }
        lines
    }

    /// The profiles of this name: of the directory, or imported.
    fn profiles<'b>(
        &self,
        blocks: &'b [Block<'b>],
        home: Block<'_>,
        name: &'b str,
    ) -> Vec<(&'b str, Block<'b>)> {
        let imports = blocks.iter().filter(|block| block.directory == home.directory);
        let imported: Vec<&str> = imports
            .filter_map(|block| match &block.statement.args {
                Args::Import(import) if import.1.iter().any(|own| own.value == name) => {
                    Some(import.0.value.as_str())
                }
                _ => None,
            })
            .collect();
        let is_module = |block: &&Block<'_>| {
            block.statement.keyword() == "module"
                && name_of(block.statement).is_some_and(|own| imported.contains(&own))
        };
        let mut homes: Vec<&str> = blocks.iter().filter(is_module).map(|block| block.directory).collect();
        homes.push(home.directory);
        let profiles = blocks.iter().filter(|block| {
            block.statement.keyword() == "profile"
                && name_of(block.statement) == Some(name)
                && homes.contains(&block.directory)
        });
        profiles.map(|block| (name, *block)).collect()
    }

    /// Lines of rules that send to a service and of calls to it.
    fn nearer(&self, blocks: &[Block<'_>], owner: Block<'_>, keyword: &str) -> Vec<Line> {
        let is_owner = |block: Block<'_>, service: &ast::ServiceRef| {
            Some(service.name()) == name_of(owner.statement)
                && service.namespace().unwrap_or(block.namespace) == owner.namespace
        };
        let mut nearer = Vec::new();
        for block in blocks {
            for inner in &block.statement.block {
                let place = match (&block.statement.args, &inner.args) {
                    (Args::Route(route), Args::Rule(rule))
                        if is_owner(*block, &route.target)
                            || inner.block.iter().any(|line| sends_to(line, |to| is_owner(*block, to))) =>
                    {
                        let from: Vec<String> = route.from.iter().map(ToString::to_string).collect();
                        let from = if from.is_empty() {
                            from.concat()
                        } else {
                            format!(" from {}", from.join(", "))
                        };
                        format!("rule {} of route {}{from}", rule.0.value, route.target)
                    }
                    (_, Args::Calls(calls)) if calls.services.iter().any(|to| is_owner(*block, to)) => {
                        let caller = name_of(block.statement).unwrap_or_default();
                        format!("`{}` in service {caller}", self.head(inner))
                    }
                    _ => continue,
                };
                nearer.extend(self.lines_of(blocks, *block, inner, keyword, &place));
            }
        }
        nearer
    }

    pub(crate) fn line(&self, directory: &str, statement: &Statement, place: String) -> Line {
        let written = self.whole(statement);
        let (mut text, mut parameters) = (String::new(), Vec::new());
        let mut rest = written.as_str();
        while let Some((before, after)) = rest.split_once('$') {
            text.push_str(before);
            let end = after.find(|c: char| !(c.is_ascii_alphanumeric() || c == '-')).unwrap_or(after.len());
            let (name, behind) = after.split_at(end);
            match self.parameters.iter().find(|own| own.module == directory && own.name == name) {
                Some(parameter) => {
                    text.push_str(&parameter.text);
                    parameters.push(parameter.clone());
                }
                None => text.extend(["$", name]),
            }
            rest = behind;
        }
        text.push_str(rest);
        Line { place, text, span: statement.span, parameters }
    }

    /// A statement with its block, on one line.
    fn whole(&self, statement: &Statement) -> String {
        let head = self.head(statement);
        if statement.block.is_empty() {
            return head;
        }
        let inside: Vec<String> = statement.block.iter().map(|line| self.whole(line)).collect();
        format!("{head} {{ {} }}", inside.join("; "))
    }

    /// Keyword and arguments, on one line.
    pub(crate) fn head(&self, statement: &Statement) -> String {
        self.sources.text(statement.span).split_whitespace().collect::<Vec<_>>().join(" ")
    }
}

fn workloads<'b>(blocks: &'b [Block<'b>]) -> impl Iterator<Item = &'b Block<'b>> {
    blocks.iter().filter(|block| matches!(block.statement.keyword(), "service" | "gateway"))
}

fn name_of(statement: &Statement) -> Option<&str> {
    match &statement.args {
        Args::Name(name) => Some(&name.value),
        _ => None,
    }
}

fn names_of(statement: &Statement) -> impl Iterator<Item = &str> {
    let names = match &statement.args {
        Args::Names(names) => names.as_slice(),
        _ => &[],
    };
    names.iter().map(|name| name.value.as_str())
}

fn sends_to(line: &Statement, is_it: impl Fn(&ast::ServiceRef) -> bool) -> bool {
    match &line.args {
        Args::Action(action) => match &**action {
            ast::Action::To(backends) => backends.iter().any(|backend| is_it(&backend.service)),
            _ => false,
        },
        _ => false,
    }
}

fn unknown(blocks: &[Block<'_>], target: &str) -> Unknown {
    let names: Vec<&str> = workloads(blocks).filter_map(|block| name_of(block.statement)).collect();
    let help = match nearest(target, names.iter().copied()) {
        Some(near) => format!("Did you mean `{near}`?"),
        None if names.is_empty() => "The project declares none.".to_owned(),
        None => format!("There are {}.", listed(&names)),
    };
    Unknown { message: format!("no service or gateway `{target}`"), help }
}

fn no_statement(place: Place, keyword: &str) -> Unknown {
    let own = place.keyword().unwrap_or_default();
    let help = match nearest(keyword, place.statements().iter().map(|row| row.keyword)) {
        Some(near) => format!("Did you mean `{near}`?"),
        None => format!("`mesh explain {own}` lists what stands in `{own}`."),
    };
    Unknown { message: format!("nothing in a {own} is called `{keyword}`"), help }
}

fn listed(names: &[&str]) -> String {
    let quoted: Vec<String> = names.iter().take(MAX_NAMES).map(|name| format!("`{name}`")).collect();
    let rest = names.len().saturating_sub(MAX_NAMES);
    let more = if rest > 0 { format!(" and {rest} more") } else { String::new() };
    format!("{}{more}", quoted.join(", "))
}

#[cfg(test)]
mod tests {
    use crate::Project;
    use mesh_lang::{Source, SourceSet};

    const SHOP: &str = "mesh shop { environments staging, live; mtls strict; default { timeout 10s } }
param patience duration = 3s
env live { set patience = 5s }
profile calm { retry 1 on reset { backoff 1ms..2ms }; timeout 7s }
service reviews { port 80 http; use calm; timeout $patience; env staging { timeout 1s } }
service page { calls reviews { timeout 2s } }
service quiet { port 80 http }
route reviews { rule slow { match GET /slow; to reviews; timeout 30s } }
";

    #[track_caller]
    fn lines(asked: &str, environment: &str, expected: &[&str]) {
        let sources = SourceSet::single("a.mesh", SHOP);
        let value = Project::parse(&sources).value(asked, Some(environment)).unwrap();
        let shown = |line: &super::Line| {
            let parameters: Vec<_> = line
                .parameters
                .iter()
                .map(|own| format!(" ({} line {})", own.name, sources.position(own.span).0))
                .collect();
            format!("{}: {}{}", line.place, line.text, parameters.concat())
        };
        let nearer = value.nearer.iter().map(|line| format!("nearer {}", shown(line)));
        let found: Vec<String> = value.lines.iter().map(shown).chain(nearer).collect();
        assert_eq!(found, expected);
    }

    #[test]
    fn the_lines_stand_from_the_one_that_counts_to_those_behind_it() {
        lines(
            "reviews.timeout",
            "live",
            &[
                "service reviews: timeout 5s (patience line 3)",
                "profile calm, used by service reviews: timeout 7s",
                "mesh default: timeout 10s",
                "nearer `calls reviews` in service page: timeout 2s",
                "nearer rule slow of route reviews: timeout 30s",
            ],
        );
        lines(
            "reviews.default.retry",
            "live",
            &["profile calm, used by service reviews: retry 1 on reset { backoff 1ms..2ms }"],
        );
        lines("quiet.mtls", "live", &["mesh: mtls strict"]);
        lines("quiet.timeout", "live", &["mesh default: timeout 10s"]);
        lines("quiet.retry", "live", &[]);
    }

    #[test]
    fn an_environment_has_lines_of_its_own() {
        let sources = SourceSet::single("a.mesh", SHOP);
        let value = Project::parse(&sources).value("reviews.timeout", Some("staging")).unwrap();
        assert_eq!(value.lines[0].text, "timeout 1s");
        assert_eq!((value.of.as_str(), value.together), ("service reviews.default", false));
        let limit = Project::parse(&sources).value("reviews.rate-limit", Some("staging")).unwrap();
        assert!(limit.together, "limits hold together");
    }

    #[test]
    fn parameters_and_profiles_are_those_of_the_module() {
        let file = |module: &str, text: &str| Source {
            path: format!("{module}/x.mesh"),
            module: module.into(),
            text: text.into(),
        };
        let sources = SourceSet::new(vec![
            file("a", "param patience duration = 1s\nprofile calm { timeout 1s }\n"),
            file(
                "b",
                "param patience duration = 2s\nprofile calm { timeout 2s }\nservice s { port 80 http; use calm; timeout $patience }\n",
            ),
        ]);
        let value = Project::parse(&sources).value("s.timeout", None).unwrap();
        let texts: Vec<_> = value.lines.iter().map(|line| line.text.as_str()).collect();
        assert_eq!(texts, ["timeout 2s", "timeout 2s"]);
    }

    #[test]
    fn what_there_is_not_is_answered_with_what_there_is() {
        let sources = SourceSet::single("a.mesh", SHOP);
        let help = |asked| Project::parse(&sources).value(asked, None).unwrap_err().help;
        assert_eq!(help("reviws.timeout"), "Did you mean `reviews`?");
        assert_eq!(help("reviews.tiemout"), "Did you mean `timeout`?");
        assert_eq!(help("reviews.shop.timeout"), "There are `reviews`, `page`, `quiet`.");
        assert_eq!(help("reviews.nothing"), "`mesh explain service` lists what stands in `service`.");
        assert_eq!(
            help("reviews"),
            "A value is written `reviews.timeout`: a service or gateway, and a statement in it."
        );
    }
}
