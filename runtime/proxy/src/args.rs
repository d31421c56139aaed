//! Every flag of `mesh-proxy`, and its twin in the environment.

mod help;

use crate::credentials::workload::Endpoint;
use crate::privileges::{self, User};
use clap::builder::{BoolishValueParser, Resettable};
use clap::error::ErrorKind;
use clap::{Command, CommandFactory as _, FromArgMatches as _, Parser, ValueEnum};
use mesh_plan::parts::Wanted;
use mesh_proxy::{Bound, Door};
use std::collections::BTreeSet;
use std::ffi::OsString;
use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

/// Workers for which there are no cores only wait for each other, and each has its own connections to every endpoint.
const MAX_WORKERS: usize = 1_024;

/// Routes, authorizes and forwards HTTP as a plan says.
#[derive(Debug, Parser)]
#[command(name = "mesh-proxy", version, after_help = help::EXAMPLES, after_long_help = help::long())]
pub(crate) struct Args {
    /// The plan: what `mesh build` or `mesh plan sign` wrote, a directory of such files, or the URL of a `mesh serve`
    #[arg(long, env = "MESH_PLAN", value_name = "FILE|DIR|URL", value_parser = source)]
    pub(crate) plan: Source,

    /// Take over only plans signed with one of these public keys (PEM); can be repeated, or a list separated by commas
    #[arg(long, env = "MESH_PLAN_KEY", value_name = "FILE", value_delimiter = ',')]
    pub(crate) plan_key: Vec<PathBuf>,

    /// Take over only plans signed for this environment
    #[arg(long, env = "MESH_ENVIRONMENT", value_name = "NAME")]
    pub(crate) environment: Option<String>,

    /// Keep the last good plan and the last certificate of --ca in this directory, and start with them where there are no others
    #[arg(long, env = "MESH_STATE", value_name = "DIR")]
    pub(crate) state: Option<PathBuf>,

    /// Certificate authorities (PEM) of the plan's server; without it, those of the system
    #[arg(long, env = "MESH_PLAN_CA", value_name = "FILE")]
    pub(crate) plan_ca: Option<PathBuf>,

    /// Certificate authorities (PEM) of the servers that `jwks "https://…"` names; without it, those of the system
    #[arg(long, env = "MESH_JWKS_CA", value_name = "FILE")]
    pub(crate) jwks_ca: Option<PathBuf>,

    /// Ask this server of DNS for the addresses of endpoints, instead of those of /etc/resolv.conf; can be repeated, or a list separated by commas
    #[arg(long, env = "MESH_RESOLVER", value_name = "IP[:PORT]", value_delimiter = ',', value_parser = resolver)]
    pub(crate) resolver: Vec<SocketAddr>,

    /// What the plan's server calls this proxy; without it, the host's name and the process id
    #[arg(long, env = "MESH_NODE", value_name = "NAME")]
    pub(crate) node: Option<String>,

    /// Serve this gateway; can be repeated, or a list separated by commas
    #[arg(long, env = "MESH_GATEWAY", value_name = "NAME", value_delimiter = ',')]
    pub(crate) gateway: Vec<String>,

    /// Serve every gateway of the plan
    #[arg(long, env = "MESH_ALL_GATEWAYS", value_parser = BoolishValueParser::new())]
    pub(crate) all_gateways: bool,

    /// Be the sidecar of this service
    #[arg(long, env = "MESH_SERVICE", value_name = "NAME")]
    pub(crate) service: Option<String>,

    /// Where the service sends its calls
    #[arg(long, env = "MESH_OUTBOUND", value_name = "ADDRESS", requires = "service", value_parser = address)]
    pub(crate) outbound: Option<SocketAddr>,

    /// Where the service makes a call of a `tcp` port, which says nobody's name: SERVICE is whom it calls, with the port's number or name where it
    /// calls several. Can be repeated, or a list separated by commas
    #[arg(long, env = "MESH_CALL", value_name = "SERVICE[:PORT]=ADDRESS", requires = "service", value_delimiter = ',', value_parser = call)]
    pub(crate) call: Vec<Call>,

    /// Where calls of the service come in, and where it listens itself; of a service with several ports, which one: its name or number. Can be
    /// repeated, or a list separated by commas
    #[arg(long, env = "MESH_INBOUND", value_name = "[PORT=]ADDRESS=ADDRESS", requires = "service", value_delimiter = ',', value_parser = inbound)]
    pub(crate) inbound: Vec<Inbound>,

    /// The proxy's certificate, an X.509 SVID, and those between it and a root (PEM)
    #[arg(long, env = "MESH_SVID", value_name = "FILE", requires_all = ["svid_key", "trust_bundle"])]
    pub(crate) svid: Option<PathBuf>,

    /// Its private key (PEM)
    #[arg(long, env = "MESH_SVID_KEY", value_name = "FILE", requires = "svid")]
    pub(crate) svid_key: Option<PathBuf>,

    /// Certificates of the authorities of its trust domain (PEM), or of another one; can be repeated, or a list separated by commas
    #[arg(long, env = "MESH_TRUST_BUNDLE", value_name = "[DOMAIN=]FILE", requires = "svid", value_delimiter = ',', value_parser = bundle)]
    pub(crate) trust_bundle: Vec<Bundle>,

    /// Certificates that their authorities have taken back: revocation lists (PEM, `X509 CRL`) of the roots; can be repeated, or a list separated by commas
    #[arg(long, env = "MESH_CRL", value_name = "FILE", requires = "svid", value_delimiter = ',')]
    pub(crate) crl: Vec<PathBuf>,

    /// Where the proxy gets its certificate instead, and renews it: the URL of a `mesh ca serve`
    #[arg(long, env = "MESH_CA", value_name = "URL", conflicts_with = "svid", requires = "ca_bundle", value_parser = secure_url)]
    pub(crate) ca: Option<String>,

    /// Certificates of the authority (PEM): whoever answers at --ca has to have one that they vouch for
    #[arg(long, env = "MESH_CA_BUNDLE", value_name = "FILE", requires = "ca")]
    pub(crate) ca_bundle: Option<PathBuf>,

    /// What `mesh ca token` printed, for the first certificate
    #[arg(long, env = "MESH_JOIN_TOKEN_FILE", value_name = "FILE", requires = "ca")]
    pub(crate) join_token_file: Option<PathBuf>,

    /// Where the proxy gets its certificates instead: the socket of an agent of the SPIFFE Workload API; without it, what SPIFFE_ENDPOINT_SOCKET says
    #[arg(long, env = "MESH_WORKLOAD_API", value_name = "unix:///PATH", conflicts_with_all = ["svid", "ca"], value_parser = Endpoint::read)]
    pub(crate) workload_api: Option<Endpoint>,

    /// Where the certificates are that listeners show and services outside see, by name: NAME.crt and NAME.key, or NAME/tls.crt and NAME/tls.key (PEM)
    #[arg(long, env = "MESH_CERTIFICATES", value_name = "DIRECTORY")]
    pub(crate) certificates: Option<PathBuf>,

    /// The interface of the gateways; without it, every one
    #[arg(long, env = "MESH_BIND", value_name = "IP", default_value = "0.0.0.0", value_parser = interface)]
    pub(crate) bind: IpAddr,

    /// The cluster that this proxy is in: `local` in `failover`
    #[arg(long, env = "MESH_CLUSTER", value_name = "NAME")]
    pub(crate) cluster: Option<String>,

    /// The zone that this proxy is in, for `locality zone`: what the label `zone` of an endpoint says
    #[arg(long, env = "MESH_ZONE", value_name = "NAME")]
    pub(crate) zone: Option<String>,

    /// Once the ports are open, be this user, with no other groups: a name or a number, and `:GID` where its own group is not meant
    #[arg(long, env = "MESH_USER", value_name = "USER[:GID]", value_parser = privileges::user)]
    pub(crate) user: Option<User>,

    /// Give up programs, written files but --state, and system calls that a proxy does not need
    #[arg(long, env = "MESH_SANDBOX", value_name = "WHETHER", value_enum, default_value_t)]
    pub(crate) sandbox: Sandbox,

    /// Worker threads; 0 is one for each core
    #[arg(long, env = "MESH_WORKERS", value_name = "N", default_value_t = 0, value_parser = workers)]
    pub(crate) workers: usize,

    /// Answer /live, /ready and /plan here, on loopback
    #[arg(long, env = "MESH_ADMIN", value_name = "ADDRESS", value_parser = address)]
    pub(crate) admin: Option<SocketAddr>,

    /// Where one JSON line for each request goes: `plan` is stdout, where the plan says `access-log json`; `stdout` also where it says nothing
    #[arg(long, env = "MESH_ACCESS_LOG", value_name = "WHERE", value_enum, default_value_t)]
    pub(crate) access_log: AccessLog,

    /// Say in each answer which plan decided: `x-mesh-plan`, the first digits of its digest
    #[arg(long, env = "MESH_PLAN_HEADER", value_parser = BoolishValueParser::new())]
    pub(crate) plan_header: bool,

    /// How much clients may cost, such as connections=2000 or tls-time=5s, see below; can be repeated, or a list separated by commas
    #[arg(long = "limit", env = "MESH_LIMIT", value_name = "NAME=VALUE", value_delimiter = ',', value_parser = Bound::read)]
    pub(crate) limits: Vec<(Bound, u64)>,

    /// How long requests in flight may take when the proxy or one of its listeners ends, such as 30s or 1m30s
    #[arg(long, env = "MESH_DRAIN", value_name = "DURATION", default_value = "30s", value_parser = duration)]
    pub(crate) drain: Duration,
}

/// A port of the service.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Inbound {
    port: Option<String>,
    listen: SocketAddr,
    application: SocketAddr,
}

/// A call of a `tcp` port.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Call {
    callee: String,
    listen: SocketAddr,
}

/// A file of certificates, and the trust domain that they vouch for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Bundle {
    pub(crate) domain: Option<String>,
    pub(crate) path: PathBuf,
}

/// Where the plan comes from.
#[derive(Clone, Debug)]
pub(crate) enum Source {
    /// A file, or a directory of files.
    Path(PathBuf),
    /// A server.
    Url(String),
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Source::Path(path) => path.display().fmt(f),
            Source::Url(url) => f.write_str(url),
        }
    }
}

/// Whether what a proxy does not need is given up.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum Sandbox {
    #[default]
    On,
    Off,
}

/// Where the access log goes.
#[derive(Clone, Copy, Debug, Default, ValueEnum)]
pub(crate) enum AccessLog {
    #[default]
    Plan,
    Stdout,
    None,
}

impl Args {
    /// What this process was started with. Ends it where that is a mistake, or a question.
    pub(crate) fn of_process() -> Args {
        Args::read(Args::command_here(), std::env::args_os()).unwrap_or_else(|error| error.exit())
    }

    fn read(mut command: Command, words: impl IntoIterator<Item = OsString>) -> Result<Args, clap::Error> {
        let args = Args::from_arg_matches(&command.try_get_matches_from_mut(words)?)
            .map_err(|error| error.format(&mut command))?;
        let mistake = |kind, what: &str| Err(command.clone().error(kind, what));
        if args.all_gateways && !args.gateway.is_empty() {
            let what =
                "--all-gateways serves every gateway: leave it (or MESH_ALL_GATEWAYS) or --gateway away";
            return mistake(ErrorKind::ArgumentConflict, what);
        }
        let over_tls = matches!(&args.plan, Source::Url(url) if url.starts_with("https://"));
        if args.plan_ca.is_some() && !over_tls {
            let what = "--plan-ca (or MESH_PLAN_CA) is for a plan's server at https://…: leave it away";
            return mistake(ErrorKind::ArgumentConflict, what);
        }
        if args.node.is_some() && matches!(args.plan, Source::Path(_)) {
            let what = "--node (or MESH_NODE) is for a plan's server, and the plan is a file: leave it away";
            return mistake(ErrorKind::ArgumentConflict, what);
        }
        if args.service.is_some()
            && args.outbound.is_none()
            && args.inbound.is_empty()
            && args.call.is_empty()
        {
            let what = "a sidecar has an --outbound or a --call, where its service calls, or an --inbound, where it is called, or both";
            return mistake(ErrorKind::MissingRequiredArgument, what);
        }
        if args.doors().is_empty() {
            let what = "there is nothing to serve: say --gateway NAME, --all-gateways, or --service NAME and \
                        --outbound ADDRESS or --inbound ADDRESS=ADDRESS";
            return mistake(ErrorKind::MissingRequiredArgument, what);
        }
        Ok(args)
    }

    /// The flags, each with its variable unless that is empty: whoever writes `MESH_ADMIN=` means none.
    fn command_here() -> Command {
        Args::command().mut_args(|arg| {
            let empty = arg.get_env().and_then(std::env::var_os).is_some_and(|value| value.is_empty());
            if empty { arg.env(Resettable::Reset) } else { arg }
        })
    }

    /// Whose parts of a plan the doors need.
    pub(crate) fn wanted(&self) -> BTreeSet<Wanted> {
        let mut wanted: BTreeSet<_> = self.gateway.iter().cloned().map(Wanted::Gateway).collect();
        wanted.extend(self.all_gateways.then_some(Wanted::Gateways));
        wanted.extend(self.service.clone().map(Wanted::Service));
        wanted
    }

    pub(crate) fn doors(&self) -> Vec<Door> {
        let gateway =
            |name: &String| Door::Gateway { name: name.clone(), bind: self.bind, port_override: None };
        let mut doors: Vec<_> = self.gateway.iter().map(gateway).collect();
        if self.all_gateways {
            doors.push(Door::Gateways { bind: self.bind });
        }
        if let (Some(service), Some(listen)) = (&self.service, self.outbound) {
            doors.push(Door::Sidecar { service: service.clone(), listen });
        }
        if let Some(service) = &self.service {
            doors.extend(self.call.iter().map(|own| Door::Call {
                service: service.clone(),
                callee: own.callee.clone(),
                listen: own.listen,
            }));
            doors.extend(self.inbound.iter().map(|own| Door::Inbound {
                service: service.clone(),
                port: own.port.clone(),
                listen: own.listen,
                application: own.application,
            }));
        }
        doors
    }
}

fn source(text: &str) -> Result<Source, String> {
    match text.split_once("://") {
        Some(("http" | "https", rest)) if !rest.is_empty() => Ok(Source::Url(text.to_owned())),
        Some((scheme, _)) => {
            Err(format!("`{scheme}` is not spoken: write http://… or https://…, or the path of a file"))
        }
        None => Ok(Source::Path(PathBuf::from(text))),
    }
}

fn secure_url(text: &str) -> Result<String, String> {
    match text.strip_prefix("https://") {
        Some(rest) if !rest.is_empty() => Ok(text.trim_end_matches('/').to_owned()),
        _ => Err("write https:// and where it listens, such as https://ca.internal:7071".to_owned()),
    }
}

fn address(text: &str) -> Result<SocketAddr, String> {
    text.parse().map_err(|_| "write an IP address and a port, such as 127.0.0.1:9901".to_owned())
}

/// Without a port, that of DNS (RFC 1035 4.2).
fn resolver(text: &str) -> Result<SocketAddr, String> {
    let wrong = |_| {
        "write an IP address, with a port where it is not 53, such as 10.0.0.53 or [fd00::53]:5353".to_owned()
    };
    text.parse().or_else(|_| text.parse().map(|ip: IpAddr| (ip, 53).into()).map_err(wrong))
}

fn call(text: &str) -> Result<Call, String> {
    let wrong = || {
        "write whom it calls and where it connects to, such as redis=127.0.0.1:6379 or redis.shop:6379=127.0.0.1:6379"
            .to_owned()
    };
    let (callee, listen) = text.rsplit_once('=').ok_or_else(wrong)?;
    if callee.is_empty() || callee.contains('=') {
        return Err(wrong());
    }
    Ok(Call { callee: callee.to_owned(), listen: listen.parse().map_err(|_| wrong())? })
}

fn inbound(text: &str) -> Result<Inbound, String> {
    let wrong =
        || "write where it is called and where it listens, such as 10.0.0.7:8080=127.0.0.1:8080".to_owned();
    let (before, application) = text.rsplit_once('=').ok_or_else(wrong)?;
    let (port, listen) = match before.split_once('=') {
        Some((port, listen)) => (Some(port.to_owned()), listen),
        None => (None, before),
    };
    let parse = |text: &str| text.parse().map_err(|_| wrong());
    Ok(Inbound { port, listen: parse(listen)?, application: parse(application)? })
}

fn bundle(text: &str) -> Result<Bundle, String> {
    let (domain, path) = match text.split_once('=') {
        Some((domain, path)) => (Some(domain.to_owned()), path),
        None => (None, text),
    };
    match path {
        "" => Err("write the path of a file".to_owned()),
        path => Ok(Bundle { domain, path: PathBuf::from(path) }),
    }
}

fn interface(text: &str) -> Result<IpAddr, String> {
    text.parse()
        .map_err(|_| "write an IP address, such as 127.0.0.1, or 0.0.0.0 for every interface".to_owned())
}

fn workers(text: &str) -> Result<usize, String> {
    let workers = text.parse().map_err(|_| "write a number, such as 4".to_owned())?;
    if workers > MAX_WORKERS {
        return Err("at most 1024: workers for which there are no cores only wait for each other".to_owned());
    }
    Ok(workers)
}

/// A duration as the language writes it: pairs of digits and `h`, `m`, `s` or `ms`.
fn duration(text: &str) -> Result<Duration, String> {
    let wrong = || "write it as 30s, 500ms or 1m30s".to_owned();
    let mut rest = text;
    let mut millis: u64 = 0;
    while !rest.is_empty() {
        let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
        let (number, after) = rest.split_at_checked(digits).ok_or_else(wrong)?;
        let letters = after.bytes().take_while(u8::is_ascii_alphabetic).count();
        let (unit, after) = after.split_at_checked(letters).ok_or_else(wrong)?;
        let unit = match unit {
            "h" => 3_600_000,
            "m" => 60_000,
            "s" => 1_000,
            "ms" => 1,
            _ => return Err(wrong()),
        };
        // Five digits, as in the language, cannot overflow.
        let number = number.parse::<u64>().ok().filter(|_| digits <= 5).ok_or_else(wrong)?;
        millis += number * unit;
        rest = after;
    }
    if text.is_empty() { Err(wrong()) } else { Ok(Duration::from_millis(millis)) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_flags_are_consistent() {
        <Args as clap::CommandFactory>::command().debug_assert();
    }

    /// The mistake in these flags, after the plan.
    #[track_caller]
    fn mistake(flags: &[&str]) -> String {
        let words = ["mesh-proxy", "--plan", "shop.mplan"].iter().chain(flags).map(OsString::from);
        Args::read(Args::command(), words).unwrap_err().to_string()
    }

    #[test]
    fn a_proxy_without_doors_is_a_mistake() {
        let error = mistake(&[]);
        assert!(error.contains("--gateway") && error.contains("--service"), "{error}");
    }

    #[test]
    fn a_sidecar_says_where_its_service_calls() {
        let error = mistake(&["--service", "web"]);
        assert!(error.contains("--outbound") && error.contains("--inbound"), "{error}");
    }

    #[test]
    fn an_inbound_port_says_where_it_is_called_and_where_it_listens() {
        let (listen, application) = ("10.0.0.7:8080".parse().unwrap(), "127.0.0.1:80".parse().unwrap());
        let own = |port: Option<&str>| Inbound { port: port.map(str::to_owned), listen, application };
        assert_eq!(inbound("10.0.0.7:8080=127.0.0.1:80"), Ok(own(None)));
        assert_eq!(inbound("grpc=10.0.0.7:8080=127.0.0.1:80"), Ok(own(Some("grpc"))));
        for wrong in ["", "10.0.0.7:8080", "10.0.0.7=127.0.0.1:80", "a=b=c=d"] {
            assert!(inbound(wrong).unwrap_err().contains("such as"), "{wrong}");
        }
        let error = mistake(&["--gateway", "edge", "--inbound", "10.0.0.7:8080=127.0.0.1:80"]);
        assert!(error.contains("--service"), "{error}");
    }

    #[test]
    fn a_call_says_whom_and_where() {
        let listen = "127.0.0.1:6379".parse().unwrap();
        for callee in ["redis", "redis.shop:6379", "redis:db"] {
            let own = Call { callee: callee.to_owned(), listen };
            assert_eq!(call(&format!("{callee}=127.0.0.1:6379")), Ok(own));
        }
        for wrong in ["", "redis", "=127.0.0.1:6379", "redis=6379", "a=b=127.0.0.1:6379"] {
            assert!(call(wrong).unwrap_err().contains("such as"), "{wrong}");
        }
        let error = mistake(&["--gateway", "edge", "--call", "redis=127.0.0.1:6379"]);
        assert!(error.contains("--service"), "{error}");
    }

    #[test]
    fn a_certificate_has_a_key_and_a_bundle() {
        let error = mistake(&["--gateway", "edge", "--svid", "svid.pem"]);
        assert!(error.contains("--svid-key") && error.contains("--trust-bundle"), "{error}");
        assert!(mistake(&["--gateway", "edge", "--svid-key", "key.pem"]).contains("--svid"));
        let named = Bundle { domain: Some("partner.example".to_owned()), path: PathBuf::from("p.pem") };
        assert_eq!(bundle("partner.example=p.pem"), Ok(named));
        assert_eq!(bundle("p.pem"), Ok(Bundle { domain: None, path: PathBuf::from("p.pem") }));
    }

    #[test]
    fn all_gateways_and_one_are_a_contradiction() {
        let error = mistake(&["--all-gateways", "--gateway", "edge"]);
        assert!(error.contains("every gateway"), "{error}");
    }

    #[test]
    fn what_is_for_a_server_is_no_flag_beside_a_file() {
        let error = mistake(&["--gateway", "edge", "--plan-ca", "ca.pem"]);
        assert!(error.contains("https://"), "{error}");
        let error = mistake(&["--gateway", "edge", "--node", "a"]);
        assert!(error.contains("the plan is a file"), "{error}");
        let words = ["mesh-proxy", "--plan", "http://a", "--gateway", "edge", "--plan-ca", "ca.pem"];
        assert!(Args::read(Args::command(), words.map(OsString::from)).is_err(), "nobody is asked who he is");
        let words = ["mesh-proxy", "--plan", "https://a", "--gateway", "edge", "--plan-ca", "ca.pem"];
        assert!(Args::read(Args::command(), words.map(OsString::from)).is_ok());
    }

    #[test]
    fn a_wrong_value_is_answered_with_a_right_one() {
        for (flag, value, example) in [
            ("--admin", "9901", "such as 127.0.0.1:9901"),
            ("--outbound", "localhost:15001", "such as 127.0.0.1:9901"),
            ("--bind", "lo", "such as 127.0.0.1"),
            ("--workers", "many", "such as 4"),
            ("--workers", "1025", "at most 1024"),
            ("--drain", "30", "30s"),
            ("--limit", "connections=0", "1 to 1000000"),
            ("--limit", "colour=3", "there are connections"),
        ] {
            let error = mistake(&["--gateway", "edge", flag, value]);
            assert!(error.contains(example), "{error}");
        }
        let words = ["mesh-proxy", "--plan", "ftp://plans", "--gateway", "edge"].map(OsString::from);
        let error = Args::read(Args::command(), words).unwrap_err().to_string();
        assert!(error.contains("http://"), "{error}");
    }

    #[test]
    fn durations_are_written_as_in_the_language() {
        assert_eq!(duration("1m30s"), Ok(Duration::from_secs(90)));
        assert_eq!(duration("250ms"), Ok(Duration::from_millis(250)));
        for wrong in ["", "30", "s", "30 s", "-1s", "1d", "100000s", "é"] {
            assert!(duration(wrong).is_err(), "{wrong}");
        }
    }
}
