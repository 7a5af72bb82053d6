//! A statement whose variables are bound.
//!
//! An administrator writes them as Courier replaces them, as text within text;
//! here each becomes a parameter, so that nothing of a client is ever read as
//! SQL, whatever stands around it (ledger 701):
//!
//! ```text
//! WHERE id = '$(local_part)@$(domain)'      WHERE id = (? || '@' || ?)
//! WHERE id = '$(local_part)'                WHERE id = ?
//! WHERE id = $(local_part)                  WHERE id = ?
//! ```
//!
//! The text around variables is the administrator's. It is only read so far
//! that strings, names and comments are told apart; should that go wrong, a
//! parameter stands where the data base does not allow one, and nothing worse
//! comes of it.

use super::Dialect;
use super::dialect::Quote;

/// What changes from one question to another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Variable {
    /// The user name, with the default domain if it came without one.
    User,
    /// The user name before its first `@`.
    LocalPart,
    /// What is behind that `@`, or the default domain.
    Domain,
    /// The service that asks, such as `pop3`.
    Service,
    /// The new password in clear.
    NewPassword,
    /// The new password as it is stored.
    NewPasswordCrypt,
}

impl Variable {
    const ALL: [Variable; 6] = [
        Variable::User,
        Variable::LocalPart,
        Variable::Domain,
        Variable::Service,
        Variable::NewPassword,
        Variable::NewPasswordCrypt,
    ];

    /// As it is written in a statement.
    #[must_use]
    pub fn as_written(self) -> &'static str {
        match self {
            Variable::User => "$(user)",
            Variable::LocalPart => "$(local_part)",
            Variable::Domain => "$(domain)",
            Variable::Service => "$(service)",
            Variable::NewPassword => "$(newpass)",
            Variable::NewPasswordCrypt => "$(newpass_crypt)",
        }
    }
}

/// Why a text is no [`Statement`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Flaw {
    /// `$(…)` with another name, or without an end.
    #[error("it has a variable that is not known here")]
    UnknownVariable,
    /// A table or a column cannot be bound.
    #[error("{} is part of a name, and cannot be bound there", .0.as_written())]
    InName(Variable),
    /// Where SQL is a comment a parameter is nothing.
    #[error("{} is in a comment, and cannot be bound there", .0.as_written())]
    InComment(Variable),
    /// `X'…'`, `$tag$…$tag$` and their like, or behind a backslash.
    #[error("{} is in a string of a special kind, and cannot be bound there", .0.as_written())]
    InSpecialString(Variable),
    /// A string or a quoted name goes on to the end.
    #[error("a quote has no end")]
    NoEnd,
    /// `?` or the like, for which there is no value.
    #[error("it has a place for a parameter of its own")]
    Place,
    /// Something stands behind a semicolon.
    #[error("it is more than one statement")]
    Several,
}

/// An SQL statement with places for parameters, and what is bound there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Statement {
    text: String,
    variables: Vec<Variable>,
}

impl Statement {
    /// The statement `text` in this dialect, in which those of `known` are
    /// variables.
    ///
    /// # Errors
    /// See [`Flaw`].
    pub fn parse(text: &str, dialect: Dialect, known: &[Variable]) -> Result<Self, Flaw> {
        let statement = Statement { text: String::with_capacity(text.len()), variables: Vec::new() };
        let mut reader = Reader { rest: text, before: None, dialect, known, statement };
        while !reader.rest.is_empty() {
            reader.next()?;
        }
        Ok(reader.statement)
    }

    /// The text as the data base gets it. A driver may know a prepared
    /// statement by it.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.text
    }

    /// What is bound, place after place; a variable that stands in two places
    /// is there twice.
    #[must_use]
    pub fn variables(&self) -> &[Variable] {
        &self.variables
    }
}

/// What was read so far, and the rest.
struct Reader<'a> {
    rest: &'a str,
    /// The character before the rest, if there is one.
    before: Option<char>,
    dialect: Dialect,
    known: &'a [Variable],
    statement: Statement,
}

impl<'a> Reader<'a> {
    /// Reads what the rest begins with.
    fn next(&mut self) -> Result<(), Flaw> {
        let Some(first) = self.rest.chars().next() else { return Ok(()) };
        if self.rest.starts_with("$(") {
            return self.bare_variable();
        }
        let comment = self.dialect.comment(self.rest);
        if comment > 0 {
            return self.copy_without_variables(comment, Flaw::InComment);
        }
        let dollar_string =
            if self.before.is_some_and(is_of_word) { 0 } else { self.dialect.dollar_string(self.rest) };
        if dollar_string > 0 {
            return self.copy_without_variables(dollar_string, Flaw::InSpecialString);
        }
        match self.dialect.quote(first, self.before) {
            Some(Quote::String { escapes }) => return self.string(first, escapes),
            Some(Quote::Name(end)) => return self.name(end),
            None => {}
        }
        if self.dialect.is_place(self.rest) && !self.before.is_some_and(is_of_word) {
            return Err(Flaw::Place);
        }
        if first == ';' {
            let is_last = self.rest[1..].trim().is_empty();
            self.rest = "";
            return if is_last { Ok(()) } else { Err(Flaw::Several) };
        }
        self.copy(first.len_utf8());
        Ok(())
    }

    /// Copies the next `length` octets as they are.
    fn copy(&mut self, length: usize) {
        let text = self.skip(length);
        self.statement.text.push_str(text);
    }

    fn skip(&mut self, length: usize) -> &'a str {
        let (skipped, rest) = self.rest.split_at(length);
        self.before = skipped.chars().next_back().or(self.before);
        self.rest = rest;
        skipped
    }

    /// Copies what must not have a variable in it.
    fn copy_without_variables(&mut self, length: usize, flaw: fn(Variable) -> Flaw) -> Result<(), Flaw> {
        // One may also begin with its last octet.
        let octets = &self.rest.as_bytes()[..self.rest.len().min(length + 1)];
        if let Some(at) = octets.windows(2).position(|pair| pair == b"$(") {
            return Err(self.variable_at(at).map_or_else(|flaw| flaw, |(variable, _)| flaw(variable)));
        }
        self.copy(length);
        Ok(())
    }

    /// The variable that stands `at` octets into the rest, and where it ends.
    fn variable_at(&self, at: usize) -> Result<(Variable, usize), Flaw> {
        let text = &self.rest[at..];
        let is_here = |variable: &Variable| text.starts_with(variable.as_written());
        let found = Variable::ALL.into_iter().filter(|variable| self.known.contains(variable)).find(is_here);
        let variable = found.ok_or(Flaw::UnknownVariable)?;
        Ok((variable, at + variable.as_written().len()))
    }

    /// A place where `variable` is bound.
    fn place(&mut self, variable: Variable) -> String {
        self.statement.variables.push(variable);
        self.dialect.place(self.statement.variables.len())
    }

    fn bare_variable(&mut self) -> Result<(), Flaw> {
        let (variable, end) = self.variable_at(0)?;
        let joins = |character: char| is_of_word(character) || "@.'\"`".contains(character);
        if self.before.is_some_and(joins) || self.rest[end..].starts_with(joins) {
            return Err(Flaw::InName(variable));
        }
        let place = self.place(variable);
        self.statement.text.push_str(&place);
        self.skip(end);
        Ok(())
    }

    /// A name in quotes.
    fn name(&mut self, end: char) -> Result<(), Flaw> {
        let length = self.rest[1..].find(end).ok_or(Flaw::NoEnd)? + 2;
        self.copy_without_variables(length, Flaw::InName)
    }

    /// A string: as it is, or if there are variables in it the concatenation of
    /// its pieces.
    fn string(&mut self, quote: char, escapes: bool) -> Result<(), Flaw> {
        let is_special = self.before.is_some_and(|before| is_of_word(before) || before == '&');
        let start = self.rest;
        self.skip(1);
        let mut pieces = Vec::new();
        while let Some(piece) = self.piece(quote, escapes)? {
            pieces.push(piece);
        }
        let expression = match pieces.iter().find_map(Piece::variable) {
            None => start[..start.len() - self.rest.len()].to_owned(),
            Some(variable) if is_special => return Err(Flaw::InSpecialString(variable)),
            Some(_) => self.concatenated(quote, &pieces),
        };
        self.statement.text.push_str(&expression);
        Ok(())
    }

    fn concatenated(&mut self, quote: char, pieces: &[Piece<'_>]) -> String {
        let expression = |piece: &Piece<'_>| match piece {
            Piece::Fixed(text) => self.dialect.string(quote, text),
            Piece::Variable(variable) => self.place(*variable),
        };
        let expressions: Vec<String> = pieces.iter().map(expression).collect();
        if expressions.len() == 1 { expressions.concat() } else { self.dialect.concatenated(&expressions) }
    }

    /// The next piece of a string; `None` behind its closing quote.
    fn piece(&mut self, quote: char, escapes: bool) -> Result<Option<Piece<'a>>, Flaw> {
        if self.rest.starts_with("$(") {
            let (variable, end) = self.variable_at(0)?;
            self.skip(end);
            return Ok(Some(Piece::Variable(variable)));
        }
        let length = self.fixed(quote, escapes)?;
        if length == 0 {
            self.skip(1);
            return Ok(None);
        }
        Ok(Some(Piece::Fixed(self.skip(length))))
    }

    /// The octets of a string before its next variable or its closing quote.
    fn fixed(&self, quote: char, escapes: bool) -> Result<usize, Flaw> {
        let mut at = 0;
        loop {
            let text = &self.rest[at..];
            let first = text.chars().next().ok_or(Flaw::NoEnd)?;
            let second = text.chars().nth(1);
            at += match first {
                '$' if second == Some('(') => return Ok(at),
                '\\' if escapes && text[1..].starts_with("$(") => {
                    return Err(Flaw::InSpecialString(self.variable_at(at + 1)?.0));
                }
                '\\' if escapes => 1 + second.ok_or(Flaw::NoEnd)?.len_utf8(),
                _ if first == quote && second == Some(quote) => 2,
                _ if first == quote => return Ok(at),
                _ => first.len_utf8(),
            };
        }
    }
}

/// A piece of a string.
enum Piece<'a> {
    /// As it is written.
    Fixed(&'a str),
    Variable(Variable),
}

impl Piece<'_> {
    fn variable(&self) -> Option<Variable> {
        match self {
            Piece::Variable(variable) => Some(*variable),
            Piece::Fixed(_) => None,
        }
    }
}

/// Whether it can be part of a name or a number.
fn is_of_word(character: char) -> bool {
    character.is_alphanumeric() || matches!(character, '_' | '$')
}

#[cfg(test)]
mod tests {
    use super::Dialect::{self, Mysql, Postgres, Sqlite};
    use super::{Flaw, Statement, Variable};
    use proptest::prelude::*;

    const KNOWN: [Variable; 3] = [Variable::LocalPart, Variable::Domain, Variable::NewPassword];

    fn parsed(dialect: Dialect, text: &str) -> Result<(String, usize), Flaw> {
        let statement = Statement::parse(text, dialect, &KNOWN)?;
        Ok((statement.text().to_owned(), statement.variables().len()))
    }

    #[test]
    fn variables_are_bound_whatever_stands_around_them() {
        for (dialect, text, expected, places) in [
            (Sqlite, "a = '$(local_part)'", "a = ?", 1),
            (Sqlite, "a = $(local_part) AND f($(domain))", "a = ? AND f(?)", 2),
            (Sqlite, "a = '$(local_part)@$(domain)'", "a = (? || '@' || ?)", 2),
            (Sqlite, "a = 'it''s $(local_part)$(domain)'''", "a = ('it''s ' || ? || ? || '''')", 2),
            (Sqlite, r#"a = "it's ""$(domain)""#, r#"a = ('it''s "' || ?)"#, 1),
            (Sqlite, r#"'' || "a=" || '$(domain)' ;"#, r#"'' || "a=" || ? "#, 1),
            (Sqlite, r"'\$(domain)'", r"('\' || ?)", 1),
            (Postgres, "a = '$(local_part)@$(domain)'", "a = ($1 || '@' || $2)", 2),
            (Postgres, "a = '$(domain)' OR b = '$(domain)'", "a = $1 OR b = $2", 2),
            (Postgres, r"E'\'' || '$(domain)'", r"E'\'' || $1", 1),
            (Postgres, "a ? 'b' AND c = '$(domain)'::text", "a ? 'b' AND c = $1::text", 1),
            (Postgres, "$$it's$$ /* ' */ -- '\n || '$(domain)'", "$$it's$$ /* ' */ -- '\n || $1", 1),
            (Mysql, "a = '$(local_part)@$(domain)'", "a = CONCAT(?, '@', ?)", 2),
            (Mysql, r#"a = "it's\"$(domain)""#, r#"a = CONCAT("it's\"", ?)"#, 1),
            (Mysql, r"a = '\'' AND b = '$(domain)'", r"a = '\'' AND b = ?", 1),
            (Mysql, "5--3 # it's\n, '$(domain)'", "5--3 # it's\n, ?", 1),
        ] {
            assert_eq!(parsed(dialect, text), Ok((expected.to_owned(), places)), "{dialect:?} {text}");
        }
    }

    #[test]
    fn the_order_of_the_variables_is_that_of_their_places() {
        let statement = Statement::parse("'$(domain)$(local_part)' $(domain)", Sqlite, &KNOWN).unwrap();
        assert_eq!(statement.variables(), [Variable::Domain, Variable::LocalPart, Variable::Domain]);
    }

    #[test]
    fn what_cannot_be_bound_is_refused() {
        let domain = Variable::Domain;
        for (dialect, text, flaw) in [
            (Sqlite, "FROM users_$(domain)", Flaw::InName(domain)),
            (Sqlite, "FROM $(domain).users", Flaw::InName(domain)),
            (Sqlite, "a = $(domain)$(domain)", Flaw::InName(domain)),
            (Sqlite, "a = 'x'$(domain)", Flaw::InName(domain)),
            (Sqlite, "FROM `$(domain)`", Flaw::InName(domain)),
            (Sqlite, "FROM [a $(domain)]", Flaw::InName(domain)),
            (Postgres, r#"FROM "$(domain)""#, Flaw::InName(domain)),
            (Mysql, "FROM `$(domain)`", Flaw::InName(domain)),
            (Sqlite, "a -- $(domain)", Flaw::InComment(domain)),
            (Mysql, "a # $(domain)", Flaw::InComment(domain)),
            (Sqlite, "a /* '$(domain)' */", Flaw::InComment(domain)),
            (Sqlite, "x'$(domain)'", Flaw::InSpecialString(domain)),
            (Postgres, "E'$(domain)'", Flaw::InSpecialString(domain)),
            (Postgres, "U&'$(domain)'", Flaw::InSpecialString(domain)),
            (Postgres, "$a$$(domain)$a$", Flaw::InSpecialString(domain)),
            (Postgres, "$$a$$(domain)", Flaw::InSpecialString(domain)),
            (Mysql, "_latin1'$(domain)'", Flaw::InSpecialString(domain)),
            (Mysql, r"'\$(domain)'", Flaw::InSpecialString(domain)),
            (Sqlite, "'$(user)'", Flaw::UnknownVariable),
            (Sqlite, "'$(password)'", Flaw::UnknownVariable),
            (Sqlite, "-- $(password)", Flaw::UnknownVariable),
            (Sqlite, "'$(domain", Flaw::UnknownVariable),
            (Sqlite, "'$(domain)", Flaw::NoEnd),
            (Sqlite, "a = 'b", Flaw::NoEnd),
            (Mysql, r"a = 'b\", Flaw::NoEnd),
            (Sqlite, "[a", Flaw::NoEnd),
            (Sqlite, "a = ?", Flaw::Place),
            (Sqlite, "a = :b", Flaw::Place),
            (Sqlite, "a = @b", Flaw::Place),
            (Mysql, "a = ?", Flaw::Place),
            (Postgres, "a = $1", Flaw::Place),
            (Sqlite, "a; b", Flaw::Several),
        ] {
            assert_eq!(parsed(dialect, text), Err(flaw), "{dialect:?} {text}");
        }
    }

    #[test]
    fn text_without_variables_stays_as_it_is() {
        for (dialect, text) in [
            (Sqlite, r#"SELECT "a=" || [b c] || `d` || 'it''s; ?' || '' -- '"#),
            (Postgres, r#"SELECT a::text, x[1], 'b?', $t$'$t$, "c""d" FROM t /* ' /* */ */ WHERE b @> c"#),
            (Mysql, r#"SELECT @a := 'it\'s', "?", `b``c` /* ' */"#),
            (Sqlite, "\u{e9} = '\u{e9}'"),
        ] {
            assert_eq!(parsed(dialect, text), Ok((text.to_owned(), 0)), "{dialect:?}");
        }
    }

    proptest! {
        #[test]
        fn no_text_does_harm(text in r#"([a1_$'"`;?#*/\\ \n(@:-]|\[|\]|\$\(domain\)|é|''){0,30}"#) {
            for dialect in [Sqlite, Postgres, Mysql] {
                if let Ok((parsed, places)) = parsed(dialect, &text) {
                    prop_assert_eq!(places, text.matches("$(domain)").count());
                    prop_assert!(!parsed.contains("$("));
                }
            }
        }
    }
}
