//! Connecting: server after server, way after way, until one is good enough.

use authlib::Unavailable;
use authlib::printable::{printable, reason};
use tokio::time::timeout;
use tokio_postgres::config::SslMode;
use tokio_postgres::{Config, SimpleQueryMessage};
use tokio_postgres_rustls::MakeRustlsConnect;

use crate::passfile;
use crate::reason::unavailable;
use crate::session::Session;
use crate::target::{Host, Target, Wanted, Way};
use crate::tls::Mode;

/// A session with the first server of `target` that lets us in and is of the
/// wanted kind.
///
/// # Errors
/// There is none: why not the last one.
pub(crate) async fn connect(target: &Target) -> Result<Session, Unavailable> {
    let mut hosts: Vec<&Host> = target.hosts.iter().collect();
    if target.in_any_order {
        let [octet] = system::random::octets().map_err(|error| Unavailable::new(reason(&error)))?;
        let first = usize::from(octet) % hosts.len();
        hosts.rotate_left(first);
    }
    let mut last = Unavailable::new("there is no server");
    for &wanted in target.wanted.in_turn() {
        for host in &hosts {
            last = match timeout(target.patience, enter(target, host, wanted)).await {
                Ok(Ok(session)) => return Ok(session),
                Ok(Err(reason)) => at(host, &reason),
                Err(_) => at(host, &"does not let us in in time"),
            };
        }
    }
    Err(last)
}

fn at(host: &Host, reason: &dyn std::fmt::Display) -> Unavailable {
    Unavailable::new(format!("{}, port {}: {reason}", printable(host.name().as_bytes()), host.port))
}

/// Tries one way after the other; a session of another kind than `wanted` is
/// an error.
async fn enter(target: &Target, host: &Host, wanted: Wanted) -> Result<Session, Unavailable> {
    let mut last = Unavailable::new("there is no way to it");
    for mode in host.modes(&target.tls) {
        match open(target, host, mode).await {
            Ok(session) => return are_we_wanted(session, wanted).await,
            Err(reason) => last = reason,
        }
    }
    Err(last)
}

async fn open(target: &Target, host: &Host, mode: Mode) -> Result<Session, Unavailable> {
    let mut config = target.config.clone();
    config.user(&target.user).dbname(&target.dbname).port(host.port).ssl_mode(match mode {
        Mode::Plain => SslMode::Disable,
        Mode::Prefer => SslMode::Prefer,
        Mode::Tls => SslMode::Require,
    });
    match &host.way {
        Way::Socket(directory) => config.host_path(directory),
        Way::Network { name, address } => {
            address.iter().for_each(|address| {
                config.hostaddr(*address);
            });
            config.host(name)
        }
    };
    set_password(&mut config, target, host)?;
    let session = match mode {
        Mode::Plain => Session::open(&config, tokio_postgres::NoTls).await,
        Mode::Prefer | Mode::Tls => {
            Session::open(&config, MakeRustlsConnect::new(target.tls.client()?)).await
        }
    };
    let session = session.map_err(|error| unavailable(&error))?;
    if let Some(encoding) = &target.client_encoding {
        let quoted = encoding.replace('\'', "''");
        session.run(&format!("SET client_encoding TO '{quoted}'")).await?;
    }
    Ok(session)
}

fn set_password(config: &mut Config, target: &Target, host: &Host) -> Result<(), Unavailable> {
    let port = host.port.to_string();
    let found = match &target.password {
        Some(_) => None,
        None => passfile::password(&target.passfile, [host.name(), &port, &target.dbname, &target.user])?,
    };
    if let Some(password) = target.password.as_ref().or(found.as_ref()) {
        config.password(password.expose());
    }
    Ok(())
}

/// The session, if its server is of the `wanted` kind.
async fn are_we_wanted(session: Session, wanted: Wanted) -> Result<Session, Unavailable> {
    let (question, answer) = match wanted {
        Wanted::Any | Wanted::PreferStandby => return Ok(session),
        Wanted::ReadWrite => ("SHOW transaction_read_only", "off"),
        Wanted::ReadOnly => ("SHOW transaction_read_only", "on"),
        Wanted::Primary => ("SELECT pg_catalog.pg_is_in_recovery()", "f"),
        Wanted::Standby => ("SELECT pg_catalog.pg_is_in_recovery()", "t"),
    };
    let said = session.run(question).await?;
    let is_wanted = said
        .iter()
        .any(|message| matches!(message, SimpleQueryMessage::Row(row) if row.get(0) == Some(answer)));
    if is_wanted {
        Ok(session)
    } else {
        Err(Unavailable::new("it is not of the kind that target_session_attrs asks for"))
    }
}
