//! What the proxy has to know of TLS: as the front does, a session of octets
//! in and out, and nothing of a library.

pub use crate::service::front::tls::Session;

/// Makes a [`Connector`] of the authorities that are trusted and, if there is
/// one, of our own certificate chain and its key, all in PEM; or says what is
/// wrong with them.
pub type MakeConnector =
    fn(authorities: &[u8], identity: Option<(&[u8], &[u8])>) -> Result<Box<dyn Connector>, String>;

/// The client's side of TLS.
pub trait Connector {
    /// A session with the server called `host`, by a name or an address: it is
    /// to show a certificate of that name.
    ///
    /// # Errors
    /// A line for the log.
    fn session(&self, host: &str) -> Result<Box<dyn Session>, String>;
}
