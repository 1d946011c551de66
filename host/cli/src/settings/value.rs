//! Values of settings: read from TOML, or from the text of a flag or variable, and shown.

use std::net::SocketAddr;

use tidemill_plan::{byte_size, duration_ms, duration_text, size_text};

/// What a setting takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Text,
    OneOf(&'static [&'static str]),
    Address,
    Flag,
    /// From 1 on.
    Number,
    Size,
    Duration,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Value {
    Text(String),
    Address(SocketAddr),
    Flag(bool),
    Number(u64),
    /// Bytes.
    Size(u64),
    /// Milliseconds.
    Duration(u64),
}

impl Kind {
    /// # Errors
    /// What is wrong with the text, as the end of a sentence that begins with the setting.
    pub(crate) fn parse(self, text: &str) -> Result<Value, String> {
        match self {
            Self::Text if text.is_empty() => Err("is empty".to_owned()),
            Self::Text => Ok(Value::Text(text.to_owned())),
            Self::OneOf(words) if words.contains(&text) => Ok(Value::Text(text.to_owned())),
            Self::OneOf(words) => Err(format!("is `{text}`, not one of `{}`", words.join("`, `"))),
            Self::Address => text.parse().map(Value::Address).map_err(|_unreadable| {
                format!("is `{text}`, which is no address and port such as `127.0.0.1:7433`")
            }),
            Self::Flag => match text {
                "true" | "1" | "yes" => Ok(Value::Flag(true)),
                "false" | "0" | "no" => Ok(Value::Flag(false)),
                _ => Err(format!("is `{text}`, neither `true` nor `false`")),
            },
            Self::Number => match text.parse() {
                Ok(number) if number > 0 => Ok(Value::Number(number)),
                Ok(_) | Err(_) => Err(format!("is `{text}`, which is no whole number above 0")),
            },
            Self::Size => byte_size(text).map(Value::Size).map_err(|why| format!("is wrong: {why}")),
            Self::Duration => {
                duration_ms(text).map(Value::Duration).map_err(|why| format!("is wrong: {why}"))
            }
        }
    }

    /// # Errors
    /// As [`Kind::parse`].
    pub(crate) fn of_toml(self, value: &toml::Value) -> Result<Value, String> {
        match (self, value) {
            (Self::Flag, toml::Value::Boolean(it)) => Ok(Value::Flag(*it)),
            (Self::Number, toml::Value::Integer(it)) => self.parse(&it.to_string()),
            (
                Self::Text | Self::OneOf(_) | Self::Address | Self::Size | Self::Duration,
                toml::Value::String(it),
            ) => self.parse(it),
            (_, other) => Err(format!("is {} `{other}`, and takes {}", other.type_str(), self.takes())),
        }
    }

    fn takes(self) -> &'static str {
        match self {
            Self::Text | Self::OneOf(_) => "a text",
            Self::Address => "a text such as `\"127.0.0.1:7433\"`",
            Self::Flag => "`true` or `false`",
            Self::Number => "a whole number",
            Self::Size => "a text such as `\"64MiB\"`",
            Self::Duration => "a text such as `\"30s\"`",
        }
    }
}

impl std::fmt::Display for Value {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Text(it) => f.write_str(it),
            Self::Address(it) => it.fmt(f),
            Self::Flag(it) => it.fmt(f),
            Self::Number(it) => it.fmt(f),
            Self::Size(it) => f.write_str(&size_text(*it)),
            Self::Duration(it) => f.write_str(&duration_text(*it)),
        }
    }
}
