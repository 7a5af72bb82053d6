//! Every way to a server that the settings can name, and columns that are not
//! plain text.

use std::path::Path;
use std::process::Command;

use testbed::Outcome;
use testbed::mariadb::{BY_CERTIFICATE, Mariadb, ONLY_TLS, PASSWORD, USER};
use testbed::pipe_program::PipeProgram;
use testbed::sql::House;

use crate::PROGRAM;

/// The settings for a server, for a user and with `more`, in which `@DIR` is the
/// directory of the certificates.
fn settings(server: &Mariadb, house: &House<'_, Mariadb>, way: &str, user: &str, more: &str) -> String {
    let address = server.address();
    let directory = server.certificates().authority();
    let directory = directory.parent().unwrap().to_str().unwrap();
    let way = way
        .replace("@SOCKET", server.socket().to_str().unwrap())
        .replace("@ADDRESS", &address.ip().to_string())
        .replace("@PORT", &address.port().to_string());
    format!(
        "{way}MYSQL_USERNAME {user}\nMYSQL_PASSWORD {PASSWORD}\nMYSQL_DATABASE {}\n\
        MYSQL_USER_TABLE passwd\nMYSQL_CRYPT_PWFIELD crypt\n{}",
        house.database,
        more.replace("@DIR", directory)
    )
}

const BY_SOCKET: &str = "MYSQL_SOCKET @SOCKET\n";
const BY_TCP: &str = "MYSQL_SERVER @ADDRESS\nMYSQL_PORT @PORT\n";

pub(crate) fn sockets_networks_and_tls(server: &Mariadb) -> Outcome {
    let house = House::of_alice(server)?;
    let certificates = server.certificates();
    let directory = certificates.authority().with_file_name("hashed");
    std::fs::create_dir(&directory)?;
    std::fs::copy(certificates.authority(), directory.join("ca.pem"))?;
    let hashed = Command::new("openssl").arg("rehash").arg(&directory).status()?;
    assert!(hashed.success());
    for (way, user, more, expected) in [
        (BY_SOCKET, USER, "", Ok(())),
        ("MYSQL_SERVER localhost\nMYSQL_SOCKET @SOCKET\nMYSQL_PORT 1\n", USER, "", Ok(())),
        (BY_TCP, USER, "", Ok(())),
        (BY_TCP, ONLY_TLS, "", Err("Access denied for user 'only_tls'")),
        (BY_TCP, ONLY_TLS, "MYSQL_OPT 2048\n", Ok(())),
        (BY_TCP, ONLY_TLS, "MYSQL_SSL_CIPHER ALL\n", Ok(())),
        (BY_TCP, ONLY_TLS, "MYSQL_SSL_CACERT @DIR/ca.pem\n", Ok(())),
        (BY_TCP, ONLY_TLS, "MYSQL_SSL_CAPATH @DIR/hashed\n", Ok(())),
        (BY_TCP, USER, "MYSQL_SSL_CACERT @DIR/stranger.pem\n", Err("UnknownIssuer")),
        (BY_TCP, USER, "MYSQL_SSL_CAPATH @DIR\n", Err("TLS: ")),
        (BY_TCP, USER, "MYSQL_SSL_CAPATH /nowhere\n", Err("/nowhere: No such file or directory")),
        (BY_TCP, USER, "MYSQL_SSL_CACERT /nowhere\n", Err("No such file or directory")),
        (
            BY_TCP,
            BY_CERTIFICATE,
            "MYSQL_SSL_CACERT @DIR/ca.pem\n",
            Err("Access denied for user 'by_certificate'"),
        ),
        (BY_TCP, BY_CERTIFICATE, "MYSQL_SSL_KEY @DIR/client.key\nMYSQL_SSL_CERT @DIR/client.pem\n", Ok(())),
        (
            BY_TCP,
            USER,
            "MYSQL_SSL_KEY @DIR/client.key\n",
            Err("MYSQL_SSL_CERT and MYSQL_SSL_KEY belong together"),
        ),
        (BY_TCP, "nobody", "", Err("Access denied for user 'nobody'")),
        ("MYSQL_SOCKET /nowhere\n", USER, "", Err("No such file or directory")),
        ("MYSQL_SERVER @ADDRESS\nMYSQL_PORT 1\n", USER, "", Err("Connection refused")),
        ("MYSQL_SERVER no.such.host.invalid\n", USER, "", Err("")),
        ("", USER, "", Err("neither MYSQL_SERVER nor MYSQL_SOCKET is set")),
    ] {
        house.configure_only(&settings(server, &house, way, user, more))?;
        let mut module = PipeProgram::start(Path::new(PROGRAM), house.directory(), &[])?;
        let before = module.log()?.len();
        let answer = module.log_in("alice", "secret")?;
        let log = module.log()?.split_off(before);
        let is_good = match expected {
            Ok(()) => answer.contains("\nHOME=/") && !log.contains("user="),
            Err(reason) => answer == "UNAVAILABLE\n" && log.contains(reason) && !log.contains("secret"),
        };
        assert!(is_good, "{way}{user} {more}: {answer:?}, not {expected:?}\n{log}");
    }
    Ok(())
}

pub(crate) fn the_name_of_the_server_is_verified(server: &Mariadb) -> Outcome {
    // Ledger 727.
    let house = House::of_alice(server)?;
    let with_authority = |way| settings(server, &house, way, USER, "MYSQL_SSL_CACERT @DIR/ca.pem\n");
    house.configure_only(&with_authority("MYSQL_SERVER ::ffff:@ADDRESS\nMYSQL_PORT @PORT\n"))?;
    let mut module = house.module(Path::new(PROGRAM))?;
    assert_eq!(module.log_in("alice", "secret")?, "UNAVAILABLE\n");
    assert!(module.log()?.contains("not valid for name"), "{}", module.log()?);
    house.configure_only(&with_authority(BY_TCP))?;
    assert!(module.lets_in("alice", "secret")?);
    Ok(())
}

pub(crate) fn the_character_set_is_utf_8_or_what_the_settings_say(server: &Mariadb) -> Outcome {
    let house = House::of_alice(server)?;
    let options = "MYSQL_AUXOPTIONS_FIELD @@character_set_client\n";
    for (more, spoken) in [("", "utf8mb4"), ("MYSQL_CHARACTER_SET latin1\n", "latin1")] {
        house.configure_only(&settings(server, &house, BY_TCP, USER, &format!("{options}{more}")))?;
        let mut module = house.module(Path::new(PROGRAM))?;
        let answer = module.log_in("alice", "secret")?;
        assert!(answer.contains(&format!("OPTIONS={spoken}\n")), "{answer}{}", module.log()?);
    }
    house.configure_only(&settings(server, &house, BY_TCP, USER, "MYSQL_CHARACTER_SET no_such_set\n"))?;
    let mut module = house.module(Path::new(PROGRAM))?;
    assert_eq!(module.log_in("alice", "secret")?, "UNAVAILABLE\n");
    assert!(module.log()?.contains("Unknown character set: 'no_such_set'"), "{}", module.log()?);
    Ok(())
}

pub(crate) fn columns_of_any_type(server: &Mariadb) -> Outcome {
    let house = House::new(server)?;
    house.sql(
        "CREATE TABLE typed (id varbinary(20), crypt blob, clear char(8), uid bigint unsigned, gid decimal(8, 0), \
            home text, maildir enum('Maildir', 'Elsewhere'), \
            quota double, name datetime, options bit(8)); \
        INSERT INTO typed VALUES ('alice', '{SHA}5en6G6MezRroT3XKqkdPOmY/BfQ=', NULL, 5000, 5001, '/home/a', \
            'Elsewhere', 1000, '2001-02-03 04:05:06', 49)",
    )?;
    let fields = "MYSQL_CLEAR_PWFIELD clear\nMYSQL_MAILDIR_FIELD maildir\nMYSQL_QUOTA_FIELD quota\n\
        MYSQL_NAME_FIELD name\nMYSQL_AUXOPTIONS_FIELD options\n";
    house.configure_only(
        &settings(server, &house, BY_TCP, USER, fields).replace("USER_TABLE passwd", "USER_TABLE typed"),
    )?;
    let mut module = house.module(Path::new(PROGRAM))?;
    assert_eq!(
        module.log_in("alice", "secret")?,
        "UID=5000\nGID=5001\nHOME=/home/a\nADDRESS=alice\nNAME=2001-02-03 04:05:06\nMAILDIR=Elsewhere\n\
        QUOTA=1000\nPASSWD={SHA}5en6G6MezRroT3XKqkdPOmY/BfQ=\nPASSWD2=secret\nOPTIONS=1\n.\n",
        "{}",
        module.log()?
    );
    Ok(())
}

/// A server that would cut it off, and say no more than a warning.
pub(crate) fn a_hash_that_has_no_room_is_not_cut(server: &Mariadb) -> Outcome {
    let house = House::of_alice(server)?;
    house.sql("SET GLOBAL sql_mode = ''")?;
    house.sql("ALTER TABLE passwd MODIFY crypt varchar(40)")?;
    let mut module = house.module(Path::new(PROGRAM))?;
    assert_eq!(module.ask(b"PASSWD pop3\talice\tsecret\tnew\n")?, "FAIL\n");
    assert!(module.lets_in("alice", "secret")? && !module.lets_in("alice", "new")?);
    let log = module.log()?;
    assert!(log.contains("refuses a value (error 1406"), "{log}");
    Ok(())
}
