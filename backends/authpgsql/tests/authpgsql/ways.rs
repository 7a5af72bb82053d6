//! Every way to a server that a connection string can name.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use testbed::pgbouncer::{self, Pgbouncer};
use testbed::pipe_program::PipeProgram;
use testbed::postgres::{BY_CERTIFICATE, ONLY_TLS, PASSWORD, Postgres, USER, WITHOUT_TLS};
use testbed::sql::{House, Server};
use testbed::{Outcome, courier};

use crate::PROGRAM;

/// Whether somebody gets in, or what the log says.
type Expected<'a> = Result<(), &'a str>;

const IN: Expected<'_> = Ok(());

/// A data base, and what connection strings for it are made of.
struct Ways<'a> {
    server: &'a Postgres,
    house: House<'a, Postgres>,
}

impl<'a> Ways<'a> {
    fn to(server: &'a Postgres) -> Outcome<Ways<'a>> {
        Ok(Ways { server, house: House::of_alice(server)? })
    }

    /// `user`, the data base, and the password of everybody.
    fn login(&self, user: &str) -> String {
        format!("user={user} dbname={} password='{}'", self.house.database, PASSWORD.replace('\'', "\\'"))
    }

    fn address(&self) -> String {
        format!("hostaddr={} port={}", self.server.address().ip(), self.server.address().port())
    }

    /// Whether alice gets in with this connection string and environment.
    fn try_one(&self, conninfo: &str, environment: &[(&str, &str)], expected: Expected<'_>) -> Outcome {
        let directory = tempfile::tempdir()?;
        let fields = "PGSQL_USER_TABLE passwd\nPGSQL_CRYPT_PWFIELD crypt\n##NAME: MARKER:0\n";
        fs::write(directory.path().join("authpgsqlrc"), format!("PGSQL_CONNECTION {conninfo}\n{fields}"))?;
        let mut module = PipeProgram::start(Path::new(PROGRAM), directory.path(), environment)?;
        let (answer, log) = (module.log_in("alice", "secret")?, module.log()?);
        let is_good = match expected {
            Ok(()) => answer.contains("\nHOME=/") && log.is_empty(),
            Err(reason) => answer == "UNAVAILABLE\n" && log.contains(reason) && !log.contains("secret"),
        };
        if is_good { Ok(()) } else { Err(format!("{conninfo}: {answer:?}, not {expected:?}\n{log}").into()) }
    }
}

pub(crate) fn sockets_networks_and_uris(server: &Postgres) -> Outcome {
    let ways = Ways::to(server)?;
    let (login, address, port) = (ways.login(USER), ways.address(), server.address().port());
    let (socket, database) = (server.socket_directory(), &ways.house.database);
    let socket = socket.display();
    let uri = format!("{USER}:the%20server%27s%20secret");
    let encoded = socket.to_string().replace('/', "%2F");
    for (conninfo, expected) in [
        (format!("host={socket} port={port} {login}"), IN),
        (format!("host={socket} port={port} sslmode=verify-full sslrootcert=/etc/passwd {login}"), IN),
        (format!("{address} {login}"), IN),
        (format!("host={} port={port} {login}", server.address().ip()), IN),
        (format!("host=no.such.host.invalid {address} {login}"), IN),
        (format!("postgresql://{uri}@{}/{database}", server.address()), IN),
        (format!("postgres://{uri}@{encoded}:{port}/{database}?application_name=x"), IN),
        (format!("hostaddr={0},{0} port=1,{port} {login}", server.address().ip()), IN),
        (
            format!(
                "hostaddr={0},{0} port=1,{port} load_balance_hosts=random {login}",
                server.address().ip()
            ),
            IN,
        ),
        (format!("{address} {login} connect_timeout=3 keepalives_idle=60 tcp_user_timeout=5000"), IN),
        (format!("host=/nowhere {login}"), Err("No such file or directory")),
        (format!("host=no.such.host.invalid {login}"), Err("no.such.host.invalid, port 5432: ")),
        (format!("hostaddr={} port=1 {login}", server.address().ip()), Err("port 1: ")),
    ] {
        ways.try_one(&conninfo, &[], expected)?;
    }
    Ok(())
}

pub(crate) fn the_environment_and_password_files(server: &Postgres) -> Outcome {
    let ways = Ways::to(server)?;
    let directory = tempfile::tempdir()?;
    let (ip, port) = (server.address().ip().to_string(), server.address().port().to_string());
    let database = ways.house.database.as_str();
    let home = directory.path().to_str().ok_or("no text")?;
    let passfile = directory.path().join(".pgpass");
    let environment =
        [("PGHOSTADDR", ip.as_str()), ("PGPORT", &port), ("PGDATABASE", database), ("PGUSER", USER)];
    let with = |name, value| [&environment[..], &[(name, value)]].concat();
    ways.try_one("application_name=x", &with("PGPASSWORD", PASSWORD), IN)?;
    ways.try_one("application_name=x", &with("PGPASSWORD", "wrong"), Err("password authentication failed"))?;
    ways.try_one(
        &format!("password=wrong {}", ways.address()),
        &with("PGPASSWORD", PASSWORD),
        Err("failed"),
    )?;
    fs::write(&passfile, format!("# all of them\n{ip}:{port}:*:{USER}:{PASSWORD}\n"))?;
    ways.try_one("application_name=x", &with("HOME", home), Err("others than its owner may use it"))?;
    fs::set_permissions(&passfile, Permissions::from_mode(0o600))?;
    ways.try_one("application_name=x", &with("HOME", home), IN)?;
    ways.try_one("application_name=x", &with("PGPASSFILE", passfile.to_str().ok_or("no text")?), IN)?;
    ways.try_one(&format!("passfile={}", passfile.display()), &environment, IN)?;
    ways.try_one("application_name=x", &with("PGSERVICE", "mail"), Err("service cannot be honoured"))
}

pub(crate) fn tls_as_sslmode_says(server: &Postgres) -> Outcome {
    let ways = Ways::to(server)?;
    let certificates = server.certificates();
    let root = format!("sslrootcert={}", certificates.authority().display());
    let stranger = format!("sslrootcert={}", certificates.stranger().display());
    let (certificate, key) = certificates.client();
    let client = format!("sslcert={} sslkey={}", certificate.display(), key.display());
    let refused = Err("pg_hba.conf rejects connection");
    for (user, how, expected) in [
        (ONLY_TLS, "", IN),
        (ONLY_TLS, "sslmode=disable", refused),
        (ONLY_TLS, "sslmode=allow", IN),
        (ONLY_TLS, "sslmode=prefer", IN),
        (ONLY_TLS, "sslmode=require", IN),
        (ONLY_TLS, "sslmode=require sslsni=0 channel_binding=require", IN),
        (ONLY_TLS, "sslmode=require ssl_min_protocol_version=TLSv1.3", IN),
        (ONLY_TLS, "sslmode=require ssl_max_protocol_version=TLSv1.2", IN),
        (WITHOUT_TLS, "", IN),
        (WITHOUT_TLS, "sslmode=disable", IN),
        (WITHOUT_TLS, "sslmode=require", refused),
        (USER, "sslmode=disable channel_binding=require", Err("channel binding")),
        (USER, "host=localhost sslmode=verify-full ROOT", IN),
        (USER, "sslmode=verify-full ROOT", IN),
        (USER, "host=example.com sslmode=verify-ca ROOT", IN),
        (USER, "host=example.com sslmode=verify-full ROOT", Err("not valid for name")),
        (USER, "host=localhost sslmode=verify-full STRANGER", Err("UnknownIssuer")),
        (USER, "sslmode=verify-ca STRANGER", Err("UnknownIssuer")),
        (USER, "sslmode=require STRANGER", Err("UnknownIssuer")),
        (USER, "sslmode=require sslrootcert=/nowhere", Err("/nowhere: ")),
        (USER, "sslmode=verify-full", Err("sslrootcert names none")),
        (USER, "sslmode=verify-ca sslrootcert=system", Err("sslrootcert=system is for sslmode=verify-full")),
        (USER, "host=localhost sslrootcert=system", Err("UnknownIssuer")),
        (BY_CERTIFICATE, "sslmode=require CLIENT", IN),
        (BY_CERTIFICATE, "sslmode=require", Err("requires a valid client certificate")),
    ] {
        let how = how.replace("ROOT", &root).replace("STRANGER", &stranger).replace("CLIENT", &client);
        let conninfo = format!("{} {} {how}", ways.address(), ways.login(user));
        ways.try_one(&conninfo, &[], expected)?;
    }
    Ok(())
}

pub(crate) fn through_a_pooler_of_transactions(server: &Postgres) -> Outcome {
    if let Some(reason) = pgbouncer::missing() {
        return courier::leave_out(&reason);
    }
    let house = House::of_alice(server)?;
    let pooler = Pgbouncer::start(server, 2)?;
    let direct = server.connection(&house.database, None);
    let (from, to) = (server.address().ip().to_string(), pooler.address().ip().to_string());
    let settings = format!("{}PGSQL_CLEAR_PWFIELD clear\n", direct.replace(&from, &to));
    house.configure_only(&format!("{settings}PGSQL_USER_TABLE passwd\nPGSQL_CRYPT_PWFIELD crypt\n"))?;
    // More of them than the pooler has sessions, and all keep asking.
    let mut modules: Vec<PipeProgram> =
        (0..4).map(|_| house.module(Path::new(PROGRAM))).collect::<Outcome<_>>()?;
    for round in 0..5 {
        for module in &mut modules {
            assert!(module.lets_in("alice", "secret")?, "round {round}");
            assert!(!module.lets_in("nobody", "secret")?);
            assert_eq!(module.ask(b"PASSWD pop3\talice\tsecret\tsecret\n")?, "OK\n");
            assert_eq!(module.ask(b"ENUMERATE\n")?, "alice\t5000\t5001\t/home/a\t\t\n.\n");
        }
    }
    assert_eq!(modules[0].log()?, "");
    Ok(())
}

pub(crate) fn only_the_servers_that_are_wanted(server: &Postgres) -> Outcome {
    let ways = Ways::to(server)?;
    let other = Err("not of the kind that target_session_attrs asks for");
    for (wanted, expected) in [
        ("any", IN),
        ("read-write", IN),
        ("read-only", other),
        ("primary", IN),
        ("standby", other),
        ("prefer-standby", IN),
    ] {
        let conninfo = format!("{} {} target_session_attrs={wanted}", ways.address(), ways.login(USER));
        ways.try_one(&conninfo, &[], expected)?;
    }
    Ok(())
}

pub(crate) fn what_cannot_be_honoured_is_said_at_the_start(server: &Postgres) -> Outcome {
    let ways = Ways::to(server)?;
    for (how, reason) in [
        ("service=mail", "PGSQL_CONNECTION: service cannot be honoured"),
        ("gssencmode=require", "PGSQL_CONNECTION: gssencmode cannot be honoured"),
        ("sslcrl=/x", "PGSQL_CONNECTION: sslcrl cannot be honoured"),
        ("require_auth=scram-sha-256", "PGSQL_CONNECTION: require_auth cannot be honoured"),
        ("hots=x", "PGSQL_CONNECTION: keyword 6 is none of libpq's"),
        ("sslmode=maybe", "PGSQL_CONNECTION: sslmode is none of its words"),
    ] {
        ways.try_one(&format!("{} {} {how}", ways.address(), ways.login(USER)), &[], Err(reason))?;
    }
    ways.house.configure("PGSQL_DATABASE template1\nPGSQL_OPT x\n")?;
    let mut module = ways.house.module(Path::new(PROGRAM))?;
    assert!(module.lets_in("alice", "secret")?);
    let log = module.log()?;
    assert!(log.contains("PGSQL_DATABASE is not honoured: dbname in PGSQL_CONNECTION"), "{log}");
    assert!(log.contains("PGSQL_OPT is not known, and not used"), "{log}");
    Ok(())
}
