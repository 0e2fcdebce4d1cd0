//! References on objects of the peer that are held outside the lock.

use std::sync::{Mutex, PoisonError};

use capnp_engine::Cap;

use crate::connection::{ArcConn, Core};
use crate::threads::{RunningId, innermost};

/// Ends an object that nobody holds any more: writes and sends its `destroy`, under the lock. The
/// last argument is the peer's call that was being served when the last handle was dropped, if
/// there was one.
pub(crate) type Destroy = fn(&mut Core, &ArcConn, Cap, Option<RunningId>);

/// A reference on a capability of a connection. It may be dropped anywhere.
pub(crate) struct HeldCap {
    conn: ArcConn,
    cap: Cap,
    destroy: Mutex<Option<Destroy>>,
}

impl HeldCap {
    /// Takes over a reference, under the lock.
    pub(crate) fn new(core: &mut Core, conn: &ArcConn, cap: Cap) -> HeldCap {
        core.engine.add_handle(cap);
        HeldCap { conn: ArcConn::clone(conn), cap, destroy: Mutex::new(None) }
    }

    /// Has the object be ended with the last handle.
    pub(crate) fn destroy_with(&self, destroy: Destroy) {
        *self.destroy.lock().unwrap_or_else(PoisonError::into_inner) = Some(destroy);
    }

    pub(crate) fn conn(&self) -> &ArcConn {
        &self.conn
    }

    pub(crate) fn cap(&self) -> Cap {
        self.cap
    }
}

impl Drop for HeldCap {
    fn drop(&mut self) {
        let cap = self.cap;
        let destroy = self.destroy.get_mut().unwrap_or_else(PoisonError::into_inner).take();
        let running = destroy.and_then(|_| innermost(&self.conn));
        self.conn.defer(move |core, conn| {
            if let Some(destroy) = destroy
                && core.engine.is_last_handle(cap)
            {
                destroy(core, conn, cap, running);
            }
            core.engine.drop_handle(cap);
        });
    }
}
