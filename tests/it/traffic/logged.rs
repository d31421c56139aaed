//! Which requests have a line in the access log.

use mesh_tests::harness::{Mesh, Upstream};

/// A gateway and three callers of one service; what is asked for below `/told` is told.
fn text(s: &Upstream, mesh: &str, edge: &str, web: &str) -> String {
    format!(
        "mesh m {{ {mesh} }}\ngateway edge {{ listener web port 80 http {{ host \"*\" }}\n{edge} }}\nauthorize edge {{ allow from anyone }}\n\
         route edge {{ to s }}\nservice web {{ calls s\n{web} }}\nservice other {{ calls s }}\n\
         service s {{ port 80 http; endpoints static \"{}\" }}\nauthorize s {{ allow from web, other, gateway edge\naudit to GET /told }}\n",
        s.address
    )
}

/// How many lines there are of each of `edge`, `web` and `other`, after so many requests to each, and one of `other` that is told.
fn lines(mesh: &str, edge: &str, web: &str, requests: usize) -> [usize; 3] {
    let s = Upstream::named("s");
    let mesh = Mesh::start(&text(&s, mesh, edge, web), &["web", "other"]);
    for door in ["edge.default/web", "web.default", "other.default"] {
        let mut client = mesh.connect(door);
        for _ in 0..requests {
            assert_eq!(client.get("s", "/", &[]).unwrap().0, 200);
        }
    }
    assert_eq!(mesh.connect("other.default").get("s", "/told", &[]).unwrap().0, 200);
    let log = mesh.log();
    ["edge.default/web", "web.default", "other.default"]
        .map(|door| log.iter().filter(|line| line.contains(&format!("\"entry\":\"{door}\""))).count())
}

#[test]
fn a_mesh_a_gateway_and_a_service_say_how_much_is_logged() {
    assert_eq!(lines("", "", "", 3), [3, 3, 4], "nothing is said");
    assert_eq!(
        lines("access-log none", "", "access-log json", 3),
        [0, 3, 1],
        "what is audited is told nevertheless"
    );
    assert_eq!(lines("access-log json", "access-log none", "", 3), [0, 3, 4]);
    let [edge, web, other] =
        lines("access-log none", "access-log json sample 25%", "access-log json sample 0.01%", 400);
    assert!((60..=140).contains(&edge), "{edge} of 400 is no quarter");
    assert!(web <= 5 && other == 1, "{web} {other}");
}
