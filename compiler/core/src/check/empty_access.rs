//! `MESH3002`, of authorizations: an `allow` or `deny` whose conditions no request fulfils.

use crate::model::{AccessLine, Model};
use crate::partition::{Owner, Partition};
use mesh_lang::ast::Effect;
use mesh_lang::{Code, Diagnostic};

/// Lines without a request. A line of several ports or listeners is looked at once.
pub(super) fn check(model: &Model, partition: &Partition) -> Vec<Diagnostic> {
    let (lines, earlier): (&[AccessLine], Vec<&AccessLine>) = match partition.owner {
        Owner::Port(id) => {
            let before = &model[id.service].ports[..id.port as usize];
            (&model.port(id).access, before.iter().flat_map(|port| &port.access).collect())
        }
        Owner::Listener(gateway, index) => {
            let (before, from) = model[gateway].listeners.split_at(index as usize);
            let own = from.first().map_or(&[][..], |listener| listener.access.as_slice());
            (own, before.iter().flat_map(|listener| &listener.access).collect())
        }
        Owner::Call(..) | Owner::Consumer(_) => return vec![],
    };
    let mut found = Vec::new();
    for (line, set) in lines.iter().zip(&partition.access_sets) {
        let known = earlier.iter().any(|other| other.span == line.span);
        if known || partition.diagram.any_of(*set).is_some() {
            continue;
        }
        let effect = match line.effect {
            Effect::Allow if line.is_probe => "probe",
            Effect::Allow => "allow",
            Effect::Deny => "deny",
            Effect::Audit => "audit",
        };
        found.push(
            Diagnostic::new(Code::UnreachableRule, format!("this `{effect}` matches no request"))
                .at(line.span, "its conditions exclude each other")
                .help("Take one of the conditions out, or write them on two lines, which are alternatives."),
        );
    }
    found
}

#[cfg(test)]
mod tests {
    use crate::testing::says;

    fn authorize(line: &str) -> String {
        format!(
            "service web {{ port a 80 http; port b 81 http; jwt sso optional; jwt other optional }}\nauthorize web {{\nallow from anyone to port a\nallow from anyone to port b\n{line}\n}}\njwt sso {{ issuer \"i\"; audience \"a\"; jwks \"/k\" }}\njwt other {{ issuer \"o\"; audience \"a\"; jwks \"/k\" }}\n"
        )
    }

    #[test]
    fn a_line_whose_conditions_exclude_each_other_is_said_once() {
        let said = "5 MESH3002 this `deny` matches no request";
        says(&authorize("deny when query \"k\" = \"1\" and query \"k\" absent"), &[said]);
        says(&authorize("deny when path suffix \".json\" and path suffix \".xml\""), &[said]);
        says(&authorize("deny to GET /a when path contains \"b\""), &[said]);
        says(&authorize("deny when header \"h\" = \"1\" and header \"h\" = \"\""), &[said]);
        says(&authorize("deny when header \"h\" has \"\" and header \"h\" has \"1\""), &[said]);
        says(&authorize("deny when header \"h\" in (\"1\", \"\") and header \"h\" in (\"2\", \"3\")"), &[]);
        // Of a repeated parameter one value may be the one and another the other.
        says(&authorize("deny when query \"k\" = \"1\" and query \"k\" = \"2\""), &[]);
        says(&authorize("deny when header \"h\" matches re\"a, b\""), &[said]);
        says(&authorize("deny when header \"date\" matches re\"a, b\""), &[]);
        // No item of a list field is empty.
        let text = "deny when header \"h\" has \"\" and header \"h\" prefix \"a\"";
        says(&authorize(text), &[said]);
        says(&authorize(&text.replace("header", "query")), &[]);
    }

    #[test]
    fn a_request_has_one_host() {
        let gateway =
            "gateway edge { listener web port 8080 http { host \"*\" } }\nroute edge { otherwise 404 }\n";
        let authorize = "authorize edge {\nallow from anyone\ndeny when host = \"a.test\" and host in (\"b.test\", \"c.test\")\n}\n";
        says(&format!("{gateway}{authorize}"), &["5 MESH3002 this `deny` matches no request"]);
    }

    #[test]
    fn without_its_token_a_claim_is_absent() {
        let said = "5 MESH3002 this `deny` matches no request";
        says(&authorize("deny when jwt sso absent and claim sso \"tier\" = \"vip\""), &[said]);
        says(&authorize("deny when jwt sso absent and claim sso \"tier\" present"), &[said]);
        says(&authorize("deny when jwt other absent and claim sso \"tier\" = \"vip\""), &[]);
        // What is asked of an absent claim is in doubt, and then a refusal refuses.
        says(&authorize("deny when jwt sso absent and claim sso \"tier\" != \"vip\""), &[]);
    }

    #[test]
    fn a_claim_inside_another_needs_an_object_there() {
        let said = "5 MESH3002 this `deny` matches no request";
        let inner = "claim sso \"realm\" \"roles\" present";
        says(&authorize(&format!("deny when claim sso \"realm\" absent and {inner}")), &[said]);
        says(&authorize(&format!("deny when claim sso \"realm\" present and {inner}")), &[]);
        says(&authorize(&format!("deny when claim sso \"realms\" absent and {inner}")), &[]);
    }
}
