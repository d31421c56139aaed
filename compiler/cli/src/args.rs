//! Every flag of every command.

use clap::{Args, Parser, Subcommand, ValueEnum};
use mesh_proxy::Bound;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

/// Exit codes are part of the interface; `commands` and the tests refer to the same numbers.
const EXIT_CODES: &str = "\
Exit codes:
  0    all is well
  1    findings at or above --fail-on, failing tests, `fmt --check` would change a file, or
       `diff --exit-code` found a difference
  2    wrong usage, a file that cannot be read or written, or something that is not a plan
  101  a bug in mesh itself
  130  interrupted (mesh up: 0 after a clean stop, 130 where a second Ctrl-C
       cut it short)

Examples:
  mesh check                       look at every .mesh file below this directory
  mesh up examples/bookinfo        run a mesh on this machine and re-plan on save
  mesh explain MESH3001            what a code means and what to do about it";

/// The compiler for service mesh policy: `.mesh` files in, a verified plan for the proxy out.
#[derive(Debug, Parser)]
#[command(name = "mesh", version, after_help = EXIT_CODES)]
pub(crate) struct Arguments {
    #[command(flatten)]
    pub(crate) global: Global,
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// How to print; the same for every command.
#[derive(Debug, Args)]
pub(crate) struct Global {
    /// How findings and results are printed [default: human, or plain where NO_GRAPHICS=1]
    #[arg(long, global = true, env = "MESH_FORMAT", value_enum, hide_env_values = true)]
    pub(crate) format: Option<Format>,
    /// When to use colour; `auto` honours NO_COLOR, CLICOLOR, CLICOLOR_FORCE and TERM=dumb
    #[arg(long, global = true, value_enum, default_value_t = Color::Auto, value_name = "WHEN")]
    pub(crate) color: Color,
    /// Print results and errors, no commentary
    #[arg(short, long, global = true)]
    pub(crate) quiet: bool,
}

/// How findings and results are printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    /// Pictures of the source with what is wrong in it
    Human,
    /// One line each: `file:line:col: error[CODE]: message`
    Short,
    /// One JSON document
    Json,
    /// One JSON document on each line
    Jsonl,
    /// Sentences without drawings, for screen readers
    Plain,
    /// Markdown for a comment on a pull request: `mesh diff`
    Markdown,
}

/// When to use colour.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Color {
    Auto,
    Always,
    Never,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Run a mesh on this machine: proxies, stand-ins for services, a new plan on each save
    ///
    /// Prints for people (--format human, short or plain). With --quiet and without --access-log, standard output is the
    /// addresses of the gateways, one a line.
    #[command(after_help = "\
Examples:
  mesh up                          the project in this directory
  mesh up examples/bookinfo        the sample; then use the curl lines it prints
  mesh up --access-log | jq .      one JSON line for each request")]
    Up(Up),
    /// Look for mistakes
    #[command(after_help = "\
Examples:
  mesh check                       every .mesh file below this directory
  mesh check --fail-on warning     for CI: warnings fail too
  mesh check --format short shop/  one line for each finding
  mesh check --env production      as it is in one environment
  mesh check --fix                 mend what can only have been meant one way, such as `tiemout`
  mesh check --diff                what --fix would change

A warning that may stay is allowed by a remark directly above the statement, with the reason:
  # mesh: allow MESH4001 \"its callers come next week, INC-42\"")]
    Check(Check),
    /// Run the `test` statements against the compiled plan
    #[command(after_help = "\
Examples:
  mesh test                        every test below this directory
  mesh test --filter jason         only tests whose name contains `jason`
  mesh test --format json shop/    results for a program")]
    Test(Test),
    /// Write the canonical layout
    #[command(after_help = "\
Examples:
  mesh fmt                         rewrite what is not in the canonical layout
  mesh fmt --check                 for CI: name the files that would change, change none
  mesh fmt - < a.mesh              standard input to standard output")]
    Fmt(Fmt),
    /// Compile to a plan file
    #[command(after_help = "\
Examples:
  mesh build -o plan.mplan         the project in this directory
  mesh build shop/ -o /etc/mesh/plan.mplan
                                   a running mesh-proxy takes it up at once
  mesh build -o - | ssh edge 'cat > plan.mplan'
                                   the plan on standard output")]
    Build(Build),
    /// What becomes of which requests when one project or plan is replaced by another
    ///
    /// Each of the two is a directory or a file of sources, a plan that `mesh build` wrote, or a revision of git. Decided for every
    /// request, with one of each kind as proof; and whose proxies get something new.
    #[command(after_help = "\
Examples:
  mesh diff main                   this directory against its state in `main`
  mesh diff main..HEAD             two revisions
  mesh diff v1.2:policy .          the directory `policy` of a revision against this one
  mesh diff /etc/mesh/plan.mplan . --env production
                                   what runs against what would run
  mesh diff main --format markdown >> comment.md
                                   for a pull request
  mesh diff main --exit-code       exit code 1 if anything differs")]
    Diff(Diff),
    /// Which `allow` lines let in more than was seen, and narrower ones for them
    ///
    /// What is proposed lets in all of what the log shows and nothing that is not allowed now; both are proved. Conditions stay: a
    /// log does not show what they ask. Nothing is written.
    #[command(after_help = "\
Examples:
  mesh trim --log access.jsonl     the project in this directory against a log of its proxies
  mesh trim --log mon.jsonl --log tue.jsonl shop/ --env production
                                   several logs, another project, one environment
  kubectl logs -l app=web -c mesh-proxy | mesh trim --log -
                                   from standard input")]
    Trim(Trim),
    /// A small certificate authority, for meshes that have no other yet: certificates for `mesh-proxy --svid`
    #[command(subcommand)]
    Ca(Ca),
    /// Look at plans, sign them, check their signatures, put them into a registry and get them from there
    #[command(subcommand)]
    Plan(Plan),
    /// Hand a plan out to proxies over HTTP: to each the parts that it needs, and when there is another plan, that one
    ///
    /// Proxies start with `--plan URL`. What each of them serves, or would not take and why, is at / as a table and at /v1/proxies as
    /// JSON. A new file at the same path is handed out at once; one that cannot be used changes nothing. Whoever reaches the address
    /// can read the plan: keep it inside. Prints the URL, then runs until Ctrl-C.
    #[command(after_help = "\
Examples:
  mesh serve plan.mplan            on this machine, http://127.0.0.1:7070
  mesh serve /srv/plan.mplan --listen 0.0.0.0:7070 --key release.pub \\
    --tls-cert server.pem --tls-key server.key
                                   over HTTPS, and only what is signed
  curl http://127.0.0.1:7070/      which proxy serves what")]
    Serve(Serve),
    /// What a code means and what to do about it, how a statement is written, or where a value comes from
    #[command(after_help = "\
Examples:
  mesh explain MESH3001            by code
  mesh explain ambiguous-rules     by name
  mesh explain retry               a statement: where it stands, its forms, what stands in it
  mesh explain reviews.timeout     a value of this project, and the lines that set it
  mesh explain reviews.timeout shop/ --env production
                                   of another project, in one environment
  mesh explain --list              all codes and statements")]
    Explain(Explain),
    /// Why a request ends as it does: what the plan decides about it, and the lines that say so
    ///
    /// It is the compiled plan that is asked, by the engine that the proxy runs. The exit code is 0 whatever is decided.
    #[command(after_help = "\
Examples:
  mesh why --from web --to cart 'GET /items?sort=price'
  mesh why --to edge --host shop.example 'POST /login' -H 'end-user: jason'
  mesh why --from 'gateway edge' --to cart 'GET /items' --env live shop/")]
    Why(Box<Why>),
    /// Who may call a service, what a service may call, or the whole matrix: decided for all requests
    ///
    /// It is about authorization: what the lines of `authorize` and the guardrails let in. Of a service that calls, it is said
    /// whether it declares that, since its own proxy refuses what it does not. The exit code is 0 whatever the answer is.
    #[command(after_help = "\
Examples:
  mesh who --can-call payments     everybody who is let in, and by which line
  mesh who --can-call payments 'POST /v1/charges'
                                   for these requests
  mesh who --callable-from web shop/
                                   what web is let in to, declared or not
  mesh who --matrix -o csv > matrix.csv
                                   all pairs, for a spreadsheet")]
    Who(Who),
    /// Who calls whom, as a picture
    ///
    /// Lines are declared calls and the routes of gateways, with the rules that send there; a dashed one is denied, a lock is strict
    /// mutual TLS. The same files give the same bytes.
    #[command(after_help = "\
Examples:
  mesh graph --output mesh.svg     SVG of the project in this directory
  mesh graph -o html --output mesh.html shop/
                                   a page to move, zoom and search
  mesh graph -o mermaid            for a place where Markdown is read
  mesh graph -o dot | dot -Tpdf > mesh.pdf
                                   drawn by Graphviz")]
    Graph(Graph),
    /// Write a page for each service and gateway: who may call, what it calls, routes, settings, tests
    ///
    /// Nothing is fetched, and the same files give the same bytes. What differs between environments says so.
    #[command(after_help = "\
Examples:
  mesh doc -o site                 HTML for the project in this directory
  mesh doc shop/ -o docs/mesh --markup markdown
                                   Markdown, for the place where the sources are read")]
    Doc(Doc),
    /// Print a completion script for a shell
    #[command(after_help = "\
Examples:
  mesh completions bash > ~/.local/share/bash-completion/completions/mesh
  mesh completions fish > ~/.config/fish/completions/mesh.fish")]
    Completions {
        /// Whose script
        shell: clap_complete::Shell,
    },
    /// Answer an editor: the Language Server Protocol over standard input and output
    #[command(after_help = "\
Editors start it themselves: lsp/editors/README.md says how each is told to.")]
    Lsp {
        /// What every server takes; there is no other way to speak with this one
        #[arg(long, hide = true)]
        stdio: bool,
    },
    /// Print the version
    Version,
}

/// Which sources: the same for `check`, `build` and `test`.
#[derive(Debug, Args)]
pub(crate) struct Paths {
    /// Files, and directories that are searched for `*.mesh` (not in hidden ones, nor in `target`).
    ///
    /// The project is the directory given; of several paths, the one that holds the others, else the current directory.
    #[arg(value_name = "PATH", default_value = ".")]
    pub(crate) paths: Vec<PathBuf>,
}

/// Which environments: the same for `check` and `test`.
#[derive(Debug, Args)]
pub(crate) struct Environment {
    /// Only this environment (may be given several times); without it, each one that `mesh { environments … }` names
    #[arg(long = "env", value_name = "NAME")]
    pub(crate) environments: Vec<String>,
}

#[derive(Debug, Args)]
pub(crate) struct Check {
    #[command(flatten)]
    pub(crate) sources: Paths,
    #[command(flatten)]
    pub(crate) only: Environment,
    /// Write the fixes that are certain into the files, then look again; what was written is listed
    #[arg(long)]
    pub(crate) fix: bool,
    /// Change nothing; print what `--fix` would change
    #[arg(long)]
    pub(crate) diff: bool,
    /// From which severity on the exit code is 1
    #[arg(long, value_enum, default_value_t = FailOn::Error, value_name = "SEVERITY")]
    pub(crate) fail_on: FailOn,
}

/// From which severity on the exit code is 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum FailOn {
    Error,
    Warning,
    Never,
}

#[derive(Debug, Args)]
pub(crate) struct Diff {
    /// What is replaced: a directory, a `.mesh` file, a plan, a revision of git, or `REVISION:DIR`; `OLD..NEW` says both
    #[arg(value_name = "OLD")]
    pub(crate) old: String,
    /// What replaces it; without it, this directory
    #[arg(value_name = "NEW")]
    pub(crate) new: Option<String>,
    /// Only this environment (may be given several times); without it, each one that the projects name
    #[arg(long = "env", value_name = "NAME")]
    pub(crate) environments: Vec<String>,
    /// Exit with 1 where anything differs that a request could tell
    #[arg(long)]
    pub(crate) exit_code: bool,
}

#[derive(Debug, Args)]
pub(crate) struct Trim {
    #[command(flatten)]
    pub(crate) sources: Paths,
    /// An access log, as `mesh-proxy --access-log` writes it (may be given several times); `-` is standard input
    #[arg(long = "log", value_name = "FILE", required = true)]
    pub(crate) logs: Vec<PathBuf>,
    /// The environment that the log is of; needed where `mesh { environments … }` names several
    #[arg(long = "env", value_name = "NAME")]
    pub(crate) environment: Option<String>,
}

#[derive(Debug, Args)]
pub(crate) struct Build {
    #[command(flatten)]
    pub(crate) sources: Paths,
    /// The environment that the plan is for; needed where `mesh { environments … }` names several
    #[arg(long = "env", value_name = "NAME")]
    pub(crate) environment: Option<String>,
    /// Where to write the plan; `-` is standard output, unless it is a terminal
    #[arg(short, long, value_name = "FILE", default_value = "plan.mplan")]
    pub(crate) output: PathBuf,
}

#[derive(Debug, Args)]
pub(crate) struct Test {
    #[command(flatten)]
    pub(crate) sources: Paths,
    #[command(flatten)]
    pub(crate) only: Environment,
    /// Only tests whose name contains this; that there is none is an error
    #[arg(long, value_name = "TEXT")]
    pub(crate) filter: Option<String>,
}

#[derive(Debug, Args)]
pub(crate) struct Fmt {
    /// Files and directories, or `-` for standard input to standard output
    #[arg(value_name = "PATH", default_value = ".")]
    pub(crate) paths: Vec<PathBuf>,
    /// Change nothing; name the files that would change, and then exit with 1
    #[arg(long)]
    pub(crate) check: bool,
    /// Change nothing; print what would change
    #[arg(long)]
    pub(crate) diff: bool,
}

#[derive(Debug, Args)]
pub(crate) struct Explain {
    /// `MESH3001`, or its name, `ambiguous-rules`, or a statement, `retry`, or a value, `reviews.timeout`; without it, all codes
    /// and statements
    #[arg(value_name = "CODE|KEYWORD|VALUE")]
    pub(crate) asked: Option<String>,
    /// For a value: files, and directories that are searched for `*.mesh`
    #[arg(value_name = "PATH")]
    pub(crate) paths: Vec<PathBuf>,
    #[command(flatten)]
    pub(crate) only: Environment,
    /// All codes and statements
    #[arg(long, conflicts_with_all = ["asked", "environments"])]
    pub(crate) list: bool,
}

#[derive(Debug, Args)]
pub(crate) struct Why {
    /// `GET /items`; none where the target knows connections only
    #[arg(value_name = "REQUEST")]
    pub(crate) request: Option<String>,
    #[command(flatten)]
    pub(crate) sources: Paths,
    /// Who asks: a service, `gateway NAME`, or an identity, `spiffe://…`
    #[arg(long, value_name = "WHO", default_value = "unauthenticated")]
    pub(crate) from: String,
    /// Who is asked: a service, or a gateway
    #[arg(long, value_name = "NAME")]
    pub(crate) to: String,
    /// The port of a service that has several
    #[arg(long, value_name = "PORT")]
    pub(crate) port: Option<String>,
    /// The listener of a gateway that has several
    #[arg(long, value_name = "LISTENER")]
    pub(crate) listener: Option<String>,
    /// The host that a gateway is asked for, where it matters
    #[arg(long, value_name = "HOST")]
    pub(crate) host: Option<String>,
    /// A header (may be given several times); cookies are one
    #[arg(short = 'H', long = "header", value_name = "NAME: VALUE")]
    pub(crate) headers: Vec<String>,
    /// A claim of a verified token (may be given several times)
    ///
    /// `tier=vip`, or `sso:tier=vip` where tokens of several issuers are verified. What is inside another claim is said as a
    /// JSON pointer: `/realm/roles=admin`. The same claim several times is a list.
    #[arg(long = "claim", value_name = "NAME=VALUE")]
    pub(crate) claims: Vec<String>,
    /// A verified token of this `jwt`, whatever it claims
    #[arg(long = "jwt", value_name = "NAME")]
    pub(crate) tokens: Vec<String>,
    /// The other end of the connection
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1")]
    pub(crate) source_ip: std::net::IpAddr,
    /// The client that the first trusted proxy saw
    #[arg(long, value_name = "ADDRESS")]
    pub(crate) client_ip: Option<std::net::IpAddr>,
    /// The environment; needed where there are several
    #[arg(long = "env", value_name = "NAME")]
    pub(crate) environment: Option<String>,
}

#[derive(Debug, Args)]
#[command(group = clap::ArgGroup::new("question").required(true).args(["can_call", "callable_from", "matrix"]))]
pub(crate) struct Who {
    /// Only these requests, as `allow … to` writes them: `POST /v1/charges`, `GET|HEAD /**`
    #[arg(value_name = "OPERATION")]
    pub(crate) operations: Option<String>,
    #[command(flatten)]
    pub(crate) sources: Paths,
    /// Who may call this service
    #[arg(long, value_name = "SERVICE")]
    pub(crate) can_call: Option<String>,
    /// What this service or gateway may call
    #[arg(long, value_name = "NAME")]
    pub(crate) callable_from: Option<String>,
    /// Who may call whom
    #[arg(long)]
    pub(crate) matrix: bool,
    /// Only this port of the service
    #[arg(long, value_name = "PORT", requires = "can_call")]
    pub(crate) port: Option<String>,
    /// For a program; json is what --format json prints
    #[arg(short = 'o', long, value_enum, value_name = "FORM")]
    pub(crate) rendering: Option<Rendering>,
    /// The environment; needed where there are several
    #[arg(long = "env", value_name = "NAME")]
    pub(crate) environment: Option<String>,
}

#[derive(Debug, Args)]
pub(crate) struct Graph {
    #[command(flatten)]
    pub(crate) sources: Paths,
    /// The form of the picture [default: svg, or json with --format json]
    #[arg(short = 'o', long, value_enum, value_name = "FORM")]
    pub(crate) rendering: Option<GraphRendering>,
    /// Write it into a file
    #[arg(long, value_name = "FILE")]
    pub(crate) output: Option<PathBuf>,
    /// Only this namespace, and those that it has to do with as boxes
    #[arg(long, value_name = "NAME", conflicts_with = "by")]
    pub(crate) namespace: Option<String>,
    /// What a box is; without it services, or namespaces where there are very many
    #[arg(long, value_enum, value_name = "WHAT")]
    pub(crate) by: Option<Detail>,
    /// The environment; needed where there are several
    #[arg(long = "env", value_name = "NAME")]
    pub(crate) environment: Option<String>,
}

/// The form of a picture.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum GraphRendering {
    Svg,
    Dot,
    Mermaid,
    Json,
    /// A page that needs nothing beside it
    Html,
}

/// What a box is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Detail {
    Service,
    Namespace,
}

/// How the answer of `mesh who` is printed for a program.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Rendering {
    Csv,
    Json,
}

#[derive(Debug, Args)]
pub(crate) struct Doc {
    #[command(flatten)]
    pub(crate) sources: Paths,
    /// The directory to write to; it is made if it is not there, and other files in it are left alone
    #[arg(short, long, value_name = "DIR")]
    pub(crate) output: PathBuf,
    /// What the pages are written in
    #[arg(long, value_enum, default_value_t = DocFormat::Html)]
    pub(crate) markup: DocFormat,
}

/// What pages are written in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum DocFormat {
    Html,
    Markdown,
}

#[derive(Debug, Args)]
pub(crate) struct Up {
    /// The project's directory, or its one file
    #[arg(value_name = "DIR", default_value = ".")]
    pub(crate) path: PathBuf,
    /// The environment to run; without it, the first that is not `production`
    #[arg(long = "env", value_name = "NAME")]
    pub(crate) environment: Option<String>,
    /// Print one JSON line for each request on standard output
    #[arg(long)]
    pub(crate) access_log: bool,
    /// How much clients may cost, such as requests=100 or idle-time=5s, as `mesh-proxy --help` says; can be repeated
    #[arg(long = "limit", value_name = "NAME=VALUE", value_delimiter = ',', value_parser = Bound::read)]
    pub(crate) limits: Vec<(Bound, u64)>,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Ca {
    /// Make an authority for a trust domain: TRUST_DOMAIN.key, which stays secret, and TRUST_DOMAIN.pem, for the proxies
    ///
    /// While one authority takes the place of another, proxies get both certificates: `--trust-bundle` can be repeated.
    #[command(after_help = "\
Examples:
  mesh ca init local.test          local.test.key and local.test.pem
  mesh ca init shop.example --dir /etc/mesh/ca --days 365")]
    Init {
        /// The trust domain, as in `mesh { trust-domain … }`; without one there, it is `local.test`
        trust_domain: String,
        /// Where the files go
        #[arg(long = "dir", value_name = "DIR", default_value = ".")]
        directory: PathBuf,
        /// How long it is valid
        #[arg(long, value_name = "N", default_value_t = 3650, value_parser = clap::value_parser!(u32).range(1..=36_500))]
        days: u32,
    },
    /// Make a certificate for a service or gateway: NAME.key, which stays secret, and NAME.pem
    ///
    /// What is there already is replaced as a whole, and a proxy that uses it takes it over at once.
    #[command(after_help = "\
Examples:
  mesh ca issue spiffe://local.test/ns/default/sa/web -o web
                                   web.key and web.pem, signed with local.test.key
  mesh-proxy --service web --svid web.pem --svid-key web.key --trust-bundle local.test.pem …")]
    Issue {
        /// Whose it is, as the plan has it
        #[arg(value_name = "SPIFFE_ID")]
        id: String,
        /// Where the authority's files are
        #[arg(long = "dir", value_name = "DIR", default_value = ".")]
        directory: PathBuf,
        /// How long it is valid
        #[arg(long, value_name = "N", default_value_t = 24, value_parser = clap::value_parser!(u32).range(1..=8_760))]
        hours: u32,
        /// The beginning of the two files' names
        #[arg(short, long, value_name = "NAME")]
        output: PathBuf,
    },
    /// Make a join token: who has it gets a certificate of one identity from `mesh ca serve`
    ///
    /// It is printed once; the authority keeps a hash of it in TRUST_DOMAIN.tokens. It is for one proxy unless --uses says more, and a proxy
    /// that asks once more with the same key is answered again.
    #[command(after_help = "\
Examples:
  mesh ca token spiffe://local.test/ns/default/sa/web > web.token
                                   for one proxy, within ten minutes
  mesh ca token spiffe://local.test/ns/default/sa/web --uses 20 --ttl 1h
                                   for twenty proxies of the same service")]
    Token {
        /// Whose certificate it gets, as the plan has it
        #[arg(value_name = "SPIFFE_ID")]
        id: String,
        /// Where the authority's files are
        #[arg(long = "dir", value_name = "DIR", default_value = ".")]
        directory: PathBuf,
        /// How long it may be used: a number and s, m, h or d
        #[arg(long, value_name = "TIME", default_value = "10m", value_parser = time)]
        ttl: Duration,
        /// By how many proxies it may be used
        #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=10_000))]
        uses: u32,
    },
    /// Give certificates to proxies over HTTPS: for a join token, and from then on for the certificate that they have
    ///
    /// A proxy makes its key itself and keeps it. Whose certificate it gets is said by the token, or by the certificate that it has. With each
    /// one come the roots to believe, so a root is replaced while everything runs (`mesh ca rotate`). What is given and what is refused is
    /// one line each. Prints the URL, then runs until Ctrl-C.
    #[command(after_help = "\
Examples:
  mesh ca serve local.test         on this machine, https://127.0.0.1:7071
  mesh ca serve shop.example --dir /etc/mesh/ca --listen 0.0.0.0:7071 --name ca.internal
                                   for others, who call it ca.internal
  mesh-proxy --ca https://ca.internal:7071 --ca-bundle shop.example.pem \\
    --join-token-file web.token --state /var/lib/mesh …")]
    Serve(CaServe),
    /// Take certificates back before they end: TRUST_DOMAIN.crl, a revocation list (RFC 5280 5)
    ///
    /// `mesh ca serve` renews no certificate that is taken back, and tells each proxy of the list within 15 seconds; a proxy with --svid reads it
    /// as --crl. From then on who has the certificate is refused and cut off. Give a new join token to whom you still believe.
    #[command(after_help = "\
Examples:
  mesh ca revoke local.test --serial 4f:21:0c:9e
                                   as the lines of `mesh ca serve` say it
  mesh ca revoke local.test --certificate web.pem
  mesh ca revoke local.test        the same list, for another year")]
    Revoke {
        /// The trust domain
        trust_domain: String,
        /// The serial number of a certificate, in hex; can be repeated
        #[arg(long = "serial", value_name = "HEX", value_parser = serial)]
        serials: Vec<Serial>,
        /// A file with a certificate in PEM; can be repeated
        #[arg(long = "certificate", value_name = "FILE")]
        certificates: Vec<PathBuf>,
        /// Where the authority's files are
        #[arg(long = "dir", value_name = "DIR", default_value = ".")]
        directory: PathBuf,
    },
    /// Replace the authority's root while everything runs: prepare, activate, finish
    ///
    /// Between the steps all proxies renew their certificates, which takes half of the --ttl of `mesh ca serve`: so nobody meets a root that
    /// it does not know. A `mesh ca serve` that runs takes each step over at once.
    #[command(after_help = "\
Examples:
  mesh ca rotate prepare local.test     a second root is believed
  mesh ca rotate activate local.test    it signs, and the first one is still believed
  mesh ca rotate finish local.test      the first one is forgotten")]
    Rotate {
        /// Which step
        #[arg(value_enum)]
        step: Step,
        /// The trust domain
        trust_domain: String,
        /// Where the authority's files are
        #[arg(long = "dir", value_name = "DIR", default_value = ".")]
        directory: PathBuf,
        /// How long the next root is valid
        #[arg(long, value_name = "N", default_value_t = 3650, value_parser = clap::value_parser!(u32).range(1..=36_500))]
        days: u32,
    },
}

/// A step of a rotation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Step {
    Prepare,
    Activate,
    Finish,
}

#[derive(Debug, Args)]
pub(crate) struct CaServe {
    /// The trust domain
    pub(crate) trust_domain: String,
    /// Where the authority's files are
    #[arg(long = "dir", value_name = "DIR", default_value = ".")]
    pub(crate) directory: PathBuf,
    /// Where proxies ask; port 0 is any free port
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:7071")]
    pub(crate) listen: SocketAddr,
    /// What proxies call this server in their --ca, a host or an IP address; can be repeated. Without it, the address of --listen
    #[arg(long = "name", value_name = "NAME")]
    pub(crate) names: Vec<String>,
    /// How long certificates are valid: a number and s, m, h or d
    #[arg(long, value_name = "TIME", default_value = "24h", value_parser = time)]
    pub(crate) ttl: Duration,
}

/// The serial number of a certificate, as bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Serial(pub(crate) Vec<u8>);

/// Serial numbers have at most 20 bytes (RFC 5280 4.1.2.2), and a zero in front where the first bit is set.
const MAX_SERIAL: usize = 21;

/// Two hex digits for each byte, with colons between them or without.
fn serial(text: &str) -> Result<Serial, String> {
    let digits: String = text.chars().filter(|digit| *digit != ':').collect();
    let is_hex = !digits.is_empty() && digits.bytes().all(|digit| digit.is_ascii_hexdigit());
    if !is_hex || digits.len() % 2 == 1 || digits.len() > 2 * MAX_SERIAL {
        return Err("write it as `mesh ca serve` tells it, such as 4f:21:0c:9e".to_owned());
    }
    let pairs = (0..digits.len()).step_by(2).map(|at| u8::from_str_radix(&digits[at..at + 2], 16));
    pairs.collect::<Result<_, _>>().map(Serial).map_err(|error| error.to_string())
}

/// A year: what lasts longer is not short-lived.
const MAX_TIME: u64 = 365 * 24 * 3_600;

/// A number and a unit.
fn time(text: &str) -> Result<Duration, String> {
    let units = [('s', 1), ('m', 60), ('h', 3_600), ('d', 24 * 3_600)];
    let found = units.into_iter().find_map(|(unit, seconds)| Some((text.strip_suffix(unit)?, seconds)));
    let number = found.and_then(|(number, seconds)| Some(number.parse::<u32>().ok()? as u64 * seconds));
    match number {
        Some(seconds @ 1..=MAX_TIME) => Ok(Duration::from_secs(seconds)),
        Some(_) => Err("write a time between 1s and 365d".to_owned()),
        None => Err("write a number and s, m, h or d, such as 10m or 24h".to_owned()),
    }
}

#[derive(Debug, Subcommand)]
pub(crate) enum Plan {
    /// Verify a plan and print what it says
    #[command(after_help = "\
Examples:
  mesh plan inspect plan.mplan                  for reading
  mesh plan inspect plan.mplan --format json    digest, services and gateways for a program")]
    Inspect {
        /// The plan, signed or not
        file: PathBuf,
    },
    /// Make a key to sign plans with: NAME.key, which stays secret, and NAME.pub, for the proxies
    ///
    /// They are Ed25519 keys in PEM, as `openssl genpkey -algorithm ed25519` makes them: such ones will do, too.
    #[command(after_help = "\
Examples:
  mesh plan keygen -o release      release.key and release.pub")]
    Keygen {
        /// The beginning of the two files' names; what is there already is not overwritten
        #[arg(short, long, value_name = "NAME")]
        output: PathBuf,
    },
    /// Sign a plan: its parts, what it is for, and its generation
    #[command(after_help = "\
Examples:
  mesh plan sign plan.mplan --key release.key --generation 42
                                   plan.mplan is a signed plan now
  mesh plan sign plan.mplan --key release.key --generation 42 --env production -o /srv/plan.mplan
                                   only proxies of that environment take it
  mesh plan sign signed.mplan --key other.key
                                   a second signature
  mesh plan sign last-week.mplan --key release.key --generation 43
                                   back to an older plan: proxies refuse a lower generation")]
    Sign(Sign),
    /// Check who signed a plan, what it is for, and that it is whole
    #[command(after_help = "\
Examples:
  mesh plan verify plan.mplan --key release.pub
  mesh plan verify plan.mplan --key release.pub --env production")]
    Verify {
        /// The plan
        file: PathBuf,
        /// A public key, PEM (may be given several times): one of them has to have signed
        #[arg(long = "key", value_name = "FILE", required = true)]
        keys: Vec<PathBuf>,
        /// The environment that it has to be for
        #[arg(long = "env", value_name = "NAME")]
        environment: Option<String>,
    },
    /// Put a plan into an OCI registry; prints the name by which it can be had for ever, with its digest
    ///
    /// Credentials are those of `docker login`. A registry on this machine is spoken to without TLS.
    #[command(after_help = "\
Examples:
  mesh plan push signed.mplan registry.example/team/plan:v42")]
    Push {
        /// What `mesh plan sign` wrote, or `mesh build`
        file: PathBuf,
        /// Registry, repository and tag
        #[arg(value_name = "REGISTRY/REPOSITORY:TAG")]
        reference: String,
        /// The registry has no TLS
        #[arg(long)]
        plain_http: bool,
    },
    /// Get a plan from an OCI registry; what cannot be used, or is not signed as asked for, is not written
    #[command(after_help = "\
Examples:
  mesh plan pull registry.example/team/plan:v42 -o /srv/plan.mplan --key release.pub
                                   a running mesh serve, or mesh-proxy, takes it up at once")]
    Pull {
        /// Registry, repository and tag, or @digest
        #[arg(value_name = "REGISTRY/REPOSITORY:TAG")]
        reference: String,
        /// Where to write it
        #[arg(short, long, value_name = "FILE", default_value = "plan.mplan")]
        output: PathBuf,
        /// A public key, PEM (may be given several times): one of them has to have signed
        #[arg(long = "key", value_name = "FILE")]
        keys: Vec<PathBuf>,
        /// The environment that it has to be for
        #[arg(long = "env", value_name = "NAME")]
        environment: Option<String>,
        /// The registry has no TLS
        #[arg(long)]
        plain_http: bool,
    },
}

#[derive(Debug, Args)]
pub(crate) struct Serve {
    /// What `mesh plan sign` wrote, or `mesh build`
    pub(crate) file: PathBuf,
    /// Where proxies ask; port 0 is any free port
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:7070")]
    pub(crate) listen: SocketAddr,
    /// Hand out only what is signed with one of these public keys (PEM; may be given several times)
    #[arg(long = "key", value_name = "FILE")]
    pub(crate) keys: Vec<PathBuf>,
    /// Hand out only what is signed for this environment
    #[arg(long = "env", value_name = "NAME")]
    pub(crate) environment: Option<String>,
    /// The server's certificate chain, PEM
    #[arg(long, value_name = "FILE", requires = "tls_key")]
    pub(crate) tls_cert: Option<PathBuf>,
    /// The private key of the certificate, PEM
    #[arg(long, value_name = "FILE", requires = "tls_cert")]
    pub(crate) tls_key: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub(crate) struct Sign {
    /// What `mesh build` wrote, or a signed plan
    pub(crate) file: PathBuf,
    /// The private key, PEM; without it, the text of one in MESH_SIGNING_KEY
    #[arg(long, value_name = "FILE")]
    pub(crate) key: Option<PathBuf>,
    /// The number of this release: proxies refuse one lower than what they have. Needed, but for a second signature
    #[arg(long, value_name = "N")]
    pub(crate) generation: Option<u64>,
    /// The environment that the plan is for
    #[arg(long = "env", value_name = "NAME")]
    pub(crate) environment: Option<String>,
    /// Where to write the signed plan; without it, in the place of FILE
    #[arg(short, long, value_name = "FILE")]
    pub(crate) output: Option<PathBuf>,
}
