//! What rules change of a request: its path, its host and its headers, one rule after the other (`spec/semantics.md` 9).

use crate::request::{Headers, Request};
use mesh_plan::PlanView;
use mesh_plan::layout::MAX_ENTER_DEPTH;
use mesh_plan::view::{Edit, Outcome};
use std::borrow::Cow;

/// As many rules as a request can pass.
const MOST: usize = MAX_ENTER_DEPTH as usize + 1;

/// The rules passed so far that change something, in order.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Edited {
    /// Indices of outcomes; the first `len` count.
    outcomes: [u32; MOST],
    len: u8,
}

impl Edited {
    /// Nothing is changed.
    pub const NOTHING: Edited = Edited { outcomes: [0; MOST], len: 0 };

    /// Whether nothing is changed.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// And then this rule.
    #[inline]
    pub(crate) fn add(&mut self, outcome: Outcome<'_>) {
        if outcome.edits().is_empty() {
            return;
        }
        if let Some(place) = self.outcomes.get_mut(usize::from(self.len)) {
            *place = outcome.index();
            self.len += 1;
        }
    }

    /// The rules, in order.
    pub fn outcomes<'p>(&self, plan: &'p PlanView) -> impl Iterator<Item = Outcome<'p>> + use<'p> {
        let (outcomes, len) = (self.outcomes, usize::from(self.len));
        outcomes.into_iter().take(len).filter_map(move |index| plan.outcome(index))
    }

    /// All edits, in order.
    pub fn edits<'p>(&self, plan: &'p PlanView) -> impl Iterator<Item = Edit<'p>> + use<'p> {
        self.outcomes(plan).flat_map(|outcome| outcome.edits().iter())
    }

    /// A path after the edits. The path `*` is about the server and stays.
    pub fn path<'r>(&self, plan: &PlanView, path: &'r str) -> Cow<'r, str> {
        let mut now = Cow::Borrowed(path);
        if path == "*" {
            return now;
        }
        for index in 0..usize::from(self.len) {
            let outcome = self.outcomes.get(index).and_then(|index| plan.outcome(*index));
            let Some(outcome) = outcome else { continue };
            for edit in outcome.edits().iter() {
                match edit {
                    Edit::Path(to) => now = Cow::Owned(to.to_owned()),
                    Edit::Prefix { from, to } => {
                        if let Some(replaced) = replaced(&now, from, to) {
                            now = Cow::Owned(replaced);
                            // Of several prefixes of a rule the first that fits counts.
                            break;
                        }
                    }
                    _ => {}
                }
            }
        }
        now
    }

    /// A host after the edits.
    pub fn host<'s>(&self, plan: &'s PlanView, host: &'s str) -> &'s str {
        let last = self.edits(plan).filter_map(|edit| match edit {
            Edit::Host(to) => Some(to),
            _ => None,
        });
        last.last().unwrap_or(host)
    }

    /// Asks something of the request as it is after the edits.
    pub(crate) fn with<T>(
        &self,
        plan: &PlanView,
        request: &Request<'_>,
        ask: impl FnOnce(&Request<'_>) -> T,
    ) -> T {
        let path = self.path(plan, request.path);
        let headers = EditedHeaders { plan, edited: self, original: request.headers };
        ask(&Request { path: &path, headers: &headers, ..*request })
    }
}

/// The path with another beginning, if it begins so: segments are replaced whole.
fn replaced(path: &str, from: &str, to: &str) -> Option<String> {
    let rest = path.strip_prefix(from)?;
    if !(rest.is_empty() || rest.starts_with('/')) {
        return None;
    }
    let whole = format!("{to}{rest}");
    Some(if whole.is_empty() { "/".to_owned() } else { whole })
}

/// Headers after the edits.
struct EditedHeaders<'a> {
    plan: &'a PlanView,
    edited: &'a Edited,
    original: &'a dyn Headers,
}

impl Headers for EditedHeaders<'_> {
    fn each_line(&self, name: &[u8], show: &mut dyn FnMut(&[u8])) {
        // Whatever stood there before the last `set` or `remove` of this header is gone.
        let edits = || self.edited.edits(self.plan);
        let clears = |edit: &Edit<'_>| match edit {
            Edit::SetRequestHeader(own, _) | Edit::RemoveRequestHeader(own) => own.as_bytes() == name,
            _ => false,
        };
        let cleared = edits().enumerate().filter(|(_, edit)| clears(edit)).map(|(index, _)| index).last();
        if cleared.is_none() {
            self.original.each_line(name, show);
        }
        for (index, edit) in edits().enumerate() {
            let counts = cleared.is_none_or(|cleared| index >= cleared);
            match edit {
                Edit::SetRequestHeader(own, value) | Edit::AddRequestHeader(own, value)
                    if own.as_bytes() == name && counts =>
                {
                    show(value.as_bytes());
                }
                _ => {}
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Edited, EditedHeaders, replaced};
    use crate::request::Headers;
    use crate::samples::plan;
    use mesh_plan::{Edit, PlanView, encode, verify};

    /// A plan whose first outcomes have these edits, and a request that has passed them in this order.
    fn passed(rules: &[&[Edit]]) -> (PlanView, Edited) {
        let mut plan = plan();
        plan.outcomes.iter_mut().zip(rules).for_each(|(outcome, edits)| outcome.edits = edits.to_vec());
        let view = verify(encode(&plan).unwrap()).unwrap();
        let outcomes = (0..rules.len() as u32).filter_map(|index| view.outcome(index));
        let mut edited = Edited::NOTHING;
        outcomes.for_each(|outcome| edited.add(outcome));
        (view, edited)
    }

    fn prefix(from: &str, to: &str) -> Edit {
        Edit::Prefix { from: from.to_owned(), to: to.to_owned() }
    }

    #[test]
    fn of_the_prefixes_of_a_rule_the_first_that_fits_counts_and_rules_follow_each_other() {
        let path = |rules: &[&[Edit]]| {
            let (plan, edited) = passed(rules);
            edited.path(&plan, "/a/b/c").into_owned()
        };
        assert_eq!(path(&[&[prefix("/a/b", "/a"), prefix("/a", "/z")]]), "/a/c");
        assert_eq!(path(&[&[prefix("/x", "/y"), prefix("/a", "/z")]]), "/z/b/c");
        assert_eq!(path(&[&[prefix("/a/b", "/a")], &[prefix("/a", "/z")]]), "/z/c");
    }

    #[test]
    fn the_last_rule_that_sets_or_removes_a_header_counts() {
        let header = |rules: &[&[Edit]]| {
            let (plan, edited) = passed(rules);
            let original: &[(&str, &str)] = &[("x", "client")];
            let mut lines = Vec::new();
            let headers = EditedHeaders { plan: &plan, edited: &edited, original: &original };
            headers.each_line(b"x", &mut |line| lines.push(String::from_utf8_lossy(line).into_owned()));
            lines
        };
        let set = |value: &str| Edit::SetRequestHeader("x".to_owned(), value.to_owned());
        let add = |value: &str| Edit::AddRequestHeader("x".to_owned(), value.to_owned());
        let remove = || Edit::RemoveRequestHeader("x".to_owned());
        assert_eq!(header(&[&[add("1")]]), ["client", "1"]);
        assert_eq!(header(&[&[set("1")], &[set("2")]]), ["2"]);
        assert_eq!(header(&[&[set("1")], &[add("2")]]), ["1", "2"]);
        assert_eq!(header(&[&[add("1")], &[remove()]]), [""; 0]);
        assert_eq!(header(&[&[remove()], &[add("2")]]), ["2"]);
    }

    #[test]
    fn a_prefix_is_whole_segments() {
        assert_eq!(replaced("/cayenne/hot", "/cayenne", "/paprika").as_deref(), Some("/paprika/hot"));
        assert_eq!(replaced("/cayenne", "/cayenne", "/paprika").as_deref(), Some("/paprika"));
        assert_eq!(replaced("/cayennes", "/cayenne", "/paprika"), None);
        assert_eq!(replaced("/api/v1", "/api", "").as_deref(), Some("/v1"));
        assert_eq!(replaced("/api", "/api", "").as_deref(), Some("/"));
        assert_eq!(replaced("/v1", "", "/api").as_deref(), Some("/api/v1"));
    }
}
