//! `.mesh` text, compiled and running: the real compiler, the real plan, the real proxy, real sockets.

use crate::dns::Dns;
use crate::project::Project;
use crate::up::Client;
use mesh_plan::{Plan, Sources};
use mesh_proxy::{
    AccessLog, Certificates, Checking, Config, Door, Fetching, Handle, Here, Identity, Looking,
};
use std::io::{BufRead, BufReader, Write};
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// A port that nobody listens on.
pub fn free_address() -> SocketAddr {
    TcpListener::bind((LOOPBACK, 0)).and_then(|listener| listener.local_addr()).expect("a port")
}

const LOOPBACK: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

/// A running mesh.
pub struct Mesh {
    handle: Handle,
    lines: Lines,
}

/// What the proxy logs.
#[derive(Clone, Default)]
struct Lines(Arc<Mutex<Vec<u8>>>);

impl Write for Lines {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().expect("no panic").write(bytes)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl Mesh {
    /// Compiles, and starts every gateway on a free port and the sidecars of `callers`; `cart->redis` is the address of a call of a `tcp` port.
    ///
    /// # Panics
    /// If the text does not compile, with what is said about it.
    #[track_caller]
    pub fn start(text: &str, callers: &[&str]) -> Mesh {
        Mesh::start_as(text, callers, vec![], &[])
    }

    /// The same, by a proxy that is told where it is.
    ///
    /// # Panics
    /// If the text does not compile, with what is said about it.
    #[track_caller]
    pub fn start_in(text: &str, callers: &[&str], here: Here) -> Mesh {
        Mesh::start_with(text, callers, here, vec![], None, &[])
    }

    /// The same with identities, and with the inbound sides of services: the service (`shop`, or `shop:admin` for one of its ports), where it is
    /// called, and where it listens itself.
    ///
    /// # Panics
    /// If the text does not compile, with what is said about it, or the proxy does not start.
    #[track_caller]
    pub fn start_as(
        text: &str,
        callers: &[&str],
        identities: Vec<Arc<Identity>>,
        inbound: &[(&str, SocketAddr, &str)],
    ) -> Mesh {
        Mesh::start_with(text, callers, Here::default(), identities, None, inbound)
    }

    /// The same, and who is told what of endpoints that are not well.
    ///
    /// # Panics
    /// If the text does not compile, with what is said about it, or the proxy does not start.
    #[track_caller]
    pub fn start_checking(
        text: &str,
        callers: &[&str],
        identities: Vec<Arc<Identity>>,
        inbound: &[(&str, SocketAddr, &str)],
        checking: Checking,
    ) -> Mesh {
        let (plan, sources) = plan_of(text);
        let asking = (Fetching::default(), Looking::default(), checking);
        Mesh::start_plan((&plan, &sources), callers, Here::default(), identities, None, inbound, asking)
    }

    /// The same with certificates that listeners show.
    ///
    /// # Panics
    /// If the text does not compile, with what is said about it, or the proxy does not start.
    #[track_caller]
    pub fn start_showing(text: &str, certificates: Option<Arc<Certificates>>) -> Mesh {
        Mesh::start_with(text, &[], Here::default(), vec![], certificates, &[])
    }

    /// The same with the keys of all issuers at a place, which may be one on this machine, where no file may say that they are.
    ///
    /// # Panics
    /// If the text does not compile, with what is said about it, or the proxy does not start.
    #[track_caller]
    pub fn start_fetching(text: &str, place: &str, fetching: Fetching) -> Mesh {
        let (mut plan, sources) = plan_of(text);
        let services = plan.services.iter_mut().flat_map(|service| &mut service.verifiers);
        let gateways = plan.gateways.iter_mut().flat_map(|gateway| &mut gateway.verifiers);
        services.chain(gateways).for_each(|verifier| place.clone_into(&mut verifier.jwks));
        let plan = (&plan, &sources);
        Mesh::start_plan(
            plan,
            &[],
            Here::default(),
            vec![],
            None,
            &[],
            (fetching, Looking::default(), Checking::default()),
        )
    }

    /// The same with names that this server of DNS knows, and certificates.
    ///
    /// # Panics
    /// If the text does not compile, with what is said about it, or the proxy does not start.
    #[track_caller]
    pub fn start_naming(text: &str, dns: &Dns, certificates: Option<Arc<Certificates>>) -> Mesh {
        Mesh::start_calling(text, &[], dns, certificates)
    }

    /// The same, with sidecars of these services.
    ///
    /// # Panics
    /// If the text does not compile, with what is said about it, or the proxy does not start.
    #[track_caller]
    pub fn start_calling(
        text: &str,
        callers: &[&str],
        dns: &Dns,
        certificates: Option<Arc<Certificates>>,
    ) -> Mesh {
        let (plan, sources) = plan_of(text);
        let looking = Looking { servers: vec![dns.address], ..Looking::default() };
        let (plan, asking) = ((&plan, &sources), (Fetching::default(), looking, Checking::default()));
        Mesh::start_plan(plan, callers, Here::default(), vec![], certificates, &[], asking)
    }

    #[track_caller]
    fn start_with(
        text: &str,
        callers: &[&str],
        here: Here,
        identities: Vec<Arc<Identity>>,
        certificates: Option<Arc<Certificates>>,
        inbound: &[(&str, SocketAddr, &str)],
    ) -> Mesh {
        let (plan, sources) = plan_of(text);
        let plan = (&plan, &sources);
        let asking = (Fetching::default(), Looking::default(), Checking::default());
        Mesh::start_plan(plan, callers, here, identities, certificates, inbound, asking)
    }

    #[track_caller]
    fn start_plan(
        (plan, sources): (&Plan, &Sources),
        callers: &[&str],
        here: Here,
        identities: Vec<Arc<Identity>>,
        certificates: Option<Arc<Certificates>>,
        inbound: &[(&str, SocketAddr, &str)],
        (jwks, names, health): (Fetching, Looking, Checking),
    ) -> Mesh {
        let view = mesh_plan::verify(mesh_plan::encode(plan).expect("inside the limits")).expect("a plan");
        let view = view.with_sources(|text| sources.place(text));
        let gateways = plan.gateways.iter().map(|gateway| Door::Gateway {
            name: gateway.name.clone(),
            bind: LOOPBACK,
            port_override: Some(0),
        });
        let listen = SocketAddr::new(LOOPBACK, 0);
        let sidecars = callers.iter().map(|caller| match caller.split_once("->") {
            Some((service, callee)) => {
                Door::Call { service: service.to_owned(), callee: callee.to_owned(), listen }
            }
            None => Door::Sidecar { service: (*caller).to_owned(), listen },
        });
        let inbound = inbound.iter().map(|(service, listen, application)| {
            let (service, port) = match service.split_once(':') {
                Some((service, port)) => (service, Some(port.to_owned())),
                None => (*service, None),
            };
            let (service, application) = (service.to_owned(), application.parse().expect("an address"));
            Door::Inbound { service, port, listen: *listen, application }
        });
        let lines = Lines::default();
        let config = Config {
            doors: gateways.chain(sidecars).chain(inbound).collect(),
            workers: 1,
            admin: None,
            access_log: AccessLog::Writer(Box::new(lines.clone())),
            plan_header: false,
            jwks,
            names,
            health,
            here,
            identities,
            certificates,
            drain: Duration::from_secs(1),
        };
        Mesh { handle: mesh_proxy::start(view, config).expect("the proxy starts"), lines }
    }

    /// Takes another text over, with the same doors.
    ///
    /// # Panics
    /// If the text does not compile, or is not taken over.
    #[track_caller]
    pub fn swap(&self, text: &str) {
        let (plan, sources) = plan_of(text);
        let view = mesh_plan::verify(mesh_plan::encode(&plan).expect("inside the limits")).expect("a plan");
        self.handle.swap(view.with_sources(|text| sources.place(text))).expect("it is taken over");
    }

    /// Ends the mesh; the lines of its access log, one for each request.
    pub fn log(self) -> Vec<String> {
        self.handle.shutdown();
        let bytes = self.lines.0.lock().expect("no panic").clone();
        String::from_utf8_lossy(&bytes).lines().map(str::to_owned).collect()
    }

    /// A connection to a gateway's listener (`edge.default/web`) or a sidecar (`web.default`).
    #[track_caller]
    pub fn connect(&self, door: &str) -> Client {
        Client::connect(&self.address(door).to_string())
    }

    /// Where one of them listens.
    #[track_caller]
    pub fn address(&self, door: &str) -> SocketAddr {
        let addresses = self.handle.addresses();
        *addresses.get(door).unwrap_or_else(|| panic!("no {door} in {addresses:?}"))
    }
}

/// An HTTP server that says what it is told to say and remembers what it heard.
pub struct Upstream {
    /// `127.0.0.1:PORT`, for `endpoints static`.
    pub address: String,
    heads: Arc<Mutex<Vec<String>>>,
    bodies: Arc<Mutex<Vec<Vec<u8>>>>,
}

impl Upstream {
    /// Answers the n-th request (from 0) with a status and a body, after a pause.
    pub fn start(answer: impl Fn(usize) -> (u16, String, Duration) + Send + Sync + 'static) -> Upstream {
        Upstream::start_at(SocketAddr::new(LOOPBACK, 0), answer)
    }

    /// The same at this address.
    pub fn start_at(
        address: SocketAddr,
        answer: impl Fn(usize) -> (u16, String, Duration) + Send + Sync + 'static,
    ) -> Upstream {
        let listener = TcpListener::bind(address).expect("a port");
        let address = listener.local_addr().expect("an address").to_string();
        let (heads, bodies) = (Arc::new(Mutex::new(Vec::new())), Arc::new(Mutex::new(Vec::new())));
        let (asked, answer) = (Arc::new(AtomicUsize::new(0)), Arc::new(answer));
        let upstream = Upstream { address, heads: heads.clone(), bodies: bodies.clone() };
        std::thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                let (heard, read) = (heads.clone(), bodies.clone());
                let (asked, answer) = (asked.clone(), answer.clone());
                std::thread::spawn(move || {
                    let mut stream = BufReader::new(stream);
                    while let Some(head) = read_head(&mut stream) {
                        let Some(body) = read_body(&head, &mut stream) else { return };
                        read.lock().expect("no panic").push(body);
                        heard.lock().expect("no panic").push(head);
                        let (status, body, pause) = answer(asked.fetch_add(1, Ordering::Relaxed));
                        std::thread::sleep(pause);
                        let head =
                            format!("HTTP/1.1 {status} X\r\ncontent-length: {}\r\n\r\n{body}", body.len());
                        if stream.get_mut().write_all(head.as_bytes()).is_err() {
                            return;
                        }
                    }
                });
            }
        });
        upstream
    }

    /// A server that says its name.
    pub fn named(name: &'static str) -> Upstream {
        Upstream::start(move |_| (200, name.to_owned(), Duration::ZERO))
    }

    /// The request heads it has heard, in lower case.
    pub fn heads(&self) -> Vec<String> {
        self.heads.lock().expect("no panic").clone()
    }

    /// The request bodies it has heard.
    pub fn bodies(&self) -> Vec<Vec<u8>> {
        self.bodies.lock().expect("no panic").clone()
    }
}

/// Reads a request's body.
fn read_body(head: &str, stream: &mut impl BufRead) -> Option<Vec<u8>> {
    let mut body = Vec::new();
    let mut read = |stream: &mut dyn BufRead, size: usize| {
        let begin = body.len();
        body.resize(begin + size, 0);
        stream.read_exact(&mut body[begin..]).ok()
    };
    let mut lengths = head.lines().filter_map(|line| line.strip_prefix("content-length: "));
    if head.contains("\r\ntransfer-encoding: chunked\r\n") {
        loop {
            let mut size = String::new();
            stream.read_line(&mut size).ok()?;
            let size = usize::from_str_radix(size.trim(), 16).ok()?;
            read(stream, size)?;
            stream.read_exact(&mut [0; 2]).ok()?;
            if size == 0 {
                return Some(body);
            }
        }
    }
    let length = lengths.next().map_or(Some(0), |length| length.parse().ok())?;
    read(stream, length)?;
    Some(body)
}

/// A request's head.
fn read_head(stream: &mut impl BufRead) -> Option<String> {
    let mut head = String::new();
    while !head.ends_with("\r\n\r\n") {
        if stream.read_line(&mut head).ok()? == 0 {
            return None;
        }
    }
    Some(head.to_ascii_lowercase())
}

#[track_caller]
fn plan_of(text: &str) -> (Plan, Sources) {
    let project = Project::parse(text);
    let compilation = project.compile();
    let plan = compilation.plan.unwrap_or_else(|| panic!("{}", project.diagnostics()));
    (plan, compilation.sources)
}
