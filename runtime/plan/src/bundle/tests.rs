//! Nothing is taken over that was not signed by a pinned key, for this place, and lately.

use super::*;
use crate::samples;
use crate::sources::Place;

fn key(seed: u8) -> PrivateKey {
    PrivateKey::from_seed(&[seed; 32])
}

/// A plan whose rules stand in a file, each in the line of its length.
fn view(plan: &Plan) -> PlanView {
    let plain = verify(encode(plan).unwrap()).unwrap();
    plain.with_sources(|text| Some(Place { file: "shop.mesh", line: text.len() as u32 }))
}

fn release(environment: Option<&str>, generation: u64) -> Bundle {
    let mut bundle = Bundle::of(&view(&samples::plan()), environment, generation).unwrap();
    bundle.sign(&key(1));
    bundle
}

fn trust(seed: u8) -> Trust {
    Trust { keys: vec![key(seed).public()], ..Trust::default() }
}

fn web() -> BTreeSet<Unit> {
    BTreeSet::from([Unit::Service("web.shop".to_owned())])
}

#[test]
fn a_bundle_comes_back_as_it_was() {
    let bundle = release(Some("production"), 7);
    let trust = Trust { environment: Some("production".to_owned()), ..trust(1) };
    let again = Bundle::open(&bundle.to_bytes(), &trust).unwrap();
    assert_eq!(again, bundle);
    assert_eq!(again.to_bytes(), bundle.to_bytes());
    assert!(again.is_whole());
    is_as_the_format_says(&again.statement);
}

fn is_as_the_format_says(statement: &Statement) {
    let lines: Vec<String> = statement.text().lines().map(str::to_owned).collect();
    assert_eq!(lines.len(), 5);
    assert_eq!(lines[0], "mesh-plan-statement 1");
    assert_eq!(lines[1], format!("root {}", hex(&statement.root)));
    assert_eq!(&lines[2..], ["parts 5", "environment production", "generation 7"]);
}

#[test]
fn some_parts_are_proved_to_be_of_it_and_make_the_same_plan() {
    let bundle = release(None, 7);
    let needed = bundle.needed(&web()).unwrap();
    let some = bundle.only(&needed);
    assert!(!some.is_whole(), "the gateway is not needed");
    let again = Bundle::open(&some.to_bytes(), &trust(1)).unwrap();
    assert_eq!(again, some);
    assert_eq!(again.plan_for(&web()).unwrap(), bundle.plan_for(&web()).unwrap());
}

#[test]
fn only_a_pinned_key_is_believed() {
    let bundle = release(None, 7);
    assert_eq!(Bundle::open(&bundle.to_bytes(), &trust(2)).unwrap_err(), BundleError::Untrusted);
    let mut both = bundle.clone();
    both.sign(&key(2));
    both.sign(&key(2));
    assert_eq!(both.signatures.len(), 2);
    for seed in [1, 2] {
        Bundle::open(&both.to_bytes(), &trust(seed)).unwrap();
    }
    let unsigned = Bundle { signatures: vec![], ..bundle.clone() };
    assert_eq!(Bundle::open(&unsigned.to_bytes(), &trust(1)).unwrap_err(), BundleError::Unsigned);
    Bundle::open(&unsigned.to_bytes(), &Trust::default()).unwrap();
    let mut forged = bundle;
    forged.statement.generation += 1;
    assert_eq!(Bundle::open(&forged.to_bytes(), &trust(1)).unwrap_err(), BundleError::Forged);
}

#[test]
fn a_plan_of_another_environment_is_refused() {
    let staging = release(Some("staging"), 7).to_bytes();
    let error = Bundle::open(&staging, &trust(1)).unwrap_err();
    assert_eq!(error.to_string(), "it is for environment `staging`, and no environment is served here");
    let production = Trust { environment: Some("production".to_owned()), ..Trust::default() };
    let error = Bundle::open(&staging, &production).unwrap_err();
    assert_eq!(
        error.to_string(),
        "it is for environment `staging`, and environment `production` is served here"
    );
}

#[test]
fn a_plan_that_says_nothing_is_for_nobody_in_particular() {
    assert_eq!(Trust::default().check_unsigned(), Ok(()));
    assert_eq!(trust(1).check_unsigned(), Err(BundleError::Unsigned));
    let live = Trust { environment: Some("live".to_owned()), ..Trust::default() };
    let error = live.check_unsigned().unwrap_err();
    assert_eq!(error.to_string(), "it is for no environment, and environment `live` is served here");
}

#[test]
fn nothing_older_is_taken_over_but_older_content_may_be_signed_anew() {
    let last = release(None, 8).statement;
    let trust = Trust { last: Some(last), ..trust(1) };
    let error = Bundle::open(&release(None, 7).to_bytes(), &trust).unwrap_err();
    assert_eq!(error, BundleError::Older { found: 7, last: 8 });
    Bundle::open(&release(None, 8).to_bytes(), &trust).unwrap();
    Bundle::open(&release(None, 9).to_bytes(), &trust).unwrap();
    let mut other = samples::plan();
    other.services[0].owner = "somebody".to_owned();
    let mut other = Bundle::of(&view(&other), None, 8).unwrap();
    other.sign(&key(1));
    assert_eq!(Bundle::open(&other.to_bytes(), &trust).unwrap_err(), BundleError::SameGeneration(8));
}

#[test]
fn a_part_of_another_plan_is_refused_though_it_is_a_plan() {
    let bundle = release(None, 7);
    let mut other = samples::plan();
    other.services[1].owner = "somebody".to_owned();
    let other = Bundle::of(&view(&other), None, 7).unwrap();
    let reviews = Unit::Service("reviews.shop".to_owned());
    let mut some = bundle.only(&bundle.needed(&web()).unwrap());
    some.parts.get_mut(&reviews).unwrap().plan = other.parts[&reviews].plan.clone();
    let error = Bundle::open(&some.to_bytes(), &trust(1)).unwrap_err();
    assert_eq!(error, BundleError::OtherPart(reviews.clone()));
    let mut whole = bundle;
    whole.parts.get_mut(&reviews).unwrap().plan = other.parts[&reviews].plan.clone();
    let error = Bundle::open(&whole.to_bytes(), &trust(1)).unwrap_err();
    assert_eq!(error.to_string(), "the signed plan is damaged: its parts are not those that were signed");
}

/// Every bit of a bundle counts: there is none whose change is not noticed, signed or not.
#[test]
fn every_flipped_bit_and_every_cut_is_refused() {
    let bundle = release(None, 7);
    let bytes = bundle.only(&bundle.needed(&web()).unwrap()).to_bytes();
    let unsigned = Bundle { signatures: vec![], ..bundle }.to_bytes();
    for (bytes, trust) in [(bytes, trust(1)), (unsigned, Trust::default())] {
        for bit in 0..bytes.len() * 8 {
            let mut flipped = bytes.clone();
            flipped[bit / 8] ^= 1 << (bit % 8);
            // Without a signature the generation and the environment are anybody's.
            let statement_of_nobody = trust.keys.is_empty() && (24..24 + 160).contains(&(bit / 8));
            assert!(Bundle::open(&flipped, &trust).is_err() || statement_of_nobody, "bit {bit}");
        }
        for length in 0..bytes.len() {
            assert!(Bundle::open(&bytes[..length], &trust).is_err(), "{length} bytes");
        }
    }
}

#[test]
fn a_line_that_moves_changes_no_part_but_what_is_signed() {
    let plan = verify(encode(&samples::plan()).unwrap()).unwrap();
    let at = |line| {
        let view = plan.with_sources(|_| Some(Place { file: "shop.mesh", line }));
        let bundle = Bundle::of(&view, None, 7).unwrap();
        let digests: Vec<Hash> = bundle.parts.values().map(|part| part.plan.digest()).collect();
        (bundle, digests)
    };
    let ((bundle, before), (moved, after)) = (at(1), at(2));
    assert_eq!(before, after);
    assert_ne!(bundle.statement.root, moved.statement.root);
    let everybody = moved.parts.keys().cloned().collect();
    let whole = moved.plan_for(&everybody).unwrap();
    assert!(whole.outcomes().iter().all(|own| own.rule_text().place().is_some_and(|place| place.line == 2)));
    assert!(!whole.outcomes().is_empty());
}
