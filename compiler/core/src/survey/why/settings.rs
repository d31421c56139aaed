//! What holds for a request that arrived, and which line says so (`spec/semantics.md` 6.1, 10.12).

use super::super::{Cited, Survey, inner};
use super::{Decided, Step};
use crate::model::{GatewayId, Model, PortId, ServiceId, Table};
use crate::partition::Owner;
use crate::values::{Block, Line};
use mesh_lang::Span;
use mesh_lang::ast::Mtls;
use mesh_lang::statement::Args;
use mesh_plan::Settings;

/// A value, and the line that sets it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Setting {
    /// `timeout`, `retry`, `mtls`
    pub keyword: &'static str,
    /// What the line says behind the keyword; `None` where no line says anything.
    pub line: Option<Cited>,
    /// Where the line stands, in words: `rule fast of route cart`. May be empty.
    pub place: String,
}

impl Survey<'_> {
    /// What holds at a port of a service (indices of the plan) for a request that came there by these steps.
    pub fn settings(&self, way: &[&Step], service: u32, port: u32) -> Vec<Setting> {
        let id = PortId { service: ServiceId(service), port };
        let levels = self.levels(way);
        let blocks = self.written.blocks();
        let mut found: Vec<Setting> = ["timeout", "retry"]
            .into_iter()
            .map(|keyword| {
                let line = match levels.iter().find(|(settings, _)| says(settings, keyword)) {
                    Some((_, span)) => self.line_in(&blocks, *span, keyword),
                    None => self.line_of(&blocks, id.service, keyword),
                };
                match line {
                    None => Setting { keyword, line: None, place: String::new() },
                    Some(Line { place, text, span, .. }) => {
                        let text = text.strip_prefix(keyword).unwrap_or(&text).trim_start().to_owned();
                        Setting { keyword, line: Some(Cited { text, span }), place }
                    }
                }
            })
            .collect();
        let mode = self.model.port(id).mtls.map(|mode| {
            let text = match mode.value {
                Mtls::Strict => "strict",
                Mtls::Permissive => "permissive",
                Mtls::Off => "off",
            };
            Cited { text: text.to_owned(), span: mode.span }
        });
        found.push(Setting { keyword: "mtls", line: mode, place: String::new() });
        found
    }

    /// The levels that the steps pass, the nearest first, each with the place of its block.
    fn levels(&self, way: &[&Step]) -> Vec<(&Settings, Span)> {
        let (mut rules, mut calls) = (Vec::new(), Vec::new());
        for decided in way.iter().filter_map(|step| step.decided) {
            match decided {
                Decided::Rule { owner, table, rule } => {
                    let rule =
                        table_of(&self.model, owner, table).and_then(|table| table.rules.get(rule as usize));
                    rules.extend(rule.map(|rule| (&rule.settings, rule.span)));
                }
                Decided::Call { caller, call, line } => {
                    let lines = &self.model[caller].calls[call as usize].lines;
                    let own = lines.get(line as usize).into_iter().filter(|line| line.narrowed);
                    let plain = lines.iter().find(|line| !line.narrowed);
                    calls.extend(own.chain(plain).map(|line| (&line.settings, line.span)));
                }
            }
        }
        rules.into_iter().chain(calls).collect()
    }

    /// The line of a keyword in the block that a place is in.
    fn line_in(&self, blocks: &[Block<'_>], at: Span, keyword: &str) -> Option<Line> {
        let (block, statement) = inner(blocks, at)?;
        let place = match (&block.statement.args, &statement.args) {
            (Args::Route(route), Args::Rule(rule)) => {
                format!("rule {} of route {}", rule.0.value, route.target)
            }
            _ => format!("`{}`", self.written.head(statement)),
        };
        self.written.lines_of(blocks, block, statement, keyword, &place).into_iter().next()
    }

    /// The line of a keyword that holds for a service.
    fn line_of(&self, blocks: &[Block<'_>], id: ServiceId, keyword: &str) -> Option<Line> {
        let workload = &self.model[id].workload;
        let name = workload.full_name();
        let target = (name.as_str(), workload.name.as_str(), Some(workload.namespace.as_str()));
        self.written.value_of(blocks, target, keyword).ok()?.lines.into_iter().next()
    }
}

fn says(settings: &Settings, keyword: &str) -> bool {
    match keyword {
        "timeout" => settings.timeout.is_some(),
        _ => settings.retry.is_some(),
    }
}

fn table_of(model: &Model, owner: Owner, table: u32) -> Option<&Table> {
    match owner {
        Owner::Port(id) => model.port(id).route.as_ref(),
        Owner::Listener(GatewayId(gateway), listener) => {
            let listener = &model.gateways[gateway as usize].listeners[listener as usize];
            listener.tables.get(table as usize).map(|host| &host.table)
        }
        Owner::Consumer(index) => Some(&model.consumer_routes[index as usize].table),
        Owner::Call(..) => None,
    }
}
