//! pw2userdb(8): the machine's own users as userdb's text, on standard output
//! (reference: authlib 8).
//!
//! ```text
//! /etc/passwd   alice:x:1000:1000:Alice,,:/home/alice:/bin/sh
//! /etc/shadow   alice:$y$…:19000:…
//!   alice TAB uid=1000|gid=1000|home=/home/alice|shell=/bin/sh|systempw=$y$…|gecos=Alice,,
//!   1000= TAB alice
//! ```

use std::collections::{HashMap, HashSet};
use std::env;
use std::fs::File;
use std::io::{self, BufReader, BufWriter, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use authlib::printable::{printable, reason};
use authlib::userdb::text;
use zeroize::Zeroizing;

const PASSWD: &str = "/etc/passwd";
const SHADOW: &str = "/etc/shadow";

const USAGE: &str = "\
Usage: pw2userdb [-nouid]

Writes the accounts of /etc/passwd and /etc/shadow as text for userdb;
with -nouid without the records that name the account of a uid.
";

/// Why there is no text, or not all of it.
#[derive(Debug, thiserror::Error)]
#[error("{}: {}", .0.display(), reason(.1))]
struct Failed(PathBuf, io::Error);

/// Runs the program.
#[must_use]
pub fn run() -> ExitCode {
    let words: Vec<_> = env::args_os().skip(1).collect();
    let reverse = match words.as_slice() {
        [] => true,
        [word] if word == "-nouid" || word == "--nouid" => false,
        _ => {
            let _ = io::stderr().write_all(USAGE.as_bytes());
            return ExitCode::FAILURE;
        }
    };
    let mut output = BufWriter::new(io::stdout().lock());
    let stdout = |error| Failed("standard output".into(), error);
    let written = convert(Path::new(PASSWD), Path::new(SHADOW), reverse, &mut |line| {
        output.write_all(line).map_err(stdout)
    });
    match written.and_then(|()| output.flush().map_err(stdout)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failed) => {
            say(&failed);
            ExitCode::FAILURE
        }
    }
}

fn say(text: &dyn std::fmt::Display) {
    let _ = writeln!(io::stderr(), "pw2userdb: {text}");
}

/// Gives `write` record after record. What no record can be made of is said
/// and left out, and so is a name that was there before (ledger 624).
fn convert(
    passwd: &Path,
    shadow: &Path,
    reverse: bool,
    write: &mut dyn FnMut(&[u8]) -> Result<(), Failed>,
) -> Result<(), Failed> {
    let passwords = passwords(shadow)?;
    let (mut names, mut uids) = (HashSet::new(), HashSet::new());
    let mut number = 0u64;
    each_line(passwd, &mut |line| {
        number += 1;
        if line.is_empty() {
            return Ok(());
        }
        let Some(user) = User::parse(line) else {
            say(&format_args!("{}:{number}: no account that userdb could hold, left out.", passwd.display()));
            return Ok(());
        };
        if !names.insert(user.name.to_vec()) {
            say(&format_args!("{} is there more than once; the first one counts.", printable(user.name)));
            return Ok(());
        }
        write(&user.record(passwords.get(user.name)))?;
        if reverse && uids.insert(user.uid.to_vec()) {
            write(&[user.uid, b"=\t", user.name, b"\n"].concat())?;
        }
        Ok(())
    })
}

/// What the shadow data base has; nothing, where there is none.
fn passwords(shadow: &Path) -> Result<HashMap<Vec<u8>, Zeroizing<Vec<u8>>>, Failed> {
    let mut passwords = HashMap::new();
    let read = each_line(shadow, &mut |line| {
        let mut fields = line.split(|&octet| octet == b':');
        if let (Some(name), Some(password)) = (fields.next(), fields.next()) {
            passwords.entry(name.to_vec()).or_insert_with(|| Zeroizing::new(password.to_vec()));
        }
        Ok(())
    });
    match read {
        Err(Failed(_, error)) if error.kind() == io::ErrorKind::NotFound => Ok(HashMap::new()),
        Err(failed) => Err(failed),
        Ok(()) => Ok(passwords),
    }
}

fn each_line(path: &Path, each: &mut dyn FnMut(&[u8]) -> Result<(), Failed>) -> Result<(), Failed> {
    let failed = |error| Failed(path.to_owned(), error);
    let mut reader = BufReader::new(File::open(path).map_err(failed)?);
    let mut line = Zeroizing::new(Vec::new());
    while text::read_line(&mut reader, &mut line).map_err(failed)? {
        each(&line)?;
    }
    Ok(())
}

/// A line of the passwd data base.
struct User<'a> {
    name: &'a [u8],
    password: &'a [u8],
    uid: &'a [u8],
    gid: &'a [u8],
    gecos: &'a [u8],
    home: &'a [u8],
    shell: &'a [u8],
}

impl<'a> User<'a> {
    /// `None` if it has not seven fields, ids that are none, or a name, a home
    /// or a shell that cannot stand in a text.
    fn parse(line: &'a [u8]) -> Option<Self> {
        let fields: Vec<&[u8]> = line.split(|&octet| octet == b':').collect();
        let &[name, password, uid, gid, gecos, home, shell] = fields.as_slice() else { return None };
        let is_id = |id: &[u8]| std::str::from_utf8(id).is_ok_and(|id| id.parse::<u32>().is_ok());
        let is_sound = text::is_name(name) && is_id(uid) && is_id(gid);
        let user = User { name, password, uid, gid, gecos, home, shell };
        (is_sound && text::is_value(home) && text::is_value(shell)).then_some(user)
    }

    /// Its record. A password that is in the shadow data base, and not there,
    /// is none.
    fn record(&self, shadow: Option<&Zeroizing<Vec<u8>>>) -> Zeroizing<Vec<u8>> {
        let password = match (self.password, shadow) {
            (b"x", shadow) => shadow.map(|password| password.as_slice()).unwrap_or_default(),
            (password, _) => password,
        };
        let gecos: Vec<u8> = self.gecos.iter().map(|&octet| separated(octet)).collect();
        let mut record = Zeroizing::new(Vec::with_capacity(text::LONGEST_LINE));
        let required = [(b"\tuid=".as_slice(), self.uid), (b"|gid=", self.gid), (b"|home=", self.home)];
        let optional = [(b"|shell=".as_slice(), self.shell), (b"|systempw=", password), (b"|gecos=", &gecos)];
        record.extend_from_slice(self.name);
        let optional = optional.into_iter().filter(|(_, value)| !value.is_empty() && text::is_value(value));
        for (field, value) in required.into_iter().chain(optional) {
            record.extend_from_slice(field);
            record.extend_from_slice(value);
        }
        record.push(b'\n');
        record
    }
}

/// A full name is only read by people: what would end the field is a dot, as
/// in Courier's.
fn separated(octet: u8) -> u8 {
    if octet == b'|' || octet.is_ascii_control() { b'.' } else { octet }
}

#[cfg(test)]
mod tests {
    use super::convert;
    use std::fs;

    /// What becomes of these two files.
    fn converted(passwd: &str, shadow: Option<&str>, reverse: bool) -> String {
        let directory = tempfile::tempdir().unwrap();
        let [one, two] = ["passwd", "shadow"].map(|name| directory.path().join(name));
        fs::write(&one, passwd).unwrap();
        shadow.iter().for_each(|text| fs::write(&two, text).unwrap());
        let mut text = Vec::new();
        let written = convert(&one, &two, reverse, &mut |line| {
            text.extend_from_slice(line);
            Ok(())
        });
        written.unwrap();
        String::from_utf8(text).unwrap()
    }

    #[test]
    fn an_account_is_a_record_and_a_uid_names_the_first_one() {
        let passwd =
            "root:x:0:0:root:/root:/bin/bash\nal ice:x:5:6:A|B,,:/home/a:\nbob:$1$a$b:5:6::/:/bin/sh\n";
        let shadow = "al ice:$6$a$b:1::::::\nroot:*:1::::::\nbob:other:1\n";
        assert_eq!(
            converted(passwd, Some(shadow), true),
            "root\tuid=0|gid=0|home=/root|shell=/bin/bash|systempw=*|gecos=root\n0=\troot\n\
             al ice\tuid=5|gid=6|home=/home/a|systempw=$6$a$b|gecos=A.B,,\n5=\tal ice\n\
             bob\tuid=5|gid=6|home=/|shell=/bin/sh|systempw=$1$a$b\n"
        );
        assert!(!converted(passwd, Some(shadow), false).contains("0=\t"));
    }

    #[test]
    fn what_cannot_be_a_record_is_left_out() {
        let passwd = "+nis\nshort:x:5\nnum:x:abc:5:N:/h:/bin/sh\na|b:x:5:5::/h:/s\nbad:x:5:5::/h|x:/s\n\
            #c:x:5:5::/h:/s\n\ngood:x:7:7::/h:/s\ngood:x:8:8::/h:/s\nneg:x:-1:5::/h:/s\n";
        assert_eq!(converted(passwd, None, true), "good\tuid=7|gid=7|home=/h|shell=/s\n7=\tgood\n");
    }
}
