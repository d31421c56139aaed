//! `MESH5012`: a request that is done twice.

use super::hops::{Hop, Hops};
use crate::model::Model;
use mesh_lang::ast::Method;
use mesh_lang::{Code, Diagnostic, Span};
use mesh_plan::Retry;
use std::collections::BTreeMap;

/// Retries in force for requests that may not be done twice, after failures that do not say whether they were done. Each policy is said
/// once, with the first call for which it holds. Time: linear in the hops.
pub(super) fn check(model: &Model, hops: &Hops) -> Vec<Diagnostic> {
    let mut found: BTreeMap<Span, Diagnostic> = BTreeMap::new();
    for hop in hops.iter() {
        let Some(retry) = hop.retry.as_ref().filter(|retry| is_doubtful(retry)) else { continue };
        let twice = retry.methods & hop.unkeyed;
        if twice != 0 {
            found.entry(hop.at.retry.unwrap_or(hop.span)).or_insert_with(|| say(model, hop, retry, twice));
        }
    }
    found.into_values().collect()
}

/// After a failed connection nothing was sent; after anything else the request may have been done.
fn is_doubtful(retry: &Retry) -> bool {
    retry.on_reset || retry.on_timeout || !retry.on_status.is_empty()
}

fn say(model: &Model, hop: &Hop, retry: &Retry, twice: u8) -> Diagnostic {
    let is_named = |method: &Method| twice & 1 << crate::space::method_atom(*method) != 0;
    let names: Vec<String> =
        Method::ALL.into_iter().filter(is_named).map(|method| format!("`{}`", method.as_str())).collect();
    let (caller, callee) = (&model.workload(hop.from).name, &model[hop.to].workload.name);
    let mut problem = Diagnostic::new(
        Code::UnsafeRetry,
        format!("a {} of `{caller}` to `{callee}` may be done {} times", names.join(" or "), retry.count + 1),
    );
    let at = hop.at.retry.unwrap_or(hop.span);
    problem = problem.at(at, "whether the first was done is not known");
    if at != hop.span {
        problem = problem.at(hop.span, "of this call");
    }
    problem.help("Retry on `connect-failure` only: then nothing was sent. Where the service knows requests by a key, match `when header \"idempotency-key\" present` and retry in that rule.")
}

#[cfg(test)]
mod tests {
    use crate::testing::{route, says};

    fn rule(lines: &str, retry: &str) -> String {
        let text = route(&format!("rule a {{\n{lines}\nto s:v1\nretry {retry}\n}}\notherwise 404"));
        format!("{text}service web {{ calls s }}\n")
    }

    const POST: &str = "1 on reset { methods POST }";

    #[test]
    fn a_request_is_not_done_twice() {
        let said = "7 MESH5012 a `POST` of `web` to `s` may be done 2 times";
        says(&rule("match /a", POST), &[said]);
        says(&rule("match POST|GET /a", POST), &[said]);
        says(
            &rule("match /a", "2 on 503 { methods POST, PATCH }"),
            &["7 MESH5012 a `POST` or `PATCH` of `web` to `s` may be done 3 times"],
        );
    }

    #[test]
    fn what_may_be_done_twice_is_not_said() {
        says(&rule("match /a", "1 on reset"), &[]);
        says(&rule("match /a", "1 on reset { methods PUT, DELETE }"), &[]);
        says(&rule("match GET /a", POST), &[]);
        says(&rule("match /a", "1 on connect-failure"), &[]);
        says(&rule("match /a when header \"idempotency-key\" present", POST), &[]);
        says(
            &rule("match /a when header \"idempotency-key\" absent", POST),
            &["7 MESH5012 a `POST` of `web` to `s` may be done 2 times"],
        );
    }

    #[test]
    fn what_the_caller_sends_and_what_the_rule_takes_count_together() {
        let text = rule("match /a", POST);
        says(&text.replace("calls s }", "calls s to GET }"), &[]);
        says(&text.replace("service web { calls s }\n", ""), &[]);
        let service = "service web { calls s }\nservice s { port 80 http; retry 1 on reset { methods POST } }\nauthorize s { allow from anyone }\n";
        says(service, &["2 MESH5012 a `POST` of `web` to `s` may be done 2 times"]);
        says(&service.replace("calls s }", "calls s { retry none } }"), &[]);
    }
}
