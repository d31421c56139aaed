//! `MESH3003` and `MESH3004`: an `overrides` that decides nothing, goes in a circle, or lifts a wider rule over a narrower.

use super::tables;
use crate::model::Model;
use crate::partition::Partition;
use crate::rank::Vain;
use mesh_lang::{Code, Diagnostic, Span};

/// What the ranking found to be in vain.
pub(super) fn check(model: &Model, partition: &Partition) -> Vec<Diagnostic> {
    let judged = tables(model, partition.owner).into_iter().zip(&partition.tables);
    judged
        .flat_map(|(table, judged)| {
            judged.ranked.vain.iter().map(|(rule, other, why)| {
                let (rule, other) = (&table.rules[*rule as usize], &table.rules[*other as usize]);
                let word = rule.overrides.iter().find(|(name, _)| *name == other.name);
                say(&rule.name, &other.name, word.map_or(rule.span, |(_, span)| *span), other.span, *why)
            })
        })
        .collect()
}

fn say(rule: &str, other: &str, word: Span, other_span: Span, why: Vain) -> Diagnostic {
    match why {
        Vain::Nothing => {
            Diagnostic::new(Code::OverridesNothing, format!("`{rule} overrides {other}` decides nothing"))
                .at(word, "inclusion decides already, or no request is in both")
                .at(other_span, "this rule")
                .help("Delete the `overrides`.")
        }
        Vain::Circle => {
            Diagnostic::new(Code::OverridesNothing, format!("`{rule} overrides {other}` closes a circle"))
                .at(word, "the rules beat each other in turn")
                .at(other_span, "this rule")
                .help("Take out the `overrides` that is not meant.")
        }
        Vain::Narrower => Diagnostic::new(
            Code::OverridesNarrower,
            format!("rule `{rule}` overrides `{other}`, which is narrower and would never win"),
        )
        .at(word, "overridden here by a wider rule")
        .at(other_span, "the narrower rule")
        .help(format!("Delete the `overrides`, or narrow `{rule}`: the narrower rule wins by itself.")),
    }
}

#[cfg(test)]
mod tests {
    use crate::testing::{route, says};

    const OVERLAP: &str = r#"rule a { match /x/**
to s:v1 }
rule b overrides a { match when header "h" = "1"
to s:v2 }
otherwise 404"#;

    #[test]
    fn an_override_settles_an_overlap() {
        says(&route(OVERLAP), &[]);
    }

    #[test]
    fn an_override_where_inclusion_decides_is_in_vain() {
        let text = route(&OVERLAP.replace("match when header", "match /x/y when header"));
        says(&text, &["6 MESH3003 `b overrides a` decides nothing"]);
    }

    #[test]
    fn a_wider_rule_cannot_override_a_narrower() {
        let text = route(&OVERLAP.replace(r#"match when header "h" = "1""#, "match /**"));
        says(&text, &["6 MESH3004 rule `b` overrides `a`, which is narrower and would never win"]);
    }

    #[test]
    fn two_rules_cannot_override_each_other() {
        let text = route(&OVERLAP.replace("rule a {", "rule a overrides b {"));
        says(
            &text,
            &["4 MESH3003 `a overrides b` closes a circle", "6 MESH3003 `b overrides a` closes a circle"],
        );
    }
}
