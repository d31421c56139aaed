//! How services outside of the mesh are spoken to.

use super::rows::{Record, Row};
use crate::layout::{Section, outside_tls};
use crate::plan::{self, Trust};

/// The TLS in which a service outside of the mesh is spoken to.
#[derive(Clone, Copy)]
pub struct OutsideTls<'p>(Record<'p>);

impl<'p> Row<'p> for OutsideTls<'p> {
    const SECTION: Section = Section::OutsideTls;

    fn of(record: Record<'p>) -> Self {
        OutsideTls(record)
    }
}

impl OutsideTls<'_> {
    /// As a value: connections live longer than a plan.
    pub fn to_value(self) -> plan::OutsideTls {
        let text = |word| self.0.text(word).to_owned();
        let trust = match self.0.word(outside_tls::TRUST) {
            outside_tls::SYSTEM => Trust::System,
            outside_tls::ANYONE => Trust::Anyone,
            _ => Trust::Authority(text(outside_tls::AUTHORITY)),
        };
        plan::OutsideTls { name: text(outside_tls::NAME), trust, certificate: text(outside_tls::CERTIFICATE) }
    }
}
