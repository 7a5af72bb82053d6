//! What a mechanism may know of the channel that it runs over.

/// TLS, as far as mechanisms are concerned; the default is a channel without
/// it.
#[derive(Clone, Debug, Default)]
pub struct Channel {
    /// What binds an exchange to this very channel (RFC 5056), for the
    /// mechanisms with `-PLUS`. None without TLS, and where the program that
    /// speaks TLS does not tell.
    pub bindings: Vec<Binding>,
    /// Whether the client has been offered a mechanism with `-PLUS`, so that
    /// it has to use one if it can.
    pub offers_binding: bool,
    /// The name in the client's certificate, if it has one and that was
    /// verified (EXTERNAL).
    pub certificate_name: Option<Vec<u8>>,
}

/// Data of one type that are the same at both ends of a channel, and of no
/// other channel.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Binding {
    /// Which data they are.
    pub kind: BindingKind,
    /// The data.
    pub data: Vec<u8>,
}

/// The types of channel binding that we know.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BindingKind {
    /// `tls-exporter`: 32 octets of keying material that is exported with
    /// [`EXPORTER_LABEL`] and an empty context, from TLS 1.3 on (RFC 9266).
    TlsExporter,
    /// `tls-server-end-point`: the hash of the server's certificate (RFC 5929
    /// section 4).
    TlsServerEndPoint,
}

/// The label of `tls-exporter` (RFC 9266 section 2).
pub const EXPORTER_LABEL: &[u8] = b"EXPORTER-Channel-Binding";
/// Octets to export.
pub const EXPORTER_LENGTH: usize = 32;

impl BindingKind {
    /// The name that is registered for it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            BindingKind::TlsExporter => "tls-exporter",
            BindingKind::TlsServerEndPoint => "tls-server-end-point",
        }
    }
}

impl Channel {
    /// The binding data of the type called `name`.
    pub(super) fn binding(&self, name: &[u8]) -> Option<&[u8]> {
        let named = self.bindings.iter().find(|binding| binding.kind.name().as_bytes() == name);
        named.map(|binding| binding.data.as_slice())
    }
}
