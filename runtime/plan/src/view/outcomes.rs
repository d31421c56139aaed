//! What is decided: outcomes of routes, verdicts, grants and settings.

use super::rows::{Record, Row, Rows, Text};
use crate::layout::{Section, authority, backend, edit, grant, outcome, retry, settings, verdict};
use crate::plan::{Backend, Breaker, Budget, Counting, Grant, NONE, Outliers};
use crate::view::balancing::{Balancer, is_there};

/// What a route decides.
#[derive(Clone, Copy)]
pub struct Outcome<'p>(Record<'p>);

impl<'p> Row<'p> for Outcome<'p> {
    const SECTION: Section = Section::Outcomes;

    fn of(record: Record<'p>) -> Self {
        Outcome(record)
    }
}

impl<'p> Outcome<'p> {
    /// `route TARGET rule NAME`, for logs.
    pub fn rule(self) -> &'p str {
        self.0.text(outcome::RULE)
    }

    /// The same, looked up when it is read.
    pub fn rule_text(self) -> Text<'p> {
        self.0.later(outcome::RULE)
    }

    /// The rule's own settings.
    pub fn settings(self) -> Option<Settings<'p>> {
        self.0.plan().settings(self.settings_index())
    }

    /// Their index, or [`NONE`](crate::NONE).
    #[inline]
    pub fn settings_index(self) -> u32 {
        self.0.word(outcome::SETTINGS)
    }

    /// The outcome's index in the plan.
    pub fn index(self) -> u32 {
        self.0.index()
    }

    /// What changes on the way.
    pub fn edits(self) -> Rows<'p, Edit<'p>> {
        self.0.rows(outcome::EDITS)
    }

    /// What to do.
    pub fn action(self) -> Action<'p> {
        let status = self.0.word(outcome::FIRST) as u16;
        match self.0.word(outcome::KIND) {
            outcome::FORWARD => Action::Forward(self.0.rows(outcome::FIRST)),
            outcome::REDIRECT => Action::Redirect { status, location: self.0.text(outcome::SECOND) },
            _ => Action::Respond { status, body: self.0.text(outcome::SECOND) },
        }
    }
}

/// What to do.
#[derive(Clone, Copy)]
pub enum Action<'p> {
    /// Forward to one of these; the weights sum to 10,000.
    Forward(Rows<'p, Backend>),
    /// Answer with a redirect.
    Redirect { status: u16, location: &'p str },
    /// Answer at once.
    Respond { status: u16, body: &'p str },
}

/// What a rule changes, or does besides; see [`crate::plan::Edit`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Edit<'p> {
    Path(&'p str),
    Prefix { from: &'p str, to: &'p str },
    Host(&'p str),
    Scheme(&'p str),
    SetRequestHeader(&'p str, &'p str),
    AddRequestHeader(&'p str, &'p str),
    RemoveRequestHeader(&'p str),
    SetResponseHeader(&'p str, &'p str),
    AddResponseHeader(&'p str, &'p str),
    RemoveResponseHeader(&'p str),
    Delay { delay: u32, share: u32 },
    Abort { status: u16, share: u32 },
    Mirror { service: u32, port: u32, subset: u32, share: u32 },
    MaxRequestBody(u64),
    RateLimit(RateLimit<'p>),
    Cors(Cors<'p>),
    PreflightAge(u32),
    WebSocket,
    DecodeSlashes,
    StripParameters,
}

/// Which pages of other origins may send requests; see [`crate::plan::Cors`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cors<'p> {
    pub origins: &'p str,
    pub methods: &'p str,
    pub headers: &'p str,
    pub exposed: &'p str,
    pub credentials: bool,
}

/// How many requests are let in; see [`crate::plan::RateLimit`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct RateLimit<'p> {
    pub count: u32,
    pub per: u32,
    pub counting: Counting,
    pub by_source: bool,
    pub by_source_ip: bool,
    pub by_client_ip: bool,
    /// Names of headers, separated by commas.
    pub by_headers: &'p str,
    pub audit: bool,
}

impl<'p> Row<'p> for Edit<'p> {
    const SECTION: Section = Section::Edits;

    fn of(record: Record<'p>) -> Self {
        let (first, second) = (record.word(edit::FIRST), record.word(edit::SECOND));
        let texts = || (record.text(edit::FIRST), record.text(edit::SECOND));
        let share = record.word(edit::SHARE);
        match record.word(edit::KIND) {
            edit::PATH => Edit::Path(texts().0),
            edit::PREFIX => Edit::Prefix { from: texts().0, to: texts().1 },
            edit::HOST => Edit::Host(texts().0),
            edit::SCHEME => Edit::Scheme(texts().0),
            edit::SET_REQUEST_HEADER => Edit::SetRequestHeader(texts().0, texts().1),
            edit::ADD_REQUEST_HEADER => Edit::AddRequestHeader(texts().0, texts().1),
            edit::REMOVE_REQUEST_HEADER => Edit::RemoveRequestHeader(texts().0),
            edit::SET_RESPONSE_HEADER => Edit::SetResponseHeader(texts().0, texts().1),
            edit::ADD_RESPONSE_HEADER => Edit::AddResponseHeader(texts().0, texts().1),
            edit::REMOVE_RESPONSE_HEADER => Edit::RemoveResponseHeader(texts().0),
            edit::DELAY => Edit::Delay { delay: first, share },
            edit::ABORT => Edit::Abort { status: first as u16, share },
            edit::MAX_REQUEST_BODY => Edit::MaxRequestBody(u64::from(second) << 32 | u64::from(first)),
            kind @ (edit::RATE_LIMIT | edit::GLOBAL_RATE_LIMIT) => {
                let (flags, third) = (record.word(edit::FLAGS), record.word(edit::THIRD));
                Edit::RateLimit(RateLimit {
                    count: first,
                    per: second,
                    counting: match kind {
                        edit::RATE_LIMIT => Counting::Local { burst: third },
                        _ => Counting::Global { by: third },
                    },
                    by_source: flags & edit::BY_SOURCE != 0,
                    by_source_ip: flags & edit::BY_SOURCE_IP != 0,
                    by_client_ip: flags & edit::BY_CLIENT_IP != 0,
                    by_headers: record.text(edit::SHARE),
                    audit: flags & edit::AUDIT != 0,
                })
            }
            edit::CORS => Edit::Cors(Cors {
                origins: texts().0,
                methods: texts().1,
                headers: record.text(edit::THIRD),
                exposed: record.text(edit::SHARE),
                credentials: record.word(edit::FLAGS) & edit::CREDENTIALS != 0,
            }),
            edit::PREFLIGHT_AGE => Edit::PreflightAge(first),
            edit::WEB_SOCKET => Edit::WebSocket,
            edit::DECODE_SLASHES => Edit::DecodeSlashes,
            edit::STRIP_PARAMETERS => Edit::StripParameters,
            _ => Edit::Mirror { service: first, port: second, subset: record.word(edit::THIRD), share },
        }
    }
}

impl<'p> Row<'p> for Backend {
    const SECTION: Section = Section::Backends;

    fn of(record: Record<'p>) -> Self {
        Backend {
            service: record.word(backend::SERVICE),
            port: record.word(backend::PORT),
            subset: record.word(backend::SUBSET),
            enter: record.word(backend::ENTER) == 1,
            weight: record.word(backend::WEIGHT),
        }
    }
}

/// What an authorization decides.
#[derive(Clone, Copy)]
pub struct Verdict<'p>(Record<'p>);

impl<'p> Row<'p> for Verdict<'p> {
    const SECTION: Section = Section::Verdicts;

    fn of(record: Record<'p>) -> Self {
        Verdict(record)
    }
}

impl<'p> Verdict<'p> {
    /// See [`Verdict::rule`].
    pub fn rule_text(self) -> Text<'p> {
        self.0.later(verdict::RULE)
    }

    /// See [`Verdict::audit`].
    pub fn audit_text(self) -> Text<'p> {
        self.0.later(verdict::AUDIT)
    }

    pub fn allow(self) -> bool {
        self.0.word(verdict::ALLOW) != verdict::DENIES
    }

    /// Whether it is what the node asks that is allowed.
    #[inline]
    pub fn is_probe(self) -> bool {
        self.0.word(verdict::ALLOW) == verdict::PROBES
    }

    /// `authorize TARGET` and the line's text, for logs.
    pub fn rule(self) -> &'p str {
        self.0.text(verdict::RULE)
    }

    /// What has to be told of the request besides, a line each.
    pub fn audit(self) -> &'p str {
        self.0.text(verdict::AUDIT)
    }

    /// Who has to agree besides, in the order in which they are asked: indices of authorities.
    #[inline]
    pub fn asks(self) -> Rows<'p, u32> {
        self.0.rows(verdict::ASKS)
    }
}

impl<'p> Row<'p> for u32 {
    const SECTION: Section = Section::Asked;

    fn of(record: Record<'p>) -> Self {
        record.word(0)
    }
}

/// A service that is asked whether a request may pass.
#[derive(Clone, Copy)]
pub struct Authority<'p>(Record<'p>);

impl<'p> Row<'p> for Authority<'p> {
    const SECTION: Section = Section::Authorities;

    fn of(record: Record<'p>) -> Self {
        Authority(record)
    }
}

impl<'p> Authority<'p> {
    /// Its name, for logs.
    pub fn name(self) -> &'p str {
        self.0.text(authority::NAME)
    }

    /// All of it.
    pub fn to_value(self) -> crate::plan::Authority {
        crate::plan::Authority {
            name: self.name().to_owned(),
            service: self.0.word(authority::SERVICE),
            port: self.0.word(authority::PORT),
            timeout: self.0.word(authority::TIMEOUT),
            lets_in_on_failure: self.0.word(authority::LETS_IN) == 1,
        }
    }
}

impl<'p> Row<'p> for Grant {
    const SECTION: Section = Section::Grants;

    fn of(record: Record<'p>) -> Self {
        Grant { op_settings: record.word(grant::OP_SETTINGS), settings: record.word(grant::SETTINGS) }
    }
}

/// What a block says of what is sent on.
#[derive(Clone, Copy)]
pub struct Settings<'p>(Record<'p>);

/// What a level of settings says about one of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Written<T> {
    /// Nothing: the next level is asked.
    No,
    /// `none`: the search ends without a value.
    Off,
    /// This.
    Value(T),
}

impl<T> Written<T> {
    /// What holds where `self` is the nearer level.
    #[must_use]
    pub fn or(self, farther: impl FnOnce() -> Written<T>) -> Written<T> {
        match self {
            Written::No => farther(),
            written => written,
        }
    }

    /// The value in force, if there is one.
    pub fn value(self) -> Option<T> {
        match self {
            Written::Value(value) => Some(value),
            Written::No | Written::Off => None,
        }
    }
}

impl<'p> Row<'p> for Settings<'p> {
    const SECTION: Section = Section::Settings;

    fn of(record: Record<'p>) -> Self {
        Settings(record)
    }
}

impl<'p> Settings<'p> {
    /// In milliseconds.
    pub fn timeout(self) -> Written<u32> {
        match self.0.word(settings::TIMEOUT_KIND) {
            settings::UNWRITTEN => Written::No,
            settings::VALUE => Written::Value(self.0.word(settings::TIMEOUT)),
            _ => Written::Off,
        }
    }

    pub fn retry(self) -> Written<Retry<'p>> {
        match self.0.word(settings::RETRY_KIND) {
            settings::UNWRITTEN => Written::No,
            settings::VALUE => self.retry_row().map_or(Written::Off, Written::Value),
            _ => Written::Off,
        }
    }

    /// In milliseconds.
    pub fn idle_timeout(self) -> Written<u32> {
        match self.0.word(settings::IDLE_TIMEOUT_KIND) {
            settings::UNWRITTEN => Written::No,
            settings::VALUE => Written::Value(self.0.word(settings::IDLE_TIMEOUT)),
            _ => Written::Off,
        }
    }

    /// In milliseconds.
    pub fn connect_timeout(self) -> Option<u32> {
        is_there(self.0.word(settings::CONNECT_TIMEOUT))
    }

    /// The load balancer, if this level writes one.
    pub fn balancer(self) -> Option<Balancer<'p>> {
        Rows::all(self.0.plan()).get(self.0.word(settings::BALANCER))
    }

    /// The circuit breaker, if this level writes one.
    pub fn breaker(self) -> Option<Breaker> {
        Rows::all(self.0.plan()).get(self.0.word(settings::BREAKER))
    }

    /// The outlier detection, if this level writes one.
    pub fn outliers(self) -> Option<Outliers> {
        Rows::all(self.0.plan()).get(self.0.word(settings::OUTLIERS))
    }

    /// Their index in the plan.
    pub fn index(self) -> u32 {
        self.0.index()
    }

    /// Whether this level limits what is under way, or which endpoints are used.
    pub fn has_limits(self) -> bool {
        self.0.word(settings::BREAKER) & self.0.word(settings::OUTLIERS) != NONE
    }

    /// Whether it says anything of retries, `none` too.
    pub fn writes_retry(self) -> bool {
        self.0.word(settings::RETRY_KIND) != settings::UNWRITTEN
    }

    fn retry_row(self) -> Option<Retry<'p>> {
        Rows::all(self.0.plan()).get(self.0.word(settings::RETRY))
    }
}

/// A retry policy.
#[derive(Clone, Copy)]
pub struct Retry<'p>(Record<'p>);

impl<'p> Row<'p> for Retry<'p> {
    const SECTION: Section = Section::Retries;

    fn of(record: Record<'p>) -> Self {
        Retry(record)
    }
}

impl<'p> Retry<'p> {
    /// Retries after the first try.
    pub fn count(self) -> u32 {
        self.0.word(retry::COUNT)
    }

    pub fn on_connect_failure(self) -> bool {
        self.flag(retry::ON_CONNECT_FAILURE)
    }

    pub fn on_reset(self) -> bool {
        self.flag(retry::ON_RESET)
    }

    pub fn on_timeout(self) -> bool {
        self.flag(retry::ON_TIMEOUT)
    }

    /// Statuses as they stand in the plan: little-endian half words, sorted.
    pub fn statuses(self) -> &'p [u8] {
        let (start, count) = (self.0.word(retry::STATUSES), self.0.word(retry::STATUSES + 1));
        self.0.plan().slice(Section::Statuses, start, count).unwrap_or_default()
    }

    /// Bit i is method atom i.
    pub fn methods(self) -> u8 {
        self.0.word(retry::METHODS) as u8
    }

    /// Milliseconds, or 0: none.
    pub fn per_try_timeout(self) -> u32 {
        self.0.word(retry::PER_TRY_TIMEOUT)
    }

    /// Milliseconds; 0 and 0: none.
    pub fn backoff_base(self) -> u32 {
        self.0.word(retry::BACKOFF_BASE)
    }

    /// Milliseconds.
    pub fn backoff_cap(self) -> u32 {
        self.0.word(retry::BACKOFF_CAP)
    }

    /// Body bytes kept to be sent again.
    pub fn buffer(self) -> u32 {
        self.0.word(retry::BUFFER)
    }

    /// The budget, if one is declared.
    pub fn budget(self) -> Option<Budget> {
        self.flag(retry::HAS_BUDGET).then(|| Budget {
            share: self.0.word(retry::BUDGET_SHARE),
            min_per_second: self.0.word(retry::BUDGET_MIN),
            over: self.0.word(retry::BUDGET_OVER),
        })
    }

    fn flag(self, bit: u32) -> bool {
        self.0.word(retry::FLAGS) & bit != 0
    }
}
