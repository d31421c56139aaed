//! `mesh doc`: the pages of the sample are checked in, so that a change of them shows in review.

use crate::harness::{Project, SHOP, bookinfo};
use std::fs;
use std::path::{Path, PathBuf};

/// The sample in a directory of its own, so that no page says where it stands.
fn sample() -> Project {
    let names = ["access.mesh", "bookinfo.mesh", "routes.mesh", "tests.mesh"];
    let texts = names.map(|name| (name, fs::read_to_string(bookinfo().join(name)).unwrap()));
    Project::new(&texts.each_ref().map(|(name, text)| (*name, text.as_str())))
}

/// The pages that `mesh doc` wrote, by name.
fn pages(project: &Project) -> Vec<(String, String)> {
    let root = format!("{}/", project.at("").display());
    let mut names: Vec<String> = fs::read_dir(project.at("site"))
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    let read =
        |name: &String| String::from_utf8(project.read(&format!("site/{name}"))).unwrap().replace(&root, "");
    names.iter().map(|name| (name.clone(), read(name))).collect()
}

fn kept() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/doc")
}

#[track_caller]
fn are_as_kept(markup: &str) {
    let project = sample();
    let ran = project.mesh(&["doc", "{}", "-o", "{}/site", "--markup", markup]);
    assert_eq!((ran.code, ran.out.as_str()), (0, ""), "{}", ran.err);
    let mut stale = Vec::new();
    for (name, text) in pages(&project) {
        let path = kept().join(markup).join(&name);
        if fs::read_to_string(&path).unwrap_or_default() != text {
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(&path, text).unwrap();
            stale.push(name);
        }
    }
    assert!(stale.is_empty(), "{stale:?} were not up to date; they are now: look at the difference");
    let kept = fs::read_dir(kept().join(markup)).unwrap().count();
    assert_eq!(kept, 6, "an index, a gateway and four services");
}

#[test]
fn the_pages_of_the_sample_are_as_they_were_in_markdown() {
    are_as_kept("markdown");
}

#[test]
fn the_pages_of_the_sample_are_as_they_were_in_html() {
    are_as_kept("html");
}

#[test]
fn every_link_leads_to_a_page_and_nothing_to_the_network() {
    let project = sample();
    assert_eq!(project.mesh(&["doc", "{}", "-o", "{}/site"]).code, 0);
    let pages = pages(&project);
    for (name, text) in &pages {
        for link in text.split("href=\"").skip(1).filter_map(|rest| rest.split('"').next()) {
            assert!(pages.iter().any(|(own, _)| own == link), "{name} links to {link}");
        }
        for forbidden in ["<script", "src=", "url(", "@import"] {
            assert!(!text.contains(forbidden), "{forbidden} in {name}");
        }
    }
}

#[test]
fn what_is_so_in_one_environment_only_says_in_which() {
    let text = SHOP.replace(
        "    to web:v1\n",
        "    to web:v1\n    env staging {\n      to web:v2\n      timeout 3s\n    }\n",
    );
    let text = format!("mesh shop {{\n  environments staging, live\n}}\n{text}");
    let project = Project::new(&[("shop.mesh", &text)]);
    let ran = project.mesh(&["doc", "{}", "-o", "{}/site", "--markup", "markdown"]);
    assert_eq!(ran.code, 0, "{}{}", ran.out, ran.err);
    let page = String::from_utf8(project.read("site/service-web.default.md")).unwrap();
    let row = |begin: &str| {
        page.lines().find(|line| line.starts_with(begin)).unwrap_or_else(|| panic!("{begin}: {page}"))
    };
    assert!(row("| testers |").contains("`to web:v2`"), "the same in both");
    assert!(row("| others<br>in staging only |").contains("`to web:v2`<br>`timeout 3s`"), "{page}");
    assert!(row("| others<br>in live only |").contains("`to web:v1`"), "{page}");
    assert!(row("| timeout<br>in staging only |").contains("`3s`"), "{page}");
    assert!(
        String::from_utf8(project.read("site/index.md")).unwrap().contains("Environments: staging, live.")
    );
}

#[test]
fn what_an_author_writes_is_shown_and_not_obeyed() {
    let text = SHOP.replace("service web", "## <script>alert(1)</script> & *more*\nservice web");
    let project = Project::new(&[("shop.mesh", &text)]);
    assert_eq!(project.mesh(&["doc", "{}", "-o", "{}/site"]).code, 0);
    let page = String::from_utf8(project.read("site/service-web.default.html")).unwrap();
    assert!(
        page.contains("&lt;script&gt;alert(1)&lt;/script&gt; &amp; *more*") && !page.contains("<script"),
        "{page}"
    );
}

#[test]
fn a_project_with_errors_has_no_pages() {
    let project = Project::new(&[("shop.mesh", &SHOP.replace("to web:v2", "to web:v9"))]);
    let ran = project.mesh(&["doc", "{}", "-o", "{}/site"]);
    assert!(ran.code == 1 && ran.out.contains("MESH2003"), "{}", ran.out);
    assert_eq!(project.names(), ["shop.mesh"]);
}
