//! PAM: one authentication by the machine's modules (pam(3)).
//!
//! The library is loaded when it is asked, so that nothing has to be installed
//! to build this. Modules are other people's code in this process: they may
//! hang, crash, leave threads and memory. So this is for a process that does
//! nothing else and ends afterwards.
//!
//! No session is opened: who reads mail has none here that could be closed.

use std::ffi::{CStr, CString, c_char, c_int, c_void};
use std::ptr;

use nix::libc;

/// The name by which Linux-PAM's library is loaded. Its numbers below are
/// those of its ABI, which have never changed.
const LIBRARY: &CStr = c"libpam.so.0";

const SUCCESS: c_int = 0;
const BUF_ERR: c_int = 5;
const CONV_ERR: c_int = 19;

const PROMPT_ECHO_OFF: c_int = 1;
const PROMPT_ECHO_ON: c_int = 2;
const ERROR_MSG: c_int = 3;
const TEXT_INFO: c_int = 4;

/// Items of a transaction.
const USER: c_int = 2;
const RHOST: c_int = 4;

const DISALLOW_NULL_AUTHTOK: c_int = 0x1;
const ESTABLISH_CRED: c_int = 0x2;
const DELETE_CRED: c_int = 0x4;
const SILENT: c_int = 0x8000;

/// Most messages in one conversation (PAM_MAX_NUM_MSG).
const MOST_MESSAGES: usize = 32;

/// Somebody who wants to be let in. No text is empty.
#[derive(Clone, Copy)]
pub struct Login<'a> {
    /// The service, whose modules are asked.
    pub service: &'a CStr,
    /// The user name.
    pub user: &'a CStr,
    /// The password in clear.
    pub password: &'a CStr,
    /// Where the client is (PAM_RHOST).
    pub remote_host: Option<&'a CStr>,
}

/// Why nobody was let in.
#[derive(Debug)]
pub enum Failed {
    /// The library is not there, or is another one than we know.
    Library(String),
    /// It was asked, and did not say PAM_SUCCESS.
    Asked {
        /// What was called.
        call: &'static str,
        /// What it returned, a number of `<security/_pam_types.h>`.
        code: i32,
        /// What pam_strerror(3) says to that.
        text: String,
    },
}

/// Asks whether `login` is right and whether the account may be used. The answer
/// is the user whom the modules have made of it (PAM_USER), who need not be the
/// one who was named.
///
/// Credentials are established, since some modules take note of a success
/// there, and deleted again: nobody here would use them. What comes of that
/// changes nothing.
///
/// # Errors
/// See [`Failed`].
pub fn authenticate(login: &Login<'_>) -> Result<CString, Failed> {
    let library = Library::load().map_err(Failed::Library)?;
    let mut transaction = Transaction::start(&library, login)?;
    if let Some(host) = login.remote_host {
        transaction.set(RHOST, host)?;
    }
    transaction.ask("pam_authenticate", library.authenticate, SILENT | DISALLOW_NULL_AUTHTOK)?;
    transaction.ask("pam_acct_mgmt", library.acct_mgmt, SILENT | DISALLOW_NULL_AUTHTOK)?;
    let user = transaction.user()?;
    for flag in [ESTABLISH_CRED, DELETE_CRED] {
        let _changes_nothing = transaction.ask("pam_setcred", library.setcred, SILENT | flag);
    }
    Ok(user)
}

#[repr(C)]
struct Message {
    style: c_int,
    text: *const c_char,
}

#[repr(C)]
struct Reply {
    text: *mut c_char,
    /// Unused, and always 0.
    code: c_int,
}

type Converse = unsafe extern "C" fn(c_int, *mut *const Message, *mut *mut Reply, *mut c_void) -> c_int;

#[repr(C)]
struct Conversation {
    converse: Converse,
    data: *mut c_void,
}

/// `pam_handle_t`, which only the library knows.
type Handle = *mut c_void;
type Start = unsafe extern "C" fn(*const c_char, *const c_char, *const Conversation, *mut Handle) -> c_int;
type WithFlags = unsafe extern "C" fn(Handle, c_int) -> c_int;
type SetItem = unsafe extern "C" fn(Handle, c_int, *const c_void) -> c_int;
type GetItem = unsafe extern "C" fn(Handle, c_int, *mut *const c_void) -> c_int;
type StrError = unsafe extern "C" fn(Handle, c_int) -> *const c_char;

/// The functions of the library. It is never unloaded.
struct Library {
    start: Start,
    end: WithFlags,
    set_item: SetItem,
    get_item: GetItem,
    authenticate: WithFlags,
    acct_mgmt: WithFlags,
    setcred: WithFlags,
    strerror: StrError,
}

impl Library {
    fn load() -> Result<Library, String> {
        // SAFETY: the name ends in NUL. Loading runs the library's
        // constructors, which is what loading it means.
        #[allow(unsafe_code)]
        let library = unsafe { libc::dlopen(LIBRARY.as_ptr(), libc::RTLD_NOW) };
        if library.is_null() {
            return Err(loader_says());
        }
        let function = |name: &CStr| {
            // SAFETY: `library` is what dlopen returned, and is never closed;
            // the name ends in NUL.
            #[allow(unsafe_code)]
            let function = unsafe { libc::dlsym(library, name.as_ptr()) };
            if function.is_null() { Err(loader_says()) } else { Ok(function) }
        };
        // SAFETY: each symbol is a function of <security/pam_appl.h> with the
        // signature that its type above repeats; a pointer to data and one to
        // a function have one size on every system that has dlsym.
        #[allow(unsafe_code)]
        unsafe {
            Ok(Library {
                start: std::mem::transmute::<*mut c_void, Start>(function(c"pam_start")?),
                end: std::mem::transmute::<*mut c_void, WithFlags>(function(c"pam_end")?),
                set_item: std::mem::transmute::<*mut c_void, SetItem>(function(c"pam_set_item")?),
                get_item: std::mem::transmute::<*mut c_void, GetItem>(function(c"pam_get_item")?),
                authenticate: std::mem::transmute::<*mut c_void, WithFlags>(function(c"pam_authenticate")?),
                acct_mgmt: std::mem::transmute::<*mut c_void, WithFlags>(function(c"pam_acct_mgmt")?),
                setcred: std::mem::transmute::<*mut c_void, WithFlags>(function(c"pam_setcred")?),
                strerror: std::mem::transmute::<*mut c_void, StrError>(function(c"pam_strerror")?),
            })
        }
    }
}

fn loader_says() -> String {
    // SAFETY: dlerror returns null or a string that ends in NUL and stays until
    // the next call of the loader by this thread.
    #[allow(unsafe_code)]
    unsafe {
        let text = libc::dlerror();
        if text.is_null() {
            return format!("{LIBRARY:?} cannot be loaded");
        }
        CStr::from_ptr(text).to_string_lossy().into_owned()
    }
}

/// A transaction between pam_start and pam_end, which runs in any case.
struct Transaction<'a> {
    library: &'a Library,
    handle: Handle,
    /// What the last call returned; modules hear it at the end.
    last: c_int,
}

impl<'a> Transaction<'a> {
    fn start(library: &'a Library, login: &'a Login<'a>) -> Result<Self, Failed> {
        let data: *const Login<'_> = login;
        let conversation = Conversation { converse, data: data.cast_mut().cast() };
        let mut handle: Handle = ptr::null_mut();
        // SAFETY: the texts end in NUL, and the library copies them and the
        // conversation; `login`, to which that points, outlives the
        // transaction (lifetime 'a); the handle is written before it is read.
        #[allow(unsafe_code)]
        let code = unsafe {
            (library.start)(
                login.service.as_ptr(),
                login.user.as_ptr(),
                &raw const conversation,
                &raw mut handle,
            )
        };
        if code != SUCCESS || handle.is_null() {
            // There is nothing to end: a handle that failed is not one.
            let text = "PAM has no such service, or cannot read its settings".to_owned();
            return Err(Failed::Asked { call: "pam_start", code, text });
        }
        Ok(Transaction { library, handle, last: code })
    }

    fn set(&mut self, item: c_int, value: &CStr) -> Result<(), Failed> {
        // SAFETY: the handle is open; the text ends in NUL and is copied.
        #[allow(unsafe_code)]
        let code = unsafe { (self.library.set_item)(self.handle, item, value.as_ptr().cast()) };
        self.said("pam_set_item", code)
    }

    fn ask(&mut self, call: &'static str, function: WithFlags, flags: c_int) -> Result<(), Failed> {
        // SAFETY: the handle is open, and `function` is one of the three that
        // take it and flags.
        #[allow(unsafe_code)]
        let code = unsafe { function(self.handle, flags) };
        self.said(call, code)
    }

    /// The user whom the modules speak of.
    fn user(&mut self) -> Result<CString, Failed> {
        let mut user: *const c_void = ptr::null();
        // SAFETY: the handle is open; PAM_USER is a string that ends in NUL and
        // belongs to the library, or null; it is copied at once.
        #[allow(unsafe_code)]
        unsafe {
            let code = (self.library.get_item)(self.handle, USER, &raw mut user);
            self.said("pam_get_item", code)?;
            Ok(if user.is_null() { CString::default() } else { CStr::from_ptr(user.cast()).to_owned() })
        }
    }

    fn said(&mut self, call: &'static str, code: c_int) -> Result<(), Failed> {
        self.last = code;
        if code == SUCCESS {
            return Ok(());
        }
        // SAFETY: the handle is open; the library returns null or a string
        // that ends in NUL and is never freed.
        #[allow(unsafe_code)]
        let text = unsafe {
            let text = (self.library.strerror)(self.handle, code);
            if text.is_null() { String::new() } else { CStr::from_ptr(text).to_string_lossy().into_owned() }
        };
        Err(Failed::Asked { call, code, text })
    }
}

impl Drop for Transaction<'_> {
    fn drop(&mut self) {
        // SAFETY: the handle is open, and nobody uses it after this.
        #[allow(unsafe_code)]
        let _nothing_can_be_done = unsafe { (self.library.end)(self.handle, self.last) };
    }
}

/// What modules ask is answered without a look at their words: who prompts
/// without echo gets the password, who prompts with echo the user. What they
/// want to be shown is shown to nobody.
///
/// # Safety
/// As pam_conv(3) says: `messages` points to `count` pointers to messages,
/// `replies` to where the replies go, and `data` is what pam_start was given,
/// a [`Login`] that still lives.
#[allow(unsafe_code)]
unsafe extern "C" fn converse(
    count: c_int,
    messages: *mut *const Message,
    replies: *mut *mut Reply,
    data: *mut c_void,
) -> c_int {
    let Some(count) = usize::try_from(count).ok().filter(|count| (1..=MOST_MESSAGES).contains(count)) else {
        return CONV_ERR;
    };
    if messages.is_null() || replies.is_null() || data.is_null() {
        return CONV_ERR;
    }
    // SAFETY: what the pointers point to is promised above; `array` has room
    // for `count` replies, zeroed, from malloc as the modules that free it
    // expect; no reference to any of it outlives this call.
    unsafe {
        let login = &*data.cast::<Login<'_>>();
        let array: *mut Reply = libc::calloc(count, size_of::<Reply>()).cast();
        if array.is_null() {
            return BUF_ERR;
        }
        for index in 0..count {
            let style = (*messages.add(index)).as_ref().map(|message| message.style);
            let text = match style.unwrap_or_default() {
                PROMPT_ECHO_OFF => login.password,
                PROMPT_ECHO_ON => login.user,
                ERROR_MSG | TEXT_INFO => continue,
                _ => {
                    release(array, count);
                    return CONV_ERR;
                }
            };
            let copy = libc::strdup(text.as_ptr());
            if copy.is_null() {
                release(array, count);
                return BUF_ERR;
            }
            (*array.add(index)).text = copy;
        }
        *replies = array;
    }
    SUCCESS
}

/// Frees replies that nobody gets, and wipes them.
///
/// # Safety
/// `array` is from calloc and has `count` replies, whose texts are null or from
/// strdup.
#[allow(unsafe_code)]
unsafe fn release(array: *mut Reply, count: usize) {
    // SAFETY: as promised above; nothing of it is used again.
    unsafe {
        for index in 0..count {
            let text = (*array.add(index)).text;
            if !text.is_null() {
                libc::explicit_bzero(text.cast(), libc::strlen(text));
                libc::free(text.cast());
            }
        }
        libc::free(array.cast());
    }
}

#[cfg(test)]
mod tests {
    use super::{BUF_ERR, CONV_ERR, Failed, Login, Message, Reply, SUCCESS, authenticate, converse, release};
    use std::ffi::{CStr, c_int};
    use std::ptr;

    const LOGIN: Login<'_> = Login {
        service: c"no-such-service-of-ours",
        user: c"alice",
        password: c"secret",
        remote_host: Some(c"192.0.2.7"),
    };

    /// What is replied to messages of these styles.
    fn replies(styles: &[c_int]) -> Result<Vec<Option<String>>, c_int> {
        let messages: Vec<Message> =
            styles.iter().map(|&style| Message { style, text: c"?".as_ptr() }).collect();
        let mut pointers: Vec<*const Message> = messages.iter().map(ptr::from_ref).collect();
        let mut replies: *mut Reply = ptr::null_mut();
        let mut login = LOGIN;
        let count = c_int::try_from(styles.len()).unwrap();
        // SAFETY: everything is as pam_conv(3) promises; what comes back is
        // read within its bounds and freed once.
        #[allow(unsafe_code)]
        unsafe {
            let data = ptr::from_mut(&mut login).cast();
            match converse(count, pointers.as_mut_ptr(), &raw mut replies, data) {
                SUCCESS => {}
                code => {
                    assert!(replies.is_null());
                    return Err(code);
                }
            }
            let text = |index| {
                let text = (*replies.add(index)).text;
                (!text.is_null()).then(|| CStr::from_ptr(text).to_str().unwrap().to_owned())
            };
            let texts = (0..styles.len()).map(text).collect();
            release(replies, styles.len());
            Ok(texts)
        }
    }

    #[test]
    fn the_password_goes_where_there_is_no_echo_and_nowhere_else() {
        let text = |text: &str| Some(text.to_owned());
        assert_eq!(replies(&[1]), Ok(vec![text("secret")]));
        assert_eq!(replies(&[4, 2, 3, 1]), Ok(vec![None, text("alice"), None, text("secret")]));
    }

    #[test]
    fn other_questions_and_too_many_are_not_answered() {
        for styles in [[].as_slice(), &[0], &[5], &[1, 7], &[-1], &[1; 33]] {
            assert_eq!(replies(styles), Err(CONV_ERR), "{styles:?}");
        }
        assert_eq!(replies(&[1; 32]).map(|texts| texts.len()), Ok(32));
        assert_ne!(CONV_ERR, BUF_ERR);
    }

    #[test]
    fn a_service_that_nobody_knows_lets_nobody_in() {
        match authenticate(&LOGIN) {
            // The service `other` denies, or there is no PAM here.
            Err(Failed::Asked { code, .. }) => assert_ne!(code, SUCCESS),
            Err(Failed::Library(text)) => assert!(text.contains("libpam"), "{text}"),
            Ok(user) => panic!("{user:?}"),
        }
    }
}
