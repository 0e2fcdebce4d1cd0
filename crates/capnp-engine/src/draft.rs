//! Messages of this side that are not sent yet.

use capnp::any_pointer;
use capnp::private::layout::CapTable;
use capnp::traits::ImbueMut;
use capnp_rpc::rpc_capnp::{message, return_};

use crate::cap::Cap;
use crate::cap_index::cap_index;
use crate::engine::Engine;
use crate::memory::{Message, Pool, new_message};
use crate::payload::{Content, Payload};
use crate::pending_call::{Asker, Serving};
use crate::shared_message::SharedMessage;

/// The size of the first segment in words.
const WORDS: u32 = 64;

/// A Call or a Return whose content is written and whose target or question is not set yet.
#[must_use = "its capabilities are to be released"]
pub struct Draft {
    message: Message,
    /// The method that is called.
    pub(crate) method: (u64, u16),
    /// The capabilities by the index that was written, with one reference on each.
    given: Vec<Option<Cap>>,
    /// The order of the message's capability table, where this is not the order of `given`. Boxed
    /// because it is rare, so that a draft is small.
    order: Option<Box<Order>>,
}

opaque!(Draft, impl std::fmt::Debug for Draft);

/// For each entry of a message's capability table its index in [`Draft::given`].
struct Order(Vec<Option<usize>>);

impl Draft {
    /// A call of this method (interface and ordinal). `fill` writes the parameters and returns the
    /// capabilities that it wrote with [`cap_hook`](crate::cap_hook), by index, with one reference
    /// on each.
    ///
    /// # Errors
    /// What `fill` returns. What references it had are its own affair then.
    pub fn call<E>(
        pool: &'static dyn Pool,
        method: (u64, u16),
        fill: impl FnOnce(any_pointer::Builder<'_>) -> Result<Vec<Option<Cap>>, E>,
    ) -> Result<Draft, E> {
        let mut message = new_message(pool, WORDS);
        let root: message::Builder<'_> = message.init_root();
        let mut call = root.init_call();
        call.set_interface_id(method.0);
        call.set_method_id(method.1);
        let mut table = CapTable::new();
        let mut content = call.init_params().get_content();
        content.imbue_mut(&mut table);
        let given = fill(content)?;
        let order = order_of(&table, &given);
        Ok(Draft { message, method, given, order })
    }

    /// The results of a call that is served here; `fill` as for a call.
    ///
    /// # Errors
    /// What `fill` returns.
    pub fn results<E>(
        pool: &'static dyn Pool,
        call: Serving,
        fill: impl FnOnce(any_pointer::Builder<'_>) -> Result<Vec<Option<Cap>>, E>,
    ) -> Result<Draft, E> {
        let id = match call.0 {
            Asker::Peer(id) => id,
            Asker::Own(_) => 0,
        };
        let mut message = new_message(pool, WORDS);
        let mut table = CapTable::new();
        let mut answer = init_return(&mut message, id);
        let mut content = answer.reborrow().init_results().get_content();
        content.imbue_mut(&mut table);
        let given = fill(content)?;
        let order = order_of(&table, &given);
        // Without capabilities nothing in the results can be called, so the Return ends the
        // question.
        let none = order.as_ref().map_or(given.is_empty(), |order| order.0.is_empty());
        answer.set_no_finish_needed(none);
        Ok(Draft { message, method: (0, 0), given, order })
    }

    /// The size that the message will have, in bytes, or a little more: with the descriptions of its
    /// capabilities and the table that comes before it on the stream.
    pub fn bytes(&self) -> usize {
        /// More than a capability takes, but for one that is a result deep in another.
        const CAPABILITY: usize = 64;
        let table = 4 * (self.message.get_segments_for_output().len() + 2);
        8 * self.message.size_in_words() + table + 16 + CAPABILITY * self.given.len()
    }

    /// The capabilities that were written.
    pub fn caps(&self) -> impl Iterator<Item = Cap> {
        self.given.iter().copied().flatten()
    }
}

/// The indices of a message's capabilities in `given`, where that is not their order already.
fn order_of(table: &CapTable, given: &[Option<Cap>]) -> Option<Box<Order>> {
    let indices = || table.iter().map(|slot| slot.as_deref().and_then(cap_index));
    let same = indices().eq((0..given.len()).map(Some));
    (!same).then(|| Box::new(Order(indices().collect())))
}

/// Begins a Return.
pub(crate) fn init_return(message: &mut Message, id: u32) -> return_::Builder<'_> {
    let root: message::Builder<'_> = message.init_root();
    let mut answer = root.init_return();
    answer.set_answer_id(id);
    // References on the capabilities of the parameters are released one by one.
    answer.set_release_param_caps(false);
    answer
}

impl Engine {
    /// Drops a draft and releases its capabilities.
    pub fn discard(&mut self, draft: Draft) {
        self.release_all(draft.given);
    }

    /// The message, and its capabilities in the order of its capability table with one reference on
    /// each.
    pub(crate) fn in_order(&mut self, draft: Draft) -> (Message, Vec<Option<Cap>>) {
        let Draft { message, given, order, .. } = draft;
        let Some(order) = order else { return (message, given) };
        let cap = |index: &Option<usize>| given.get((*index)?).copied().flatten();
        let caps: Vec<_> = order.0.iter().map(cap).collect();
        caps.iter().flatten().for_each(|cap| self.caps.retain(*cap));
        self.release_all(given);
        (message, caps)
    }

    /// Turns a draft into a payload that is kept.
    pub(crate) fn keep_draft(&mut self, draft: Draft) -> Payload {
        let (message, caps) = self.in_order(draft);
        Payload { message: Some(SharedMessage::of(&message)), caps }
    }

    /// Writes a copy of another message's content, with new references on its capabilities.
    pub(crate) fn copy_content(
        &mut self,
        content: &Content<'_>,
        mut to: any_pointer::Builder<'_>,
    ) -> capnp::Result<Vec<Option<Cap>>> {
        to.set_as::<any_pointer::Owned>(content.reader)?;
        content.caps.iter().flatten().for_each(|cap| self.caps.retain(*cap));
        Ok(content.caps.to_vec())
    }
}
