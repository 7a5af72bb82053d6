//! authdaemonrc: any text is settings or has a bad line, and its values can
//! stand in an environment.

#![no_main]

use authlib::authdaemonrc::Authdaemonrc;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|octets: &[u8]| {
    let Ok(rc) = Authdaemonrc::parse(octets) else { return };
    for (name, value) in rc.settings() {
        assert!(!name.is_empty() && !name.contains(['=', '\0', '\n']));
        assert!(!value.contains(&0) && !value.contains(&b'\n'));
    }
    assert!(rc.daemons().is_none_or(|daemons| (1..=1000).contains(&daemons)));
    assert!(rc.modules().iter().all(|name| !name.is_empty()));
    let _ = rc.default_options();
});
