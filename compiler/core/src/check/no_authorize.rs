//! `MESH4001`: a service or gateway that accepts nothing, because no `authorize` names it.

use crate::model::{AccessLine, Caller, Model, Port, Principal, Shape, Workload};
use mesh_lang::ast::Effect;
use mesh_lang::{Code, Diagnostic};

/// Whoever only calls needs none. A `deny` opens nothing, so what counts is an `allow`; a `deny` of everything to everybody
/// says that nobody is meant to.
pub(super) fn of_workload(model: &Model, who: Caller) -> Vec<Diagnostic> {
    match who {
        Caller::Service(id) => {
            let service = &model[id];
            let closed: Vec<&Port> = service.ports.iter().filter(|port| !is_decided(&port.access)).collect();
            match closed.len() == service.ports.len() {
                true => closed.first().map(|_| say(&service.workload)).into_iter().collect(),
                false => closed.into_iter().map(|port| say_port(&service.workload, port)).collect(),
            }
        }
        // Every line holds for every listener.
        Caller::Gateway(id) => {
            let first = model[id].listeners.first();
            let closed = first.filter(|listener| !is_decided(&listener.access));
            closed.map(|_| say(&model[id].workload)).into_iter().collect()
        }
    }
}

fn is_decided(lines: &[AccessLine]) -> bool {
    lines.iter().any(|line| match line.effect {
        Effect::Allow => line.lets_in(),
        Effect::Audit => false,
        Effect::Deny => {
            let anyone = line.from.of.iter().any(|principal| matches!(principal, Principal::Anyone));
            let from_everybody = anyone && line.from.except.is_empty();
            from_everybody && line.shapes.contains(&Shape::default())
        }
    })
}

fn say(workload: &Workload) -> Diagnostic {
    let label = if workload.authorized {
        "its `authorize` allows nothing"
    } else {
        "no `authorize` names it, so it accepts nothing"
    };
    Diagnostic::new(Code::NoAuthorize, format!("nobody may call `{}`", workload.name))
        .at(workload.span, label)
        .help(format!("Say who may: `authorize {} {{ allow from … }}`.", workload.name))
}

fn say_port(workload: &Workload, port: &Port) -> Diagnostic {
    Diagnostic::new(Code::NoAuthorize, format!("nobody may call port `{}` of `{}`", port.name, workload.name))
        .at(port.span, "no `allow` is about this port")
        .help(format!("Say who may: `authorize {} {{ allow from … to port {} }}`.", workload.name, port.name))
}

#[cfg(test)]
mod tests {
    use crate::testing::says;

    #[test]
    fn a_service_that_nobody_may_call_is_said() {
        says("service web { port 80 http }\nservice job { }\n", &["1 MESH4001 nobody may call `web`"]);
    }

    #[test]
    fn an_authorize_without_allow_opens_nothing() {
        let text = "service web { port 80 http }\nauthorize web { deny to /admin/** }\n";
        says(text, &["1 MESH4001 nobody may call `web`"]);
        let text =
            "service web { port a 80 http; port b 81 http }\nauthorize web { allow from anyone to port a }\n";
        says(text, &["1 MESH4001 nobody may call port `b` of `web`"]);
    }
}
