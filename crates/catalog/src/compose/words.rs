//! A `command` or `entrypoint` that is one line, as words.
//!
//! The specification leaves open how a line is split. This follows Compose itself, whose splitter
//! knows quotes and backslashes and nothing else of a shell: `#` is no comment, and `$(...)` and
//! backquotes hold words together. It differs where Compose loses text or takes a line end for a
//! word: `;`, `&`, `|`, `<`, `>` and parentheses are ordinary characters, a backslash at the end of
//! a line continues it, and in double quotes a backslash escapes only `"`, `\`, `$` and the backquote.

/// Splits a line into words; `None` when a quote or a group is open at its end.
pub(crate) fn split(line: &str) -> Option<Vec<String>> {
    let mut splitter = Splitter { chars: line.chars().peekable(), words: Vec::new(), word: None };
    splitter.run()?;
    Some(splitter.words)
}

struct Splitter<'t> {
    chars: std::iter::Peekable<std::str::Chars<'t>>,
    words: Vec<String>,
    /// The word being read; an empty one is a word when it was quoted.
    word: Option<String>,
}

impl Splitter<'_> {
    fn run(&mut self) -> Option<()> {
        while let Some(c) = self.chars.next() {
            match c {
                ' ' | '\t' | '\r' | '\n' => self.words.extend(self.word.take()),
                '\\' => self.escaped()?,
                '\'' => self.quoted('\'')?,
                '"' => self.quoted('"')?,
                '`' => {
                    self.push('`');
                    self.group('`')?;
                }
                '(' if self.word.as_ref().is_some_and(|w| w.ends_with('$')) => {
                    self.push('(');
                    self.group(')')?;
                }
                c => self.push(c),
            }
        }
        self.words.extend(self.word.take());
        Some(())
    }

    fn push(&mut self, c: char) {
        self.word.get_or_insert_default().push(c);
    }

    /// What follows a backslash outside quotes; a line that it ends continues.
    fn escaped(&mut self) -> Option<()> {
        match self.chars.next()? {
            '\n' => {}
            '\r' if self.chars.peek() == Some(&'\n') => {
                self.chars.next();
            }
            c => self.push(c),
        }
        Some(())
    }

    fn quoted(&mut self, quote: char) -> Option<()> {
        self.word.get_or_insert_default();
        loop {
            match self.chars.next()? {
                c if c == quote => return Some(()),
                '\\' if quote == '"' => match self.chars.next()? {
                    '\n' => {}
                    c @ ('"' | '\\' | '$' | '`') => self.push(c),
                    c => {
                        self.push('\\');
                        self.push(c);
                    }
                },
                c => self.push(c),
            }
        }
    }

    /// Up to the end of a command substitution, which a shell in the container is to see as it is.
    fn group(&mut self, end: char) -> Option<()> {
        let mut open = 1;
        while open > 0 {
            let c = self.chars.next()?;
            self.push(c);
            match c {
                '\\' => {
                    let escaped = self.chars.next()?;
                    self.push(escaped);
                }
                '(' if end == ')' => open += 1,
                c if c == end => open -= 1,
                _ => {}
            }
        }
        Some(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn words_are_those_of_compose() {
        for (line, words) in [
            ("--color #fff --port 1", &["--color", "#fff", "--port", "1"][..]),
            ("java -jar #opt", &["java", "-jar", "#opt"]),
            ("a# #b", &["a#", "#b"]),
            ("  sh -c 'a b' \"c d\"e\\ f ", &["sh", "-c", "a b", "c de f"]),
            ("a '' \"\"", &["a", "", ""]),
            ("server \\\n  --port 1\n# note\n", &["server", "--port", "1", "#", "note"]),
            ("ab\\\ncd", &["abcd"]),
            ("echo \"a\\nb\" \"c\\\"d\" '\\'", &["echo", "a\\nb", "c\"d", "\\"]),
            ("echo $(date +%F) `date -u`", &["echo", "$(date +%F)", "`date -u`"]),
            ("a && b; c | d > e (f)", &["a", "&&", "b;", "c", "|", "d", ">", "e", "(f)"]),
            ("", &[]),
        ] {
            assert_eq!(
                split(line).as_deref(),
                Some(words.iter().map(|w| (*w).to_owned()).collect::<Vec<_>>().as_slice()),
                "{line}"
            );
        }
    }

    #[test]
    fn what_is_open_is_told() {
        for line in ["it's", "\"a", "a\\", "echo $(date", "echo `date"] {
            assert_eq!(split(line), None, "{line}");
        }
    }

    proptest! {
        #[test]
        fn never_panics(line in "[a '\"\\\\$()`#\n]{0,40}") {
            let _ = split(&line);
        }

        #[test]
        fn quoted_text_is_one_word(text in "[^']*") {
            prop_assert_eq!(split(&format!("'{text}'")), Some(vec![text]));
        }
    }
}
