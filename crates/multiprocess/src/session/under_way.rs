//! What is under way on a connection, as plain data: read under the lock, for the dump.

use super::calls::Asked;
use super::running::Served;
use crate::connection::Core;

/// What a connection holds.
pub(crate) struct UnderWay {
    /// The protocol's tables: questions, answers, exports, imports.
    pub(crate) tables: [usize; 4],
    /// The bytes of the peer's calls that count against its limit.
    pub(crate) held_bytes: usize,
    /// The objects of this process that the peer can call, without its threads and those of this side.
    pub(crate) objects: usize,
    /// Calls of this side's.
    pub(crate) asked: Vec<Asked>,
    /// Calls of this side's that wait for room before they are sent.
    pub(crate) wait_for_room: usize,
    /// Calls of the peer's.
    pub(crate) served: Vec<Served>,
}

impl Core {
    /// What is under way. Changes nothing.
    pub(crate) fn under_way(&mut self) -> UnderWay {
        let sizes = self.engine.sizes();
        UnderWay {
            tables: [sizes.questions, sizes.answers, sizes.exports, sizes.imports],
            held_bytes: self.engine.held_bytes(),
            objects: self.user_objects(),
            asked: self.state().waiters.all(),
            wait_for_room: self.state().waiters.queued(),
            served: self.served_now(),
        }
    }
}
