//! Headers of the PROXY protocol: what they say does not depend on the pieces
//! in which they come, and what follows them is left.

#![no_main]

use libfuzzer_sys::fuzz_target;
use programs::proxy_header::Reader;

fuzz_target!(|octets: &[u8]| {
    let mut rest = octets;
    let whole = Reader::default().take(&mut rest);
    let used = octets.len() - rest.len();
    assert!(used <= 4096 || whole.is_err());
    let mut reader = Reader::default();
    let mut taken = 0;
    let by_octet = octets.chunks(1).find_map(|mut octet| {
        let heard = reader.take(&mut octet);
        taken += 1 - octet.len();
        match heard {
            Ok(None) => None,
            Ok(Some(header)) => Some(Ok(header)),
            Err(malformed) => Some(Err(malformed)),
        }
    });
    match (whole, by_octet) {
        (Ok(Some(header)), Some(Ok(other))) => assert!(header == other && used == taken),
        (Ok(None), None) | (Err(_), Some(Err(_))) => {}
        other => panic!("{other:?}"),
    }
});
