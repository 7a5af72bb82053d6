//! What the programs are made of: settings, log lines, and the drivers that
//! let the crates `pop3`, `maildir` and `authlib` meet.
//!
//! The programs themselves, under `src/bin/`, are a few lines each.

pub mod authdaemond;
pub mod authpasswd;
pub mod authtest;
pub mod chain;
pub mod chain_module;
pub mod checkpassword;
pub mod connection;
pub mod descriptors;
pub mod environment;
mod forkserver;
pub mod log;
pub mod login;
pub mod mailbox;
pub mod maildirmake;
pub mod makeuserdb;
pub mod module_program;
pub mod modules;
mod new_password;
mod pidfile;
pub mod pipe_face;
pub mod places;
pub mod prompt;
mod proxy;
pub mod proxy_header;
pub mod pw2userdb;
pub mod service;
pub mod skeleton;
pub mod tcpd;
pub mod userdb_tool;
pub mod userdbpw;
