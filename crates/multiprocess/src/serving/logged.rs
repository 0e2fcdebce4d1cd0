//! What the log and the statistics say of the calls that this process serves. Only where one of them is on.

use std::time::Duration;

use tracing::Span;

use crate::call_log::{self, Called, Outcome};
use crate::call_span::{self, Begun};
use crate::connection::{ArcConn, Followup};
use crate::stats::{self, Side};
use crate::threads::{About, RunningId, Token, serving_now};
use crate::{Error, Result};

fn called(conn: &ArcConn, id: RunningId, method: &'static str) -> Called {
    let peer = conn.peer_name().map(str::to_owned);
    Called { connection: conn.number(), peer, number: id as u64, method }
}

/// The call that this thread serves begins.
#[cold]
pub(crate) fn begins(parameters: Option<&str>) {
    let Some((conn, id, about)) = serving_now() else { return };
    let called = called(&conn, id, about.method);
    call_log::received(&called, about.bytes, about.since.elapsed(), parameters);
}

/// The span of a call that begins.
#[cold]
pub(super) fn span(conn: &ArcConn, id: RunningId, token: &Token) -> Span {
    let about = &token.about;
    call_span::begin(&Begun {
        side: Side::Served,
        method: about.method,
        connection: conn.number(),
        peer: conn.peer_name(),
        number: id as u64,
        bytes: about.bytes,
        trace: token.carried.as_ref().and_then(|carried| carried.trace),
    })
}

/// A call has ended in this way. `span`: its own, if it has one.
#[cold]
pub(super) fn ended(
    conn: &ArcConn,
    id: RunningId,
    about: &About,
    outcome: &Outcome<'_>,
    span: &Span,
) {
    let took = about.since.elapsed();
    if stats::is_on() {
        let bytes = (about.bytes, outcome.bytes().unwrap_or(0));
        stats::record(about.method, Side::Served, outcome.end(), took, bytes);
    }
    if call_log::is_on() {
        call_log::answers(&called(conn, id, about.method), took, outcome);
    }
    call_span::end(span, outcome, took);
}

/// How a served call has ended. `told` is what became of its answer: None where the connection has ended, else
/// its size, or why it could not be written. `cancelled`: nobody waited for it.
pub(super) fn outcome<'a>(
    error: Option<&'a Error>,
    told: Option<&'a Result<usize>>,
    cancelled: bool,
    lost: &'a Error,
) -> Outcome<'a> {
    match (error, told) {
        (_, None) => Outcome::Lost(lost),
        _ if cancelled => Outcome::Cancelled,
        (Some(error), _) | (None, Some(Err(error))) => Outcome::Failed(error),
        (None, Some(Ok(bytes))) => Outcome::Answered(Some(*bytes)),
    }
}

/// A call was answered with an error without having run. Said outside the lock, which may be held here.
#[cold]
pub(super) fn abandoned(conn: &ArcConn, id: RunningId, about: About, error: Error, span: Span) {
    conn.defer(move |core, conn| {
        let conn = ArcConn::clone(conn);
        let say = move || {
            let outcome = match conn.ended() {
                Some(lost) => Outcome::Lost(lost),
                None if matches!(error, Error::Cancelled) => Outcome::Cancelled,
                None => Outcome::Failed(&error),
            };
            ended(&conn, id, &about, &outcome, &span);
        };
        core.followups.push(Followup::Run(Box::new(say)));
    });
}

/// A call was refused before it could run: said outside the lock. `name`: its interface.
#[cold]
pub(super) fn refused(conn: &ArcConn, name: &'static str, error: &Error) -> Followup {
    let (conn, error) = (ArcConn::clone(conn), error.clone());
    Followup::Run(Box::new(move || {
        let (took, outcome) = (Duration::ZERO, Outcome::Failed(&error));
        if stats::is_on() {
            stats::record(name, Side::Served, outcome.end(), took, (0, 0));
        }
        if call_log::is_on() {
            call_log::answers(&called(&conn, 0, name), took, &outcome);
        }
    }))
}
