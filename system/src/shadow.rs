//! The shadow data base: system users' passwords, for root only.

use std::ffi::{CStr, CString};
use std::io;
use std::mem::MaybeUninit;
use std::ptr;
use std::time::{SystemTime, UNIX_EPOCH};

use nix::libc;
use zeroize::Zeroizing;

/// Most octets of an entry.
const LIMIT: usize = 64 * 1024;
const SECONDS_OF_A_DAY: u64 = 24 * 60 * 60;

/// What the shadow data base says of a user.
pub struct Shadow {
    /// The stored password.
    pub password: Zeroizing<Vec<u8>>,
    /// Whether the account's time is over.
    pub is_expired: bool,
}

/// The entry of the user called `name`; `None` if there is none.
///
/// # Errors
/// What getspnam_r(3) reports, such as that this process may not read it.
pub fn by_name(name: &str) -> io::Result<Option<Shadow>> {
    let name = CString::new(name)?;
    let mut buffer = Zeroizing::new(vec![0_u8; LIMIT]);
    let mut entry = MaybeUninit::<libc::spwd>::uninit();
    let mut found: *mut libc::spwd = ptr::null_mut();
    // SAFETY: the name ends in NUL; entry, buffer (with its true length) and
    // found outlive the call and are used by nobody else meanwhile.
    #[allow(unsafe_code)]
    let error = unsafe {
        libc::getspnam_r(
            name.as_ptr(),
            entry.as_mut_ptr(),
            buffer.as_mut_ptr().cast(),
            buffer.len(),
            &raw mut found,
        )
    };
    match error {
        0 | libc::ENOENT | libc::ESRCH if found.is_null() => return Ok(None),
        0 => {}
        error => return Err(io::Error::from_raw_os_error(error)),
    }
    // SAFETY: the call succeeded and `found` is not null, so `entry` was
    // filled in, and its password is null or a string inside `buffer`.
    #[allow(unsafe_code)]
    let (password, expires) = unsafe {
        let entry = entry.assume_init_ref();
        let password = entry.sp_pwdp;
        let octets =
            if password.is_null() { Vec::new() } else { CStr::from_ptr(password).to_bytes().to_vec() };
        (Zeroizing::new(octets), entry.sp_expire)
    };
    Ok(Some(Shadow { password, is_expired: is_past(expires) }))
}

/// Whether `day`, counted from 1970, is today or earlier; none is set if it is
/// not positive.
fn is_past(day: libc::c_long) -> bool {
    let today =
        SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |time| time.as_secs() / SECONDS_OF_A_DAY);
    u64::try_from(day).is_ok_and(|day| day > 0 && day <= today)
}

#[cfg(test)]
mod tests {
    use super::{by_name, is_past};

    #[test]
    fn root_is_in_the_shadow_data_base_and_nobody_else_may_look() {
        match by_name("root") {
            Ok(root) => assert!(root.is_some() || !crate::user::is_root()),
            Err(_) => assert!(!crate::user::is_root()),
        }
        if crate::user::is_root() {
            assert!(by_name("no-such-user-here").unwrap().is_none());
        }
        assert!(by_name("ro\0ot").is_err());
    }

    #[test]
    fn an_account_without_an_end_does_not_expire() {
        assert!(!is_past(-1) && !is_past(0) && is_past(1) && !is_past(1_000_000));
    }
}
