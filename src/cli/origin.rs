//! `rhumb origin`: a small regional API to route to, for demos, compose files and tests.
//!
//! Every answer says which region gave it. Here are the socket, the connections and the end; what
//! is answered to which path is `answer`. Not a server for production: it has no limits but the
//! number of its connections.

mod answer;

use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::{Semaphore, watch};

use crate::model::limits;
use answer::Region;

/// Connections at once.
const CONNECTIONS: u32 = 10_000;
/// How long requests under way may take to finish after a signal to end.
const DRAIN: Duration = Duration::from_secs(5);
/// After a failure to accept, such as exhausted descriptors.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// Arguments of `rhumb origin`.
#[derive(Debug, clap::Args)]
pub struct OriginArgs {
    /// Address to listen on; port 0 lets the system choose
    #[arg(long, value_name = "IP:PORT", default_value = "127.0.0.1:8000")]
    pub address: SocketAddr,
    /// The region it says it is
    #[arg(long, value_name = "REGION", default_value = "local")]
    pub region: String,
    /// Wait this long before each answer, except to /health
    #[arg(long, value_name = "MS", default_value_t = 0, value_parser = clap::value_parser!(u64).range(..=60_000))]
    pub delay_ms: u64,
    /// Write where it listens as JSON
    #[arg(long)]
    pub json: bool,
    /// End when standard input does, so that it never outlives the program that started it
    #[arg(long, hide = true)]
    pub until_stdin_closes: bool,
}

/// An origin that cannot work.
#[derive(Debug, thiserror::Error)]
enum OriginError {
    #[error("cannot start")]
    Runtime(#[source] io::Error),
    #[error("cannot listen on {address}; choose a free address with --address")]
    Listen { address: SocketAddr, source: io::Error },
    #[error("cannot listen for signals")]
    Signals(#[source] io::Error),
}

/// Serves until SIGTERM or SIGINT. Exit code 0: ended as asked; 1: could not start.
pub fn run(args: &OriginArgs) -> ExitCode {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let served = match runtime {
        Ok(runtime) => runtime.block_on(serve(args)),
        Err(error) => Err(OriginError::Runtime(error)),
    };
    match served {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{}", super::report_error(&error));
            ExitCode::FAILURE
        }
    }
}

async fn serve(args: &OriginArgs) -> Result<(), OriginError> {
    let failed = |source| OriginError::Listen { address: args.address, source };
    let mut terminate = signal(SignalKind::terminate()).map_err(OriginError::Signals)?;
    let mut interrupt = signal(SignalKind::interrupt()).map_err(OriginError::Signals)?;
    let listener = TcpListener::bind(args.address).await.map_err(failed)?;
    announce(args, listener.local_addr().map_err(failed)?);

    let region = Arc::new(Region::new(&args.region, Duration::from_millis(args.delay_ms)));
    let (stop, stopped) = watch::channel(false);
    let slots = Arc::new(Semaphore::new(CONNECTIONS as usize));
    tokio::select! {
        () = accept(&listener, &region, &slots, &stopped) => {}
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
        () = stdin_closed(), if args.until_stdin_closes => {}
    }
    drop(listener);
    // Whoever listens is gone already when nobody does.
    let _ = stop.send(true);
    let all = slots.acquire_many(CONNECTIONS);
    if tokio::time::timeout(DRAIN, all).await.is_err() {
        tracing::warn!(region = args.region, "gave up on requests that did not finish");
    }
    Ok(())
}

fn announce(args: &OriginArgs, address: SocketAddr) {
    let region = &args.region;
    if args.json {
        let pid = std::process::id();
        println!(
            "{}",
            serde_json::json!({ "region": region, "address": address.to_string(), "pid": pid })
        );
    } else {
        println!("origin of {region} answers on http://{address}");
    }
}

async fn accept(
    listener: &TcpListener,
    region: &Arc<Region>,
    slots: &Arc<Semaphore>,
    stopped: &watch::Receiver<bool>,
) {
    loop {
        let Ok(slot) = Arc::clone(slots).acquire_owned().await else { return };
        match listener.accept().await {
            Ok((stream, peer)) => {
                let (region, stopped) = (Arc::clone(region), stopped.clone());
                tokio::spawn(async move {
                    connection(stream, peer, region, stopped).await;
                    drop(slot);
                });
            }
            Err(error) => {
                tracing::warn!(%error, "cannot accept; trying again");
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}

async fn connection(
    stream: TcpStream,
    peer: SocketAddr,
    region: Arc<Region>,
    mut stopped: watch::Receiver<bool>,
) {
    // Small answers would wait for acknowledgements otherwise; one that still does is only slower.
    let _ = stream.set_nodelay(true);
    let service = service_fn(move |request| {
        let region = Arc::clone(&region);
        async move { Ok::<_, Infallible>(region.answer(request, peer).await) }
    });
    let mut connection = std::pin::pin!(
        http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(limits::KEEP_ALIVE_IDLE_TIMEOUT)
            .max_headers(limits::HEADER_FIELDS)
            .serve_connection(TokioIo::new(stream), service)
    );
    let mut stopping = false;
    let served = loop {
        tokio::select! {
            served = &mut connection => break served,
            _ = stopped.changed(), if !stopping => {
                stopping = true;
                connection.as_mut().graceful_shutdown();
            }
        }
    };
    if let Err(error) = served {
        tracing::debug!(%peer, %error, "connection ended");
    }
}

/// Resolves when standard input ends. It is read on a thread of its own, which nobody waits for:
/// a read of standard input cannot be given up.
async fn stdin_closed() {
    let (ended, end) = tokio::sync::oneshot::channel();
    let reader = std::thread::Builder::new().name("stdin".to_owned()).spawn(move || {
        // An error ends it like the end does: nobody is there any more.
        let _ = io::copy(&mut io::stdin(), &mut io::sink());
        let _ = ended.send(());
    });
    match reader {
        // The sender is only dropped after it was used.
        Ok(_) => drop(end.await),
        Err(error) => {
            tracing::warn!(%error, "cannot watch standard input");
            std::future::pending::<()>().await;
        }
    }
}
