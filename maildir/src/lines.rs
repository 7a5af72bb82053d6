//! New lines at the end of the size list, without writing the rest of it again
//! (ledger 332).
//!
//! ```text
//! /3 1259 1795397094                           the first line has a number that is not reached
//! #postrider:exact-octets:260                  the next one to give, before lines were added
//! …
//! 1000000014.M1P1.host:2, 57 260:1795397094:0  added
//! ```
//!
//! A list that grows is at each instant one that Courier reads rightly, as we do:
//! its first line is above every number in it, and no line lies across a page
//! of the kernel's cache, so that who reads it meanwhile sees whole lines. What
//! a crash leaves of lines that are not on the disk yet nobody has heard of.

use std::fs::File;
use std::io::{self, Write};
use std::os::fd::AsFd;

use rustix::fs::{OFlags, Stat};
use system::stamp::Stamp;

use crate::beneath;
use crate::opening::NAME;
use crate::size_list::{self, Line};

/// Bytes of the smallest page that any kernel has.
const PAGE: usize = 4096;

/// Adds `lines` to the list in `root`, which is as `before` says and ends with an
/// LF, and makes them durable; only to be done under the lock. Gives the list as
/// it is now; `None` if it may not be written or is another one.
///
/// # Errors
/// Those of writing. Some of the lines may be in the list then.
pub(crate) fn add<'a>(
    root: impl AsFd,
    before: Stamp,
    lines: impl Iterator<Item = Line<'a>>,
) -> io::Result<Option<(File, Stat)>> {
    let root = root.as_fd();
    let Ok((mut file, stat)) = beneath::regular_file(root, NAME, OFlags::RDWR | OFlags::APPEND) else {
        return Ok(None);
    };
    let (Ok(length), true) = (u64::try_from(stat.st_size), Stamp::of(&stat) == before) else {
        return Ok(None);
    };
    let added = laid_out(length, lines)?;
    // What of it gets there and is not synced now may have been seen by others: it stays.
    file.write_all(&added)?;
    beneath::sync_data(&file)?;
    // Courier takes no lock, and may have put another list in its place.
    let is_there =
        beneath::stat(root, NAME).is_ok_and(|now| (now.st_dev, now.st_ino) == (stat.st_dev, stat.st_ino));
    if !is_there {
        return Ok(None);
    }
    let stat = rustix::fs::fstat(&file)?;
    Ok(Some((file, stat)))
}

/// `lines` as they are to stand from the byte `start` of the list on, with LFs
/// before those that would lie across a page.
fn laid_out<'a>(start: u64, lines: impl Iterator<Item = Line<'a>>) -> io::Result<Vec<u8>> {
    let into_page = usize::try_from(start % PAGE as u64).unwrap_or_default();
    let mut out = Vec::new();
    let mut one = Vec::new();
    for line in lines {
        one.clear();
        size_list::write_line(&mut one, &line)?;
        let room = PAGE - (into_page + out.len()) % PAGE;
        if one.len() > room {
            out.resize(out.len() + room, b'\n');
        }
        out.extend_from_slice(&one);
    }
    Ok(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_line_lies_across_a_page() {
        let line = |uid| Line {
            name: b"1000000014.M1P1.host,S=99:2,",
            octets: Some(57),
            uid,
            validity: 17,
            utf8: false,
        };
        let out = laid_out(4090, (1..1000).map(line)).unwrap();
        assert!(out.starts_with(b"\n\n\n\n\n\n1000000014"));
        let whole = [vec![b'x'; 4090], out].concat();
        let pages = whole.chunks(PAGE).skip(1);
        assert!(pages.clone().all(|page| page.starts_with(b"1000000014") && page.ends_with(b"\n")));
        assert_eq!(whole.split(|byte| *byte == b'\n').filter(|line| line.starts_with(b"10")).count(), 999);
    }
}
