//! Names of message files: unique name, info, flags, and their order.
//!
//! A name is `<unique name>` or `<unique name>:<info>`; the info that anyone
//! uses is `2,` and flags in ASCII order. All of this is about bytes that a
//! delivery agent chose; nothing here touches a disk.

use std::cmp::Ordering;

use crate::find::find;

/// The part before the first `:`, which stays the same when flags change.
pub(crate) fn unique(name: &[u8]) -> &[u8] {
    split(name).0
}

/// Unique name, and info if there is a `:`.
fn split(name: &[u8]) -> (&[u8], Option<&[u8]>) {
    match find(b':', name) {
        Some(colon) => (&name[..colon], Some(&name[colon + 1..])),
        None => (name, None),
    }
}

/// The flags, if the info is of the kind that has flags.
fn flags(name: &[u8]) -> Option<&[u8]> {
    split(name).1?.strip_prefix(b"2,")
}

/// Whether the T (trashed) flag is set; such messages are not counted for the
/// quota (maildir.md 8).
pub(crate) fn is_trashed(name: &[u8]) -> bool {
    flags(name).is_some_and(|flags| flags.contains(&b'T'))
}

/// The name in `cur/` of a file that was `name` in `new/` (maildir.md 2): an
/// info other than flags is dropped.
pub(crate) fn in_cur(name: &[u8]) -> Vec<u8> {
    if flags(name).is_some() {
        return name.to_vec();
    }
    [unique(name), b":2,"].concat()
}

/// Another unique name with the same leading number, for a file whose own name
/// is taken.
pub(crate) fn renumbered(name: &[u8], attempt: u32) -> Vec<u8> {
    let (unique, _) = split(name);
    let suffix = format!("_{attempt}");
    [unique, suffix.as_bytes(), &name[unique.len()..]].concat()
}

/// `name` with the S (seen) flag, or `None` if it has the flag already or an
/// info of another kind (maildir.md 6).
///
/// The flag goes to its place in ASCII order, as maildir(5) wants it; Courier
/// appends it (ledger 313).
pub(crate) fn seen(name: &[u8]) -> Option<Vec<u8>> {
    let (unique, info) = split(name);
    let Some(info) = info else {
        return Some([name, b":2,S"].concat());
    };
    let flags = info.strip_prefix(b"2,")?;
    if flags.contains(&b'S') {
        return None;
    }
    let at = flags.iter().position(|flag| *flag > b'S').unwrap_or(flags.len());
    Some([unique, b":2,", &flags[..at], b"S", &flags[at..]].concat())
}

/// The file's bytes as the delivery agent put them into the unique name: the
/// number behind the last `,S=` (maildir.md 8).
pub(crate) fn size(name: &[u8]) -> Option<u64> {
    let unique = unique(name);
    let at = unique.windows(3).rposition(|three| three == b",S=")?;
    let digits = &unique[at + 3..];
    let end = digits.iter().position(|byte| !byte.is_ascii_digit()).unwrap_or(digits.len());
    std::str::from_utf8(&digits[..end]).ok()?.parse().ok()
}

/// The leading decimal number as C's `atol` reads it, by which Courier orders
/// messages: white space and a sign are skipped, no digits are 0, and what
/// does not fit is the nearest number that does.
pub(crate) fn leading_number(name: &[u8]) -> i64 {
    let start = name.iter().position(|byte| !matches!(byte, b' ' | 0x09..=0x0D)).unwrap_or(name.len());
    let (negative, digits) = match &name[start..] {
        [b'-', digits @ ..] => (true, digits),
        [b'+', digits @ ..] | digits => (false, digits),
    };
    let digits = digits.iter().take_while(|byte| byte.is_ascii_digit());
    digits.fold(0_i64, |number, digit| {
        let digit = i64::from(digit - b'0');
        let ten_times = number.saturating_mul(10);
        if negative { ten_times.saturating_sub(digit) } else { ten_times.saturating_add(digit) }
    })
}

/// Courier's order of two names with the same leading number: byte by byte as
/// signed characters up to the end or to where both have their `:`. What it
/// leaves open (equal unique names) is decided by the whole name.
pub(crate) fn compare(one: &[u8], other: &[u8]) -> Ordering {
    comparable(one).cmp(comparable(other)).then_with(|| one.cmp(other))
}

/// The characters that count: all up to and including `:`, or up to and
/// including the NUL that ends the name in C.
fn comparable(name: &[u8]) -> impl Iterator<Item = i8> {
    let end = find(b':', name).map_or(name.len(), |colon| colon + 1);
    name[..end].iter().chain([&0]).map(|byte| byte.cast_signed())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn sorted(mut names: Vec<&[u8]>) -> Vec<&[u8]> {
        names.sort_by(|one, other| {
            leading_number(one).cmp(&leading_number(other)).then_with(|| compare(one, other))
        });
        names
    }

    #[test]
    fn courier_puts_names_in_this_order() {
        let order: Vec<&[u8]> = vec![
            b"-5.neg",
            b"abc:2,",
            b"zzz-noDigits",
            b"999999999.z.h:2,",
            b"1000000050.x",
            b"1000000050.x.h:2,S",
            b"01000000055.lead0.h:2,",
            b"1000000060.y.h",
            b"1000000070.q.h:2,FS",
            b"1000000100.B.h:2,",
            b"1000000100.a.h:2,",
            b"1000000100.b.h:2,",
            b"99999999999.big.h",
        ];
        assert_eq!(sorted(order.iter().rev().copied().collect()), order);
    }

    #[test]
    fn courier_compares_signed_characters_and_the_colon_among_them() {
        let order: Vec<&[u8]> = vec![
            b"2\xFF",
            b"2\xFF:2,",
            b"2",
            b"2\x01",
            b"2\x01:2,",
            b"2!:2,",
            b"2:2,",
            b"2;",
            b"2a",
            b"2a:2,",
        ];
        assert_eq!(sorted(order.iter().rev().copied().collect()), order);
    }

    #[test]
    fn the_leading_number_is_what_atol_makes_of_it() {
        let cases: [(&[u8], i64); 11] = [
            (b"", 0),
            (b"x1", 0),
            (b"12x", 12),
            (b"-5.neg", -5),
            (b"+3c", 3),
            (b"-+3d", 0),
            (b"- 3e", 0),
            (b" \t\x0B\r7", 7),
            (b"0x10", 0),
            (b"99999999999999999999", i64::MAX),
            (b"-99999999999999999999", i64::MIN),
        ];
        for (name, number) in cases {
            assert_eq!(leading_number(name), number, "{}", name.escape_ascii());
        }
    }

    #[test]
    fn a_move_to_cur_gives_every_name_its_flags_part() {
        let cases: [(&[u8], &[u8]); 5] = [
            (b"1000000100.a.h", b"1000000100.a.h:2,"),
            (b"1000000070.q.h:2,FS", b"1000000070.q.h:2,FS"),
            (b"abc:1,foo", b"abc:2,"),
            (b"abc:2", b"abc:2,"),
            (b":", b":2,"),
        ];
        for (new, cur) in cases {
            assert_eq!(in_cur(new), cur);
        }
    }

    #[test]
    fn the_seen_flag_goes_to_its_place_in_the_alphabet() {
        let cases: [(&[u8], Option<&[u8]>); 8] = [
            (b"a", Some(b"a:2,S")),
            (b"a:2,", Some(b"a:2,S")),
            (b"a:2,FR", Some(b"a:2,FRS")),
            (b"a:2,T", Some(b"a:2,ST")),
            (b"a:2,DTa", Some(b"a:2,DSTa")),
            (b"a:2,S", None),
            (b"a:2,FS", None),
            (b"a:1,x", None),
        ];
        for (name, expected) in cases {
            assert_eq!(seen(name).as_deref(), expected, "{}", name.escape_ascii());
        }
    }

    #[test]
    fn the_size_in_a_name_is_the_last_one_before_the_colon() {
        assert_eq!(size(b"1.M.h,S=99:2,"), Some(99));
        assert_eq!(size(b"1.M.h,S=99,S=7,W=8:2,S"), Some(7));
        assert_eq!(size(b"1.M.h:2,S=99"), None);
        assert_eq!(size(b"1.M.h,S="), None);
        assert_eq!(size(b"1.M.h,S=99999999999999999999"), None);
    }

    #[test]
    fn only_a_flag_marks_a_message_trashed() {
        assert!(is_trashed(b"a:2,ST"));
        assert!(!is_trashed(b"aT:2,S"));
        assert!(!is_trashed(b"a:1,T"));
    }

    #[test]
    fn a_file_that_gives_way_keeps_number_and_flags() {
        assert_eq!(renumbered(b"12.a:2,FS", 3), b"12.a_3:2,FS");
        assert_eq!(renumbered(b"12.a", 1), b"12.a_1");
    }

    /// The order, written as one would do it in C.
    fn as_strcmp(one: &[u8], other: &[u8]) -> Ordering {
        let mut at = 0;
        loop {
            let left = one.get(at).copied().unwrap_or(0).cast_signed();
            let right = other.get(at).copied().unwrap_or(0).cast_signed();
            if left != right {
                return left.cmp(&right);
            }
            if left == 0 || left == b':'.cast_signed() {
                return one.cmp(other);
            }
            at += 1;
        }
    }

    fn names() -> impl Strategy<Value = Vec<u8>> {
        proptest::collection::vec(prop_oneof![Just(b':'), Just(b'a'), 1..=255_u8], 0..8)
    }

    proptest! {
        #[test]
        fn the_order_is_the_one_c_gives(one in names(), other in names()) {
            prop_assert_eq!(compare(&one, &other), as_strcmp(&one, &other));
        }

        #[test]
        fn the_order_is_total(one in names(), other in names(), third in names()) {
            prop_assert_eq!(compare(&one, &other), compare(&other, &one).reverse());
            prop_assert_eq!(compare(&one, &other) == Ordering::Equal, one == other);
            if compare(&one, &other).is_le() && compare(&other, &third).is_le() {
                prop_assert!(compare(&one, &third).is_le());
            }
        }

        #[test]
        fn a_seen_name_keeps_its_unique_name_and_all_its_flags(name in names()) {
            if let Some(seen_name) = seen(&name) {
                prop_assert_eq!(unique(&seen_name), unique(&name));
                let mut before = flags(&name).unwrap_or_default().to_vec();
                let mut after = flags(&seen_name).unwrap().to_vec();
                before.push(b'S');
                before.sort_unstable();
                after.sort_unstable();
                prop_assert_eq!(before, after);
            }
        }
    }
}
