//! Files that Courier's start scripts read as a shell does: `pop3d` and
//! `pop3d-ssl` (reference config.md 1).
//!
//! ```text
//! # a comment
//! MAXDAEMONS=40
//! TLS_CERTFILE="${confdir}/pop3d.pem"    # as a shell would have it
//! ```
//!
//! Assignments alone are read, one a line, and they mean what they mean to
//! sh(1); a test asks it. Whatever else a shell would do is an error: to guess
//! what an administrator's script says would be worse than to say that we
//! cannot tell (ledger 800).

use std::collections::BTreeMap;

#[cfg(test)]
mod tests;

/// An assignment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Assignment {
    /// The variable.
    pub(crate) name: String,
    /// Its value.
    pub(crate) value: Vec<u8>,
    /// The line, from 1.
    pub(crate) line: usize,
}

/// A line that is more than an assignment.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{line}: {what}")]
pub(crate) struct Wrong {
    /// The line, from 1.
    pub(crate) line: usize,
    /// What is wrong with it.
    pub(crate) what: &'static str,
}

/// Variables, and their values so far.
pub(crate) type Variables = BTreeMap<String, Vec<u8>>;

/// The assignments in `text`, behind those that have led to `variables`.
///
/// # Errors
/// See [`Wrong`].
pub(crate) fn parse(text: &[u8], variables: &mut Variables) -> Result<Vec<Assignment>, Wrong> {
    let mut assignments = Vec::new();
    for (index, line) in text.split(|&octet| octet == b'\n').enumerate() {
        let line_number = index + 1;
        let wrong = |what| Wrong { line: line_number, what };
        if line.iter().any(|octet| matches!(octet, 0 | b'\r')) {
            return Err(wrong("there is a control character in it"));
        }
        let line = skip_blanks(line);
        if line.is_empty() || line.starts_with(b"#") {
            continue;
        }
        let length = line.iter().take_while(|octet| octet.is_ascii_alphanumeric() || **octet == b'_').count();
        let (name, rest) = line.split_at(length);
        let value =
            rest.strip_prefix(b"=").filter(|_| name.first().is_some_and(|first| !first.is_ascii_digit()));
        let value = value.ok_or_else(|| wrong("it is neither NAME=value nor a comment"))?;
        let value = Word { rest: value, variables }.value().map_err(wrong)?;
        let name = String::from_utf8_lossy(name).into_owned();
        variables.insert(name.clone(), value.clone());
        assignments.push(Assignment { name, value, line: line_number });
    }
    Ok(assignments)
}

fn skip_blanks(text: &[u8]) -> &[u8] {
    let blanks = text.iter().take_while(|octet| is_blank(**octet)).count();
    &text[blanks..]
}

fn is_blank(octet: u8) -> bool {
    matches!(octet, b' ' | b'\t')
}

const OPEN_QUOTE: &str = "a quote is not closed in this line";
const EXPANSION: &str = "of what begins with $ only $NAME and ${NAME} are read";
const COMMAND: &str = "a command's output is not read";

/// What is left of a word.
struct Word<'a> {
    rest: &'a [u8],
    variables: &'a Variables,
}

impl Word<'_> {
    /// The value that the rest of the line gives; a comment may be behind it.
    fn value(mut self) -> Result<Vec<u8>, &'static str> {
        let mut value = Vec::new();
        while let Some(octet) = self.next() {
            match octet {
                b' ' | b'\t' => {
                    let rest = skip_blanks(self.rest);
                    let is_end = rest.is_empty() || rest.starts_with(b"#");
                    return if is_end { Ok(value) } else { Err("there is something behind the value") };
                }
                b'\'' => self.literally(&mut value)?,
                b'"' => self.quoted(&mut value)?,
                b'$' => self.expand(&mut value)?,
                b'\\' => value.push(self.next().ok_or("it goes on in the next line")?),
                b'`' => return Err(COMMAND),
                b'|' | b'&' | b';' | b'<' | b'>' | b'(' | b')' => {
                    return Err("it is more than an assignment");
                }
                b'~' => return Err("a home directory (~) is not looked up; put it in quotes"),
                octet => value.push(octet),
            }
        }
        Ok(value)
    }

    fn next(&mut self) -> Option<u8> {
        let (first, rest) = self.rest.split_first()?;
        self.rest = rest;
        Some(*first)
    }

    /// Up to the next `'`.
    fn literally(&mut self, value: &mut Vec<u8>) -> Result<(), &'static str> {
        let end = self.rest.iter().position(|octet| *octet == b'\'').ok_or(OPEN_QUOTE)?;
        value.extend_from_slice(&self.rest[..end]);
        self.rest = &self.rest[end + 1..];
        Ok(())
    }

    /// Up to the next `"`.
    fn quoted(&mut self, value: &mut Vec<u8>) -> Result<(), &'static str> {
        loop {
            match self.next().ok_or(OPEN_QUOTE)? {
                b'"' => return Ok(()),
                b'$' => self.expand(value)?,
                b'`' => return Err(COMMAND),
                b'\\' => match self.next().ok_or(OPEN_QUOTE)? {
                    octet @ (b'$' | b'`' | b'"' | b'\\') => value.push(octet),
                    octet => value.extend([b'\\', octet]),
                },
                octet => value.push(octet),
            }
        }
    }

    /// A variable, behind its `$`; one that is not set is empty.
    fn expand(&mut self, value: &mut Vec<u8>) -> Result<(), &'static str> {
        let braced = self.rest.strip_prefix(b"{");
        let rest = braced.unwrap_or(self.rest);
        let is_of_name = |octet: &&u8| octet.is_ascii_alphanumeric() || **octet == b'_';
        let (name, behind) = rest.split_at(rest.iter().take_while(is_of_name).count());
        if name.first().is_none_or(u8::is_ascii_digit) {
            return Err(EXPANSION);
        }
        self.rest = if braced.is_some() { behind.strip_prefix(b"}").ok_or(EXPANSION)? } else { behind };
        let name = String::from_utf8_lossy(name);
        value.extend(self.variables.get(name.as_ref()).map(Vec::as_slice).unwrap_or_default());
        Ok(())
    }
}
