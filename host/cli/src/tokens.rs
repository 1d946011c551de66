//! `tidemill tokens`: made, listed, revoked.

use std::io::Write as _;

use jiff::Timestamp;
use serde_json::json;
use tidemill_plan::{Problem, Time};
use tidemill_server::wire::{CreateToken, CreatedToken, Token, TokenRole};

use crate::args::{RoleArg, TokensCommand, TokensWhat};
use crate::client::{Client, require_host};
use crate::complain::talk;
use crate::{Ending, quantity, table_view};

pub(crate) fn tokens(args: &TokensCommand, host: Option<&str>) -> anyhow::Result<Ending> {
    let client = require_host(host)?;
    match &args.what {
        TokensWhat::Create { name, role, expires, json } => {
            let asked = CreateToken {
                name: name.clone(),
                role: role_of(*role),
                expires_at: expires.as_deref().map(expiry).transpose()?,
            };
            create(&client, &asked, *json)
        }
        TokensWhat::List { json } => list(&client, *json),
        TokensWhat::Revoke { id } => {
            let token: Token = client.delete(&["tokens", id])?;
            talk!("revoked token `{}` of `{}`", token.id, token.name);
            Ok(Ending::Done)
        }
    }
}

fn create(client: &Client, asked: &CreateToken, is_json: bool) -> anyhow::Result<Ending> {
    let created: CreatedToken = client.post(&["tokens"], asked)?;
    if is_json {
        table_view::print_json(&json!(created))?;
    } else {
        writeln!(std::io::stdout(), "{}", created.secret)?;
        talk!("this token of `{}`, {}, is shown once", created.token.name, role_name(created.token.role));
    }
    Ok(Ending::Done)
}

fn list(client: &Client, is_json: bool) -> anyhow::Result<Ending> {
    let tokens: Vec<Token> = client.list(&["tokens"], &[], None)?;
    if is_json {
        table_view::print_json(&json!(tokens))?;
        return Ok(Ending::Done);
    }
    let row = |it: Token| {
        let state = match (&it.revoked_at, &it.expires_at) {
            (Some(at), _) => format!("revoked {}", short_time(at)),
            (None, Some(at)) => format!("until {}", short_time(at)),
            (None, None) => "valid".to_owned(),
        };
        let used = it.used_at.as_deref().map(short_time).unwrap_or_default();
        vec![
            it.id,
            it.name,
            role_name(it.role).to_owned(),
            state,
            short_time(&it.created_at),
            it.created_by,
            used,
        ]
    };
    table_view::print(
        &["id", "name", "role", "state", "made", "by", "last used"],
        tokens.into_iter().map(row).collect(),
    )?;
    Ok(Ending::Done)
}

pub(crate) fn role_name(role: TokenRole) -> &'static str {
    match role {
        TokenRole::Viewer => "viewer",
        TokenRole::Operator => "operator",
        TokenRole::Admin => "admin",
    }
}

fn role_of(role: RoleArg) -> TokenRole {
    match role {
        RoleArg::Viewer => TokenRole::Viewer,
        RoleArg::Operator => TokenRole::Operator,
        RoleArg::Admin => TokenRole::Admin,
    }
}

/// A time to come, or an age from now on.
fn expiry(text: &str) -> Result<String, Problem> {
    match quantity::parse_age("--expires", text) {
        Ok(age) => Ok((Timestamp::now() + age).to_string()),
        Err(_) => Ok(time_text(quantity::parse_time("--expires", text)?)),
    }
}

pub(crate) fn time_text(time: Time) -> String {
    Timestamp::from_nanosecond(i128::from(time.0)).map_or_else(|_| time.0.to_string(), |it| it.to_string())
}

/// A time of the service, to the second.
pub(crate) fn short_time(text: &str) -> String {
    let time = text.parse::<Timestamp>();
    time.map_or_else(|_| text.to_owned(), |it| it.strftime("%Y-%m-%d %H:%M:%S").to_string())
}
