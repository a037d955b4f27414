//! The demo on a terminal: draws a few times a second, and does what keys say.
//!
//! What is shown is `view`, how it looks is `draw`. The terminal is given back in every case.

mod draw;
mod keys;
mod map;
mod regions;
mod view;

use std::io;
use std::mem::ManuallyDrop;
use std::time::{Duration, Instant};

use ratatui::DefaultTerminal;
use ratatui::backend::CrosstermBackend;
use ratatui::crossterm::cursor::Show;
use ratatui::crossterm::execute;
use ratatui::crossterm::terminal::{
    EnterAlternateScreen, LeaveAlternateScreen, disable_raw_mode, enable_raw_mode,
};
use tokio::runtime::Runtime;

use super::error::DemoError;
use super::interrupt::Interrupted;
use super::places::{PLACES, STRETCHED};
use super::stage::{Plan, Stage};
use super::tally::Tally;
use keys::{Action, Keys};
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
        let keys = Keys::listen()?;
        show(&mut screen.terminal, &keys, runtime, &mut stage, &mut diary, interrupted)
    };
    stage.quiet();
    let tally = stage.shared.tally();
    // When the terminal is gone there is nobody to tell.
    let _ = summarize(&mut io::stdout().lock(), &tally);
    shown.map(|()| tally.failed() == 0)
}

/// What is left on the terminal.
fn summarize(out: &mut dyn io::Write, tally: &Tally) -> io::Result<()> {
    writeln!(out, "{} requests, {} failed", tally.requests(), tally.failed())?;
    for (at, country, failure) in &tally.failures {
        writeln!(out, "  {:.3} s, client in {country}: {failure}", at.as_secs_f64())?;
    }
    Ok(())
}

/// The terminal, given back when it is dropped; a panic gives it back as well.
///
/// It may have gone away by then. `ratatui`'s own ways to give it back print an error in that case,
/// which panics because standard error has gone away as well; so everything is done here.
struct Screen {
    terminal: ManuallyDrop<DefaultTerminal>,
}

impl Screen {
    fn open() -> Result<Self, DemoError> {
        Self::take().inspect_err(|_| give_back()).map_err(DemoError::Terminal)
    }

    fn take() -> io::Result<Self> {
        let before = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |info| {
            give_back();
            before(info);
        }));
        enable_raw_mode()?;
        execute!(io::stdout(), EnterAlternateScreen)?;
        let terminal = DefaultTerminal::new(CrosstermBackend::new(io::stdout()))?;
        Ok(Self { terminal: ManuallyDrop::new(terminal) })
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        give_back();
    }
}

fn give_back() {
    // A terminal that has gone away needs nothing back.
    let _ = execute!(io::stdout(), LeaveAlternateScreen, Show);
    let _ = disable_raw_mode();
}

fn show(
    terminal: &mut DefaultTerminal,
    keys: &Keys,
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
        match keys.wait(next) {
            _ if *interrupted.borrow() => return Ok(()),
            Some(Action::Quit) => return Ok(()),
            Some(action) => perform(stage, diary, action)?,
            None => {}
        }
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
