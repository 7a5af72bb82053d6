//! What the kernel and the C library are asked for: users, descriptors,
//! processes, randomness, crypt(3), PAM.
//!
//! This is the only crate that may contain `unsafe`, and it knows nothing of
//! mail, passwords' owners or protocols. Every unsafe block says above it why
//! it holds. What `nix` and `rustix` offer safely is used from there directly.

#[cfg(feature = "testing")]
pub mod attempt;
pub mod crypt;
pub mod descriptor;
pub mod detached;
#[cfg(feature = "testing")]
pub mod kill_at;
#[cfg(feature = "pam")]
pub mod pam;
pub mod pipe;
pub mod process;
pub mod random;
pub mod service;
pub mod shadow;
pub mod shared;
pub mod sibling;
pub mod stamp;
pub mod user;
