//! What keys ask for. They are read on a thread of their own, which nobody waits for: reading from
//! a terminal that has gone away may never return.

use std::io;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::time::Instant;

use ratatui::crossterm::event::{self, Event, KeyCode, KeyEvent, KeyEventKind, KeyModifiers};

use super::super::error::DemoError;
use super::super::places::COUNT;

/// Keys that wait; somebody leans on the keyboard when there are more.
const WAITING: usize = 16;

/// What a key asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Action {
    /// Kill a region's origin, or revive it.
    Toggle(usize),
    Reload,
    /// Draw again.
    Refresh,
    Quit,
}

/// The keys that were pressed.
#[derive(Debug)]
pub(super) struct Keys(Receiver<Action>);

impl Keys {
    /// Starts the thread that reads.
    pub(super) fn listen() -> Result<Self, DemoError> {
        let (pressed, keys) = sync_channel(WAITING);
        let thread = std::thread::Builder::new().name("demo-keys".to_owned()).spawn(move || {
            if let Err(error) = read(&pressed) {
                // Without keys there is no other way to end than a signal, so end.
                tracing::debug!(%error, "cannot read keys");
                let _ = pressed.send(Action::Quit);
            }
        });
        thread.map_err(DemoError::Terminal)?;
        Ok(Self(keys))
    }

    /// Waits for a key until then.
    pub(super) fn wait(&self, until: Instant) -> Option<Action> {
        match self.0.recv_timeout(until.saturating_duration_since(Instant::now())) {
            Ok(action) => Some(action),
            Err(RecvTimeoutError::Timeout) => None,
            Err(RecvTimeoutError::Disconnected) => Some(Action::Quit),
        }
    }
}

fn read(pressed: &SyncSender<Action>) -> io::Result<()> {
    loop {
        let action = match event::read()? {
            Event::Key(key) if key.kind == KeyEventKind::Press => action(key),
            Event::Resize(..) => Some(Action::Refresh),
            _ => None,
        };
        if let Some(action) = action
            && pressed.send(action).is_err()
        {
            return Ok(());
        }
    }
}

fn action(key: KeyEvent) -> Option<Action> {
    match key.code {
        KeyCode::Char('c' | 'd') if key.modifiers.contains(KeyModifiers::CONTROL) => {
            Some(Action::Quit)
        }
        KeyCode::Char('q') | KeyCode::Esc => Some(Action::Quit),
        KeyCode::Char('r') => Some(Action::Reload),
        KeyCode::Char(digit) => {
            let region = (digit.to_digit(10)? as usize).checked_sub(1)?;
            (region < COUNT).then_some(Action::Toggle(region))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_do_what_the_footer_says() {
        let press = |code, modifiers| action(KeyEvent::new(code, modifiers));
        let plain = |c| press(KeyCode::Char(c), KeyModifiers::NONE);
        assert_eq!(plain('1'), Some(Action::Toggle(0)));
        assert_eq!(plain('3'), Some(Action::Toggle(2)));
        for c in ['0', '4', '9', 'x', 'c'] {
            assert_eq!(plain(c), None, "{c}");
        }
        assert_eq!(plain('r'), Some(Action::Reload));
        assert_eq!(plain('q'), Some(Action::Quit));
        assert_eq!(press(KeyCode::Char('c'), KeyModifiers::CONTROL), Some(Action::Quit));
    }
}
