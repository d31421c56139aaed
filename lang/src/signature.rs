//! The table of statements: which may stand in which block, in which form, and what each is for.
//!
//! The parser dispatches by it, classifies unknown words with it and quotes its forms; editors show it.

/// A block, named by what it belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Place {
    File,
    Mesh,
    Default,
    Module,
    Service,
    Calls,
    Retry,
    Gateway,
    Listener,
    Route,
    Rule,
    Authorize,
    Test,
}

/// Whether a statement has a block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Body {
    None,
    Optional(Place),
    Required(Place),
}

/// One statement of one block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Signature {
    /// The word it begins with.
    pub keyword: &'static str,
    /// How it is written, on one line.
    pub form: &'static str,
    /// What it is for, in a sentence.
    pub doc: &'static str,
    /// Its block.
    pub body: Body,
}

impl Body {
    /// The block's kind, where there may be one.
    pub fn place(self) -> Option<Place> {
        match self {
            Body::None => None,
            Body::Optional(place) | Body::Required(place) => Some(place),
        }
    }
}

impl Place {
    /// All blocks, in the order of the specification.
    pub const ALL: [Place; 13] = [
        Place::File,
        Place::Mesh,
        Place::Default,
        Place::Module,
        Place::Service,
        Place::Calls,
        Place::Retry,
        Place::Gateway,
        Place::Listener,
        Place::Route,
        Place::Rule,
        Place::Authorize,
        Place::Test,
    ];

    /// The keyword the block belongs to; `None` is the file itself.
    pub fn keyword(self) -> Option<&'static str> {
        Some(match self {
            Place::File => return None,
            Place::Mesh => "mesh",
            Place::Default => "default",
            Place::Module => "module",
            Place::Service => "service",
            Place::Calls => "calls",
            Place::Retry => "retry",
            Place::Gateway => "gateway",
            Place::Listener => "listener",
            Place::Route => "route",
            Place::Rule => "rule",
            Place::Authorize => "authorize",
            Place::Test => "test",
        })
    }

    /// What may stand in it.
    pub fn statements(self) -> &'static [Signature] {
        match self {
            Place::File => FILE,
            Place::Mesh => MESH,
            Place::Default | Place::Calls => SETTINGS,
            Place::Module => MODULE,
            Place::Service => SERVICE,
            Place::Retry => RETRY,
            Place::Gateway => GATEWAY,
            Place::Listener => LISTENER,
            Place::Route => ROUTE,
            Place::Rule => RULE,
            Place::Authorize => AUTHORIZE,
            Place::Test => TEST,
        }
    }

    /// The statement of this keyword in it.
    pub fn statement(self, keyword: &str) -> Option<&'static Signature> {
        self.statements().iter().find(|signature| signature.keyword == keyword)
    }
}

const fn leaf(keyword: &'static str, form: &'static str, doc: &'static str) -> Signature {
    Signature { keyword, form, doc, body: Body::None }
}

const fn block(keyword: &'static str, form: &'static str, doc: &'static str, place: Place) -> Signature {
    Signature { keyword, form, doc, body: Body::Required(place) }
}

const SERVICE_ACCOUNT: Signature = leaf(
    "service-account",
    "service-account NAME",
    "The service account of the SPIFFE identity; without it, the name of the service or gateway.",
);
const TIMEOUT: Signature = leaf(
    "timeout",
    "timeout DURATION | timeout none",
    "How long a call may take in all, from the end of the request head to the end of the response.",
);
const RETRY_SETTING: Signature = Signature {
    keyword: "retry",
    form: "retry COUNT on CONDITION, … [{ … }] | retry none",
    doc: "How often a call is tried again, and after what.",
    body: Body::Optional(Place::Retry),
};
const TO: Signature = leaf(
    "to",
    "to SERVICE[:SUBSET] [port NAME] [PERCENT|rest], …",
    "Sends the request on; several backends share the requests by their weights.",
);

const FILE: &[Signature] = &[
    block("mesh", "mesh NAME { … }", "What holds for the whole project.", Place::Mesh),
    block(
        "module",
        "module NAME { … }",
        "What holds for the directory: its edition, owner and namespace.",
        Place::Module,
    ),
    block(
        "service",
        "service NAME { … }",
        "A workload: its ports, its endpoints and what it calls.",
        Place::Service,
    ),
    block(
        "gateway",
        "gateway NAME { … }",
        "A door into the mesh and the hosts it listens for.",
        Place::Gateway,
    ),
    block(
        "route",
        "route TARGET [port NAME] [listener NAME] [host STRING, …] { … }",
        "Where requests to a service or a gateway go.",
        Place::Route,
    ),
    block("authorize", "authorize TARGET, … { … }", "Who may send what to the targets.", Place::Authorize),
    block(
        "test",
        "test STRING { … }",
        "Requests and what is to become of them, checked when compiling.",
        Place::Test,
    ),
];

const MESH: &[Signature] = &[
    leaf("trust-domain", "trust-domain WORD", "The SPIFFE trust domain of the mesh."),
    block("default", "default { … }", "Settings for every call that nothing nearer sets.", Place::Default),
];

const SETTINGS: &[Signature] = &[TIMEOUT, RETRY_SETTING];

const MODULE: &[Signature] = &[
    leaf("edition", "edition 2026", "The edition of the language the directory is written in."),
    leaf(
        "owner",
        "owner STRING",
        "Who answers for the services of the directory; shown where a request is refused.",
    ),
    leaf("namespace", "namespace NAME", "The SPIFFE namespace of everything in the directory."),
];

const SERVICE: &[Signature] = &[
    SERVICE_ACCOUNT,
    leaf("port", "port [NAME] NUMBER PROTOCOL [target NUMBER]", "A port the service is called on."),
    leaf(
        "subset",
        "subset NAME label KEY = STRING, …",
        "The endpoints that carry all these labels, for example a version.",
    ),
    leaf(
        "endpoints",
        "endpoints static STRING, … [label KEY = STRING, …]",
        "The addresses the service is reached at.",
    ),
    Signature {
        keyword: "calls",
        form: "calls SERVICE, … [port NAME] [to OP, …] [{ … }]",
        doc: "What the service may call; everything else its proxy refuses.",
        body: Body::Optional(Place::Calls),
    },
    TIMEOUT,
    RETRY_SETTING,
];

const RETRY: &[Signature] = &[
    leaf("per-try-timeout", "per-try-timeout DURATION", "How long one try may take."),
    leaf(
        "backoff",
        "backoff DURATION..DURATION",
        "The longest wait before the first retry, and before any retry.",
    ),
    leaf(
        "budget",
        "budget PERCENT min RATE over DURATION",
        "How many retries there may be in proportion to first tries.",
    ),
    leaf("methods", "methods METHOD, …", "Methods beyond GET, HEAD and OPTIONS that may be tried again."),
    leaf("buffer", "buffer SIZE", "How much of a request body is kept to be sent again, at most 1MiB."),
];

const GATEWAY: &[Signature] = &[
    SERVICE_ACCOUNT,
    block(
        "listener",
        "listener NAME port NUMBER PROTOCOL { … }",
        "A port the gateway listens on, and for which hosts.",
        Place::Listener,
    ),
];

const LISTENER: &[Signature] =
    &[leaf("host", "host STRING, …", "The hosts the listener accepts; `\"*\"` is any host.")];

const ROUTE: &[Signature] = &[
    block(
        "rule",
        "rule NAME [overrides NAME, …] { … }",
        "What happens to the requests that its `match` lines describe.",
        Place::Rule,
    ),
    TO,
    leaf("otherwise", "otherwise STATUS", "The answer where no rule matches."),
];

const RULE: &[Signature] = &[
    leaf(
        "match",
        "match [OP, …] [when COND and …]",
        "Requests the rule is for; several lines are alternatives, none is every request.",
    ),
    TO,
    leaf("redirect", "redirect PATH-OR-STRING STATUS", "Answers with a redirect; the query is kept."),
    leaf("respond", "respond STATUS [STRING]", "Answers at once, with an optional body."),
    TIMEOUT,
    RETRY_SETTING,
];

const AUTHORIZE: &[Signature] = &[
    leaf("allow", "allow FROM [to [port NAME] [OP, …]]", "Who may do what; public is `allow from anyone`."),
    leaf("deny", "deny [FROM] [to [port NAME] [OP, …]]", "Who may not; it beats every `allow`."),
];

const TEST: &[Signature] = &[leaf(
    "request",
    "request [from PRINCIPAL] to TARGET [port NAME] [listener NAME] [STRING] METHOD PATH \
     [when header STRING = STRING and …] expect OUTCOME",
    "One request and its outcome: `allow`, `deny`, a status, `redirect … STATUS` or backends with weights.",
)];
