//! `MESH4001`: a service or gateway that accepts nothing, because no `authorize` names it.

use crate::model::Model;
use mesh_lang::{Code, Diagnostic};

/// Whoever only calls needs none.
pub(super) fn check(model: &Model) -> Vec<Diagnostic> {
    let services =
        model.services.iter().filter(|service| !service.ports.is_empty()).map(|service| &service.workload);
    let gateways = model.gateways.iter().map(|gateway| &gateway.workload);
    let closed = services.chain(gateways).filter(|workload| !workload.authorized);
    closed
        .map(|workload| {
            Diagnostic::new(Code::NoAuthorize, format!("nobody may call `{}`", workload.name))
                .at(workload.span, "no `authorize` names it, so it accepts nothing")
                .help(format!("Say who may: `authorize {} {{ allow from … }}`.", workload.name))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use crate::testing::says;

    #[test]
    fn a_service_that_nobody_may_call_is_said() {
        says("service web { port 80 http }\nservice job { }\n", &["1 MESH4001 nobody may call `web`"]);
    }
}
