//! `MESH5040`, of conditions: one that holds whatever its field says.

use super::tables;
use crate::model::{FieldTest, Model};
use crate::partition::{Owner, Partition};
use mesh_lang::{Code, Diagnostic, Span};
use std::collections::BTreeSet;

/// Conditions of `match`, `allow`, `deny` and `audit` lines that every possible value of their field fulfils.
pub(super) fn check(model: &Model, partition: &Partition) -> Vec<Diagnostic> {
    let rules = tables(model, partition.owner).into_iter().flat_map(|table| &table.rules);
    let matches = rules.flat_map(|rule| &rule.lines).map(|line| (line.span, &line.shape));
    let access = match partition.owner {
        Owner::Port(id) => model.port(id).access.as_slice(),
        Owner::Listener(gateway, listener) => &model[gateway].listeners[listener as usize].access,
        Owner::Call(..) | Owner::Consumer(_) => &[],
    };
    let access = access.iter().flat_map(|line| line.shapes.iter().map(|shape| (line.span, shape)));
    let space = partition.diagram.space();
    let mut said: BTreeSet<Span> = BTreeSet::new();
    let mut found = Vec::new();
    for (span, shape) in matches.chain(access) {
        let vain = shape.tests.iter().find(|test| space.is_everything(test));
        found.extend(vain.filter(|_| said.insert(span)).map(|test| say(span, test)));
    }
    found
}

fn say(span: Span, test: &FieldTest) -> Diagnostic {
    let message = format!("a condition on {} holds for every request", test.field);
    Diagnostic::new(Code::VainStatement, message)
        .at(span, "says no more without it")
        .help("Delete the condition, or ask for what was meant.")
}

#[cfg(test)]
mod tests {
    use crate::testing::{route, says};

    #[test]
    fn a_condition_that_every_value_fulfils_is_vain() {
        let rule = |condition: &str| {
            route(&format!("rule a {{ match when {condition}\nto s:v1 }}\nrule b {{ to s:v2 }}"))
        };
        let said = ["4 MESH5040 a condition on the path holds for every request"];
        for vain in ["path prefix \"/\"", "path contains \"/\"", "path matches re\"/.*\""] {
            says(&rule(vain), &said);
        }
        for fine in [
            "path prefix \"/a\"",
            "not path suffix \"/\"",
            "header \"h\" present",
            "header \"h\" matches re\".*\"",
        ] {
            says(&rule(fine), &[]);
        }
    }
}
