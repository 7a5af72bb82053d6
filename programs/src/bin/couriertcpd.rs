//! couriertcpd: accepts connections and starts one program for each.

use std::process::ExitCode;

fn main() -> ExitCode {
    programs::tcpd::main()
}
