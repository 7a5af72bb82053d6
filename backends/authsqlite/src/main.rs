//! authsqlite: not there yet.

fn main() {}
