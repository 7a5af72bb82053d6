//! -user and -group. Only root can give up rights.

use std::fs::Permissions;
use std::os::unix::fs::{MetadataExt, PermissionsExt};

use testbed::Outcome;
use testbed::chain::own_address;

use crate::stand::{Couriers, Ours, Start, Whose, is_root};

/// Prints uid, gid and groups, with `-` before the user's own groups.
const WHO: &str = "echo $(id -u) $(id -g) $(id -G)";

/// What the program is after these options, ours and Courier's.
const CASES: &[(&[&str], &str, &str)] = &[
    (&[], "0 0", "0 0"),
    (&["-user=root"], "0 0", "0 0"),
    (&["-user=nobody"], "65534 65534 65534", "65534 65534 65534"),
    (&["-group=54322"], "0 54322 54322", "0 54322 54322"),
    (&["-user=nobody", "-group=54322"], "65534 54322 54322", "65534 54322 54322"),
    (&["-group=54322", "-user=54321"], "54321 54322 54322", "54321 54322 54322"),
    // Ledger 505.
    (&["-user=65534"], "65534 65534 65534", "65534 0 0"),
];

#[test]
fn rights_are_given_up_after_the_sockets_are_bound() -> Outcome {
    if !is_root() {
        return Ok(());
    }
    for (options, ours, couriers) in CASES {
        for whose in Whose::all() {
            let expected = if whose == Ours { ours } else { couriers };
            let server = Start::new(whose, options).serving(WHO)?;
            let answer = server.ask()?;
            // Without an option the groups are the tests' own.
            assert!(answer.starts_with(expected), "{whose:?} {options:?}: {answer}");
            if options.len() > 1 || options.iter().any(|option| *option != "-user=root") {
                assert_eq!(answer.trim_end(), *expected, "{whose:?} {options:?}");
            }
        }
    }
    Ok(())
}

#[test]
fn a_low_port_can_be_bound_by_who_then_is_nobody() -> Outcome {
    if !is_root() {
        return Ok(());
    }
    for whose in Whose::all() {
        // Low ports are few, but this address is ours alone.
        let mut address = own_address();
        address.set_port(110);
        let ports = format!("{}.110", address.ip());
        let server = Start::new(whose, &["-user=nobody"]).at(address, &ports, &["/bin/sh", "-c", WHO])?;
        assert_eq!(server.ask()?, "65534 65534 65534\n", "{whose:?}");
    }
    Ok(())
}

#[test]
fn a_user_without_account_and_without_group_is_refused() -> Outcome {
    // Ledger 505: at Courier's it keeps root's group.
    if !is_root() {
        return Ok(());
    }
    let output = Ours.run(&["-user=54321", "127.0.0.1.1", "/bin/cat"])?;
    assert_eq!(output.status.code(), Some(1));
    assert_eq!(String::from_utf8(output.stderr)?, "User 54321 has no account, so -group is required.\n");
    Ok(())
}

#[test]
fn the_log_file_may_be_where_only_root_can_open_it() -> Outcome {
    if !is_root() {
        return Ok(());
    }
    let place = tempfile::tempdir()?;
    std::fs::set_permissions(place.path(), Permissions::from_mode(0o700))?;
    let log = place.path().join("log");
    let option = format!("-stderr={}", log.display());
    let options = ["-user=nobody", option.as_str()];

    let server = Start::new(Ours, &options).serving("echo one >&2; echo done")?;
    assert_eq!(server.ask()?, "done\n");
    assert_eq!(std::fs::read_to_string(&log)?, "one\n");
    assert_eq!(std::fs::metadata(&log)?.uid(), 0);

    // Ledger 509.
    if Whose::all().contains(&Couriers) {
        std::fs::remove_file(&log)?;
        // It listens for a moment before it finds out.
        if let Ok(mut server) = Start::new(Couriers, &options).serving("echo done") {
            assert_eq!(server.exit_code()?, Some(1), "Courier can do it now");
        }
    }
    Ok(())
}
