//! `MESH5001` and `MESH5002`: retries that multiply on their way through the mesh.

use super::graph::{Call, Count, Graph, Product};
use super::hops::{Hop, ONE};
use crate::model::{Caller, Model};
use mesh_lang::{Code, Diagnostic, Severity, Span};

/// More tries than these are said where the mesh has no `limit`: two retries at one hop are 3 tries, at a second one they are 9,
/// and no longer what anybody had in mind.
const SAID: u64 = 8;

/// More than these are refused until a `limit` says that they are meant. A service that gets four times what is already too much
/// does not come up again.
const REFUSED: u64 = 4 * SAID;

/// Circles with retries, and more tries than the mesh's `limit` allows. Time: linear in the calls.
pub(super) fn check(model: &Model, graph: &Graph<'_>) -> Vec<Diagnostic> {
    let has_limit = model.retry_limit.is_some();
    // A limit is about each request, so its circles may not multiply at all; without one a budget is bound enough.
    let ways =
        graph.ways_round(|call| if has_limit { call.most.tries() > 1 } else { call.unbounded.is_some() });
    let circles: Vec<Diagnostic> = ways.iter().map(|way| of_circle(model, way)).collect();
    match has_limit && !circles.is_empty() {
        true => circles,
        false => circles.into_iter().chain(too_many(model, graph)).collect(),
    }
}

/// A circle in which something is tried again: one failure may multiply for ever.
fn of_circle(model: &Model, way: &[(Caller, &Call<'_>)]) -> Diagnostic {
    let names: Vec<&str> =
        way.iter().chain(way.first()).map(|(caller, _)| model.workload(*caller).name.as_str()).collect();
    let code = if model.retry_limit.is_some() { Code::RetryAmplification } else { Code::RetryCircle };
    let mut problem = Diagnostic::new(code, format!("`{}` is a circle with retries", names.join(" → ")));
    for (number, (_, call)) in way.iter().enumerate() {
        let hop = call.unbounded.filter(|_| model.retry_limit.is_none()).unwrap_or(call.most);
        for span in places(hop).into_iter().filter(|_| number == 0 || hop.tries() > 1) {
            problem = at_once(problem, span, format!("{} tries each time round", hop.tries()));
        }
        problem = at_once(problem, hop.span, format!("calls `{}`", model[hop.to].workload.name));
    }
    if let Some(limit) = model.retry_limit {
        problem = problem.severity(Severity::Error).at(limit.span, "no number of tries is the most");
    }
    problem.help(
        "Write `retry none` for one call of the circle, or give its retries a `budget` and set no limit.",
    )
}

/// Where a hop's retries are written: those of the proxy, then those of the application.
fn places(hop: &Hop) -> Vec<Span> {
    let proxy = hop.retry.as_ref().map(|_| hop.at.retry.unwrap_or(hop.span));
    proxy.into_iter().chain(hop.client.retry.map(|again| again.span)).collect()
}

/// One label for each place: several calls may have their retries from one profile.
fn at_once(problem: Diagnostic, span: Span, label: String) -> Diagnostic {
    match problem.labels.iter().any(|known| known.span == span) {
        true => problem,
        false => problem.at(span, label),
    }
}

/// The way on which one request becomes the most tries, if they are more than the limit.
fn too_many(model: &Model, graph: &Graph<'_>) -> Option<Diagnostic> {
    let count = if model.retry_limit.is_some() { Count::Most } else { Count::Lasting };
    let tries = graph.tries(count);
    let (last, most) = tries.most()?;
    let limit = model.retry_limit.map_or(SAID, |limit| u64::from(limit.value));
    if !most.is_over(limit) {
        return None;
    }
    let way = tries.way_to(last);
    let first = way.first().map_or(last, |(caller, ..)| *caller);
    let (first, last) = (&model.workload(first).name, &model.workload(last).name);
    let mut problem = Diagnostic::new(
        Code::RetryAmplification,
        format!("one request of `{first}` may become {most} tries at `{last}`"),
    );
    let mut text = format!("`{first}`");
    for (_, hop, factor) in way {
        text += &format!(" → `{}` ×{}", model[hop.to].workload.name, Product::ONE.times(factor));
        for span in places(hop).into_iter().filter(|_| factor > ONE) {
            let label = format!("up to {} tries", hop.tries());
            problem = at_once(problem, span, label);
        }
    }
    problem = problem.note(text);
    let once = "Try again at one place only, nearest to what fails: `retry none` for the other calls";
    Some(match model.retry_limit {
        Some(limit) => problem
            .severity(Severity::Error)
            .at(limit.span, format!("at most {}", limit.value))
            .help(format!("{once}.")),
        None => {
            let severity = if most.is_over(REFUSED) { Severity::Error } else { Severity::Warning };
            problem.severity(severity).help(format!(
                "{once}, or give them a `budget`. If so many are meant, `limit retry-amplification` in `mesh` says how many."
            ))
        }
    })
}

#[cfg(test)]
mod tests {
    use super::{Count, SAID};
    use crate::testing::{found, says};
    use mesh_lang::{Severity, SourceSet};

    fn chain(limit: &str, settings: &str) -> String {
        format!(
            "mesh m {{ {limit} }}\nservice web {{ calls bff {{ {settings} }} }}\nservice bff {{ port 80 http; calls db {{ {settings} }} }}\nservice db {{ port 80 http }}\nauthorize bff {{ allow from web }}\nauthorize db {{ allow from bff }}\n"
        )
    }

    #[test]
    fn tries_multiply_along_the_calls() {
        let twice = "retry 2 on reset";
        says(
            &chain("limit retry-amplification 8", twice),
            &["2 MESH5002 one request of `web` may become 9 tries at `db`"],
        );
        says(&chain("limit retry-amplification 9", twice), &[]);
        says(
            &chain("limit retry-amplification 8", "client-retry 3"),
            &["2 MESH5002 one request of `web` may become 16 tries at `db`"],
        );
        says(
            &format!(
                "{}route db {{ rule all {{ to db; retry none }} }}\n",
                chain("limit retry-amplification 8", twice)
            ),
            &[],
        );
    }

    #[test]
    fn without_a_limit_many_tries_are_said_and_very_many_refused() {
        let settings = |count: u32| format!("retry {count} on reset");
        says(&chain("", &settings(1)), &[]);
        says(&chain("", &settings(2)), &["2 MESH5002 one request of `web` may become 9 tries at `db`"]);
        let severity = |count: u32| {
            let sources = SourceSet::single("test.mesh", &chain("", &settings(count)));
            crate::compile(&sources, &crate::StandIns::new()).diagnostics[0].severity
        };
        assert_eq!((severity(4), severity(5)), (Severity::Warning, Severity::Error));
    }

    #[test]
    fn a_budget_counts_where_no_limit_is_written() {
        let budget = "retry 2 on reset { budget 20% min 1/s over 10s }";
        says(&chain("", budget), &[]);
        says(
            &chain("limit retry-amplification 8", budget),
            &["2 MESH5002 one request of `web` may become 9 tries at `db`"],
        );
        says(
            &chain("", &format!("{budget}; client-retry 2")),
            &["2 MESH5002 one request of `web` may become 12.9 tries at `db`"],
        );
    }

    /// Numbers that look random and are the same every time (Marsaglia 2003).
    struct Dice(u64);

    impl Dice {
        fn below(&mut self, bound: u64) -> u64 {
            self.0 ^= self.0 << 13;
            self.0 ^= self.0 >> 7;
            self.0 ^= self.0 << 17;
            self.0 % bound
        }
    }

    /// A call in a mesh that was thrown together.
    struct Thrown {
        from: u64,
        to: u64,
        retries: u128,
        client: u128,
        /// Percent.
        budget: Option<u128>,
    }

    impl Thrown {
        /// In basis points.
        fn factor(&self, count: Count) -> u128 {
            let proxy = match (count, self.budget) {
                (Count::Lasting, Some(share)) => (self.retries * 100).min(share),
                _ => self.retries * 100,
            };
            (100 + proxy) * 100 * (1 + self.client)
        }

        fn text(&self) -> String {
            let budget =
                self.budget.map_or(String::new(), |share| format!(" {{ budget {share}% min 1/s over 10s }}"));
            let retry = if self.retries > 0 {
                format!("retry {} on reset{budget}; ", self.retries)
            } else {
                String::new()
            };
            let client =
                if self.client > 0 { format!("client-retry {}", self.client) } else { String::new() };
            format!("calls s{} {{ {retry}{client} }}\n", self.to)
        }
    }

    /// Services that call those of a higher number only.
    fn thrown(dice: &mut Dice) -> (u64, Vec<Thrown>) {
        let services = 2 + dice.below(5);
        let mut calls = Vec::new();
        for (from, to) in (0..services).flat_map(|from| (from + 1..services).map(move |to| (from, to))) {
            if dice.below(3) > 0 {
                let (retries, client) = (u128::from(dice.below(4)), u128::from(dice.below(6) / 4));
                let budget = (dice.below(2) > 0).then(|| u128::from(1 + dice.below(100)));
                calls.push(Thrown { from, to, retries, client, budget });
            }
        }
        (services, calls)
    }

    fn text(services: u64, calls: &[Thrown], limit: &str) -> String {
        let mut text = format!("mesh m {{ {limit} }}\n");
        for own in 0..services {
            let own_calls: String = calls.iter().filter(|call| call.from == own).map(Thrown::text).collect();
            text += &format!(
                "service s{own} {{\nport 80 http\n{own_calls}}}\nauthorize s{own} {{ allow from anyone }}\n"
            );
        }
        text
    }

    /// Every way from a service on, walked to its end: the greatest product and by how many basis points it is too large.
    fn walked(from: u64, calls: &[Thrown], count: Count) -> (u128, u32) {
        let on = calls.iter().filter(|call| call.from == from).map(|call| {
            let (product, points) = walked(call.to, calls, count);
            (product * call.factor(count), points + 1)
        });
        let fraction = |of: &(u128, u32)| of.0 * 10_000u128.pow(6 - of.1);
        on.chain([(1, 0)]).max_by_key(fraction).expect("the way that ends here")
    }

    #[test]
    fn the_most_tries_are_those_of_the_worst_of_all_ways() {
        let mut dice = Dice(2026);
        let amplified = |text: &str| -> Vec<String> {
            found(text).into_iter().filter(|said| said.contains("MESH5002")).collect()
        };
        let (mut most_seen, mut over) = (0, 0);
        for _ in 0..150 {
            let (services, calls) = thrown(&mut dice);
            let worst = |count| {
                let ways = (0..services).map(|from| walked(from, &calls, count));
                ways.map(|(product, points)| product * 10_000u128.pow(6 - points)).max().expect("a service")
            };
            let most = worst(Count::Most) / 10_000u128.pow(6);
            most_seen = most_seen.max(most);
            let at = |limit: u128| text(services, &calls, &format!("limit retry-amplification {limit}"));
            assert_eq!(amplified(&at(most)), Vec::<String>::new(), "{}", at(most));
            if most > 1 {
                let said = amplified(&at(most - 1));
                assert!(
                    said.len() == 1 && said[0].contains(&format!(" {most} tries")),
                    "{said:?} {}",
                    at(most - 1)
                );
            }
            let free = text(services, &calls, "");
            let lasting = worst(Count::Lasting) > u128::from(SAID) * 10_000u128.pow(6);
            assert_eq!(!amplified(&free).is_empty(), lasting, "{free}");
            over += usize::from(lasting);
        }
        assert!(most_seen > 100 && (20..130).contains(&over), "{most_seen} {over}");
    }

    #[test]
    fn a_circle_with_retries_has_no_end() {
        let text = |mesh: &str, settings: &str| {
            format!(
                "mesh m {{ {mesh} }}\nservice a {{ port 80 http; calls b {{ {settings} }} }}\nservice b {{ port 80 http; calls a }}\nauthorize a {{ allow from b }}\nauthorize b {{ allow from a }}\n"
            )
        };
        let said = "`a → b → a` is a circle with retries";
        says(&text("", "retry 1 on reset"), &[&format!("2 MESH5001 {said}")]);
        says(&text("", "retry 1 on reset { budget 20% min 1/s over 10s }"), &[]);
        says(&text("", "retry none"), &[]);
        says(&text("limit retry-amplification 8", "retry 1 on reset"), &[&format!("2 MESH5002 {said}")]);
        assert_eq!(found(&text("limit retry-amplification 8", "retry none")), Vec::<String>::new());
    }
}
