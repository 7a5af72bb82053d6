//! authoauth2: not there yet.

fn main() {}
