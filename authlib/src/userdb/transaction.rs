//! One record changed in the text and in both files, in one go, under the
//! locks of both (reference: authlib 10; ledger 616 to 619).
//!
//! Everything new is written beside the old and is on disk before anything
//! takes its place. Then there are three renames, each one step:
//!
//! ```text
//! 0  all is old
//! 1  the text is new; logins go by the old files      rename of the text, and its directory synced
//! 2  new passwords are in force                       rename of userdbshadow.dat
//! 3  all is new                                       rename of userdb.dat, directory synced
//! ```
//!
//! So a crash leaves a password and its CRAM secrets wholly old (0, 1) or
//! wholly new (2, 3), for all of them are in one file. After 1 the text is
//! ahead, as after every `userdb` without `makeuserdb`: whoever compiles next
//! brings it into force. After 2 only accounts that were written into the text
//! since it was last compiled are still unknown.

use super::compile::{self, Compiler};
use super::edit::{self, Change, Text};

/// Makes `change` to the record called `name`; whether there was anything to
/// change. `warn` hears of lines that describe no account.
///
/// # Errors
/// See [`edit::Failed`] and [`compile::Failed`].
pub fn commit<Failed: From<edit::Failed> + From<compile::Failed>>(
    compiler: &Compiler,
    text: &Text,
    name: &[u8],
    change: &Change<'_>,
    warn: &mut dyn FnMut(&str),
) -> Result<bool, Failed> {
    let Some(edited) = text.edit(name, change)? else { return Ok(false) };
    let built = compiler.build(Some(&edited), warn)?.like_the_old()?;
    edited.install()?;
    built.install()?;
    Ok(true)
}
