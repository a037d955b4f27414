//! The demo on a terminal: draws a few times a second, and does what keys say.
//!
//! What is shown is `view`, how it looks is `draw`. The terminal is given back in every case.

mod draw;
mod map;
mod view;

use std::io;
use std::time::{Duration, Instant};

use ratatui::DefaultTerminal;
use ratatui::crossterm::event::{self, Event, KeyCode, KeyEvent, KeyEventKind, KeyModifiers};
use tokio::runtime::Runtime;

use super::error::DemoError;
use super::interrupt::Interrupted;
use super::places::{COUNT, PLACES, STRETCHED};
use super::stage::{Plan, Stage};
use view::{Diary, View};

/// Between two pictures.
const REFRESH: Duration = Duration::from_millis(200);

/// Shows it until somebody quits. True when no request failed.
pub(super) fn run(
    runtime: &Runtime,
    plan: Plan,
    interrupted: &Interrupted,
) -> Result<bool, DemoError> {
    let mut stage = runtime.block_on(Stage::set(plan))?;
    let mut diary = Diary::new(Instant::now());
    let shown = {
        let mut screen = Screen::open()?;
        show(&mut screen.terminal, runtime, &mut stage, &mut diary, interrupted)
    };
    stage.quiet();
    let tally = stage.shared.tally();
    let (requests, failed) = (tally.requests(), tally.failed());
    println!("{requests} requests, {failed} failed");
    for (at, country, failure) in &tally.failures {
        println!("  {:.3} s, client in {country}: {failure}", at.as_secs_f64());
    }
    drop(tally);
    shown.map(|()| failed == 0)
}

/// The terminal, given back when it is dropped; a panic gives it back as well.
struct Screen {
    terminal: DefaultTerminal,
}

impl Screen {
    fn open() -> Result<Self, DemoError> {
        Ok(Self { terminal: ratatui::try_init().map_err(DemoError::Terminal)? })
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        ratatui::restore();
    }
}

fn show(
    terminal: &mut DefaultTerminal,
    runtime: &Runtime,
    stage: &mut Stage,
    diary: &mut Diary,
    interrupted: &Interrupted,
) -> Result<(), DemoError> {
    loop {
        let (epoch, status) = runtime.block_on(stage.status())?;
        diary.take_events(epoch, &status.events);
        let view = View::of(stage, diary);
        terminal.draw(|frame| draw::all(frame, &view)).map_err(DemoError::Terminal)?;
        let next = Instant::now() + REFRESH;
        while let Some(left) = next.checked_duration_since(Instant::now()) {
            if *interrupted.borrow() {
                return Ok(());
            }
            match key(left).map_err(DemoError::Terminal)? {
                Some(Action::Quit) => return Ok(()),
                Some(action) => {
                    perform(stage, diary, action)?;
                    break;
                }
                None => {}
            }
        }
    }
}

/// What a key asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Action {
    /// Kill a region's origin, or revive it.
    Toggle(usize),
    Reload,
    /// Draw again.
    Refresh,
    Quit,
}

/// Waits for a key.
fn key(patience: Duration) -> io::Result<Option<Action>> {
    if !event::poll(patience)? {
        return Ok(None);
    }
    Ok(match event::read()? {
        Event::Key(key) if key.kind == KeyEventKind::Press => action(key),
        Event::Resize(..) => Some(Action::Refresh),
        _ => None,
    })
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

fn perform(stage: &mut Stage, diary: &mut Diary, action: Action) -> Result<(), DemoError> {
    match action {
        Action::Toggle(region) => {
            let id = PLACES.get(region).map_or("", |place| place.id);
            match stage.kill(region)? {
                Some(death) => {
                    diary.note(format!("you: kill -9 {}, the origin of {id}", death.pid));
                }
                None => {
                    stage.revive(region)?;
                    let pid = stage.pid(region).unwrap_or_default();
                    diary.note(format!("you: started the origin of {id} again, process {pid}"));
                }
            }
        }
        Action::Reload => {
            let id = PLACES.get(STRETCHED).map_or("", |place| place.id);
            match stage.rewrite()? {
                Some(rewrite) => {
                    let (from, to) = (rewrite.from, rewrite.to);
                    diary.note(format!("you: changed the bias of {id} from {from} to {to}"));
                    diary.expect_reload(rewrite.at);
                }
                None => diary.note("you: the last change is not taken up yet".to_owned()),
            }
        }
        Action::Refresh | Action::Quit => {}
    }
    Ok(())
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
