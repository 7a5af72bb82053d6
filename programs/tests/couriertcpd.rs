//! couriertcpd as its users see it: words on the command line, sockets,
//! processes, log lines.
//!
//! Wherever Courier's couriertcpd can be asked the same question, it is; where
//! the answers differ on purpose, the test names the row of the ledger and
//! holds Courier to its answer too.

#[path = "couriertcpd/connections.rs"]
mod connections;
#[path = "couriertcpd/daemon.rs"]
mod daemon;
#[path = "couriertcpd/forks.rs"]
mod forks;
#[path = "couriertcpd/limits.rs"]
mod limits;
#[path = "couriertcpd/log.rs"]
mod log;
#[path = "couriertcpd/options.rs"]
mod options;
#[path = "couriertcpd/rights.rs"]
mod rights;
#[path = "couriertcpd/shortage.rs"]
mod shortage;
#[path = "couriertcpd/stand.rs"]
mod stand;
