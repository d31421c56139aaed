//! `MESH3010`: two listeners of one gateway on one port.

use crate::model::Model;
use mesh_lang::{Code, Diagnostic};

/// A gateway is one process: each of its listeners has a port of its own.
pub(super) fn check(model: &Model) -> Vec<Diagnostic> {
    let mut found = Vec::new();
    for gateway in &model.gateways {
        for (index, listener) in gateway.listeners.iter().enumerate() {
            let earlier = gateway.listeners[..index].iter().find(|other| other.number == listener.number);
            if let Some(other) = earlier {
                let (first, second) =
                    if other.span <= listener.span { (other, listener) } else { (listener, other) };
                found.push(
                    Diagnostic::new(
                        Code::ListenerConflict,
                        format!(
                            "listeners `{}` and `{}` share port {}",
                            first.name, second.name, second.number
                        ),
                    )
                    .at(second.span, "the same port")
                    .at(first.span, "the port is taken here")
                    .help("Give it another port, or put its hosts into the other listener."),
                );
            }
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use crate::testing::says;

    #[test]
    fn a_port_is_taken_once() {
        let text = r#"gateway g {
listener a port 80 http { host "a.test" }
listener b port 80 http { host "b.test" }
}
authorize g { allow from anyone }
route g listener a { otherwise 404 }
route g listener b { otherwise 404 }"#;
        says(text, &["3 MESH3010 listeners `a` and `b` share port 80"]);
    }
}
