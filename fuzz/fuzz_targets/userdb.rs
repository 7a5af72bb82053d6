//! userdb: the text that makeuserdb reads, and the records that authuserdb
//! reads. Splitting, compiling and finding agree with each other.

#![no_main]

use authlib::userdb::text::{Line, compile, split, with_field, without_field};
use authlib::userdb::{field, text};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|octets: &[u8]| {
    for line in octets.split(|&octet| octet == b'\n') {
        let Line::Record { fields, .. } = Line::parse(line) else { continue };
        let compiled = compile(fields, b"");
        let name_of = |part: &[u8]| part.split(|&octet| octet == b'=').next().unwrap_or_default().to_vec();
        // A password's name without a value is a flag, and no secret; what
        // cannot be a field's name cannot be asked for.
        let is_flag = |name: &[u8]| split(fields).any(|part| part == name);
        for name in split(fields).map(name_of).filter(|name| text::is_field(name) && !is_flag(name)) {
            let name = name.as_slice();
            let home = if text::is_secret(name) { &compiled.shadow[..] } else { &compiled.public[..] };
            assert_eq!(field::find(home, name), field::find(fields, name), "{:?}", name);
        }
        if text::is_field(b"uid") {
            let set = with_field(fields, b"uid", b"7");
            assert_eq!(field::find(&set, b"uid"), Some(&b"7"[..]));
            assert_eq!(field::find(&without_field(&set, b"uid"), b"uid"), None);
        }
    }
});
