//! The first answers of names that are new: whoever starts or reloads waits for them a little, so that
//! no region looks dead only because nobody has asked yet where it is.

use std::time::{Duration, Instant};

use tokio::sync::mpsc;
use tokio::time::timeout_at;

use super::ask::{Answered, Asker};
use super::book::Book;
use crate::config::Config;
use crate::model::limits;

/// Over the time of a lookup: for what is around it.
const SLACK: Duration = Duration::from_millis(250);

/// Asks for every name of the configuration that `known` does not name as well, and waits for the
/// answers, at most for as long as a lookup may take. `epoch` is what times count from.
pub async fn first_answers(config: &Config, known: Option<&Config>, epoch: Instant) -> Book {
    let mut book = Book::default();
    book.adopt(config, None, epoch.elapsed());
    if let Some(known) = known {
        book.leave_out(&known.questions());
    }
    let (sender, mut answers) = mpsc::channel(limits::NAMES_IN_FLIGHT);
    let mut asker = Asker::new(sender);
    asker.adopt(&config.names);
    let deadline = tokio::time::Instant::now() + config.names.timeout + SLACK;
    while !book.is_settled() {
        for order in book.orders(epoch.elapsed()) {
            asker.start(order);
        }
        let Ok(Some(Answered { order, reply })) = timeout_at(deadline, answers.recv()).await else {
            break;
        };
        let question = order.question.clone();
        let verdict = book.answered(&order, reply, epoch.elapsed(), fastrand::u64(..));
        if let Some(trouble) = verdict.news {
            tracing::warn!(name = %question, %trouble, "name of endpoints has no good answer yet");
        }
    }
    book.give_up(epoch.elapsed(), fastrand::u64(..));
    book
}

/// The same where nothing else runs.
///
/// # Errors
///
/// When there can be no runtime.
pub fn first_answers_blocking(
    config: &Config,
    known: Option<&Config>,
    epoch: Instant,
) -> std::io::Result<Book> {
    if known.is_some_and(|known| config.questions().is_subset(&known.questions())) {
        return Ok(Book::default());
    }
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    Ok(runtime.block_on(first_answers(config, known, epoch)))
}
