//! A plan from the one who signs it to the proxies that serve it, all as processes: keys, signatures, the server, what is kept, and
//! everything that must not be taken over.

use mesh_tests::process::{Running, mesh, mesh_proxy, run};
use mesh_tests::up::Client;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// A directory of its own, removed at the end.
struct Place(PathBuf);

impl Place {
    fn new(name: &str) -> Place {
        let unique = format!("mesh-release-{name}-{}-{:x}", std::process::id(), fastrand::u64(..));
        let path = std::env::temp_dir().join(unique);
        fs::create_dir_all(&path).expect("a directory");
        Place(path)
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }

    /// Runs `mesh` here.
    fn mesh(&self, arguments: &[&str]) -> (i32, String, String) {
        run(mesh().current_dir(&self.0).args(arguments))
    }

    /// Runs `mesh` here, which has to succeed.
    #[track_caller]
    fn ok(&self, arguments: &[&str]) -> String {
        let (code, output, errors) = self.mesh(arguments);
        assert_eq!(code, 0, "{arguments:?}: {output}{errors}");
        output
    }

    /// Builds a plan in which gateway `edge` answers with this text.
    fn build(&self, port: u16, answer: &str) {
        let text = format!(
            "gateway edge {{ listener web port {port} http {{ host \"*\" }} }}\n\
             authorize edge {{ allow from anyone }}\n\
             route edge {{ rule all {{ match /**\n respond 200 \"{answer}\" }} }}\n\
             service web {{ port 80 http; calls cart }}\n\
             service cart {{ port 80 http }}\n\
             authorize cart {{ allow from web }}\n"
        );
        fs::write(self.path("a.mesh"), text).expect("a file");
        self.ok(&["build", "a.mesh", "-o", "plan.mplan"]);
    }

    /// Builds and signs it, in the place of what is there.
    fn release(&self, port: u16, answer: &str, generation: u64) {
        self.build(port, answer);
        let generation = generation.to_string();
        let key = ["--key", "release.key", "--generation", &generation, "-o", "signed.mplan"];
        self.ok(&[&["plan", "sign", "plan.mplan"][..], &key].concat());
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// A port that nobody has on any address, for a moment.
fn free_port() -> u16 {
    std::net::TcpListener::bind("0.0.0.0:0").and_then(|socket| socket.local_addr()).expect("a port").port()
}

fn get(address: &str) -> String {
    Client::connect(address).get("a", "/", &[]).expect("an answer").1
}

#[track_caller]
fn eventually(what: &str, mut holds: impl FnMut() -> bool) {
    let start = Instant::now();
    while !holds() {
        assert!(start.elapsed() < Duration::from_secs(60), "{what} never came to be");
        std::thread::sleep(Duration::from_millis(20));
    }
}

#[test]
fn a_program_is_told_what_was_made() {
    let place = Place::new("json");
    place.build(80, "one");
    let ask = |arguments: &[&str]| -> serde_json::Value {
        let said = place.ok(&[arguments, &["--format", "json"]].concat());
        serde_json::from_str(&said).unwrap_or_else(|_| panic!("no document: {said}"))
    };
    let key = ask(&["plan", "keygen", "-o", "release"]);
    assert_eq!((&key["private"], &key["public"]), (&"release.key".into(), &"release.pub".into()));
    let signed = ask(&["plan", "sign", "plan.mplan", "--key", "release.key", "--generation", "3"]);
    assert_eq!(signed["schema"], "mesh.plan.signed/v1");
    assert_eq!(signed["key"], key["id"], "it says who signed");
    let length = fs::metadata(place.path("plan.mplan")).expect("a file").len();
    assert_eq!((&signed["bytes"], &signed["signed"]["generation"]), (&length.into(), &3.into()));
    let verified = ask(&["plan", "verify", "plan.mplan", "--key", "release.pub"]);
    assert_eq!(verified["signed"], signed["signed"]);
    let (code, output, errors) = place.mesh(&["serve", "plan.mplan", "--format", "json"]);
    assert!(code == 2 && errors.contains("/v1/proxies"), "{errors}");
    let refused: serde_json::Value =
        serde_json::from_str(&output).expect("programs are told as programs are");
    assert_eq!(refused["error"]["message"].as_str().map(|message| errors.contains(message)), Some(true));
}

#[test]
fn who_signed_a_plan_is_checked() {
    let place = Place::new("sign");
    place.build(80, "one");
    assert_eq!(place.ok(&["plan", "keygen", "-o", "release"]), "release.key\nrelease.pub\n");
    let (code, _, errors) = place.mesh(&["plan", "keygen", "-o", "release"]);
    assert!(code == 2 && errors.contains("`release.key` is there already"), "{errors}");
    let mode = std::os::unix::fs::PermissionsExt::mode(
        &fs::metadata(place.path("release.key")).expect("a key").permissions(),
    );
    assert_eq!(mode & 0o777, 0o600, "nobody else reads it");
    place.ok(&["plan", "keygen", "-o", "other"]);

    let (code, _, errors) = place.mesh(&["plan", "sign", "plan.mplan", "--key", "release.key"]);
    assert!(code == 2 && errors.contains("--generation 42"), "{errors}");
    let (code, _, errors) = place.mesh(&["plan", "sign", "plan.mplan", "--generation", "1"]);
    assert!(code == 2 && errors.contains("MESH_SIGNING_KEY"), "{errors}");
    let (code, _, errors) =
        place.mesh(&["plan", "sign", "plan.mplan", "--generation", "1", "--key", "release.pub"]);
    assert!(code == 2 && errors.contains("there is no `-----BEGIN PRIVATE KEY-----` in it"), "{errors}");

    let sign = ["plan", "sign", "plan.mplan", "--key", "release.key", "--generation", "3", "--env", "live"];
    let said = place.ok(&[&sign[..], &["-o", "signed.mplan"]].concat());
    assert!(said.contains("generation 3  environment live  4 parts"), "{said}");
    let again = place.ok(&[&sign[..], &["-o", "again.mplan"]].concat());
    assert_eq!(said.split_once("  ").map(|s| s.1), again.split_once("  ").map(|s| s.1));
    let bytes = |name: &str| fs::read(place.path(name)).expect("a file");
    assert_eq!(bytes("signed.mplan"), bytes("again.mplan"), "same plan, same key, same bytes");

    let verify = |key: &str, environment: &str| {
        place.mesh(&["plan", "verify", "signed.mplan", "--key", key, "--env", environment])
    };
    let (code, output, _) = verify("release.pub", "live");
    assert!(code == 0 && output.contains("signed by key "), "{output}");
    for (key, environment, why) in [
        ("other.pub", "live", "none of its signatures is by a pinned key"),
        ("release.pub", "test", "it is for environment `live`, and environment `test` is served here"),
        ("release.key", "live", "it holds a private key"),
        ("plan.mplan", "live", "plan.mplan"),
    ] {
        let (code, output, errors) = verify(key, environment);
        assert!(code == 2 && output.is_empty() && errors.contains(why), "{errors}");
    }
    let (_, _, errors) = place.mesh(&["plan", "verify", "plan.mplan", "--key", "release.pub"]);
    assert!(errors.contains("it is not signed"), "{errors}");

    // A second signature, with a key from the environment; a new generation starts anew.
    let secret = fs::read_to_string(place.path("other.key")).expect("a key");
    let cosign = ["plan", "sign", "signed.mplan"];
    let (code, output, errors) =
        run(mesh().current_dir(&place.0).args(cosign).env("MESH_SIGNING_KEY", &secret));
    assert!(code == 0 && output.contains("2 signatures"), "{output}{errors}");
    assert_eq!(verify("other.pub", "live").0, 0);
    let line = secret.lines().nth(1).expect("a line of the key");
    assert!(!output.contains(line) && !errors.contains(line), "a key is never printed");
    assert!(!bytes("signed.mplan").windows(16).any(|window| line.as_bytes().starts_with(window)));
    place.ok(&["plan", "sign", "signed.mplan", "--key", "other.key", "--generation", "4"]);
    assert_eq!(verify("release.pub", "live").0, 2, "nobody else has signed that");
    let read = place.ok(&["plan", "inspect", "signed.mplan"]);
    assert!(read.contains("generation 4\n") && read.contains("service cart.default"), "{read}");
    // What takes plans takes signed ones.
    assert_eq!(place.mesh(&["diff", "plan.mplan", "signed.mplan", "--exit-code"]).0, 0);
}

/// A proxy of gateway `edge`.
fn edge(place: &Path, source: &str, name: &str, bind: &str, pinned: bool) -> Running {
    let mut command = mesh_proxy();
    command.current_dir(place).args([
        "--plan",
        source,
        "--gateway",
        "edge",
        "--bind",
        bind,
        "--workers",
        "1",
    ]);
    command.args(["--state", &format!("state-{name}")]);
    if source.starts_with("http") {
        command.args(["--node", name]);
    }
    if pinned {
        command.args(["--plan-key", "release.pub"]);
    }
    Running::start(&mut command)
}

#[test]
fn a_file_is_taken_over_only_with_a_good_signature_and_a_higher_generation() {
    let place = Place::new("file");
    let port = free_port();
    place.ok(&["plan", "keygen", "-o", "release"]);
    place.ok(&["plan", "keygen", "-o", "other"]);
    place.release(port, "five", 5);
    let proxy = edge(&place.0, "signed.mplan", "a", "127.0.0.1", true);
    proxy.wait_for("serving plan");
    let address = format!("127.0.0.1:{port}");
    assert_eq!(get(&address), "five");

    let refuse = |why: &str, change: &dyn Fn()| {
        let before = proxy.said().len();
        change();
        let said = proxy.wait_after(before, "is not taken over");
        assert!(said.contains(why), "{said}");
        assert_eq!(get(&address), "five");
    };
    let replace = |from: &str| fs::rename(place.path(from), place.path("signed.mplan")).expect("a rename");
    refuse("generation 4, and generation 5 was taken over", &|| place.release(port, "four", 4));
    refuse("another plan of generation 5", &|| place.release(port, "other five", 5));
    refuse("it is not signed", &|| {
        place.build(port, "unsigned");
        replace("plan.mplan");
    });
    refuse("none of its signatures is by a pinned key", &|| {
        place.build(port, "stranger");
        place.ok(&["plan", "sign", "plan.mplan", "--key", "other.key", "--generation", "9"]);
        replace("plan.mplan");
    });
    refuse("its signature does not fit", &|| {
        place.build(port, "forged");
        place.ok(&["plan", "sign", "plan.mplan", "--key", "release.key", "--generation", "8"]);
        let bytes = fs::read(place.path("plan.mplan")).expect("a plan");
        let at = bytes.windows(12).position(|window| window == b"generation 8").expect("the statement") + 11;
        fs::write(place.path("forged"), [&bytes[..at], b"9", &bytes[at + 1..]].concat()).expect("a file");
        replace("forged");
    });
    refuse("it is for environment `test`", &|| {
        place.build(port, "elsewhere");
        let sign =
            ["plan", "sign", "plan.mplan", "--key", "release.key", "--generation", "8", "--env", "test"];
        place.ok(&sign);
        replace("plan.mplan");
    });
    refuse("neither a plan nor", &|| {
        fs::write(place.path("garbage"), "MESHBNDX").expect("a file");
        replace("garbage");
    });
    // Back to what was before, as a new generation.
    place.release(port, "four", 6);
    eventually("generation 6", || get(&address) == "four");
    eventually("generation 6 on disk", || {
        let kept = fs::read(place.path("state-a/last-good.mplan")).expect("a plan is kept");
        kept.windows(13).any(|window| window == b"generation 6\n")
    });
    proxy.kill();

    // Across a restart the generation is known, though the file is older.
    place.release(port, "five", 5);
    let proxy = edge(&place.0, "signed.mplan", "a", "127.0.0.1", true);
    proxy.wait_for("starting with the last good plan");
    proxy.wait_for("serving plan");
    assert_eq!(get(&address), "four");
}

#[test]
fn of_a_directory_the_highest_generation_counts() {
    let place = Place::new("directory");
    let port = free_port();
    place.ok(&["plan", "keygen", "-o", "release"]);
    fs::create_dir(place.path("plans")).expect("a directory");
    let put = |name: &str| {
        fs::rename(place.path("signed.mplan"), place.path("plans").join(name)).expect("a rename");
    };
    place.release(port, "two", 2);
    put("b.mplan");
    place.release(port, "one", 1);
    put("c.mplan");
    let proxy = edge(&place.0, "plans", "a", "127.0.0.1", true);
    proxy.wait_for("serving plan");
    let address = format!("127.0.0.1:{port}");
    assert_eq!(get(&address), "two");
    place.release(port, "three", 3);
    put("a.mplan");
    eventually("generation 3", || get(&address) == "three");
    fs::write(place.path("plans/d.mplan"), "garbage").expect("a file");
    fs::remove_file(place.path("plans/b.mplan")).expect("a file");
    std::thread::sleep(Duration::from_millis(300));
    assert_eq!(get(&address), "three", "what cannot be used is passed over");
}

/// Proxies that get their plan from one server.
const PROXIES: usize = 20;

#[test]
fn proxies_outlive_their_server_and_the_server_knows_who_serves_what() {
    let place = Place::new("serve");
    let port = free_port();
    place.ok(&["plan", "keygen", "-o", "release"]);
    place.ok(&["plan", "keygen", "-o", "other"]);
    place.release(port, "one", 1);
    let serve = |listen: &str| {
        let mut command = mesh();
        command.current_dir(&place.0).args(["serve", "signed.mplan", "--listen", listen]);
        let server = Running::start(&mut command);
        let url = server.wait_for("http://");
        (server, url)
    };
    let (server, url) = serve("127.0.0.1:0");
    let plans = url.trim_start_matches("http://").to_owned();
    let bind = |index: usize| format!("127.0.77.{}", index + 1);
    let start = |index: usize| edge(&place.0, &url, &format!("edge-{index:02}"), &bind(index), true);
    let mut proxies: Vec<Running> = (0..PROXIES).map(start).collect();
    let all_answer = |answer: &str| {
        (0..PROXIES).all(|index| {
            let address = format!("{}:{port}", bind(index));
            std::net::TcpStream::connect(&address).is_ok() && get(&address) == answer
        })
    };
    eventually("generation 1 everywhere", || all_answer("one"));
    let states = |state: &str| get(&plans).lines().filter(|line| line.contains(state)).count();
    eventually("a table of current proxies", || states("current") == PROXIES);

    place.release(port, "two", 2);
    eventually("generation 2 everywhere", || all_answer("two"));
    eventually("a table of current proxies", || states("generation 2") == PROXIES + 1);

    // A plan that the server may hand out and no proxy takes.
    place.build(port, "stranger");
    place.ok(&[
        "plan",
        "sign",
        "plan.mplan",
        "--key",
        "other.key",
        "--generation",
        "3",
        "-o",
        "signed.mplan",
    ]);
    eventually("a table of refusals", || states("rejected") == PROXIES);
    assert!(all_answer("two"));
    let table = get(&plans);
    assert!(table.contains("none of its signatures is by a pinned key"), "{table}");
    let document = Client::connect(&plans).get("a", "/v1/proxies", &[]).expect("an answer").1;
    let document: serde_json::Value = serde_json::from_str(&document).expect("JSON");
    assert_eq!(document["proxies"][0]["applied"], "2");
    assert_eq!(document["proxies"][0]["rejected"], "3");

    // The newest plan is damaged: the server keeps the one before.
    fs::write(place.path("damaged"), b"MESHBNDL damaged").expect("a file");
    fs::rename(place.path("damaged"), place.path("signed.mplan")).expect("a rename");
    server.wait_for("generation 3 is still handed out");
    assert!(all_answer("two"));

    // Without their server proxies go on, and start.
    server.kill();
    proxies.drain(..).for_each(Running::kill);
    proxies.extend((0..PROXIES).map(start));
    eventually("generation 2 everywhere", || all_answer("two"));
    proxies.iter().for_each(|proxy| drop(proxy.wait_for("starting with the last good plan")));

    // It comes back with something new.
    place.release(port, "four", 4);
    let (server, _) = serve(&plans);
    eventually("generation 4 everywhere", || all_answer("four"));
    eventually("a table of current proxies", || states("current") == PROXIES);
    server.wait_for("serves generation 4");
}

#[test]
fn a_server_says_what_it_does_not_have_and_waits_only_when_asked() {
    let place = Place::new("ask");
    place.build(80, "one");
    let mut command = mesh();
    command.current_dir(&place.0).args(["serve", "plan.mplan", "--listen", "127.0.0.1:0"]);
    let server = Running::start(&mut command);
    let plans = server.wait_for("http://").trim_start_matches("http://").to_owned();
    let mut client = Client::connect(&plans);
    for (path, status, text) in [
        ("/v1/plan", 400, "say whose plan"),
        ("/v1/plan?port=80", 400, "say whose plan"),
        ("/v1/plan?service=crat", 404, "no service `crat`: it has cart.default, web.default"),
        ("/v1/plans", 404, "there are /v1/plan, /v1/proxies and /"),
    ] {
        let (found, body) = client.get("a", path, &[]).expect("an answer");
        assert!(found == status && body.contains(text), "{path}: {found} {body}");
    }
    assert_eq!(client.ask("POST", "a", "/v1/plan?service=web", &[]).expect("an answer").0, 405);
    let head = client.head("a", "/v1/plan?service=web", &[]).expect("an answer");
    let etag = head.lines().find_map(|line| line.strip_prefix("etag: ")).expect("an entity tag").to_owned();
    let known = format!("if-none-match: {etag}");
    let (status, _) = client.get("a", "/v1/plan?service=web", &[&known]).expect("an answer");
    assert_eq!(status, 304);
    let start = Instant::now();
    let (status, _) =
        client.get("a", "/v1/plan?service=web", &[&known, "prefer: wait=1"]).expect("an answer");
    assert!(status == 304 && start.elapsed() >= Duration::from_secs(1));
}

#[test]
fn plans_come_over_tls_from_a_server_that_is_known() {
    let place = Place::new("tls");
    let port = free_port();
    place.build(port, "one");
    for (name, address) in [("server", "127.0.0.1"), ("stranger", "127.0.0.2")] {
        let made = rcgen::generate_simple_self_signed([address.to_owned()]).expect("a certificate");
        fs::write(place.path(&format!("{name}.pem")), made.cert.pem()).expect("a file");
        fs::write(place.path(&format!("{name}.key")), made.signing_key.serialize_pem()).expect("a file");
    }
    let mut command = mesh();
    command.current_dir(&place.0).args(["serve", "plan.mplan", "--listen", "127.0.0.1:0"]);
    command.args(["--tls-cert", "server.pem", "--tls-key", "server.key"]);
    let server = Running::start(&mut command);
    let url = server.wait_for("https://");
    let start = |authority: &str, bind: &str| {
        let mut command = mesh_proxy();
        command.current_dir(&place.0).args(["--plan", &url, "--plan-ca", authority, "--gateway", "edge"]);
        Running::start(command.args(["--bind", bind, "--workers", "1"]))
    };
    let known = start("server.pem", "127.0.0.1");
    known.wait_for("serving plan");
    assert_eq!(get(&format!("127.0.0.1:{port}")), "one");
    let stranger = start("stranger.pem", "127.0.0.2");
    let said = stranger.wait_for("gives no plan");
    assert!(said.contains("certificate"), "{said}");
}
