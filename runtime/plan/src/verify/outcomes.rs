//! Outcomes, verdicts, grants and settings.

use super::workloads::is_port;
use super::{PlanError, Tiles, all, ascending, balancing, count, ensure, is_settings, is_string, some};
use crate::layout::{
    MAX_ASKED, MAX_MILLISECONDS, MAX_RETRIES, MAX_RETRY_BUFFER, Section, WHOLE, authority, backend, edit,
    gateway, grant, listener, outcome, retry, service, settings, verdict,
};
use crate::plan::NONE;
use crate::view::{PlanView, Record};

pub(super) fn check(plan: &PlanView) -> Result<(), PlanError> {
    outcomes(plan)?;
    for edit in all(plan, Section::Edits) {
        is_edit(plan, edit)?;
    }
    let mut all_asked = Tiles::of(plan, Section::Asked);
    for verdict in all(plan, Section::Verdicts) {
        ensure(verdict.word(verdict::ALLOW) <= verdict::PROBES, "a verdict is none")?;
        is_string(plan, verdict.word(verdict::RULE))?;
        is_string(plan, verdict.word(verdict::AUDIT))?;
        asked(plan, verdict, &mut all_asked)?;
    }
    all_asked.end()?;
    all(plan, Section::Authorities).try_for_each(|own| is_authority(plan, own))?;
    for grant in all(plan, Section::Grants) {
        is_settings(plan, grant.word(grant::OP_SETTINGS))?;
        is_settings(plan, grant.word(grant::SETTINGS))?;
    }
    settings(plan)?;
    balancing::check(plan)?;
    retries(plan)
}

/// Only who would be let in has somebody asked, and each of these once.
fn asked(plan: &PlanView, verdict: Record<'_>, all_asked: &mut Tiles) -> Result<(), PlanError> {
    let range = all_asked.take(verdict.range(verdict::ASKS))?;
    ensure(range.1 <= MAX_ASKED, "too many are asked")?;
    let is_let_in = verdict.word(verdict::ALLOW) == verdict::ALLOWS;
    ensure(range.1 == 0 || is_let_in, "somebody is asked of what is denied, or of what the node asks")?;
    let asked = || some(plan, Section::Asked, range).map(|own| own.word(0));
    for (own, place) in asked().zip(1..) {
        ensure(own < count(plan, Section::Authorities), "nobody is asked")?;
        ensure(asked().skip(place).all(|other| other != own), "somebody is asked twice")?;
    }
    Ok(())
}

fn is_authority(plan: &PlanView, own: Record<'_>) -> Result<(), PlanError> {
    is_string(plan, own.word(authority::NAME))?;
    is_port(plan, own.word(authority::SERVICE), own.word(authority::PORT))?;
    let timeout = own.word(authority::TIMEOUT);
    ensure((1..=MAX_MILLISECONDS).contains(&timeout), "an answer is waited for not at all, or too long")?;
    ensure(own.word(authority::LETS_IN) <= 1, "failures neither let in nor do not")
}

fn outcomes(plan: &PlanView) -> Result<(), PlanError> {
    let mut backends = Tiles::of(plan, Section::Backends);
    let mut edits = Tiles::of(plan, Section::Edits);
    for service in all(plan, Section::Services) {
        limits(plan, edits.take(service.range(service::LIMITS))?)?;
    }
    for gateway in all(plan, Section::Gateways) {
        limits(plan, edits.take(gateway.range(gateway::LIMITS))?)?;
        for listener in some(plan, Section::Listeners, gateway.range(gateway::LISTENERS)) {
            limits(plan, edits.take(listener.range(listener::LIMITS))?)?;
        }
    }
    for outcome in all(plan, Section::Outcomes) {
        is_string(plan, outcome.word(outcome::RULE))?;
        is_settings(plan, outcome.word(outcome::SETTINGS))?;
        let status = outcome.word(outcome::FIRST);
        match outcome.word(outcome::KIND) {
            outcome::FORWARD => {
                let range = backends.take(outcome.range(outcome::FIRST))?;
                some(plan, Section::Backends, range).try_for_each(|record| is_backend(plan, record))?;
                let weights = some(plan, Section::Backends, range)
                    .map(|record| u64::from(record.word(backend::WEIGHT)));
                ensure(weights.sum::<u64>() == u64::from(WHOLE), "weights do not sum to a whole")?;
            }
            outcome::REDIRECT => {
                ensure(matches!(status, 301 | 302 | 303 | 307 | 308), "a redirect has no status for it")?;
                is_string(plan, outcome.word(outcome::SECOND))?;
            }
            outcome::RESPOND => {
                ensure((200..=599).contains(&status), "an answer has no status for it")?;
                is_string(plan, outcome.word(outcome::SECOND))?;
            }
            _ => return Err(PlanError::Corrupt { what: "an outcome is of no kind" }),
        }
        edits.take(outcome.range(outcome::EDITS))?;
    }
    edits.end()?;
    backends.end()
}

/// Services, gateways and listeners only limit what they let in.
fn limits(plan: &PlanView, range: (u32, u32)) -> Result<(), PlanError> {
    let mut kinds = some(plan, Section::Edits, range).map(|record| record.word(edit::KIND));
    let is_limit = |kind| {
        matches!(
            kind,
            edit::MAX_REQUEST_BODY
                | edit::RATE_LIMIT
                | edit::GLOBAL_RATE_LIMIT
                | edit::DECODE_SLASHES
                | edit::STRIP_PARAMETERS
        )
    };
    ensure(kinds.all(is_limit), "a limit is none")
}

fn is_edit(plan: &PlanView, record: Record<'_>) -> Result<(), PlanError> {
    let words = [edit::FIRST, edit::SECOND, edit::THIRD, edit::SHARE].map(|field| record.word(field));
    let [first, second, third, share] = words;
    let (kind, flags) = (record.word(edit::KIND), record.word(edit::FLAGS));
    let has_share = !matches!(kind, edit::RATE_LIMIT | edit::GLOBAL_RATE_LIMIT | edit::CORS);
    ensure(!has_share || share <= WHOLE && flags == 0, "an edit is of more than everything")?;
    match kind {
        edit::DELAY => ensure(first <= MAX_MILLISECONDS && second == 0 && third == 0, "a delay is too long"),
        edit::ABORT => {
            ensure((200..=599).contains(&first) && second == 0 && third == 0, "an abort has no status for it")
        }
        edit::MIRROR => {
            is_port(plan, first, second)?;
            let subsets = Record::at(plan, Section::Services, first)
                .map_or(0, |service| service.range(service::SUBSETS).1);
            ensure(third == NONE || third < subsets, "a mirror is no subset of its service")
        }
        edit::MAX_REQUEST_BODY => ensure(third == 0 && share == 0, "a limit says more than it can"),
        edit::RATE_LIMIT | edit::GLOBAL_RATE_LIMIT => {
            let is_local = kind == edit::RATE_LIMIT;
            ensure(first > 0 && second > 0 && (third > 0 || !is_local), "a limit lets nothing in")?;
            ensure(is_local || third < count(plan, Section::Authorities), "nobody counts for a limit")?;
            let known = edit::BY_SOURCE | edit::BY_SOURCE_IP | edit::BY_CLIENT_IP | edit::AUDIT;
            ensure(flags & !known == 0, "a limit has a flag without a meaning")?;
            is_string(plan, share)
        }
        edit::CORS => {
            ensure(flags & !edit::CREDENTIALS == 0, "a limit has a flag without a meaning")?;
            words.into_iter().try_for_each(|text| is_string(plan, text))
        }
        edit::PREFLIGHT_AGE => {
            let most = MAX_MILLISECONDS / 1_000;
            ensure(first <= most && second == 0 && third == 0 && share == 0, "an answer is kept too long")
        }
        edit::WEB_SOCKET | edit::DECODE_SLASHES | edit::STRIP_PARAMETERS => {
            ensure(words == [0; 4], "an edit says more than it can")
        }
        kind if kind < edit::DELAY => {
            ensure(third == 0 && share == 0, "an edit says more than it can")?;
            is_string(plan, first)?;
            is_string(plan, second)
        }
        _ => Err(PlanError::Corrupt { what: "an edit is of no kind" }),
    }
}

fn is_backend(plan: &PlanView, record: Record<'_>) -> Result<(), PlanError> {
    let service = record.word(backend::SERVICE);
    is_port(plan, service, record.word(backend::PORT))?;
    let subset = record.word(backend::SUBSET);
    let subsets =
        Record::at(plan, Section::Services, service).map_or(0, |service| service.range(service::SUBSETS).1);
    ensure(subset == NONE || subset < subsets, "a backend is no subset of its service")?;
    let enter = record.word(backend::ENTER);
    ensure(enter == 0 || enter == 1 && subset == NONE, "a backend neither enters nor ends")
}

fn settings(plan: &PlanView) -> Result<(), PlanError> {
    let mut retries = Tiles::of(plan, Section::Retries);
    let mut balancing = balancing::Owned::of(plan);
    for settings in all(plan, Section::Settings) {
        let kinds = [settings::TIMEOUT_KIND, settings::RETRY_KIND, settings::IDLE_TIMEOUT_KIND];
        let kinds = kinds.map(|kind| settings.word(kind));
        ensure(kinds.iter().all(|kind| *kind <= settings::VALUE), "a setting is of no kind")?;
        let [has_timeout, has_retry, has_idle] = kinds.map(|kind| kind == settings::VALUE);
        for (has, word) in [(has_timeout, settings::TIMEOUT), (has_idle, settings::IDLE_TIMEOUT)] {
            let timeout = settings.word(word);
            ensure(if has { timeout <= MAX_MILLISECONDS } else { timeout == 0 }, "a timeout is too long")?;
        }
        let connect = settings.word(settings::CONNECT_TIMEOUT);
        ensure(connect == NONE || connect <= MAX_MILLISECONDS, "a timeout is too long")?;
        balancing.take(settings)?;
        if has_retry {
            retries.take((settings.word(settings::RETRY), 1))?;
        } else {
            ensure(settings.word(settings::RETRY) == 0, "a retry is of no setting")?;
        }
    }
    balancing.end()?;
    retries.end()
}

fn retries(plan: &PlanView) -> Result<(), PlanError> {
    let mut statuses = Tiles::of(plan, Section::Statuses);
    for retry in all(plan, Section::Retries) {
        ensure((1..=MAX_RETRIES).contains(&retry.word(retry::COUNT)), "a retry has no number for it")?;
        let flags = retry::ON_CONNECT_FAILURE | retry::ON_RESET | retry::ON_TIMEOUT | retry::HAS_BUDGET;
        ensure(retry.word(retry::FLAGS) & !flags == 0, "a retry has a flag without a meaning")?;
        ensure(retry.word(retry::METHODS) <= u32::from(u8::MAX), "a retry is of no method")?;
        ensure(retry.word(retry::BUFFER) <= MAX_RETRY_BUFFER, "a retry keeps too much")?;
        let times = [retry::PER_TRY_TIMEOUT, retry::BACKOFF_BASE, retry::BACKOFF_CAP, retry::BUDGET_OVER];
        ensure(times.into_iter().all(|time| retry.word(time) <= MAX_MILLISECONDS), "a retry waits too long")?;
        let budget = [retry::BUDGET_SHARE, retry::BUDGET_MIN, retry::BUDGET_OVER];
        let has_budget = retry.word(retry::FLAGS) & retry::HAS_BUDGET != 0;
        ensure(
            has_budget || budget.into_iter().all(|field| retry.word(field) == 0),
            "a budget is of no retry",
        )?;
        ensure(retry.word(retry::BUDGET_SHARE) <= WHOLE, "a budget is more than everything")?;
        let (start, count) = statuses.take(retry.range(retry::STATUSES))?;
        let halves = plan.slice(Section::Statuses, start, count).unwrap_or_default().as_chunks::<2>().0;
        let values = || halves.iter().map(|half| u16::from_le_bytes(*half));
        ascending(values(), "statuses are not sorted")?;
        let is_error = |status: u16| (1..=16).contains(&status) || (400..=599).contains(&status);
        ensure(values().all(is_error), "a status is no error")?;
    }
    ensure(statuses.next == count(plan, Section::Statuses), "a status is of no retry")
}
