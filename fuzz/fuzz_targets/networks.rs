//! Lists of networks, as administrators write them: an address that is named
//! is in its network, in both ways to write it.

#![no_main]

use std::net::IpAddr;

use authlib::abuse::Networks;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|list: &[u8]| {
    let Ok(networks) = Networks::parse(list) else { return };
    let words = list.split(|octet| octet.is_ascii_whitespace() || *octet == b',');
    for word in words.filter(|word| !word.is_empty()) {
        let text = std::str::from_utf8(word).expect("a network is text");
        let address: IpAddr = text.split('/').next().unwrap_or(text).parse().expect("it has an address");
        assert!(networks.contain(address));
        if let IpAddr::V4(address) = address {
            assert!(networks.contain(address.to_ipv6_mapped().into()));
        }
    }
});
