//! What small meshes become: the plan as text is kept beside the fixture.

use mesh_tests::beside::beside;
use mesh_tests::project::Project;

#[test]
fn plans_look_as_they_did() {
    beside("plan", text);
}

fn text(project: &Project) -> String {
    let compilation = project.compile();
    assert!(compilation.diagnostics.is_empty(), "{}", project.diagnostics());
    let plan = compilation.plan.expect("a plan, since nothing is wrong");
    let view =
        mesh_plan::verify(mesh_plan::encode(&plan).expect("a small plan")).expect("a plan that verifies");
    mesh_plan::text(&view.with_sources(|text| compilation.sources.place(text)))
}
