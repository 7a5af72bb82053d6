use super::*;
use proptest::prelude::*;

const NOW: u64 = 1_800_000_000;

fn names(names: &[&[u8]]) -> Names {
    Names::new(names.iter().copied())
}

fn read(files: &[&[u8]], list: &str) -> Listing {
    Listing::read(names(files), &mut list.as_bytes(), true, NOW).unwrap()
}

fn ids(listing: &Listing) -> Vec<String> {
    (0..listing.drafts.len())
        .map(|index| listing.shown(index).map_or_else(String::new, |shown| shown.to_string()))
        .collect()
}

/// As after a login that could save.
fn assigned(files: &[&[u8]], list: &str) -> Vec<String> {
    let mut listing = read(files, list);
    listing.assign().unwrap();
    ids(&listing)
}

#[test]
fn courier_keeps_its_numbers_and_loses_its_octets() {
    let listing = read(&[b"1.a:2,", b"2.b:2,S"], "/3 9 17\n1.a:2, 60 1:17:0\n2.b:2, 57 8:16:1\n");
    assert_eq!(ids(&listing), ["UID1-17", "UID8-16"]);
    assert!(listing.drafts.iter().all(|draft| draft.size.is_none()));
    assert!(listing.is_untidy && !listing.has_missing);
}

#[test]
fn a_list_of_ours_is_believed() {
    let listing = read(
        &[b"1.a:2,", b"2.b:2,S"],
        "/3 9 17\n#postrider:exact-octets\n2.b:2, 57 8:16:1\n1.a:2, 60 1:17:0\n",
    );
    assert_eq!(listing.drafts[1].size, Some(Size { octets: 57, utf8: true }));
    assert!(!listing.is_untidy && !listing.has_missing);
}

#[test]
fn the_mark_counts_as_second_line_only() {
    let listing = read(&[b"1.a:2,"], "/3 9 17\n1.a:2, 60 1:17:0\n#postrider:exact-octets\n");
    assert_eq!(listing.drafts[0].size, None);
}

#[test]
fn versions_are_read_as_courier_reads_them() {
    let lines = "a:2, 60 1:17:0\n";
    let with = |header: &str| assigned(&[b"a:2,", b"b:2,"], &format!("{header}\n{lines}"));
    assert_eq!(with("/2 9 17"), ["UID1-17", "UID9-17"]);
    assert_eq!(with("/3 9"), ["UID1-17", "UID9-1800000000"]);
    assert_eq!(with("/3 9 0"), ["UID1-17", "UID9"]);
    assert_eq!(with("/1 10"), ["UID10-1800000000", "UID11-1800000000"]);
    assert_eq!(with("/4 10 1111111111"), ["UID10-1111111111", "UID11-1111111111"]);
    assert_eq!(with("/3"), ["UID1-1800000000", "UID2-1800000000"]);
    assert_eq!(with("junk"), ["UID1-1800000000", "UID2-1800000000"]);
    assert_eq!(assigned(&[b"a:2,"], ""), ["UID1-1800000000"]);
}

#[test]
fn changed_flags_keep_the_number() {
    let list = "/3 9 17\na 60 1:17:0\nb:2,F 60 2:17:0\nc:2, 1 3:17:0\n";
    assert_eq!(assigned(&[b"a:2,S", b"b", b"c:2,RS"], list), ["UID1-17", "UID2-17", "UID3-17"]);
}

#[test]
fn a_line_without_a_colon_is_rewritten_when_the_file_has_one() {
    let marked = "/3 9 17\n#postrider:exact-octets\n";
    assert!(read(&[b"a:2,S"], &format!("{marked}a 60 1:17:0\n")).is_untidy);
    assert!(!read(&[b"a:2,S"], &format!("{marked}a:2, 60 1:17:0\n")).is_untidy);
}

#[test]
fn of_two_files_with_one_unique_name_the_listed_one_keeps_the_number() {
    let list = "/3 9 17\na:2,S 60 1:17:0\n";
    assert_eq!(assigned(&[b"a:2,", b"a:2,S"], list), ["UID9-17", "UID1-17"]);
}

#[test]
fn of_two_lines_for_one_file_the_same_name_wins_and_then_the_last_line() {
    let list = "/3 9 17\na:2,S 60 1:17:0\na:2, 60 2:17:0\na:2,F 60 3:17:0\n";
    assert_eq!(assigned(&[b"a:2,"], list), ["UID2-17"]);
    assert_eq!(assigned(&[b"a:2,R"], list), ["UID3-17"]);
    assert_eq!(assigned(&[b"a:2,"], "/3 9 17\na:2, 60 1:17:0\na:2, 60 2:17:0\n"), ["UID2-17"]);
}

#[test]
fn a_number_is_never_given_twice() {
    // A next number that is too low, and used by a file that is gone.
    assert_eq!(assigned(&[b"a:2,"], "/3 2 17\nz:2, 1 8:17:0\n"), ["UID9-17"]);
    // Two lines with one number.
    let twice = "/3 9 17\nb:2, 1 4:17:0\na:2, 1 4:17:0\n";
    assert_eq!(assigned(&[b"a:2,", b"b:2,"], twice), ["UID9-17", "UID4-17"]);
    // A name that looks like a number.
    let name = "/3 5 17\na:2, 1 4:17:0\nUID4-17:2, 1 0:17:0\nUID5-17:2, 1 0:17:0\n";
    assert_eq!(
        assigned(&[b"UID4-17:2,", b"UID5-17:2,", b"a:2,", b"b:2,"], name),
        ["UID6-17", "UID5-17", "UID4-17", "UID7-17"]
    );
}

#[test]
fn when_the_numbers_end_a_new_validity_begins() {
    let list = format!("/3 {GREATEST} 17\nz 1 3:{NOW}:0\n");
    let greatest = format!("UID{GREATEST}-17");
    assert_eq!(assigned(&[b"a:2,", b"b:2,"], &list), [greatest, format!("UID4-{NOW}")]);
    let mut exhausted = read(&[b"a:2,", b"b:2,"], &format!("/3 {GREATEST} {NOW}\n"));
    assert!(exhausted.assign().is_err());
    assert_eq!(assigned(&[b"a:2,"], "/3 18446744073709551615 17\n"), [format!("UID1-{NOW}")]);
}

#[test]
fn old_names_stay_unique_ids_as_long_as_they_are_unique() {
    let long = [b'x'; 100];
    let files: [&[u8]; 5] = [b":2,", b"a b:2,", b"c:2,", b"c:2,S", &long];
    let mut list = b"/3 9 17\n:2, 1 0:0:0\na b:2, 1 0:17:0\nc:2, 1 0:0:0\nc:2,S 1 0:0:0\n".to_vec();
    list.extend([&long[..], b" 1 0:0:0\n"].concat());
    let mut listing = Listing::read(names(&files), &mut list.as_slice(), true, NOW).unwrap();
    listing.assign().unwrap();
    let long = String::from_utf8(long.to_vec()).unwrap();
    assert_eq!(ids(&listing), ["UID9-17", "a+20b", "c", "UID10-17", &long]);
}

#[test]
fn a_name_that_no_list_can_hold_is_its_own_unique_id() {
    let mut listing = read(&[b"a\nb:2,", b"a\nb:2,S", b"c:2,"], "/3 9 17\n");
    assert_eq!(ids(&listing), ["a+0Ab", "", ""]);
    listing.drafts[1].is_hidden = true;
    listing.assign().unwrap();
    let mut written = Vec::new();
    listing.write(&mut written).unwrap();
    assert_eq!(String::from_utf8(written).unwrap(), "/3 10 17\n#postrider:exact-octets\nc:2, -1 9:17:0\n");
}

#[test]
fn what_is_hidden_keeps_its_line_and_gets_no_new_one() {
    let mut listing = read(&[b"a:2,", b"b:2,"], "/3 9 17\na:2, 1 4:17:0\n");
    listing.drafts.iter_mut().for_each(|draft| draft.is_hidden = true);
    assert_eq!(listing.unassigned(), 0);
    listing.assign().unwrap();
    let mut written = Vec::new();
    listing.write(&mut written).unwrap();
    assert_eq!(String::from_utf8(written).unwrap(), "/3 9 17\n#postrider:exact-octets\na:2, -1 4:17:0\n");
}

#[test]
fn many_files_with_one_unique_name_do_not_take_long() {
    let files: Vec<Vec<u8>> = (0..2000).map(|file| format!("a:2,{file}").into_bytes()).collect();
    let lines: String = (1..2000).map(|line| format!("a:2,x{line} 1 {line}:17:0\n")).collect();
    let files: Vec<&[u8]> = files.iter().map(Vec::as_slice).collect();
    let shown = assigned(&files, &format!("/3 9 17\n{lines}"));
    let different: HashSet<&String> = shown.iter().collect();
    assert_eq!(different.len(), files.len());
}

/// Names, few enough that lists and files meet often.
fn name() -> impl Strategy<Value = Vec<u8>> {
    let unique = prop_oneof!["[ab]", "UID[12](-17)?", "a\n", ""];
    (unique, prop_oneof![Just(""), Just(":2,"), Just(":2,S")])
        .prop_map(|(unique, info)| [unique.as_bytes(), info.as_bytes()].concat())
        .prop_filter("a file has a name", |name| !name.is_empty())
}

fn line() -> impl Strategy<Value = Vec<u8>> {
    let number = prop_oneof![0..4_u64, Just(GREATEST), any::<u64>()];
    let validity = prop_oneof![Just(17_u64), Just(0), Just(NOW), Just(GREATEST)];
    prop_oneof![
        8 => (name(), number, validity).prop_map(|(name, uid, validity)| {
            [&name, format!(" 5 {uid}:{validity}:0").as_bytes()].concat()
        }),
        1 => proptest::collection::vec(any::<u8>(), 0..40),
    ]
}

fn header() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        Just(b"/3 2 17".to_vec()),
        Just(b"/2 1 17".to_vec()),
        Just(b"/3 0 0".to_vec()),
        Just(format!("/3 {GREATEST} 17").into_bytes()),
        proptest::collection::vec(any::<u8>(), 0..20),
    ]
}

const OLD: &[u8] = b"/3 9 111\n#postrider:exact-octets\n1.a:2, 10 1:111:0\n2.b:2, 20 2:111:1\n";

fn written(old: &[u8], seen: &[&[u8]]) -> String {
    let mut listing = Listing::read(Names::new(seen.iter().copied()), &mut &old[..], true, 222).unwrap();
    listing.keeps_missing = true;
    assert!(listing.has_missing && !listing.can_shrink());
    let mut out = Vec::new();
    listing.write(&mut out).unwrap();
    listing.write_missing(&mut &old[..], &mut out).unwrap();
    String::from_utf8(out).unwrap()
}

#[test]
fn an_entry_whose_file_was_not_seen_can_be_kept() {
    let list = written(OLD, &[b"1.a:2,S"]);
    assert_eq!(list, "/3 9 111\n#postrider:exact-octets\n1.a:2,S 10 1:111:0\n2.b:2, 20 2:111:1\n");
    let later = Names::new([b"1.a:2,S".as_slice(), b"2.b:2,S"]);
    let listing = Listing::read(later, &mut list.as_bytes(), true, 222).unwrap();
    assert_eq!((listing.unassigned(), listing.has_missing), (0, false));
}

#[test]
fn what_courier_has_counted_is_not_passed_off_as_exact() {
    let couriers = b"/3 9 111\n1.a:2, 10 1:111:0\n2.b:2, 20 2:111:1\n";
    assert!(written(couriers, &[b"1.a:2,"]).ends_with("2.b:2, -1 2:111:1\n"));
}

proptest! {
    #[test]
    fn no_list_makes_two_messages_look_the_same(
        files in proptest::collection::vec(name(), 0..12),
        header in header(),
        lines in proptest::collection::vec(line(), 0..12),
    ) {
        let list = [&[header], lines.as_slice()].concat().join(&b'\n');
        let files = || Names::new(files.iter().map(Vec::as_slice));
        let mut listing = Listing::read(files(), &mut list.as_slice(), true, NOW).unwrap();
        let known = ids(&listing);
        if listing.assign().is_err() {
            // A list may have used up all numbers.
            return Ok(());
        }
        let shown = ids(&listing);
        let different: HashSet<&String> = shown.iter().collect();
        prop_assert_eq!(different.len(), shown.len());
        for (known, shown) in known.iter().zip(&shown) {
            prop_assert!(known.is_empty() || known == shown);
        }

        // What is written is read back, whatever comes or goes.
        let mut written = Vec::new();
        listing.write(&mut written).unwrap();
        let again = Listing::read(files(), &mut written.as_slice(), true, NOW + 1).unwrap();
        let listable = |index: &usize| size_list::can_hold(listing.names.get(*index).unwrap());
        for index in (0..shown.len()).filter(listable) {
            prop_assert_eq!(&ids(&again)[index], &shown[index]);
        }
        prop_assert!(!again.has_missing);

        // And no number comes again for another message.
        let mut later = Listing::read(names(&[b"another"]), &mut written.as_slice(), true, NOW + 1).unwrap();
        later.assign().unwrap();
        prop_assert!(!shown.contains(&ids(&later)[0]));
    }

    #[test]
    fn no_bytes_are_too_strange_for_a_list(list: Vec<u8>, files in proptest::collection::vec(name(), 0..4)) {
        let names = Names::new(files.iter().map(Vec::as_slice));
        let listing = Listing::read(names, &mut list.as_slice(), true, NOW).unwrap();
        prop_assert!(listing.drafts.len() <= files.len());
    }
}
