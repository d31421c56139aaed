//! Which requests a statement is about: methods and paths.

use crate::span::{Span, Spanned, Text};

/// `METHOD|METHOD PATH`: no methods is every method, no path is every path (and `*`); not both are missing.
#[derive(Clone, Debug, PartialEq)]
pub struct Op {
    pub span: Span,
    pub methods: Methods,
    pub path: Option<Spanned<Path>>,
    /// Whether it was written `grpc pkg.Service/Method`: the path says the same.
    pub grpc: bool,
}

/// The methods a program can name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Method {
    Get,
    Head,
    Post,
    Put,
    Patch,
    Delete,
    Options,
}

impl Method {
    /// All of them, in the order of the specification.
    pub const ALL: [Method; 7] = [
        Method::Get,
        Method::Head,
        Method::Post,
        Method::Put,
        Method::Patch,
        Method::Delete,
        Method::Options,
    ];

    /// As on the wire.
    pub fn as_str(self) -> &'static str {
        match self {
            Method::Get => "GET",
            Method::Head => "HEAD",
            Method::Post => "POST",
            Method::Put => "PUT",
            Method::Patch => "PATCH",
            Method::Delete => "DELETE",
            Method::Options => "OPTIONS",
        }
    }

    /// The method of this exact (case-sensitive) spelling.
    pub fn parse(text: &str) -> Option<Method> {
        Method::ALL.into_iter().find(|method| method.as_str() == text)
    }
}

/// Some of the methods, each once. In the order of the specification: one says them in any order and means the same.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Methods {
    bits: u8,
}

impl Methods {
    pub fn is_empty(self) -> bool {
        self.bits == 0
    }

    pub fn len(self) -> usize {
        self.bits.count_ones() as usize
    }

    pub fn insert(&mut self, method: Method) {
        self.bits |= 1 << method as u8;
    }

    pub fn iter(self) -> impl Iterator<Item = Method> {
        Method::ALL.into_iter().filter(move |method| self.bits & 1 << *method as u8 != 0)
    }
}

impl FromIterator<Method> for Methods {
    fn from_iter<I: IntoIterator<Item = Method>>(methods: I) -> Methods {
        let mut all = Methods::default();
        methods.into_iter().for_each(|method| all.insert(method));
        all
    }
}

/// A path pattern as its canonical text, which is how it was written: what it says is read from it when it is asked, and a copy
/// shares the text.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Path {
    /// INVARIANT: the text of a [`PathPattern`].
    text: Text,
}

impl Path {
    /// The path of a text that has been found to be canonical.
    pub(crate) fn new(text: Text) -> Path {
        Path { text }
    }

    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// What it says, segment by segment.
    pub fn pattern(&self) -> PathPattern {
        let (path, subtree) = self.text.strip_suffix("/**").map_or((&*self.text, false), |path| (path, true));
        // Segments are short: looking at each byte takes less than to begin a search that is made for long texts.
        let slashes = path.bytes().filter(|byte| *byte == b'/').count();
        let mut segments = Vec::with_capacity(slashes);
        let mut rest = path.strip_prefix('/');
        while let Some(left) = rest {
            let end = left.bytes().position(|byte| byte == b'/').unwrap_or(left.len());
            segments.push(Segment::of(&left[..end]));
            rest = left.get(end + 1..);
        }
        PathPattern { segments, subtree }
    }
}

impl std::convert::From<PathPattern> for Path {
    fn from(pattern: PathPattern) -> Path {
        Path { text: pattern.to_string().into() }
    }
}

impl std::fmt::Display for Path {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.text)
    }
}

/// A path pattern, split at `/`. `/a/{b}/**` is `[Literal("a"), Any("b")]` with `subtree`; `/` is `[Literal("")]`;
/// `/a/` is `[Literal("a"), Literal("")]`; `/**` is `[]` with `subtree`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PathPattern {
    pub segments: Vec<Segment>,
    /// Ends in `/**`: this path and everything below it.
    pub subtree: bool,
}

/// One segment of a pattern.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Segment {
    /// Exactly this text, canonical; empty only as the last segment.
    Literal(Text),
    /// `{name}`: exactly one segment that is not empty.
    Any(Text),
    /// `{name}.json`: exactly one segment that ends so and has something before it.
    AnyWithSuffix { name: Text, suffix: Text },
}

impl Segment {
    /// A segment of a canonical pattern.
    fn of(text: &str) -> Segment {
        match text.strip_prefix('{').and_then(|rest| rest.split_once('}')) {
            None => Segment::Literal(text.into()),
            Some((name, "")) => Segment::Any(name.into()),
            Some((name, suffix)) => Segment::AnyWithSuffix { name: name.into(), suffix: suffix.into() },
        }
    }
}

impl std::fmt::Display for PathPattern {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        for segment in &self.segments {
            match segment {
                Segment::Literal(text) => write!(f, "/{text}")?,
                Segment::Any(name) => write!(f, "/{{{name}}}")?,
                Segment::AnyWithSuffix { name, suffix } => write!(f, "/{{{name}}}{suffix}")?,
            }
        }
        if self.subtree { f.write_str("/**") } else { Ok(()) }
    }
}
