//! A listing that goes along with its Maildir: what came, went or was renamed is
//! worked into it, and the rest is not read again (ledger 334).
//!
//! ```text
//!   new/ to cur/ ──> what was touched in cur/? ──> is it there now? ──> … until nothing was touched meanwhile
//!                    (witness)                     (a look each)
//!   what is new: read for its size; under the lock a unique-id, a line in the size list, on the disk
//! ```
//!
//! What is in any way unusual is left to a reading of everything.

use std::collections::{BTreeMap, HashSet};
use std::fs::File;
use std::io;
use std::os::fd::BorrowedFd;
use std::sync::Arc;
use std::time::Duration;

use system::stamp::Stamp;

use crate::beneath;
use crate::directories::Directories;
use crate::lines;
use crate::lock::Lock;
use crate::messages::{Messages, Newcomer};
use crate::name;
use crate::order::{self, InOrder};
use crate::size::{Reader, Size};
use crate::size_list::{self, Line, Numbers};
use crate::unique_id::Id;
use crate::witness::Witness;

/// How often what was touched meanwhile is looked at.
const LOOKS: usize = 8;

/// How long the lock is waited for before everything is read.
const PATIENCE: Duration = Duration::from_secs(1);

/// The least number of lines without messages that a list may have; above that, a
/// quarter of its lines.
const DEAD: usize = 1000;

/// What a listing needs to go along.
#[derive(Debug)]
pub(crate) struct Following {
    witness: Witness,
    /// What the size list says about uids to come.
    numbers: Numbers,
    /// Unique names that have a line in the size list and no message.
    dead: HashSet<Vec<u8>>,
}

/// How the messages have changed.
#[derive(Debug, Default)]
pub(crate) struct Changes {
    /// Places of messages that are gone, in order.
    gone: Vec<usize>,
    /// Places and names of those that have another one.
    renamed: Vec<(usize, Vec<u8>)>,
    /// Names of those that were not there.
    new: Vec<Vec<u8>>,
}

impl Following {
    /// A listing whose list has a line for each message and no other.
    pub(crate) fn new(witness: Witness, numbers: Numbers) -> Following {
        Following { witness, numbers, dead: HashSet::new() }
    }

    /// Whether each name in `cur` that was touched is there; `None` if others may
    /// have been, or if it does not come to rest.
    ///
    /// At the end nothing had been touched since each of them was looked at.
    pub(crate) fn touched(&self, cur: BorrowedFd<'_>) -> Option<BTreeMap<Vec<u8>, bool>> {
        let mut touched = BTreeMap::new();
        for _ in 0..LOOKS {
            beneath::wait_for_changes(cur).ok()?;
            let names = self.witness.touched()?;
            if names.is_empty() {
                return Some(touched);
            }
            // Who was still at it has let go of the directory then.
            beneath::wait_for_changes(cur).ok()?;
            for name in names.into_iter().filter(|name| !name.starts_with(b".")) {
                let is_there = match beneath::stat(cur, &name) {
                    Ok(stat) => beneath::is_regular(&stat),
                    Err(error) if error.kind() == io::ErrorKind::NotFound => false,
                    Err(_) => return None,
                };
                touched.insert(name, is_there);
            }
        }
        None
    }

    /// What `touched` means for `messages`; `None` if it takes a closer look.
    pub(crate) fn changes(&self, messages: &Messages, touched: BTreeMap<Vec<u8>, bool>) -> Option<Changes> {
        let mut changes = Changes::default();
        let mut came = Vec::new();
        let mut left = BTreeMap::new();
        for (name, is_there) in touched {
            match (messages.look_for(&name), is_there) {
                (Ok(place), false) => {
                    if left.insert(name::unique(&name).to_vec(), place).is_some() {
                        return None;
                    }
                }
                (Err(_), true) => came.push(name),
                (Ok(_), true) | (Err(_), false) => {}
            }
        }
        let gone: HashSet<usize> = left.values().copied().collect();
        let mut unique_names = HashSet::new();
        for name in came {
            let unique = name::unique(&name);
            let is_shared = messages.with_unique(unique).any(|place| !gone.contains(&place))
                || !unique_names.insert(unique.to_vec());
            if is_shared || self.dead.contains(unique) || !size_list::can_hold(&name) {
                return None;
            }
            match left.remove(unique) {
                // Courier is to be told (ledger 303).
                Some(place) if messages.name_at(place) == unique => return None,
                Some(place) => changes.renamed.push((place, name)),
                None => changes.new.push(name),
            }
        }
        changes.gone = left.into_values().collect();
        changes.gone.sort_unstable();
        changes.new.sort_unstable_by(|one, other| order::compare(one, other));
        Some(changes)
    }

    /// Takes note that those that are gone have lines in the size list; whether it may
    /// stay as it is.
    fn leave_lines(&mut self, messages: &Messages, changes: &Changes) -> bool {
        let unique = |place: &usize| name::unique(messages.name_at(*place)).to_vec();
        self.dead.extend(changes.gone.iter().map(unique));
        self.dead.len() <= DEAD.max(messages.count() / 4)
    }
}

impl Following {
    /// Works `changes` into `messages`: what is new gets its size and its unique-id.
    /// Gives the size list if lines were added to it; `None` if it takes a reading
    /// of everything, and then `messages` are as they were.
    pub(crate) fn work_in(
        &mut self,
        messages: &mut Arc<Messages>,
        changes: Changes,
        directories: &Directories,
        list: Option<Stamp>,
    ) -> Option<Option<(File, Stamp)>> {
        if !self.leave_lines(messages, &changes) {
            return None;
        }
        let new = measured(changes.new, directories.cur_dir().ok()?)?;
        let (new, grown) = match new.is_empty() {
            true => (Vec::new(), None),
            false => {
                let (new, grown) = self.give_ids(new, directories, list?)?;
                (new, Some(grown))
            }
        };
        Arc::make_mut(messages).change(changes.gone, changes.renamed, new);
        Some(grown)
    }

    /// Gives each of `new` a unique-id, and has them on the disk.
    fn give_ids(
        &mut self,
        new: Vec<(Vec<u8>, Size)>,
        directories: &Directories,
        list: Stamp,
    ) -> Option<(Vec<Newcomer>, (File, Stamp))> {
        if !self.numbers.have_room_for(new.len()) {
            return None;
        }
        let _lock = Lock::take(&directories.root, PATIENCE).ok()??;
        let Numbers { next, validity, .. } = self.numbers;
        let newcomers: Vec<Newcomer> = new
            .into_iter()
            .zip(next..)
            .map(|((name, size), uid)| Newcomer { name, id: Id::Numbered { uid, validity }, size })
            .collect();
        let lines = newcomers.iter().zip(next..).map(|(newcomer, uid)| {
            let Size { octets, utf8 } = newcomer.size;
            Line { name: &newcomer.name, octets: Some(octets), uid, validity, utf8 }
        });
        let (file, stat) = lines::add(&directories.root, list, lines).ok()??;
        self.numbers.next += u64::try_from(newcomers.len()).ok()?;
        Some((newcomers, (file, Stamp::of(&stat))))
    }
}

/// The sizes of those of `names` that are there; `None` if one cannot be read.
fn measured(names: Vec<Vec<u8>>, cur: BorrowedFd<'_>) -> Option<Vec<(Vec<u8>, Size)>> {
    let mut reader = Reader::new();
    let mut measured = Vec::with_capacity(names.len());
    for name in names {
        match reader.measure(cur, &name) {
            Ok(size) => measured.push((name, size)),
            // It has gone meanwhile, and that is in the queue.
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(_) => return None,
        }
    }
    Some(measured)
}

impl Changes {
    /// Whether everything is as it was.
    pub(crate) fn are_none(&self) -> bool {
        self.gone.is_empty() && self.renamed.is_empty() && self.new.is_empty()
    }
}
