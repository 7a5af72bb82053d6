//! The services data base: names for ports.

use std::ffi::CString;
use std::ptr;

use nix::libc;

/// The TCP port of the service called `name` (`pop3` is 110), if there is one.
#[must_use]
pub fn tcp_port(name: &str) -> Option<u16> {
    let name = CString::new(name).ok()?;
    // SAFETY: all-zero is a valid addrinfo: no flags, null pointers.
    #[allow(unsafe_code)]
    let mut hints: libc::addrinfo = unsafe { std::mem::zeroed() };
    hints.ai_family = libc::AF_INET;
    hints.ai_socktype = libc::SOCK_STREAM;
    hints.ai_flags = libc::AI_PASSIVE;
    let mut found: *mut libc::addrinfo = ptr::null_mut();
    // SAFETY: the name ends in NUL, hints are initialised, and getaddrinfo
    // stores in `found` a list that is ours to free.
    #[allow(unsafe_code)]
    let result = unsafe { libc::getaddrinfo(ptr::null(), name.as_ptr(), &raw const hints, &raw mut found) };
    if result != 0 || found.is_null() {
        return None;
    }
    // SAFETY: the list is not empty, and with AF_INET as hint its addresses
    // are sockaddr_in; it is freed once and not used afterwards.
    #[allow(unsafe_code)]
    unsafe {
        let port = u16::from_be((*(*found).ai_addr.cast::<libc::sockaddr_in>()).sin_port);
        libc::freeaddrinfo(found);
        Some(port)
    }
}

#[cfg(test)]
mod tests {
    use super::tcp_port;

    #[test]
    fn a_name_nobody_registered_has_no_port() {
        assert_eq!(tcp_port("no-such-service"), None);
        assert_eq!(tcp_port("pop3\0"), None);
    }

    #[test]
    fn pop3_is_110_where_there_is_a_services_file() {
        if std::path::Path::new("/etc/services").exists() {
            assert_eq!(tcp_port("pop3"), Some(110));
        }
    }
}
