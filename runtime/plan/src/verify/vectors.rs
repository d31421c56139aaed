//! Requests with what is decided about them: each can be asked. Whether the answer is right is for whoever decides.

use super::{PlanError, Tiles, all, ascending, ensure, is_string, some};
use crate::layout::{Section, fact, partition, vector};
use crate::plan::{FactKind, METHOD_ATOMS, NONE};
use crate::view::{Fact, PlanView, Record, Row};
use std::net::IpAddr;

pub(super) fn check(plan: &PlanView) -> Result<(), PlanError> {
    let order = all(plan, Section::Vectors)
        .map(|own| [own.word(vector::PARTITION), own.word(vector::ROOT), own.word(vector::LEAF)]);
    ascending(order, "vectors are not sorted")?;
    let mut facts = Tiles::of(plan, Section::Facts);
    for own in all(plan, Section::Vectors) {
        let root = own.word(vector::ROOT);
        let roots = Record::at(plan, Section::Partitions, own.word(vector::PARTITION))
            .map(|partition| partition.range(partition::ROOTS).1);
        let is_asked = roots.is_some_and(|roots| root < roots || root == NONE);
        ensure(is_asked, "a vector is about no decision")?;
        ensure(own.word(vector::METHOD) < METHOD_ATOMS, "a vector has no method")?;
        is_string(plan, own.word(vector::PEER))?;
        is_string(plan, own.word(vector::PATH))?;
        let own = facts.take(own.range(vector::FACTS))?;
        some(plan, Section::Facts, own).try_for_each(|fact| is_fact(plan, fact))?;
    }
    facts.end()
}

fn is_fact(plan: &PlanView, own: Record<'_>) -> Result<(), PlanError> {
    let kind = FactKind::ALL.get(own.word(fact::KIND) as usize);
    ensure(kind.is_some(), "a fact is about nothing")?;
    [fact::NAME, fact::POINTER, fact::VALUE]
        .into_iter()
        .try_for_each(|text| is_string(plan, own.word(text)))?;
    let is_address = || Fact::of(own).value().parse::<IpAddr>().is_ok();
    ensure(kind.is_none_or(|kind| !kind.is_address()) || is_address(), "an address is none")
}
