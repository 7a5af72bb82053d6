//! authldap: not there yet.

fn main() {}
