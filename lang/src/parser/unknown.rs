//! Words that may not stand where they do: what was probably meant is found before it is complained of.

use super::recover::{listed, shown};
use crate::diagnostic::suggest::meant;
use crate::diagnostic::{Code, Diagnostic};
use crate::signature::Place;
use crate::span::Span;
use crate::token::TokenKind;

/// What other meshes call it (in lower case, without dashes), and what it is here.
const FOREIGN: &[(&str, &str)] = &[
    ("virtualservice", "`route`"),
    ("httproute", "`route`"),
    ("grpcroute", "`route`"),
    ("routes", "`route`"),
    ("serviceprofile", "`route` and, in `service`, `timeout` and `retry`"),
    ("destinationrule", "`subset`, `timeout` and `retry` in `service`"),
    ("serviceentry", "`service` with `external` and `endpoints`"),
    ("workloadgroup", "`service` with `endpoints`"),
    ("sidecar", "`calls` in `service`: a service reaches what it calls"),
    ("peerauthentication", "`mtls` in `mesh`, `service` or `port`"),
    ("requestauthentication", "`jwt`, at the top of a file and in `service` or `gateway`"),
    ("jwtrules", "`jwt`"),
    ("jwksuri", "`jwks` in `jwt`"),
    ("trafficpolicy", "`load-balancer`, `circuit-breaker` and `outlier-detection` in `service`"),
    ("destinationpolicy", "`load-balancer`, `circuit-breaker` and `outlier-detection` in `service`"),
    ("connectionpool", "`circuit-breaker`"),
    ("connectionlimit", "`circuit-breaker`"),
    ("circuitbreaker", "`circuit-breaker`"),
    ("circuitbreakers", "`circuit-breaker`"),
    ("outlierdetection", "`outlier-detection`"),
    ("failureaccrual", "`outlier-detection`"),
    ("loadbalancer", "`load-balancer`"),
    ("lbpolicy", "`load-balancer`"),
    ("consistenthash", "`load-balancer ring-hash …`"),
    ("localitylbsetting", "`locality` and `failover` in `service`"),
    ("telemetry", "`access-log`, `tracing` and `metric-label`"),
    ("corspolicy", "`cors` in `rule`"),
    ("faultinjection", "`fault` in `rule`"),
    ("delay", "`fault delay` in `rule`"),
    ("abort", "`fault abort` in `rule`"),
    ("mirrorpercentage", "the percentage in `mirror`"),
    ("requestmirror", "`mirror` in `rule`"),
    ("requestheadermodifier", "`request-header` in `rule`"),
    ("responseheadermodifier", "`response-header` in `rule`"),
    ("urlrewrite", "`rewrite` in `rule`"),
    ("prefixrewrite", "`rewrite prefix` in `rule`"),
    ("requestredirect", "`redirect` in `rule`"),
    ("httplocalratelimit", "`rate-limit local`"),
    ("httplocalratelimitpolicy", "`rate-limit local`"),
    ("localratelimit", "`rate-limit local`"),
    ("ratelimitpolicy", "`rate-limit`"),
    ("tcproute", "`route` of a service whose port speaks `tcp`"),
    ("tlsroute", "`route` of a gateway whose listener speaks `tls`"),
    ("referencegrant", "`export` in `module`, and `allow-routes` in `listener`"),
    ("backendtlspolicy", "`tls` in `service`"),
    ("egressnetwork", "`egress` in `mesh`, and `external` in `service`"),
    ("server", "`port` in `service`"),
    ("meshtlsauthentication", "`identity` in `allow` or `deny`"),
    ("networkauthentication", "`when source-ip in (…)` in `allow` or `deny`"),
    ("trustdomain", "`trust-domain`"),
    ("exportto", "`export` in `module`"),
    ("healthchecks", "`health-check`"),
    ("livenessprobe", "`probe` in `service`"),
    ("readinessprobe", "`probe` in `service`"),
    ("timeouts", "`timeout` and, in `retry`, `per-try-timeout`"),
    ("backendrequest", "`per-try-timeout` in `retry`"),
    ("workloadentry", "`endpoints static` in `service`"),
    ("ingress", "`gateway`"),
    ("servers", "`listener` in `gateway`"),
    ("authorizationpolicy", "`authorize`"),
    ("serverauthorization", "`authorize`"),
    ("networkpolicy", "`authorize`"),
    ("policy", "`authorize`"),
    ("hosts", "`host`"),
    ("hostnames", "`host`"),
    ("subsets", "`subset`"),
    ("labels", "`label` in `subset` or `endpoints`"),
    ("destination", "`to`"),
    ("backendrefs", "`to`"),
    ("forwardto", "`to`"),
    ("upstream", "`to`"),
    ("weight", "a percentage in `to`, as in `to a 90%, b 10%`"),
    ("weightedclusters", "percentages in `to`, as in `to a 90%, b 10%`"),
    ("retries", "`retry`"),
    ("retrypolicy", "`retry`"),
    ("attempts", "the number in `retry 2 on …`"),
    ("numretries", "the number in `retry 2 on …`"),
    ("retryon", "the conditions in `retry 2 on …`"),
    ("retrybudget", "`budget` in `retry`"),
    ("pertrytimeout", "`per-try-timeout` in `retry`"),
    ("timeoutseconds", "`timeout`"),
    ("requesttimeout", "`timeout`"),
    ("prefix", "a path that ends in `/**`, as in `match /shop/**`"),
    ("pathprefix", "a path that ends in `/**`, as in `match /shop/**`"),
    ("exact", "a path, as in `match /shop`"),
    ("path", "a path, as in `match /shop`"),
    ("paths", "a path, as in `match /shop`"),
    ("uri", "a path, as in `match /shop`"),
    ("method", "a method, as in `match GET /shop`"),
    ("headers", "`when header \"…\" = \"…\"` in `match`"),
    ("header", "`when header \"…\" = \"…\"` in `match`"),
    ("directresponse", "`respond`"),
    ("selector", "the targets of `authorize`"),
    ("principals", "`from` in `allow` or `deny`"),
    ("from", "a part of `allow` and `deny`"),
    ("source", "`from` in `allow` or `deny`"),
    ("namespaces", "`from namespace …` in `allow` or `deny`"),
    ("rules", "`rule` in `route`, `allow` and `deny` in `authorize`"),
];

/// What other meshes let people put into the proxy itself (spelt as above): nobody could decide about it.
const NOWHERE: &[&str] =
    &["envoyfilter", "wasmplugin", "proxyconfig", "lua", "envoyextensionpolicy", "envoypatchpolicy"];

/// The complaint about a statement that may not stand in this place.
pub(super) fn statement(place: Place, kind: TokenKind, word: &str, span: Span) -> Diagnostic {
    if kind != TokenKind::Word {
        return no_statement(word, span);
    }
    let diagnostic = |message: String| Diagnostic::new(Code::UnknownStatement, message).at(span, "");
    let elsewhere: Vec<String> = Place::ALL
        .into_iter()
        .filter(|place| place.statement(word).is_some())
        .filter_map(Place::keyword)
        .map(|keyword| format!("`{keyword}`"))
        .collect();
    if !elsewhere.is_empty() {
        let there = format!("in {}", listed(&elsewhere, "and"));
        let message = format!("`{word}` stands {there}, not {}", where_it_is(place));
        let few = place.statements().len() <= MAX_CHOICES;
        let help =
            if few { choices(place) } else { format!("Move it there; {}", lower_first(&choices(place))) };
        return diagnostic(message).help(help);
    }
    if Place::File.statement(word).is_some() {
        let there = where_it_is(Place::File);
        return diagnostic(format!("`{word}` stands {there}, not {}", where_it_is(place)))
            .help(choices(place));
    }
    if NOWHERE.contains(&plain(word).as_str()) {
        return diagnostic(format!("`{word}` is not a statement of this language")).help(
            "There is no counterpart: the proxy does what statements say, so that everything it does can be checked.",
        );
    }
    if let Some(here) = foreign(word) {
        return diagnostic(format!("`{word}` is not a statement of this language"))
            .help(format!("What other meshes call `{word}` is {here} here."));
    }
    let unknown = diagnostic(format!("unknown statement `{}` {}", shown(word), where_it_is(place)));
    match meant(word, place.statements().iter().map(|signature| signature.keyword)) {
        Some(near) => unknown.did_you_mean(word, near),
        None => unknown.help(choices(place)),
    }
}

fn no_statement(text: &str, span: Span) -> Diagnostic {
    let help = match text.starts_with("//") || text.starts_with("/*") {
        true => "A comment begins with `#`.",
        false => {
            "A statement begins with its keyword; a statement continues on the next line only after a comma."
        }
    };
    Diagnostic::new(Code::UnexpectedToken, format!("expected a statement, found `{}`", shown(text)))
        .at(span, "")
        .help(help)
}

fn where_it_is(place: Place) -> String {
    place.keyword().map_or("at the top of a file".into(), |keyword| format!("in `{keyword}`"))
}

/// More statements than this are not listed in a message: nobody reads them there.
const MAX_CHOICES: usize = 12;

fn lower_first(text: &str) -> String {
    let mut chars = text.chars();
    chars.next().map_or(String::new(), |first| first.to_lowercase().chain(chars).collect())
}

fn choices(place: Place) -> String {
    if let Some(keyword) = place.keyword().filter(|_| place.statements().len() > MAX_CHOICES) {
        return format!("`mesh explain {keyword}` lists what stands in `{keyword}`.");
    }
    let words: Vec<String> =
        place.statements().iter().map(|signature| format!("`{}`", signature.keyword)).collect();
    let all = listed(&words, "or");
    match place.keyword() {
        None => format!("At the top of a file, write {all}."),
        Some(keyword) => format!("In `{keyword}`, write {all}."),
    }
}

fn foreign(word: &str) -> Option<&'static str> {
    let plain = plain(word);
    FOREIGN.iter().find(|(theirs, _)| *theirs == plain).map(|(_, ours)| *ours)
}

/// A word as the tables above spell it.
fn plain(word: &str) -> String {
    word.to_ascii_lowercase().replace(['-', '_'], "").trim_end_matches(':').to_string()
}

#[cfg(test)]
mod tests {
    use super::{FOREIGN, NOWHERE, foreign, plain};
    use crate::signature::Place;
    use std::collections::BTreeSet;

    #[test]
    fn what_other_meshes_say_is_found_however_it_is_spelt() {
        for word in ["outlierDetection", "outlier_detection", "OutlierDetection:"] {
            assert_eq!(foreign(word), Some("`outlier-detection`"), "{word}");
        }
        assert_eq!(foreign("failure-accrual"), Some("`outlier-detection`"));
        assert_eq!(foreign("cart"), None);
    }

    #[test]
    fn each_word_is_there_once_and_spelt_so_that_it_is_found() {
        let words: Vec<&str> = FOREIGN.iter().map(|(word, _)| *word).chain(NOWHERE.iter().copied()).collect();
        assert_eq!(words.iter().collect::<BTreeSet<_>>().len(), words.len());
        assert!(words.iter().all(|word| plain(word) == *word));
    }

    #[test]
    fn what_is_named_instead_is_in_the_language() {
        let known: Vec<&str> =
            Place::ALL.into_iter().flat_map(Place::statements).map(|row| row.keyword).collect();
        for (theirs, here) in FOREIGN {
            let named = here.split('`').skip(1).step_by(2).filter_map(|form| form.split(' ').next());
            for word in named.filter(|word| word.starts_with(|c: char| c.is_ascii_lowercase())) {
                let clause = ["when", "from", "label", "http", "tcp", "tls", "grpc"].contains(&word);
                assert!(clause || known.contains(&word), "`{theirs}` names `{word}`");
            }
        }
    }
}
