//! Room for calls of this side's: so many bytes of them are under way at once, and those that come beyond
//! that wait in their order.
//!
//! A call that is made to serve a call of the peer's must not wait for those that the peer's call is made to
//! serve: they wait for it. So calls have room by their [`Level`], and wait only for calls of their own, which
//! end by what deeper calls do.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};

use super::thread_server::ThreadServer;
use crate::connection::{ArcConn, Core, Followup};
use crate::threads::serving;

/// How many calls of both sides a call is made to serve: 1 for one that a method makes which the peer called
/// from no call, 2 for one that a callback of that makes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Level(u16);

impl Level {
    pub(super) fn number(self) -> u16 {
        self.0
    }
}

/// Calls of so many levels have room of their own. Deeper ones are sent at once: the peer takes them or refuses
/// them.
const LEVELS: usize = 3;

/// The room for the calls of each level.
#[derive(Default)]
pub(crate) struct Rooms([Room; LEVELS]);

/// The bytes of the calls that are under way, and the calls that wait for room before they are sent.
#[derive(Default)]
struct Room {
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
pub(crate) struct QueuePlace {
    level: Level,
    state: AtomicU8,
}

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

/// Room that a call has taken while it is under way.
#[derive(Clone, Copy, Default)]
pub(super) struct Taken {
    level: Level,
    bytes: usize,
}

impl Rooms {
    /// How many calls wait.
    pub(super) fn queued(&self) -> usize {
        self.0.iter().map(Room::queued).sum()
    }

    /// A call of this size is under way. Returns what to give back when it is over: nothing for a small
    /// call, which did not wait, so that others do not wait for it.
    pub(super) fn take(&mut self, level: Level, bytes: usize) -> Taken {
        match self.0.get_mut(usize::from(level.0)) {
            Some(room) if bytes > SMALL => {
                room.taken += bytes;
                Taken { level, bytes }
            }
            _ => Taken::default(),
        }
    }

    /// Such a call is over.
    pub(super) fn leave(&mut self, Taken { level, bytes }: Taken) {
        if let Some(room) = self.0.get_mut(usize::from(level.0)) {
            room.taken -= bytes;
        }
    }
}

impl Room {
    fn queued(&self) -> usize {
        self.queue.len() - self.gone
    }

    fn queue(
        &mut self,
        level: Level,
        bytes: usize,
        who: WhoQueues,
        tell: TellRoom,
    ) -> Arc<QueuePlace> {
        let place = Arc::new(QueuePlace { level, state: AtomicU8::new(WAITS) });
        let call = QueuedCall { bytes, who, place: Arc::clone(&place), tell };
        self.queue.push_back(call);
        place
    }

    fn leave_queue(&mut self, place: &QueuePlace, bytes: usize) {
        match place.state.swap(GONE, Ordering::Relaxed) {
            TOLD => self.reserved = self.reserved.saturating_sub(bytes),
            WAITS => {
                self.gone += 1;
                // In time, however long the first of the queue waits.
                if self.gone > MOST_GONE && self.gone > self.queue.len() / 2 {
                    self.queue.retain(|call| call.place.state.load(Ordering::Relaxed) == WAITS);
                    self.gone = 0;
                }
            }
            _ => {}
        }
    }

    fn take_those_with_room(&mut self, limit: usize, told: &mut Vec<(Arc<QueuePlace>, TellRoom)>) {
        while let Some(first) = self.queue.front() {
            let (bytes, waits) = (first.bytes, first.place.state.load(Ordering::Relaxed) == WAITS);
            if waits && !self.is_for(bytes, first.who, limit) {
                break;
            }
            let Some(QueuedCall { place, tell, .. }) = self.queue.pop_front() else { break };
            if waits {
                place.state.store(TOLD, Ordering::Relaxed);
                self.reserved += bytes;
                told.push((place, tell));
            } else {
                self.gone -= 1;
            }
        }
    }

    fn is_for(&self, bytes: usize, who: WhoQueues, limit: usize) -> bool {
        let reserved = if who == WhoQueues::Blocks { 0 } else { self.reserved };
        let taken = self.taken + reserved;
        taken == 0 || taken.saturating_add(bytes) <= limit
    }
}

impl Core {
    /// The level of a call that this thread makes now.
    pub(super) fn level(&mut self, conn: &ArcConn) -> Level {
        let Some((running, depth)) = serving(conn) else { return Level::default() };
        let thread = self.running_thread(running).and_then(|thread| self.object_of(thread));
        // As far as it can be seen here. Of the calls that this thread serves the outermost is a callback of a
        // call of this side's, or not. From there on each is a callback of a call that the one before it made.
        let depth = u16::try_from(depth).unwrap_or(u16::MAX / 2);
        let seen = match thread.as_ref().and_then(|object| object.thread()) {
            Some(ThreadServer::Caller(_) | ThreadServer::Pool) => 2 * depth,
            Some(ThreadServer::Worker(_)) | None => 2 * depth - 1,
        };
        // Methods that are futures have left nothing on the threads' stacks, but a peer of the same kind tells.
        Level(seen.max(self.running_level(running).saturating_add(1)))
    }

    /// Whether a call of this size may be sent now, or is to wait until others are answered, because they
    /// have as many bytes as may be under way. `told`: it has waited, and was told that there is room.
    pub(crate) fn has_room(
        &mut self,
        conn: &ArcConn,
        level: Level,
        bytes: usize,
        told: bool,
    ) -> bool {
        told || self.has_room_for(conn, level, bytes, WhoQueues::Any)
    }

    /// The same, told who waits.
    pub(crate) fn has_room_for(
        &mut self,
        conn: &ArcConn,
        level: Level,
        bytes: usize,
        who: WhoQueues,
    ) -> bool {
        let limit = self.send_window(conn, level);
        // Nothing that comes later goes before those that wait.
        let has_room = |room: &Room| room.queued() == 0 && room.is_for(bytes, who, limit);
        bytes <= SMALL || self.rooms().0.get(usize::from(level.0)).is_none_or(has_room)
    }

    /// Bytes of this side's calls of one level that are under way at once, if they are several: no more than
    /// the peer takes, where it has said how many.
    fn send_window(&self, conn: &ArcConn, level: Level) -> usize {
        let window = match self.engine.peer_limits() {
            Some(peer) => conn.limits().send_window_to(peer.message, peer.bytes),
            None => conn.limits().send_window(),
        };
        // Those that serve calls have as much together as those that do not.
        if level == Level::default() { window } else { window / 2 }
    }

    /// Has `tell` called when there is room for a call of this size.
    pub(crate) fn queue_call(
        &mut self,
        level: Level,
        bytes: usize,
        who: WhoQueues,
        tell: TellRoom,
    ) -> Arc<QueuePlace> {
        // Only calls of these levels wait.
        let level = Level(level.0.min(LEVELS as u16 - 1));
        self.rooms().0[usize::from(level.0)].queue(level, bytes, who, tell)
    }

    /// A call waits for room no longer: it was sent, or is not to be. Gives back what was reserved for it.
    pub(crate) fn leave_queue(&mut self, place: &QueuePlace, bytes: usize) {
        if let Some(room) = self.rooms().0.get_mut(usize::from(place.level.0)) {
            room.leave_queue(place, bytes);
        }
    }

    /// Tells calls that wait that there is room for them.
    pub(crate) fn tell_room(&mut self, conn: &ArcConn) {
        // After each message: mostly nobody waits.
        if self.rooms().0.iter().all(|room| room.queue.is_empty()) {
            return;
        }
        // Again, because one that is told may have no use for its room any more, and give it back.
        loop {
            let mut told = Vec::new();
            // Those that have room, taken out before any of them is told: it may be sent at once.
            for level in 0..LEVELS {
                let limit = self.send_window(conn, Level(level as u16));
                self.rooms().0[level].take_those_with_room(limit, &mut told);
            }
            if told.is_empty() {
                return;
            }
            for (place, tell) in told {
                let followup = tell(self, conn, &place);
                self.followups.extend(followup);
            }
        }
    }

    /// The connection has ended: those who waited for this room are told, and see the end when they try to
    /// send. Nothing is reserved for them.
    pub(super) fn tell_end(&mut self, conn: &ArcConn, rooms: Rooms) {
        for QueuedCall { place, tell, .. } in rooms.0.into_iter().flat_map(|room| room.queue) {
            place.state.store(GONE, Ordering::Relaxed);
            let followup = tell(self, conn, &place);
            self.followups.extend(followup);
        }
    }

    fn rooms(&mut self) -> &mut Rooms {
        &mut self.state().waiters.rooms
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn calls_that_give_up_leave_the_queue_while_the_first_waits() {
        let mut room = Room::default();
        let queue =
            |room: &mut Room| room.queue(Level(0), 5000, WhoQueues::Any, Box::new(|_, _, _| None));
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
