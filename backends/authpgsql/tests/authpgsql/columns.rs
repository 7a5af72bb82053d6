//! Columns and parameters of types and encodings that are not plain text.

use std::path::Path;

use testbed::Outcome;
use testbed::postgres::Postgres;
use testbed::sql::{House, Server};

use crate::PROGRAM;

const HASH: &str = "{SHA}5en6G6MezRroT3XKqkdPOmY/BfQ=";

pub(crate) fn columns_of_any_type(server: &Postgres) -> Outcome {
    let house = House::new(server)?;
    house.sql(&format!(
        "CREATE EXTENSION citext;
        CREATE DOMAIN hash AS varchar(100) CHECK (value LIKE '{{%');
        CREATE TYPE place AS ENUM ('Maildir', 'Elsewhere');
        CREATE TABLE typed (id citext PRIMARY KEY, crypt hash, clear char(8), uid bigint, gid numeric(8, 0),
            home name, maildir place, quota int2, name text[], options jsonb);
        INSERT INTO typed VALUES ('Alice', '{HASH}', NULL, 5000, 5001, '/home/a', 'Elsewhere', 1000,
            '{{Al,Ice}}', '1')"
    ))?;
    let connection = server.connection(&house.database, None);
    house.configure_only(&format!(
        "{connection}PGSQL_USER_TABLE typed\nPGSQL_CRYPT_PWFIELD crypt\nPGSQL_CLEAR_PWFIELD clear\n\
        PGSQL_MAILDIR_FIELD maildir\nPGSQL_QUOTA_FIELD quota\nPGSQL_NAME_FIELD name\nPGSQL_AUXOPTIONS_FIELD options\n"
    ))?;
    let mut module = house.module(Path::new(PROGRAM))?;
    let account = format!(
        "UID=5000\nGID=5001\nHOME=/home/a\nADDRESS=Alice\nNAME={{Al\nMAILDIR=Elsewhere\nQUOTA=1000\n\
        PASSWD={HASH}\nPASSWD2=secret\nOPTIONS=1\n.\n"
    );
    assert_eq!(module.log_in("alice", "secret")?, account);
    assert_eq!(module.ask(b"ENUMERATE\n")?, "Alice\t5000\t5001\t/home/a\tElsewhere\t1\n.\n");
    assert_eq!(module.log()?, "");
    Ok(())
}

pub(crate) fn a_name_that_no_column_could_hold_is_nobodys(server: &Postgres) -> Outcome {
    let house = House::new(server)?;
    house.sql(&format!(
        "CREATE TABLE numbered AS SELECT 7 AS id, '{HASH}' AS crypt, '5000' AS uid, '5001' AS gid, '/home/a' AS home"
    ))?;
    let connection = server.connection(&house.database, None);
    let fields = "PGSQL_USER_TABLE numbered\nPGSQL_CRYPT_PWFIELD crypt\n";
    house.configure_only(&format!("{connection}{fields}"))?;
    let mut module = house.module(Path::new(PROGRAM))?;
    assert!(module.lets_in("7", "secret")?);
    for name in ["8", "alice", "7x", "99999999999999999999", "' OR 1=1"] {
        assert_eq!(module.log_in(name, "secret")?, "FAIL\n", "{name}");
    }
    assert_eq!(module.log()?, "");
    // The same error, but it is the data base's.
    house.sql("UPDATE numbered SET uid = 'x'")?;
    house.configure_only(&format!("{connection}{fields}PGSQL_UID_FIELD CAST(uid AS int)\n"))?;
    assert_eq!(module.log_in("7", "secret")?, "UNAVAILABLE\n");
    assert_eq!(module.log_in("alice", "secret")?, "FAIL\n");
    Ok(())
}

pub(crate) fn the_encoding_is_utf_8_or_what_the_settings_say(server: &Postgres) -> Outcome {
    let house = House::new(server)?;
    let database = format!("{}_latin1", house.database);
    server.sql(
        "postgres",
        &format!("CREATE DATABASE {database} ENCODING 'LATIN1' LOCALE 'C' TEMPLATE template0"),
    )?;
    let table = format!(
        "SET client_encoding TO 'UTF8'; CREATE TABLE passwd AS SELECT CAST('\u{e9}mile' AS text) AS id, \
        '{HASH}' AS crypt, 5000 AS uid, 5001 AS gid, '/home/\u{e9}' AS home; GRANT ALL ON passwd TO mail"
    );
    server.sql(&database, &table)?;
    let connection = server.connection(&database, None);
    let fields = "PGSQL_USER_TABLE passwd\nPGSQL_CRYPT_PWFIELD crypt\n";
    house.configure_only(&format!("{connection}{fields}"))?;
    let mut module = house.module(Path::new(PROGRAM))?;
    assert!(module.log_in("\u{e9}mile", "secret")?.contains("HOME=/home/\u{e9}\nADDRESS=\u{e9}mile\n"));
    assert_eq!(module.log_in("\u{1f4ec}", "secret")?, "FAIL\n");
    assert_eq!(module.log()?, "");
    // What the server speaks now is an option of the account.
    let encoding =
        "PGSQL_AUXOPTIONS_FIELD current_setting('client_encoding')\nPGSQL_WHERE_CLAUSE id <> 'x'\n";
    for (more, spoken) in [("", "UTF8"), ("PGSQL_CHARACTER_SET LATIN1\n", "LATIN1")] {
        let fields = fields.replace("PGSQL_USER_TABLE passwd", "PGSQL_USER_TABLE ascii");
        if more.is_empty() {
            server.sql(
                &database,
                "CREATE VIEW ascii AS SELECT 'e' AS id, crypt, uid, gid, '/h' AS home FROM passwd; \
                GRANT ALL ON ascii TO mail",
            )?;
        }
        house.configure_only(&format!("{connection}{fields}{encoding}{more}"))?;
        let answer = module.log_in("e", "secret")?;
        assert!(answer.contains(&format!("OPTIONS={spoken}\n")), "{answer}{}", module.log()?);
    }
    let connection = connection.replace("PGSQL_CONNECTION", "PGSQL_CONNECTION client_encoding=SQL_ASCII");
    let fields = fields.replace("PGSQL_USER_TABLE passwd", "PGSQL_USER_TABLE ascii");
    house.configure_only(&format!("{connection}{fields}{encoding}"))?;
    assert!(module.log_in("e", "secret")?.contains("OPTIONS=SQL_ASCII\n"));
    Ok(())
}
