//! Conditions on every field, with every test.

use super::{Asked, Draft, Gateway, Service};

/// Where a condition stands, which says what it can ask.
#[derive(Clone, Debug, Default)]
pub(super) struct Knows {
    pub(super) issuers: Vec<&'static str>,
    pub(super) clients: bool,
    pub(super) hosts: bool,
    /// Only who connects: no request is seen.
    pub(super) bytes: bool,
    /// An operation beside it says paths, which conditions on the path would mostly contradict.
    pub(super) paths: bool,
}

impl Knows {
    pub(super) fn of_service(service: &Service) -> Knows {
        Knows { issuers: service.issuers.clone(), ..Knows::default() }
    }

    pub(super) fn of_gateway(gateway: &Gateway) -> Knows {
        Knows { issuers: gateway.issuers.clone(), clients: gateway.knows_clients, ..Knows::default() }
    }
}

impl Asked {
    /// As a condition says it; `among`: the issuers that its place verifies.
    pub(super) fn said(&self, among: &[&str]) -> String {
        match self {
            Asked::Header(name) => format!("header \"{name}\""),
            Asked::Query(name) => format!("query \"{name}\""),
            Asked::Cookie(name) => format!("cookie \"{name}\""),
            Asked::Claim(issuer, path) => {
                let issuer = if among.len() > 1 { format!(" {issuer}") } else { String::new() };
                let path: String = path.iter().map(|key| format!(" \"{key}\"")).collect();
                format!("claim{issuer}{path}")
            }
            Asked::Jwt(issuer) => format!("jwt {issuer}"),
            Asked::SourceIp => "source-ip".to_owned(),
            Asked::ClientIp => "client-ip".to_owned(),
            Asked::Path => "path".to_owned(),
            Asked::Host => "host".to_owned(),
        }
    }
}

impl Draft<'_> {
    /// Something that can be asked here.
    pub(super) fn asked(&mut self, knows: &Knows) -> Asked {
        if knows.bytes {
            return Asked::SourceIp;
        }
        let issuer = knows.issuers.get(self.rng.usize(..knows.issuers.len().max(1))).copied();
        match (self.rng.u32(..20), issuer) {
            (0..=2, Some(issuer)) => {
                Asked::Claim(issuer, self.pick(&[&["role"][..], &["realm", "roles"], &["realm"]]))
            }
            (3, Some(issuer)) => Asked::Jwt(issuer),
            (4, _) if knows.clients => Asked::ClientIp,
            (5, _) if knows.hosts => Asked::Host,
            (6 | 7, _) => Asked::Query("k"),
            (8 | 9, _) => Asked::Cookie("type"),
            (10, _) => Asked::SourceIp,
            (11 | 12, _) if !knows.paths => Asked::Path,
            (13, _) => Asked::Header("user-agent"),
            _ => Asked::Header("x-kind"),
        }
    }

    /// The tests of a family, `#` for the field: they have nothing in common, or contain each other.
    pub(super) fn tests_of(&mut self, asked: &Asked, nested: bool) -> &'static [&'static str] {
        let (texts, tests): (&[&str], &'static [&'static str]) = match (asked, nested) {
            (Asked::SourceIp | Asked::ClientIp, true) => (
                &["10.0.0.0/8", "10.1.0.0/16", "10.1.2.3"],
                self.pick(&[
                    &["# in (\"10.0.0.0/8\")", "# in (\"10.1.0.0/16\")", "# = \"10.1.2.3\""][..],
                    &[
                        "# != \"fd00::/8\"",
                        "# in (\"10.0.0.0/8\", \"192.0.2.1\")",
                        "# in (\"10.1.2.3\", \"10.1.2.4/31\")",
                    ],
                ]),
            ),
            (Asked::SourceIp | Asked::ClientIp, false) => (
                &["10.0.0.0/8", "192.0.2.1", "fd00::/8"],
                self.pick(&[
                    &["# in (\"10.0.0.0/8\", \"fd00::/8\")", "# = \"192.0.2.1\""][..],
                    &["# = \"10.0.0.0/8\"", "not # = \"10.0.0.0/8\""],
                ]),
            ),
            (Asked::Jwt(_), _) => (&[], &["# present", "# absent"]),
            (Asked::Path, true) => (
                &["/a", "/a/b", "/a.json", "/a/b.json"],
                self.pick(&[
                    &["# prefix \"/a\"", "# prefix \"/a/\"", "# = \"/a/b\""][..],
                    &["# contains \"b\"", "# suffix \"b\"", "# = \"/a/b\""],
                    &["# suffix \".json\"", "# matches re\"/a.*[.]json\"", "# = \"/a/b.json\""],
                ]),
            ),
            (Asked::Path, false) => (
                &["/a", "/b", "/a/b"],
                self.pick(&[
                    &["# = \"/a\"", "# in (\"/b\", \"/a/b\")"][..],
                    &["# suffix \"/\"", "not # suffix \"/\""],
                    &["# matches re\"/[ab]+\"", "# contains \"c\""],
                ]),
            ),
            (Asked::Host, _) => (
                &["shop.example"],
                &["# = \"shop.example\"", "# suffix \".shop.example\"", "# in (\"a.test\", \"b.test\")"],
            ),
            (_, true) => (
                &["a", "ab", "abc", "b"],
                self.pick(&[
                    &["# present", "# prefix \"a\"", "# prefix \"ab\"", "# = \"abc\""][..],
                    &["not # = \"b\"", "# prefix \"a\"", "# in (\"a\", \"ab\")"],
                    &["not # absent", "not # in (\"a\", \"ab\")", "# = \"b\""],
                    &["# has \"a\"", "# = \"a\""],
                    &["# present", "# contains \"b\"", "# suffix \"b\"", "# = \"ab\""],
                    &["# matches re\"a.*\"", "# matches re\"ab*\"", "# in (\"a\", \"abb\")"],
                    &["# present", "not # has \"a\"", "# = \"b\""],
                ]),
            ),
            (_, false) => (
                &["a", "ab", "abc", ""],
                self.pick(&[
                    &["# = \"a\"", "# in (\"ab\", \"abc\")", "# absent"][..],
                    &["# prefix \"a\"", "not # prefix \"a\"", "not # present"],
                    &["# = \"\"", "# != \"\""],
                    &["# prefix \"a\" and # != \"a\"", "not # != \"a\""],
                    &["# suffix \"b\"", "# suffix \"c\"", "# absent"],
                    &["# contains \"b\"", "not # contains \"b\""],
                    &["# matches re\"[ab]{1,2}\"", "# contains \"c\""],
                    &["# has \"a\"", "not # has \"a\"", "# absent"],
                ]),
            ),
        };
        let asked = asked.clone();
        self.places.asked.extend(texts.iter().map(|text| (asked.clone(), (*text).to_owned())));
        tests
    }

    /// Any condition; the last ones exclude each other for some of the values.
    pub(super) fn condition(&mut self, asked: &Asked, among: &[&str]) -> String {
        let field = asked.said(among);
        let (value, other) = match asked {
            Asked::SourceIp | Asked::ClientIp => {
                (self.pick(&["10.0.0.0/8", "10.1.0.0/16", "192.0.2.1", "fd00::/8", "10.1.2.3"]), "10.0.0.0/9")
            }
            Asked::Path => (self.pick(&["/a", "/a/b", "/b", "/a.json"]), "/b"),
            Asked::Host => (self.pick(&["shop.example", "a.shop.example", "other.example"]), "x.test"),
            _ => (self.pick(&["a", "ab", "b", ""]), "abc"),
        };
        self.places.asked.push((asked.clone(), value.to_owned()));
        let not = self.pick(&["", "", "not "]);
        let tests: &[&str] = match asked {
            Asked::Jwt(_) => &["present", "absent"],
            Asked::SourceIp => &["= V", "!= V", "in (V, O)"],
            Asked::ClientIp => &["= V", "!= V", "in (V, O)", "present", "absent"],
            Asked::Host => &["= V", "!= V", "in (V, O)", "suffix V"],
            Asked::Path => &[
                "= V",
                "!= V",
                "in (V, O)",
                "prefix V",
                "suffix V",
                "contains V",
                "matches re\"/[ab]+(/b)?\"",
            ],
            _ => &[
                "= V",
                "= V",
                "= V",
                "!= V",
                "in (O, V)",
                "in (O, V)",
                "prefix V",
                "suffix V",
                "contains V",
                "has V",
                "has V",
                "present",
                "absent",
                "matches re\"a[bc]*\"",
                "matches re\".b|a?\"",
                "prefix \"a\" and # != V",
                "in (\"ab\", V) and # present",
                "prefix \"a\" and not # prefix \"ab\"",
                "!= \"a\" and # in (O, V)",
                "contains \"b\" and not # suffix \"c\"",
            ],
        };
        let test = self.pick(tests);
        let said = |text: &str| format!("\"{text}\"");
        let test = test.replace('V', &said(value)).replace('O', &said(other)).replace('#', &field);
        format!("{not}{field} {test}")
    }

    /// ` when …`, as often as said.
    pub(super) fn when(&mut self, knows: &Knows, percent: u32) -> String {
        if !self.chance(percent) {
            return String::new();
        }
        let mut fields = vec![self.asked(knows)];
        if self.chance(20) {
            let other = self.asked(knows);
            // Two conditions on one field exclude each other often, which is an error.
            if other != fields[0] || self.chance(10) {
                fields.push(other);
            }
        }
        let conditions: Vec<String> =
            fields.iter().map(|asked| self.condition(asked, &knows.issuers)).collect();
        format!(" when {}", conditions.join(" and "))
    }
}
