//! What a plan carries to be asked before it is used: a request for each decision, and none too many; and that a plan whose tables say
//! something else is noticed.

use super::{Subject, environments};
use fastrand::Rng;
use mesh_plan::{NONE, Partition, Plan, REFUSED, Target, encode, verify};
use mesh_tests::generate;
use std::collections::BTreeSet;

const PROGRAMS: u64 = 300;

#[test]
#[expect(clippy::print_stdout, reason = "how much is noticed is worth a line in the log")]
fn every_leaf_has_a_request_and_a_plan_that_decides_otherwise_fails() {
    let (mut vectors, mut leaves, mut changed, mut noticed, mut gone) = (0, 0, 0, 0, 0);
    for seed in 1..=PROGRAMS {
        let mut rng = Rng::with_seed(seed);
        let generated = generate::program(&mut rng);
        for environment in environments(&generated.files) {
            let Ok(subject) = Subject::new(&generated.files, environment.as_deref()) else { continue };
            let plan = subject.plan;
            for partition in &plan.partitions {
                let (with, all) = (with_vectors(partition), leaves_of(&plan, partition));
                assert!(with.is_subset(&all), "seed {seed}: a request ends in no leaf of its decision");
                vectors += with.len();
                leaves += all.len();
            }
            for (node, child) in changeable(&plan, &mut rng) {
                let mut other = plan.clone();
                other.nodes[node].children[child] = Target::Leaf(REFUSED);
                changed += 1;
                noticed += usize::from(fails(&other));
            }
            for (partition, root) in with_routes(&plan) {
                let mut other = plan.clone();
                other.partitions[partition].roots[root] = Target::Leaf(REFUSED);
                assert!(fails(&other), "seed {seed}: root {root} of partition {partition} is gone");
                gone += 1;
            }
        }
    }
    println!(
        "{vectors} requests for {leaves} leaves; noticed: {gone} of {gone} lost routes, {noticed} of {changed} children of a node"
    );
    assert!(vectors * 100 >= leaves * 97, "{vectors} of {leaves}");
    // Most leaves have several ways to them, and one request each.
    assert!(gone > 500 && changed > 500 && noticed * 5 >= changed, "{gone}, {noticed} of {changed}");
}

/// Whether a plan that can be written and verified is refused for what it decides.
fn fails(plan: &Plan) -> bool {
    let view = verify(encode(plan).expect("as large")).expect("leaves are free to be any");
    mesh_engine::self_test(&view).is_err()
}

/// Roots of routes and calls that have a request which is not refused.
fn with_routes(plan: &Plan) -> Vec<(usize, usize)> {
    let mut roots = Vec::new();
    for (partition, own) in plan.partitions.iter().enumerate() {
        let decides = |root: &usize| {
            own.vectors.iter().any(|vector| vector.root == *root as u32 && vector.leaf != REFUSED)
        };
        roots.extend((0..own.roots.len()).filter(decides).map(|root| (partition, root)));
    }
    roots
}

/// The leaves that have one: of which decision, and which.
fn with_vectors(partition: &Partition) -> BTreeSet<(u32, u32)> {
    partition.vectors.iter().map(|vector| (vector.root, vector.leaf)).collect()
}

/// All leaves of all decisions, reachable or not.
fn leaves_of(plan: &Plan, partition: &Partition) -> BTreeSet<(u32, u32)> {
    let mut leaves = BTreeSet::new();
    let decisions = (0..).zip(&partition.roots).chain([(NONE, &partition.access)]);
    for (number, root) in decisions {
        let (mut open, mut seen) = (vec![*root], BTreeSet::new());
        while let Some(at) = open.pop() {
            match at {
                Target::Leaf(leaf) => {
                    leaves.insert((number, leaf));
                }
                Target::Node(node) if seen.insert(node) => {
                    open.extend(plan.nodes[node as usize].children.iter().copied());
                }
                Target::Node(_) => {}
            }
        }
    }
    leaves
}

/// Some children of nodes that are leaves and no refusals.
fn changeable(plan: &Plan, rng: &mut Rng) -> Vec<(usize, usize)> {
    let leads = |target: &Target| matches!(target, Target::Leaf(leaf) if *leaf != REFUSED);
    let mut all: Vec<(usize, usize)> = Vec::new();
    for (node, own) in plan.nodes.iter().enumerate() {
        let leaves = own.children.iter().enumerate().filter(|(_, child)| leads(child));
        all.extend(leaves.map(|(child, _)| (node, child)));
    }
    rng.shuffle(&mut all);
    all.truncate(8);
    all
}
