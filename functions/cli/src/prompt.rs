//! Questions at a terminal: hidden entries and confirmations.
//!
//! A hidden entry is read byte by byte with echo off, not by the line: the terminal's own line
//! editor cuts lines at 4,096 bytes without saying so. What is typed or pasted beyond the line is
//! thrown away, so that the rest of a pasted value never reaches the shell.

use std::fs::{File, OpenOptions};
use std::io::{self, IsTerminal, Write};
use std::os::fd::AsFd;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::termios::{LocalModes, OptionalActions, Termios, tcgetattr, tcsetattr};
use undertone_core::{LARGEST_VALUE, ValueTooLarge};
use zeroize::Zeroizing;

use crate::exit::Failure;

/// A value, entered twice.
pub(crate) fn new_value(name: &str) -> Result<Zeroizing<Vec<u8>>, Failure> {
    let first = hidden(&format!("Value of {name} (hidden): "))?;
    let second = hidden("The same again: ")?;
    if *first != *second {
        return Err(Failure::EntriesDiffer);
    }
    Ok(first)
}

/// A passphrase that exists.
pub(crate) fn passphrase() -> Result<Zeroizing<String>, Failure> {
    text(hidden("Passphrase: ")?)
}

/// A passphrase to be, entered twice.
pub(crate) fn new_passphrase() -> Result<Zeroizing<String>, Failure> {
    let first = hidden("New passphrase: ")?;
    let second = hidden("The same again: ")?;
    if *first != *second {
        return Err(Failure::EntriesDiffer);
    }
    text(first)
}

/// Asks `question`; anything but yes is no.
///
/// # Errors
/// `NeedsYes` if there is nobody to ask, `NotConfirmed` if the answer isn't yes.
pub(crate) fn confirm(question: &str) -> Result<(), Failure> {
    match ask(&format!("{question} [y/N] "))?.to_ascii_lowercase().as_str() {
        "y" | "yes" => Ok(()),
        _ => Err(Failure::NotConfirmed),
    }
}

/// Asks for `word` to be typed.
pub(crate) fn confirm_by_typing(word: &str, question: &str) -> Result<(), Failure> {
    match ask(&format!("{question} "))? == word {
        true => Ok(()),
        false => Err(Failure::NotConfirmed),
    }
}

/// Whether somebody sees a question and can answer it.
pub(crate) fn can_ask() -> bool {
    io::stdin().is_terminal() && io::stderr().is_terminal()
}

fn ask(question: &str) -> Result<String, Failure> {
    if !can_ask() {
        return Err(Failure::NeedsYes);
    }
    let mut err = io::stderr();
    let asked = write!(err, "{}", crate::screen::shown(question)).and_then(|()| err.flush());
    asked.map_err(|error| Failure::Terminal(error.kind()))?;
    let mut answer = String::new();
    io::stdin().read_line(&mut answer).map_err(|error| Failure::Terminal(error.kind()))?;
    Ok(answer.trim_end_matches(['\n', '\r']).to_owned())
}

fn text(entry: Zeroizing<Vec<u8>>) -> Result<Zeroizing<String>, Failure> {
    let text = std::str::from_utf8(&entry).map_err(|_| Failure::Terminal(io::ErrorKind::InvalidData))?;
    Ok(text.to_owned().into())
}

fn hidden(question: &str) -> Result<Zeroizing<Vec<u8>>, Failure> {
    let broken = |error: io::Error| Failure::Terminal(error.kind());
    let mut tty = terminal()?;
    let quiet = Quiet::new(&tty).map_err(broken)?;
    // Where standard input is a terminal, it may be open for reading only.
    let mut err = io::stderr();
    let out: &mut dyn Write = if err.is_terminal() { &mut err } else { &mut tty };
    write!(out, "{}", crate::screen::shown(question)).and_then(|()| out.flush()).map_err(broken)?;
    let entry = read_line(&quiet.tty);
    let _ = writeln!(out);
    entry
}

fn terminal() -> Result<File, Failure> {
    if io::stdin().is_terminal() {
        let stdin = io::stdin().as_fd().try_clone_to_owned();
        return stdin.map(File::from).map_err(|error| Failure::Terminal(error.kind()));
    }
    OpenOptions::new().read(true).write(true).open("/dev/tty").map_err(|_| Failure::NoTerminal)
}

/// Echo, line editing and signals are off until it is dropped.
struct Quiet {
    tty: File,
    before: Termios,
}

impl Quiet {
    fn new(tty: &File) -> io::Result<Self> {
        let tty = tty.try_clone()?;
        let before = tcgetattr(&tty)?;
        let mut quiet = before.clone();
        quiet
            .local_modes
            .remove(LocalModes::ECHO | LocalModes::ECHONL | LocalModes::ICANON | LocalModes::ISIG);
        tcsetattr(&tty, OptionalActions::Flush, &quiet)?;
        Ok(Self { tty, before })
    }
}

impl Drop for Quiet {
    fn drop(&mut self) {
        let _ = tcsetattr(&self.tty, OptionalActions::Flush, &self.before);
    }
}

const INTERRUPT: u8 = 0x03;
const END: u8 = 0x04;
const BACKSPACE: u8 = 0x08;
const KILL: u8 = 0x15;
const DELETE: u8 = 0x7F;

fn read_line(tty: &File) -> Result<Zeroizing<Vec<u8>>, Failure> {
    // Never grows, so no copy stays behind.
    let mut entry = Zeroizing::new(Vec::with_capacity(LARGEST_VALUE));
    let mut chunk = Zeroizing::new([0; 1024]);
    loop {
        let count = match rustix::io::read(tty, &mut chunk[..]) {
            Err(rustix::io::Errno::INTR) => continue,
            Err(error) => return Err(Failure::Terminal(io::Error::from(error).kind())),
            Ok(0) => return Err(Failure::Cancelled),
            Ok(count) => count,
        };
        for (index, byte) in chunk[..count].iter().enumerate() {
            match *byte {
                b'\r' | b'\n' if index + 1 < count || more_is_waiting(tty) => return Err(Failure::ManyLines),
                b'\r' | b'\n' => return Ok(entry),
                INTERRUPT => return Err(Failure::Cancelled),
                END if entry.is_empty() => return Err(Failure::Cancelled),
                END => {}
                BACKSPACE | DELETE => erase_character(&mut entry),
                KILL => entry.clear(),
                _ if entry.len() == LARGEST_VALUE => return Err(ValueTooLarge(LARGEST_VALUE + 1).into()),
                byte => entry.push(byte),
            }
        }
    }
}

fn erase_character(entry: &mut Vec<u8>) {
    let is_continuation = |byte: u8| byte & 0xC0 == 0x80;
    while entry.pop().is_some_and(is_continuation) {}
}

/// Whether more arrives at once, which is a paste and nobody's typing.
fn more_is_waiting(tty: &File) -> bool {
    let mut fds = [PollFd::new(tty, PollFlags::IN)];
    let pause = Timespec { tv_sec: 0, tv_nsec: 30_000_000 };
    matches!(poll(&mut fds, Some(&pause)), Ok(1..))
}
