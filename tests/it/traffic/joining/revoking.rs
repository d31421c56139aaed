//! Certificates that an authority takes back before they end.

use super::asked::{owner, post, wish};
use super::{Joined, Place};
use crate::traffic::mutual::{SHOP, WEB, ask, status};
use mesh_tests::authority::Certificate;
use mesh_tests::process::{mesh, run};
use mesh_tests::up::Client;
use std::time::{Duration, Instant};

/// The serial number in a line that tells of a certificate.
fn serial(line: &str) -> String {
    let rest = line.split_once("serial ").expect("a serial number").1;
    rest.split_once(": ").expect("more words").0.to_owned()
}

#[test]
fn who_is_taken_back_calls_nobody_any_more_and_gets_no_other_certificate() {
    let Joined { place, serving, shop, sidecar, called_at, .. } = &Joined::start();
    let call = || Client::connect(sidecar).get("shop", "/1", &[]).map(|answer| answer.0).unwrap_or_default();
    assert_eq!(call(), 200);
    let taken = serial(&serving.running.wait_for(&format!("a certificate of {WEB} ")));
    let list = place.ca(&["revoke", "local.test", "--serial", &taken]);
    assert_eq!(list, place.at("local.test.crl").display().to_string());
    serving.running.wait_for("took over the authority's files");
    // The service's proxy hears of it by itself, within fifteen seconds; builds beside us may make that more.
    let began = Instant::now();
    while call() == 200 {
        assert!(began.elapsed() < Duration::from_secs(60), "{:#?}", shop.said());
        std::thread::sleep(Duration::from_millis(100));
    }
    shop.wait_for("took over the roots and revocations");
    // Somebody else of the same identity is believed.
    assert_eq!(status(&ask(Some(&place.certificate(WEB)), *called_at, "/1")), 200);
}

#[test]
fn what_is_taken_back_is_not_renewed_and_stays_so_when_the_root_is_replaced() {
    let place = Place::new();
    let serving = place.serve("1h");
    let given = |shown: Option<&Certificate>, headers: &str| {
        let (request, key) = wish(WEB);
        let (status, answer) = post(&place, &serving, shown, headers, &request).expect("an answer");
        let chain = answer.split_once("# Trust").map(|(chain, _)| chain.to_owned());
        (status, answer, chain.map(|chain| Certificate { chain, key }))
    };
    let token = |id: &str| format!("authorization: Bearer {}\r\n", place.ca(&["token", id]));
    let (_, answer, own) = given(None, &token(WEB));
    let own = own.expect("a certificate");
    assert_eq!(owner(&own.key, &answer), WEB);
    std::fs::write(place.at("web.pem"), &own.chain).unwrap();
    let file = place.at("web.pem").display().to_string();
    place.ca(&["revoke", "local.test", "--certificate", &file]);
    serving.running.wait_for("took over the authority's files");
    let refused = |shown: &Certificate| {
        let (status, said, _) = given(Some(shown), "");
        assert!(
            status == 403 && said.contains(&format!("the certificate of {WEB} was taken back")),
            "{said}"
        );
    };
    refused(&own);
    let (status, answer, other) = given(None, &token(WEB));
    let other = other.expect("another certificate, for another token");
    assert_eq!((status, owner(&other.key, &answer)), (200, WEB.to_owned()), "and its list is good");
    assert!(answer.contains("BEGIN X509 CRL"), "{answer}");
    for step in ["prepare", "activate", "finish"] {
        let said = serving.running.said().len();
        place.ca(&["rotate", step, "local.test"]);
        serving.running.wait_after(said, "took over the authority's files");
        if step != "finish" {
            refused(&own);
        }
    }
    // Who joins now hears of it from the root that is believed now.
    let (_, answer, new) = given(None, &token(SHOP));
    assert_eq!(owner(&new.expect("a certificate").key, &answer), SHOP);
    let bundle = answer.split_once("# Trust bundle\n").expect("roots").1;
    assert_eq!(bundle.matches("BEGIN CERTIFICATE").count(), 1);
    assert_eq!(bundle.matches("BEGIN X509 CRL").count(), 1);
}

#[test]
fn what_cannot_be_taken_back_is_told_and_changes_nothing() {
    let place = Place::new();
    let said = |words: &[&str]| {
        let mut command = mesh();
        command.args(["ca", "revoke", "local.test", "--dir"]).arg(place.at(".")).args(words);
        let (code, _, said) = run(&mut command);
        (code != 0, said)
    };
    place.ca(&["issue", SHOP, "-o", &place.at("shop").display().to_string()]);
    std::fs::write(place.at("no.pem"), "nothing").unwrap();
    let file = |name: &str| place.at(name).display().to_string();
    for (words, why) in [
        (vec!["--serial", "xyz"], "write it as `mesh ca serve` tells it"),
        (vec!["--serial", "123"], "write it as `mesh ca serve` tells it"),
        (vec!["--certificate", &file("no.pem")], "is no certificate of local.test"),
        (vec!["--certificate", &file("local.test.pem")], "is no certificate of local.test"),
        (vec!["--certificate", &file("gone.pem")], "cannot read"),
    ] {
        let (failed, said) = said(&words);
        assert!(failed && said.contains(why), "{words:?}: {said}");
        assert!(!place.at("local.test.crl").exists(), "{words:?}");
    }
    place.ca(&["revoke", "local.test", "--certificate", &file("shop.pem"), "--serial", "4f:21:0C"]);
    let written = place.read("local.test.revoked");
    assert!(written.lines().count() == 2 && written.contains("4f210c "), "{written}");
    std::fs::write(place.at("local.test.revoked"), "something else\n").unwrap();
    let list = place.read("local.test.crl");
    let (failed, said) = said(&["--serial", "01"]);
    assert!(failed && said.contains("has a line that is none"), "{said}");
    assert_eq!(place.read("local.test.crl"), list, "the list before stays");
}
