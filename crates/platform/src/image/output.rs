//! What the output of a build means: how far apt, dpkg and pip got, and the last lines.
//!
//! A script of a recipe says what it does next with a line `==> compiling`.

use stackyard_core::progress::{Amount, Unit};
use std::collections::VecDeque;

/// Lines that an error quotes.
const TAIL: usize = 25;

/// Follows the output of one build, line by line.
#[derive(Debug, Default)]
pub struct Output {
    partial: String,
    tail: VecDeque<String>,
    /// The step that runs: number, of how many, and its instruction shortened to one line.
    pub step: Option<(u64, u64, String)>,
    pip_total: u64,
    phase: OutputPhase,
}

#[derive(Debug, Default, PartialEq)]
enum OutputPhase {
    #[default]
    Other,
    /// apt downloads: bytes of the files begun before the last one, of the last one, of all.
    Apt { done: u64, last: u64, total: u64, packages: u64 },
    /// dpkg works: unpacked and configured packages of twice the number of packages.
    Dpkg { done: u64, total: u64 },
    /// pip downloads: bytes of finished files, of the one under way and its size, and whether
    /// pip itself counts it, which it does for files of more than 512 KiB.
    Pip { done: u64, now: u64, size: u64, counted: bool },
}

/// News from a line of output.
#[derive(Debug, PartialEq)]
pub enum OutputEvent {
    /// Nothing that a step's progress shows.
    None,
    /// The step does something else now.
    Doing(String, Option<Amount>),
    /// The step got further.
    Amount(Amount),
}

impl Output {
    /// Follows a build in which pip downloads `pip_total` bytes (0: not known).
    pub fn new(pip_total: u64) -> Self {
        Self { pip_total, ..Self::default() }
    }

    /// Takes a piece of output, which may hold parts of lines; calls `tell` for each news.
    pub fn take(&mut self, piece: &str, mut tell: impl FnMut(OutputEvent)) {
        self.partial.push_str(piece);
        while let Some(end) = self.partial.find(['\n', '\r']) {
            let line: String = self.partial.drain(..=end).collect();
            match self.line(line.trim_end()) {
                OutputEvent::None => {}
                news => tell(news),
            }
        }
    }

    /// The last lines, for an error; URLs have lost their credentials.
    pub fn tail(&self) -> String {
        let partial = (!self.partial.trim().is_empty()).then(|| without_credentials(&self.partial));
        self.tail.iter().cloned().chain(partial).collect::<Vec<_>>().join("\n")
    }

    fn line(&mut self, line: &str) -> OutputEvent {
        let line = &without_escapes(line);
        if line.is_empty() {
            return OutputEvent::None;
        }
        if let Some((done, size)) = pip_progress(line) {
            return self.pip(done, size);
        }
        if self.tail.len() == TAIL {
            self.tail.pop_front();
        }
        self.tail.push_back(without_credentials(line));
        if let Some((number, of, instruction)) = step(line) {
            let instruction = shortened(instruction);
            self.step = Some((number, of, instruction.clone()));
            self.phase = OutputPhase::Other;
            self.tail.clear();
            // the builder's own labels are no news
            let ours = instruction.starts_with("LABEL dev.stackyard.");
            return if ours {
                OutputEvent::None
            } else {
                OutputEvent::Doing(format!("step {number}/{of}: {instruction}"), None)
            };
        }
        if line.contains("Using cache") && line.trim_start().starts_with("--->") {
            return OutputEvent::None;
        }
        if let Some(doing) = line.strip_prefix("==> ") {
            self.phase = OutputPhase::Other;
            return OutputEvent::Doing(doing.to_owned(), None);
        }
        self.apt(line)
    }

    fn apt(&mut self, line: &str) -> OutputEvent {
        let words: Vec<&str> = line.split_ascii_whitespace().collect();
        match words.as_slice() {
            [_, "upgraded,", new, "newly", "installed,", ..] => {
                let packages = new.parse().unwrap_or(0);
                self.phase = OutputPhase::Apt { done: 0, last: 0, total: 0, packages };
                OutputEvent::None
            }
            // "Need to get 3 B of archives.", "Need to get 1 B/3 B of archives."
            ["Need", "to", "get", number, unit, ..] => {
                let number = number.rsplit('/').next().unwrap_or(number);
                let bytes = size(number, unit.split('/').next().unwrap_or(unit)).unwrap_or(0);
                let packages = if let OutputPhase::Apt { packages, .. } = self.phase { packages } else { 0 };
                self.phase = OutputPhase::Apt { done: 0, last: 0, total: bytes, packages };
                OutputEvent::Doing("downloading packages".to_owned(), self.amount())
            }
            [get, ..] if get.starts_with("Get:") => {
                let OutputPhase::Apt { done, last, total, .. } = &mut self.phase else { return OutputEvent::None };
                // a line comes when a download starts, so the one before has ended
                *done = (*done + *last).min(*total);
                *last = bracketed(line).unwrap_or(0);
                self.amount().map_or(OutputEvent::None, OutputEvent::Amount)
            }
            ["Fetched", ..] | ["Selecting", "previously", ..] | ["Preparing", "to", "unpack", ..]
                if matches!(self.phase, OutputPhase::Apt { .. }) =>
            {
                let OutputPhase::Apt { packages, .. } = self.phase else { return OutputEvent::None };
                self.phase = OutputPhase::Dpkg { done: 0, total: packages * 2 };
                OutputEvent::Doing("installing packages".to_owned(), self.amount())
            }
            ["Unpacking", ..] | ["Setting", "up", ..] => {
                let OutputPhase::Dpkg { done, total } = &mut self.phase else { return OutputEvent::None };
                *done = (*done + 1).min(*total);
                self.amount().map_or(OutputEvent::None, OutputEvent::Amount)
            }
            // "Downloading name-1.0-py3-none-any.whl (12 kB)"
            ["Downloading", _, number, unit] if self.pip_total > 0 => {
                let size = size(number.trim_start_matches('('), unit.trim_end_matches(')')).unwrap_or(0);
                let begun = self.pip_phase();
                if let OutputPhase::Pip { done, now, size: former, counted } = &mut self.phase {
                    *done += *former;
                    (*now, *former, *counted) = (0, size, false);
                }
                self.pip_news(begun)
            }
            ["Building", "wheel", "for", name, .., "started"] => {
                self.phase = OutputPhase::Other;
                OutputEvent::Doing(format!("building the wheel of {name}"), None)
            }
            ["Installing", "collected", "packages:", ..] => {
                self.phase = OutputPhase::Other;
                OutputEvent::Doing("installing wheels".to_owned(), None)
            }
            _ => OutputEvent::None,
        }
    }

    fn pip(&mut self, at: u64, of: u64) -> OutputEvent {
        let begun = self.pip_phase();
        if let OutputPhase::Pip { done, now, size, counted } = &mut self.phase {
            if *counted && (*size != of || at < *now) {
                // another file, which no line announced: the one before it is complete
                *done += *size;
            }
            (*now, *size, *counted) = (at, of, true);
        }
        self.pip_news(begun)
    }

    /// Says whether pip's downloads begin now.
    fn pip_phase(&mut self) -> bool {
        let begun = !matches!(self.phase, OutputPhase::Pip { .. });
        if begun {
            self.phase = OutputPhase::Pip { done: 0, now: 0, size: 0, counted: false };
        }
        begun
    }

    fn pip_news(&self, begun: bool) -> OutputEvent {
        match self.amount() {
            amount if begun => OutputEvent::Doing("downloading wheels".to_owned(), amount),
            Some(amount) => OutputEvent::Amount(amount),
            None => OutputEvent::None,
        }
    }

    fn amount(&self) -> Option<Amount> {
        match self.phase {
            OutputPhase::Apt { done, total, .. } if total > 0 => {
                Some(Amount { done, total: Some(total), unit: Unit::Bytes })
            }
            OutputPhase::Dpkg { done, total } if total > 0 => {
                Some(Amount { done, total: Some(total), unit: Unit::Items })
            }
            OutputPhase::Pip { done, now, .. } => {
                let done = done + now;
                let total = (self.pip_total > 0).then_some(self.pip_total.max(done));
                Some(Amount { done, total, unit: Unit::Bytes })
            }
            _ => None,
        }
    }
}

/// `Step 3/12 : RUN x` -> 3, 12, `RUN x`.
fn step(line: &str) -> Option<(u64, u64, &str)> {
    let (numbers, instruction) = line.strip_prefix("Step ")?.split_once(" : ")?;
    let (number, of) = numbers.split_once('/')?;
    Some((number.parse().ok()?, of.parse().ok()?, instruction))
}

/// `Progress 5 of 9`, which pip writes with `--progress-bar raw`.
fn pip_progress(line: &str) -> Option<(u64, u64)> {
    let (done, total) = line.trim().strip_prefix("Progress ")?.split_once(" of ")?;
    Some((done.parse().ok()?, total.parse().ok()?))
}

/// The size in `[12.3 kB]` at the end of apt's `Get:` line, in bytes.
fn bracketed(line: &str) -> Option<u64> {
    let inner = line.trim_end().strip_suffix(']')?.rsplit_once('[')?.1;
    let (number, unit) = inner.split_once(' ')?;
    size(number, unit)
}

/// A size as apt writes it (powers of 1000, commas between thousands), in bytes.
fn size(number: &str, unit: &str) -> Option<u64> {
    let factor = match unit {
        "B" => 1.0,
        "kB" => 1e3,
        "MB" => 1e6,
        "GB" => 1e9,
        _ => return None,
    };
    let number: f64 = number.replace(',', "").parse().ok()?;
    Some((number * factor) as u64)
}

/// The instruction on one line, at most 60 characters.
fn shortened(instruction: &str) -> String {
    let line = instruction.split_ascii_whitespace().collect::<Vec<_>>().join(" ");
    let line = without_credentials(&line);
    match line.char_indices().nth(60) {
        Some((end, _)) => format!("{}...", &line[..end]),
        None => line,
    }
}

/// Without terminal escape sequences (`ESC [ ... letter`), which Docker's builder and pip write.
fn without_escapes(line: &str) -> String {
    let mut text = String::with_capacity(line.len());
    let mut chars = line.chars();
    while let Some(c) = chars.next() {
        if c != '\u{1b}' {
            text.push(c);
        } else if chars.next() == Some('[') {
            for c in chars.by_ref() {
                if c.is_ascii_alphabetic() {
                    break;
                }
            }
        }
    }
    text
}

/// `text` with `user:password@` in URLs replaced by `***@`.
pub fn without_credentials(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find("://") {
        let (head, tail) = rest.split_at(at + 3);
        out.push_str(head);
        let end = tail.find(|c: char| c.is_whitespace() || "/\"'<>".contains(c)).unwrap_or(tail.len());
        rest = match tail[..end].rfind('@') {
            Some(at) => {
                out.push_str("***");
                &tail[at..]
            }
            None => tail,
        };
    }
    out.push_str(rest);
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn feed(output: &mut Output, text: &str) -> Vec<OutputEvent> {
        let mut news = Vec::new();
        output.take(text, |n| news.push(n));
        news
    }

    fn bytes(done: u64, total: u64) -> Amount {
        Amount { done, total: Some(total), unit: Unit::Bytes }
    }

    #[test]
    fn apt_downloads_then_installs() {
        let mut output = Output::new(0);
        let news = feed(
            &mut output,
            "Step 2/3 : RUN apt-slim   a b\n ---> Running in 1\nGet:1 http://m/debian bookworm InRelease [151 kB]\n\
             0 upgraded, 2 newly installed, 0 to remove and 0 not upgraded.\nNeed to get 1,500 kB of archives.\n\
             Get:1 http://m/debian bookworm/main amd64 a amd64 1 [500 kB]\n\
             Get:2 http://m/debian bookworm/main amd64 b amd64 1 [1000 kB]\nFetched 1,500 kB in 0s (3 MB/s)\n\
             Selecting previously unselected package a.\nUnpacking a (1) ...\nSetting up a (1) ...\n",
        );
        let items = |done| Amount { done, total: Some(4), unit: Unit::Items };
        assert_eq!(
            news,
            [
                OutputEvent::Doing("step 2/3: RUN apt-slim a b".into(), None),
                OutputEvent::Doing("downloading packages".into(), Some(bytes(0, 1_500_000))),
                OutputEvent::Amount(bytes(0, 1_500_000)),
                OutputEvent::Amount(bytes(500_000, 1_500_000)),
                OutputEvent::Doing("installing packages".into(), Some(items(0))),
                OutputEvent::Amount(items(1)),
                OutputEvent::Amount(items(2)),
            ]
        );
        assert_eq!(output.step, Some((2, 3, "RUN apt-slim a b".into())));
    }

    #[test]
    fn pip_adds_up_files() {
        let mut output = Output::new(300);
        let news = feed(&mut output, "Progress 0 of 100\nProgress 100 of 100\nProgress 10 of 100\nProgr");
        assert_eq!(
            news,
            [
                OutputEvent::Doing("downloading wheels".into(), Some(bytes(0, 300))),
                OutputEvent::Amount(bytes(100, 300)),
                OutputEvent::Amount(bytes(110, 300)),
            ]
        );
        assert_eq!(feed(&mut output, "ess 50 of 70\n"), [OutputEvent::Amount(bytes(250, 300))]);
    }

    #[test]
    fn pip_counts_small_files_only_in_words() {
        let mut output = Output::new(3000);
        let news = feed(
            &mut output,
            "  Downloading a-1.0-py3-none-any.whl (1.0 kB)\nDownloading b-1.0-py3-none-any.whl (0.9 kB)\n\
             Progress 400 of 910\nProgress 910 of 910\nDownloading c.whl (0.5 kB)\nInstalling collected packages: a\n",
        );
        assert_eq!(
            news,
            [
                OutputEvent::Doing("downloading wheels".into(), Some(bytes(0, 3000))),
                OutputEvent::Amount(bytes(1000, 3000)),
                OutputEvent::Amount(bytes(1400, 3000)),
                OutputEvent::Amount(bytes(1910, 3000)),
                OutputEvent::Amount(bytes(1910, 3000)),
                OutputEvent::Doing("installing wheels".into(), None),
            ]
        );
    }

    #[test]
    fn the_tail_keeps_no_credentials() {
        let mut output = Output::new(0);
        feed(
            &mut output,
            "Looking in indexes: https://me:s3c@ret@index.example/simple\n\u{1b}[91mERROR\u{1b}[0m\nno newline",
        );
        assert_eq!(output.tail(), "Looking in indexes: https://***@index.example/simple\nERROR\nno newline");
    }
}
