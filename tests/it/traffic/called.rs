//! Calls of `tcp` ports: each has an address of its own at the caller's proxy.

use super::connections::{connect_to, greeting, server};
use mesh_tests::authority::Authority;
use mesh_tests::harness::{Mesh, free_address};
use mesh_tests::process::{Running, mesh, mesh_proxy, run};
use mesh_tests::up::{Client, Up};
use std::io::{Read as _, Write as _};
use std::net::{Shutdown, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

/// A service `cart` that calls `redis`, which lets it in, and whose statements these are.
fn text(redis: &str, calls: &str, more: &str) -> String {
    format!(
        "service cart {{ {calls} }}\nservice redis {{ port 6379 tcp; endpoints static \"{redis}\" }}\n\
         authorize redis {{ allow from cart }}\n{more}\n"
    )
}

/// What becomes of a connection: what the server says first, or nothing where it is reset.
fn heard_at(address: SocketAddr) -> Result<String, std::io::ErrorKind> {
    let mut stream = connect_to(address);
    let mut byte = [0];
    match stream.read(&mut byte) {
        Ok(0) => Ok(String::new()),
        Ok(_) => Ok(format!("{}{}", char::from(byte[0]), greeting(&mut stream))),
        Err(error) => Err(error.kind()),
    }
}

const RESET: std::io::ErrorKind = std::io::ErrorKind::ConnectionReset;

#[test]
fn bytes_that_name_nobody_are_a_call_of_whom_their_address_is() {
    let (one, two) = (server("one"), server("two"));
    let more = format!(
        "service db {{ port sql 5432 tcp target {}; port admin 80 http; endpoints static \"127.0.0.1\" }}\n\
         authorize db {{ allow from cart to port sql; allow from cart to port admin }}",
        two.address.rsplit(':').next().unwrap()
    );
    let mesh = Mesh::start(
        &text(&one.address, "calls redis; calls db port sql", &more),
        &["cart", "cart->redis", "cart->db:sql", "cart->db.default:5432"],
    );
    for (door, name) in [
        ("cart.default->redis", "one;"),
        ("cart.default->db:sql", "two;"),
        ("cart.default->db.default:5432", "two;"),
    ] {
        let mut stream = connect_to(mesh.address(door));
        assert_eq!(greeting(&mut stream), name, "{door}: the server speaks first");
        stream.write_all(b"set a 1").unwrap();
        stream.shutdown(Shutdown::Write).unwrap();
        let mut heard = String::new();
        stream.read_to_string(&mut heard).unwrap();
        assert_eq!(heard, "SET A 1;7", "{door}");
    }
    let log = mesh.log();
    assert_eq!(log.len(), 3);
    for part in [
        "\"entry\":\"cart.default->redis\"",
        "\"method\":\"\"",
        "\"flags\":\"\"",
        "\"service\":\"redis.default\"",
        "\"rule\":\"route redis.default rule default\"",
    ] {
        assert!(log[0].contains(part), "{part} in {}", log[0]);
    }
}

#[test]
fn a_route_spreads_calls_and_who_does_not_let_them_in_resets_them() {
    let (one, two) = (server("one"), server("two"));
    let more = format!(
        "route redis {{ to redis 50%, other 50% }}\nservice other {{ port 6379 tcp; endpoints static \"{}\" }}\n\
         authorize other {{ allow from cart, job\ndeny from cart, unauthenticated }}\nservice job {{ calls other }}",
        two.address
    );
    let mesh = Mesh::start(&text(&one.address, "calls redis", &more), &["cart->redis"]);
    let heard: Vec<_> = (0..40).map(|_| heard_at(mesh.address("cart.default->redis"))).collect();
    assert!(heard.iter().all(|own| *own == Ok("one;".to_owned()) || *own == Err(RESET)), "{heard:?}");
    let denied = heard.iter().filter(|own| own.is_err()).count();
    assert!(denied > 0 && denied < heard.len(), "{heard:?}");
    let line = "\"rule\":\"authorize other.default: deny from cart, unauthenticated\"";
    let told = mesh.log();
    let told = told.iter().filter(|own| own.contains(line) && own.contains("\"flags\":\"UAEX\""));
    assert_eq!(told.count(), denied);
    assert_eq!(two.connections.load(Ordering::SeqCst), 0);
}

#[test]
fn calls_go_inside_mutual_tls_and_are_decided_again_before_the_service() {
    const CART: &str = "spiffe://local.test/ns/default/sa/cart";
    const REDIS: &str = "spiffe://local.test/ns/default/sa/redis";
    let (authority, one, called_at) = (Authority::new(), server("one"), free_address());
    let identities = [CART, REDIS].map(|id| authority.identity(id)).to_vec();
    let words = format!("mesh m {{ mtls strict }}\n{}", text(&called_at.to_string(), "calls redis", ""));
    let inbound = [("redis", called_at, &*one.address)];
    let mesh = Mesh::start_as(&words, &["cart->redis"], identities, &inbound);
    assert_eq!(heard_at(mesh.address("cart.default->redis")), Ok("one;".to_owned()));
    let mut plain = connect_to(called_at);
    plain.write_all(b"hello").unwrap();
    assert_eq!(greeting(&mut plain), "", "without TLS nobody gets there");
    let log = mesh.log();
    let own = |line: &&String| line.contains("\"entry\":\"redis.default:6379\"");
    let decided: Vec<_> = log.iter().filter(own).collect();
    assert!(decided.iter().any(|line| line.contains(&format!("\"peer\":\"{CART}\""))), "{log:?}");
    assert!(decided.iter().any(|line| line.contains("\"rule\":\"mtls strict: redis.default\"")), "{log:?}");
    assert_eq!(one.connections.load(Ordering::SeqCst), 1);
}

#[test]
fn limits_of_a_call_hold_for_its_connections() {
    let one = server("one");
    let calls = "calls redis { circuit-breaker { max-connections 1; max-pending-requests 1; pending-timeout 200ms }\nidle-timeout 1500ms }";
    let mesh = Mesh::start(&text(&one.address, calls, ""), &["cart->redis"]);
    let address = mesh.address("cart.default->redis");
    let mut kept = connect_to(address);
    assert_eq!(greeting(&mut kept), "one;");
    assert_eq!(heard_at(address), Err(RESET), "there is no room");
    let began = Instant::now();
    assert_eq!(kept.read(&mut [0]).unwrap_or(0), 0, "silence ends it");
    assert!(began.elapsed() < Duration::from_secs(5));
    let mut flags = super::flags(mesh);
    flags.sort_unstable();
    assert_eq!(flags, ["SI", "UO"]);
}

#[test]
fn a_plan_that_no_longer_has_the_call_refuses_it_and_one_that_has_it_again_does_not() {
    let one = server("one");
    let mesh = Mesh::start(&text(&one.address, "calls redis", ""), &["cart->redis"]);
    let address = mesh.address("cart.default->redis");
    let mut before = connect_to(address);
    assert_eq!(greeting(&mut before), "one;");
    mesh.swap(
        &text(&one.address, "", "service job { calls redis }").replace("allow from cart", "allow from job"),
    );
    assert_eq!(mesh.address("cart.default->redis"), address, "the address stays");
    assert_eq!(heard_at(address), Err(RESET));
    before.write_all(b"a").unwrap();
    let mut byte = [0];
    before.read_exact(&mut byte).unwrap();
    assert_eq!(byte, *b"A", "what began is not cut off");
    drop(before);
    mesh.swap(&text(&one.address, "calls redis", ""));
    assert_eq!(heard_at(address), Ok("one;".to_owned()));
    let log = mesh.log();
    let refused: Vec<_> = log.iter().filter(|line| line.contains("\"flags\":\"UAEX\"")).collect();
    assert_eq!(refused.len(), 1, "{log:?}");
    assert!(
        refused[0].contains("\"rule\":\"\"") && refused[0].contains("\"service\":\"\""),
        "{}",
        refused[0]
    );
}

/// A directory with a project, which is gone at the end.
struct Folder(PathBuf);

impl Folder {
    fn of(text: &str) -> Folder {
        let unique = format!("mesh-called-{}-{:x}", std::process::id(), fastrand::u64(..));
        let path = std::env::temp_dir().join(unique);
        std::fs::create_dir(&path).unwrap();
        std::fs::write(path.join("shop.mesh"), text).unwrap();
        Folder(path)
    }

    /// The plan that `mesh build` makes of it.
    fn built(&self) -> PathBuf {
        let plan = self.0.join("shop.mplan");
        let (code, said, errors) = run(mesh().arg("build").arg(&self.0).arg("-o").arg(&plan));
        assert_eq!(code, 0, "{said}{errors}");
        plan
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        // What cannot be removed stays in the system's temporary directory.
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// The sidecar of `cart`, with these flags besides.
fn of_cart(plan: &Path, flags: &[&str]) -> Command {
    let mut command = mesh_proxy();
    command.arg("--plan").arg(plan).args(["--service", "cart"]).args(flags);
    command
}

#[test]
fn no_address_of_the_proxy_is_one_of_a_network() {
    let words = text(
        "127.0.0.1:1",
        "calls redis, bastions",
        "service bastions { external \"198.51.100.0/24\"; port 22 tcp }\nauthorize bastions { allow from cart }",
    );
    let folder = Folder::of(&words);
    let plan = folder.built();
    let proxy = |flags: &[&str]| of_cart(&plan, flags);
    let (code, _, errors) = run(&mut proxy(&["--call", "bastions=127.0.0.1:0"]));
    assert_eq!(code, 2, "{errors}");
    let why =
        "`bastions.default:22` is networks, and who connects to an address of this proxy says none of theirs";
    assert!(errors.contains(why), "{errors}");
    let with_it = Running::start(&mut proxy(&["--call", "redis=127.0.0.1:0", "--outbound", "127.0.0.1:0"]));
    with_it.wait_for("serving plan");
    assert!(with_it.said().iter().all(|line| !line.contains("cannot call")), "{:?}", with_it.said());
}

#[test]
fn an_address_of_no_call_is_a_mistake_and_a_call_without_one_is_told() {
    let words = text(
        "127.0.0.1:1",
        "calls redis, web",
        "service web { port 80 http }\nauthorize web { allow from cart }",
    );
    let folder = Folder::of(&words);
    let plan = folder.built();
    let proxy = |flags: &[&str]| of_cart(&plan, flags);
    for (asked, why) in [
        ("web=127.0.0.1:0", "`cart.default` calls no `tcp` port of `web`: it calls `redis.default:6379`"),
        (
            "redis:80=127.0.0.1:0",
            "`cart.default` calls no `tcp` port of `redis:80`: it calls `redis.default:6379`",
        ),
        (
            "nobody=127.0.0.1:0",
            "`cart.default` calls no `tcp` port of `nobody`: it calls `redis.default:6379`",
        ),
        ("redis", "such as redis=127.0.0.1:6379"),
    ] {
        let (code, said, errors) = run(&mut proxy(&["--call", asked]));
        assert_eq!(code, 2, "{asked}: {said}{errors}");
        assert!(errors.contains(why), "{asked}: {errors}");
    }
    let alone = Running::start(&mut proxy(&["--outbound", "127.0.0.1:0"]));
    let told = alone.wait_for("warning: `cart.default` cannot call `redis.default:6379`");
    assert!(told.contains("say --call redis.default:6379=ADDRESS (or MESH_CALL)"), "{told}");
    let with_it = Running::start(&mut proxy(&["--call", "redis=127.0.0.1:0"]));
    with_it.wait_for("cart.default->redis on 127.0.0.1:");
    with_it.wait_for("serving plan");
    // A later plan that lacks it is taken over.
    let later =
        text("127.0.0.1:1", "", "service job { calls redis }").replace("allow from cart", "allow from job");
    let later = Folder::of(&later);
    let other = later.built();
    let said = with_it.said().len();
    std::fs::rename(other, &plan).unwrap();
    with_it.wait_after(said, "warning: `cart.default` calls no `tcp` port of `redis` in this plan");
    assert!(with_it.said().iter().all(|line| !line.contains("cannot call")), "{:?}", with_it.said());
}

#[test]
fn of_several_ports_an_address_says_which() {
    let more = "service db { port a 1000 tcp; port b 1001 tcp }\nauthorize db { allow from cart to port a; allow from cart to port b }";
    let folder = Folder::of(&text("127.0.0.1:1", "calls db port a; calls db port b; calls redis", more));
    let plan = folder.built();
    let mistake = |asked: &str| {
        let mut command = mesh_proxy();
        command.arg("--plan").arg(&plan).args(["--service", "cart", "--call", asked]);
        let (code, said, errors) = run(&mut command);
        assert_eq!(code, 2, "{asked}: {said}{errors}");
        errors
    };
    let either = mistake("db=127.0.0.1:0");
    let why = "the call of `db` by `cart.default` could be that of `db.default:1000` or `db.default:1001`: say which";
    assert!(either.contains(why), "{either}");
    let neither = mistake("db:c=127.0.0.1:0");
    assert!(
        neither.contains("`cart.default` calls no `tcp` port of `db:c`: it calls `db.default:1000`, "),
        "{neither}"
    );
}

#[test]
fn mesh_up_has_an_address_for_each_call_of_a_tcp_port() {
    let words = "gateway edge {\n  listener web port 18080 http {\n    host \"*\"\n  }\n}\nroute edge {\n  to cart\n}\nauthorize edge {\n  allow from anyone\n}\n\
                 service cart {\n  port 80 http\n  calls redis\n}\nauthorize cart {\n  allow from gateway edge\n}\n\
                 service redis {\n  port 6379 tcp\n}\nauthorize redis {\n  allow from cart\n}\n";
    let folder = Folder::of(words);
    let up = Up::start(&folder.0);
    let line = up.wait_for("call      cart.default to redis.default:6379");
    let address = line.rsplit_once("tcp://").unwrap().1.trim().to_owned();
    // What stands in for Redis speaks HTTP.
    assert_eq!(Client::connect(&address).get("redis", "/", &[]).unwrap().0, 200);
    // And what stands in for the cart calls it there.
    let edge = up.address("gateway", "edge");
    let (status, body) = Client::connect(&edge).get("shop.example", "/", &[]).unwrap();
    assert_eq!(status, 200);
    assert!(body.contains("\"service\": \"redis.default\""), "{body}");
    assert_eq!(up.interrupt(), Some(0));
}
