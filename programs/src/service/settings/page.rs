//! `docs/settings.md`, as it follows from the table.

use std::fs;
use std::path::PathBuf;

use super::table::{SECTIONS, Section};
use super::{Reader, Setting, Status};

/// What stands before the tables.
const HEAD: &str = include_str!("page/head.txt");

/// Says where the table of settings is now, and makes it so if it is to be.
fn stands_in(document: &str, text: &str) {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../docs").join(document);
    if std::env::var_os("UPDATE").is_some() {
        fs::write(&path, text).unwrap();
    }
    let written = fs::read_to_string(&path).unwrap_or_default();
    let differs = written.lines().zip(text.lines()).find(|(one, other)| one != other);
    assert!(
        written == text,
        "docs/{document} is not what the table says; UPDATE=1 cargo test -p programs --lib settings writes it: {differs:?}"
    );
}

#[test]
fn the_page_of_settings_says_what_the_table_says() {
    let sections: String = SECTIONS.iter().map(page_section).collect();
    stands_in("settings.md", &format!("{HEAD}{sections}"));
}

fn page_section(Section { title, about, settings }: &Section) -> String {
    let rows: String = settings.iter().map(row).collect();
    format!(
        "\n## {title}\n\n{about}\n\n| setting | default | what becomes of it | who reads it | is |\n\
         |---|---|---|---|---|\n{rows}"
    )
}

fn row(setting: &Setting) -> String {
    let code = |text: &str| if text.is_empty() { String::new() } else { format!("`{text}`") };
    let readers: Vec<&str> = setting.readers.iter().map(|reader| name(*reader)).collect();
    format!(
        "| {} | {} | {} | {} | {} |\n",
        code(setting.name),
        code(setting.default),
        fate(setting.status),
        readers.join(", "),
        setting.about
    )
}

fn name(reader: Reader) -> &'static str {
    match reader {
        Reader::Monitor => "monitor",
        Reader::Front => "front",
        Reader::Auth => "auth",
        Reader::Mailbox => "mailbox",
    }
}

fn fate(status: Status) -> String {
    match status {
        Status::Honoured => "honoured".to_owned(),
        Status::Needless(why) => format!("not needed: {why}"),
        Status::Unsupported(why) => format!("**not supported**: {why}"),
        Status::Refused(why) => format!("**refused**: {why}"),
    }
}
