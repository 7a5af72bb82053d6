//! Messages between the processes of the service: a captured one may send
//! anything.

#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|octets: &[u8]| programs::service::fuzzing::read(octets));
