//! What one proxy loads: the parts of a plan that it needs decide as the reference does, and an edit of one service changes one part.

use super::{Files, NOT_ASKED, Subject, environments};
use fastrand::Rng;
use mesh_plan::bundle::{Bundle, Trust};
use mesh_plan::parts::{Unit, split};
use mesh_reference::Entry;
use mesh_tests::generate;
use std::collections::{BTreeMap, BTreeSet};

const PROGRAMS: u64 = 500;

/// Requests to each, at all its places.
const REQUESTS: usize = 100;

#[test]
fn a_slice_decides_as_the_reference_does() {
    let (mut slices, mut compared, mut smaller) = (0, 0, 0);
    for seed in 1..=PROGRAMS {
        let mut rng = Rng::with_seed(seed);
        let generated = generate::program(&mut rng);
        for environment in environments(&generated.files) {
            let environment = environment.as_deref();
            let Ok(whole) = Subject::new(&generated.files, environment) else { continue };
            let bundle = Bundle::of(&whole.view, environment, seed).expect("a plan has parts");
            let mut questions: BTreeMap<Unit, Vec<_>> = BTreeMap::new();
            for _ in 0..REQUESTS {
                let question = generate::question(&mut rng, &generated.places);
                questions.entry(who_decides(&question.entry)).or_default().push((question, rng.u64(..)));
            }
            for (unit, questions) in questions {
                let wanted = BTreeSet::from([unit.clone()]);
                // As it comes from a server: cut, written, read.
                let cut = bundle.only(&bundle.needed(&wanted).expect("all parts are there"));
                let cut = Bundle::open(&cut.to_bytes(), &Trust::default()).expect("proved parts");
                let view = cut.plan_for(&wanted).expect("a plan of its own");
                mesh_engine::self_test(&view)
                    .unwrap_or_else(|mismatch| panic!("seed {seed} in {environment:?}, {unit}: {mismatch}"));
                smaller += usize::from(cut.parts.len() < bundle.parts.len());
                slices += 1;
                let whole = Subject::new(&generated.files, environment).expect("as before");
                let slice = Subject { plan: view.to_plan(), view, ..whole };
                for (question, dice) in questions {
                    match slice.compare(&question, dice) {
                        Ok(NOT_ASKED) => {
                            let is_elsewhere = matches!(question.entry, Entry::FromGateway { .. });
                            assert!(is_elsewhere, "seed {seed}: {unit} has no {:?}", question.entry);
                        }
                        Ok(_) => compared += 1,
                        Err(difference) => {
                            let files = listed(&generated.files);
                            panic!(
                                "seed {seed} in {environment:?}, {unit}:\n{difference}{question:?}\n{files}"
                            )
                        }
                    }
                }
            }
        }
    }
    let enough = slices > 500 && compared > 10_000 && smaller > 200;
    assert!(enough, "{slices} slices, {smaller} of them less than the whole, {compared} decisions");
}

/// Whose proxy decides what comes in there.
fn who_decides(entry: &Entry) -> Unit {
    match entry {
        Entry::Gateway { gateway, .. } | Entry::FromGateway { gateway, .. } => Unit::Gateway(gateway.clone()),
        Entry::Sidecar { service } | Entry::Inbound { service, .. } => Unit::Service(service.clone()),
    }
}

fn listed(files: &Files) -> String {
    files.iter().map(|(module, text)| format!("// {module}\n{text}\n")).collect()
}

/// A mesh of some services that call each other; one of them has a line that is edited.
fn mesh(edited: &str) -> Files {
    let service = |index: usize| {
        let next = (index + 1) % 12;
        let line = if index == 5 { edited } else { "allow from anyone to GET /v1/**" };
        format!(
            "service s{index} {{ port 80 http; calls s{next}; timeout 2s }}\n\
             authorize s{index} {{ {line} }}\n\
             route s{index} {{ rule v2 {{ match /v2/**\n to s{index} }}\n otherwise 404 }}\n"
        )
    };
    vec![(String::new(), (0..12).map(service).collect())]
}

#[test]
fn an_edit_of_one_service_changes_one_part() {
    let parts = |edited: &str| {
        let subject = Subject::new(&mesh(edited), None).unwrap_or_else(|codes| panic!("{codes:?}"));
        split(&subject.plan).expect("a plan has parts")
    };
    let before = parts("allow from anyone to GET /v1/**");
    for edited in [
        "allow from anyone to POST /v1/**",
        "allow from namespace default to GET /v1/**",
        "allow from anyone to GET /a/{b}/c\n  allow from s4 to DELETE /v1/**",
    ] {
        let after = parts(edited);
        assert_eq!(after.len(), 13);
        let changed: Vec<&Unit> = before.keys().filter(|unit| before[*unit] != after[*unit]).collect();
        assert_eq!(changed, [&Unit::Service("s5.default".to_owned())], "{edited}");
    }
}
