//! One snapshot for each kind of question.

use crate::fixture::{fixture, shown};
use crate::{Analysis, At, LinkTarget};
use mesh_lang::diagnostic::{Edit, fix};
use mesh_lang::{Diagnostic, FileId, Span};

/// A shop of two teams; `$0` is put where it is asked.
const SHOP: &str = "\
#- shop/platform/mesh.mesh
mesh shop {
  trust-domain shop.example
  environments staging, live
  default {
    timeout 10s
    retry 1 on connect-failure
  }
}
module platform {
  edition 2026
  role platform
  namespace ops
  export profile calm
  export group testers
}
## Waits long and tries often.
profile calm {
  timeout 30s
  retry 1 on reset
}
group testers = identity \"spiffe://ci.example/tester\"
#- shop/web/web.mesh
module web {
  edition 2026
  namespace web
}
import platform { calm }
param patience duration = 3s
env live { set patience = 5s }
## The page.
service page {
  port 80 http
  use calm
  propagate header \"x-tester\"
  calls cart.cart to GET /cart/{id} {
    timeout $patience
  }
  calls cart.cart to POST /cart
}
gateway edge {
  listener web port 8080 http { host \"*\" }
}
route edge {
  to page
}
authorize edge { allow from anyone }
authorize page { allow from gateway edge }
#- shop/cart/cart.mesh
module cart {
  edition 2026
  owner \"carts\"
  namespace cart
}
## What is in the basket.
service cart {
  port 8080 http
  subset v1 label version = \"v1\"
  subset v2 label version = \"v2\"
  timeout 2s
}
route cart {
  rule testers {
    match when header \"x-tester\" = \"yes\"
    to cart:v2
  }
  rule everybody {
    to cart:v1 90%, cart:v2 rest
  }
}
authorize cart {
  allow from page.web to GET /cart/{id}, POST /cart
}
test \"the page reads carts\" {
  request from page.web to cart GET /cart/1 when header \"x-tester\" = \"yes\" expect cart:v2
}
";

/// The shop with the cursor behind the first place in which `before` stands.
#[track_caller]
fn shop(before: &str) -> (Analysis, At) {
    let end = SHOP.find(before).expect("a place in the shop") + before.len();
    fixture(&format!("{}$0{}", &SHOP[..end], &SHOP[end..]))
}

/// The shop with other text behind the first place in which `before` stands, and the cursor in it.
#[track_caller]
fn edited(before: &str, text: &str) -> (Analysis, At) {
    let end = SHOP.find(before).expect("a place in the shop") + before.len();
    fixture(&format!("{}{text}{}", &SHOP[..end], &SHOP[end..]))
}

fn file(analysis: &Analysis, path: &str) -> FileId {
    analysis.sources().iter().find(|(_, source)| source.path == path).unwrap().0
}

fn lines(lines: impl IntoIterator<Item = String>) -> String {
    lines.into_iter().map(|line| line + "\n").collect()
}

/// Each file that edits change, as it is afterwards.
fn after(analysis: &Analysis, edits: &[Edit]) -> String {
    let changed =
        analysis.sources().iter().filter(|(id, _)| edits.iter().any(|edit| edit.span.file() == *id));
    lines(changed.map(|(id, source)| {
        format!("#- {}\n{}", source.path, fix::apply(id, &source.text, edits).expect("edits that are apart"))
    }))
}

fn completions((analysis, at): (Analysis, At)) -> String {
    let found = analysis.completions(at);
    lines(found.items.into_iter().map(|item| {
        let insert =
            if item.insert == item.label { String::new() } else { format!("  inserts `{}`", item.insert) };
        let doc = item.documentation.lines().last().unwrap_or_default();
        format!("{:<28}{:?}  {}{}  {doc}", item.label, item.kind, item.detail, insert.replace('\n', "⏎"))
            .trim_end()
            .to_owned()
    }))
}

#[test]
fn the_shop_is_right() {
    let (analysis, _) = shop("mesh shop");
    let found: Vec<String> = analysis.diagnostics().into_iter().map(|found| found.message).collect();
    assert_eq!(found, Vec::<String>::new());
}

#[test]
fn completion_of_statements() {
    insta::assert_snapshot!("statements of a service", completions(edited("  timeout 2s\n", "  $0\n")));
    insta::assert_snapshot!("statements of a file", completions(edited("namespace cart\n}\n", "r$0\n")));
}

#[test]
fn completion_of_arguments() {
    insta::assert_snapshot!(
        "who may be let in",
        completions(edited("authorize cart {\n", "  allow from $0\n"))
    );
    insta::assert_snapshot!(
        "what may follow",
        completions(edited("authorize cart {\n", "  allow from page.web $0\n"))
    );
    insta::assert_snapshot!("subsets", completions(edited("rule everybody {\n", "    to cart:$0\n")));
    insta::assert_snapshot!(
        "units",
        completions(edited("  calls cart.cart to POST /cart", " {\n timeout 25$0\n }"))
    );
    insta::assert_snapshot!(
        "profiles",
        completions(edited("  calls cart.cart to POST /cart", " {\n use $0\n }"))
    );
    insta::assert_snapshot!(
        "services to call",
        completions(edited("  calls cart.cart to POST /cart\n", "  calls $0\n"))
    );
    insta::assert_snapshot!("environments", completions(edited("test \"the page reads carts\"", " in $0")));
    insta::assert_snapshot!("names of an import", completions(edited("import platform {", " $0")));
    insta::assert_snapshot!("rules to override", completions(edited("rule testers", " overrides $0")));
    insta::assert_snapshot!("listeners", completions(edited("route edge", " listener $0")));
    insta::assert_snapshot!(
        "outcomes",
        completions(edited(
            "  request from page.web to cart GET /cart/1 when header \"x-tester\" = \"yes\" expect cart:v2\n",
            "  request to cart GET / expect $0\n"
        ))
    );
}

#[test]
fn nothing_is_offered_inside_of_comments_and_strings() {
    assert_eq!(completions(edited("## The page", "$0")), "");
    assert_eq!(completions(edited("owner \"car", "$0")), "");
}

fn hover(before: &str) -> String {
    let (analysis, at) = shop(before);
    let hover = analysis.hover(at).expect("something to say");
    format!("at {}\n\n{}\n", shown(&analysis, hover.span), hover.text)
}

#[test]
fn hover_says_what_holds_and_where_it_is_written() {
    insta::assert_snapshot!("a service", hover("route car"));
    insta::assert_snapshot!("a service whose values differ", hover("allow from pag"));
    insta::assert_snapshot!("a gateway", hover("gateway ed"));
    insta::assert_snapshot!("a subset", hover("to cart:v2"));
    insta::assert_snapshot!("a profile", hover("import platform { cal"));
    insta::assert_snapshot!("a parameter", hover("timeout $pat"));
    insta::assert_snapshot!("a statement", hover("\n  subs"));
    insta::assert_snapshot!("a namespace", hover("calls cart.ca"));
}

fn navigation(before: &str) -> String {
    let (analysis, at) = shop(before);
    let definitions = analysis.definition(at).into_iter().map(|one| shown(&analysis, one.name));
    let references = analysis.references(at).into_iter().map(|one| {
        format!("{} {}", if one.declares { "declares" } else { "uses    " }, shown(&analysis, one.span))
    });
    let here = analysis.highlights(at).len();
    format!("defined\n{}named\n{}{here} in this file\n", lines(definitions), lines(references))
}

#[test]
fn names_lead_to_where_they_are_given() {
    insta::assert_snapshot!("of a service", navigation("calls car"));
    insta::assert_snapshot!("of a subset", navigation("to cart:v"));
    insta::assert_snapshot!("of a profile", navigation("import platform { cal"));
    insta::assert_snapshot!("of a parameter", navigation("set pat"));
    insta::assert_snapshot!("of a module", navigation("import plat"));
    insta::assert_snapshot!("of a namespace", navigation("page.we"));
    insta::assert_snapshot!("of an environment", navigation("env liv"));
}

fn renamed(before: &str, name: &str) -> String {
    let (analysis, at) = shop(before);
    match analysis.rename(at, name) {
        Ok(edits) => after(&analysis, &edits),
        Err(why) => format!("refused: {why}\n"),
    }
}

#[test]
fn another_name_is_written_everywhere() {
    insta::assert_snapshot!("a service renamed", renamed("service car", "basket"));
    insta::assert_snapshot!("a subset renamed", renamed("subset v", "stable"));
    insta::assert_snapshot!("an imported profile renamed", renamed("import platform { cal", "patient"));
    insta::assert_snapshot!("a parameter renamed", renamed("param pat", "wait"));
    insta::assert_snapshot!("a namespace renamed", renamed("namespace web", "front"));
    assert_eq!(
        renamed("service car", "from"),
        "refused: `from` cannot be a name: lower-case letters, digits and `-`, beginning with a letter, and no word of the language\n"
    );
    assert_eq!(renamed("subset v", "v2"), "refused: `v2` is taken: shop/cart/cart.mesh:10\n");
    assert_eq!(renamed("owner ", "x"), "refused: nothing here has a name of its own\n");
}

#[test]
fn a_name_in_what_cannot_be_read_is_not_renamed_by_halves() {
    let (analysis, at) = edited("service car", "$0");
    assert!(analysis.rename(at, "basket").is_ok());
    let (analysis, at) =
        fixture("service ca$0rt { port 80 http }\nauthorize cart {\n  allow from to cart\n}\n");
    assert_eq!(
        analysis.rename(at, "basket"),
        Err("a.mesh:3 names `cart` in what cannot be read: mend it first".to_owned())
    );
}

#[test]
fn a_renamed_project_says_the_same() {
    for (before, name) in
        [("service car", "basket"), ("subset v", "stable"), ("namespace web", "front"), ("env liv", "prod")]
    {
        let (mut analysis, at) = shop(before);
        let edits = analysis.rename(at, name).unwrap();
        let texts: Vec<(FileId, String)> = analysis
            .sources()
            .iter()
            .map(|(id, source)| (id, fix::apply(id, &source.text, &edits).unwrap()))
            .collect();
        texts.iter().for_each(|(id, text)| analysis.edit(*id, text));
        let found: Vec<String> = analysis.diagnostics().into_iter().map(|found| found.message).collect();
        assert_eq!(found, Vec::<String>::new(), "{before} as {name}");
    }
}

#[test]
fn symbols_of_a_file_and_of_the_project() {
    fn tree(symbols: Vec<crate::DocumentSymbol>, depth: usize, out: &mut String) {
        for symbol in symbols {
            out.push_str(&format!(
                "{}{} — {} ({:?})\n",
                "  ".repeat(depth),
                symbol.name,
                symbol.detail,
                symbol.kind
            ));
            assert!(symbol.span.start() <= symbol.focus.start() && symbol.focus.end() <= symbol.span.end());
            tree(symbol.children, depth + 1, out);
        }
    }
    let (analysis, at) = shop("service car");
    let mut out = String::new();
    tree(analysis.document_symbols(at.file), 0, &mut out);
    insta::assert_snapshot!("symbols of a file", out);
    let found = analysis.workspace_symbols("pa");
    insta::assert_snapshot!(
        "symbols of the project",
        lines(found.into_iter().map(|one| format!(
            "{} ({:?}) in {}: {}",
            one.name,
            one.kind,
            one.container,
            shown(&analysis, one.focus)
        )))
    );
}

#[test]
fn words_are_what_they_mean() {
    let (analysis, at) = shop("service car");
    let end = analysis.text(at.file).len() as u32;
    let words = analysis.highlighted(at.file, 0..end).into_iter().map(|one| {
        let declares = if one.declares { ", given here" } else { "" };
        format!("{:<24}{:?}{declares}", analysis.sources().text(one.span), one.highlight)
    });
    insta::assert_snapshot!("words of a file", lines(words));
    let part = analysis.highlighted(at.file, 20..60);
    assert!(part.iter().all(|one| one.span.end() > 20 && one.span.start() < 60) && !part.is_empty());
}

#[test]
fn what_belongs_together() {
    let (analysis, at) = shop("to cart:v");
    let folds = analysis.folds(at.file).into_iter().map(|fold| {
        let (first, last) =
            (analysis.sources().position(fold.span).0, analysis.sources().end_position(fold.span).0);
        format!("{first}–{last} {:?}", fold.kind)
    });
    insta::assert_snapshot!("folds", lines(folds));
    let selections =
        analysis.selections(at).into_iter().map(|span| format!("{:?}", analysis.sources().text(span)));
    insta::assert_snapshot!("selections", lines(selections));
}

fn actions((analysis, at): (Analysis, At)) -> String {
    let found = analysis.actions(at.file, at.offset..at.offset);
    lines(found.into_iter().map(|action| {
        let about = action
            .about
            .as_ref()
            .map_or(String::new(), |about: &Diagnostic| format!(" for {}", about.code.as_str()));
        let preferred = if action.preferred { ", preferred" } else { "" };
        let edits = action
            .edits
            .iter()
            .map(|edit| format!("    {} → {:?}\n", shown(&analysis, edit.span), edit.text));
        format!("{} ({:?}{about}{preferred})\n{}", action.title, action.kind, edits.collect::<String>())
    }))
}

#[test]
fn edits_are_offered() {
    insta::assert_snapshot!(
        "a slip of the pen",
        actions(fixture(
            "service reviews { port 80 http }\nauthorize reviews { allow from anyone }\nservice page { calls revi$0ws }\n"
        ))
    );
    insta::assert_snapshot!(
        "two rules that overlap",
        actions(fixture(
            "service page { calls web }\nservice web { port 80 http; subset a label v = \"a\"; subset b label v = \"b\" }\nauthorize web { allow from page }\nroute web {\n  rule one$0 {\n    match /static/**\n    to web:a\n  }\n  rule two {\n    match when header \"x\" = \"y\"\n    to web:b\n  }\n}\n"
        ))
    );
    insta::assert_snapshot!(
        "a call that nobody allows",
        actions(fixture(
            "service page { calls re$0views to GET /a }\nservice reviews { port 80 http }\nauthorize reviews { allow from anyone to GET /b }\n"
        ))
    );
    insta::assert_snapshot!(
        "a warning",
        actions(fixture("service page { calls reviews }\nservice re$0views { port 80 http }\n"))
    );
    insta::assert_snapshot!("a number", actions(shop("  timeout 2")));
    insta::assert_snapshot!(
        "weights",
        actions(fixture(
            "service web { port 80 http; subset a label v = \"a\"; subset b label v = \"b\" }\nauthorize web { allow from anyone }\nroute web {\n  t$0o web:a 90%, web:b 10%\n}\n"
        ))
    );
}

#[test]
fn every_edit_that_is_offered_for_a_slip_mends_it() {
    let (mut analysis, at) = fixture(
        "service reviews { port 80 http }\nauthorize reviews { allow from page }\nservice page { calls revi$0ws }\n",
    );
    let fixes = analysis.actions(at.file, at.offset..at.offset);
    let fix = fixes.into_iter().find(|action| action.preferred).expect("a fix");
    let text = fix::apply(at.file, analysis.text(at.file), &fix.edits).unwrap();
    analysis.edit(at.file, &text);
    assert!(analysis.diagnostics().is_empty(), "{:?}", analysis.diagnostics());
}

#[test]
fn questions_above_lines_and_their_answers() {
    let (analysis, at) = shop("service car");
    let said = analysis.lenses(at.file).into_iter().map(|lens| {
        let words = match &lens.asks {
            crate::LensKind::Test(name) => format!("run the test {name:?}"),
            crate::LensKind::Callers(party) => analysis.callers_in_words(party),
        };
        format!("{words}: {}", shown(&analysis, lens.span))
    });
    insta::assert_snapshot!("lenses", lines(said));
    let party = analysis.party(at).unwrap();
    let all = |permitted: Vec<crate::Permitted>| {
        lines(permitted.into_iter().map(|one| {
            let by: Vec<String> = one.by.iter().map(|span| shown(&analysis, *span)).collect();
            format!(
                "  {}{} by {}",
                one.party.name,
                if one.whole { "" } else { " (partly)" },
                by.join(" and ")
            )
        }))
    };
    let page = analysis.party_named("page.web").unwrap();
    let said = format!(
        "who may call {}\n{}whom {} may call\n{}",
        party.name,
        all(analysis.callers(&party)),
        page.name,
        all(analysis.callees(&page))
    );
    insta::assert_snapshot!("call hierarchy", said);
}

#[test]
fn what_holds_is_shown_where_it_is_not_written() {
    let (analysis, at) = shop("service pag");
    let cart = file(&analysis, "shop/cart/cart.mesh");
    let all = [at.file, cart].into_iter().flat_map(|id| {
        let hints = analysis.hints(id, 0..u32::MAX);
        hints.into_iter().map(move |hint| (id, hint))
    });
    let said = all.map(|(id, hint)| {
        format!(
            "{} behind {}\n    {}",
            hint.label,
            shown(&analysis, Span::new(id, hint.offset, hint.offset)),
            hint.tooltip
        )
    });
    insta::assert_snapshot!("hints", lines(said));
}

fn signature(before: &str, text: &str) -> String {
    let (analysis, at) = edited(before, text);
    let help = analysis.signature_help(at).expect("a statement");
    let forms = help.forms.iter().enumerate().map(|(index, form)| {
        let mark = if index == help.active { ">" } else { " " };
        let active = form.active.map_or("", |part| &form.label[form.parts[part].clone()]);
        format!("{mark} {}   [{active}]", form.label)
    });
    format!("{}{}\n", lines(forms), help.doc)
}

#[test]
fn a_statement_says_how_it_is_written() {
    let said = [
        signature("authorize cart {\n", "  allow $0\n"),
        signature("authorize cart {\n", "  allow from page.web $0\n"),
        signature("  timeout 2s\n", "  load-balancer maglev $0\n"),
        signature("  timeout 2s\n", "  port $0\n"),
        signature("test \"the page reads carts\" {\n", "  request from page.web to cart GET /a $0\n"),
    ];
    insta::assert_snapshot!("signatures", said.join("\n"));
}

#[test]
fn texts_lead_somewhere() {
    let (analysis, at) = fixture(
        "#- a/a.mesh\n# See MESH4005.\nmodule a { edition 2026 }\nimport b { g }\njwt login { issuer \"https://login.example\"; audience \"a\"; jwks \"https://login.example/keys\" }\n$0\n#- b/b.mesh\nmodule b { edition 2026; export group g }\ngroup g = anyone\n",
    );
    let said = analysis.links(at.file).into_iter().map(|link| {
        let to = match link.to {
            LinkTarget::Url(url) => url,
            LinkTarget::Place(span) => shown(&analysis, span),
            LinkTarget::Page(code) => format!("the page of {}", code.as_str()),
        };
        format!("{} → {to}", shown(&analysis, link.span))
    });
    insta::assert_snapshot!("links", lines(said));
}

#[test]
fn a_line_is_a_question() {
    let said = ["allow from page", "request from page", "calls cart.cart to P"].map(|before| {
        let (analysis, at) = shop(before);
        format!("{:?}", analysis.question(at).expect("a request"))
    });
    insta::assert_snapshot!("questions", lines(said));
}

#[test]
fn what_is_wrong_is_said_of_all_environments() {
    let (mut analysis, at) = shop("import platform { cal");
    let text = analysis.text(at.file).replace("set patience = 5s", "set patience = 5%");
    analysis.edit(at.file, &text);
    let said = analysis.diagnostics().into_iter().map(|found| {
        format!(
            "{} {} {:?}: {}",
            found.code.as_str(),
            found.message,
            found.notes,
            shown(&analysis, found.span().unwrap())
        )
    });
    insta::assert_snapshot!("diagnostics", lines(said));
}

#[test]
fn environments_come_and_go() {
    let (mut analysis, at) = shop("mesh sho");
    assert_eq!(analysis.environments().collect::<Vec<_>>(), ["staging", "live"]);
    let text = analysis.text(at.file).replace("staging, live", "live");
    analysis.edit(at.file, &text);
    assert_eq!(analysis.environments().collect::<Vec<_>>(), ["live"]);
}
