//! Lists of candidates: each is one node's, and has a bit for every candidate, whatever the request.

use super::{PlanError, Tiles, all, ascending, count, ensure, some};
use crate::layout::{
    MAX_CANDIDATES, MAX_LIST_TESTS, MAX_ROW_BITS, NONE, Section, list, list_beaten, list_test,
};
use crate::view::{List, Partition, PlanView, Record, Row};

pub(super) fn check(plan: &PlanView) -> Result<(), PlanError> {
    let mut nodes = plan.nodes().map(|(_, node)| node).filter(|node| node.list().is_some());
    let mut tests = Tiles::of(plan, Section::ListTests);
    let mut rows = Tiles::of(plan, Section::ListRows);
    let mut beaten = Tiles::of(plan, Section::ListBeaten);
    let mut beaters = Tiles::of(plan, Section::ListBeaters);
    let mut all_bits = 0;
    for (list, index) in all(plan, Section::Lists).zip(0..) {
        let node = nodes.next().filter(|node| node.list() == Some(index));
        let Some(node) = node else {
            return Err(PlanError::Corrupt { what: "a list is not that of one node" });
        };
        let candidates = list.word(list::CANDIDATES);
        ensure(candidates <= MAX_CANDIDATES, "a list has too many candidates")?;
        ensure(node.len() == candidates, "a candidate of a list has no leaf")?;
        let own = tests.take(list.range(list::TESTS))?;
        ensure(own.1 <= MAX_LIST_TESTS, "a list has too many tests")?;
        let dims = some(plan, Section::ListTests, own).map(|test| test.word(list_test::DIM));
        ascending(dims, "the tests of a list are not sorted")?;
        let owner = node.partition();
        let partition = Record::at(plan, Section::Partitions, owner).map(Partition::of);
        for test in some(plan, Section::ListTests, own) {
            let own = rows.take(test.range(list_test::ROWS))?;
            let atoms = partition.and_then(|partition| partition.atoms(test.word(list_test::DIM)));
            ensure(owner == NONE || atoms == Some(own.1), "a list does not answer each atom")?;
        }
        bits(plan, List::of(list))?;
        let words = u64::from(candidates.div_ceil(u64::BITS));
        all_bits +=
            List::of(list).tests().iter().map(|test| words * u64::from(test.rows().len())).sum::<u64>();
        ensure(all_bits <= MAX_ROW_BITS, "its lists have too many bits")?;
        let own = beaten.take(list.range(list::BEATEN))?;
        ensure(own.1 == 0 || own.1 == candidates, "a list does not say of each candidate what beats it")?;
        for (candidate, own) in some(plan, Section::ListBeaten, own).zip(0..).map(|(own, at)| (at, own)) {
            let own = beaters.take(own.range(list_beaten::BEATERS))?;
            let own = || some(plan, Section::ListBeaters, own).map(|beater| beater.word(0));
            ascending(own(), "what beats a candidate is not sorted")?;
            ensure(
                own().all(|beater| beater < candidates && beater != candidate),
                "a beater is no other candidate",
            )?;
        }
    }
    ensure(nodes.next().is_none(), "a list is not that of one node")?;
    tests.end()?;
    rows.end()?;
    beaten.end()?;
    beaters.end()
}

/// Each row is in its table and has no bit behind the last candidate.
fn bits(plan: &PlanView, list: List<'_>) -> Result<(), PlanError> {
    let words = list.candidates().div_ceil(u64::BITS);
    let behind = match list.candidates() % u64::BITS {
        0 => 0,
        used => u64::MAX << used,
    };
    let table = count(plan, Section::ListBits);
    for test in list.tests().iter() {
        for row in test.rows().iter() {
            let inside = row.0.checked_add(words).is_some_and(|end| end <= table);
            ensure(inside, "a row of bits is out of its table")?;
        }
        let last = |atom: u32| list.row(test, atom).last().map_or(0, |word| u64::from_le_bytes(*word));
        let clean = (0..test.rows().len()).all(|atom| last(atom) & behind == 0);
        ensure(clean, "a row has a bit of no candidate")?;
    }
    Ok(())
}
