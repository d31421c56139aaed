//! Who may call a service, and whom it may call: decided for all requests, not read off the `calls` lines.

use crate::scope::Symbol;
use crate::{Analysis, At};
use mesh_compiler::survey::who::{Row, Verdict, Who};
use mesh_lang::Span;
use std::collections::{BTreeMap, BTreeSet};

/// A service or gateway of a call hierarchy.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Party {
    /// `reviews.default`
    pub name: String,
    pub is_gateway: bool,
    /// The name where it is declared.
    pub focus: Span,
    /// The statement that declares it, with its block where it ends in the same file.
    pub span: Span,
}

/// Somebody who may call, or be called.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Permitted {
    pub party: Party,
    /// Whether all that is declared is let in, or some of it.
    pub whole: bool,
    /// Where it is written: the `calls`, the rule or the `allow` lines.
    pub by: Vec<Span>,
}

impl Analysis {
    /// The service or gateway that is named at a place.
    pub fn party(&self, at: At) -> Option<Party> {
        let (symbol, _) = self.symbol_at(at)?;
        self.party_of(&symbol)
    }

    /// The service or gateway of a full name, `reviews.default`.
    pub fn party_named(&self, full_name: &str) -> Option<Party> {
        let (name, namespace) = full_name.split_once('.')?;
        self.party_of(&Symbol::Target(name.into(), namespace.into()))
    }

    fn party_of(&self, symbol: &Symbol) -> Option<Party> {
        let Symbol::Target(name, namespace) = symbol else { return None };
        let focus = self.declarations(symbol).next()?;
        let (outer, _) = self.statement_of(focus)?;
        let parse = self.parse(focus.file());
        let own = parse.tree.statements.iter().find(|one| {
            parse
                .tokens
                .get(one.first as usize)
                .is_some_and(|token| token.start() as u32 == outer.span.start())
        });
        let last = own.and_then(|own| parse.tokens.get(own.last().saturating_sub(1)));
        Some(Party {
            name: format!("{name}.{namespace}"),
            is_gateway: outer.keyword() == "gateway",
            focus,
            span: last.map_or(outer.span, |last| outer.span.to(last.span(focus.file()))),
        })
    }

    /// Who may call it, by name: every service and gateway of the project of whose requests something is let in.
    ///
    /// Time: linear in the calls of the project. Of a project with errors it is what could be understood.
    pub fn callers(&self, party: &Party) -> Vec<Permitted> {
        let survey = self.workspaces[0].survey(&BTreeSet::new());
        let rows = survey.can_call(&party.name, None, None).unwrap_or_default();
        self.permitted(rows, |row| row.who.clone())
    }

    /// Whom it may call, by name. Time: linear in the ports of the project.
    pub fn callees(&self, party: &Party) -> Vec<Permitted> {
        let survey = self.workspaces[0].survey(&BTreeSet::new());
        let rows = survey.callable_from(&party.name, None).unwrap_or_default();
        self.permitted(rows, |row| Who::Service(row.callee.clone()))
    }

    fn permitted(&self, rows: Vec<Row>, other: impl Fn(&Row) -> Who) -> Vec<Permitted> {
        let mut found: BTreeMap<Party, Permitted> = BTreeMap::new();
        for row in rows.iter().filter(|row| row.verdict != Verdict::Denied) {
            let (Who::Service(name) | Who::Gateway(name)) = other(row) else { continue };
            let Some(party) = self.party_named(&name) else { continue };
            let whole = row.verdict == Verdict::Allowed;
            let known = found.entry(party.clone()).or_insert(Permitted { party, whole, by: vec![] });
            known.whole &= whole;
            known.by.extend(row.by);
            if row.by.is_none() {
                known.by.extend(row.grants.iter().map(|grant| grant.line.span));
            }
        }
        for known in found.values_mut() {
            known.by.sort();
            known.by.dedup();
        }
        found.into_values().collect()
    }
}
