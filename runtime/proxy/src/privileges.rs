//! What a proxy gives up before it hears anybody: new privileges, programs, files, system calls and, once its ports are open, being root.
//! Whoever takes it over has no more than it keeps.
//!
//! Reading stays free: what a plan and a certificate are replaced by may lie anywhere. Everything is inherited by threads that begin
//! later, so it comes before all of them.

use std::fmt;
use std::io;
use std::path::Path;

/// Whom the proxy becomes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct User {
    /// As it was said.
    said: String,
    user: u32,
    group: u32,
}

impl fmt::Display for User {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.said)
    }
}

/// `NAME`, or `UID`, either with `:GID` behind it.
pub(crate) fn user(text: &str) -> Result<User, String> {
    system::user(text)
}

/// Lets the process have as many files open as it may, and says how many: shells and init systems begin with a thousand, for the sake of programs
/// that would not do with more. `None` where nobody says.
pub(crate) fn open_files() -> Option<u64> {
    system::open_files()
}

/// Gives up what needs no port to be open. Returns what this system cannot do, in a clause: one warning, and the rest holds.
pub(crate) fn confine(state: Option<&Path>) -> Option<String> {
    system::confine(state)
}

/// Makes a directory that is not there yet, for whom the proxy becomes.
///
/// # Errors
///
/// What the system says.
pub(crate) fn make(directory: &Path, user: Option<&User>) -> io::Result<()> {
    if directory.is_dir() {
        return Ok(());
    }
    std::fs::create_dir_all(directory)?;
    user.map_or(Ok(()), |user| system::give(directory, user))
}

/// Gives a file to whom the proxy becomes.
///
/// # Errors
///
/// What the system says.
pub(crate) fn give(path: &Path, user: &User) -> io::Result<()> {
    system::give(path, user)
}

/// Whether this process may do everything.
pub(crate) fn is_root() -> bool {
    system::is_root()
}

/// Becomes somebody else, in all threads, for good.
///
/// # Errors
///
/// What the system says.
pub(crate) fn become_user(user: &User) -> Result<(), String> {
    system::become_user(user)
}

#[cfg(target_os = "linux")]
mod system {
    use super::User;
    use landlock::{
        ABI, AccessFs, CompatLevel, Compatible as _, PathBeneath, PathFd, Ruleset, RulesetAttr as _,
        RulesetCreatedAttr as _, RulesetStatus,
    };
    use nix::sys::prctl;
    use nix::sys::resource::{Resource, getrlimit, setrlimit};
    use nix::unistd::{Gid, Uid, setgid, setgroups, setuid};
    use seccompiler::{
        BpfProgram, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition, SeccompFilter,
        SeccompRule,
    };
    use std::collections::BTreeMap;
    use std::io;
    use std::path::Path;

    /// The rights that are known here. A kernel that knows fewer is asked for those.
    const RIGHTS: ABI = ABI::V5;

    /// What no proxy does, and what takes a machine over begins with: other programs, other processes' memory, the kernel's insides, the
    /// machine's files, clock and network as others see them.
    const NEVER: [i64; 43] = [
        libc::SYS_execve,
        libc::SYS_execveat,
        libc::SYS_ptrace,
        libc::SYS_process_vm_readv,
        libc::SYS_process_vm_writev,
        libc::SYS_kcmp,
        libc::SYS_pidfd_getfd,
        libc::SYS_bpf,
        libc::SYS_perf_event_open,
        libc::SYS_userfaultfd,
        libc::SYS_io_uring_setup,
        libc::SYS_io_uring_enter,
        libc::SYS_io_uring_register,
        libc::SYS_add_key,
        libc::SYS_request_key,
        libc::SYS_keyctl,
        libc::SYS_mount,
        libc::SYS_umount2,
        libc::SYS_pivot_root,
        libc::SYS_move_mount,
        libc::SYS_open_tree,
        libc::SYS_fsopen,
        libc::SYS_fsconfig,
        libc::SYS_fsmount,
        libc::SYS_fspick,
        libc::SYS_chroot,
        libc::SYS_unshare,
        libc::SYS_setns,
        libc::SYS_open_by_handle_at,
        libc::SYS_init_module,
        libc::SYS_finit_module,
        libc::SYS_delete_module,
        libc::SYS_kexec_load,
        libc::SYS_reboot,
        libc::SYS_swapon,
        libc::SYS_swapoff,
        libc::SYS_settimeofday,
        libc::SYS_clock_settime,
        libc::SYS_clock_adjtime,
        libc::SYS_adjtimex,
        libc::SYS_acct,
        libc::SYS_quotactl,
        libc::SYS_personality,
    ];

    /// The sockets that a proxy has: addresses, the runtime's pairs, and what names are looked up with.
    const FAMILIES: [i32; 4] = [libc::AF_UNIX, libc::AF_INET, libc::AF_INET6, libc::AF_NETLINK];

    pub(super) fn user(text: &str) -> Result<User, String> {
        let (name, group) = match text.split_once(':') {
            Some((name, group)) => {
                let group = group.parse().map_err(|_| format!("`{group}` is no number of a group"))?;
                (name, Some(group))
            }
            None => (text, None),
        };
        let known = match name.parse() {
            Ok(number) => nix::unistd::User::from_uid(Uid::from_raw(number))
                .map(|known| Some((number, known.map_or(number, |known| known.gid.as_raw())))),
            Err(_) => nix::unistd::User::from_name(name)
                .map(|known| known.map(|known| (known.uid.as_raw(), known.gid.as_raw()))),
        };
        let known = known.map_err(|error| format!("cannot look for the user `{name}`: {error}"))?;
        let (user, own) = known.ok_or_else(|| format!("there is no user `{name}` on this machine"))?;
        Ok(User { said: text.to_owned(), user, group: group.unwrap_or(own) })
    }

    pub(super) fn open_files() -> Option<u64> {
        let (soft, hard) = getrlimit(Resource::RLIMIT_NOFILE).ok()?;
        let is_raised = setrlimit(Resource::RLIMIT_NOFILE, hard, hard).is_ok();
        Some(if is_raised { hard } else { soft })
    }

    pub(super) fn confine(state: Option<&Path>) -> Option<String> {
        // A core file would have the keys in it. Where the limit cannot be set it is lower already.
        let _ = setrlimit(Resource::RLIMIT_CORE, 0, 0);
        // Both of the others ask for it.
        if let Err(error) = prctl::set_no_new_privs() {
            return Some(format!("this system does not let a process give up privileges ({error})"));
        }
        let missing = [files(state), calls()];
        let missing: Vec<String> = missing.into_iter().filter_map(Result::err).collect();
        (!missing.is_empty()).then(|| missing.join(", and "))
    }

    /// Nothing is written but the state, and nothing executed.
    fn files(state: Option<&Path>) -> Result<(), String> {
        let cannot = |error: &dyn std::fmt::Display| format!("this system has no landlock ({error})");
        let refused = AccessFs::from_write(RIGHTS) | AccessFs::Execute;
        let rules = Ruleset::default().set_compatibility(CompatLevel::BestEffort);
        let rules = rules.handle_access(refused).and_then(Ruleset::create);
        let mut rules = rules.map_err(|error| cannot(&error))?;
        if let Some(state) = state {
            let below = PathFd::new(state).map_err(|error| cannot(&error))?;
            let below = PathBeneath::new(below, AccessFs::from_write(RIGHTS));
            rules = rules.add_rule(below).map_err(|error| cannot(&error))?;
        }
        let status = rules.restrict_self().map_err(|error| cannot(&error))?;
        match status.ruleset {
            RulesetStatus::NotEnforced => {
                Err("this kernel has no landlock: files are not shut off".to_owned())
            }
            RulesetStatus::PartiallyEnforced | RulesetStatus::FullyEnforced => Ok(()),
        }
    }

    /// System calls that nothing here makes fail as if they were not permitted.
    fn calls() -> Result<(), String> {
        let cannot = |error: &dyn std::fmt::Display| format!("this system has no seccomp filters ({error})");
        let program = filter().map_err(|error| cannot(&error))?;
        seccompiler::apply_filter(&program).map_err(|error| cannot(&error))
    }

    fn filter() -> Result<BpfProgram, seccompiler::BackendError> {
        let mut rules: BTreeMap<i64, Vec<SeccompRule>> = NEVER.iter().map(|call| (*call, vec![])).collect();
        let other = FAMILIES.iter().map(|family| {
            SeccompCondition::new(
                0,
                SeccompCmpArgLen::Dword,
                SeccompCmpOp::Ne,
                u64::from(family.unsigned_abs()),
            )
        });
        let other = SeccompRule::new(other.collect::<Result<_, _>>()?)?;
        rules.insert(libc::SYS_socket, vec![other]);
        let refuse = SeccompAction::Errno(libc::EPERM.unsigned_abs());
        let filter =
            SeccompFilter::new(rules, SeccompAction::Allow, refuse, std::env::consts::ARCH.try_into()?)?;
        filter.try_into()
    }

    pub(super) fn is_root() -> bool {
        Uid::effective().is_root()
    }

    pub(super) fn give(path: &Path, user: &User) -> io::Result<()> {
        std::os::unix::fs::chown(path, Some(user.user), Some(user.group))
    }

    pub(super) fn become_user(user: &User) -> Result<(), String> {
        let cannot = |what: &str, error| format!("cannot become {user}: {what}: {error}");
        setgroups(&[]).map_err(|error| cannot("its groups", error))?;
        setgid(Gid::from_raw(user.group)).map_err(|error| cannot("its group", error))?;
        setuid(Uid::from_raw(user.user)).map_err(|error| cannot("the user", error))?;
        // Root that becomes root again has given up nothing.
        match user.user != 0 && setuid(Uid::from_raw(0)).is_ok() {
            true => Err(format!("became {user} and could be root again")),
            false => Ok(()),
        }
    }

    #[cfg(test)]
    mod tests {
        use super::{confine, user};
        use std::io::ErrorKind;
        use std::process::Command;

        #[test]
        fn a_confined_thread_writes_its_state_alone_and_starts_nothing() {
            let place = std::env::temp_dir().join(format!("mesh-confined-{}", std::process::id()));
            let (state, other) = (place.join("state"), place.join("other"));
            std::fs::create_dir_all(&other).unwrap();
            super::super::make(&state, None).unwrap();
            std::fs::write(other.join("plan"), "old").unwrap();
            let kept = state.clone();
            // It holds for a thread and those that it begins: the other tests are none of them.
            let done = std::thread::spawn(move || {
                let missing = confine(Some(&kept));
                let within = std::fs::write(kept.join("plan"), "new").is_ok();
                let file = other.join("plan");
                let beside = std::fs::write(&file, "new").map_err(|error| error.kind());
                let read = std::fs::read_to_string(&file).unwrap();
                let started = Command::new("true").status().map_err(|error| error.kind());
                let reached = std::net::TcpListener::bind("127.0.0.1:0").is_ok();
                (missing, within, beside, read, started.map(|_| ()), reached)
            });
            let (missing, within, beside, read, started, reached) = done.join().unwrap();
            std::fs::remove_dir_all(&place).unwrap();
            assert!(within && reached, "what a proxy does it can do");
            assert_eq!(read, if beside.is_ok() { "new" } else { "old" });
            match missing {
                None => {
                    assert_eq!(beside, Err(ErrorKind::PermissionDenied));
                    assert_eq!(started, Err(ErrorKind::PermissionDenied));
                }
                // An older kernel: it is said, and what can be done is.
                Some(missing) => {
                    assert!(missing.contains("landlock") || missing.contains("seccomp"), "{missing}")
                }
            }
        }

        #[test]
        fn users_are_names_or_numbers() {
            assert_eq!(user("root").map(|root| (root.user, root.group)), Ok((0, 0)));
            assert_eq!(user("0").map(|root| (root.user, root.group)), Ok((0, 0)));
            assert_eq!(user("4711:4712").map(|own| (own.user, own.group)), Ok((4711, 4712)));
            assert_eq!(user("4711").map(|own| (own.user, own.group)), Ok((4711, 4711)));
            assert_eq!(user("nobody:x").unwrap_err(), "`x` is no number of a group");
            let said = user("no-such-user").unwrap_err();
            assert_eq!(said, "there is no user `no-such-user` on this machine");
        }
    }
}

#[cfg(not(target_os = "linux"))]
mod system {
    use super::User;
    use std::io;
    use std::path::Path;

    pub(super) fn user(_: &str) -> Result<User, String> {
        Err("is for Linux alone: start the proxy as whom it is to be".to_owned())
    }

    pub(super) fn open_files() -> Option<u64> {
        None
    }

    pub(super) fn confine(_: Option<&Path>) -> Option<String> {
        Some("this system has neither landlock nor seccomp".to_owned())
    }

    pub(super) fn is_root() -> bool {
        false
    }

    pub(super) fn give(_: &Path, _: &User) -> io::Result<()> {
        Ok(())
    }

    pub(super) fn become_user(user: &User) -> Result<(), String> {
        Err(format!("cannot become {user} on this system"))
    }
}
