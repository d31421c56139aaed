//! `probe`: what the node asks at the service's own proxy, where it has no identity (`spec/semantics.md` 10.16).

use crate::model::{AccessLine, HEALTH, PeerSet, Principal, Probe, Service, Shape, Wording};
use mesh_lang::ast::{self, Effect, Method, PathPattern, ProbeKind, Segment};

/// The probes of a port.
pub(super) fn of_port(port: &ast::Port, service: &ast::Service) -> Vec<Probe> {
    let is_asked = |probe: &&ast::Probe| match (&probe.port, &port.name) {
        (Some(asked), Some(own)) => asked.value == own.value,
        (None, _) => service.ports.len() == 1,
        (Some(_), None) => false,
    };
    let probes = service.probes.iter().filter(is_asked).filter_map(|probe| {
        let (method, path, words) = match &probe.kind {
            ProbeKind::Get(path) => (Method::Get, path.value.as_str(), format!("GET {}", path.value)),
            ProbeKind::Grpc => (Method::Post, HEALTH, "grpc".to_owned()),
            // That a connection is accepted says that the proxy is there: such a mesh is not built (`MESH1010`).
            ProbeKind::Tcp => return None,
        };
        let segments = path.split('/').skip(1).map(|segment| Segment::Literal(segment.into())).collect();
        let path = PathPattern { segments, subtree: false };
        let shape = Shape { method: Some(method), path: Some(path.into()), ..Shape::default() };
        let words = match &probe.port {
            Some(name) => format!("{words} port {}", name.value),
            None => words,
        };
        Some(Probe { shape, words: words.into(), span: probe.span })
    });
    probes.collect()
}

/// A probe is one more line: of peers without identity, before all but guardrails.
pub(super) fn let_in<'m>(services: impl Iterator<Item = &'m mut Service>) {
    for service in services {
        let name = service.workload.full_name();
        for port in &mut service.ports {
            port.access.extend(port.probes.iter().map(|probe| AccessLine {
                effect: Effect::Allow,
                from: PeerSet { of: vec![Principal::Unauthenticated], except: vec![] },
                shapes: vec![probe.shape.clone()],
                text: Wording::Said(format!("probe {name}: {}", probe.words).into()),
                span: probe.span,
                is_mode: false,
                is_probe: true,
            }));
        }
    }
}
