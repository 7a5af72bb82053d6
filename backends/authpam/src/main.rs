//! authpam: not there yet.

fn main() {}
