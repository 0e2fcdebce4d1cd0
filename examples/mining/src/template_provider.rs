//! The core of a Stratum V2 template provider, between a node and one client: templates go out when there is another
//! tip or more in fees, solutions go to the node; it may be Bitcoin Core 30, 31 or 32, and may end and come back.

mod messages;

use std::{collections::BTreeMap, thread, time::Duration};

use bitcoin_ipc::bitcoin::{Amount, BlockHash};
use bitcoin_ipc::mining::{BlockCreateOptions, BlockTemplateClient, BlockWaitOptions, CoinbaseTx};
use bitcoin_ipc::session::{Event, NodeSession};
use bitcoin_ipc::{Error, Result};
use futures_channel::mpsc::{UnboundedReceiver, UnboundedSender, unbounded};
use futures_util::future::Either::{Left, Right};
use futures_util::{StreamExt, future::select, stream::pending};

pub use messages::{Message, NewTemplate, Request};

/// How many templates the node keeps for solutions, at most.
pub const KEPT: usize = 16;
/// How long bitcoin_core_sv2 0.6.0 takes solutions of templates on a tip that has been replaced.
pub const GRACE: Duration = Duration::from_secs(10);

/// Serves one client, until it is gone (`requests` ends) or the session is closed. A template on the same tip is
/// told if it brings `fee_threshold` more. Those on the tip before are kept for `grace`: the client may have solved
/// one before it heard of the new tip, and whether that is too late is for the node to say.
///
/// # Errors
/// Those of the node that are no loss of it.
pub async fn serve(
    session: &NodeSession,
    (fee_threshold, grace): (Amount, Duration),
    mut requests: UnboundedReceiver<Request>,
    messages: UnboundedSender<Message>,
) -> Result<()> {
    let ((expire, mut expired), kept) = (unbounded(), BTreeMap::new());
    let mut provider = Provider { messages, next_id: 0, tip: None, kept, grace, expire };
    let mut templates = pending().left_stream();
    loop {
        let event = select(templates.next(), expired.next());
        match select(requests.next(), event).await {
            Left((None, _)) | Right((Left((None, _)), _)) => return Ok(()),
            Left((Some(request), _)) => {
                if let Some(create) = provider.answer(request).await? {
                    let wait = BlockWaitOptions::default().fee_threshold(fee_threshold);
                    // A node that catches up with the chain has no work to give.
                    let begin = session.templates_by(move |mining| {
                        mining.templates(create.clone(), wait.clone()).cooldown(true)
                    });
                    templates = begin.right_stream();
                }
            }
            Right((Left((Some(event), _)), _)) => match event? {
                Event::Next(template) => drop(unless_lost(provider.tell(template).await)?),
                Event::Lost(why) => {
                    (provider.tip, provider.kept) = (None, BTreeMap::new());
                    provider.send(Message::NodeLost(why));
                }
            },
            Right((Right((first, _)), _)) => provider.kept.retain(|id, _| Some(*id) >= first),
        }
    }
}

struct Provider {
    messages: UnboundedSender<Message>,
    next_id: u64,
    tip: Option<BlockHash>,
    /// The node keeps these templates, and no other: it destroys one that leaves.
    kept: BTreeMap<u64, BlockTemplateClient>,
    grace: Duration,
    /// Gets the first template of a tip when it is time for those before.
    expire: UnboundedSender<u64>,
}

impl Provider {
    fn send(&self, message: Message) {
        // A client that is gone ends its requests, too.
        let _ = self.messages.unbounded_send(message);
    }

    async fn tell(&mut self, template: BlockTemplateClient) -> Result<()> {
        let header = template.get_block_header().await?;
        let (template_id, prev_hash) = (self.next_id, header.prev_blockhash);
        let future_template = self.tip != Some(prev_hash);
        let older = template.get_coinbase_tx_v30();
        let coinbase = match template.get_coinbase_tx().await {
            Err(Error::Unimplemented { .. }) => CoinbaseTx::from_v30(&older.await?)?,
            parts => parts?,
        };
        let (version, merkle_path) = (header.version, template.get_coinbase_merkle_path().await?);
        let new = NewTemplate { template_id, future_template, version, coinbase, merkle_path };
        (self.tip, self.next_id) = (Some(prev_hash), template_id + 1);
        if future_template {
            let (expire, grace) = (self.expire.clone(), self.grace);
            thread::spawn(move || (thread::sleep(grace), expire.unbounded_send(template_id)));
        }
        self.kept.insert(template_id, template);
        if self.kept.len() > KEPT {
            self.kept.pop_first();
        }
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
    result.map(Some).or_else(|error| if error.is_disconnect() { Ok(None) } else { Err(error) })
}
