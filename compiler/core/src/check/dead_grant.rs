//! `MESH4012`: an `allow` that `deny` lines cover entirely, and a `probe` that guardrails do.

use crate::diagram::{NO, TooManyNodes};
use crate::model::{AccessLine, Model, Wording};
use crate::partition::{Owner, Partition, passes};
use crate::shown;
use mesh_lang::ast::Effect;
use mesh_lang::{Code, Diagnostic};

/// Allow lines that let nobody in.
pub(super) fn check(model: &Model, partition: &mut Partition) -> Result<Vec<Diagnostic>, TooManyNodes> {
    let lines: &[AccessLine] = match partition.owner {
        Owner::Port(id) => &model.port(id).access,
        Owner::Listener(gateway, listener) => &model[gateway].listeners[listener as usize].access,
        Owner::Call(..) | Owner::Consumer(_) => return Ok(vec![]),
    };
    let denies = || lines.iter().enumerate().filter(|(_, line)| line.effect == Effect::Deny);
    if denies().next().is_none() {
        return Ok(vec![]);
    }
    let mut denied = NO;
    for (index, _) in denies() {
        denied = partition.diagram.or(partition.access_sets[index], denied)?;
    }
    let mut found = Vec::new();
    for (index, line) in lines.iter().enumerate().filter(|(_, line)| line.is_probe) {
        let let_in = passes(&mut partition.diagram, lines, &partition.access_sets, index)?;
        if partition.diagram.any_of(let_in).is_none() {
            found.push(refused(line, denies().map(|(_, line)| line)));
        }
    }
    for (index, line) in lines.iter().enumerate().filter(|(_, line)| line.lets_in() && !line.is_mode) {
        let granted = partition.diagram.minus(partition.access_sets[index], denied)?;
        let asked = partition.diagram.any_of(partition.access_sets[index]);
        if let Some(asked) = asked
            && partition.diagram.any_of(granted).is_none()
        {
            let mut over = false;
            let mut problem = Diagnostic::new(Code::DeadGrant, "this `allow` lets nobody in")
                .at(line.span, "every request of it is denied");
            for (deny, refusal) in denies() {
                let both =
                    partition.diagram.and(partition.access_sets[index], partition.access_sets[deny])?;
                if partition.diagram.any_of(both).is_some() {
                    let by = guardrail(refusal).map_or("denied here".to_owned(), |name| {
                        over = true;
                        format!("denied by guardrail `{name}`")
                    });
                    problem = problem.at(refusal.span, by);
                }
            }
            if let Some(arrival) = shown::of_access(model, partition, &line.from, &asked) {
                problem = problem.proved_by(shown::shown(model, "request that it names", &arrival, None));
            }
            found.push(problem.help(match over {
                true => "Delete the `allow`: no team's `allow` wins over a guardrail, which belongs to the platform.",
                false => "Delete the `allow`, or narrow the `deny` with `except`: no `allow` wins over a `deny`.",
            }));
        }
    }
    Ok(found)
}

/// A probe that guardrails refuse.
fn refused<'m>(probe: &AccessLine, denies: impl Iterator<Item = &'m AccessLine>) -> Diagnostic {
    let problem = Diagnostic::new(Code::DeadGrant, "this `probe` lets nobody in")
        .at(probe.span, "every request of it is denied");
    let guardrails = denies.filter_map(|line| Some((line, guardrail(line)?)));
    let problem = guardrails.fold(problem, |problem, (line, name)| {
        problem.at(line.span, format!("a line of guardrail `{name}`"))
    });
    problem.help("Delete the `probe`: it wins over the `deny` of its own service and over `mtls strict`, and not over a guardrail, which belongs to the platform.")
}

/// The name of the guardrail that a line is of.
pub(crate) fn guardrail(line: &AccessLine) -> Option<&str> {
    let Wording::Said(text) = &line.text else { return None };
    text.strip_prefix("guardrail ")?.split_once(':').map(|(name, _)| name)
}

#[cfg(test)]
mod tests {
    use crate::testing::says;

    #[test]
    fn an_allow_that_is_denied_entirely_lets_nobody_in() {
        let text = "service web { port 80 http }\nauthorize web {\nallow from anyone to GET /a\nallow from anyone to /b\ndeny to /a\n}\n";
        says(text, &["3 MESH4012 this `allow` lets nobody in"]);
    }

    #[test]
    fn a_service_is_known_by_the_identity_that_it_says() {
        let text = "service web { port 80 http }\nservice db { identity \"spiffe://local.test/vm/db\"; calls web }\nauthorize web {\nallow from identity \"spiffe://local.test/vm/db\"\nallow from unauthenticated\ndeny from db except unauthenticated\n}\n";
        says(text, &["4 MESH4012 this `allow` lets nobody in"]);
    }

    #[test]
    fn a_probe_passes_all_but_guardrails() {
        let text = |guardrail: &str| {
            format!(
                "mesh m {{ mtls strict }}\nmodule m {{ role platform }}\nservice web {{ port 80 http; probe GET /ping; calls web }}\nauthorize web {{\nallow from web\ndeny from web, unauthenticated to /ping\n}}\nguardrail g {{ {guardrail} }}\n"
            )
        };
        says(&text("deny to web /admin/**"), &[]);
        says(&text("deny from unauthenticated to web"), &["3 MESH4012 this `probe` lets nobody in"]);
        says(&text("deny from unauthenticated to web POST"), &[]);
    }

    #[test]
    fn an_allow_that_keeps_somebody_is_fine() {
        let text = "service web { port 80 http }\nservice a { calls web }\nauthorize web {\nallow from anyone\ndeny from anyone except a\n}\n";
        says(text, &[]);
    }
}
