//! `mesh ca`: an authority in two files, and certificates that a proxy takes.

use crate::harness::Project;
use mesh_proxy::{Identity, IdentityError, Material};
use std::os::unix::fs::PermissionsExt as _;

const WEB: &str = "spiffe://local.test/ns/default/sa/web";

fn authority() -> Project {
    let project = Project::new(&[]);
    let ran = project.mesh(&["ca", "init", "local.test", "--dir", "{}"]);
    assert_eq!((ran.code, ran.out.as_str()), (0, "local.test.key\nlocal.test.pem\n"), "{}", ran.err);
    project
}

fn identity(project: &Project, name: &str) -> Result<String, IdentityError> {
    let read = |end: &str| project.read(&format!("{name}.{end}"));
    let material = Material {
        chain: read("pem"),
        key: read("key"),
        bundles: vec![(None, project.read("local.test.pem"))],
    };
    Ok(Identity::new(&material)?.id().to_owned())
}

fn mode(project: &Project, name: &str) -> u32 {
    std::fs::metadata(project.at(name)).unwrap().permissions().mode() & 0o777
}

#[test]
fn a_proxy_takes_what_the_authority_signs() {
    let project = authority();
    for _ in 0..2 {
        // The second time it is there already, and is replaced.
        let ran = project.mesh(&["ca", "issue", WEB, "--dir", "{}", "-o", "{}/web"]);
        assert_eq!((ran.code, ran.out.as_str()), (0, "web.key\nweb.pem\n"), "{}", ran.err);
        let flags = "mesh-proxy --svid web.pem --svid-key web.key --trust-bundle local.test.pem";
        assert!(ran.err.contains(flags), "{}", ran.err);
        assert_eq!(identity(&project, "web").unwrap(), WEB);
    }
    assert_eq!(project.names(), ["local.test.key", "local.test.pem", "web.key", "web.pem"]);
    for (name, wanted) in
        [("local.test.key", 0o600), ("web.key", 0o600), ("local.test.pem", 0o644), ("web.pem", 0o644)]
    {
        assert_eq!(mode(&project, name), wanted, "{name}");
    }
    // Another authority of the same name vouches for nobody of this one.
    let other = authority();
    project.write("local.test.pem", other.read("local.test.pem"));
    assert!(identity(&project, "web").is_err());
}

#[test]
fn an_authority_is_not_replaced() {
    let project = authority();
    let before = project.read("local.test.key");
    let ran = project.mesh(&["ca", "init", "local.test", "--dir", "{}"]);
    assert_eq!(ran.code, 2, "{}", ran.err);
    assert_eq!(project.read("local.test.key"), before);
}

#[test]
fn what_is_no_identity_or_has_no_authority_says_what_to_write() {
    let project = authority();
    let says = |args: &[&str], wanted: &str| {
        let ran = project.mesh(args);
        assert_eq!(ran.code, 2, "{}", ran.err);
        assert!(ran.err.contains(wanted), "{}", ran.err);
    };
    says(&["ca", "init", "Local.Test", "--dir", "{}"], "`Local.Test` is no trust domain");
    says(&["ca", "init", "a/b", "--dir", "{}"], "`a/b` is no trust domain");
    says(&["ca", "issue", "web", "--dir", "{}", "-o", "{}/web"], "`web` is no identity of a workload");
    let other = "spiffe://other.test/ns/default/sa/web";
    says(&["ca", "issue", other, "--dir", "{}", "-o", "{}/web"], "other.test.pem");
    project.write("local.test.key", "no key");
    says(
        &["ca", "issue", WEB, "--dir", "{}", "-o", "{}/web"],
        "Give the directory of what `mesh ca init` made.",
    );
    assert_eq!(project.names(), ["local.test.key", "local.test.pem"]);
}
