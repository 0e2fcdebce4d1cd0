//! Room for calls of this side's: so many bytes of them are under way at once, and those that come beyond
//! that wait in their order.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};

use crate::connection::{ArcConn, Core, Followup};

/// The bytes of the calls that are under way, and the calls that wait for room before they are sent.
#[derive(Default)]
pub(crate) struct Room {
    taken: usize,
    /// Bytes of calls that were told that there is room, and are about to be sent.
    reserved: usize,
    queue: VecDeque<QueuedCall>,
    /// How many of the queue are gone, and are only to be taken out.
    gone: usize,
}

struct QueuedCall {
    bytes: usize,
    who: WhoQueues,
    place: Arc<QueuePlace>,
    /// Tells it that there is room.
    tell: TellRoom,
}

/// Who waits for room.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum WhoQueues {
    Any,
    /// A thread that may be one on which futures are polled, and blocks them meanwhile. Room that is
    /// reserved for them does not count: they could not take it.
    Blocks,
}

/// A call's place in the queue, as the call has it. Changed under the lock.
#[derive(Default)]
pub(crate) struct QueuePlace(AtomicU8);

const WAITS: u8 = 0;
const TOLD: u8 = 1;
const GONE: u8 = 2;

/// Called once, under the lock: when there is room, or when the connection has ended.
pub(crate) type TellRoom =
    Box<dyn FnOnce(&mut Core, &ArcConn, &QueuePlace) -> Option<Followup> + Send>;

/// Calls of up to this many bytes are sent at once: the peer always takes them, as this side does.
const SMALL: usize = 1024;

/// So many that are gone stay in the queue.
const MOST_GONE: usize = 32;

impl Room {
    /// How many calls wait.
    pub(super) fn queued(&self) -> usize {
        self.queue.len() - self.gone
    }

    /// A call of this size is under way. Returns the bytes to give back when it is over: none for a small
    /// call, which did not wait, so that others do not wait for it.
    pub(super) fn take(&mut self, bytes: usize) -> usize {
        let bytes = if bytes <= SMALL { 0 } else { bytes };
        self.taken += bytes;
        bytes
    }

    /// Such a call is over.
    pub(super) fn leave(&mut self, bytes: usize) {
        self.taken -= bytes;
    }

    fn queue(&mut self, bytes: usize, who: WhoQueues, tell: TellRoom) -> Arc<QueuePlace> {
        let place = Arc::<QueuePlace>::default();
        let call = QueuedCall { bytes, who, place: Arc::clone(&place), tell };
        self.queue.push_back(call);
        place
    }

    fn leave_queue(&mut self, place: &QueuePlace, bytes: usize) {
        match place.0.swap(GONE, Ordering::Relaxed) {
            TOLD => self.reserved = self.reserved.saturating_sub(bytes),
            WAITS => {
                self.gone += 1;
                // In time, however long the first of the queue waits.
                if self.gone > MOST_GONE && self.gone > self.queue.len() / 2 {
                    self.queue.retain(|call| call.place.0.load(Ordering::Relaxed) == WAITS);
                    self.gone = 0;
                }
            }
            _ => {}
        }
    }

    fn is_for(&self, bytes: usize, who: WhoQueues, limit: usize) -> bool {
        let reserved = if who == WhoQueues::Blocks { 0 } else { self.reserved };
        let taken = self.taken + reserved;
        taken == 0 || taken.saturating_add(bytes) <= limit
    }
}

impl Core {
    /// Whether a call of this size may be sent now, or is to wait until others are answered, because they
    /// have as many bytes as may be under way. `told`: it has waited, and was told that there is room.
    pub(crate) fn has_room(&mut self, conn: &ArcConn, bytes: usize, told: bool) -> bool {
        told || self.has_room_for(conn, bytes, WhoQueues::Any)
    }

    /// The same, told who waits.
    pub(crate) fn has_room_for(&mut self, conn: &ArcConn, bytes: usize, who: WhoQueues) -> bool {
        let limit = self.send_window(conn);
        let room = self.room();
        // Nothing that comes later goes before those that wait.
        bytes <= SMALL || room.queued() == 0 && room.is_for(bytes, who, limit)
    }

    /// Bytes of this side's calls that are under way at once, if they are several: no more than the peer
    /// takes, where it has said how many.
    fn send_window(&self, conn: &ArcConn) -> usize {
        match self.engine.peer_limits() {
            Some(peer) => conn.limits().send_window_to(peer.message, peer.bytes),
            None => conn.limits().send_window(),
        }
    }

    /// Has `tell` called when there is room for a call of this size.
    pub(crate) fn queue_call(
        &mut self,
        bytes: usize,
        who: WhoQueues,
        tell: TellRoom,
    ) -> Arc<QueuePlace> {
        self.room().queue(bytes, who, tell)
    }

    /// A call waits for room no longer: it was sent, or is not to be. Gives back what was reserved for it.
    pub(crate) fn leave_queue(&mut self, place: &QueuePlace, bytes: usize) {
        self.room().leave_queue(place, bytes);
    }

    /// Tells calls that wait that there is room for them.
    pub(crate) fn tell_room(&mut self, conn: &ArcConn) {
        let limit = self.send_window(conn);
        let room = self.room();
        let mut told = Vec::new();
        // Those that have room, taken out before any of them is told: it may be sent at once.
        while let Some(first) = room.queue.front() {
            let (bytes, waits) = (first.bytes, first.place.0.load(Ordering::Relaxed) == WAITS);
            if waits && !room.is_for(bytes, first.who, limit) {
                break;
            }
            let Some(QueuedCall { place, tell, .. }) = room.queue.pop_front() else { break };
            if waits {
                place.0.store(TOLD, Ordering::Relaxed);
                room.reserved += bytes;
                told.push((place, tell));
            } else {
                room.gone -= 1;
            }
        }
        for (place, tell) in told {
            let followup = tell(self, conn, &place);
            self.followups.extend(followup);
        }
    }

    /// The connection has ended: those who waited for this room are told, and see the end when they try to
    /// send. Nothing is reserved for them.
    pub(super) fn tell_end(&mut self, conn: &ArcConn, room: Room) {
        for QueuedCall { place, tell, .. } in room.queue {
            place.0.store(GONE, Ordering::Relaxed);
            let followup = tell(self, conn, &place);
            self.followups.extend(followup);
        }
    }

    fn room(&mut self) -> &mut Room {
        &mut self.state().waiters.room
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn calls_that_give_up_leave_the_queue_while_the_first_waits() {
        let mut room = Room::default();
        let queue = |room: &mut Room| room.queue(5000, WhoQueues::Any, Box::new(|_, _, _| None));
        let _first = queue(&mut room);
        for _ in 0..10_000 {
            let place = queue(&mut room);
            assert_eq!(room.queued(), 2);
            assert!(room.queue.len() <= MOST_GONE + 3, "{}", room.queue.len());
            room.leave_queue(&place, 5000);
        }
        assert_eq!(room.queued(), 1);
    }

    #[test]
    fn who_blocks_others_does_not_wait_for_what_is_reserved_for_them() {
        let room = Room { taken: 0, reserved: 70, ..Room::default() };
        assert!(!room.is_for(50, WhoQueues::Any, 100));
        assert!(room.is_for(50, WhoQueues::Blocks, 100));
        let room = Room { taken: 70, reserved: 0, ..Room::default() };
        assert!(!room.is_for(50, WhoQueues::Blocks, 100));
    }
}
