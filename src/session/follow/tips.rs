//! The tips over one connection.

use std::pin::Pin;
use std::task::{Context, Poll, ready};

use multiprocess::{Call, Error};

use super::Part;
use crate::init::InitClient;
use crate::mining::wait::Waited;
use crate::mining::{BlockRef, MiningClient, Tips};
use crate::session::node::Link;

/// A `Mining` of a stream's own: an interrupt for its wait can end no other.
pub(in crate::session) struct OwnMining(Call<Option<MiningClient>>);

impl OwnMining {
    pub(super) fn make(init: &InitClient) -> OwnMining {
        OwnMining(init.make_mining())
    }

    pub(super) fn poll<T>(
        &mut self,
        context: &mut Context<'_>,
    ) -> Poll<Result<MiningClient, Waited<T>>> {
        let none = || Waited::Failed(Error::failed("the node does not offer Mining"));
        Poll::Ready(match ready!(Pin::new(&mut self.0).poll(context)) {
            Ok(mining) => mining.ok_or_else(none),
            Err(error) => Err(Waited::Failed(error)),
        })
    }
}

#[derive(Default)]
pub(in crate::session) enum TipsPart {
    #[default]
    None,
    Making(OwnMining),
    Has(Tips),
}

impl Part for TipsPart {
    type Item = BlockRef;

    fn begin(&mut self, link: &Link) {
        *self = TipsPart::Making(OwnMining::make(&link.init));
    }

    fn poll(&mut self, context: &mut Context<'_>) -> Poll<Waited<BlockRef>> {
        if let TipsPart::Making(making) = self {
            match ready!(making.poll(context)) {
                Ok(mining) => *self = TipsPart::Has(mining.tips()),
                Err(failed) => return Poll::Ready(failed),
            }
        }
        match self {
            TipsPart::Has(tips) => tips.poll_tip(context),
            TipsPart::None | TipsPart::Making(_) => Poll::Ready(Waited::Over),
        }
    }

    fn end(&mut self) {
        *self = TipsPart::None;
    }
}
