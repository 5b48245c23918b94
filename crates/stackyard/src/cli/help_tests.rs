//! Snapshots of every help text, and the rules for short ones.
//!
//! The snapshots are in `crates/stackyard/tests/help`, one file per verb with its subcommands.
//! After a change, run the test with `INSTA_UPDATE=always` and review the difference.

use super::Cli;
use clap::{Command, CommandFactory};
use std::fmt::Write;

/// Columns of the snapshots. A terminal may be narrower.
const WIDTH: usize = 100;

/// The whole command line, without values of this process's environment.
fn command() -> Command {
    let mut command = fixed(Cli::command());
    command.build();
    command
}

fn fixed(command: Command) -> Command {
    command.term_width(WIDTH).mut_args(|argument| argument.hide_env_values(true)).mut_subcommands(fixed)
}

/// Subcommands without clap's own `help`.
fn subcommands(command: &Command) -> impl Iterator<Item = &Command> {
    command.get_subcommands().filter(|sub| sub.get_name() != "help")
}

/// Short and long help of a command and its subcommands.
fn help(command: &Command, name: &str, out: &mut String) {
    let (short, long) = (command.clone().render_help().to_string(), command.clone().render_long_help().to_string());
    // As clap does: a command without longer texts prints the short help for `--help`, too.
    let has_long = short.contains("(see more with '--help')");
    let texts = if has_long { vec![("-h", short), ("--help", long)] } else { vec![("--help", short)] };
    for (option, text) in texts {
        let text: String = text.lines().map(|line| format!("{}\n", line.trim_end())).collect();
        let _ = write!(out, "$ {name} {option}\n{text}\n");
    }
    for sub in subcommands(command) {
        help(sub, &format!("{name} {}", sub.get_name()), out);
    }
}

#[test]
fn every_help_text() {
    let command = command();
    let mut settings = insta::Settings::clone_current();
    settings.set_snapshot_path("../../tests/help");
    settings.set_prepend_module_to_snapshot(false);
    settings.set_omit_expression(true);
    settings.bind(|| {
        insta::assert_snapshot!("stackyard", command.clone().render_help().to_string());
        for verb in subcommands(&command) {
            let mut text = String::new();
            help(verb, &format!("stackyard {}", verb.get_name()), &mut text);
            insta::assert_snapshot!(verb.get_name(), text);
        }
    });
}

/// Short texts of a command, its arguments and its subcommands, each with its place.
fn short_texts(command: &Command, name: &str, out: &mut Vec<(String, String)>) {
    out.push((name.to_owned(), command.get_about().map(ToString::to_string).unwrap_or_default()));
    for argument in command.get_arguments().filter(|a| !matches!(a.get_id().as_str(), "help" | "version")) {
        let text = argument.get_help().map(ToString::to_string).unwrap_or_default();
        out.push((format!("{name} {}", argument.get_id()), text));
    }
    for sub in subcommands(command) {
        short_texts(sub, &format!("{name} {}", sub.get_name()), out);
    }
}

#[test]
fn a_short_help_is_one_short_phrase() {
    let mut texts = Vec::new();
    short_texts(&command(), "stackyard", &mut texts);
    assert!(texts.len() > 200, "{}", texts.len());
    let is_good = |text: &str| {
        let phrase = text.split(" [default:").next().unwrap_or_default();
        let words = phrase.split_whitespace().count();
        (1..=12).contains(&words) && !phrase.ends_with('.')
    };
    let wrong: Vec<_> = texts.iter().filter(|(_, text)| !is_good(text)).collect();
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn no_verb_has_two_arguments_of_one_name() {
    Cli::command().debug_assert();
}
