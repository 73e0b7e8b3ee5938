//! What the program says and where: results to standard output, the rest to standard error, and
//! no control sequence that came from outside.

use std::io::{self, IsTerminal, Write};

use anstyle::{AnsiColor, Style};
use serde_json::Value;

use crate::args::{Color, Global};
use crate::exit::{Exit, Failure};
use crate::wire;

/// Where answers go and how they look.
pub(crate) struct Screen {
    form: Form,
    quiet: bool,
    colour_out: bool,
    colour_err: bool,
}

/// Who reads the answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Form {
    /// A person.
    Text,
    /// A program.
    Json,
}

impl Screen {
    pub(crate) fn new(global: &Global) -> Self {
        Self {
            form: if global.json { Form::Json } else { Form::Text },
            quiet: global.quiet,
            colour_out: colours_wanted(global.color, &io::stdout()),
            colour_err: colours_wanted(global.color, &io::stderr()),
        }
    }

    /// For command lines that couldn't be parsed.
    pub(crate) fn before_parsing(json: bool) -> Self {
        let form = if json { Form::Json } else { Form::Text };
        Self { form, quiet: false, colour_out: false, colour_err: colours_wanted(Color::Auto, &io::stderr()) }
    }

    pub(crate) fn form(&self) -> Form {
        self.form
    }

    /// The result that was asked for, such as a table.
    pub(crate) fn answer(
        &self,
        text: impl FnOnce() -> String,
        json: impl FnOnce() -> Value,
    ) -> Result<(), Failure> {
        match self.form {
            Form::Text => write_out(&text()),
            Form::Json => write_out(&(wire::to_text(&json()) + "\n")),
        }
    }

    /// A sentence of success; `--quiet` drops it.
    pub(crate) fn done(
        &self,
        text: impl FnOnce() -> String,
        json: impl FnOnce() -> Value,
    ) -> Result<(), Failure> {
        match (self.form, self.quiet) {
            (Form::Text, true) => Ok(()),
            (Form::Text, false) | (Form::Json, _) => self.answer(text, json),
        }
    }

    /// Something good to know. Not part of the result.
    pub(crate) fn note(&self, text: &str) {
        if self.form == Form::Text && !self.quiet {
            self.tell(Style::new().dimmed(), "note", text);
        }
    }

    /// Something that is probably wrong. In JSON it is part of the result.
    pub(crate) fn warn(&self, text: &str) {
        if self.form == Form::Text {
            self.tell(AnsiColor::Yellow.on_default(), "warning", text);
        }
    }

    /// What is about to happen. Said to whoever is asked for a yes; a program that has given its
    /// yes gets JSON only.
    pub(crate) fn before_acting(&self, has_yes: bool, text: &str) {
        let wanted = match self.form {
            Form::Text => !(has_yes && self.quiet),
            Form::Json => !has_yes && crate::prompt::can_ask(),
        };
        if wanted {
            let _ = write!(io::stderr(), "{}", shown_lines(text));
        }
    }

    /// Ends the program: says why it failed, if it did.
    pub(crate) fn end(&self, done: Result<(), Failure>) -> Exit {
        let Err(failure) = done else {
            return Exit::Ok;
        };
        let (exit, _) = failure.codes();
        match (self.form, &failure) {
            (_, Failure::Closed) => {}
            (Form::Text, _) => self.tell(AnsiColor::Red.on_default().bold(), "error", &failure.to_string()),
            (Form::Json, _) => {
                let _ = writeln!(io::stderr(), "{}", wire::to_text(&wire::failure(&failure)));
            }
        }
        exit
    }

    /// Whether moving things such as progress bars may be drawn on standard error.
    pub(crate) fn may_draw(&self) -> bool {
        self.form == Form::Text && !self.quiet && io::stderr().is_terminal()
    }

    /// A style for standard output.
    pub(crate) fn style(&self, style: Style) -> Style {
        if self.colour_out { style } else { Style::new() }
    }

    fn tell(&self, style: Style, what: &str, text: &str) {
        let style = if self.colour_err { style } else { Style::new() };
        let _ = writeln!(io::stderr(), "{style}{what}{style:#}: {}", shown(text));
    }
}

/// Whether to colour what goes to this stream. `NO_COLOR` and a stream that is no terminal turn
/// `auto` off.
pub(crate) fn colours_wanted(color: Color, stream: &impl IsTerminal) -> bool {
    let is_set = |name| std::env::var_os(name).is_some_and(|value| !value.is_empty());
    match color {
        Color::Always => true,
        Color::Never => false,
        Color::Auto => {
            stream.is_terminal()
                && !is_set("NO_COLOR")
                && std::env::var_os("TERM").is_none_or(|term| term != "dumb")
        }
    }
}

/// Writes to standard output. A reader that has gone away ends the program quietly.
pub(crate) fn write_out(text: &str) -> Result<(), Failure> {
    let mut out = io::stdout().lock();
    out.write_all(text.as_bytes()).and_then(|()| out.flush()).map_err(|error| match error.kind() {
        io::ErrorKind::BrokenPipe => Failure::Closed,
        kind => Failure::Output(kind),
    })
}

/// A text from outside on one line: hidden characters as `\u{..}`, nothing cut.
pub(crate) fn shown(text: &str) -> String {
    text.chars().fold(String::with_capacity(text.len()), |mut out, c| {
        match c {
            '\n' => out.push_str("\\n"),
            c if undertone_core::is_hidden(c) => out.extend(c.escape_unicode()),
            c => out.push(c),
        }
        out
    })
}

/// The same for a text of several lines.
pub(crate) fn shown_lines(text: &str) -> String {
    text.split('\n').map(shown).collect::<Vec<_>>().join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_control_sequence_passes() {
        for (text, want) in [
            ("plain", "plain"),
            ("\u{1b}[31mred", "\\u{1b}[31mred"),
            ("a\u{9b}2Jb", "a\\u{9b}2Jb"),
            ("a\nb\r", "a\\nb\\u{d}"),
            ("\u{202e}abc", "\\u{202e}abc"),
        ] {
            assert_eq!(shown(text), want);
        }
        assert_eq!(shown_lines("a\n\u{7}b"), "a\n\\u{7}b");
    }
}
