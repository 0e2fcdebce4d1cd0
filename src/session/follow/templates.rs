//! The templates over one connection.

use std::task::{Context, Poll, ready};

use super::Part;
use super::tips::OwnMining;
use crate::mining::wait::Waited;
use crate::mining::{BlockTemplateClient, MiningClient, Updates};
use crate::session::node::Link;

type Begin = Box<dyn FnMut(&MiningClient) -> Updates + Send>;

pub(in crate::session) struct TemplatesPart {
    begin: Begin,
    state: State,
}

enum State {
    None,
    Making(OwnMining),
    Has(Updates),
}

impl TemplatesPart {
    pub(in crate::session) fn new(
        begin: impl FnMut(&MiningClient) -> Updates + Send + 'static,
    ) -> TemplatesPart {
        TemplatesPart { begin: Box::new(begin), state: State::None }
    }
}

impl Part for TemplatesPart {
    type Item = BlockTemplateClient;

    fn begin(&mut self, link: &Link) {
        self.state = State::Making(OwnMining::make(&link.init));
    }

    fn poll(&mut self, context: &mut Context<'_>) -> Poll<Waited<BlockTemplateClient>> {
        if let State::Making(making) = &mut self.state {
            match ready!(making.poll(context)) {
                Ok(mining) => self.state = State::Has((self.begin)(&mining)),
                Err(failed) => return Poll::Ready(failed),
            }
        }
        match &mut self.state {
            State::Has(updates) => updates.poll_template(context),
            State::None | State::Making(_) => Poll::Ready(Waited::Over),
        }
    }

    fn end(&mut self) {
        self.state = State::None;
    }

    fn live(&self) -> usize {
        match &self.state {
            State::Has(updates) => updates.live(),
            State::None | State::Making(_) => 0,
        }
    }
}
