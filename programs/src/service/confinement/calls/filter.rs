//! From the lists to filters.

use std::collections::BTreeMap;

use nix::libc::{self, c_long};
use seccompiler::{
    BackendError, BpfProgram, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition, SeccompFilter,
    SeccompRule,
};

use super::super::{Confinement, Needs};
use super::lists::{CLIENTS, COMMON, FILES, NEW_NAMESPACES, NOBODY_NEEDS};

/// Calls, each with the ways in which it is meant; no way means all.
type Rules = BTreeMap<i64, Vec<SeccompRule>>;
/// The place of an argument, the bits of it that count, and what they are.
type Condition = (u8, u64, u64);
type Outcome<T = ()> = Result<T, BackendError>;

/// All bits of an argument count.
const WHOLE: u64 = u32::MAX as u64;

/// Whether this system has it. Asked without a file: some have none any more.
pub(in super::super) fn available() -> bool {
    rustix::thread::secure_computing_mode().is_ok()
}

/// Gives up the calls that `confinement` does not need.
///
/// # Errors
/// A line for the log.
pub(in super::super) fn restrict(confinement: &Confinement) -> Result<(), String> {
    let apply = |program: BpfProgram| seccompiler::apply_filter(&program).map_err(|error| error.to_string());
    // The last one that is applied may forbid to apply more.
    apply(without_clone3().map_err(|error| error.to_string())?)?;
    apply(filter(confinement).map_err(|error| error.to_string())?)
}

fn filter(confinement: &Confinement) -> Outcome<BpfProgram> {
    match confinement {
        Confinement::Front => only([COMMON, CLIENTS], clients),
        Confinement::Proxy => only([COMMON, CLIENTS], |rules| {
            clients(rules)?;
            others(rules)
        }),
        Confinement::Mailbox | Confinement::Account(_) => only([COMMON, FILES], threads),
        Confinement::MailboxWithPrograms => all_but(false),
        Confinement::Auth { modules, .. } => all_but(*modules == Needs::Nothing),
    }
}

/// Nothing but `calls` and what `more` adds.
fn only(calls: [&[c_long]; 2], more: fn(&mut Rules) -> Outcome) -> Outcome<BpfProgram> {
    let mut rules: Rules = calls.concat().into_iter().map(|call| (call, Vec::new())).collect();
    own_affairs(&mut rules)?;
    more(&mut rules)?;
    program(rules, forbidden(libc::EPERM), SeccompAction::Allow)
}

/// All but what nobody needs, and without the internet where that is not needed.
fn all_but(without_network: bool) -> Outcome<BpfProgram> {
    let mut rules: Rules = NOBODY_NEEDS.iter().map(|call| (*call, Vec::new())).collect();
    for flag in NEW_NAMESPACES {
        add(&mut rules, libc::SYS_clone, &[(0, number(*flag), number(*flag))])?;
    }
    if without_network {
        for family in [libc::AF_INET, libc::AF_INET6, libc::AF_PACKET] {
            add(&mut rules, libc::SYS_socket, &[(0, WHOLE, number(family))])?;
        }
    }
    program(with_other_numbers(rules), SeccompAction::Allow, forbidden(libc::EPERM))
}

/// clone3(2) keeps its flags where they cannot be looked at. If it is not there
/// the C library takes clone(2).
fn without_clone3() -> Outcome<BpfProgram> {
    let rules = with_other_numbers(Rules::from([(libc::SYS_clone3, Vec::new())]));
    program(rules, SeccompAction::Allow, forbidden(libc::ENOSYS))
}

/// Memory that is never executed; signals, limits and descriptors of our own.
fn own_affairs(rules: &mut Rules) -> Outcome {
    let executable = number(libc::PROT_EXEC);
    add(rules, libc::SYS_mmap, &[(2, executable, 0)])?;
    add(rules, libc::SYS_mprotect, &[(2, executable, 0)])?;
    add(rules, libc::SYS_tgkill, &[(0, WHOLE, std::process::id().into())])?;
    add(rules, libc::SYS_prlimit64, &[(0, WHOLE, 0)])?;
    // Memory that is shared is looked at for its seals.
    for command in
        [libc::F_DUPFD_CLOEXEC, libc::F_GET_SEALS, libc::F_GETFD, libc::F_SETFD, libc::F_GETFL, libc::F_SETFL]
    {
        add(rules, libc::SYS_fcntl, &[(1, WHOLE, number(command))])?;
    }
    add(rules, libc::SYS_ioctl, &[(1, WHOLE, libc::FIONBIO & WHOLE)])
}

/// Clients that come, and the two ends of a tunnel.
fn clients(rules: &mut Rules) -> Outcome {
    add(rules, libc::SYS_socketpair, &[(0, WHOLE, number(libc::AF_UNIX))])?;
    for level in [libc::SOL_SOCKET, libc::IPPROTO_TCP] {
        add(rules, libc::SYS_setsockopt, &[(1, WHOLE, number(level))])?;
    }
    Ok(())
}

/// Connections to others over TCP.
fn others(rules: &mut Rules) -> Outcome {
    /// The type of a socket, without its flags.
    const TYPE: u64 = 0xf;
    for family in [libc::AF_INET, libc::AF_INET6] {
        let stream = number(libc::SOCK_STREAM);
        add(rules, libc::SYS_socket, &[(0, WHOLE, number(family)), (1, TYPE, stream)])?;
    }
    rules.insert(libc::SYS_connect, Vec::new());
    Ok(())
}

/// Threads, but no processes.
fn threads(rules: &mut Rules) -> Outcome {
    let thread = number(libc::CLONE_THREAD | libc::CLONE_VM);
    add(rules, libc::SYS_clone, &[(0, thread, thread)])?;
    rules.insert(libc::SYS_clone3, Vec::new());
    Ok(())
}

/// Adds that `call` is meant where all of `conditions` hold.
fn add(rules: &mut Rules, call: c_long, conditions: &[Condition]) -> Outcome {
    let condition = |(place, bits, value): &Condition| {
        SeccompCondition::new(*place, SeccompCmpArgLen::Dword, SeccompCmpOp::MaskedEq(*bits), *value)
    };
    let conditions = conditions.iter().map(condition).collect::<Outcome<_>>()?;
    rules.entry(call).or_default().push(SeccompRule::new(conditions)?);
    Ok(())
}

/// The same under the numbers that the same processor knows them by in its x32
/// mode.
#[cfg(target_arch = "x86_64")]
fn with_other_numbers(mut rules: Rules) -> Rules {
    const X32: i64 = 0x4000_0000;
    /// Calls that have numbers of their own there, ptrace(2) among them.
    const OWN: std::ops::Range<i64> = 512..548;
    let others: Vec<_> = rules.iter().map(|(call, ways)| (call | X32, ways.clone())).collect();
    rules.extend(others);
    rules.extend(OWN.map(|call| (call | X32, Vec::new())));
    rules
}

#[cfg(not(target_arch = "x86_64"))]
fn with_other_numbers(rules: Rules) -> Rules {
    rules
}

fn program(rules: Rules, otherwise: SeccompAction, meant: SeccompAction) -> Outcome<BpfProgram> {
    SeccompFilter::new(rules, otherwise, meant, std::env::consts::ARCH.try_into()?)?.try_into()
}

fn forbidden(error: i32) -> SeccompAction {
    SeccompAction::Errno(error.unsigned_abs())
}

fn number(value: i32) -> u64 {
    value.unsigned_abs().into()
}
