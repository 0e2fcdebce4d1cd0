//! A client of the template provider.

use std::path::Path;
use std::thread::{self, JoinHandle};
use std::time::Duration;

use bitcoin_ipc::bitcoin::block::Header;
use bitcoin_ipc::bitcoin::{Amount, BlockHash, CompactTarget, Target};
use bitcoin_ipc::ipc::IpcOptions;
use bitcoin_ipc::mining::Outcome;
use bitcoin_ipc::session::NodeSession;
use bitcoin_regtest::{anyone_can_spend, coinbase_transaction, merkle_root, solve};
use futures_channel::mpsc::{UnboundedReceiver, UnboundedSender, unbounded};
use futures_executor::block_on;
use futures_util::StreamExt;
use mining_examples::template_provider::{GRACE, Message, NewTemplate, Request, serve};

/// How long a node may take to come.
const LONG: Duration = Duration::from_secs(30);

/// A client of a provider, which runs on a thread.
pub(crate) struct Client {
    pub(crate) requests: UnboundedSender<Request>,
    messages: UnboundedReceiver<Message>,
    pub(crate) provider: JoinHandle<bitcoin_ipc::Result<()>>,
    pub(crate) session: NodeSession,
}

/// A template with the tip that it is on.
pub(crate) struct Job {
    pub(crate) template: NewTemplate,
    pub(crate) prev_hash: BlockHash,
    pub(crate) time: u32,
    pub(crate) bits: CompactTarget,
}

impl Client {
    pub(crate) fn connect(datadir: &Path) -> Client {
        Client::with_grace(datadir, GRACE)
    }

    /// `grace`: how long templates on a replaced tip are kept.
    pub(crate) fn with_grace(datadir: &Path, grace: Duration) -> Client {
        let options = IpcOptions::client("template-provider").datadir(datadir);
        let session = NodeSession::builder(options).wait_for_node(LONG).connect().unwrap();
        let (requests, asked) = unbounded();
        let (tell, messages) = unbounded();
        let serving = session.clone();
        let settings = (Amount::from_sat(1_000), grace);
        let provider = thread::spawn(move || block_on(serve(&serving, settings, asked, tell)));
        Client { requests, messages, provider, session }
    }

    pub(crate) fn ask(&self, request: Request) {
        self.requests.unbounded_send(request).unwrap();
    }

    pub(crate) fn constraints(&self) {
        let (max_additional_size, max_additional_sigops) = (100, 4);
        self.ask(Request::CoinbaseOutputConstraints { max_additional_size, max_additional_sigops });
    }

    pub(crate) fn message(&mut self) -> Message {
        block_on(self.messages.next()).expect("the provider has ended")
    }

    pub(crate) fn template(&mut self) -> NewTemplate {
        match self.message() {
            Message::NewTemplate(template) => template,
            other => panic!("{other:?}"),
        }
    }

    /// A future template, and the tip that makes it the present one.
    pub(crate) fn job(&mut self) -> Job {
        let template = self.template();
        assert!(template.future_template);
        match self.message() {
            Message::SetNewPrevHash { template_id, prev_hash, time, bits, target } => {
                assert_eq!(template_id, template.template_id);
                assert_eq!(target, Target::from_compact(bits));
                Job { template, prev_hash, time, bits }
            }
            other => panic!("{other:?}"),
        }
    }

    /// Solves a template and submits the solution: the block, and what the node says.
    pub(crate) fn submit(&mut self, job: &Job) -> (BlockHash, Option<Outcome>) {
        let NewTemplate { template_id, version, coinbase, merkle_path, .. } = &job.template;
        let coinbase = coinbase_transaction(coinbase, b"pool", anyone_can_spend());
        let merkle_root = merkle_root(coinbase.compute_txid(), merkle_path);
        let Job { prev_hash: prev_blockhash, time, bits, .. } = *job;
        let mut header =
            Header { version: *version, prev_blockhash, merkle_root, time, bits, nonce: 0 };
        assert!(solve(&mut header));
        let Header { version, time: timestamp, nonce, .. } = header;
        let template_id = *template_id;
        self.ask(Request::SubmitSolution { template_id, version, timestamp, nonce, coinbase });
        loop {
            match self.message() {
                Message::Submitted { template_id: id, outcome } => {
                    assert_eq!(id, template_id);
                    return (header.block_hash(), outcome);
                }
                // The next template may be told before.
                Message::NewTemplate(_) | Message::SetNewPrevHash { .. } => {}
                other => panic!("{other:?}"),
            }
        }
    }
}
