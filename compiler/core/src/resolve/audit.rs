//! `mode audit until`: what a target's want of an `allow`, or a guardrail, would refuse is let through and told, for a while
//! (`spec/semantics.md` 4.8 and 12.3).

use super::{Module, authorize, declared, guardrail};
use crate::day::Day;
use crate::model::{AccessLine, PeerSet, Principal, Shape, Wording};
use mesh_lang::ast::{Effect, Mode};
use mesh_lang::{Code, Diagnostic, Diagnostics, Name, Spanned};

/// Modes that are not to be: without a day, after their day, or where nothing may be let through.
pub(super) fn check(
    modules: &[Module<'_>],
    production: Option<&Name>,
    today: Option<Day>,
    diagnostics: &mut Diagnostics,
) {
    let of_targets = declared(modules, authorize).filter_map(|(_, authorize)| authorize.mode.as_ref());
    let of_guardrails = declared(modules, guardrail).filter_map(|(_, guardrail)| guardrail.mode.as_ref());
    for mode in of_targets.chain(of_guardrails) {
        until(mode, today).into_iter().for_each(|problem| diagnostics.push(problem));
        if let Some(production) = production {
            diagnostics.push(
                Diagnostic::new(
                    Code::AuditInProduction,
                    format!(
                        "`mode audit` lets through what nobody allowed, and `{}` is production",
                        production.value
                    ),
                )
                .at(mode.span, "holds in every environment")
                .at(production.span, "declared here")
                .help("Delete the mode: `audit` lines tell of requests without letting any through."),
            );
        }
    }
}

fn until(mode: &Spanned<Mode>, today: Option<Day>) -> Option<Diagnostic> {
    let text = &mode.value.until;
    let Some(last) = Day::parse(&text.value) else {
        return Some(
            Diagnostic::new(Code::InvalidValue, format!("`{}` is no day", text.value))
                .at(text.span, "not a day of the calendar")
                .help("Write the last day that the mode is to hold, e.g. `\"2026-12-31\"`."),
        );
    };
    let today = today.filter(|today| *today > last)?;
    Some(
        Diagnostic::new(Code::AuditExpired, format!("`mode audit` was to end on {last}"))
            .at(mode.span, format!("today is {today}"))
            .help("Delete the mode, or write a later day if it is still being tried out."),
    )
}

/// What `mode audit` adds to a target: everybody may, and what only this lets in is told.
pub(super) fn line(target: &str, mode: &Spanned<Mode>) -> AccessLine {
    AccessLine {
        effect: Effect::Allow,
        from: PeerSet { of: vec![Principal::Anyone], except: vec![] },
        shapes: vec![Shape::default()],
        // INVARIANT: after all `allow` lines of the target by its text, so that it counts where none of them does.
        text: Wording::Said(
            format!("authorize {target}: mode audit until \"{}\"", mode.value.until.value).into(),
        ),
        span: mode.span,
        is_mode: true,
        is_probe: false,
    }
}

#[cfg(test)]
mod tests {
    use crate::testing::says;

    fn cart(lines: &str) -> String {
        format!(
            "service web {{ calls cart }}\nservice cart {{ port 80 http }}\nauthorize cart {{\n{lines}\n}}\n"
        )
    }

    #[test]
    fn a_mode_ends_on_a_day() {
        says(&cart("mode audit until \"2026-12-31\""), &[]);
        says(&cart("mode audit until \"2026-02-30\""), &["4 MESH1012 `2026-02-30` is no day"]);
    }

    #[test]
    fn a_target_is_in_one_mode() {
        let mode = "mode audit until \"2026-12-31\"";
        let text = format!("{}authorize cart {{\n{mode}\n}}\n", cart(mode));
        says(&text, &["7 MESH1008 `mode` is written twice for one target"]);
    }

    #[test]
    fn production_lets_nothing_through() {
        let text = format!(
            "{}mesh m {{ environments dev, live; production live }}\n",
            cart("mode audit until \"2026-12-31\"")
        );
        says(&text, &["4 MESH4020 `mode audit` lets through what nobody allowed, and `live` is production"]);
    }

    #[test]
    fn an_audit_decides_nothing() {
        says(&cart("audit from web"), &["2 MESH4001 nobody may call `cart`"]);
        says(&cart("allow from web\naudit from web"), &[]);
        says(&cart("allow from web\naudit from shop"), &["5 MESH2001 unknown service `shop`"]);
        says(
            &cart("allow from web\naudit when query \"k\" = \"1\" and query \"k\" absent"),
            &["5 MESH3002 this `audit` matches no request"],
        );
    }
}
