//! Every question of the analysis against brute force: all two-line programs over a small alphabet, and random ones of three to six lines.
//! What is right is computed by definition over a finite universe of requests, without any code of the compiler.

mod line;

use fastrand::Rng;
use line::{Line, PEERS, Request, Set};
use mesh_compiler::{Compilation, StandIns};
use mesh_lang::{Code, SourceSet};
use std::collections::{BTreeMap, BTreeSet, HashMap};

/// Of so many pairs of lines one is looked at, unless `MESH_UNIVERSE` says another number; `MESH_UNIVERSE=1` is all of them.
const ONE_OF: usize = 199;

/// Random programs, unless `MESH_UNIVERSE_RANDOM` says another number.
const RANDOM: usize = 20_000;

/// As many as the machine the tests run on has cores.
const WORKERS: usize = 2;

fn number(variable: &str, usual: usize) -> usize {
    std::env::var(variable).ok().and_then(|text| text.parse().ok()).unwrap_or(usual)
}

/// Runs the work of each worker and adds up how many programs were compared, by what was found in them.
fn on_all(work: impl Fn(usize) -> Tally + Sync) -> Tally {
    let mut total = Tally::default();
    std::thread::scope(|scope| {
        let workers: Vec<_> = (0..WORKERS)
            .map(|worker| {
                scope.spawn({
                    let work = &work;
                    move || work(worker)
                })
            })
            .collect();
        for worker in workers {
            let Tally { programs, findings } = worker.join().expect("no difference");
            total.programs += programs;
            findings.into_iter().for_each(|(code, count)| *total.findings.entry(code).or_default() += count);
        }
    });
    total
}

#[derive(Default)]
struct Tally {
    programs: usize,
    findings: BTreeMap<String, usize>,
}

impl Tally {
    fn count(&mut self, expected: &BTreeSet<Finding>) {
        self.programs += 1;
        for finding in expected {
            *self.findings.entry(finding.0.to_owned()).or_default() += 1;
        }
    }

    #[expect(clippy::print_stdout, reason = "how much was compared is worth a line in the log")]
    fn say(&self, what: &str) {
        println!("{} {what}, 0 differences: {:?}", self.programs, self.findings);
    }

    #[track_caller]
    fn has(&self, codes: &[&str]) {
        for code in codes {
            assert!(self.findings.contains_key(*code), "no program has {code}: {:?}", self.findings);
        }
    }
}

/// A code, and the line of the text that it is about.
type Finding = (&'static str, usize);

/// Rules as brute force sees them.
#[derive(Clone)]
struct Table {
    rules: Vec<Rule>,
    has_otherwise: bool,
}

#[derive(Clone)]
struct Rule {
    lines: Vec<Line>,
    /// Indices of rules.
    overrides: Vec<usize>,
    /// What it responds: rules with the same one have the same outcome.
    status: u16,
}

/// A line with what it matches.
struct Known<'t> {
    rule: usize,
    set: &'t Set,
}

/// The sets of the alphabet.
struct Alphabet {
    lines: Vec<Line>,
    /// As a grant.
    sets: Vec<Set>,
    /// As a refusal.
    wide: Vec<Set>,
    /// What can be asked of the points of the universe.
    possible: Set,
    /// The path that is none.
    star: Set,
    nothing: Set,
    /// Where each line stands in `lines`: most of the time went into looking.
    places: HashMap<Line, usize>,
}

impl Alphabet {
    fn new(lines: Vec<Line>, peers: &[&'static str]) -> Alphabet {
        let requests = line::requests(peers);
        let sets = |refuses| lines.iter().map(|line| line.set(&requests, refuses)).collect();
        let possible = Set::of(requests.iter().map(Request::is_possible));
        let star = Set::of(requests.iter().map(|request| request.path == "*"));
        let nothing = Set::of(requests.iter().map(|_| false));
        let places = lines.iter().cloned().zip(0..).collect();
        Alphabet { sets: sets(false), wide: sets(true), possible, star, nothing, places, lines }
    }

    fn set(&self, line: &Line, refuses: bool) -> &Set {
        let index = self.places[line];
        if refuses { &self.wide[index] } else { &self.sets[index] }
    }
}

impl Table {
    /// The route of service `s`, which begins in this line of a text; and where its rules and lines stand.
    fn text(&self, first: usize) -> (String, Vec<usize>, Vec<Vec<usize>>) {
        let mut text = "route s {\n".to_owned();
        let (mut rules, mut lines) = (Vec::new(), Vec::new());
        let mut at = first;
        for (rule, number) in self.rules.iter().zip(0..) {
            at += 1;
            rules.push(at);
            let overrides: Vec<String> = rule.overrides.iter().map(|other| format!("r{other}")).collect();
            let word = if overrides.is_empty() {
                String::new()
            } else {
                format!(" overrides {}", overrides.join(", "))
            };
            text.push_str(&format!("rule r{number}{word} {{\n"));
            let mut own = Vec::new();
            for line in rule.lines.iter().filter(|line| !line.is_everything()) {
                at += 1;
                own.push(at);
                text.push_str(&format!("match {}\n", line.text()));
            }
            // A rule without `match` is one line, which stands at its head.
            own.extend(rules.last().filter(|_| own.is_empty()));
            lines.push(own);
            text.push_str(&format!("respond {} }}\n", rule.status));
            at += 1;
        }
        if self.has_otherwise {
            text.push_str("otherwise 404\n");
        }
        (text + "}\n", rules, lines)
    }

    /// Everything that is wrong with it, by definition. `at` says where rules and lines stand.
    fn findings(
        &self,
        alphabet: &Alphabet,
        first: usize,
        rules: &[usize],
        at: &[Vec<usize>],
    ) -> BTreeSet<Finding> {
        let mut lines: Vec<Known<'_>> = Vec::new();
        for (rule, number) in self.rules.iter().zip(0..) {
            let own = rule.lines.iter();
            lines.extend(own.map(|line| Known { rule: number, set: alphabet.set(line, false) }));
        }
        let beats = self.beats(&lines);
        let mut found = BTreeSet::new();
        let maximal: Vec<Set> =
            (0..lines.len()).map(|line| maximal(alphabet, &lines, &beats, line)).collect();
        for b in 0..lines.len() {
            for a in 0..b {
                let (one, other) = (lines[a].rule, lines[b].rule);
                let differ = self.rules[one].status != self.rules[other].status;
                if differ && maximal[a].meets(&maximal[b]) {
                    found.insert(("MESH3001", first));
                }
            }
        }
        for (number, at) in (0..self.rules.len()).zip(rules) {
            let mut own = (0..lines.len()).filter(|line| lines[*line].rule == number);
            if own.all(|line| maximal[line].is_empty()) {
                found.insert(("MESH3002", *at));
            }
        }
        self.of_overrides(&lines, &mut found, rules);
        let answered = lines.iter().fold(alphabet.star.clone(), |all, line| all.or(line.set));
        if !self.has_otherwise && !alphabet.possible.is_inside(&answered) {
            found.insert(("MESH3007", first));
        }
        let matched = lines.iter().fold(alphabet.nothing.clone(), |all, line| all.or(line.set));
        if self.has_otherwise && alphabet.possible.is_inside(&matched) {
            // It stands behind the last rule's answer.
            found.insert(("MESH3002", at.iter().flatten().max().map_or(first, |last| last + 2)));
        }
        found
    }

    /// 3.4
    fn beats(&self, lines: &[Known<'_>]) -> Vec<Vec<bool>> {
        let pair = |a: &Known<'_>, b: &Known<'_>| {
            let inside = a.set.is_inside(b.set) && !b.set.is_inside(a.set) && !a.set.is_empty();
            let around = b.set.is_inside(a.set) && !a.set.is_inside(b.set);
            let by_word = self.rules[a.rule].overrides.contains(&b.rule) && a.set.meets(b.set) && !around;
            a.rule != b.rule && (inside || by_word)
        };
        lines.iter().map(|a| lines.iter().map(|b| pair(a, b)).collect()).collect()
    }

    /// 3.4: an `overrides` of something narrower, one that decides nothing, and circles.
    fn of_overrides(&self, lines: &[Known<'_>], found: &mut BTreeSet<Finding>, rules: &[usize]) {
        for (rule, number) in self.rules.iter().zip(0..) {
            for other in &rule.overrides {
                let mine = lines.iter().filter(|line| line.rule == number);
                let pairs = mine.flat_map(|mine| {
                    lines.iter().filter(|line| line.rule == *other).map(move |theirs| (mine, theirs))
                });
                let (mut narrower, mut decides) = (false, false);
                for (mine, theirs) in pairs.filter(|(mine, theirs)| mine.set.meets(theirs.set)) {
                    let inside = theirs.set.is_inside(mine.set) && theirs.set != mine.set;
                    let around = mine.set.is_inside(theirs.set) && theirs.set != mine.set;
                    narrower |= inside;
                    decides |= !inside && !around && mine.set != theirs.set || mine.set == theirs.set;
                }
                if narrower {
                    found.insert(("MESH3004", rules[number]));
                } else if !decides {
                    found.insert(("MESH3003", rules[number]));
                }
            }
        }
    }

    /// Whether lines beat each other in a circle: one `overrides` is enough for that, where inclusion closes it.
    fn goes_round(&self, alphabet: &Alphabet) -> bool {
        let mut lines: Vec<Known<'_>> = Vec::new();
        for (rule, number) in self.rules.iter().zip(0..) {
            lines
                .extend(rule.lines.iter().map(|line| Known { rule: number, set: alphabet.set(line, false) }));
        }
        let beats = self.beats(&lines);
        // Whoever beats nobody that is left is taken away, until nobody is or all that are left go round.
        let mut left: Vec<usize> = (0..lines.len()).collect();
        loop {
            let before = left.clone();
            left.retain(|line| before.iter().any(|other| beats[*line][*other]));
            if left.len() == before.len() {
                return !left.is_empty();
            }
        }
    }

    /// What is decided for each request: the rules of its maximal lines, without some of the lines.
    fn decisions(&self, alphabet: &Alphabet, without: &BTreeSet<(usize, usize)>) -> Vec<Set> {
        let mut lines: Vec<Known<'_>> = Vec::new();
        for (rule, number) in self.rules.iter().zip(0..) {
            let own = rule.lines.iter().zip(0..).filter(|(_, index)| !without.contains(&(number, *index)));
            lines.extend(own.map(|(line, _)| Known { rule: number, set: alphabet.set(line, false) }));
        }
        let beats = self.beats(&lines);
        let mut decided = vec![alphabet.nothing.clone(); self.rules.len()];
        for line in 0..lines.len() {
            let rule = lines[line].rule;
            decided[rule] = decided[rule].or(&maximal(alphabet, &lines, &beats, line));
        }
        decided
    }
}

/// 3.5: what a line matches and no other matching line beats.
fn maximal(alphabet: &Alphabet, lines: &[Known<'_>], beats: &[Vec<bool>], line: usize) -> Set {
    let beaters = lines.iter().zip(beats).filter(|(_, beats)| beats[line]);
    beaters.fold(lines[line].set.and(&alphabet.possible), |left, (beater, _)| left.minus(beater.set))
}

fn compiled(text: &str) -> Compilation {
    mesh_compiler::compile(&SourceSet::single("policy.mesh", text), &StandIns::new())
}

/// The findings of some codes.
fn found(compilation: &Compilation, sources: &SourceSet, codes: &[&str]) -> BTreeSet<Finding> {
    let diagnostics = compilation.diagnostics.iter().filter(|found| codes.contains(&found.code.as_str()));
    diagnostics
        .map(|found| (found.code.as_str(), found.span().map_or(0, |span| sources.position(span).0)))
        .collect()
}

const ROUTING: [&str; 5] = ["MESH3001", "MESH3002", "MESH3003", "MESH3004", "MESH3007"];

/// Compares the analysis of a route with brute force. Where an `overrides` is itself wrong, what follows from it is not compared.
fn compare_route(alphabet: &Alphabet, table: &Table, tally: &mut Tally) {
    let head = "service s { port 80 http }\nauthorize s { allow from anyone }\n";
    let first = 3;
    let (route, rules, lines) = table.text(first);
    let text = format!("{head}{route}");
    let compilation = compiled(&text);
    let sources = SourceSet::single("policy.mesh", &text);
    let expected = table.findings(alphabet, first, &rules, &lines);
    let is_wrong = expected.iter().any(|(code, _)| *code == "MESH3003" || *code == "MESH3004");
    let circles =
        table.rules.iter().map(|rule| rule.overrides.len()).sum::<usize>() > 1 || table.goes_round(alphabet);
    let mut said = found(&compilation, &sources, &ROUTING);
    // An ambiguity is said at the later rule; which pairs are ambiguous follows from the rest.
    let ambiguous = said.iter().any(|(code, _)| *code == "MESH3001");
    said.retain(|(code, _)| *code != "MESH3001");
    said.extend(ambiguous.then_some(("MESH3001", first)));
    let comparable = |findings: &BTreeSet<Finding>| -> BTreeSet<Finding> {
        let of_words = |code: &str| code == "MESH3003" || code == "MESH3004";
        findings.iter().filter(|(code, _)| !circles && (!is_wrong || of_words(code))).copied().collect()
    };
    assert_eq!(comparable(&said), comparable(&expected), "\n{text}");
    if !is_wrong && !circles {
        compare_dead(
            alphabet,
            table,
            &lines,
            &found(&compilation, &sources, &["MESH3005"]),
            &expected,
            &text,
        );
    }
    tally.count(&expected);
    tally.count_dead(&compilation);
}

impl Tally {
    fn count_dead(&mut self, compilation: &Compilation) {
        let dead = compilation
            .diagnostics
            .iter()
            .filter(|found| matches!(found.code, Code::DeadLine | Code::RedundantLine));
        for found in dead {
            *self.findings.entry(found.code.as_str().to_owned()).or_default() += 1;
        }
    }
}

/// The route is the same without all lines that are said to decide nothing, and is another without any further one. What a rule that
/// gets nothing, or a line that contradicts itself, is said of otherwise.
fn compare_dead(
    alphabet: &Alphabet,
    table: &Table,
    at: &[Vec<usize>],
    said: &BTreeSet<Finding>,
    expected: &BTreeSet<Finding>,
    text: &str,
) {
    let said: BTreeSet<usize> = said.iter().map(|(_, line)| *line).collect();
    let of_line = |wanted: usize| {
        let rules = at.iter().zip(0..);
        rules
            .flat_map(|(lines, rule)| lines.iter().zip(0..).map(move |(at, index)| (*at, (rule, index))))
            .find(|(at, _)| *at == wanted)
            .map(|(_, place)| place)
    };
    let without: BTreeSet<(usize, usize)> = said.iter().filter_map(|line| of_line(*line)).collect();
    assert_eq!(without.len(), said.len(), "\n{text}");
    let whole = table.decisions(alphabet, &BTreeSet::new());
    assert_eq!(table.decisions(alphabet, &without), whole, "{said:?} are needed\n{text}");
    let unreachable: BTreeSet<usize> =
        expected.iter().filter(|(code, _)| *code == "MESH3002").map(|(_, line)| *line).collect();
    for (rule, number) in table.rules.iter().zip(0..) {
        let head = at[number][0] - usize::from(!rule.lines[0].is_everything());
        let gets_nothing = unreachable.contains(&head);
        for index in (0..rule.lines.len()).filter(|index| !without.contains(&(number, *index))) {
            let kept = rule.lines.len() - without.iter().filter(|(own, _)| *own == number).count();
            if gets_nothing || kept < 2 {
                continue;
            }
            let mut fewer = without.clone();
            fewer.insert((number, index));
            assert_ne!(
                table.decisions(alphabet, &fewer),
                whole,
                "line {} is not needed\n{text}",
                at[number][index]
            );
        }
    }
}

fn rule(line: &Line, overrides: &[usize], status: u16) -> Rule {
    Rule { lines: vec![line.clone()], overrides: overrides.to_vec(), status }
}

#[test]
fn all_routes_of_two_lines_are_as_brute_force_says() {
    let one_of = number("MESH_UNIVERSE", ONE_OF);
    let alphabet = Alphabet::new(line::of_routes(), &PEERS[..1]);
    let count = alphabet.lines.len();
    let tally = on_all(|worker| {
        let mut tally = Tally::default();
        for pair in
            (worker..count * count).step_by(WORKERS).filter(|pair| (pair / WORKERS).is_multiple_of(one_of))
        {
            let (a, b) = (&alphabet.lines[pair / count], &alphabet.lines[pair % count]);
            if pair / count <= pair % count {
                let two = |has_otherwise| Table {
                    rules: vec![rule(a, &[], 201), rule(b, &[], 202)],
                    has_otherwise,
                };
                compare_route(&alphabet, &two(false), &mut tally);
                let one = Rule { lines: vec![a.clone(), b.clone()], overrides: vec![], status: 201 };
                if !a.is_everything() && !b.is_everything() {
                    compare_route(&alphabet, &Table { rules: vec![one], has_otherwise: true }, &mut tally);
                }
            }
            let by_word = Table { rules: vec![rule(a, &[1], 201), rule(b, &[], 202)], has_otherwise: true };
            compare_route(&alphabet, &by_word, &mut tally);
        }
        tally
    });
    tally.say("routes of two lines");
    tally.has(&["MESH3001", "MESH3002", "MESH3003", "MESH3004", "MESH3005", "MESH3007"]);
}

#[test]
fn random_routes_are_as_brute_force_says() {
    let programs = number("MESH_UNIVERSE_RANDOM", RANDOM);
    let alphabet = Alphabet::new(line::of_routes(), &PEERS[..1]);
    let tally = on_all(|worker| {
        let mut tally = Tally::default();
        for seed in (worker..programs).step_by(WORKERS) {
            compare_route(&alphabet, &random_table(&mut Rng::with_seed(seed as u64), &alphabet), &mut tally);
        }
        tally
    });
    tally.say("random routes of three to six lines");
    tally.has(&["MESH3001", "MESH3002", "MESH3005", "MESH3007"]);
}

/// Three to six lines in one to six rules. Half of the lines are below or above another one, else most have nothing in common.
fn random_table(rng: &mut Rng, alphabet: &Alphabet) -> Table {
    let mut lines: Vec<&Line> = Vec::new();
    for _ in 0..rng.usize(3..=6) {
        let drawn = Line::pick(rng, &alphabet.lines);
        let near = lines.get(rng.usize(..lines.len().max(1))).map(|near| alphabet.set(near, false).clone());
        let related = near.filter(|_| rng.bool()).and_then(|near| {
            let mut tries = (0..40).map(|_| Line::pick(rng, &alphabet.lines));
            tries.find(|other| {
                let other = alphabet.set(other, false);
                other.is_inside(&near) || near.is_inside(other)
            })
        });
        lines.push(related.unwrap_or(drawn));
    }
    let mut rules: Vec<Rule> = Vec::new();
    for line in lines {
        match rules.last_mut() {
            Some(last) if rng.u32(..3) == 0 && !line.is_everything() && !last.lines[0].is_everything() => {
                last.lines.push(line.clone());
            }
            _ => {
                let overrides = if !rules.is_empty() && rng.u32(..10) == 0 {
                    vec![rng.usize(..rules.len())]
                } else {
                    vec![]
                };
                rules.push(rule(line, &overrides, 201 + rng.u16(..3)));
            }
        }
    }
    Table { rules, has_otherwise: rng.bool() }
}

/// An `allow` or a `deny`.
#[derive(Clone)]
struct Access {
    refuses: bool,
    line: Line,
}

impl Access {
    fn set(&self, alphabet: &Alphabet) -> Set {
        alphabet.set(&self.line, self.refuses).and(&alphabet.possible)
    }

    fn text(&self) -> String {
        format!("{}{}\n", if self.refuses { "deny" } else { "allow" }, self.line.access(self.refuses))
    }
}

/// 4.1: what is let in, without some of the lines.
fn allowed(alphabet: &Alphabet, lines: &[Access], without: &BTreeSet<usize>) -> Set {
    let of = |refuses: bool| {
        let own =
            lines.iter().zip(0..).filter(|(line, index)| line.refuses == refuses && !without.contains(index));
        own.fold(alphabet.nothing.clone(), |all, (line, _)| all.or(&line.set(alphabet)))
    };
    of(false).minus(&of(true))
}

/// Compares what is said of an `authorize` with brute force, and what is decided of all requests of each line.
fn compare_access(alphabet: &Alphabet, lines: &[Access], asked: &[&Line], tally: &mut Tally) {
    let first = 3;
    let written: String = lines.iter().map(Access::text).collect();
    let text = format!("service u {{ port 80 http }}\nauthorize u {{\n{written}}}\n");
    let compilation = compiled(&text);
    let sources = SourceSet::single("policy.mesh", &text);
    let mut expected = BTreeSet::new();
    let refusing = lines.iter().filter(|line| line.refuses);
    let denied = refusing.fold(alphabet.nothing.clone(), |all, line| all.or(&line.set(alphabet)));
    for (line, index) in lines.iter().zip(first..) {
        let set = line.set(alphabet);
        if set.is_empty() {
            expected.insert(("MESH3002", index));
        } else if !line.refuses && set.is_inside(&denied) {
            expected.insert(("MESH4012", index));
        }
    }
    assert_eq!(found(&compilation, &sources, &["MESH3002", "MESH4012"]), expected, "\n{text}");
    if compilation.plan.is_some() {
        let said = found(&compilation, &sources, &["MESH4005"]);
        let without: BTreeSet<usize> = said.iter().map(|(_, line)| line - first).collect();
        compare_redundant(alphabet, lines, &without, &text);
        for line in asked {
            compare_asked(alphabet, lines, line, &text, tally);
        }
    }
    tally.count(&expected);
    tally.count_dead(&compilation);
}

fn compare_redundant(alphabet: &Alphabet, lines: &[Access], without: &BTreeSet<usize>, text: &str) {
    let whole = allowed(alphabet, lines, &BTreeSet::new());
    assert_eq!(allowed(alphabet, lines, without), whole, "{without:?} are needed\n{text}");
    for index in (0..lines.len()).filter(|index| !without.contains(index)) {
        let same_effect = lines.iter().zip(0..).filter(|(line, other)| {
            line.refuses == lines[index].refuses && *other != index && !without.contains(other)
        });
        // A line is compared with those of its own kind: that a `deny` takes all of an `allow` is another mistake.
        let others = same_effect.fold(alphabet.nothing.clone(), |all, (line, _)| all.or(&line.set(alphabet)));
        assert!(!lines[index].set(alphabet).is_inside(&others), "line {index} is not needed\n{text}");
    }
}

/// 13.3: `every` and `some`.
fn compare_asked(alphabet: &Alphabet, lines: &[Access], asked: &Line, text: &str, tally: &mut Tally) {
    let whole = allowed(alphabet, lines, &BTreeSet::new());
    // The peers of a grant, whichever way conditions are read.
    let described = |refuses: bool| {
        let set = alphabet.set(asked, refuses);
        set.and(&alphabet.possible).and(alphabet.set(&asked.of_the_same(), false))
    };
    let questions = [("every", "allow"), ("every", "deny"), ("some", "allow"), ("some", "deny")];
    let body: String = questions
        .iter()
        .map(|(quantifier, expect)| format!("{quantifier}{} expect {expect}\n", asked.asked()))
        .collect();
    let text = format!("{text}test \"t\" {{\n{body}}}\n");
    let compilation = compiled(&text);
    let proofs = compilation.tests.iter().flat_map(|test| &test.proofs);
    let said: Vec<bool> = proofs.map(|proof| proof.failure.is_none()).collect();
    let (every, some) = (described(true), described(false));
    let holds = |set: &Set, quantifier: &str, expect: &str| {
        let good = if expect == "allow" { set.and(&whole) } else { set.minus(&whole) };
        if quantifier == "every" { set.is_inside(&good) } else { !good.is_empty() }
    };
    let mut expected = Vec::new();
    for (quantifier, expect) in questions {
        let set = if quantifier == "every" { &every } else { &some };
        if !set.is_empty() {
            expected.push(holds(set, quantifier, expect));
        }
    }
    assert_eq!(said, expected, "\n{text}");
    tally.programs += 1;
    let answers = tally.findings.entry("every and some".to_owned()).or_default();
    *answers += expected.len();
}

#[test]
fn all_authorizations_of_two_lines_are_as_brute_force_says() {
    let one_of = number("MESH_UNIVERSE", ONE_OF);
    let alphabet = Alphabet::new(line::of_access(), &PEERS);
    let count = alphabet.lines.len();
    let tally = on_all(|worker| {
        let mut tally = Tally::default();
        for pair in (worker..count * count)
            .step_by(WORKERS)
            .filter(|pair| (pair / WORKERS).is_multiple_of(one_of.div_ceil(4)))
        {
            let (a, b) = (&alphabet.lines[pair / count], &alphabet.lines[pair % count]);
            let allow = |line: &Line| Access { refuses: false, line: line.clone() };
            let deny = |line: &Line| Access { refuses: true, line: line.clone() };
            compare_access(&alphabet, &[allow(a), deny(b)], &[], &mut tally);
            compare_access(&alphabet, &[allow(a)], &[b], &mut tally);
            if pair / count <= pair % count {
                compare_access(&alphabet, &[allow(a), allow(b)], &[], &mut tally);
                compare_access(&alphabet, &[deny(a), deny(b)], &[], &mut tally);
            }
        }
        tally
    });
    tally.say("authorizations of two lines");
    tally.has(&["MESH4005", "MESH4012", "every and some"]);
}

#[test]
fn random_authorizations_are_as_brute_force_says() {
    let programs = number("MESH_UNIVERSE_RANDOM", RANDOM);
    let alphabet = Alphabet::new(line::of_access(), &PEERS);
    let tally = on_all(|worker| {
        let mut tally = Tally::default();
        for seed in (worker..programs).step_by(WORKERS) {
            let mut rng = Rng::with_seed(seed as u64);
            let line = |rng: &mut Rng| Line::pick(rng, &alphabet.lines).clone();
            let lines: Vec<Access> = (0..rng.usize(3..=6))
                .map(|_| Access { refuses: rng.u32(..3) == 0, line: line(&mut rng) })
                .collect();
            let asked = line(&mut rng);
            compare_access(&alphabet, &lines, &[&asked], &mut tally);
        }
        tally
    });
    tally.say("random authorizations of three to six lines");
    tally.has(&["MESH4005", "MESH4012", "every and some"]);
}

/// Where inclusion decides between two lines, the Gateway API's order for HTTPRoute decides alike: an exact path, then the longer prefix,
/// then a method, then more headers (`HTTPRouteRule.Matches` of its specification). Only lines that it can say are compared.
#[test]
fn inclusion_agrees_with_the_order_of_the_gateway_api() {
    let lines = line::of_routes().into_iter().filter(Line::is_of_the_gateway_api).collect();
    let alphabet = Alphabet::new(lines, &PEERS[..1]);
    let mut decided = 0;
    for a in &alphabet.lines {
        for b in &alphabet.lines {
            let (one, other) = (alphabet.set(a, false), alphabet.set(b, false));
            if one != other && one.is_inside(other) {
                assert!(a.gateway_api_rank() > b.gateway_api_rank(), "{} and {}", a.text(), b.text());
                decided += 1;
            }
        }
    }
    assert!(decided > 500, "{decided}");
}
