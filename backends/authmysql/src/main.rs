//! authmysql: not there yet.

fn main() {}
