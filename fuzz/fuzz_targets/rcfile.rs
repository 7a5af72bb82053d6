//! Settings of back-ends: any text is settings or has a flaw, and what is said
//! of it holds no value.

#![no_main]

use authlib::rcfile::Settings;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|octets: &[u8]| {
    let Ok(settings) = Settings::parse(octets) else {
        assert!(octets.contains(&0) || !octets.starts_with(b"##NAME: MARKER:"));
        return;
    };
    for remark in settings.remarks() {
        assert!(!remark.contains('\n') && remark.is_ascii());
    }
    for name in ["A", "LDAP_URI", "SQLITE_DATABASE"] {
        if let Some(value) = settings.get(name) {
            assert!(!value.is_empty() && value == value.trim_ascii());
            assert!(!value.contains(&0) && !value.contains(&b'\n'));
        }
        let known = format!("{name} is not known");
        assert!(!settings.remarks().iter().any(|remark| remark.starts_with(&known)));
        let _ = (settings.number::<u16>(name), settings.is_on(name), settings.required(name));
    }
});
