//! What authpam makes of what PAM says, and of modules that say nothing; beside
//! Courier's authpam on the same services.

use std::fs;
use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};
use std::thread;

use crate::stand::{AUTHPAM, SHADOW, Stand, auth, is_here};
use testbed::authdaemond::OurAuthdaemond;
use testbed::courier::{self, leave_out};

fn said(daemon: &OurAuthdaemond, request: &[u8]) -> String {
    String::from_utf8(daemon.ask(request).unwrap()).unwrap()
}

/// What is said of alice, with or without her password.
fn alice(stand: &Stand, password: &str) -> String {
    let (gid, home) = (stand.account.owner.1, stand.account.home.display());
    format!("USERNAME=alice\nGID={gid}\nHOME={home}\nADDRESS=alice\nNAME=Alice Liddell\n{password}.\n")
}

#[test]
fn passwords_of_the_shadow_data_base_let_in_as_couriers_authpam_does() {
    if !is_here() {
        return;
    }
    let stand = Stand::new(&[], SHADOW);
    let ours = stand.ours();
    assert_eq!(said(&ours, &auth("pop3", "alice", "secret")), alice(&stand, "PASSWD2=secret\n"));
    assert_eq!(said(&ours, b"PRE . pop3 alice\n"), alice(&stand, ""));
    if let Some(reason) = courier::missing_authdaemond() {
        leave_out(&reason).unwrap();
        return;
    }
    let mut theirs = stand.courier();
    let mut requests = vec![b"PRE . pop3 alice\n".to_vec(), b"PRE . pop3 nobody-here\n".to_vec()];
    requests.push(b"PASSWD pop3\talice\tsecret\tnew\n".to_vec());
    for (user, password) in [
        ("alice", "secret"),
        ("alice", "wrong"),
        ("Alice", "secret"),
        ("nobody-here", "secret"),
        ("alice ", "secret"),
        ("nobody", "*"),
    ] {
        requests.push(auth("pop3", user, password));
    }
    for request in requests {
        let theirs = String::from_utf8(theirs.ask(&request).unwrap()).unwrap();
        // They also tell the hash (ledger 763).
        let without_hash: String =
            theirs.split_inclusive('\n').filter(|line| !line.starts_with("PASSWD=")).collect();
        assert_eq!(said(&ours, &request), without_hash, "{}", String::from_utf8_lossy(&request));
    }
}

#[test]
fn accounts_are_listed_as_by_couriers_authpam() {
    if !is_here() {
        return;
    }
    let stand = Stand::new(&[], SHADOW);
    let file = stand.directory.path().join("passwd");
    let mut passwd = fs::OpenOptions::new().append(true).open(file).unwrap();
    // Neither the first nor the second is an account.
    write!(passwd, "low:x:99:99::/low:/bin/sh\nzero:x:100:0::/zero:/bin/sh\nfirst:x:100:5::/first:\n")
        .unwrap();
    let ours = said(&stand.ours(), b"ENUMERATE\n");
    let ((uid, gid), home) = (stand.account.owner, stand.account.home.display());
    assert!(ours.contains(&format!("\nalice\t{uid}\t{gid}\t{home}\t\t\n")), "{ours}");
    assert!(ours.contains("\nfirst\t100\t5\t/first\t\t\n"), "{ours}");
    if let Some(reason) = courier::missing_authdaemond() {
        leave_out(&reason).unwrap();
        return;
    }
    let theirs = String::from_utf8(stand.courier().ask(b"ENUMERATE\n").unwrap()).unwrap();
    // Ledger 415.
    assert_eq!(ours, theirs.replace("zero\t100\t0\t/zero\t\t\n", ""));
}

#[test]
fn debians_own_settings_just_work() {
    if !is_here() {
        return;
    }
    let settings = Path::new("/etc/courier/authdaemonrc");
    if !settings.exists() || !Path::new("/etc/pam.d/pop3").exists() {
        leave_out("Debian's settings are not there (Debian: courier-authdaemon, courier-pop)").unwrap();
        return;
    }
    let stand = Stand::with_services_of_the_machine(SHADOW);
    let ours = stand.ours_with(&fs::read_to_string(settings).unwrap());
    assert!(ours.log().unwrap().contains("INFO: modules=\"authpam\", daemons=5\n"));
    assert_eq!(said(&ours, &auth("pop3", "alice", "secret")), alice(&stand, "PASSWD2=secret\n"));
    assert_eq!(said(&ours, &auth("pop3", "alice", "wrong")), "FAIL\n");
}

#[test]
fn accounts_and_passwords_whose_time_is_over_are_rejected() {
    if !is_here() {
        return;
    }
    let stand = Stand::new(&[], SHADOW);
    let ours = stand.ours();
    let hash = SHADOW.split(':').next().unwrap();
    for (shadow, why) in [
        (format!("{hash}:19000:::::1:"), "the account has expired"),
        (format!("{hash}:0::::::"), "the password is to be changed"),
        (format!("{hash}:10000:0:10:7:5::"), "the password has expired"),
        (format!("!{hash}:19000::::::"), "the account is locked"),
        (":19000::::::".to_owned(), "there is no password"),
    ] {
        stand.set_shadow(&shadow);
        assert_eq!(said(&ours, &auth("pop3", "alice", "secret")), "FAIL\n", "{why}");
    }
    stand.set_shadow(SHADOW);
    assert_eq!(said(&ours, &auth("pop3", "alice", "secret")), alice(&stand, "PASSWD2=secret\n"));
}

/// What a number of PAM's means (ledger 760).
#[derive(Clone, Copy, PartialEq)]
enum Means {
    Yes,
    No,
    CannotTell,
}
use Means::{CannotTell, No, Yes};

/// Numbers by their names in pam_debug(8), returned by an authentication and by
/// the check of an account.
const NUMBERS: [(&str, Means); 27] = [
    ("success", Yes),
    ("perm_denied", No),
    ("auth_err", No),
    ("user_unknown", No),
    ("maxtries", No),
    ("new_authtok_reqd", No),
    ("acct_expired", No),
    ("cred_expired", No),
    ("authtok_expired", No),
    ("open_err", CannotTell),
    ("symbol_err", CannotTell),
    ("service_err", CannotTell),
    ("system_err", CannotTell),
    ("buf_err", CannotTell),
    ("cred_insufficient", CannotTell),
    ("authinfo_unavail", CannotTell),
    ("session_err", CannotTell),
    ("cred_unavail", CannotTell),
    ("cred_err", CannotTell),
    ("no_module_data", CannotTell),
    ("conv_err", CannotTell),
    ("authtok_err", CannotTell),
    ("authtok_recover_err", CannotTell),
    ("authtok_lock_busy", CannotTell),
    ("try_again", CannotTell),
    ("abort", CannotTell),
    ("module_unknown", CannotTell),
];

#[test]
fn each_number_of_pam_is_a_yes_a_no_or_no_answer() {
    if !is_here() {
        return;
    }
    let mut services = Vec::new();
    for (name, means) in NUMBERS {
        let stack = |auth: &str, acct: &str, cred: &str| {
            format!(
                "auth required pam_debug.so auth={auth} cred={cred}\naccount required pam_debug.so acct={acct}\n"
            )
        };
        services.push((format!("auth-{name}"), stack(name, "success", "success"), means));
        services.push((format!("acct-{name}"), stack("success", name, "success"), means));
        // What comes of credentials that are for nobody changes nothing.
        services.push((format!("cred-{name}"), stack("success", "success", name), Yes));
    }
    let listed: Vec<(&str, &str)> =
        services.iter().map(|(name, lines, _)| (name.as_str(), lines.as_str())).collect();
    let stand = Stand::new(&listed, SHADOW);
    let ours = stand.ours();
    for (service, _, means) in &services {
        let expected = match means {
            Yes => alice(&stand, "PASSWD2=secret\n"),
            No => "FAIL\n".to_owned(),
            CannotTell => String::new(),
        };
        assert_eq!(said(&ours, &auth(service, "alice", "secret")), expected, "{service}");
    }
    let log = ours.log().unwrap();
    assert!(log.contains("authpam: pam_authenticate: Authentication service cannot retrieve"), "{log}");
    assert!(
        log.contains("pam_acct_mgmt: System error (4), user=alice\n") && !log.contains("secret"),
        "{log}"
    );
    if let Some(reason) = courier::missing_authdaemond() {
        leave_out(&reason).unwrap();
        return;
    }
    let mut theirs = stand.courier();
    for (service, _, means) in &services {
        let accepts = theirs.ask(&auth(service, "alice", "secret")).unwrap() != b"FAIL\n";
        assert_eq!(accepts, *means == Yes, "{service}");
    }
}

#[test]
fn modules_that_hang_or_end_their_process_hold_up_nobody_else() {
    if !is_here() {
        return;
    }
    let stand = Stand::new(&[], SHADOW);
    let pid = stand.directory.path().join("pid");
    let hang = stand.script("hang", &format!("echo $$ > {}; exec sleep 600", pid.display()));
    let kill = stand.script("kill", "kill -9 $PPID");
    let permit = "auth required pam_permit.so\naccount required";
    stand.service("hang", &format!("{permit} pam_exec.so quiet {}\n", hang.display()));
    stand.service("kill", &format!("{permit} pam_exec.so quiet {}\n", kill.display()));
    stand.service("no-module", &format!("{permit} /no/such/module.so\n"));
    stand.service("nonsense", "this is no line of PAM\n");
    let ours = stand.ours();
    thread::scope(|scope| {
        let hanging = scope.spawn(|| said(&ours, &auth("hang", "alice", "secret")));
        for _ in 0..3 {
            assert_eq!(said(&ours, &auth("kill", "alice", "secret")), "");
            assert_eq!(said(&ours, &auth("no-module", "alice", "secret")), "");
            assert_eq!(said(&ours, &auth("pop3", "alice", "secret")), alice(&stand, "PASSWD2=secret\n"));
            assert!(!said(&ours, &auth("nonsense", "alice", "secret")).contains("USERNAME"));
        }
        assert_eq!(hanging.join().unwrap(), "");
    });
    let log = ours.log().unwrap();
    for words in [
        "authpam: PAM does not answer in time, user=alice\n",
        "authpam: PAM's modules have ended their process: signal: 9 (SIGKILL), user=alice\n",
        "authpam: pam_acct_mgmt: Module is unknown (28), user=alice\n",
    ] {
        assert!(log.contains(words), "{words}\n{log}");
    }
    // The module's program is in a session of its own; it is gone all the same.
    let pid = fs::read_to_string(pid).unwrap();
    assert!(!Path::new("/proc").join(pid.trim()).exists());
    // And authpam itself was never started again.
    assert!(!log.contains("has ended without an answer"), "{log}");
}

#[test]
fn modules_hear_of_the_client_and_no_program_sees_the_password_in_passing() {
    if !is_here() {
        return;
    }
    let stand = Stand::new(&[], SHADOW);
    let seen = stand.directory.path().join("seen");
    let heard = stand.directory.path().join("heard");
    let shows = format!(
        "{{ echo \"$PAM_TYPE $PAM_SERVICE $PAM_USER $PAM_RHOST\"; env; \
         tr '\\0' '\\n' </proc/$PPID/environ; tr '\\0' ' ' </proc/$PPID/cmdline; \
         ls -l /proc/$PPID/fd; echo; }} >> {}; [ $PAM_TYPE = account ] || cat > {}; echo hello\n",
        seen.display(),
        heard.display()
    );
    let script = stand.script("shows", &shows);
    let line = format!("pam_exec.so quiet stdout expose_authtok {}\n", script.display());
    stand.service("shows", &format!("auth required {line}account required {line}"));
    let ours = stand.ours();
    assert_eq!(said(&ours, &auth("shows", "alice", "s3cr3t")), alice(&stand, "PASSWD2=s3cr3t\n"));
    let seen = fs::read_to_string(seen).unwrap();
    assert!(seen.contains("auth shows alice ::ffff:192.0.2.7\n"), "{seen}");
    assert!(seen.contains("account shows alice ::ffff:192.0.2.7\n"), "{seen}");
    assert!(!seen.contains("s3cr3t"), "{seen}");
    assert_eq!(fs::read_to_string(heard).unwrap().trim_end_matches('\0'), "s3cr3t");
    assert!(!ours.log().unwrap().contains("s3cr3t"));
}

#[test]
fn a_service_is_a_file_and_a_user_one_of_the_machines() {
    if !is_here() {
        return;
    }
    let permit = "auth required pam_permit.so\naccount required pam_permit.so\n";
    let stand = Stand::new(&[("permit", permit), ("other", "auth required pam_deny.so\n")], SHADOW);
    let ours = stand.ours();
    assert_eq!(said(&ours, &auth("permit", "alice", "any")), alice(&stand, "PASSWD2=any\n"));
    // PAM's settings for services that have none of their own.
    assert_eq!(said(&ours, &auth("imap", "alice", "secret")), "FAIL\n");
    // Whom PAM lets in and nobody knows is nobody's account.
    assert_eq!(said(&ours, &auth("permit", "nobody-here", "secret")), "FAIL\n");
    // Out of /etc/pam.d, and root's mail: neither.
    for (service, user) in [("../pam.d/permit", "alice"), ("permit/", "alice"), ("permit", "root")] {
        assert_eq!(said(&ours, &auth(service, user, "secret")), "", "{service} {user}");
    }
    ours.await_log("\"../pam.d/permit\" is no name of a PAM service, user=alice").unwrap();
    ours.await_log("nobody's mail is read with root's ids, user=root").unwrap();
}

#[test]
fn the_account_is_that_of_the_user_whom_the_modules_have_made_of_it() {
    if !is_here() {
        return;
    }
    let map = "pam_user_map.so";
    if !Path::new("/usr/lib/x86_64-linux-gnu/security").join(map).exists() {
        leave_out(&format!("{map} is not there (Debian: mariadb-server)")).unwrap();
        return;
    }
    let mapped =
        format!("auth requisite {map}\nauth required pam_permit.so\naccount required pam_permit.so\n");
    let stand = Stand::new(&[("mapped", &mapped)], SHADOW);
    let ours = stand.ours();
    assert_eq!(said(&ours, &auth("mapped", "guest", "any")), alice(&stand, "PASSWD2=any\n"));
}

#[test]
fn in_a_chain_it_becomes_the_user_and_an_ordinary_user_can_ask_for_himself() {
    if !is_here() {
        return;
    }
    let stand = Stand::new(&[], SHADOW);
    let (uid, gid) = stand.account.owner;
    let home = stand.account.home.display();
    let alices = ["setpriv", &format!("--reuid={uid}"), &format!("--regid={gid}"), "--clear-groups"];
    for (words, groups) in [([].as_slice(), format!("{gid} 64115")), (&alices, gid.to_string())] {
        for (password, shown) in
            [("secret", format!("{uid} {groups} alice {home} {home}\n")), ("wrong", String::new())]
        {
            let mut command = stand.command(words);
            // Standard input becomes descriptor 3. Whom nobody accepted is not shown.
            command.args(["/bin/sh", "-c", "exec \"$@\" 3<&0", "sh"]).arg(stand.programs.path("authpam"));
            let shows = "[ -z \"$AUTHENTICATED\" ] || echo \"$(id -u) $(id -G) $AUTHENTICATED $HOME $(pwd)\"";
            command.args(["/bin/sh", "-c", shows]).env_remove("AUTHENTICATED");
            command.stdin(Stdio::piped()).stdout(Stdio::piped());
            let mut child = command.spawn().unwrap();
            write!(child.stdin.take().unwrap(), "pop3\nlogin\nalice\n{password}\n\n").unwrap();
            let output = child.wait_with_output().unwrap();
            assert_eq!(String::from_utf8(output.stdout).unwrap(), shown, "{words:?} {password}");
        }
    }
}

#[test]
fn without_root_it_answers_on_its_standard_input_too() {
    let mut command = Command::new(AUTHPAM);
    command.env("POSTRIDER_PIPE", "1").stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    let proof = "pop3\ncram-md5\nYQ==\nYg==\n";
    let mut questions = auth("no/service", "alice", "secret");
    questions.extend(format!("AUTH {}\n{proof}PRE . pop3 nobody-here\n", proof.len()).bytes());
    child.stdin.take().unwrap().write_all(&questions).unwrap();
    let output = child.wait_with_output().unwrap();
    assert_eq!(String::from_utf8(output.stdout).unwrap(), "UNAVAILABLE\nFAIL\nFAIL\n");
    assert!(output.status.success());
}
