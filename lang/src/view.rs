//! Statements get their shapes: what stands in a block becomes the fields of what the block belongs to.
//!
//! The table has seen to it that a statement of this keyword has arguments of this kind and stands as often as it may, so
//! nothing is checked here.

use crate::ast::*;
use crate::span::{Name, Span, Spanned};
use crate::statement::{Args, CallsHead, RetryHead, Statement};

/// The statements of one environment as values.
pub(crate) fn file(statements: Vec<Statement>) -> File {
    File { items: statements.into_iter().filter_map(item).collect(), sent_somewhere: Vec::new() }
}

fn item(statement: Statement) -> Option<Item> {
    let Statement { signature, span, doc, args, block } = statement;
    let doc = doc.map(|doc| String::from(doc.text));
    let block = block.into_vec();
    Some(match (signature.keyword, args) {
        ("mesh", Args::Name(name)) => Item::Mesh(Box::new(mesh(span, name, block))),
        ("module", Args::Name(name)) => Item::Module(module(span, name, block)),
        ("import", Args::Import(import)) => {
            let (module, names) = *import;
            Item::Import(Import { span, module, names })
        }
        ("group", Args::Principals(group)) => {
            let (name, principals) = *group;
            Item::Group(Group { span, doc, name, principals })
        }
        ("split", Args::Backends(split)) => {
            let (name, backends) = *split;
            Item::Split(Split { span, doc, name, backends })
        }
        ("jwt", Args::Name(name)) => Item::Jwt(jwt(span, doc, name, block)),
        ("profile", Args::Name(name)) => {
            let (settings, limits, _) = settings(block);
            Item::Profile(Profile { span, doc, name, settings, limits })
        }
        ("ext-authz", Args::Name(name)) => Item::ExtAuthz(authority(span, doc, name, block)),
        ("rate-limiter", Args::Name(name)) => Item::RateLimiter(authority(span, doc, name, block)),
        ("service", Args::Name(name)) => Item::Service(Box::new(service(span, doc, name, block))),
        ("gateway", Args::Name(name)) => Item::Gateway(gateway(span, doc, name, block)),
        ("route", Args::Route(head)) => Item::Route(route(span, *head, block)),
        ("authorize", Args::Services(targets)) => Item::Authorize(authorize(span, targets, block)),
        ("guardrail", Args::Name(name)) => Item::Guardrail(guardrail(span, doc, name, block)),
        ("test", Args::Test(test)) => {
            let (name, environments) = *test;
            let lines = block.into_iter().filter_map(|line| match line.args {
                Args::TestLine(read) => Some(TestLine { span: line.span, ..*read }),
                _ => None,
            });
            Item::Test(Test { span, name, environments, lines: lines.collect() })
        }
        _ => return None,
    })
}

fn mesh(span: Span, name: Name, block: Vec<Statement>) -> Mesh {
    let (telemetry, block) = telemetry(block);
    let mut mesh = Mesh {
        span,
        name,
        trust_domain: None,
        clusters: Vec::new(),
        cluster_gateways: Vec::new(),
        environments: Vec::new(),
        production: Vec::new(),
        mtls: None,
        egress: None,
        retry_amplification: None,
        default: Settings::default(),
        telemetry,
    };
    for line in block {
        match (line.signature.keyword, line.args) {
            ("trust-domain", Args::Name(name)) => mesh.trust_domain = Some(name),
            ("clusters", Args::Names(names)) => mesh.clusters = names,
            ("environments", Args::Names(names)) => mesh.environments = names,
            ("production", Args::Names(names)) => mesh.production = names,
            ("mtls", Args::Word(word)) => mesh.mtls = Some(mtls(word)),
            ("egress", Args::Word(word)) => {
                let value = if word.value == "allow" { Egress::Allow } else { Egress::Deny };
                mesh.egress = Some(Spanned { value, span: line.span });
            }
            ("limit", Args::Limit(limit)) => mesh.retry_amplification = Some(limit.1),
            ("default", _) => mesh.default = settings(line.block.into_vec()).0,
            ("cluster", Args::Name(cluster)) => {
                let door = line.block.into_iter().find_map(|inner| match inner.args {
                    Args::ClusterGateway(door) => Some(*door),
                    _ => None,
                });
                let (gateway, address) = door.unzip();
                mesh.cluster_gateways.push(ClusterGateway { span: line.span, cluster, gateway, address });
            }
            _ => {}
        }
    }
    mesh
}

fn mtls(word: Spanned<&'static str>) -> Spanned<Mtls> {
    let value = match word.value {
        "strict" => Mtls::Strict,
        "permissive" => Mtls::Permissive,
        _ => Mtls::Off,
    };
    Spanned { value, span: word.span }
}

fn module(span: Span, name: Name, block: Vec<Statement>) -> Module {
    let mut module = Module {
        span,
        name,
        edition: None,
        owner: None,
        namespace: None,
        platform: None,
        exports: Vec::new(),
    };
    for line in block {
        match (line.signature.keyword, line.args) {
            ("edition", Args::Number(number)) => module.edition = Some(number),
            ("owner", Args::Name(name)) => module.owner = Some(name),
            ("namespace", Args::Name(name)) => module.namespace = Some(name),
            ("role", _) => module.platform = Some(line.span),
            ("export", Args::Export(export)) => module.exports.push(Export { span: line.span, ..*export }),
            _ => {}
        }
    }
    module
}

fn jwt(span: Span, doc: Option<String>, name: Name, block: Vec<Statement>) -> Jwt {
    let mut jwt = Jwt {
        span,
        doc,
        name,
        issuer: None,
        audiences: Vec::new(),
        jwks: None,
        from: Vec::new(),
        forward: None,
        list_claims: Vec::new(),
        clock_skew: None,
        typ: None,
    };
    for line in block {
        match (line.signature.keyword, line.args) {
            ("issuer", Args::Name(name)) => jwt.issuer = Some(name),
            ("audience", Args::Names(names)) => jwt.audiences = names,
            ("jwks", Args::Name(name)) => jwt.jwks = Some(name),
            ("from", Args::TokenSource(source)) => jwt.from.push(*source),
            ("forward", _) => jwt.forward = Some(line.span),
            ("list-claims", Args::Names(names)) => jwt.list_claims = names,
            ("clock-skew", Args::Duration(duration)) => jwt.clock_skew = Some(duration),
            ("typ", Args::Name(name)) => jwt.typ = Some(name),
            _ => {}
        }
    }
    jwt
}

fn authority(span: Span, doc: Option<String>, name: Name, block: Vec<Statement>) -> Authority {
    let mut authority = Authority { span, doc, name, service: None, timeout: None, on_failure: None };
    for line in block {
        match (line.signature.keyword, line.args) {
            ("service", Args::Service(service)) => authority.service = Some(*service),
            ("timeout", Args::Duration(duration)) => authority.timeout = Some(duration),
            ("on-failure", Args::Word(word)) => {
                let value = if word.value == "allow" { OnFailure::Allow } else { OnFailure::Deny };
                authority.on_failure = Some(Spanned { value, span: line.span });
            }
            _ => {}
        }
    }
    authority
}

/// The settings and limits of a block, and its other statements.
fn settings(block: Vec<Statement>) -> (Settings, Limits, Vec<Statement>) {
    let (mut settings, mut limits) = (Settings::default(), Limits::default());
    let mut rest = Vec::with_capacity(block.len());
    for line in block {
        let span = line.span;
        match (line.signature.keyword, line.args) {
            ("timeout", Args::Timeout(timeout)) => {
                settings.timeout = Some(Spanned { value: timeout.value, span });
            }
            ("idle-timeout", Args::Timeout(timeout)) => {
                settings.idle_timeout = Some(Spanned { value: timeout.value, span });
            }
            ("connect-timeout", Args::Duration(duration)) => {
                settings.connect_timeout = Some(Spanned { value: duration.value, span });
            }
            ("retry", Args::Retry(policy)) => {
                settings.retry = Some(Spanned { value: retry(policy, line.block.into_vec()), span });
            }
            ("load-balancer", Args::LoadBalancer(balancer)) => {
                let slow_start = line.block.into_iter().find_map(|inner| match inner.args {
                    Args::Duration(duration) => Some(duration),
                    _ => None,
                });
                settings.load_balancer =
                    Some(Spanned { value: Box::new(LoadBalancer { slow_start, ..*balancer }), span });
            }
            ("use", Args::Names(names)) => settings.uses = names,
            ("circuit-breaker", _) => {
                limits.circuit_breaker =
                    Some(Spanned { value: Box::new(circuit_breaker(line.block.into_vec())), span });
            }
            ("outlier-detection", _) => {
                limits.outlier_detection =
                    Some(Spanned { value: Box::new(outlier_detection(line.block.into_vec())), span });
            }
            ("rate-limit", Args::RateLimit(limit)) => limits.rate_limits.push(RateLimit { span, ..*limit }),
            ("max-request-body", Args::Size(size)) => {
                limits.max_request_body = Some(Spanned { value: size.value, span });
            }
            ("encoded-slashes", Args::Word(word)) => {
                limits.decodes_slashes = (word.value == "decode").then_some(span);
            }
            ("path-parameters", Args::Word(word)) => {
                limits.strips_parameters = (word.value == "strip").then_some(span);
            }
            (_, args) => rest.push(Statement { args, ..line }),
        }
    }
    (settings, limits, rest)
}

fn retry(head: Option<Box<RetryHead>>, block: Vec<Statement>) -> Retry {
    let Some(head) = head else { return Retry::None };
    let (count, on) = *head;
    let mut policy = RetryPolicy {
        count,
        on,
        per_try_timeout: None,
        backoff: None,
        budget: None,
        methods: Vec::new(),
        buffer: None,
    };
    for line in block {
        match (line.signature.keyword, line.args) {
            ("per-try-timeout", Args::Duration(duration)) => policy.per_try_timeout = Some(duration),
            ("backoff", Args::Backoff(backoff)) => policy.backoff = Some(backoff),
            ("budget", Args::Budget(budget)) => policy.budget = Some(budget),
            ("methods", Args::Methods(methods)) => policy.methods = methods,
            ("buffer", Args::Size(size)) => {
                // INVARIANT: the reader of `buffer` accepts at most a mebibyte.
                policy.buffer = Some(Spanned { value: size.value as u32, span: size.span });
            }
            _ => {}
        }
    }
    Retry::Policy(Box::new(policy))
}

fn circuit_breaker(block: Vec<Statement>) -> CircuitBreaker {
    let mut breaker = CircuitBreaker::default();
    for line in block {
        match (line.signature.keyword, line.args) {
            ("max-connections", Args::Number(number)) => breaker.max_connections = Some(number),
            ("max-pending-requests", Args::Number(number)) => breaker.max_pending_requests = Some(number),
            ("max-requests", Args::Number(number)) => breaker.max_requests = Some(number),
            ("pending-timeout", Args::Duration(duration)) => breaker.pending_timeout = Some(duration),
            _ => {}
        }
    }
    breaker
}

fn outlier_detection(block: Vec<Statement>) -> OutlierDetection {
    let mut detection = OutlierDetection::default();
    for line in block {
        match (line.signature.keyword, line.args) {
            ("consecutive-5xx", Args::Number(number)) => detection.consecutive_5xx = Some(number),
            ("consecutive-gateway-errors", Args::Number(number)) => {
                detection.consecutive_gateway_errors = Some(number);
            }
            ("success-rate", Args::Percent(share)) => detection.success_rate = Some(share),
            ("interval", Args::Duration(duration)) => detection.interval = Some(duration),
            ("base-ejection-time", Args::Duration(duration)) => detection.base_ejection_time = Some(duration),
            ("max-ejection-time", Args::Duration(duration)) => detection.max_ejection_time = Some(duration),
            ("max-ejection-percent", Args::Share(share)) => detection.max_ejection = Some(share),
            ("min-hosts", Args::Number(number)) => detection.min_hosts = Some(number),
            _ => {}
        }
    }
    detection
}

/// What a block says of telemetry, and its other statements.
fn telemetry(block: Vec<Statement>) -> (Telemetry, Vec<Statement>) {
    let (mut telemetry, mut rest) = (Telemetry::default(), Vec::with_capacity(block.len()));
    for line in block {
        match (line.signature.keyword, line.args) {
            ("access-log", Args::AccessLog(log)) => {
                telemetry.access_log = Some(Spanned { value: log.value, span: line.span });
            }
            ("tracing", Args::Tracing(tracing)) => {
                telemetry.tracing = Some(Spanned { value: tracing.value, span: line.span });
            }
            ("metric-label", Args::MetricLabel(label)) => {
                telemetry.metric_labels.push(MetricLabel { span: line.span, ..*label });
            }
            (_, args) => rest.push(Statement { args, ..line }),
        }
    }
    (telemetry, rest)
}

fn service(span: Span, doc: Option<String>, name: Name, block: Vec<Statement>) -> Service {
    let (settings, limits, block) = settings(block);
    let (telemetry, block) = telemetry(block);
    let mut service = Service {
        span,
        doc,
        name,
        service_account: None,
        identity: None,
        ports: Vec::new(),
        subsets: Vec::new(),
        endpoints: Vec::new(),
        aliases: Vec::new(),
        external: Vec::new(),
        tls: None,
        mtls: None,
        jwts: Vec::new(),
        calls: Vec::new(),
        settings,
        limits,
        clusters: Vec::new(),
        failover: Vec::new(),
        locality: None,
        health_check: None,
        panic_threshold: None,
        probes: Vec::new(),
        propagates: Vec::new(),
        telemetry,
    };
    for line in block {
        let span = line.span;
        match (line.signature.keyword, line.args) {
            ("service-account", Args::Name(name)) => service.service_account = Some(name),
            ("identity", Args::Name(name)) => service.identity = Some(name),
            ("port", Args::Port(port)) => service.ports.push(Port { span, ..*port }),
            ("subset", Args::Subset(subset)) => {
                let endpoints = endpoints(line.block.into_vec());
                service.subsets.push(Subset { span, endpoints, ..*subset });
            }
            ("endpoints", Args::Endpoints(endpoints)) => {
                service.endpoints.push(Endpoints { span, ..*endpoints })
            }
            ("alias", Args::Hosts(hosts)) => service.aliases = hosts,
            ("external", Args::Names(names)) => service.external = names,
            ("tls", Args::Tls(tls)) => service.tls = Some(Spanned { value: *tls, span }),
            ("mtls", Args::Word(word)) => service.mtls = Some(mtls(word)),
            ("jwt", Args::JwtUse(jwt)) => service.jwts.push(JwtUse { span, ..*jwt }),
            ("calls", Args::Calls(head)) => service.calls.push(calls(span, *head, line.block.into_vec())),
            ("clusters", Args::Names(names)) => service.clusters = names,
            ("failover", Args::Names(names)) => service.failover = names,
            ("locality", _) => service.locality = Some(span),
            ("health-check", Args::HealthCheck(check)) => {
                service.health_check = Some(health_check(span, *check, line.block.into_vec()));
            }
            ("panic-threshold", Args::Percent(share)) => service.panic_threshold = Some(share),
            ("probe", Args::Probe(probe)) => service.probes.push(Probe { span, ..*probe }),
            ("propagate", Args::Names(names)) => service.propagates = names,
            _ => {}
        }
    }
    service
}

fn endpoints(block: Vec<Statement>) -> Vec<Endpoints> {
    let lines = block.into_iter().filter_map(|line| match line.args {
        Args::Endpoints(endpoints) => Some(Endpoints { span: line.span, ..*endpoints }),
        _ => None,
    });
    lines.collect()
}

fn calls(span: Span, head: CallsHead, block: Vec<Statement>) -> Calls {
    let CallsHead { services, port, to } = head;
    let (settings, limits, block) = settings(block);
    let mut calls =
        Calls { span, services, port, to, settings, limits, client_timeout: None, client_retry: None };
    for line in block {
        match (line.signature.keyword, line.args) {
            ("client-timeout", Args::Duration(duration)) => calls.client_timeout = Some(duration),
            ("client-retry", Args::Number(number)) => calls.client_retry = Some(number),
            _ => {}
        }
    }
    calls
}

fn health_check(span: Span, head: HealthCheck, block: Vec<Statement>) -> HealthCheck {
    let mut check = HealthCheck { span, ..head };
    for line in block {
        match (line.signature.keyword, line.args) {
            ("interval", Args::Duration(duration)) => check.interval = Some(duration),
            ("timeout", Args::Duration(duration)) => check.timeout = Some(duration),
            ("unhealthy", Args::Number(number)) => check.unhealthy = Some(number),
            ("healthy", Args::Number(number)) => check.healthy = Some(number),
            _ => {}
        }
    }
    check
}

fn gateway(span: Span, doc: Option<String>, name: Name, block: Vec<Statement>) -> Gateway {
    let (_, limits, block) = settings(block);
    let (telemetry, block) = telemetry(block);
    let mut gateway = Gateway {
        span,
        doc,
        name,
        service_account: None,
        listeners: Vec::new(),
        jwts: Vec::new(),
        limits,
        trusted_hops: None,
        telemetry,
    };
    for line in block {
        match (line.signature.keyword, line.args) {
            ("service-account", Args::Name(name)) => gateway.service_account = Some(name),
            ("listener", Args::Listener(head)) => {
                gateway.listeners.push(listener(line.span, *head, line.block.into_vec()));
            }
            ("jwt", Args::JwtUse(jwt)) => gateway.jwts.push(JwtUse { span: line.span, ..*jwt }),
            ("trusted-hops", Args::Number(number)) => gateway.trusted_hops = Some(number),
            _ => {}
        }
    }
    gateway
}

fn listener(span: Span, head: Listener, block: Vec<Statement>) -> Listener {
    let (_, limits, block) = settings(block);
    let mut listener = Listener { span, limits, ..head };
    for line in block {
        match (line.signature.keyword, line.args) {
            ("host", Args::Hosts(hosts)) => listener.hosts = hosts,
            ("tls", Args::ListenerTls(tls)) => listener.tls = Some(Spanned { value: *tls, span: line.span }),
            ("redirect", Args::RedirectHttps(status)) => listener.redirect_https = Some(status),
            ("allow-routes", Args::AllowRoutes(allowed)) => {
                listener.allow_routes.push(AllowRoutes { span: line.span, ..*allowed });
            }
            ("proxy-protocol", _) => listener.proxy_protocol = Some(line.span),
            _ => {}
        }
    }
    listener
}

fn route(span: Span, head: Route, block: Vec<Statement>) -> Route {
    let mut route = Route { span, ..head };
    let mut bare = None;
    for line in block {
        match (line.signature.keyword, line.args) {
            ("rule", Args::Rule(head)) => {
                let (name, overrides) = *head;
                route.rules.push(rule(line.span, name, overrides, line.block.into_vec()))
            }
            ("to", Args::Action(action)) => {
                bare = Some(default_rule(Spanned { value: *action, span: line.span }))
            }
            ("otherwise", Args::Status(status)) => {
                route.otherwise = Some(Spanned { value: status.value, span: line.span });
            }
            _ => {}
        }
    }
    route.rules.extend(bare);
    route
}

/// What a `to` outside of any rule is short for.
fn default_rule(action: Spanned<Action>) -> Rule {
    Rule {
        span: action.span,
        name: Spanned { value: "default".into(), span: action.span },
        overrides: Vec::new(),
        matches: Vec::new(),
        action: Some(action),
        settings: Settings::default(),
        limits: Limits::default(),
        modifiers: Modifiers::default(),
    }
}

fn rule(span: Span, name: Name, overrides: Vec<Name>, block: Vec<Statement>) -> Rule {
    let (settings, limits, block) = settings(block);
    let mut rule = Rule {
        span,
        name,
        overrides,
        matches: Vec::new(),
        action: None,
        settings,
        limits,
        modifiers: Modifiers::default(),
    };
    for line in block {
        let span = line.span;
        let modifiers = &mut rule.modifiers;
        match (line.signature.keyword, line.args) {
            ("match", Args::Match(read)) => rule.matches.push(Match { span, ..*read }),
            (_, Args::Action(action)) => rule.action = Some(Spanned { value: *action, span }),
            ("mirror", Args::Mirror(mirror)) => modifiers.mirrors.push(Mirror { span, ..*mirror }),
            ("rewrite", Args::Rewrite(rewrite)) => modifiers.rewrites.push(Spanned { value: *rewrite, span }),
            ("request-header", Args::HeaderEdit(edit)) => {
                modifiers.request_headers.push(HeaderEdit { span, name: edit.0, edit: edit.1 });
            }
            ("response-header", Args::HeaderEdit(edit)) => {
                modifiers.response_headers.push(HeaderEdit { span, name: edit.0, edit: edit.1 });
            }
            ("fault", Args::Fault(fault)) => {
                modifiers.faults.push(Fault { span, kind: fault.0, share: fault.1 });
            }
            ("cors", _) => {
                modifiers.cors = Some(Spanned { value: Box::new(cors(line.block.into_vec())), span })
            }
            ("upgrade", _) => modifiers.websocket = Some(span),
            _ => {}
        }
    }
    rule
}

fn cors(block: Vec<Statement>) -> Cors {
    let mut cors = Cors::default();
    for line in block {
        match (line.signature.keyword, line.args) {
            ("allow-origins", Args::Names(names)) => cors.allow_origins = names,
            ("allow-methods", Args::Methods(methods)) => cors.allow_methods = methods,
            ("allow-headers", Args::Names(names)) => cors.allow_headers = names,
            ("expose-headers", Args::Names(names)) => cors.expose_headers = names,
            ("allow-credentials", _) => cors.allow_credentials = Some(line.span),
            ("max-age", Args::Duration(duration)) => cors.max_age = Some(duration),
            _ => {}
        }
    }
    cors
}

fn authorize(span: Span, targets: Vec<ServiceRef>, block: Vec<Statement>) -> Authorize {
    let lines = Vec::with_capacity(block.len());
    let mut authorize = Authorize { span, targets, lines, checks: Vec::new(), mode: None };
    for line in block {
        match line.args {
            Args::AuthorizeLine(read) => authorize.lines.push(read),
            Args::Check(check) => authorize.checks.push(Check { span: line.span, ..*check }),
            Args::Mode(until) => authorize.mode = Some(Spanned { value: Mode { until }, span: line.span }),
            _ => {}
        }
    }
    authorize
}

fn guardrail(span: Span, doc: Option<String>, name: Name, block: Vec<Statement>) -> Guardrail {
    let mut guardrail = Guardrail { span, doc, name, lines: Vec::new(), mode: None };
    for line in block {
        match line.args {
            Args::Guardrail(read) => guardrail.lines.push(GuardrailLine { span: line.span, ..*read }),
            Args::Mode(until) => guardrail.mode = Some(Spanned { value: Mode { until }, span: line.span }),
            _ => {}
        }
    }
    guardrail
}
