//! The public types can be sent, shared and used behind `catch_unwind`, as users expect of handles.

use std::panic::{RefUnwindSafe, UnwindSafe};

use multiprocess::process::{Child, Command, Exited, Listener, Stdio, Supervisor};
use multiprocess::{
    AnyPointer, CancelToken, Capability, Connected, Connection, ConnectionBuilder, Current,
    CurrentCall, Disconnected, Error, Limits, PeerVersion, Raised, Reconnect, Reconnecting, Rest,
    Server, ServerBuilder, TimedOut,
};

fn shared<T: Send + Sync + UnwindSafe + RefUnwindSafe>() {}
fn sent<T: Send + UnwindSafe>() {}

#[test]
fn types_are_sent_shared_and_unwind_safe() {
    shared::<AnyPointer>();
    shared::<CancelToken>();
    shared::<Capability>();
    shared::<Connection>();
    shared::<Current<String>>();
    shared::<CurrentCall>();
    shared::<Error>();
    shared::<Limits>();
    shared::<PeerVersion>();
    shared::<Raised>();
    shared::<Reconnecting<String>>();
    shared::<Rest>();
    shared::<Server>();
    shared::<TimedOut>();
    shared::<Child>();
    shared::<Command>();
    shared::<Listener>();
    shared::<Stdio>();
    shared::<Supervisor>();
    sent::<multiprocess::Call<String>>();
    sent::<Connected<String>>();
    sent::<ConnectionBuilder<multiprocess::Capability>>();
    sent::<Disconnected>();
    sent::<Exited>();
    sent::<Reconnect>();
    sent::<ServerBuilder>();
}
