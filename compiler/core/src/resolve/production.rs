//! `MESH5013`: what fails on purpose fails nowhere where it counts (`spec/semantics.md` 10.7).

use super::{Module, declared, route};
use mesh_lang::{Code, Diagnostic, Diagnostics, Name};

/// Faults in an environment that is `production`, or in all of them.
pub(super) fn faults(modules: &[Module<'_>], production: Option<&Name>, diagnostics: &mut Diagnostics) {
    let Some(production) = production else { return };
    for rule in declared(modules, route).flat_map(|(_, route)| &route.rules) {
        for fault in &rule.modifiers.faults {
            diagnostics.push(
                Diagnostic::new(
                    Code::FaultInProduction,
                    format!(
                        "rule `{}` fails on purpose, and `{}` is production",
                        rule.name.value, production.value
                    ),
                )
                .at(fault.span, "holds there")
                .at(production.span, "declared here")
                .help("Write it in the environment that it is for: `env staging { fault … }`."),
            );
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::{StandIns, compile_in};
    use mesh_lang::{Code, SourceSet};

    #[test]
    fn a_fault_is_for_other_environments() {
        let text = "mesh m { environments staging, live; production live }\nservice s { port 80 http }\nauthorize s { allow from anyone }\nroute s { rule slow { to s\nFAULT } }\n";
        let codes = |fault: &str, environment: &str| -> Vec<Code> {
            let sources = SourceSet::single("test.mesh", &text.replace("FAULT", fault));
            let found = compile_in(&sources, Some(environment), &StandIns::new()).diagnostics;
            found.iter().map(|diagnostic| diagnostic.code).collect()
        };
        assert_eq!(codes("fault delay 7s 100%", "live"), [Code::FaultInProduction]);
        assert_eq!(codes("fault delay 7s 100%", "staging"), []);
        assert_eq!(codes("env staging { fault delay 7s 100% }", "live"), []);
    }
}
