//! Settings, and what a wallet process tells the user.

use std::os::unix::fs::PermissionsExt;

use bitcoin_ipc::common::BilingualStr;
use bitcoin_ipc::rpc::Value;
use bitcoin_ipc_draft::chain::{SettingsUpdateCallbackCallResults, SettingsUpdateCallbackClient};
use bitcoin_ipc_draft::values::SettingsAction;
use bitcoin_regtest::Chain;
use bitcoin_split::{Message, SplitNode};
use serde_json::json;

use crate::support::{Served, serve};

fn file(served: &Served) -> Value {
    let text = std::fs::read_to_string(served.datadir().join("settings.json")).unwrap();
    serde_json::from_str(&text).unwrap()
}

#[test]
fn what_is_written_is_there_in_the_next_process() {
    let served = serve();
    let chain = &served.chain;
    let write = |name: &str, value: Value, action| {
        assert!(chain.overwrite_rw_setting(name, value, action).wait().unwrap());
    };
    write("wallet", json!(["a", "b"]), SettingsAction::Write);
    write("prune", json!(550), SettingsAction::SkipWrite);
    assert_eq!(chain.get_rw_setting("wallet").wait().unwrap(), json!(["a", "b"]));
    assert_eq!(chain.get_setting("prune").wait().unwrap(), json!(550));
    assert_eq!(file(&served)["wallet"], json!(["a", "b"]));
    assert_eq!(file(&served)["prune"], Value::Null, "that was not to be written yet");
    assert!(file(&served)["_warning_"].is_string());
    let path = served.datadir().join("settings.json");
    assert_eq!(std::fs::metadata(path).unwrap().permissions().mode() & 0o777, 0o600);

    let again = || SplitNode::new(Chain::regtest(), served.datadir().to_owned());
    let node = again().unwrap();
    assert_eq!(node.settings().list("wallet"), [json!("a"), json!("b")]);
    assert_eq!(node.settings().rw("_warning_"), Value::Null);
    assert!(chain.delete_rw_settings("wallet", SettingsAction::Write).wait().unwrap());
    assert_eq!(chain.get_rw_setting("wallet").wait().unwrap(), Value::Null);
    assert_eq!(again().unwrap().settings().list("wallet"), Vec::<Value>::new());

    std::fs::write(served.datadir().join("settings.json"), "{\"a\":").unwrap();
    let error = again().unwrap_err().to_string();
    assert!(error.contains("repair the file, or move it away") && !error.contains('\n'), "{error}");
}

#[test]
fn a_file_that_cannot_be_written_is_told() {
    let served = serve();
    std::fs::remove_dir_all(served.datadir()).unwrap();
    let written = served.chain.overwrite_rw_setting("a", json!(1), SettingsAction::Write);
    assert!(!written.wait().unwrap());
}

#[test]
fn the_command_line_comes_before_the_file() {
    let served = serve();
    let (chain, settings) = (&served.chain, served.node.settings());
    let get = |name: &str| chain.get_setting(name).wait().unwrap();
    let list = |name: &str| chain.get_settings_list(name).wait().unwrap();
    assert_eq!((get("chain"), get("none")), (json!("regtest"), Value::Null));
    assert_eq!(get("datadir"), json!(served.datadir().to_str().unwrap()));
    settings.set_rw("wallet", json!(["file"]), SettingsAction::SkipWrite);
    assert!(!settings.is_ignored("wallet"));
    settings.set_command_line("wallet", vec![json!("one"), json!("two")]);
    assert_eq!(get("wallet"), json!("two"));
    assert_eq!(list("wallet"), [json!("one"), json!("two"), json!("file")]);
    assert_eq!(chain.get_rw_setting("wallet").wait().unwrap(), json!(["file"]));
    // -nowallet takes back what was before it, and what the file has.
    settings.set_command_line("wallet", vec![json!("one"), json!(false), json!("two")]);
    assert_eq!(list("wallet"), [json!("two")]);
    settings.force("wallet", json!("forced"));
    assert_eq!((get("wallet"), list("wallet")), (json!("forced"), vec![json!("forced")]));
    assert!(settings.is_ignored("wallet"));
    let deprecated = |name: &str| chain.rpc_enable_deprecated(name).wait().unwrap();
    settings.set_command_line("deprecatedrpc", vec![json!("old")]);
    assert!(deprecated("old") && !deprecated("older"));

    let args = served.node.settings().global_args().settings;
    assert_eq!(args.forced_settings["chain"], "\"regtest\"");
    assert_eq!(args.command_line_options["deprecatedrpc"], ["\"old\""]);
    assert_eq!(args.rw_settings["wallet"], "[\"file\"]");
}

#[test]
fn a_setting_is_changed_by_a_function_of_another_process() {
    let served = serve();
    let update = |action: Option<i32>| {
        let client = SettingsUpdateCallbackClient::from_fn(move |old: Value| {
            let new = json!(old.as_i64().unwrap_or(0) + 1);
            Ok(SettingsUpdateCallbackCallResults::new(new).result(action))
        });
        served.chain.update_rw_setting("count", Some(client)).wait().unwrap()
    };
    assert!(update(Some(0)) && update(Some(0)));
    assert_eq!(file(&served)["count"], 2);
    assert!(update(Some(1)));
    assert_eq!(file(&served)["count"], 2, "not written");
    assert!(!update(None));
    assert_eq!(served.chain.get_rw_setting("count").wait().unwrap(), 3);
    assert!(served.chain.update_rw_setting("count", None).wait().is_err());
}

#[test]
fn updates_at_the_same_time_lose_nothing_and_may_read_settings() {
    let served = serve();
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                for _ in 0..10 {
                    let chain = served.chain.clone();
                    let client = SettingsUpdateCallbackClient::from_fn(move |old: Value| {
                        chain.get_setting("other").wait()?;
                        let new = json!(old.as_i64().unwrap_or(0) + 1);
                        Ok(SettingsUpdateCallbackCallResults::new(new).result(1))
                    });
                    assert!(served.chain.update_rw_setting("n", Some(client)).wait().unwrap());
                }
            });
        }
    });
    assert_eq!(served.chain.get_rw_setting("n").wait().unwrap(), 40);
}

#[test]
fn messages_reach_those_who_show_them() {
    let served = serve();
    let shown = served.node.messages().subscribe();
    let text = |text: &str| BilingualStr::from(text);
    served.chain.init_message("Loading wallet").wait().unwrap();
    served.chain.init_warning(text("old file")).wait().unwrap();
    served.chain.init_error(text("no disk")).wait().unwrap();
    served.chain.show_progress("Rescan", 40, true).wait().unwrap();
    let expected = [
        Message::Init("Loading wallet".to_owned()),
        Message::Warning(text("old file")),
        Message::Error(text("no disk")),
        Message::Progress { title: "Rescan".to_owned(), percent: 40, resume_possible: true },
    ];
    assert_eq!(shown.try_iter().collect::<Vec<_>>(), expected);
}
