//! A kept connection to one of the servers, opened again when it has died.

use authlib::Unavailable;

use crate::ldap::connection::{Connection, Failure, Security};
use crate::ldap::message::ResultCode;
use crate::ldap::uri::Uri;
use crate::settings::{Identity, Servers};

/// A connection, if there is one, and the server to try first.
pub(crate) struct Link {
    servers: Servers,
    identity: Option<Identity>,
    first: usize,
    kept: Option<Connection>,
}

impl Link {
    /// To one of `servers`, bound as `identity`, or as nobody. Nothing is
    /// opened yet.
    pub(crate) fn new(servers: Servers, identity: Option<Identity>) -> Self {
        Link { servers, identity, first: 0, kept: None }
    }

    /// Does `operation` on the connection that is kept; if that has died, on a
    /// new one to each of the servers in turn. So it may be done more than
    /// once.
    ///
    /// # Errors
    /// No server can be talked to, or one refuses.
    pub(crate) fn with<T>(
        &mut self,
        mut operation: impl FnMut(&mut Connection) -> Result<T, Failure>,
    ) -> Result<T, Unavailable> {
        if let Some(connection) = self.kept.take()
            && let Ok(result) = self.tried(connection, self.first, &mut operation)
        {
            return result;
        }
        let mut failures = Vec::new();
        for turn in 0..self.servers.uris.len() {
            let server = (self.first + turn) % self.servers.uris.len();
            let done = match self.open(&self.servers.uris[server]) {
                Ok(connection) => self.tried(connection, server, &mut operation),
                Err(failure) => Err(failure.to_string()),
            };
            match done {
                Ok(result) => return result,
                Err(failure) => failures.push(format!("{}: {failure}", self.servers.uris[server])),
            }
        }
        Err(Unavailable::new(failures.join("; ")))
    }

    /// The operation's result, and the connection is kept; or why that is of no
    /// more use.
    fn tried<T>(
        &mut self,
        mut connection: Connection,
        server: usize,
        operation: &mut impl FnMut(&mut Connection) -> Result<T, Failure>,
    ) -> Result<Result<T, Unavailable>, String> {
        let result = match operation(&mut connection) {
            Ok(result) => Ok(result),
            Err(Failure::Refused(code)) => {
                Err(Unavailable::new(format!("{}: {code}", self.servers.uris[server])))
            }
            Err(Failure::Lost(why)) => return Err(why),
        };
        self.first = server;
        self.kept = Some(connection);
        Ok(result)
    }

    /// A new connection to the server at `uri`, bound.
    fn open(&self, uri: &Uri) -> Result<Connection, Failure> {
        let config = || self.servers.tls.config().map_err(|reason| Failure::Lost(reason.to_string()));
        let security = match uri {
            Uri::Ldaps { .. } => Security::Tls(config()?),
            Uri::Ldap { .. } if self.servers.start_tls => Security::StartTls(config()?),
            // A UNIX socket does not leave the machine.
            Uri::Ldap { .. } | Uri::Ldapi(_) => Security::None,
        };
        let mut connection = Connection::open(uri, security, self.servers.timeout)?;
        if let Some(identity) = &self.identity {
            match connection.bind(identity.dn.as_bytes(), identity.password.expose())? {
                ResultCode::SUCCESS => {}
                code => return Err(Failure::Lost(format!("bind as LDAP_BINDDN: {code}"))),
            }
        }
        Ok(connection)
    }

    /// Lets go of the connection.
    pub(crate) fn close(&mut self) {
        if let Some(connection) = self.kept.take() {
            connection.close();
        }
    }
}

impl Drop for Link {
    fn drop(&mut self) {
        self.close();
    }
}
