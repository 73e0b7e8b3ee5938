//! Wrong command lines, told in our own words: what was typed is never repeated, since somebody
//! may have typed a value.

use std::error::Error as _;

use clap::error::{ContextKind, ContextValue, ErrorKind};
use clap::{ColorChoice, CommandFactory, FromArgMatches};
use undertone_core::NameError;

use crate::args::{Cli, Color};
use crate::exit::{Exit, Failure};
use crate::screen::{self, Screen};

/// The command line, or how the program ends without one: help, the version, a usage error.
pub(crate) fn parse() -> Result<Cli, Exit> {
    let arguments: Vec<_> = std::env::args_os().collect();
    let colour = match screen::colours_wanted(early_colour(&arguments), &std::io::stdout()) {
        true => ColorChoice::Always,
        false => ColorChoice::Never,
    };
    let parsed = Cli::command().color(colour).try_get_matches_from(&arguments);
    parsed.and_then(|matches| Cli::from_arg_matches(&matches)).map_err(|error| {
        let screen = Screen::before_parsing(
            arguments.iter().skip(1).take_while(|word| *word != "--").any(|word| word == "--json"),
        );
        match error.kind() {
            ErrorKind::DisplayHelp | ErrorKind::DisplayVersion => {
                let text = error.render();
                let text =
                    if colour == ColorChoice::Always { text.ansi().to_string() } else { text.to_string() };
                screen.end(screen::write_out(&text))
            }
            _ => screen.end(Err(failure(&error))),
        }
    })
}

fn early_colour(arguments: &[std::ffi::OsString]) -> Color {
    let mut wanted = Color::Auto;
    let mut words = arguments.iter().filter_map(|argument| argument.to_str());
    while let Some(word) = words.next() {
        let value = if word == "--color" { words.next() } else { word.strip_prefix("--color=") };
        wanted = match value {
            Some("always") => Color::Always,
            Some("never") => Color::Never,
            _ => wanted,
        };
    }
    wanted
}

fn failure(error: &clap::Error) -> Failure {
    if let Some(name) = error.source().and_then(|source| source.downcast_ref::<NameError>()) {
        return Failure::Name(name.clone());
    }
    Failure::Usage(sentence(error))
}

fn sentence(error: &clap::Error) -> String {
    // These are our own names of options and commands, never what was typed.
    let ours = |kind| error.get(kind).map(texts).unwrap_or_default();
    match error.kind() {
        ErrorKind::ValueValidation => {
            let why = error.source().map(ToString::to_string).unwrap_or_default();
            format!("{}: {why}", ours(ContextKind::InvalidArg))
        }
        ErrorKind::InvalidValue => {
            let possible = ours(ContextKind::ValidValue);
            match possible.is_empty() {
                true => format!("{} needs a value", ours(ContextKind::InvalidArg)),
                false => format!("{} is one of {possible}", ours(ContextKind::InvalidArg)),
            }
        }
        ErrorKind::MissingRequiredArgument => {
            let missing = ours(ContextKind::InvalidArg);
            match missing.contains("--env") {
                true => format!("missing: {missing}. UNDERTONE_ENV can stand for --env"),
                false => format!("missing: {missing}"),
            }
        }
        ErrorKind::ArgumentConflict => {
            let first = ours(ContextKind::InvalidArg);
            format!("{first} can't be used together with {}", ours(ContextKind::PriorArg))
        }
        ErrorKind::UnknownArgument => match ours(ContextKind::SuggestedArg) {
            close if close.is_empty() => "there is an argument that this command doesn't take: see --help. \
                 A secret's value is never an argument"
                .to_owned(),
            close => format!("there is no such option here: did you mean {close}?"),
        },
        ErrorKind::InvalidSubcommand => match ours(ContextKind::SuggestedSubcommand) {
            close if close.is_empty() => "there is no such command: see --help".to_owned(),
            close => format!("there is no such command: did you mean {close}?"),
        },
        ErrorKind::MissingSubcommand | ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand => {
            "a command is missing: see --help".to_owned()
        }
        ErrorKind::WrongNumberOfValues | ErrorKind::TooFewValues | ErrorKind::TooManyValues => {
            format!("{} has the wrong number of values: see --help", ours(ContextKind::InvalidArg))
        }
        ErrorKind::InvalidUtf8 => "an argument isn't UTF-8".to_owned(),
        _ => "the command line is wrong: see --help".to_owned(),
    }
}

fn texts(value: &ContextValue) -> String {
    match value {
        ContextValue::String(text) => text.clone(),
        ContextValue::Strings(texts) => texts.join(", "),
        _ => String::new(),
    }
}
