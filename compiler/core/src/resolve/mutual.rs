//! Mutual TLS: which ports accept peers without identity, and of which nobody knows who they are (`spec/semantics.md` 10.12).

use super::scope::{self, Place, Scope, Target};
use crate::model::{AccessLine, Model, PeerSet, Port, Principal, Service, ServiceId, Shape, Wording};
use mesh_lang::ast::{self, Effect, Mtls, PrincipalKind};
use mesh_lang::{Code, Diagnostic, Diagnostics, Spanned};

/// The mode of a port inside the mesh: its own, else its service's, else the mesh's.
pub(super) fn mode(
    port: &ast::Port,
    service: &ast::Service,
    whole: Option<Spanned<Mtls>>,
) -> Option<Spanned<Mtls>> {
    port.mtls.or(service.mtls).or(whole).filter(|_| service.external.is_empty())
}

/// Whether peers without identity get to one of the ports that a line of `authorize` is about.
pub(super) fn accepts_strangers(line: &ast::AuthorizeLine, target: Target, model: &Model) -> bool {
    let Target::Service(id) = target else { return true };
    let own = |port: &&Port| line.port.as_ref().is_none_or(|name| name.value == port.name);
    model[id].ports.iter().filter(own).any(|port| !is(port, Mtls::Strict))
}

/// `strict` is one more refusal: of peers without identity.
pub(super) fn refuse_strangers<'m>(services: impl Iterator<Item = &'m mut Service>) {
    for service in services {
        let text = || Wording::Said(format!("mtls strict: {}", service.workload.full_name()).into());
        for port in service.ports.iter_mut().filter(|port| is(port, Mtls::Strict)) {
            let Some(mode) = port.mtls else { continue };
            port.access.push(AccessLine {
                effect: Effect::Deny,
                from: PeerSet { of: vec![Principal::Unauthenticated], except: vec![] },
                shapes: vec![Shape::default()],
                text: text(),
                span: mode.span,
                is_mode: false,
                is_probe: false,
            });
        }
    }
}

/// Lines that ask who a peer is, of ports where that cannot be known.
pub(super) fn unknown_peers(
    authorize: &ast::Authorize,
    place: Place<'_>,
    scope: &Scope,
    model: &Model,
    diagnostics: &mut Diagnostics,
) {
    let targets = authorize.targets.iter().filter_map(|name| open(name, place, scope, model));
    let targets: Vec<ServiceId> = targets.collect();
    for line in authorize.lines.iter().filter(|_| !targets.is_empty()) {
        let open = targets.iter().find_map(|id| off(*id, line, model));
        let asks = line.from.iter().find(|from| {
            let everybody = |one: &ast::Principal| one.kind == PrincipalKind::Anyone;
            !from.principals.iter().all(everybody) || !from.except.is_empty()
        });
        if let (Some(mode), Some(from)) = (open, asks) {
            diagnostics.push(
                Diagnostic::new(Code::UnknownPeers, "nobody shows a certificate here")
                    .at(from.span, "asks who it is")
                    .at(mode.span, "every peer is a stranger")
                    .help("Write `from anyone`, or turn mutual TLS on."),
            );
        }
    }
}

/// A service of which some port is `off`.
fn open(name: &ast::ServiceRef, place: Place<'_>, scope: &Scope, model: &Model) -> Option<ServiceId> {
    let Some(Target::Service(id)) = scope.known(name, place) else { return None };
    model[id].ports.iter().any(|port| is(port, Mtls::Off)).then_some(id)
}

/// The `off` of a port that a line is about.
fn off(id: ServiceId, line: &ast::AuthorizeLine, model: &Model) -> Option<Spanned<Mtls>> {
    let port = match &line.port {
        Some(_) => Some(scope::port(model, id, line.port.as_deref(), line.span).ok()?),
        None => None,
    };
    let ports =
        model[id].ports.iter().zip(0..).filter(|(_, index)| port.is_none_or(|own| own.port == *index));
    ports.filter_map(|(port, _)| port.mtls).find(|mode| mode.value == Mtls::Off)
}

fn is(port: &Port, mode: Mtls) -> bool {
    port.mtls.is_some_and(|own| own.value == mode)
}

#[cfg(test)]
mod tests {
    use crate::testing::{found, says};

    fn mesh(mode: &str, service: &str, lines: &str) -> String {
        format!(
            "mesh m {{ {mode} }}\nservice web {{ calls cart }}\nservice cart {{ {service} }}\nauthorize cart {{\n{lines}\n}}\n"
        )
    }

    #[test]
    fn a_strict_port_has_no_strangers() {
        let lines = "allow from anyone\ndeny from web to DELETE";
        let said = found(&mesh("", "port 80 http", lines));
        assert!(said.len() == 1 && said[0].starts_with("6 MESH4003"), "{said:?}");
        says(&mesh("mtls strict", "port 80 http", lines), &[]);
        assert_eq!(found(&mesh("mtls strict", "port 80 http; mtls permissive", lines)), said);
        says(&mesh("mtls permissive", "port 80 http mtls strict", lines), &[]);
    }

    #[test]
    fn an_allow_of_strangers_at_a_strict_port_is_dead() {
        let said = found(&mesh("mtls strict", "port 80 http", "allow from web\nallow from unauthenticated"));
        assert!(said.len() == 1 && said[0].starts_with("6 MESH4012"), "{said:?}");
    }

    #[test]
    fn without_mutual_tls_everybody_is_a_stranger() {
        says(
            &mesh("mtls strict", "port 80 http mtls off", "allow from web"),
            &["5 MESH5007 nobody shows a certificate here"],
        );
        says(
            &mesh("mtls strict", "port 80 http mtls off", "allow from anyone when source-ip = \"10.0.0.1\""),
            &[],
        );
    }

    #[test]
    fn what_is_outside_has_no_mode() {
        let text = "mesh m { mtls strict }\nservice web { calls out }\nservice out { external \"x.example\"; port 80 http; tls none }\nauthorize out { allow from web\ndeny from web, unauthenticated to DELETE }\n";
        says(text, &[]);
    }
}
