//! JSON-RPC methods that other processes answer.

mod named;

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, Weak};
use std::time::Duration;

use bitcoin_ipc::rpc::{NodeError, Value, code};
use bitcoin_ipc_draft::CommandError;
use bitcoin_ipc_draft::chain::{JsonRpcRequest, RpcCommand};
use bitcoin_ipc_draft::handler::{Handler, HandlerClient};
use multiprocess::Result;

use crate::split_node::lock;

/// A method is to be run.
const EXECUTE: i32 = 0;
/// A method is to tell its help.
const GET_HELP: i32 = 1;
/// How long that may take.
const HELP: Duration = Duration::from_secs(10);

/// The JSON-RPC methods that other processes have registered. Several may have one name: each is asked in turn, in the
/// order in which they came, until one answers.
#[derive(Default)]
pub struct Commands {
    table: Arc<Mutex<Table>>,
}

#[derive(Default)]
struct Table {
    /// By which the next one is removed.
    next: u64,
    commands: Vec<(u64, RpcCommand)>,
}

impl Commands {
    /// Adds a method, until the handle is dropped or its `disconnect` is called: so it goes with the connection of who
    /// registered it.
    pub fn register(&self, command: RpcCommand) -> HandlerClient {
        let mut table = lock(&self.table);
        let number = table.next;
        table.next += 1;
        table.commands.push((number, command));
        HandlerClient::new(Registered { table: Arc::downgrade(&self.table), number })
    }

    /// The names of all methods, in order, each once.
    pub fn names(&self) -> Vec<String> {
        self.names_and_categories().into_keys().collect()
    }

    /// The same with the heading under which `help` lists each.
    pub(crate) fn names_and_categories(&self) -> BTreeMap<String, String> {
        let table = lock(&self.table);
        let commands = table.commands.iter().map(|(_, command)| command);
        commands.map(|command| (command.name.clone(), command.category.clone())).collect()
    }

    /// Has a method answered by the process that registered it, and waits for that on the calling thread. None if
    /// there is no such method. `params` is an array or an object; `uri` is where the request came to, such as
    /// `/wallet/NAME`, `user` who is logged in.
    ///
    /// # Errors
    /// The method's own. Where the process is lost meanwhile that is an error -1 that says so.
    pub fn execute(
        &self,
        name: &str,
        params: Value,
        uri: &str,
        user: &str,
    ) -> Option<Result<Value, CommandError>> {
        let request =
            JsonRpcRequest::default().method(name).params(params).uri(uri).auth_user(user);
        self.run(request.mode(EXECUTE))
    }

    /// The help of a method. None if there is no such method.
    ///
    /// # Errors
    /// As those of [`execute`](Commands::execute).
    pub fn help(&self, name: &str) -> Option<Result<String, CommandError>> {
        let request = JsonRpcRequest::default().method(name).params(Value::Array(Vec::new()));
        Some(match self.run(request.mode(GET_HELP))? {
            Err(CommandError::Help(text)) => Ok(text),
            Err(error) => Err(error),
            // An answer in place of the help.
            Ok(Value::String(text)) => Ok(text),
            Ok(_) => Ok(name.to_owned()),
        })
    }

    fn run(&self, request: JsonRpcRequest) -> Option<Result<Value, CommandError>> {
        let commands: Vec<RpcCommand> = {
            let table = lock(&self.table);
            let all = table.commands.iter().map(|(_, command)| command);
            all.filter(|command| command.name == request.method).cloned().collect()
        };
        let last = commands.len().checked_sub(1)?;
        for (place, command) in commands.iter().enumerate() {
            match ask(command, &request, place == last) {
                Ok(Some(answer)) => return Some(Ok(answer)),
                Ok(None) => {}
                // The wallet can be one of the next process.
                Err(CommandError::Rpc(error))
                    if error.code == code::WALLET_NOT_FOUND && place != last => {}
                // Also if a process was lost: it may have done what was asked, so nobody else is asked to do it again.
                Err(error) => return Some(Err(error)),
            }
        }
        None
    }
}

/// Asks one command. None if it leaves the request to the next.
fn ask(
    command: &RpcCommand,
    request: &JsonRpcRequest,
    last: bool,
) -> Result<Option<Value>, CommandError> {
    let Some(actor) = &command.actor else { return Ok(None) };
    let mut request = request.clone();
    if let Value::Object(given) = &request.params {
        request.params = named::positional(&command.arg_names, given).map_err(CommandError::Rpc)?;
    }
    let is_help = request.mode == GET_HELP;
    let mut call = actor.call(request, Value::Null, last);
    if is_help {
        // One that hangs must not keep the others' from being listed.
        call = call.timeout(HELP);
    }
    match call.wait() {
        Ok(answer) => Ok(answer.result.then_some(answer.response)),
        Err(error) => Err(CommandError::try_from(error).unwrap_or_else(|error| {
            let name = &command.name;
            let text = if error.is_disconnect() {
                format!("the process that answers {name} is gone, and may have done it: look when it is back")
            } else {
                format!("{name} was not answered: {error}")
            };
            CommandError::Rpc(NodeError::new(code::MISC_ERROR, text))
        })),
    }
}

impl fmt::Debug for Commands {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Commands").field("names", &self.names()).finish()
    }
}

/// What removes a command: by its call, or when it is dropped.
struct Registered {
    table: Weak<Mutex<Table>>,
    number: u64,
}

impl Registered {
    fn remove(&self) {
        let Some(table) = self.table.upgrade() else { return };
        let mut table = lock(&table);
        let place = table.commands.iter().position(|(number, _)| *number == self.number);
        let removed = place.map(|place| table.commands.remove(place));
        // Its actor is a handle of another process, whose end can send a message.
        drop(table);
        drop(removed);
    }
}

impl Handler for Registered {
    fn disconnect(&self) -> Result<()> {
        self.remove();
        Ok(())
    }
}

impl Drop for Registered {
    fn drop(&mut self) {
        self.remove();
    }
}
