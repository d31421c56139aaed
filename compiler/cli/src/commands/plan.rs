//! `mesh plan`: look at plans, sign them, check who signed them.

pub(super) mod keys;
mod registry;
mod signed;

pub(super) use signed::refused;

use crate::args;
use crate::failure::Failure;
use crate::load::STANDARD_STREAM;
use crate::output::{Output, Stream, report};
use crate::report::Summary;
use crate::{OK, TROUBLE};
use mesh_lang::SourceSet;
use mesh_lang::diagnostic::{Code, Diagnostic};
use mesh_plan::bundle::{self, Bundle, BundleError, Trust};
use mesh_plan::layout::MAX_PLAN_BYTES;
use mesh_plan::parts::Unit;
use mesh_plan::{Plan, PlanError, PlanView};
use serde_json::{Value, json};
use std::fs::File;
use std::io::Read;
use std::path::Path;

pub(crate) fn run(plan: &args::Plan, output: &mut Output<'_>) -> Result<u8, Failure> {
    match plan {
        args::Plan::Inspect { file } => inspect(file, output),
        args::Plan::Keygen { output: name } => keys::make(name, output),
        args::Plan::Sign(sign) => signed::sign(sign, output),
        args::Plan::Verify { file, keys, environment } => {
            signed::verify(file, keys, environment.as_deref(), output)
        }
        args::Plan::Push { file, reference, plain_http } => {
            registry::push(file, reference, *plain_http, output)
        }
        args::Plan::Pull { reference, output: target, keys, environment, plain_http } => {
            registry::pull(reference, target, keys, environment.as_deref(), *plain_http, output)
        }
    }
}

fn inspect(file: &Path, output: &mut Output<'_>) -> Result<u8, Failure> {
    let found = match open(file)? {
        Ok(found) => found,
        Err(error) => {
            refuse(&diagnostic(file, &error), output);
            return Ok(TROUBLE);
        }
    };
    let view = found.view(file)?;
    if output.for_program() {
        let mut document = document(&view);
        if let (Found::Bundle(bundle), Some(fields)) = (&found, document.as_object_mut()) {
            fields.insert("signed".to_owned(), signed::document(bundle));
        }
        output.document(&document);
        return Ok(OK);
    }
    if let Found::Bundle(bundle) = &found {
        signed::describe(bundle, output);
    }
    output.data(mesh_plan::text(&view).trim_end());
    Ok(OK)
}

/// A plan that is to be used; one that does not verify is a failure.
pub(crate) fn load(path: &Path) -> Result<PlanView, Failure> {
    let found = open(path)?.map_err(|error| unusable(path, &error))?;
    found.view(path)
}

pub(super) fn unusable(path: &Path, error: &BundleError) -> Failure {
    let diagnostic = diagnostic(path, error);
    let help = diagnostic.help.clone().unwrap_or_default();
    Failure::new(diagnostic.message, help)
}

/// What a file holds.
pub(super) enum Found {
    Image(Box<PlanView>),
    Bundle(Bundle),
}

impl Found {
    /// The whole plan.
    fn view(&self, path: &Path) -> Result<PlanView, Failure> {
        match self {
            Found::Image(view) => Ok(view.as_ref().clone()),
            Found::Bundle(bundle) => {
                let everybody = bundle.parts.keys().cloned().collect();
                bundle.plan_for(&everybody).map_err(|error| unusable(path, &error))
            }
        }
    }
}

/// Reads a plan or a bundle, whoever signed it.
pub(super) fn open(path: &Path) -> Result<Result<Found, BundleError>, Failure> {
    Ok(of_bytes(read(path)?))
}

fn of_bytes(bytes: Vec<u8>) -> Result<Found, BundleError> {
    if bytes.starts_with(&bundle::MAGIC) {
        return Bundle::open(&bytes, &Trust::default()).map(Found::Bundle);
    }
    let view = mesh_plan::verify(bytes).map_err(|error| BundleError::Part(Unit::Mesh, error))?;
    Ok(Found::Image(Box::new(view)))
}

fn read(path: &Path) -> Result<Vec<u8>, Failure> {
    if path == Path::new(STANDARD_STREAM) {
        let message = "`-` is no plan: standard input is not read here";
        return Err(Failure::new(message, "Name a file, as written by mesh build."));
    }
    let failure = |error| Failure::io("read", path, &error);
    let file = File::open(path).map_err(failure)?;
    let metadata = file.metadata().map_err(failure)?;
    if !metadata.is_file() {
        let message = format!("cannot read `{}`: it is not a file", path.display());
        return Err(Failure::new(message, "Name a plan, as written by mesh build."));
    }
    let mut bytes = Vec::new();
    // One byte more than a plan may have is enough for the verifier to refuse it; parts say many things again.
    file.take(2 * MAX_PLAN_BYTES as u64 + 1).read_to_end(&mut bytes).map_err(failure)?;
    Ok(bytes)
}

fn refuse(diagnostic: &Diagnostic, output: &mut Output<'_>) {
    let (diagnostics, sources) = (std::slice::from_ref(diagnostic), SourceSet::default());
    if output.for_program() {
        output.report(&report(diagnostics, &[], &sources, Summary { errors: 1, ..Summary::default() }));
    } else {
        output.diagnostics(Stream::Errors, diagnostics, &sources);
    }
}

fn diagnostic(file: &Path, error: &BundleError) -> Diagnostic {
    const COPY: &str = "Do not use it: copy the file again, or build it again with `mesh build`.";
    let (code, help) = match error {
        BundleError::Part(_, PlanError::NotAPlan) | BundleError::NotABundle => (
            Code::NotAPlan,
            "Name a file that `mesh build -o FILE` wrote; `.mesh` sources go to `mesh check`.",
        ),
        BundleError::Part(_, PlanError::Truncated { .. }) => {
            (Code::TruncatedPlan, "Copy the file again, or build it again with `mesh build`.")
        }
        BundleError::Part(_, PlanError::NewerFormat { .. }) | BundleError::NewerVersion(_) => (
            Code::NewerPlan,
            "Use the mesh that built it or a newer one, or build the plan again with this one.",
        ),
        _ => (Code::CorruptPlan, COPY),
    };
    let why = match error {
        BundleError::Part(Unit::Mesh, error) => error.to_string(),
        error => error.to_string(),
    };
    Diagnostic::new(code, format!("cannot use `{}` as a plan: {why}", file.display())).help(help)
}

fn document(view: &PlanView) -> Value {
    let plan = view.to_plan();
    let services: Vec<_> = plan.services.iter().map(|service| self::service(&plan, service)).collect();
    let gateways: Vec<_> = plan
        .gateways
        .iter()
        .map(|gateway| json!({ "name": gateway.name, "listeners": listeners(gateway) }))
        .collect();
    json!({
        "schema": "mesh.plan/v1",
        "digest": view.digest_hex(),
        "trust_domain": plan.trust_domain,
        "services": services,
        "gateways": gateways,
    })
}

fn service(plan: &Plan, service: &mesh_plan::Service) -> Value {
    let ports: Vec<_> = service
        .ports
        .iter()
        .map(|port| json!({ "number": port.number, "name": port.name, "endpoints": port.endpoints.len() }))
        .collect();
    let calls: Vec<_> = service
        .calls
        .iter()
        .filter_map(|call| {
            let callee = plan.services.get(call.service as usize)?;
            let port = callee.ports.get(call.port as usize)?;
            Some(json!({ "service": callee.name, "port": port.number }))
        })
        .collect();
    json!({ "name": service.name, "ports": ports, "subsets": service.subsets, "calls": calls })
}

fn listeners(gateway: &mesh_plan::Gateway) -> Vec<Value> {
    let listener = |listener: &mesh_plan::Listener| json!({ "name": listener.name, "port": listener.number });
    gateway.listeners.iter().map(listener).collect()
}
