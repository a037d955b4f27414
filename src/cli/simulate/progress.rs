//! How far a simulation is: a bar on a terminal, one line elsewhere. On standard error.

use std::io::{IsTerminal, stderr};
use std::path::Path;

use indicatif::{HumanBytes, HumanCount, ProgressBar, ProgressStyle};

/// How far it is.
#[derive(Debug)]
pub(super) struct Progress(ProgressBar);

impl Progress {
    pub(super) fn of_requests(count: u64) -> Self {
        let told = format!("simulating {} requests", HumanCount(count));
        Self::new(Some(count), &told, "{human_pos}/{human_len} ({per_sec})")
    }

    /// `length` is not known of a pipe.
    pub(super) fn of_bytes(path: &Path, length: Option<u64>) -> Self {
        let size = length.map(|length| format!(", {}", HumanBytes(length)));
        let told = format!("replaying {}{}", path.display(), size.unwrap_or_default());
        let numbers = match length {
            Some(_) => "{bytes}/{total_bytes} ({bytes_per_sec})",
            None => "{bytes} ({bytes_per_sec})",
        };
        Self::new(length, &told, numbers)
    }

    fn new(length: Option<u64>, told: &str, numbers: &str) -> Self {
        if !stderr().is_terminal() {
            eprintln!("{told}");
            return Self(ProgressBar::hidden());
        }
        let bar = length.map_or_else(ProgressBar::no_length, ProgressBar::new);
        let template = match length {
            Some(_) => format!("{{msg}} [{{bar:30}}] {numbers} {{eta}}"),
            None => format!("{{msg}} {{spinner}} {numbers}"),
        };
        if let Ok(style) = ProgressStyle::with_template(&template) {
            bar.set_style(style.progress_chars("=> "));
        }
        bar.set_message(told.to_owned());
        Self(bar)
    }

    pub(super) fn add(&self, more: u64) {
        self.0.inc(more);
    }

    /// Takes it off the screen.
    pub(super) fn end(&self) {
        self.0.finish_and_clear();
    }
}
