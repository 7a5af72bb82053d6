//! Maildirs.
