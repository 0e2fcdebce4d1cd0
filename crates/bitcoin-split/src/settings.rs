//! The node's settings: the file that the programs write, and what was given when the program was started.

use std::collections::BTreeMap;
use std::fmt;
use std::fs;
use std::io::{ErrorKind, Write};
use std::path::{Path, PathBuf};
use std::sync::Mutex;

use bitcoin_ipc::common::{self, GlobalArgs};
use bitcoin_ipc::rpc::Value;
use bitcoin_ipc_draft::values::SettingsAction;
use serde_json::Map;

use crate::split_node::lock;

/// The file in the network's directory.
const FILE: &str = "settings.json";

/// A name in the file that is no setting: it tells who reads the file what it is.
const WARNING: &str = "_warning_";

/// Why the settings cannot be read, on one line: it tells a person what to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SettingsError(String);

impl fmt::Display for SettingsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for SettingsError {}

/// The settings. Where several sources have one, the program's own decisions (forced) come first, then the command
/// line, then `settings.json`.
#[derive(Debug)]
pub struct Settings {
    file: PathBuf,
    sources: Mutex<Sources>,
}

#[derive(Debug, Clone, Default)]
struct Sources {
    forced: Map<String, Value>,
    /// For each name its values in order. False takes back those before it, as `-noNAME` does.
    command_line: BTreeMap<String, Vec<Value>>,
    file: Map<String, Value>,
}

impl Settings {
    /// Reads `settings.json` in the network's directory, where there is one. The settings `datadir` and `chain`, which
    /// other processes go by, are that directory and `regtest`.
    ///
    /// # Errors
    /// The file is there and cannot be read: the text says what to do.
    pub fn open(datadir: &Path) -> Result<Settings, SettingsError> {
        let file = datadir.join(FILE);
        let broken = |problem: String| {
            SettingsError(format!(
                "the settings in {} cannot be read ({problem}): repair the file, or move it away",
                file.display()
            ))
        };
        let mut read = match fs::read_to_string(&file) {
            Ok(text) => serde_json::from_str::<Map<String, Value>>(&text)
                .map_err(|problem| broken(problem.to_string()))?,
            Err(problem) if problem.kind() == ErrorKind::NotFound => Map::new(),
            Err(problem) => return Err(broken(problem.to_string())),
        };
        read.remove(WARNING);
        let mut forced = Map::new();
        forced.insert("datadir".into(), datadir.to_string_lossy().into());
        forced.insert("chain".into(), "regtest".into());
        let sources = Sources { forced, file: read, ..Sources::default() };
        Ok(Settings { file, sources: Mutex::new(sources) })
    }

    /// Sets what the command line has of a setting: its values in order.
    pub fn set_command_line(&self, name: &str, values: Vec<Value>) {
        lock(&self.sources).command_line.insert(name.to_owned(), values);
    }

    /// Decides a setting, until the program ends. Null takes that back.
    pub fn force(&self, name: &str, value: Value) {
        set(&mut lock(&self.sources).forced, name, value);
    }

    /// The value that counts; null if it is not set.
    pub fn get(&self, name: &str) -> Value {
        let sources = lock(&self.sources);
        let forced = sources.forced.get(name);
        let command_line = || sources.command_line.get(name).and_then(|values| values.last());
        let value = forced.or_else(command_line).or_else(|| sources.file.get(name));
        value.cloned().unwrap_or_default()
    }

    /// All values of a setting that can be given several times.
    pub fn list(&self, name: &str) -> Vec<Value> {
        let sources = lock(&self.sources);
        let mut all = Vec::new();
        let mut add = |values: &[Value]| {
            for value in values {
                match value {
                    Value::Array(several) => all.extend(several.iter().cloned()),
                    single => all.push(single.clone()),
                }
            }
        };
        if let Some(forced) = sources.forced.get(name) {
            add(std::slice::from_ref(forced));
            return all;
        }
        let given = sources.command_line.get(name).map_or(&[][..], Vec::as_slice);
        let negated = given.iter().rposition(|value| *value == Value::Bool(false));
        add(&given[negated.map_or(0, |at| at + 1)..]);
        if negated.is_none() {
            match sources.file.get(name) {
                None | Some(Value::Bool(false)) => {}
                Some(value) => add(std::slice::from_ref(value)),
            }
        }
        all
    }

    /// What `settings.json` has; null if nothing.
    pub fn rw(&self, name: &str) -> Value {
        lock(&self.sources).file.get(name).cloned().unwrap_or_default()
    }

    /// Whether the command line or the program decides a setting, so that what `settings.json` has does not count.
    pub fn is_ignored(&self, name: &str) -> bool {
        let sources = lock(&self.sources);
        sources.forced.contains_key(name) || sources.command_line.contains_key(name)
    }

    /// Sets what `settings.json` has of a setting; null deletes it. With [`SettingsAction::Write`] the file is written
    /// before this returns. False if that failed (the log says why): the value then counts until the program ends.
    pub fn set_rw(&self, name: &str, value: Value, action: SettingsAction) -> bool {
        let mut sources = lock(&self.sources);
        set(&mut sources.file, name, value);
        action == SettingsAction::SkipWrite || self.write(&sources.file)
    }

    /// The same if the value is still `old`; none if it is not, and then nothing was done.
    pub fn replace_rw(
        &self,
        name: &str,
        old: &Value,
        value: Value,
        action: SettingsAction,
    ) -> Option<bool> {
        let mut sources = lock(&self.sources);
        if sources.file.get(name).unwrap_or(&Value::Null) != old {
            return None;
        }
        set(&mut sources.file, name, value);
        Some(action == SettingsAction::SkipWrite || self.write(&sources.file))
    }

    /// Deletes everything that `settings.json` has. False if it could not be written.
    pub fn reset(&self) -> bool {
        let mut sources = lock(&self.sources);
        sources.file.clear();
        self.write(&sources.file)
    }

    /// All of them, for a process that is started.
    pub fn global_args(&self) -> GlobalArgs {
        let sources = lock(&self.sources).clone();
        let texts = |values: Map<String, Value>| {
            values.into_iter().map(|(name, value)| (name, value.to_string())).collect()
        };
        let given = sources
            .command_line
            .into_iter()
            .map(|(name, values)| (name, values.iter().map(Value::to_string).collect::<Vec<_>>()));
        let settings = common::Settings::default()
            .forced_settings(texts(sources.forced))
            .command_line_options(given.collect())
            .rw_settings(texts(sources.file));
        GlobalArgs::default().settings(settings)
    }

    /// Writes the file, atomically: to another one, which then takes its name.
    fn write(&self, values: &Map<String, Value>) -> bool {
        let written = self.try_write(values);
        if let Err(problem) = &written {
            tracing::error!("the settings cannot be written to {}: {problem}", self.file.display());
        }
        written.is_ok()
    }

    fn try_write(&self, values: &Map<String, Value>) -> std::io::Result<()> {
        let mut all = Map::new();
        let warning = "This file is written by the programs: changes made while they run are lost.";
        all.insert(WARNING.into(), warning.into());
        all.extend(values.clone());
        let text = format!("{:#}\n", Value::Object(all));
        let directory = self.file.parent().unwrap_or(Path::new("."));
        // Only the user may read it.
        let mut new = tempfile::Builder::new().prefix(FILE).tempfile_in(directory)?;
        new.write_all(text.as_bytes())?;
        new.as_file().sync_all()?;
        new.persist(&self.file)?;
        fs::File::open(directory)?.sync_all()
    }
}

fn set(values: &mut Map<String, Value>, name: &str, value: Value) {
    if value.is_null() {
        values.remove(name);
    } else {
        values.insert(name.to_owned(), value);
    }
}
