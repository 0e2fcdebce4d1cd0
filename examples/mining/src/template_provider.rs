//! The core of a Stratum V2 template provider: between a node and one client of the Template Distribution
//! Protocol. Templates go out when there is another tip or more in fees, solutions go to the node; the node may be
//! Bitcoin Core 30, 31 or 32, and may end and come back.

mod messages;

use std::collections::BTreeMap;

use bitcoin_ipc::bitcoin::{Amount, BlockHash};
use bitcoin_ipc::mining::{BlockCreateOptions, BlockTemplateClient, BlockWaitOptions, CoinbaseTx};
use bitcoin_ipc::session::{Event, Follow, NodeSession};
use bitcoin_ipc::{Error, Result};
use futures_channel::mpsc::{UnboundedReceiver, UnboundedSender};
use futures_util::future::{Either, pending, select};
use futures_util::{FutureExt, StreamExt};

pub use messages::{Message, NewTemplate, Request};

/// How many templates of one tip solutions are taken for.
pub const KEPT: usize = 16;

/// Serves one client, until it is gone (`requests` ends) or the session is closed. A template on the same tip
/// is told if it brings `fee_threshold` more.
///
/// # Errors
/// Those of the node that are no loss of it.
pub async fn serve(
    session: &NodeSession,
    fee_threshold: Amount,
    mut requests: UnboundedReceiver<Request>,
    messages: UnboundedSender<Message>,
) -> Result<()> {
    let mut provider = Provider { messages, next_id: 0, tip: None, kept: BTreeMap::new() };
    let mut templates: Option<Follow<BlockTemplateClient>> = None;
    loop {
        let template = match &mut templates {
            Some(templates) => templates.next().left_future(),
            None => pending().right_future(),
        };
        match select(requests.next(), template).await {
            Either::Left((None, _)) | Either::Right((None, _)) => return Ok(()),
            Either::Left((Some(request), _)) => {
                if let Some(create) = provider.answer(request).await? {
                    let wait = BlockWaitOptions::default().fee_threshold(fee_threshold);
                    // A node that catches up with the chain has no work to give.
                    templates = Some(session.templates_by(move |mining| {
                        mining.templates(create.clone(), wait.clone()).cooldown(true)
                    }));
                }
            }
            Either::Right((Some(event), _)) => match event? {
                Event::Next(template) => drop(unless_lost(provider.tell(template).await)?),
                Event::Lost(why) => provider.lose(why),
            },
        }
    }
}

struct Provider {
    messages: UnboundedSender<Message>,
    next_id: u64,
    tip: Option<BlockHash>,
    /// The node keeps these templates, and no other.
    kept: BTreeMap<u64, BlockTemplateClient>,
}

impl Provider {
    fn send(&self, message: Message) {
        // A client that is gone ends its requests, too.
        let _ = self.messages.unbounded_send(message);
    }

    fn lose(&mut self, why: Error) {
        (self.tip, self.kept) = (None, BTreeMap::new());
        self.send(Message::NodeLost(why));
    }

    async fn tell(&mut self, template: BlockTemplateClient) -> Result<()> {
        let header = template.get_block_header().await?;
        let (template_id, prev_hash) = (self.next_id, header.prev_blockhash);
        let future_template = self.tip != Some(prev_hash);
        let coinbase = match template.get_coinbase_tx().await {
            Err(Error::Unimplemented { .. }) => {
                CoinbaseTx::from_v30(&template.get_coinbase_tx_v30().await?)?
            }
            parts => parts?,
        };
        let (version, merkle_path) = (header.version, template.get_coinbase_merkle_path().await?);
        let new = NewTemplate { template_id, future_template, version, coinbase, merkle_path };
        (self.tip, self.next_id) = (Some(prev_hash), template_id + 1);
        if future_template {
            self.kept.clear();
        } else if self.kept.len() == KEPT {
            self.kept.pop_first();
        }
        self.kept.insert(template_id, template);
        self.send(Message::NewTemplate(new));
        if future_template {
            let (time, bits, target) = (header.time, header.bits, header.target());
            self.send(Message::SetNewPrevHash { template_id, prev_hash, time, bits, target });
        }
        Ok(())
    }

    /// Answers a request, or returns how templates are to be made from now on.
    async fn answer(&mut self, request: Request) -> Result<Option<BlockCreateOptions>> {
        match request {
            Request::CoinbaseOutputConstraints { max_additional_size, max_additional_sigops } => {
                self.tip = None;
                // With the header and the rest of the coinbase; Bitcoin Core takes no less than 2,000.
                let weight = (4 * u64::from(max_additional_size) + 1_200).max(2_000);
                let create = BlockCreateOptions::default().block_reserved_weight(weight);
                let sigops = max_additional_sigops.into();
                return Ok(Some(create.coinbase_output_max_additional_sigops(sigops)));
            }
            Request::TransactionData { template_id } => {
                let known = template_id < self.next_id;
                let code = if known { "stale-template-id" } else { "template-id-not-found" };
                let mut message = Message::TransactionDataError { template_id, code };
                if let Some(template) = self.kept.get(&template_id)
                    && let Some(mut block) = unless_lost(template.get_block().await)?
                {
                    let transactions = block.txdata.split_off(1);
                    message = Message::TransactionData { template_id, transactions };
                }
                self.send(message);
            }
            Request::SubmitSolution { template_id, version, timestamp, nonce, coinbase } => {
                let mut outcome = None;
                if let Some(template) = self.kept.get(&template_id) {
                    let submit = template.submit_solution(version, timestamp, nonce, coinbase);
                    outcome = unless_lost(submit.await)?;
                }
                self.send(Message::Submitted { template_id, outcome });
            }
        }
        Ok(None)
    }
}

/// If the node is lost, the stream of templates tells.
fn unless_lost<T>(result: Result<T>) -> Result<Option<T>> {
    match result {
        Err(error) if error.is_disconnect() => Ok(None),
        other => other.map(Some),
    }
}
