//! authpam with the real PAM, on a machine that has users and services of its
//! own. That takes root.

// Helpers of tests may stop them, as the tests may.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test may stop")]

mod answers;
mod cells;
mod stand;
