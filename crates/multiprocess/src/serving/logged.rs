//! What the log says of the calls that this process serves. Only where they are logged.

use crate::Error;
use crate::call_log::{self, Called, Outcome};
use crate::connection::{ArcConn, Followup};
use crate::threads::{About, RunningId, serving_now};

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

/// A call was answered, with so many bytes or an error.
#[cold]
pub(super) fn ended(
    conn: &ArcConn,
    id: RunningId,
    about: &About,
    bytes: Option<usize>,
    error: Option<&Error>,
) {
    let error = error.map(|error| error as &dyn std::fmt::Display);
    let called = called(conn, id, about.method);
    call_log::answers(&called, about.since.elapsed(), &Outcome { bytes, error });
}

/// A call was answered with an error without having run. Said outside the lock, which may be held here.
#[cold]
pub(super) fn abandoned(conn: &ArcConn, id: RunningId, about: About, error: Error) {
    conn.defer(move |core, conn| {
        let conn = ArcConn::clone(conn);
        let say = move || ended(&conn, id, &about, None, Some(&error));
        core.followups.push(Followup::Run(Box::new(say)));
    });
}

/// A call was refused before it could run: said outside the lock. `name`: its interface.
#[cold]
pub(super) fn refused(conn: &ArcConn, name: &'static str, error: &Error) -> Followup {
    let (conn, error) = (ArcConn::clone(conn), error.clone());
    Followup::Run(Box::new(move || {
        let peer = conn.peer_name().map(str::to_owned);
        let called = Called { connection: conn.number(), peer, number: 0, method: name };
        let error = Some(&error as &dyn std::fmt::Display);
        call_log::answers(&called, std::time::Duration::ZERO, &Outcome { bytes: None, error });
    }))
}
