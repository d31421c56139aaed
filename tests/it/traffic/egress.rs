//! Calls to services outside whose endpoints are who is asked for.

use super::flags;
use super::mutual::status;
use super::passthrough::{alert, hello, said};
use super::termination::{BOTH, Shelf, ask as ask_over, client, connect};
use mesh_proxy::Certificates;
use mesh_tests::authority::Authority;
use mesh_tests::dns::{Dns, Entry};
use mesh_tests::harness::{Mesh, Upstream};
use mesh_tests::secure::Secure;
use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::time::Duration;

/// An address of this machine that is not one of loopback: to there, no caller leads a proxy.
fn own_address() -> IpAddr {
    let socket = UdpSocket::bind("0.0.0.0:0").unwrap();
    // Nothing is sent: the kernel says from where it would be.
    socket.connect("198.51.100.1:9").expect("this machine has a way to others");
    let own = socket.local_addr().unwrap().ip();
    assert!(!own.is_loopback() && !own.is_unspecified(), "{own}");
    own
}

/// A service that calls partners, who are outside at this port, known by these statements.
fn text(port: &str, statements: &str) -> String {
    format!(
        "service web {{ port 80 http; calls partners }}\nauthorize web {{ allow from anyone }}\n\
         service partners {{ port {port}; {statements} }}\nauthorize partners {{ allow from web, gateway edge }}\n\
         gateway edge {{ listener web port 80 http {{ host \"*\" }} }}\nauthorize edge {{ allow from anyone }}\n\
         route edge {{ rule own {{ match /own; to partners; rewrite host \"eu.x.test\" }}\nrule other {{ match /other; to partners }}\notherwise 404 }}\n"
    )
}

/// The statuses of requests for these hosts.
fn ask(mesh: &Mesh, hosts: &[&str]) -> Vec<u16> {
    let mut client = mesh.connect("web.default");
    hosts.iter().map(|host| client.get(host, "/a", &[]).unwrap().0).collect()
}

#[test]
fn who_is_asked_for_is_looked_up_and_never_leads_to_this_machine_or_its_neighbours() {
    let own = own_address().to_string();
    let at = SocketAddr::new(own.parse().unwrap(), 0);
    let partner = Upstream::start_at(at, |_| (200, "partner".to_owned(), Duration::ZERO));
    let port = partner.address.parse::<SocketAddr>().unwrap().port();
    let dns = Dns::start();
    for (name, address) in [
        ("eu.x.test", own.as_str()),
        ("www.y.test", &own),
        ("deep.eu.y.test", &own),
        ("self.x.test", "127.0.0.1"),
        ("mapped.x.test", "::ffff:127.0.0.1"),
        ("six.x.test", "::1"),
        ("zero.x.test", "0.0.0.0"),
        ("cloud.x.test", "169.254.169.254"),
        ("other.test", &own),
    ] {
        dns.is_at(name, &[address]);
    }
    dns.says("mixed.x.test", Entry::At(vec!["127.0.0.1".parse().unwrap(), own.parse().unwrap()], 1));
    let outside = "external \"*.x.test\", \"www.y.test\", \"*.localhost\"; tls none";
    let mesh = Mesh::start_calling(&text(&format!("80 http target {port}"), outside), &["web"], &dns, None);
    assert_eq!(dns.asked("eu.x.test"), 0, "nobody has asked for it");
    assert_eq!(ask(&mesh, &["eu.x.test", "EU.x.test.", "www.y.test", "mixed.x.test"]), [200; 4]);
    assert!(partner.heads()[0].contains("\r\nhost: eu.x.test\r\n"), "{:?}", partner.heads());
    let nowhere = [
        "self.x.test",
        "mapped.x.test",
        "six.x.test",
        "zero.x.test",
        "cloud.x.test",
        "none.x.test",
        "a.localhost",
    ];
    assert_eq!(ask(&mesh, &nowhere), [503; 7]);
    assert_eq!(ask(&mesh, &["other.test", "deep.eu.y.test", "a.b.x.test", "x.test", "127.0.0.1"]), [403; 5]);
    assert_eq!(dns.asked("other.test"), 0, "whom nobody may call is not looked up");
    assert_eq!(
        ask(&mesh, &["partners"]),
        [503],
        "who is asked for by the service's own name is none of them"
    );
    let mut client = mesh.connect("edge.default/web");
    assert_eq!(client.get("shop.test", "/own", &[]).unwrap().0, 200, "a rule says who");
    assert_eq!(client.get("shop.test", "/other", &[]).unwrap().0, 503);
    assert_eq!(partner.heads().len(), 5);
    let flags = flags(mesh);
    assert_eq!(flags.iter().filter(|flag| *flag == "DF").count(), 7, "{flags:?}");
    assert_eq!(flags.iter().filter(|flag| *flag == "UH").count(), 2, "{flags:?}");
}

#[test]
fn an_address_of_a_network_is_where_it_says_but_for_this_machine_and_its_neighbours() {
    let own = own_address();
    let partner =
        Upstream::start_at(SocketAddr::new(own, 0), |_| (200, "partner".to_owned(), Duration::ZERO));
    let port = partner.address.parse::<SocketAddr>().unwrap().port();
    let outside = format!(
        "external \"{own}/32\", \"127.0.0.0/8\", \"169.254.0.0/16\", \"0.0.0.0/32\", \"::/64\", \"fe80::/10\"; tls none"
    );
    let text = text(&format!("80 http target {port}"), &outside);
    let mesh = Mesh::start_calling(&text, &["web"], &Dns::start(), None);
    let host = own.to_string();
    assert_eq!(ask(&mesh, &[&host, &format!("{host}:80"), &format!("[::ffff:{host}]")]), [200; 3]);
    assert!(partner.heads()[0].contains(&format!("\r\nhost: {host}\r\n")), "{:?}", partner.heads());
    let near = [
        "127.0.0.1",
        "127.9.9.9",
        "169.254.169.254",
        "0.0.0.0",
        "[::1]",
        "[::]",
        "[fe80::1]",
        "[::ffff:127.0.0.1]",
    ];
    assert_eq!(ask(&mesh, &near), [503; 8]);
    assert_eq!(ask(&mesh, &["198.51.100.1", "127.1", "2130706433", "0x7f.0.0.1"]), [403; 4]);
    assert_eq!(partner.heads().len(), 3);
    assert_eq!(flags(mesh).iter().filter(|flag| *flag == "UH").count(), 8);
}

#[test]
fn who_is_asked_for_has_to_answer_over_tls() {
    let (authority, shelf) = (Authority::new(), Shelf::default());
    shelf.set("bankers", &authority.bundle(), "");
    let certificates = Certificates::of(Box::new(shelf));
    let own = own_address().to_string();
    let bank =
        Secure::start_at(&format!("{own}:0"), "bank", &authority.server(&["eu.x.test", "us.x.test"]), None);
    let port = bank.address.parse::<SocketAddr>().unwrap().port();
    let dns = Dns::start();
    for name in ["eu.x.test", "us.x.test", "asia.x.test"] {
        dns.is_at(name, &[&own]);
    }
    let plan = |tls: &str| text(&format!("80 http target {port}"), &format!("external \"*.x.test\"; {tls}"));
    let mesh = Mesh::start_calling(&plan("tls ca \"bankers\""), &["web"], &dns, Some(certificates.clone()));
    assert_eq!(ask(&mesh, &["eu.x.test", "us.x.test", "eu.x.test", "asia.x.test"]), [200, 200, 200, 503]);
    let names: Vec<_> = bank.heard().into_iter().map(|heard| heard.name.unwrap_or_default()).collect();
    assert_eq!(names, ["eu.x.test", "us.x.test", "eu.x.test"], "each name has its own connections");
    let log = mesh.log();
    assert!(
        log[3].contains("\"flags\":\"UF\"") && log[3].contains("certificate not valid for name"),
        "{}",
        log[3]
    );
    let mesh = Mesh::start_calling(&plan("tls insecure"), &["web"], &dns, Some(certificates.clone()));
    assert_eq!(ask(&mesh, &["asia.x.test"]), [200]);
    assert_eq!(bank.heard().last().unwrap().name.as_deref(), Some("asia.x.test"));
    let one = plan("tls host \"eu.x.test\" ca \"bankers\"");
    let mesh = Mesh::start_calling(&one, &["web"], &dns, Some(certificates));
    assert_eq!(ask(&mesh, &["asia.x.test"]), [200], "whom the certificate must be of is said");
    assert_eq!(bank.heard().last().unwrap().name.as_deref(), Some("eu.x.test"));
}

#[test]
fn tls_that_is_passed_on_goes_to_who_is_asked_for() {
    let authority = Authority::new();
    let own = own_address().to_string();
    let bank = Secure::start_at(&format!("{own}:0"), "bank", &authority.server(&["eu.x.test"]), None);
    let port = bank.address.parse::<SocketAddr>().unwrap().port();
    let dns = Dns::start();
    dns.is_at("eu.x.test", &[&own]);
    dns.is_at("self.x.test", &["127.0.0.1"]);
    let outside = text(&format!("443 tls target {port}"), "external \"*.x.test\", \"**.y.test\"");
    let outside = outside.split("gateway edge {").next().unwrap().replace(", gateway edge", "");
    let mesh = Mesh::start_calling(&outside, &["web"], &dns, None);
    let address = mesh.address("web.default");
    let mut stream = connect(address, &client(&authority, &BOTH, None), "eu.x.test").unwrap();
    assert_eq!(status(&ask_over(&mut stream, "eu.x.test", "/")), 200);
    assert_eq!(said(address, &hello(&authority, "x.test")), alert(49));
    assert_eq!(said(address, &hello(&authority, "self.x.test")), b"", "nobody is there");
    let log = mesh.log();
    assert!(
        log.iter().any(|line| line.contains("\"host\":\"self.x.test\"") && line.contains("\"flags\":\"DF\"")),
        "{log:?}"
    );
}
