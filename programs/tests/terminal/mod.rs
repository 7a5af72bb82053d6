//! A person at a terminal.

use std::fs;
use std::io::{Read, Write};
use std::process::{Command, Output, Stdio};

/// What `program` makes of lines that a person types behind these prompts, and
/// what the terminal has shown. `look` gets its process id at each prompt.
pub(crate) fn typed(
    program: &str,
    words: &[&str],
    lines: &[(&str, &str)],
    look: &mut dyn FnMut(u32),
) -> (Output, Vec<u8>) {
    let terminal = nix::pty::openpty(None, None).unwrap();
    let mut keyboard = fs::File::from(terminal.master);
    let mut command = Command::new(program);
    command.args(words).stdin(terminal.slave).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    let mut errors = child.stderr.take().unwrap();
    for (prompt, line) in lines {
        let mut shown = vec![0; prompt.len()];
        errors.read_exact(&mut shown).unwrap();
        assert_eq!(shown, prompt.as_bytes());
        look(child.id());
        writeln!(keyboard, "{line}").unwrap();
    }
    let output = child.wait_with_output().unwrap();
    // What the terminal has shown can be read here; the end of it is an error.
    drop(command);
    let mut shown = Vec::new();
    let _ = keyboard.read_to_end(&mut shown);
    (output, shown)
}
