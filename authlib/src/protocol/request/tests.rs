//! Requests as Courier's programs write them, and octets that are none.

use super::*;
use proptest::prelude::*;

fn questions(octets: &[u8]) -> Result<Vec<Question>, Malformed> {
    let mut reader = Reader::new();
    reader.push(octets)?;
    let mut questions = Vec::new();
    while let Some(question) = reader.next_question()? {
        questions.push(question);
    }
    Ok(questions)
}

fn only(octets: &[u8]) -> Question {
    let mut all = questions(octets).unwrap();
    assert_eq!(all.len(), 1, "{octets:?}");
    all.remove(0)
}

#[test]
fn auth_as_couriers_login_program_sends_it() {
    let question = only(b"TCPREMOTEIP=::ffff:127.0.0.1\nAUTH 24\npop3\nlogin\nalice\nsecret\n");
    assert_eq!(question.client.ip(), Some("::ffff:127.0.0.1"));
    let Request::Auth(record) = question.request else { panic!() };
    assert_eq!(record.body(), b"pop3\nlogin\nalice\nsecret\n");
    let Request::Auth(record) = only(b"AUTH 23\npop3\nlogin\nalice\nsecret").request else { panic!() };
    assert_eq!(record.credentials().unwrap().password, b"secret");
    assert_eq!(auth(&record, &Client::default()).as_slice(), b"AUTH 24\npop3\nlogin\nalice\nsecret\n");
}

#[test]
fn pre_takes_the_rest_of_its_line_for_the_name() {
    let pre = |line: &[u8]| match only(line).request {
        Request::Pre { module, service, user } => (module, service, user),
        other => panic!("{other:?}"),
    };
    assert_eq!(pre(b"PRE . pop3 alice\n"), (None, b"pop3".to_vec(), b"alice".to_vec()));
    let odd = pre(b"PRE  authpam   pop3  a lice \n");
    assert_eq!(odd, (Some(b"authpam".to_vec()), b"pop3".to_vec(), b"a lice ".to_vec()));
}

#[test]
fn passwd_has_four_fields_and_no_hope_without_octets_in_them() {
    let Request::Passwd(change) = only(b"PASSWD pop3\talice\tsecret\tnew one\tmore\n").request else {
        panic!()
    };
    assert_eq!((change.service(), change.user()), (b"pop3".as_slice(), b"alice".as_slice()));
    assert_eq!((change.old().expose(), change.new_password().expose()), (&b"secret"[..], &b"new one"[..]));
    let hopeless = [b"PASSWD pop3\talice\tsecret\t\n".as_slice(), b"PASSWD pop3\tali\x01ce\tsecret\tnew\n"];
    for line in hopeless {
        assert!(matches!(only(line).request, Request::Hopeless), "{line:?}");
    }
}

#[test]
fn what_is_no_request_is_said_to_be_none() {
    for (octets, why) in [
        (b"\n".as_slice(), Malformed::Unknown),
        (b"pre . pop3 alice\n", Malformed::Unknown),
        (b"PRE . pop3\n", Malformed::Unknown),
        (b"PRE . pop3 \n", Malformed::Unknown),
        (b"PRE alice\n", Malformed::Unknown),
        (b"AUTH -1\n", Malformed::Unknown),
        (b"AUTH +1\n", Malformed::Unknown),
        (b"AUTH x\n", Malformed::Unknown),
        (b"AUTH \n", Malformed::Unknown),
        (b"AUTH 8192\n", Malformed::TooLong),
        (b"AUTH 99999999999999999999\n", Malformed::Unknown),
        (b"AUTH 0\n", Malformed::Record),
        (b"AUTH 4\npop3", Malformed::Record),
        (b"AUTH 11\npop3\nlogin\n", Malformed::Record),
        (b"PASSWD pop3\talice\tsecret\n", Malformed::Unknown),
        (b"ENUMERATE \n", Malformed::Unknown),
        (b"TCPREMOTEIP=\x01\nENUMERATE\n", Malformed::Address),
        (&[b'x'; LONGEST_LINE], Malformed::TooLong),
        (&[b'x'; LIMIT + 1], Malformed::TooLong),
    ] {
        assert_eq!(questions(octets).unwrap_err(), why, "{octets:?}");
    }
    assert!(questions(b"AUTH 24\npop3\nlogin\nalice\nsecre").unwrap().is_empty());
}

#[test]
fn metadata_without_end_are_refused() {
    let mut reader = Reader::new();
    let lines = (0..).map(|_| reader.push(b"A=xxxxxxxxxxxxxxx\n").and_then(|()| reader.next_question()));
    assert_eq!(lines.take(3000).find_map(Result::err), Some(Malformed::TooLong));
}

#[test]
fn each_request_of_many_has_its_own_metadata() {
    let all = questions(b"TCPREMOTEIP=::1\nX=y\nPRE . pop3 a\nPRE . pop3 b\nENUMERATE\n").unwrap();
    let addresses: Vec<_> = all.iter().map(|question| question.client.ip()).collect();
    assert_eq!(addresses, [Some("::1"), None, None]);
}

#[test]
fn a_client_of_ours_says_so_and_an_answer_travels_with_its_question() {
    let record = Record::login(b"pop3", b"alice", b"secret").unwrap();
    let client = Client::at(b"::1").unwrap();
    let request = auth_of_ours(&record, &client);
    assert!(request.starts_with(b"POSTRIDER=1\nTCPREMOTEIP=::1\nAUTH 24\n"));
    let question = only(&request);
    assert!(question.is_ours && question.client == client);
    let remembered = Remembered::decode(&[b'a'; 128]);
    let record = record.with_remembered(remembered.clone());
    let question = only(&auth_with_remembered(&record, &client));
    assert!(!question.is_ours && question.client == client);
    let Request::Auth(same) = question.request else { panic!() };
    assert_eq!(same.remembered(), remembered.as_ref());
    // Others than ours are not told.
    assert!(!auth(&record, &client).windows(8).any(|part| part == b"aaaaaaaa"));
    let all =
        questions(b"POSTRIDER_REMEMBERED=x\nPRE . pop3 a\nAUTH 24\npop3\nlogin\nalice\nsecret\n").unwrap();
    assert!(matches!(&all[1].request, Request::Auth(record) if record.remembered().is_none()));
    for line in ["POSTRIDER=2", "POSTRIDER=", "XPOSTRIDER=1"] {
        assert!(!only(format!("{line}\nENUMERATE\n").as_bytes()).is_ours);
    }
}

#[test]
fn what_cannot_stand_in_a_line_is_not_asked() {
    let client = Client::at(b"::1").unwrap();
    let line = look_up(None, b"pop3", b"a b", &client).unwrap();
    assert_eq!(line.as_slice(), b"TCPREMOTEIP=::1\nPRE . pop3 a b\n");
    for (service, user) in
        [("", "a"), ("po p3", "a"), ("pop3", ""), ("pop3", " a"), ("pop3", "a\nENUMERATE"), ("p\n", "a")]
    {
        assert!(look_up(None, service.as_bytes(), user.as_bytes(), &client).is_none(), "{service} {user}");
    }
}

proptest! {
    #[test]
    fn any_cut_of_the_octets_gives_the_same_questions(cuts in prop::collection::vec(1..40usize, 0..20)) {
        let whole: &[u8] = b"TCPREMOTEIP=::1\nAUTH 24\npop3\nlogin\nalice\nsecret\nPRE . pop3 alice\n\
            PASSWD pop3\talice\tsecret\tnew\nENUMERATE\n";
        let mut reader = Reader::new();
        let mut seen = Vec::new();
        let mut rest = whole;
        for cut in cuts.into_iter().chain([whole.len()]) {
            let (now, later) = rest.split_at(cut.min(rest.len()));
            reader.push(now).unwrap();
            rest = later;
            while let Some(question) = reader.next_question().unwrap() {
                seen.push(format!("{question:?}"));
            }
        }
        let at_once: Vec<_> = questions(whole).unwrap().iter().map(|q| format!("{q:?}")).collect();
        prop_assert_eq!(seen, at_once);
        prop_assert!(reader.is_empty());
    }

    #[test]
    fn no_octets_do_harm(octets in prop::collection::vec(any::<u8>(), 0..200), head in "(PRE |AUTH |PASSWD |A=)?") {
        let _ = questions(&[head.as_bytes(), &octets].concat());
    }
}
