use super::{Assignment, Variables, Wrong, parse};
use proptest::prelude::*;
use std::collections::BTreeMap;
use std::os::unix::ffi::OsStrExt;
use std::process::Command;

fn read(text: &str) -> Result<BTreeMap<String, String>, Wrong> {
    let assignments = parse(text.as_bytes(), &mut Variables::new())?;
    let strings = |Assignment { name, value, .. }| (name, String::from_utf8(value).unwrap());
    Ok(assignments.into_iter().map(strings).collect())
}

/// What sh(1) has in its environment after `text`, of the variables in it.
fn sh(text: &[u8], names: &[&str]) -> BTreeMap<String, Vec<u8>> {
    let mut script = b"set -a\n".to_vec();
    script.extend_from_slice(text);
    script.extend_from_slice(b"\nexec /usr/bin/env -0");
    let output = Command::new("/bin/sh")
        .env_clear()
        .arg("-c")
        .arg(std::ffi::OsStr::from_bytes(&script))
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let pairs = output.stdout.split(|&octet| octet == 0).filter_map(|pair| {
        let at = pair.iter().position(|&octet| octet == b'=')?;
        Some((String::from_utf8(pair[..at].to_vec()).unwrap(), pair[at + 1..].to_vec()))
    });
    pairs.filter(|(name, _)| names.contains(&name.as_str())).collect()
}

#[test]
fn a_file_like_debians_is_read() {
    let text = "##VERSION: $Id$\n#\n##NAME: MAXDAEMONS:0\n\nMAXDAEMONS=40\nPOP3AUTH=\"\"\n\
        POP3AUTH_ORIG=\"PLAIN LOGIN\"\n  PORT=110 # here\nTLS_PROTOCOL='TLSv1.2+'\n\
        TLS_STARTTLS_PROTOCOL=\"$TLS_PROTOCOL\"\nTLS_CERTFILE=${confdir}/pop3d.pem\nDEFDOMAIN=@example.com";
    let read = read(text).unwrap();
    let value = |name| read.get(name).map(String::as_str);
    assert_eq!((value("MAXDAEMONS"), value("POP3AUTH"), value("PORT")), (Some("40"), Some(""), Some("110")));
    assert_eq!(value("POP3AUTH_ORIG"), Some("PLAIN LOGIN"));
    assert_eq!(value("TLS_STARTTLS_PROTOCOL"), Some("TLSv1.2+"));
    assert_eq!(value("TLS_CERTFILE"), Some("/pop3d.pem"));
    assert_eq!(value("DEFDOMAIN"), Some("@example.com"));
    assert_eq!(read.len(), 8);
}

#[test]
fn what_is_more_than_an_assignment_is_an_error_with_its_line() {
    for line in [
        "A",
        "A B=1",
        "5=x",
        "=x",
        "if true; then",
        ". /etc/default/courier",
        "A=1 B=2",
        "A=1; B=2",
        "A=$(id)",
        "A=`id`",
        "A=\"`id`\"",
        "A=${B:-x}",
        "A=$1",
        "A=$",
        "A=\"$\"",
        "A=~/x",
        "A=\"open",
        "A='open",
        "A=x\\",
        "A=x&",
        "A=x|cat",
        "A=>x",
        "A=x\r",
        "A=\0",
        "export A",
        "export A=1",
        "A+=x",
        "A =x",
        "A= x",
    ] {
        let wrong = read(&format!("B=1\n\n{line}\nC=2\n")).unwrap_err();
        assert_eq!(wrong.line, 3, "{line:?}");
    }
}

#[test]
fn what_is_read_is_what_sh_reads() {
    let text = "A=x'y z'\"w $B\\\"\\x\\$\"\\ v#w # comment\nB=\"1 \"\nC=$A${B}$D-\nA=a:b=c*?[x]{y,z}!%^@+,\n";
    let ours = read(text).unwrap();
    let names: Vec<&str> = ours.keys().map(String::as_str).collect();
    let theirs = sh(text.as_bytes(), &names);
    let ours: BTreeMap<String, Vec<u8>> =
        ours.iter().map(|(name, value)| (name.clone(), value.clone().into_bytes())).collect();
    assert_eq!(ours, theirs);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 150, ..ProptestConfig::default() })]

    #[test]
    fn whatever_is_read_means_the_same_to_sh(
        lines in prop::collection::vec(("[ABC]", "[ab1 \"'\\\\$A{}#=~*:.-]{0,12}"), 1..5),
    ) {
        // Each line by itself, so that one which is none does not hide the others.
        let good = |(name, value): &(String, String)| {
            let line = format!("{name}={value}\n");
            parse(line.as_bytes(), &mut Variables::new()).is_ok().then_some(line)
        };
        let text: String = lines.iter().filter_map(good).collect();
        let mut variables = Variables::new();
        parse(text.as_bytes(), &mut variables).unwrap();
        prop_assert_eq!(variables, sh(text.as_bytes(), &["A", "B", "C"]), "{}", text);
    }

    #[test]
    fn no_text_does_harm(text in prop::collection::vec(any::<u8>(), 0..300)) {
        let _ = parse(&text, &mut Variables::new());
    }
}
