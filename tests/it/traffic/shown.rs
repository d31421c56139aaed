//! Every statement about traffic that the proxy executes has a test with real sockets that shows it.

use mesh_lang::signature::{Place, Signature, Status};
use std::collections::BTreeSet;
use std::path::Path;

/// Where what happens to requests on their way is said.
const PLACES: [Place; 19] = [
    Place::Default,
    Place::Profile,
    Place::Service,
    Place::Subset,
    Place::Calls,
    Place::Retry,
    Place::CircuitBreaker,
    Place::OutlierDetection,
    Place::LoadBalancer,
    Place::HealthCheck,
    Place::Gateway,
    Place::Listener,
    Place::RateLimiter,
    Place::Route,
    Place::Rule,
    Place::Cors,
    Place::Jwt,
    Place::ExtAuthz,
    Place::Authorize,
];

/// Says nothing about traffic, but who somebody is, what is taken over from elsewhere, or a fact that only checks rely on.
const NOT_TRAFFIC: [&str; 7] =
    ["service-account", "use", "env", "propagate", "client-timeout", "client-retry", "allow-routes"];

const ASKED: &str = "tests/it/traffic/asked.rs";
const COUNTED: &str = "tests/it/traffic/counted.rs";
const E2E: &str = "tests/it/e2e.rs";
const BALANCING: &str = "tests/it/traffic/balancing.rs";
const BREAKING: &str = "tests/it/traffic/breaking.rs";
const BROWSERS: &str = "tests/it/traffic/browsers.rs";
const CLIENTS: &str = "tests/it/traffic/clients.rs";
const CONNECTIONS: &str = "tests/it/traffic/connections.rs";
const LOGGED: &str = "tests/it/traffic/logged.rs";
const MUTUAL: &str = "tests/it/traffic/mutual.rs";
const COPYING: &str = "tests/it/traffic/copying.rs";
const SILENCE: &str = "tests/it/traffic/silence.rs";
const TOKENS: &str = "tests/it/traffic/tokens.rs";
const HEALTH: &str = "tests/it/traffic/health.rs";
const OUTSIDE: &str = "tests/it/traffic/outside.rs";
const PATHS: &str = "tests/it/traffic/paths.rs";
const NEARNESS: &str = "tests/it/traffic/nearness.rs";
const TERMINATION: &str = "tests/it/traffic/termination.rs";
const PROBES: &str = "tests/it/traffic/probes.rs";
const PROXY_BALANCING: &str = "runtime/proxy/tests/it/balancing.rs";
const PROXY_RETRYING: &str = "runtime/proxy/tests/it/retrying.rs";

/// The statement, with its block where others have one of the same name; the file and the test.
const SHOWN: &[(&str, &str, &str)] = &[
    ("timeout", E2E, "a_timeout_ends_what_takes_too_long"),
    ("retry", E2E, "a_retry_tries_again_and_no_more_than_declared"),
    ("connect-timeout", PROXY_BALANCING, "a_connection_takes_no_longer_than_it_may"),
    ("idle-timeout", SILENCE, "a_response_that_falls_silent_is_cut_off"),
    ("mirror", COPYING, "a_copy_is_the_request_as_it_is_sent_on"),
    ("cors", BROWSERS, "a_preflight_is_answered_before_anybody_is_asked"),
    ("allow-origins", BROWSERS, "a_response_says_who_may_read_it"),
    ("allow-methods", BROWSERS, "a_preflight_is_answered_before_anybody_is_asked"),
    ("allow-headers", BROWSERS, "a_preflight_is_answered_before_anybody_is_asked"),
    ("expose-headers", BROWSERS, "a_response_says_who_may_read_it"),
    ("allow-credentials", BROWSERS, "a_response_says_who_may_read_it"),
    ("max-age", BROWSERS, "a_preflight_is_answered_before_anybody_is_asked"),
    ("upgrade", BROWSERS, "a_request_becomes_a_websocket_where_its_rule_lets_it"),
    ("load-balancer", BALANCING, "requests_with_the_same_key_go_to_the_same_endpoint"),
    ("circuit-breaker", BREAKING, "limits_of_the_caller_and_of_the_callee_hold_together"),
    ("outlier-detection", BREAKING, "the_same_endpoints_are_judged_by_a_caller_for_itself"),
    ("health-check", HEALTH, "who_says_that_it_is_not_well_gets_nothing_until_it_is"),
    ("health-check interval", HEALTH, "who_says_that_it_is_not_well_gets_nothing_until_it_is"),
    ("health-check timeout", HEALTH, "who_takes_too_long_to_say_is_not_well"),
    ("unhealthy", HEALTH, "answers_in_a_row_are_counted"),
    ("healthy", HEALTH, "answers_in_a_row_are_counted"),
    ("clusters", NEARNESS, "the_clusters_of_a_service_are_those_of_its_endpoints"),
    ("failover", NEARNESS, "a_cluster_is_asked_while_nobody_before_it_is_well"),
    ("locality", NEARNESS, "the_own_zone_is_preferred_while_enough_of_it_is_well"),
    ("probe", PROBES, "the_node_asks_a_strict_port_for_its_probe_in_the_clear_and_nobody_for_anything_else"),
    ("panic-threshold", BREAKING, "with_too_few_healthy_endpoints_all_are_used"),
    ("port", CONNECTIONS, "a_server_may_speak_first_and_either_side_may_end_first"),
    ("subset", BREAKING, "with_few_endpoints_none_is_left_out"),
    (
        "mtls",
        MUTUAL,
        "a_strict_port_is_called_by_who_its_service_lets_in_and_by_nobody_without_a_certificate",
    ),
    ("access-log", LOGGED, "a_mesh_a_gateway_and_a_service_say_how_much_is_logged"),
    ("alias", E2E, "a_service_is_called_by_its_aliases_by_who_calls_it"),
    ("identity", MUTUAL, "who_has_an_identity_of_its_own_is_expected_to_show_that_one"),
    ("external", OUTSIDE, "who_is_outside_is_called_over_tls_and_must_be_who_is_meant"),
    ("tls", OUTSIDE, "who_is_outside_is_called_over_tls_and_must_be_who_is_meant"),
    ("jwt", TOKENS, "a_service_verifies_tokens_itself_and_its_callers_for_it"),
    ("issuer", TOKENS, "a_token_is_of_its_issuer"),
    ("audience", TOKENS, "a_token_is_for_one_of_the_audiences"),
    ("jwks", TOKENS, "keys_are_taken_over_when_their_file_is_replaced_and_stay_when_it_is_broken"),
    ("from", TOKENS, "a_token_stands_where_it_is_said_to_and_ends_where_it_is_verified"),
    ("forward", TOKENS, "a_token_is_sent_on_where_that_is_said"),
    ("list-claims", TOKENS, "a_list_in_one_text_is_a_list"),
    ("clock-skew", TOKENS, "a_token_is_taken_for_as_long_as_it_says_and_a_clock_may_be_off"),
    ("typ", TOKENS, "a_token_is_of_the_type_that_is_declared"),
    ("endpoints", BALANCING, "requests_of_one_connection_go_to_all_endpoints_in_turn"),
    ("calls", E2E, "a_sidecar_lets_its_service_make_the_calls_it_declares"),
    ("rate-limit", E2E, "a_rate_limit_lets_in_what_it_says_for_each_key"),
    ("max-request-body", E2E, "a_body_is_as_long_as_the_least_limit_allows"),
    ("encoded-slashes", PATHS, "a_listener_decodes_slashes_and_strips_parameters_before_anything_is_decided"),
    ("path-parameters", PATHS, "a_service_takes_the_paths_that_it_says_from_whoever_calls_it"),
    ("per-try-timeout", E2E, "a_try_that_takes_too_long_is_tried_again"),
    ("backoff", PROXY_RETRYING, "the_wait_between_tries_is_within_its_bounds"),
    ("budget", E2E, "a_budget_bounds_the_retries"),
    ("methods", PROXY_RETRYING, "a_body_that_fits_in_the_buffer_is_sent_again"),
    ("buffer", PROXY_RETRYING, "a_body_that_does_not_fit_is_sent_once_and_whole"),
    ("max-connections", BREAKING, "an_idle_connection_to_another_endpoint_makes_room"),
    ("max-pending-requests", BREAKING, "requests_wait_for_a_connection_and_no_more_than_may"),
    ("max-requests", BREAKING, "more_requests_than_may_be_under_way_are_refused_at_once"),
    ("pending-timeout", BREAKING, "who_waits_too_long_for_a_connection_is_refused"),
    ("consecutive-5xx", BREAKING, "an_endpoint_that_fails_in_a_row_is_left_out_and_comes_back"),
    ("consecutive-gateway-errors", BREAKING, "gateway_errors_are_told_from_others"),
    ("success-rate", BREAKING, "an_endpoint_with_too_few_successes_is_left_out_when_an_interval_has_passed"),
    (
        "outlier-detection interval",
        BREAKING,
        "an_endpoint_with_too_few_successes_is_left_out_when_an_interval_has_passed",
    ),
    ("base-ejection-time", BREAKING, "an_endpoint_that_fails_in_a_row_is_left_out_and_comes_back"),
    ("max-ejection-time", BREAKING, "the_longest_ejection_has_an_end"),
    ("max-ejection-percent", BREAKING, "only_a_share_of_the_endpoints_is_left_out"),
    ("min-hosts", BREAKING, "with_few_endpoints_none_is_left_out"),
    ("slow-start", PROXY_BALANCING, "a_new_endpoint_begins_slowly_and_where_all_are_new_none_gets_less"),
    ("host", E2E, "the_host_chooses_the_table_and_no_host_is_nobodys"),
    ("trusted-hops", CLIENTS, "the_client_is_whom_the_trusted_proxies_name"),
    ("proxy-protocol", CLIENTS, "a_connection_says_first_whom_it_is_passed_on_for"),
    ("listener", E2E, "the_host_chooses_the_table_and_no_host_is_nobodys"),
    ("listener tls", TERMINATION, "a_client_is_shown_the_certificate_of_the_name_that_it_asks_for"),
    ("listener redirect", E2E, "a_listener_redirects_everything_to_https"),
    ("rule", E2E, "a_rule_answers_redirects_or_sends_on"),
    ("to", E2E, "a_rule_answers_redirects_or_sends_on"),
    ("otherwise", E2E, "a_rule_answers_redirects_or_sends_on"),
    ("match", E2E, "queries_cookies_paths_and_addresses_decide"),
    ("redirect", E2E, "a_rule_answers_redirects_or_sends_on"),
    ("respond", E2E, "a_rule_answers_redirects_or_sends_on"),
    ("rewrite", E2E, "what_a_rule_changes_arrives_changed_and_is_authorized_so"),
    ("request-header", E2E, "what_a_rule_changes_arrives_changed_and_is_authorized_so"),
    ("response-header", E2E, "a_path_is_replaced_whole_and_response_headers_are_added_and_removed"),
    ("fault", E2E, "a_fault_delays_or_ends_requests_and_says_so"),
    ("allow", E2E, "what_is_audited_is_told_and_a_mode_lets_through_what_nobody_allowed"),
    ("deny", ASKED, "an_authority_of_http_gets_the_head_of_what_it_is_asked_about_and_can_only_refuse"),
    ("audit", E2E, "what_is_audited_is_told_and_a_mode_lets_through_what_nobody_allowed"),
    ("mode", E2E, "what_is_audited_is_told_and_a_mode_lets_through_what_nobody_allowed"),
    ("check", ASKED, "an_authority_of_http_gets_the_head_of_what_it_is_asked_about_and_can_only_refuse"),
    ("ext-authz service", ASKED, "an_authority_of_grpc_is_asked_as_envoy_asks_it"),
    ("ext-authz timeout", ASKED, "what_holds_where_nobody_answers_is_declared"),
    (
        "rate-limiter service",
        COUNTED,
        "a_service_counts_for_all_proxies_and_who_is_one_too_many_is_told_when_to_come_again",
    ),
    ("rate-limiter timeout", COUNTED, "what_nobody_counts_passes_or_not_as_is_declared"),
    ("on-failure", ASKED, "what_holds_where_nobody_answers_is_declared"),
];

/// A statement's name here: with its block where the block has its own meaning of the word.
fn name(place: Place, row: &Signature) -> String {
    match (place.keyword(), row.keyword) {
        (Some(block), word @ "interval") => format!("{block} {word}"),
        (Some(block @ "health-check"), word @ "timeout") => format!("{block} {word}"),
        (Some(block @ ("ext-authz" | "rate-limiter")), word @ ("timeout" | "service")) => {
            format!("{block} {word}")
        }
        (Some("listener"), word @ ("redirect" | "tls")) => format!("listener {word}"),
        (_, word) => word.to_owned(),
    }
}

#[test]
#[expect(clippy::print_stdout, reason = "the count is what is asked for, with --nocapture")]
fn every_statement_about_traffic_that_is_executed_is_shown_by_a_test() {
    let rows = PLACES.iter().flat_map(|place| place.statements().iter().map(|row| (*place, row)));
    let about_traffic = rows.filter(|(_, row)| !NOT_TRAFFIC.contains(&row.keyword));
    let (executed, checked): (Vec<_>, Vec<_>) =
        about_traffic.partition(|(_, row)| row.status == Status::Executed);
    let names = |rows: Vec<(Place, &Signature)>| -> BTreeSet<String> {
        rows.into_iter().map(|(place, row)| name(place, row)).collect()
    };
    let (executed, checked) = (names(executed), names(checked));
    let shown: BTreeSet<String> = SHOWN.iter().map(|(name, ..)| (*name).to_owned()).collect();
    assert_eq!(shown.len(), SHOWN.len(), "each once");
    assert_eq!(executed, shown, "what is executed, and what is shown");
    println!("{} statements about traffic are executed and shown; checked so far: {checked:?}", shown.len());
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("a workspace");
    for (statement, file, test) in SHOWN {
        let text = std::fs::read_to_string(root.join(file)).expect("a file of tests");
        let head = format!("#[test]\nfn {test}() {{");
        assert!(text.contains(&head), "{statement}: {file} has no test {test}");
    }
}
