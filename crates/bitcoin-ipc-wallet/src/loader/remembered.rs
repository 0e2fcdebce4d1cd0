//! Which wallets are loaded when the node starts: its setting `wallet`, as Bitcoin Core has it.

use bitcoin_ipc::rpc::Value;
use bitcoin_ipc_draft::chain::{
    ChainHandle, SettingsUpdateCallbackCallResults, SettingsUpdateCallbackClient,
};
use bitcoin_ipc_draft::values::SettingsAction;
use multiprocess::Result;

/// The setting's name.
const SETTING: &str = "wallet";

/// The names in the setting, each once, in their order.
pub(super) fn names(chain: &ChainHandle) -> Result<Vec<String>> {
    let mut names = Vec::new();
    for value in chain.get_settings_list(SETTING).wait()? {
        match value {
            Value::String(name) if !names.contains(&name) => names.push(name),
            Value::String(_) => {}
            other => tracing::warn!("the setting `wallet` has {other}, which is no name: ignored"),
        }
    }
    Ok(names)
}

/// Adds a name to it, or takes it out. False if the node could not write its file.
pub(super) fn remember(chain: &ChainHandle, name: &str, load_on_startup: bool) -> Result<bool> {
    let name = Value::from(name);
    let update = SettingsUpdateCallbackClient::from_fn(move |old| {
        let before = match old {
            Value::Array(names) => names,
            Value::Null => Vec::new(),
            one => vec![one],
        };
        let mut names = before.clone();
        match (names.contains(&name), load_on_startup) {
            (false, true) => names.push(name.clone()),
            (true, false) => names.retain(|other| *other != name),
            // Without a result nothing is changed.
            _ => return Ok(SettingsUpdateCallbackCallResults::new(Value::Array(before))),
        }
        let written = i32::from(SettingsAction::Write);
        Ok(SettingsUpdateCallbackCallResults::new(Value::Array(names)).result(written))
    });
    chain.update_rw_setting(SETTING, Some(update)).wait()
}
