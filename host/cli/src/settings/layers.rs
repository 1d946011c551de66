//! Where each value comes from: default, file, environment, flag; later ones win.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use tidemill_plan::{Code, Place, Problem, nearest};

use super::table::{SETTINGS, Setting, SettingFlags};
use super::value::Value;

const FILE: &str = "tidemill.toml";

#[derive(Clone, Debug, PartialEq, Eq)]
enum Origin {
    Default,
    File(PathBuf),
    Environment(String),
    Flag(String),
}

/// The values of all settings.
#[derive(Debug)]
pub(crate) struct Layers {
    values: BTreeMap<&'static str, (Value, Origin)>,
}

/// A row of `config show`.
#[derive(Debug)]
pub(crate) struct Shown {
    pub(crate) key: &'static str,
    pub(crate) value: Option<String>,
    pub(crate) from: String,
    pub(crate) environment: String,
}

impl Layers {
    pub(crate) fn read(flags: &SettingFlags) -> Result<Self, Problem> {
        let file = match &flags.config {
            Some(path) => Some((path.clone(), read_file(path)?)),
            None if Path::new(FILE).is_file() => Some((PathBuf::from(FILE), read_file(Path::new(FILE))?)),
            None => None,
        };
        Self::of(flags, file, |name| std::env::var(name).ok())
    }

    /// From what was read already.
    pub(crate) fn of(
        flags: &SettingFlags,
        file: Option<(PathBuf, String)>,
        environment: impl Fn(&str) -> Option<String>,
    ) -> Result<Self, Problem> {
        let mut values = BTreeMap::new();
        for it in SETTINGS {
            if let Some(default) = it.default {
                let value = it.kind.parse(default).expect("defaults are values");
                values.insert(it.key, (value, Origin::Default));
            }
        }
        if let Some((path, text)) = file {
            for (it, value) in of_file(&path, &text)? {
                values.insert(it.key, (value, Origin::File(path.clone())));
            }
        }
        for it in SETTINGS {
            let name = it.environment();
            if let Some(text) = environment(&name) {
                let value =
                    it.kind.parse(&text).map_err(|why| bad(&format!("`{name}`"), &hidden(it, &why)))?;
                values.insert(it.key, (value, Origin::Environment(name)));
            }
            if let Some(text) = flags.typed.get(it.key) {
                let name = format!("--{}", it.key.replace('_', "-"));
                let value =
                    it.kind.parse(text).map_err(|why| bad(&format!("`{name}`"), &hidden(it, &why)))?;
                values.insert(it.key, (value, Origin::Flag(name)));
            }
        }
        Ok(Self { values })
    }

    /// Gives a text to what was not set.
    pub(crate) fn default_to(&mut self, key: &'static str, text: &str) {
        let setting =
            SETTINGS.iter().find(|it| it.key == key).expect("only settings of the table have defaults");
        let value = setting.kind.parse(text).expect("a default fits its setting");
        self.values.entry(key).or_insert((value, Origin::Default));
    }

    pub(crate) fn value(&self, key: &str) -> Option<&Value> {
        assert!(SETTINGS.iter().any(|it| it.key == key), "there is no setting `{key}`");
        self.values.get(key).map(|(value, _)| value)
    }

    pub(crate) fn shown(&self) -> Vec<Shown> {
        let row = |it: &Setting| {
            let found = self.values.get(it.key);
            let shown = |text: String| if it.is_secret { without_password(&text) } else { text };
            let value = found.map(|(value, _)| shown(value.to_string()));
            let from = match found.map(|(_, origin)| origin) {
                None | Some(Origin::Default) => "default".to_owned(),
                Some(Origin::File(path)) => path.display().to_string(),
                Some(Origin::Environment(name) | Origin::Flag(name)) => name.clone(),
            };
            Shown { key: it.key, value, from, environment: it.environment() }
        };
        SETTINGS.iter().map(row).collect()
    }
}

fn read_file(path: &Path) -> Result<String, Problem> {
    std::fs::read_to_string(path).map_err(|e| {
        let what = format!("the configuration `{}` cannot be read: {e}", path.display());
        Problem::new(
            Code("config-unreadable"),
            what,
            "check the path, and that the file is text that you may read",
        )
    })
}

fn of_file(path: &Path, text: &str) -> Result<Vec<(&'static Setting, Value)>, Problem> {
    let place = |at: usize| place(path, text, at);
    let table = toml::de::DeTable::parse(text).map_err(|e| {
        let what = format!("the configuration is no TOML: {}", e.message());
        let at = e.span().map_or(0, |it| it.start);
        Problem::new(Code("config-unreadable"), what, "write lines of `setting = value`").at(place(at))
    })?;
    let values: toml::Table = text.parse().expect("what was read as TOML is TOML");
    let mut settings = Vec::new();
    for (key, _) in table.get_ref() {
        let (at, key) = (key.span().start, key.get_ref().as_ref());
        let Some(setting) = SETTINGS.iter().find(|it| it.key == key) else {
            return Err(unknown(key).at(place(at)));
        };
        let value = setting.kind.of_toml(&values[key]);
        let value = value.map_err(|why| bad(&format!("`{key}`"), &hidden(setting, &why)).at(place(at)))?;
        settings.push((setting, value));
    }
    Ok(settings)
}

fn unknown(key: &str) -> Problem {
    let what = format!("there is no setting `{key}`");
    let mend = match nearest(key, SETTINGS.iter().map(|it| it.key)) {
        Some(it) => format!("did you mean `{it}`? `tidemill config show` lists them all"),
        None => "`tidemill config show` lists them all".to_owned(),
    };
    Problem::new(Code("unknown-setting"), what, mend)
}

fn bad(name: &str, why: &str) -> Problem {
    let mend = "`tidemill serve --help` says what it takes";
    Problem::new(Code("bad-setting"), format!("{name} {why}"), mend)
}

/// What is wrong with a secret is told without the secret.
fn hidden(setting: &Setting, why: &str) -> String {
    if setting.is_secret { "is not of the form that it takes".to_owned() } else { why.to_owned() }
}

fn place(path: &Path, text: &str, at: usize) -> Place {
    let before = text.get(..at.min(text.len())).unwrap_or_default();
    let line = before.matches('\n').count() + 1;
    let column = before.chars().rev().take_while(|it| *it != '\n').count() + 1;
    let count = |it: usize| u32::try_from(it).unwrap_or(u32::MAX);
    Place { file: path.display().to_string(), line: count(line), column: count(column) }
}

/// An address as it may be shown: neither a password before `@` nor what follows `?`.
fn without_password(url: &str) -> String {
    let Some((scheme, rest)) = url.split_once("://") else { return url.to_owned() };
    let (authority, path) = rest.find('/').map_or((rest, ""), |it| rest.split_at(it));
    let authority = match authority.rsplit_once('@') {
        Some((user, host)) => match user.split_once(':') {
            Some((name, _)) => format!("{name}:…@{host}"),
            None => format!("{user}@{host}"),
        },
        None => authority.to_owned(),
    };
    let path = match path.split_once('?') {
        Some((path, _)) => format!("{path}?…"),
        None => path.to_owned(),
    };
    format!("{scheme}://{authority}{path}")
}
