//! Join tokens: each is for one identity, for a while, for so many keys. What is kept of a token is a hash, so whoever reads the directory
//! joins nothing.
//!
//! A use is a file that is made once and by one process alone, so a token is used no more often than it may be, whoever asks at the same
//! time. It says for which key it was: the answer may get lost, and the same key is answered again.

use crate::commands::plan::keys::SECRET;
use crate::failure::{Failure, reason};
use mesh_plan::bundle::hex;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::fs::{self, OpenOptions};
use std::io::{self, ErrorKind, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// What tokens begin with, so that whoever finds one in a log or a repository knows what it is.
const PREFIX: &str = "mesh_join_";
/// Bytes of its name, by which it is found.
const NAME_BYTES: usize = 8;
/// Bytes that nobody guesses.
const SECRET_BYTES: usize = 32;

/// What is kept of a token.
#[derive(Debug, Serialize, Deserialize)]
struct Record {
    id: String,
    /// Of the secret. It needs no salt and no slow function: nobody can try all secrets of 256 bits.
    blake3: String,
    /// Seconds of Unix time.
    expires: u64,
    uses: u32,
}

/// Tokens of one trust domain.
pub(super) struct Tokens {
    directory: PathBuf,
}

/// Who joins.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Joined {
    pub(super) id: String,
    /// The token's name, for the log.
    pub(super) name: String,
}

/// Why a token is not taken.
#[derive(Debug)]
pub(super) enum TokenError {
    /// It is none.
    Malformed,
    /// It is of another authority, or was swept away, or was made up.
    Unknown(String),
    Expired(String),
    Used(String),
    /// The directory cannot be read or written.
    Store(io::Error),
}

impl fmt::Display for TokenError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            TokenError::Malformed => f.write_str("this is no join token"),
            TokenError::Unknown(name) => write!(f, "this authority knows no join token {name}"),
            TokenError::Expired(name) => write!(f, "the time of join token {name} is over"),
            TokenError::Used(name) => write!(f, "join token {name} has been used"),
            TokenError::Store(error) => write!(f, "cannot look up join tokens: {}", reason(error)),
        }
    }
}

impl Tokens {
    pub(super) fn at(directory: &Path) -> Tokens {
        Tokens { directory: directory.to_owned() }
    }

    /// Makes one. It is told once, here.
    pub(super) fn make(&self, id: &str, ttl: Duration, uses: u32) -> Result<String, Failure> {
        let mut bytes = [0; NAME_BYTES + SECRET_BYTES];
        getrandom::fill(&mut bytes).map_err(|error| {
            Failure::new(format!("cannot get random bytes: {error}"), "Try again on a machine that has some.")
        })?;
        let (name, secret) = bytes.split_at(NAME_BYTES);
        let (name, secret) = (hex(name), hex(secret));
        let record = Record {
            id: id.to_owned(),
            blake3: blake3::hash(secret.as_bytes()).to_hex().to_string(),
            expires: seconds(SystemTime::now()).saturating_add(ttl.as_secs()),
            uses,
        };
        let text = serde_json::to_string(&record).expect("strings and numbers are JSON");
        let mut builder = fs::DirBuilder::new();
        let made = builder.recursive(true).mode(0o700).create(&self.directory);
        made.map_err(|error| Failure::io("make", &self.directory, &error))?;
        let path = self.record(&name);
        whole(&path, &text).map_err(|error| Failure::io("write", &path, &error))?;
        Ok(format!("{PREFIX}{name}_{secret}"))
    }

    /// Uses a token for a key, or finds that it was used for this key.
    pub(super) fn redeem(&self, token: &str, key: &[u8], now: SystemTime) -> Result<Joined, TokenError> {
        let (name, secret) = parts(token).ok_or(TokenError::Malformed)?;
        let invalid = |error: &dyn fmt::Display| TokenError::Store(io::Error::other(error.to_string()));
        let text = fs::read_to_string(self.record(name)).map_err(|error| match error.kind() {
            ErrorKind::NotFound => TokenError::Unknown(name.to_owned()),
            _ => TokenError::Store(error),
        })?;
        let record: Record = serde_json::from_str(&text).map_err(|error| invalid(&error))?;
        let kept = blake3::Hash::from_hex(&record.blake3).map_err(|error| invalid(&error))?;
        // Hashes of this type are compared in constant time.
        if kept != blake3::hash(secret.as_bytes()) {
            return Err(TokenError::Unknown(name.to_owned()));
        }
        if seconds(now) >= record.expires {
            return Err(TokenError::Expired(name.to_owned()));
        }
        let key = blake3::hash(key).to_hex();
        for number in 1..=record.uses {
            if self.is_use_of(name, number, &key).map_err(TokenError::Store)? {
                return Ok(Joined { id: record.id, name: name.to_owned() });
            }
        }
        Err(TokenError::Used(name.to_owned()))
    }

    /// Whether this use is this key's, from now on or from before.
    fn is_use_of(&self, name: &str, number: u32, key: &str) -> io::Result<bool> {
        let path = self.directory.join(format!("{name}.{number}"));
        match whole(&path, key) {
            Ok(()) => Ok(true),
            Err(error) if error.kind() == ErrorKind::AlreadyExists => Ok(fs::read_to_string(&path)? == key),
            Err(error) => Err(error),
        }
    }

    /// Forgets the tokens whose time is over. Those that cannot be removed are not taken either.
    pub(super) fn sweep(&self, now: SystemTime) {
        let Ok(entries) = fs::read_dir(&self.directory) else { return };
        for path in entries.flatten().map(|entry| entry.path()) {
            let is_record = path.extension().is_some_and(|end| end == "json");
            let text = is_record.then(|| fs::read_to_string(&path).ok()).flatten();
            let record = text.and_then(|text| serde_json::from_str::<Record>(&text).ok());
            let Some(record) = record.filter(|record| seconds(now) >= record.expires) else { continue };
            // The record goes first: without it nothing can be used, however many uses are left behind.
            let _ = fs::remove_file(&path);
            for number in 1..=record.uses {
                let _ = fs::remove_file(path.with_extension(number.to_string()));
            }
        }
    }

    fn record(&self, name: &str) -> PathBuf {
        self.directory.join(format!("{name}.json"))
    }
}

/// Makes a file that is not there yet, whole or not at all.
fn whole(path: &Path, text: &str) -> io::Result<()> {
    let mut random = [0; 8];
    getrandom::fill(&mut random).map_err(io::Error::other)?;
    let beside = path.with_file_name(format!(".{}", hex(&random)));
    let written = OpenOptions::new().write(true).create_new(true).mode(SECRET).open(&beside);
    let written = written.and_then(|mut file| {
        file.write_all(text.as_bytes())?;
        file.sync_all()?;
        // A link and not a new name, which would take the place of what is there.
        fs::hard_link(&beside, path)
    });
    let _ = fs::remove_file(&beside);
    written
}

/// Name and secret of a token: nothing but hexadecimal digits, so both may stand in paths and lines.
fn parts(token: &str) -> Option<(&str, &str)> {
    let (name, secret) = token.strip_prefix(PREFIX)?.split_once('_')?;
    let is_hex = |text: &str, bytes: usize| {
        text.len() == 2 * bytes && text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
    };
    (is_hex(name, NAME_BYTES) && is_hex(secret, SECRET_BYTES)).then_some((name, secret))
}

fn seconds(time: SystemTime) -> u64 {
    time.duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs())
}

#[cfg(test)]
mod tests {
    use super::*;

    const WEB: &str = "spiffe://local.test/ns/default/sa/web";
    const HOUR: Duration = Duration::from_secs(3_600);

    fn tokens() -> (tempfile::TempDir, Tokens) {
        let directory = tempfile::tempdir().unwrap();
        let tokens = Tokens::at(&directory.path().join("local.test.tokens"));
        (directory, tokens)
    }

    fn said(result: Result<Joined, TokenError>) -> String {
        result.map_or_else(|error| error.to_string(), |joined| joined.id)
    }

    #[test]
    fn a_token_is_good_for_as_many_keys_as_it_says_and_for_these_again() {
        let (_directory, tokens) = tokens();
        let now = SystemTime::now();
        let token = tokens.make(WEB, HOUR, 2).unwrap();
        for key in ["one", "two", "one", "two"] {
            assert_eq!(said(tokens.redeem(&token, key.as_bytes(), now)), WEB, "{key}");
        }
        let refused = said(tokens.redeem(&token, b"three", now));
        assert!(refused.ends_with("has been used"), "{refused}");
    }

    #[test]
    fn of_many_who_ask_at_once_one_gets_it() {
        let (_directory, tokens) = tokens();
        let token = tokens.make(WEB, HOUR, 1).unwrap();
        let ask = |key: u8| tokens.redeem(&token, &[key], SystemTime::now()).is_ok();
        let got: usize = std::thread::scope(|scope| {
            let all: Vec<_> = (0..16).map(|key| scope.spawn(move || usize::from(ask(key)))).collect();
            all.into_iter().map(|one| one.join().unwrap()).sum()
        });
        assert_eq!(got, 1);
    }

    #[test]
    fn what_is_no_token_or_is_over_is_refused_and_swept_away() {
        let (_directory, tokens) = tokens();
        let now = SystemTime::now();
        let token = tokens.make(WEB, HOUR, 1).unwrap();
        let last = if token.ends_with('0') { "1" } else { "0" };
        let guessed = format!("{}{last}", &token[..token.len() - 1]);
        let (capitals, secret) = (token.to_uppercase(), parts(&token).unwrap().1);
        for (wrong, why) in [
            ("", "no join token"),
            ("mesh_join_../../x_00", "no join token"),
            (&*capitals, "no join token"),
            (&*guessed, "knows no join token"),
        ] {
            let refused = said(tokens.redeem(wrong, b"key", now));
            assert!(refused.contains(why) && !refused.contains(&secret[..8]), "{wrong}: {refused}");
        }
        tokens.sweep(now);
        assert_eq!(said(tokens.redeem(&token, b"key", now)), WEB, "it is good still");
        let refused = said(tokens.redeem(&token, b"key", now + HOUR));
        assert!(refused.ends_with("is over"), "{refused}");
        tokens.sweep(now + HOUR);
        assert_eq!(fs::read_dir(&tokens.directory).unwrap().count(), 0);
    }

    #[test]
    fn what_is_kept_joins_nothing() {
        let (_directory, tokens) = tokens();
        let token = tokens.make(WEB, HOUR, 1).unwrap();
        let (name, secret) = parts(&token).unwrap();
        let text = fs::read_to_string(tokens.record(name)).unwrap();
        assert!(text.contains(WEB) && !text.contains(secret), "{text}");
    }
}
