//! `docs/settings.md` and `docs/postrider.toml`, as they follow from the table.

use std::fmt::Write;

use super::table::{SECTIONS, Section, all};
use super::{Kind, Reader, Setting, Status};

/// What stands before the tables.
const HEAD: &str = include_str!("page/head.txt");

/// Every setting, as a page of Markdown.
pub(crate) fn page() -> String {
    let sections: String = SECTIONS.iter().map(page_section).collect();
    format!("{HEAD}{sections}")
}

/// A postrider.toml that has every key.
pub(crate) fn sample() -> String {
    let keyed = all().filter_map(|setting| Some((setting.key?, setting)));
    let mut settings: Vec<_> = keyed.map(|(key, setting)| (in_table(key), setting)).collect();
    settings.sort_by_key(|((table, _), _)| *table);
    let mut text = SAMPLE_HEAD.to_owned();
    let mut open_table = "";
    for ((table, key), setting) in settings {
        if table != open_table {
            let _it_is_memory = write!(text, "\n[{table}]\n");
            open_table = table;
        }
        let unset = if setting.default.is_empty() { "#" } else { "" };
        let about = commented(&format!("{} ({})", plain(setting.about), setting.name));
        let _it_is_memory = write!(text, "\n{about}{unset}{key} = {}\n", in_toml(setting));
    }
    text
}

/// The table of a key, empty for none, and its name there.
fn in_table(key: &str) -> (&str, &str) {
    key.split_once('.').unwrap_or(("", key))
}

/// Text as lines of a comment.
fn commented(text: &str) -> String {
    const WIDTH: usize = 100;
    let mut lines = String::new();
    let mut length = WIDTH;
    for word in text.split(' ') {
        let room = word.chars().count() + 1;
        if length + room > WIDTH {
            lines.push_str(if lines.is_empty() { "#" } else { "\n#" });
            length = 1;
        }
        lines.push(' ');
        lines.push_str(word);
        length += room;
    }
    lines.push('\n');
    lines
}

fn page_section(Section { title, about, settings }: &Section) -> String {
    let rows: String = settings.iter().map(row).collect();
    format!(
        "\n## {title}\n\n{about}\n\n| setting | in postrider.toml | default | what becomes of it | who reads it | is |\n\
         |---|---|---|---|---|---|\n{rows}"
    )
}

fn row(setting: &Setting) -> String {
    let code = |text: &str| if text.is_empty() { String::new() } else { format!("`{text}`") };
    let readers: Vec<&str> = setting.readers.iter().map(|reader| name(*reader)).collect();
    format!(
        "| {} | {} | {} | {} | {} | {} |\n",
        code(setting.name),
        code(setting.key.unwrap_or_default()),
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
        Reader::Proxy => "proxy",
    }
}

fn fate(status: Status) -> String {
    match status {
        Status::Honoured => "honoured".to_owned(),
        Status::Mapped(what) => format!("mapped: {what}"),
        Status::Needless(why) => format!("not needed: {why}"),
        Status::Unsupported(why) => format!("**not supported**: {why}"),
        Status::Refused(why) => format!("**refused**: {why}"),
    }
}

/// What stands before the sample's keys.
const SAMPLE_HEAD: &str = "\
# postrider serve --config postrider.toml
#
# Every key that there is, with its default; those that have none are behind a #.
# Above each is the variable of the environment that does the same; where that is 1 or
# YES, true stands here, for 0 or NO false. Variables that have no key of their own stand
# in a table [environment].
# An unknown key is an error, and the service does not start.
";

/// Markdown as text: what a link says, without where it leads.
fn plain(about: &str) -> String {
    let parts = about.split("](").enumerate();
    parts
        .map(
            |(number, part)| {
                if number == 0 { part } else { part.split_once(')').map_or("", |(_, rest)| rest) }
            },
        )
        .collect::<String>()
        .replace('[', "see ")
}

fn in_toml(Setting { kind, default, .. }: &Setting) -> String {
    match kind {
        Kind::Text => format!("{default:?}"),
        Kind::Number => if default.is_empty() { "0" } else { default }.to_owned(),
        Kind::Switch => (*default == "1").to_string(),
        Kind::Yes => (*default == "YES").to_string(),
        Kind::List => format!("{:?}", default.split_whitespace().collect::<Vec<_>>()),
    }
}

#[cfg(test)]
mod tests {
    use super::{page, sample};
    use crate::service::options::Options;
    use crate::service::settings::{self, all};
    use std::fs;
    use std::path::PathBuf;

    /// A document is `text`; it is written so where that is asked for.
    fn stands_in(document: &str, text: &str) -> PathBuf {
        let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../docs").join(document);
        if std::env::var_os("UPDATE").is_some() {
            fs::write(&path, text).unwrap();
        }
        let written = fs::read_to_string(&path).unwrap_or_default();
        let differs = written.lines().zip(text.lines()).find(|(one, other)| one != other);
        assert!(
            written == text,
            "docs/{document} is not what the table says; UPDATE=1 cargo test -p programs --lib settings writes it: \
             {differs:?}"
        );
        path
    }

    #[test]
    fn the_page_of_settings_says_what_the_table_says() {
        stands_in("settings.md", &page());
    }

    #[test]
    fn the_sample_has_every_key_with_its_default() {
        let path = stands_in("postrider.toml", &sample());
        let words = ["--directory", "/nowhere", "--config", path.to_str().unwrap()].map(Into::into);
        let settings = settings::read(&Options::parse(&words).unwrap()).unwrap();
        for setting in all().filter(|setting| setting.key.is_some() && setting.name != settings::DIRECTORY) {
            assert_eq!(settings.is_set(setting.name), !setting.default.is_empty(), "{}", setting.name);
            assert_eq!(settings.get(setting.name).unwrap_or_default(), setting.default, "{}", setting.name);
        }
    }
}
