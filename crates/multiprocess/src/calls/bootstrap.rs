//! Asks for the peer's bootstrap object, and exchanges ThreadMaps.

use super::handle::Handle;
use super::interface::Interface;
use super::start::object_of;
use crate::Result;
use crate::carried::Carried;
use crate::connection::ArcConn;
use crate::session::{Complete, HeldCap, How};
use crate::wire::{AnyBuilder, Builder, Encoder};

/// A handle on the peer's bootstrap object. `answered` gets the last answer of the handshake.
pub(super) fn bootstrap<I: Interface>(conn: &ArcConn, answered: Complete) -> Result<I> {
    let held = conn.enter(|core| {
        if let Some(error) = conn.ended() {
            return Err(error.clone());
        }
        let Some(construct) = I::CONSTRUCT else {
            let first = core.ask_bootstrap(answered)?;
            return Ok(HeldCap::new(core, conn, first));
        };
        let first = core.ask_bootstrap(refused())?;
        let (id, (size, slot)) = (construct.id, construct.params);
        let mut fill = |cx: &mut Encoder<'_>, to: AnyBuilder<'_>| {
            cx.thread_map(&mut Builder::content(to, size), slot);
            Ok(())
        };
        let target = (id.interface, id.ordinal);
        let written = core.write_call(conn, target, (0, 0), (None, &Carried::NONE), &mut fill)?;
        let how = How { pipeline: Some(vec![id.pipeline]), ..How::default() };
        let (_, map) = core.call(first, written, how, answered)?;
        if let Some(map) = map {
            core.set_peer_map(map);
        }
        Ok(HeldCap::new(core, conn, first))
    })?;
    Ok(I::from_handle(Handle::remote_object(object_of::<I>(held))))
}

/// Takes the peer's answer to the first question. If it is an error and the end of the connection
/// is to be explained, the connection ends before any call gets that error.
fn refused() -> Complete {
    Complete::once("the bootstrap", |core, conn, answer| {
        if let Some(end) = answer.err().and_then(|error| conn.refused(&error)) {
            core.fail(end);
        }
        None
    })
}

/// Takes the peer's answer to the last question of the handshake: from then on the end of the
/// connection is not explained. `answered`, which is quick, runs under the lock: with the answer, unless
/// that is an error for which the connection ends.
pub(super) fn explained(answered: impl FnOnce(Result<()>) + Send + 'static) -> Complete {
    Complete::once("the handshake", |core, conn, answer| match answer {
        Ok(_) => {
            answered(Ok(()));
            conn.handshake_done()
        }
        Err(error) => {
            match conn.refused(&error) {
                Some(end) => core.fail(end),
                None => answered(Err(error)),
            }
            None
        }
    })
}
