//! Hidden entries and questions, at a terminal of the test's own.

use std::fs::File;
use std::io::{Read, Write};
use std::process::{Child, Stdio};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::pty::{OpenptFlags, grantpt, ioctl_tiocgptpeer, openpt, unlockpt};
use rustix::termios::{LocalModes, tcgetattr};

use crate::process::World;

/// A program whose standard input and error are a terminal.
struct AtTerminal {
    child: Child,
    screen: File,
    seen: String,
}

impl AtTerminal {
    fn start(world: &World, line: &str) -> Self {
        let flags = OpenptFlags::RDWR | OpenptFlags::NOCTTY;
        let screen = openpt(flags).unwrap();
        grantpt(&screen).unwrap();
        unlockpt(&screen).unwrap();
        let keys = ioctl_tiocgptpeer(&screen, flags).unwrap();
        let words: Vec<&str> = line.split_whitespace().collect();
        let child = world
            .command(&words)
            .stdin(Stdio::from(keys.try_clone().unwrap()))
            .stderr(Stdio::from(keys))
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        Self { child, screen: screen.into(), seen: String::new() }
    }

    /// Reads until the text stands on the screen.
    fn wait_for(&mut self, text: &str) {
        let mut chunk = [0; 4096];
        while !self.seen.contains(text) {
            let mut screen = [PollFd::new(&self.screen, PollFlags::IN)];
            assert_eq!(poll(&mut screen, Some(&PATIENCE)), Ok(1), "waited for {text:?}: {}", self.seen);
            let count = self.screen.read(&mut chunk).unwrap_or(0);
            assert_ne!(count, 0, "the program ended: {}", self.seen);
            self.seen.push_str(&String::from_utf8_lossy(&chunk[..count]));
        }
        let rest = self.seen.split_once(text).map(|(_, rest)| rest.to_owned());
        self.seen = rest.unwrap();
    }

    fn type_in(&mut self, text: &str) {
        self.screen.write_all(text.as_bytes()).unwrap();
    }

    /// Exit code, standard output, and what stood on the screen after the last wait.
    fn end(mut self) -> (i32, String, String) {
        let mut chunk = [0; 4096];
        // A terminal without programs answers with an error.
        while let Ok(count @ 1..) = self.screen.read(&mut chunk) {
            self.seen.push_str(&String::from_utf8_lossy(&chunk[..count]));
        }
        let mut out = String::new();
        self.child.stdout.take().unwrap().read_to_string(&mut out).unwrap();
        (self.child.wait().unwrap().code().unwrap(), out, self.seen)
    }

    fn echoes(&self) -> bool {
        tcgetattr(&self.screen).unwrap().local_modes.contains(LocalModes::ECHO | LocalModes::ICANON)
    }
}

/// Longer than Argon2id takes on a busy machine.
const PATIENCE: Timespec = Timespec { tv_sec: 60, tv_nsec: 0 };
const SET: &str = "secrets set T --env dev";
const FIRST: &str = "Value of T (hidden): ";
const AGAIN: &str = "The same again: ";

#[test]
fn a_value_is_entered_twice_and_never_shown() {
    let world = World::ready();
    let mut terminal = AtTerminal::start(&world, SET);
    terminal.wait_for(FIRST);
    assert!(!terminal.echoes());
    // Corrected on the way: a character, one of two bytes, and all of a first attempt.
    terminal.type_in("wrong\u{15}changemeöx\u{7f}\u{7f}\n");
    terminal.wait_for(AGAIN);
    terminal.type_in("changeme\r");
    let (exit, out, seen) = terminal.end();
    assert_eq!((exit, out.as_str()), (0, "`T`: version 1 is set in Environment dev.\n"), "{seen}");
    assert!(seen.contains("looks like a placeholder"), "the value is what was typed: {seen}");
    assert!(!seen.contains("changeme"), "{seen}");
}

#[test]
fn an_entry_that_is_cancelled_differs_or_has_many_lines_sets_nothing() {
    let long = "a".repeat(5_000);
    for (first, second, want) in [
        ("one-value\n", Some("other-value\n"), "the two entries differ"),
        (&*format!("{long}b\n"), Some(&*format!("{long}c\n")), "the two entries differ"),
        ("\u{3}", None, "cancelled"),
        ("\u{4}", None, "cancelled"),
        ("one-value\u{3}", None, "cancelled"),
        ("one-value\n", Some("\u{3}"), "cancelled"),
        ("line-1\nline-2\n", None, "more than one line"),
        (&*format!("{}\n", "a".repeat(65_537)), None, "at most 65536 bytes"),
        ("\n", Some("\n"), "is empty"),
    ] {
        let world = World::ready();
        let mut terminal = AtTerminal::start(&world, SET);
        terminal.wait_for(FIRST);
        terminal.type_in(first);
        if let Some(second) = second {
            terminal.wait_for(AGAIN);
            terminal.type_in(second);
        }
        terminal.wait_for(want);
        assert!(terminal.echoes(), "the terminal is as it was");
        let (exit, _, seen) = terminal.end();
        assert_eq!(exit, 5, "{want}: {seen}");
        assert!(!["-value", "line-2", "aaaa"].iter().any(|typed| seen.contains(typed)), "{seen}");
        assert_eq!(world.json("secrets list --env dev")["secrets"].as_array().unwrap().len(), 0);
    }
}

#[test]
fn rules_that_change_while_a_value_is_typed_are_not_set_back() {
    let world = World::ready();
    world.ok_with("secrets set T --env dev --host *.slack.com", "0123456789");
    let mut terminal = AtTerminal::start(&world, &format!("{SET} --keep-rules"));
    terminal.wait_for(FIRST);
    world.ok_with("secrets set T --env dev --host slack.com", "0123456789");
    terminal.type_in("9876543210\n");
    terminal.wait_for(AGAIN);
    terminal.type_in("9876543210\n");
    let (exit, _, seen) = terminal.end();
    assert_eq!(exit, 4, "{seen}");
    assert_eq!(world.json("secrets list --env dev")["secrets"][0]["winner"]["version"], 2);
}

#[test]
fn only_yes_is_yes() {
    for (answer, exit) in [("y\n", 0), ("Yes\n", 0), ("n\n", 5), ("\n", 5), ("yeah\n", 5), ("\u{4}", 5)] {
        let world = World::ready();
        world.ok_with("secrets set T --env dev", "0123456789");
        let mut terminal = AtTerminal::start(&world, "secrets unset T --env dev");
        terminal.wait_for("Without `T` in Environment dev: `T` is not set anywhere in the chain.");
        terminal.wait_for("Unset it? [y/N] ");
        terminal.type_in(answer);
        let (code, _, seen) = terminal.end();
        assert_eq!(code, exit, "{answer:?}: {seen}");
        let left = world.json("secrets list --env dev")["secrets"].as_array().unwrap().len();
        assert_eq!(left, usize::from(exit != 0), "{answer:?}");
    }
}

#[test]
fn destroy_wants_the_name() {
    for (answer, exit) in [("T\n", 0), ("y\n", 5), ("t\n", 5), ("\n", 5)] {
        let world = World::ready();
        world.ok_with("secrets set T --env dev", "0123456789");
        let mut terminal = AtTerminal::start(&world, "secrets destroy T --env dev");
        terminal.wait_for("Type the name to destroy it: ");
        terminal.type_in(answer);
        let (code, _, seen) = terminal.end();
        assert_eq!(code, exit, "{answer:?}: {seen}");
        let history = world.json("secrets history T --env dev");
        assert_eq!(history["standing"], if exit == 0 { "destroyed" } else { "active" });
    }
}

#[test]
fn an_import_asks_after_its_plan() {
    for (answer, exit, set) in [("y\n", 0, 2), ("n\n", 5, 0)] {
        let world = World::ready();
        world.file("a.env", "A=0123456789\nB=0123456789\n");
        let mut terminal = AtTerminal::start(&world, "secrets import a.env --env dev");
        terminal.wait_for("Set 2 values? [y/N] ");
        terminal.type_in(answer);
        let (code, out, seen) = terminal.end();
        assert_eq!(code, exit, "{seen}");
        assert!(out.contains("2 add, 0 override"), "{out}");
        assert_eq!(world.json("secrets list --env dev")["secrets"].as_array().unwrap().len(), set);
    }
}

#[test]
fn a_home_with_a_passphrase_asks_for_it() {
    let world = World::empty();
    let mut terminal = AtTerminal::start(&world, "init --passphrase");
    terminal.wait_for("New passphrase: ");
    terminal.type_in("correct horse battery\n");
    terminal.wait_for("The same again: ");
    terminal.type_in("correct horse battery\n");
    let (exit, _, seen) = terminal.end();
    assert_eq!(exit, 0, "{seen}");
    for (entry, exit) in [("correct horse battery\n", 0), ("wrong horse battery\n", 7), ("\u{3}", 5)] {
        let mut terminal = AtTerminal::start(&world, "env list");
        terminal.wait_for("Passphrase: ");
        terminal.type_in(entry);
        let (code, _, seen) = terminal.end();
        assert_eq!(code, exit, "{entry:?}: {seen}");
        assert!(!seen.contains("horse"), "{seen}");
    }
    let said = world.run("--json env list", "");
    assert_eq!((said.exit, said.code().as_str()), (7, "no_terminal"));
}
