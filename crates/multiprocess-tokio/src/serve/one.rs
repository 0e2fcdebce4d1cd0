//! One connection of an accept loop: a task that lives as long as it.

use std::future::Future;
use std::time::Duration;

use multiprocess::{Connection, ConnectionBuilder, Interface};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::runtime::Handle;
use tokio::time::{Instant, sleep, sleep_until};
use tokio_util::sync::CancellationToken;

use super::Settings;
use crate::start::start;

/// How often it is looked whether a connection that is to end serves nothing any more.
const LOOK: Duration = Duration::from_millis(5);

/// Starts a connection, and returns the task that ends with it; none where it cannot be started.
pub(super) fn serve_one<S, I>(
    settings: &Settings,
    stream: S,
    object: I,
    handle: &Handle,
    shutdown: CancellationToken,
) -> Option<impl Future<Output = ()> + Send + 'static>
where
    S: AsyncRead + AsyncWrite + Send + 'static,
    I: Interface,
{
    let builder = Connection::builder()
        .limits(settings.limits.clone())
        .first_message(settings.first_message)
        .serve(object);
    let builder = settings.interceptors.iter().cloned().fold(builder, ConnectionBuilder::intercept);
    let (connection, carried) = match start(builder, stream, handle) {
        Ok(started) => started,
        Err(error) => {
            tracing::warn!("cannot serve a connection: {error}");
            return None;
        }
    };
    let grace = settings.grace;
    // Made here: a task that is dropped before it has begun ends its connection, too.
    let ends = Ends(connection);
    Some(async move {
        let Ends(connection) = &ends;
        tokio::select! {
            _reason = connection.disconnected() => {}
            () = shutdown.cancelled() => {
                let deadline = Instant::now().checked_add(grace);
                tokio::select! {
                    () = idle(connection) => {}
                    () = reached(deadline) => {}
                    _reason = connection.disconnected() => {}
                }
                connection.disconnect_because("this server was shut down");
            }
        }
        idle(connection).await;
        // The last answers may be on their way to the stream.
        if let Some(carried) = carried {
            let _ = carried.await;
        }
    })
}

/// Until no method is served over the connection.
async fn idle(connection: &Connection) {
    while !connection.drain(Duration::ZERO) {
        sleep(LOOK).await;
    }
}

async fn reached(deadline: Option<Instant>) {
    match deadline {
        Some(deadline) => sleep_until(deadline).await,
        None => std::future::pending().await,
    }
}

/// Ends the connection when it is dropped.
struct Ends(Connection);

impl Drop for Ends {
    fn drop(&mut self) {
        self.0.disconnect_because("this server was dropped");
    }
}
