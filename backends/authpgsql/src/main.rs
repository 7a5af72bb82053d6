//! authpgsql: not there yet.

fn main() {}
