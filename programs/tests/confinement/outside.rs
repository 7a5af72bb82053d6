//! The real processes, as /proc shows them.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown};

use nix::unistd::Uid;

use crate::house::House;

pub(crate) const TESTS: &[(&str, fn())] = &[
    ("each_process_is_who_it_should_be_and_confined", status),
    ("a_front_and_a_mailbox_process_hold_no_descriptor_that_they_do_not_need", descriptors),
    ("auth_is_the_user_that_is_named_and_logins_succeed", auth_user),
    ("each_account_has_a_process_of_its_own_if_that_is_wanted", isolation),
    ("what_is_to_be_run_at_a_login_is_not_left_out_silently", loginexec),
];

/// A line of /proc/PID/status.
fn field(pid: i32, name: &str) -> String {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix(name)).unwrap();
    line.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// The processes of that name; there is one at least.
fn processes(house: &mut House, name: &str) -> Vec<i32> {
    let found = house.processes(name);
    assert!(!found.is_empty(), "{name}");
    found
}

fn status() {
    let mut house = House::new().served(&[("POP3_PROXY", "1"), ("POSTRIDER_PROXY_TLS", "none")], &[]);
    let client = house.log_in_again();
    for name in ["postrider-front", "postrider-proxy", "postrider-mailbox", "postrider-auth"] {
        for pid in &processes(&mut house, name) {
            assert_eq!(field(*pid, "NoNewPrivs:"), "1", "{name}");
            assert_eq!(field(*pid, "Seccomp:"), "2", "{name}");
            let limits = fs::read_to_string(format!("/proc/{pid}/limits")).unwrap();
            let cores = limits.lines().find(|line| line.starts_with("Max core file size")).unwrap();
            assert_eq!(cores.split_whitespace().nth(4), Some("0"), "{name}");
            // What nobody may look into is root's in /proc.
            assert_eq!(fs::metadata(format!("/proc/{pid}/status")).unwrap().uid(), 0, "{name}");
            if name != "postrider-auth" {
                assert_eq!(field(*pid, "CapEff:"), "0000000000000000", "{name}");
                assert_eq!(field(*pid, "CapPrm:"), "0000000000000000", "{name}");
                assert!(!field(*pid, "Uid:").split(' ').any(|id| id == "0"), "{name}");
                assert!(!field(*pid, "Groups:").split(' ').any(|id| id == "0"), "{name}");
            }
        }
    }
    if Uid::effective().is_root() {
        let fronts = processes(&mut house, "postrider-front");
        for pid in fronts.iter().chain(&processes(&mut house, "postrider-proxy")) {
            let root = fs::read_link(format!("/proc/{pid}/root")).unwrap();
            assert!(root.to_string_lossy().ends_with(" (deleted)"), "{root:?}");
            assert_eq!(fs::read_dir(format!("/proc/{pid}/root")).unwrap().count(), 0);
        }
    }
    client.quit().unwrap();
    assert!(!house.log().contains("confined without"), "{}", house.log());
}

/// What the descriptors of a process are, above the standard ones.
fn held(pid: i32) -> Vec<String> {
    let entries = fs::read_dir(format!("/proc/{pid}/fd")).unwrap().map(|entry| entry.unwrap());
    let entries = entries.filter(|entry| entry.file_name().to_string_lossy().parse::<u32>().unwrap() > 2);
    entries
        .filter_map(|entry| Some(fs::read_link(entry.path()).ok()?.to_string_lossy().into_owned()))
        .collect()
}

/// The inodes of sockets that listen, for TCP over IPv4.
fn listening() -> Vec<String> {
    let table = fs::read_to_string("/proc/net/tcp").unwrap();
    let fields = table.lines().map(|line| line.split_whitespace().collect::<Vec<_>>());
    let listening = fields.filter(|fields| fields.get(3) == Some(&"0A"));
    listening.map(|fields| format!("socket:[{}]", fields[9])).collect()
}

fn descriptors() {
    if !Uid::effective().is_root() {
        // Nobody else may look.
        return;
    }
    let mut house = House::new();
    let client = house.log_in_again();
    let listening = listening();
    for pid in &processes(&mut house, "postrider-front") {
        let held = held(*pid);
        assert!(held.iter().any(|held| listening.contains(held)), "{held:?}");
        assert!(held.iter().all(|held| !held.starts_with('/')), "{held:?}");
    }
    for pid in &processes(&mut house, "postrider-mailbox") {
        let held = held(*pid);
        assert!(held.iter().all(|held| !listening.contains(held)), "{held:?}");
        let home = house.stand.account().home.display().to_string();
        let files: Vec<_> = held.iter().filter(|held| held.starts_with('/')).collect();
        assert!(files.iter().all(|file| file.starts_with(&home)), "{held:?}");
    }
    for pid in &processes(&mut house, "postrider-auth") {
        assert!(held(*pid).iter().all(|held| !listening.contains(held)));
    }
    client.quit().unwrap();
}

fn auth_user() {
    if !Uid::effective().is_root() {
        return;
    }
    let mut house = House::new().served(&[("POSTRIDER_AUTH_USER", "daemon")], &[]);
    let (uid, gid) = system::user::by_name("daemon").unwrap().unwrap();
    // Without a right to read the accounts nobody is let in.
    assert!(house.log_in().is_err());
    let (directory, _) = house.accounts();
    for entry in fs::read_dir(&directory).unwrap() {
        chown(entry.unwrap().path(), Some(uid), Some(gid)).unwrap();
    }
    let client = house.log_in_again();
    for pid in &processes(&mut house, "postrider-auth") {
        assert_eq!(field(*pid, "Uid:"), format!("{uid} {uid} {uid} {uid}"));
        assert_eq!(field(*pid, "CapEff:"), "0000000000000000");
    }
    client.quit().unwrap();
}

fn isolation() {
    let mut house = House::new().served(&[("POSTRIDER_ISOLATION", "account")], &[]);
    let mut client = house.log_in_again();
    assert_eq!(client.command("DELE 1").unwrap(), "+OK Deleted.");
    client.quit().unwrap();
    assert_eq!(fs::read_dir(house.stand.account().maildir().join("cur")).unwrap().count(), 0);
    assert!(!house.log().contains("confined without"), "{}", house.log());
}

fn loginexec() {
    let mut house = House::new();
    let program = house.stand.account().maildir().join("loginexec");
    fs::write(&program, "#!/bin/sh\nexit 0\n").unwrap();
    fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).unwrap();
    let refused = house.log_in().err().unwrap().to_string();
    assert!(refused.contains("-ERR [SYS/PERM] A program is to be run at this login"), "{refused}");
    assert!(house.log().contains("not run without POSTRIDER_LOGINEXEC=1"), "{}", house.log());
    assert!(program.exists());
}
