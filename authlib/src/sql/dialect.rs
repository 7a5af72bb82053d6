//! In what the SQL of one data base differs from that of another, as far as
//! variables in a statement are concerned.

/// Whose SQL it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Dialect {
    /// SQLite's.
    Sqlite,
    /// PostgreSQL's, with `standard_conforming_strings`.
    Postgres,
    /// MySQL's and MariaDB's, in their usual `sql_mode`.
    Mysql,
}

/// What a quote begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Quote {
    /// A string, which ends with the same quote.
    String {
        /// Whether a backslash takes away the meaning of the next character.
        escapes: bool,
    },
    /// A name, which ends with this character.
    Name(char),
}

impl Dialect {
    /// Where the parameter `number`, counted from 1, is bound.
    pub(super) fn place(self, number: usize) -> String {
        match self {
            Dialect::Sqlite | Dialect::Mysql => "?".to_owned(),
            Dialect::Postgres => format!("${number}"),
        }
    }

    /// The text that consists of several expressions.
    pub(super) fn concatenated(self, parts: &[String]) -> String {
        match self {
            Dialect::Mysql => format!("CONCAT({})", parts.join(", ")),
            Dialect::Sqlite | Dialect::Postgres => format!("({})", parts.join(" || ")),
        }
    }

    /// A string again, of a piece of one that is written between two `quote`s.
    pub(super) fn string(self, quote: char, piece: &str) -> String {
        if (self, quote) == (Dialect::Sqlite, '"') {
            return format!("'{}'", piece.replace("\"\"", "\"").replace('\'', "''"));
        }
        format!("{quote}{piece}{quote}")
    }

    /// What `quote` begins, behind the letter `before` if it follows one
    /// directly; `None` if it is no quote.
    pub(super) fn quote(self, quote: char, before: Option<char>) -> Option<Quote> {
        let string = |escapes| Some(Quote::String { escapes });
        match (quote, self) {
            ('\'', Dialect::Mysql) | ('"', Dialect::Mysql) => string(true),
            ('\'', Dialect::Postgres) => string(matches!(before, Some('e' | 'E'))),
            // SQLite takes a name in double quotes that is none for a string,
            // and the sample file makes use of it.
            ('\'' | '"', Dialect::Sqlite) => string(false),
            ('"', Dialect::Postgres) => Some(Quote::Name('"')),
            ('`', Dialect::Sqlite | Dialect::Mysql) => Some(Quote::Name('`')),
            ('[', Dialect::Sqlite) => Some(Quote::Name(']')),
            _ => None,
        }
    }

    /// The octets of the comment that `text` begins with; 0 if it is none.
    pub(super) fn comment(self, text: &str) -> usize {
        let to_line_end = || text.find('\n').unwrap_or(text.len());
        let is_spaced = || text[2..].chars().next().is_none_or(char::is_whitespace);
        if text.starts_with("--") && (self != Dialect::Mysql || is_spaced()) {
            return to_line_end();
        }
        if text.starts_with('#') && self == Dialect::Mysql {
            return to_line_end();
        }
        if text.starts_with("/*") { self.block_comment(text) } else { 0 }
    }

    /// To its end, or to the end of all. PostgreSQL's are nested.
    fn block_comment(self, text: &str) -> usize {
        let (mut depth, mut at) = (1_usize, 2);
        while depth > 0 {
            let Some(next) = text[at..].find(['*', '/']).map(|found| at + found) else { return text.len() };
            at = next + 1;
            if text[next..].starts_with("*/") {
                (depth, at) = (depth - 1, next + 2);
            } else if text[next..].starts_with("/*") && self == Dialect::Postgres {
                (depth, at) = (depth + 1, next + 2);
            }
        }
        at
    }

    /// The octets of the string between dollar signs that `text` begins with,
    /// such as `$$text$$` or `$tag$text$tag$`; 0 if it is none.
    pub(super) fn dollar_string(self, text: &str) -> usize {
        if self != Dialect::Postgres || !text.starts_with('$') {
            return 0;
        }
        let is_tag = |character: char| character.is_alphanumeric() || character == '_';
        let Some(end) = text[1..].find(|character| !is_tag(character)).map(|end| end + 1) else { return 0 };
        if !text[end..].starts_with('$') || text[1..].starts_with(|first: char| first.is_ascii_digit()) {
            return 0;
        }
        let tag = &text[..=end];
        text[tag.len()..].find(tag).map_or(text.len(), |found| found + 2 * tag.len())
    }

    /// Whether `text` begins with a place for a parameter, which the statement
    /// of an administrator must not have: nobody would bind it.
    pub(super) fn is_place(self, text: &str) -> bool {
        let mut characters = text.chars();
        let (first, second) = (characters.next(), characters.next());
        let starts_name = second.is_some_and(|second| second.is_alphanumeric() || second == '_');
        match self {
            Dialect::Mysql => first == Some('?'),
            Dialect::Sqlite => first == Some('?') || (matches!(first, Some(':' | '@' | '$')) && starts_name),
            Dialect::Postgres => first == Some('$') && second.is_some_and(|second| second.is_ascii_digit()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Dialect::{Mysql, Postgres, Sqlite};

    #[test]
    fn a_comment_ends_where_its_data_base_says() {
        for (dialect, text, length) in [
            (Sqlite, "-- a\nb", 4),
            (Postgres, "--a", 3),
            (Mysql, "--5", 0),
            (Mysql, "-- 5", 4),
            (Mysql, "--", 2),
            (Mysql, "# a\nb", 3),
            (Postgres, "# a", 0),
            (Sqlite, "/* a /* b */ c */", 12),
            (Postgres, "/* a /* b */ c */ d", 17),
            (Mysql, "/*/ a */ b", 8),
            (Sqlite, "/* a", 4),
            (Sqlite, "/**/", 4),
            (Sqlite, "- a", 0),
        ] {
            assert_eq!(dialect.comment(text), length, "{dialect:?} {text}");
        }
    }

    #[test]
    fn a_string_between_dollars_ends_with_its_tag() {
        for (dialect, text, length) in [
            (Postgres, "$$a $b$ c$$ d", 11),
            (Postgres, "$x$a $$ $y$ $x$ d", 15),
            (Postgres, "$x$a", 4),
            (Postgres, "$1$", 0),
            (Postgres, "$(local_part)", 0),
            (Postgres, "$x", 0),
            (Sqlite, "$$a$$", 0),
        ] {
            assert_eq!(dialect.dollar_string(text), length, "{dialect:?} {text}");
        }
    }
}
