//! `MESH4005`: an `allow` or a `deny` without which the same requests are let in.

use super::dead_grant::guardrail;
use crate::diagram::{NO, TooManyNodes};
use crate::model::{AccessLine, Model};
use crate::partition::{Owner, Partition};
use crate::shown;
use crate::space::Product;
use mesh_lang::ast::Effect;
use mesh_lang::{Code, Diagnostic, Span, diagnostic};
use std::collections::BTreeMap;

/// A port with more lines of one effect is not asked: each is compared with each, and so many are written by a program.
const MAX_LINES: usize = 2_000;

/// Lines that some target does not need. A line of several ports, or of several services, is said where none of them needs it.
#[derive(Default)]
pub(crate) struct Redundant {
    lines: BTreeMap<Span, Unneeded>,
}

/// A line, as it is at the first target that does not need it.
struct Unneeded {
    effect: Effect,
    /// The lines that say the same.
    covers: Vec<Span>,
    witness: Option<diagnostic::Witness>,
    /// How many targets do not need it.
    targets: usize,
}

impl Redundant {
    /// How often some target does not need a line.
    pub(crate) fn count(&self) -> usize {
        self.lines.values().map(|line| line.targets).sum()
    }

    /// Looks at the lines of one partition. Those of guardrails are the platform's: they are never too many, and no team leaves a line
    /// out because of them.
    pub(super) fn look(&mut self, model: &Model, partition: &mut Partition) -> Result<(), TooManyNodes> {
        let lines = access(model, partition.owner);
        for effect in [Effect::Allow, Effect::Deny] {
            let own = (0..lines.len()).filter(|line| is_asked(&lines[*line], effect));
            let own: Vec<usize> = own.collect();
            if (2..=MAX_LINES).contains(&own.len()) {
                self.look_at(model, partition, lines, &own)?;
            }
        }
        Ok(())
    }

    /// From the last line on, so that of two that say the same the former stays.
    fn look_at(
        &mut self,
        model: &Model,
        partition: &mut Partition,
        lines: &[AccessLine],
        own: &[usize],
    ) -> Result<(), TooManyNodes> {
        let around = partition.access_products.iter().map(|line| Product::around(line));
        let around: Vec<Product> = around.collect();
        let mut kept = own.to_vec();
        for line in own.iter().rev() {
            let products = &partition.access_products;
            let may_meet = |other: &usize| {
                other != line
                    && around[*line].meets(&around[*other])
                    && may_meet(&products[*line], &products[*other])
            };
            let others: Vec<usize> = kept.iter().copied().filter(may_meet).collect();
            let Some(covers) = covers(partition, *line, &others)? else { continue };
            kept.retain(|other| other != line);
            let of = |cover: &usize| lines[*cover].span;
            let covers: Vec<Span> = covers.iter().map(of).collect();
            let unneeded = self.lines.entry(lines[*line].span).or_insert_with(|| Unneeded {
                effect: lines[*line].effect,
                covers,
                witness: witness(model, partition, *line, &lines[*line]),
                targets: 0,
            });
            unneeded.targets += 1;
        }
        Ok(())
    }

    /// The lines that no target needs.
    pub(crate) fn found(self, model: &Model) -> Vec<Diagnostic> {
        if self.lines.is_empty() {
            return vec![];
        }
        let mut targets: BTreeMap<Span, usize> = self.lines.keys().map(|span| (*span, 0)).collect();
        let ports = model.ports().map(|port| &model.port(port).access);
        let listeners = model.gateways.iter().flat_map(|gateway| &gateway.listeners);
        for line in ports.chain(listeners.map(|listener| &listener.access)).flatten() {
            targets.entry(line.span).and_modify(|count| *count += 1);
        }
        let nowhere = self.lines.into_iter().filter(|(span, line)| targets.get(span) == Some(&line.targets));
        nowhere.map(|(span, line)| say(span, line)).collect()
    }
}

fn access(model: &Model, owner: Owner) -> &[AccessLine] {
    match owner {
        Owner::Port(id) => &model.port(id).access,
        Owner::Listener(gateway, listener) => &model[gateway].listeners[listener as usize].access,
        Owner::Call(..) | Owner::Consumer(_) => &[],
    }
}

fn is_asked(line: &AccessLine, effect: Effect) -> bool {
    line.effect == effect && !line.is_mode && !line.is_probe && guardrail(line).is_none()
}

/// The fewest lines found that say all that this one says: one, or else all that have requests in common with it.
fn covers(
    partition: &mut Partition,
    line: usize,
    others: &[usize],
) -> Result<Option<Vec<usize>>, TooManyNodes> {
    let own = partition.access_sets[line];
    if others.is_empty() || partition.diagram.any_of(own).is_none() {
        return Ok(None);
    }
    if partition.diagram.is_symbolic() {
        // Where requests are searched for, one search of all others together tells of nearly every line that it is needed.
        let mut sets = Vec::with_capacity(others.len());
        for other in others {
            let theirs = partition.access_sets[*other];
            if partition.diagram.minus(own, theirs)? == NO {
                return Ok(Some(vec![*other]));
            }
            sets.push(theirs);
        }
        let all = partition.diagram.any_of_sets(&sets)?;
        let needed = partition.diagram.minus(own, all)?;
        if partition.diagram.any_of(needed).is_some() {
            return Ok(None);
        }
    }
    let (mut left, mut parts) = (own, Vec::new());
    for other in others {
        let theirs = partition.access_sets[*other];
        let both = partition.diagram.and(own, theirs)?;
        if partition.diagram.any_of(both).is_none() {
            continue;
        }
        let outside = partition.diagram.minus(own, theirs)?;
        if partition.diagram.any_of(outside).is_none() {
            return Ok(Some(vec![*other]));
        }
        left = partition.diagram.minus(left, theirs)?;
        parts.push(*other);
    }
    Ok(partition.diagram.any_of(left).is_none().then_some(parts))
}

fn witness(
    model: &Model,
    partition: &Partition,
    index: usize,
    line: &AccessLine,
) -> Option<diagnostic::Witness> {
    let point = partition.diagram.any_of(partition.access_sets[index])?;
    let arrival = shown::of_access(model, partition, &line.from, &point)?;
    Some(shown::shown(model, "request of both", &arrival, None))
}

fn say(span: Span, line: Unneeded) -> Diagnostic {
    let (word, deed) = match line.effect {
        Effect::Deny => ("deny", "refuses nothing that is not refused"),
        _ => ("allow", "lets nothing in that is not let in"),
    };
    let mut problem = Diagnostic::new(Code::RedundantLine, format!("this `{word}` {deed} without it"))
        .at(span, "says nothing new");
    for cover in line.covers {
        problem = problem.at(cover, "covers it");
    }
    problem.witness = line.witness.map(Box::new);
    problem.help("Delete it, or narrow what covers it if that was meant to be less.")
}

/// Whether two lines have atoms in common in every dimension.
fn may_meet(one: &[Product], other: &[Product]) -> bool {
    one.iter().any(|one| other.iter().any(|other| one.meets(other)))
}

#[cfg(test)]
mod tests {
    use crate::testing::{says, shows};

    fn authorize(lines: &str) -> String {
        format!(
            "service web {{ calls cart }}\nservice cart {{ port 80 http }}\nauthorize cart {{\n{lines}\n}}\n"
        )
    }

    const ALLOW: &str = "this `allow` lets nothing in that is not let in without it";

    #[test]
    fn an_allow_that_others_cover_is_said() {
        let text = authorize("allow from web to GET /cart\nallow from web to /cart");
        says(&text, &[&format!("4 MESH4005 {ALLOW}")]);
        shows(
            &text,
            &[
                "request of both:",
                "  curl http://cart.default:80/cart # from web",
                "  request from web to cart GET /cart expect cart",
            ],
        );
        says(
            &authorize("allow from web to GET\nallow from web to POST\nallow from web to GET|POST"),
            &[&format!("4 MESH4005 {ALLOW}"), &format!("5 MESH4005 {ALLOW}")],
        );
        says(&authorize("allow from web to GET /a\nallow from anyone to GET /b"), &[]);
        says(&authorize("allow from web to GET\nallow from anyone when header \"h\" present"), &[]);
    }

    #[test]
    fn what_is_below_a_path_is_covered_by_all_of_it() {
        says(
            &authorize("allow from web to GET /a/**\nallow from web to GET /a/b/{x}"),
            &[&format!("5 MESH4005 {ALLOW}")],
        );
    }

    #[test]
    fn a_deny_that_others_cover_is_said() {
        let text = authorize("allow from web\ndeny to /admin/**\ndeny to DELETE /admin/{x}");
        says(&text, &["6 MESH4005 this `deny` refuses nothing that is not refused without it"]);
    }

    #[test]
    fn of_two_that_say_the_same_one_is_said() {
        let text =
            authorize("allow from web to GET\nallow from namespace default to GET\nallow from web to GET");
        assert_eq!(crate::testing::found(&text).len(), 2);
    }

    #[test]
    fn a_line_that_one_port_needs_is_needed() {
        let text = "service web { calls cart port a; calls cart port b }\nservice cart { port a 80 http; port b 81 http }\nauthorize cart {\nallow from web to port a\nallow from web to port b\ndeny to DELETE\ndeny to port a DELETE /x\n}\n";
        says(text, &["7 MESH4005 this `deny` refuses nothing that is not refused without it"]);
        let needed = text
            .replace("deny to DELETE\n", "deny to port a DELETE\n")
            .replace("deny to port a DELETE /x", "deny to DELETE /x");
        says(&needed, &[]);
    }

    #[test]
    fn a_team_says_what_a_guardrail_says_too() {
        let text = authorize("allow from web\ndeny to /debug/**");
        says(
            &format!(
                "module m {{ role platform }}\n{text}guardrail g {{ deny from anyone to cart /debug/** }}\n"
            ),
            &[],
        );
    }
}
