//! Reading the files of `dialogues/`.

use std::fs;

use super::{Act, Answer, Dialogue, Driver, Expected, State, Step};
use crate::answer;
use crate::maildrop::{Change, Entry, Kind, Remains};
use crate::pattern::Pattern;
use crate::{Fault, Outcome, root};

/// Every dialogue below `dialogues/`, in the order of the file names, or why
/// a file is none.
///
/// # Errors
/// The directory cannot be read.
pub fn all() -> Outcome<Vec<(String, Outcome<Dialogue>)>> {
    let mut dialogues = Vec::new();
    for file in fs::read_dir(root().join("dialogues"))? {
        let path = file?.path();
        if path.extension().is_some_and(|extension| extension == "txt") {
            let name = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
            let text = fs::read_to_string(&path).map_err(|error| format!("{name}: {error}").into());
            let dialogue = text.and_then(|text| read(&name, &text));
            dialogues.push((name, dialogue));
        }
    }
    dialogues.sort_by(|(one, _), (other, _)| one.cmp(other));
    Ok(dialogues)
}

/// The dialogue called `name` that `text` describes.
///
/// # Errors
/// The first line that is not understood, with its number.
pub fn read(name: &str, text: &str) -> Outcome<Dialogue> {
    let mut reader = Reader::new(name);
    if !text.starts_with("# ") {
        return Err(format!("{name}: the first line must say, after `# `, what the dialogue shows").into());
    }
    for (index, line) in text.lines().enumerate() {
        reader.line(index + 1, line).map_err(|fault| format!("{name}:{}: {fault}", index + 1))?;
    }
    reader.finish().map_err(|fault| format!("{name}: {fault}").into())
}

/// A dialogue that is being read.
struct Reader {
    dialogue: Dialogue,
    has_state: bool,
    /// Lines that wait for the next packet to the server.
    held_back: Vec<u8>,
}

impl Reader {
    fn new(name: &str) -> Reader {
        let dialogue = Dialogue {
            name: name.to_owned(),
            state: State::Connection,
            only: Vec::new(),
            tls: true,
            environment: Vec::new(),
            fields: Vec::new(),
            maildrop: Vec::new(),
            steps: Vec::new(),
            ledger: Vec::new(),
        };
        Reader { dialogue, has_state: false, held_back: Vec::new() }
    }

    fn line(&mut self, number: usize, line: &str) -> Outcome {
        if line.is_empty() || line.starts_with('#') {
            return Ok(());
        }
        if line.ends_with([' ', '\t']) {
            return Err("blanks at the end of the line are invisible; write \\s or \\t".into());
        }
        let (keyword, value) = line.split_once(':').ok_or("neither `KEYWORD: …` nor `# …`")?;
        let value = value.strip_prefix(' ').unwrap_or(value);
        let what = |act| Step { line: number, act };
        match keyword {
            "C" | "C~" | "C&" => return self.client(number, keyword, value),
            "S" | "S~" | "after" | "log" => self.ours(number, keyword, value)?,
            "meanwhile" => self.dialogue.steps.push(what(Act::Meanwhile(change(value)?))),
            _ if keyword.starts_with("Courier") => self.courier(keyword, value)?,
            _ if self.dialogue.steps.is_empty() => self.setting(keyword, value)?,
            _ => return Err(format!("`{keyword}:` is no line of a conversation").into()),
        }
        if self.held_back.is_empty() { Ok(()) } else { Err("`C&:` must be followed by another `C`".into()) }
    }

    /// A line before the conversation.
    fn setting(&mut self, keyword: &str, value: &str) -> Outcome {
        match keyword {
            "state" => {
                self.has_state = true;
                self.dialogue.state = match value {
                    "connection" => State::Connection,
                    "authorization" => State::Authorization,
                    "transaction" => State::Transaction,
                    _ => return Err("state: connection, authorization or transaction".into()),
                };
            }
            "tls" if value == "no" => self.dialogue.tls = false,
            "only" => self.dialogue.only = value.split(' ').map(driver).collect::<Outcome<_>>()?,
            "env" => {
                let (name, value) = value.split_once('=').ok_or("env: NAME=VALUE")?;
                self.dialogue.environment.push((name.to_owned(), value.to_owned()));
            }
            "account" => self.dialogue.fields.push(value.to_owned()),
            "maildrop" => self.dialogue.maildrop.extend(named_maildrop(value)?),
            _ => self.dialogue.maildrop.push(entry(keyword, value)?),
        }
        Ok(())
    }

    fn client(&mut self, number: usize, keyword: &str, value: &str) -> Outcome {
        if value == "<closed>" {
            self.dialogue.steps.push(Step { line: number, act: Act::Finish });
            return Ok(());
        }
        if let Some(answer) = value.strip_prefix('<').and_then(|rest| rest.strip_suffix('>')) {
            return self.answer(number, keyword, answer);
        }
        self.held_back.extend(Pattern::parse(value)?.octets()?);
        if keyword != "C~" {
            self.held_back.extend(b"\r\n");
        }
        if keyword != "C&" {
            let act = Act::Send(std::mem::take(&mut self.held_back));
            self.dialogue.steps.push(Step { line: number, act });
        }
        Ok(())
    }

    /// What the client says depends on what it has just heard.
    fn answer(&mut self, number: usize, keyword: &str, answer: &str) -> Outcome {
        if keyword != "C" || !self.held_back.is_empty() {
            return Err("an answer to a challenge is a packet of its own".into());
        }
        self.dialogue.steps.push(Step { line: number, act: Act::Answer(answer::Answer::parse(answer)?) });
        Ok(())
    }

    /// What we do: a line of its own, or one more in a run of the same kind.
    fn ours(&mut self, number: usize, keyword: &str, value: &str) -> Outcome {
        let act = match keyword {
            "after" => Act::Disk(Expected::new(vec![remains(value)?])),
            "log" => Act::Log(Expected::new(vec![Pattern::parse(value)?])),
            _ => Act::Wire(Expected::new(answer(keyword == "S~", value)?)),
        };
        match (self.dialogue.steps.last_mut().map(|step| &mut step.act), act) {
            (Some(Act::Wire(run)), Act::Wire(more)) if !run.differs() => run.ours.extend(more.ours),
            (Some(Act::Disk(run)), Act::Disk(more)) if !run.differs() => run.ours.extend(more.ours),
            (Some(Act::Log(run)), Act::Log(more)) if !run.differs() => run.ours.extend(more.ours),
            (_, act) => self.dialogue.steps.push(Step { line: number, act }),
        }
        Ok(())
    }

    /// What Courier does instead of the run before this line.
    fn courier(&mut self, keyword: &str, value: &str) -> Outcome {
        let (raw, number) = match keyword.split_once(", ledger ") {
            Some(("Courier", number)) => (false, number),
            Some(("Courier~", number)) => (true, number),
            _ => return Err("`Courier, ledger NUMBER: …`".into()),
        };
        let number: u16 = number.parse().map_err(|_| "the ledger's numbers are numbers")?;
        self.dialogue.ledger.push(number);
        match self.dialogue.steps.last_mut().map(|step| &mut step.act) {
            Some(Act::Wire(run)) => run.courier.get_or_insert_default().extend(answer(raw, value)?),
            Some(Act::Disk(run)) => run.courier.get_or_insert_default().push(remains(value)?),
            Some(Act::Log(run)) => run.courier.get_or_insert_default().extend(log_line(value)?),
            _ => return Err("a Courier line follows the lines that it replaces".into()),
        }
        Ok(())
    }

    fn finish(self) -> Outcome<Dialogue> {
        if !self.has_state {
            return Err("`state: …` is missing".into());
        }
        if self.dialogue.steps.is_empty() {
            return Err("nobody says anything".into());
        }
        if !self.held_back.is_empty() {
            return Err("`C&:` must be followed by another `C`".into());
        }
        let same = |step: &&Step| match &step.act {
            Act::Wire(run) => run.courier.as_ref() == Some(&run.ours),
            Act::Log(run) => run.courier.as_ref() == Some(&run.ours),
            _ => false,
        };
        if let Some(step) = self.dialogue.steps.iter().find(same) {
            return Err(format!("line {}: Courier's lines are the same as ours", step.line).into());
        }
        Ok(self.dialogue)
    }
}

fn answer(raw: bool, value: &str) -> Outcome<Vec<Answer>> {
    Ok(match value {
        "<closed>" => vec![Answer::Closed],
        "<nothing>" => vec![],
        _ if raw => {
            let pattern = Pattern::parse(value)?;
            if !pattern.ends_line() {
                return Err("a raw answer must end in \\n".into());
            }
            vec![Answer::Line(pattern)]
        }
        _ => vec![Answer::Line(Pattern::parse(value)?.then(b"\r\n"))],
    })
}

fn log_line(value: &str) -> Outcome<Option<Pattern>> {
    if value == "<nothing>" { Ok(None) } else { Pattern::parse(value).map(Some) }
}

fn driver(name: &str) -> Outcome<Driver> {
    match name {
        "memory" => Ok(Driver::Memory),
        "pipe" => Ok(Driver::Pipe),
        "tcp" => Ok(Driver::Tcp),
        "authdaemond" => Ok(Driver::Authdaemond),
        "service" => Ok(Driver::Service),
        "courier" => Ok(Driver::Courier),
        _ => Err("only: memory, pipe, tcp, authdaemond, courier".into()),
    }
}

/// A line that puts something into the Maildir.
fn entry(keyword: &str, value: &str) -> Outcome<Entry> {
    let two = |separator| value.split_once(separator).ok_or_else(|| format!("{keyword}: PATH{separator}…"));
    let (path, kind) = match keyword {
        "file" => file(value)?,
        "directory" => (value, Kind::Directory),
        "fifo" => (value, Kind::Fifo),
        "missing" => (value, Kind::Missing),
        "link" => two(" -> ").map(|(path, target)| (path, Kind::Link(target.to_owned())))?,
        "mode" => {
            let (path, mode) = two(" ")?;
            (path, Kind::Mode(u32::from_str_radix(mode, 8)?))
        }
        "age" => {
            let (path, hours) = two(" ")?;
            (path, Kind::Age(hours.strip_suffix('h').ok_or("age: PATH HOURSh")?.parse()?))
        }
        _ => return Err(format!("no setting is called `{keyword}`").into()),
    };
    Ok(Entry { path: path.to_owned(), kind })
}

/// `PATH = TEXT`, or `PATH < FILE` with a file of `demo/messages`.
fn file(value: &str) -> Outcome<(&str, Kind)> {
    if let Some((path, text)) = value.split_once(" =") {
        let text = text.strip_prefix(' ').unwrap_or(text);
        return Ok((path, Kind::File(Pattern::parse(text)?.octets()?)));
    }
    let (path, message) = value.split_once(" < ").ok_or("file: PATH = TEXT or file: PATH < FILE")?;
    let source = root().join("demo/messages").join(message);
    let octets = fs::read(&source).map_err(|error| format!("{}: {error}", source.display()))?;
    Ok((path, Kind::File(octets)))
}

/// The entries of `dialogues/maildrops/NAME.txt`.
fn named_maildrop(name: &str) -> Outcome<Vec<Entry>> {
    let path = root().join("dialogues/maildrops").join(name).with_extension("txt");
    let text = fs::read_to_string(&path).map_err(|error| format!("{}: {error}", path.display()))?;
    let mut entries = Vec::new();
    for (index, line) in text.lines().enumerate() {
        if !line.is_empty() && !line.starts_with('#') {
            let fault = |fault: Fault| format!("{}:{}: {fault}", path.display(), index + 1);
            let (keyword, value) = line.split_once(": ").ok_or_else(|| fault("no `KEYWORD: …`".into()))?;
            entries.push(entry(keyword, value).map_err(fault)?);
        }
    }
    Ok(entries)
}

fn change(value: &str) -> Outcome<Change> {
    let (verb, rest) = value.split_once(' ').ok_or("meanwhile: remove, rename, mode or file …")?;
    Ok(match verb {
        "remove" => Change::Remove(rest.to_owned()),
        "rename" => {
            let (from, to) = rest.split_once(' ').ok_or("meanwhile: rename FROM TO")?;
            Change::Rename(from.to_owned(), to.to_owned())
        }
        "mode" => match entry("mode", rest)? {
            Entry { path, kind: Kind::Mode(mode) } => Change::Mode(path, mode),
            _ => return Err("meanwhile: mode PATH OCTAL".into()),
        },
        "file" => match file(rest)? {
            (path, Kind::File(octets)) => Change::Write(path.to_owned(), octets),
            _ => return Err("meanwhile: file PATH = TEXT".into()),
        },
        _ => return Err("meanwhile: remove, rename, mode or file …".into()),
    })
}

fn remains(value: &str) -> Outcome<Remains> {
    let (path, wanted) = value.split_once(" =").ok_or("after: PATH = …")?;
    let wanted = wanted.strip_prefix(' ').unwrap_or(wanted);
    if matches!(path, "cur" | "new" | "tmp" | ".") {
        let names = wanted.split(' ').filter(|name| !name.is_empty()).map(Pattern::parse);
        return Ok(Remains::Names(path.to_owned(), names.collect::<Outcome<_>>()?));
    }
    Ok(Remains::Content(path.to_owned(), Pattern::parse(wanted)?))
}

#[cfg(test)]
mod tests {
    use super::super::{Act, Answer, Driver, Side, State};
    use super::read;

    #[test]
    fn a_dialogue_says_the_same_as_its_text() {
        let text = "# Shows it. RFC 1939 section 5.\nstate: transaction\nfile: cur/1.a:2, = From: a\\n\n\n\
                    C: LIST 1 2\nS: -ERR Surplus words.\nCourier, ledger 204: +OK 1 9\nC: <closed>\nS: <closed>\n";
        let dialogue = read("d", text).unwrap();
        assert_eq!(dialogue.state, State::Transaction);
        assert_eq!(dialogue.ledger, [204]);
        let [ask, reply, finish, closed] = &dialogue.steps[..] else { panic!("{:?}", dialogue.steps) };
        assert!(matches!(&ask.act, Act::Send(octets) if octets == b"LIST 1 2\r\n"));
        assert!(matches!(finish.act, Act::Finish));
        let line = |side| match &reply.act {
            Act::Wire(run) => run.of(side).to_vec(),
            other => panic!("{other:?}"),
        };
        assert!(matches!(&line(Side::Ours)[..], [Answer::Line(l)] if l.fits(b"-ERR Surplus words.\r\n")));
        assert!(matches!(&line(Side::Courier)[..], [Answer::Line(l)] if l.fits(b"+OK 1 9\r\n")));
        assert!(matches!(&closed.act, Act::Wire(run) if run.of(Side::Courier) == [Answer::Closed]));
        assert_eq!((ask.line, reply.line, finish.line, closed.line), (5, 6, 8, 9));
    }

    #[test]
    fn lines_that_are_held_back_leave_with_the_next() {
        let text = "# Pipelining.\nstate: transaction\nC&: STAT\nC~: QU\nC: IT\nS: +OK\n";
        let steps = read("d", text).unwrap().steps;
        assert!(matches!(&steps[0].act, Act::Send(octets) if octets == b"STAT\r\nQU"));
        assert!(matches!(&steps[1].act, Act::Send(octets) if octets == b"IT\r\n"));
    }

    #[test]
    fn an_answer_to_a_challenge_cannot_be_said_at_once() {
        let text = "# .\nstate: authorization\nC: AUTH CRAM-MD5\nS: + {any}\nC: <cram-md5 alice secret>\n";
        let dialogue = read("d", text).unwrap();
        assert!(matches!(dialogue.steps[2].act, Act::Answer(_)));
        assert!(dialogue.at_once().is_none());
        assert!(dialogue.suits(Driver::Memory));
    }

    #[test]
    fn a_client_may_say_everything_at_once() {
        let dialogue = read("d", "# .\nstate: transaction\nC: A\nS: a\nC: B\nS: b\nafter: cur =\n").unwrap();
        let steps = dialogue.at_once().unwrap().steps;
        assert!(matches!(&steps[0].act, Act::Send(octets) if octets == b"A\r\nB\r\n"));
        assert_eq!(steps.len(), 4);
        let closes = read("d", "# .\nstate: transaction\nC: A\nC: <closed>\n").unwrap();
        assert!(closes.at_once().is_none());
    }

    #[test]
    fn a_conversation_that_needs_a_disk_is_not_for_the_memory() {
        let talk = read("d", "# .\nstate: transaction\nfile: cur/1 = a\nC: NOOP\n").unwrap();
        assert!(talk.suits(Driver::Memory) && talk.suits(Driver::Pipe) && talk.suits(Driver::Courier));
        let disk = read("d", "# .\nstate: transaction\nlink: cur/1 -> /etc/passwd\nC: NOOP\n").unwrap();
        assert!(!disk.suits(Driver::Memory) && disk.suits(Driver::Pipe));
        let login = read("d", "# .\nstate: authorization\nC: NOOP\n").unwrap();
        assert!(login.suits(Driver::Memory) && !login.suits(Driver::Pipe));
    }

    #[test]
    fn a_faulty_line_is_named_by_its_number() {
        let faulty = [
            ("state: transaction\nC: x\n", "what the dialogue shows"),
            ("# .\nC: x\n", "`state: …` is missing"),
            ("# .\nstate: update\n", ":2: state:"),
            ("# .\nstate: transaction\nC: x \n", ":3: blanks"),
            ("# .\nstate: transaction\nC: x\nstate: transaction\n", ":4: `state:`"),
            ("# .\nstate: transaction\nCourier, ledger 1: x\n", ":3: a Courier line follows"),
            ("# .\nstate: transaction\nC: x\nS: y\nCourier, ledger x: z\n", ":5: the ledger's"),
            ("# .\nstate: transaction\nC: x\nS: y\nCourier, ledger 1: y\n", "the same as ours"),
            ("# .\nstate: transaction\nC&: x\nS: y\n", ":4: `C&:`"),
            ("# .\nstate: transaction\nC: <cram-md5 x>\n", ":3: <MECH"),
            ("# .\nstate: transaction\nC~: <cram-md5 x y>\n", ":3: an answer"),
            ("# .\nstate: transaction\nmaildrop: nowhere\nC: x\n", "nowhere.txt"),
            ("# .\nstate: transaction\n", "nobody says"),
        ];
        for (text, wanted) in faulty {
            let fault = read("d", text).unwrap_err().to_string();
            assert!(fault.contains(wanted), "{text:?}: {fault}");
        }
    }
}
