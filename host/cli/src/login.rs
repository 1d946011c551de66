//! `tidemill login`, `tidemill logout`: the services that this user talks to.

use std::io::{BufRead as _, IsTerminal as _, Write as _};
use std::process::{Command, Stdio};

use anyhow::Context as _;
use tidemill_plan::{Code, Problem};
use tidemill_server::wire::Token;

use crate::args::{LoginArgs, LogoutArgs};
use crate::client::{Client, Hosts, read_url};
use crate::complain::talk;
use crate::{Ending, tokens};

pub(crate) fn login(args: &LoginArgs) -> anyhow::Result<Ending> {
    let url = read_url(&args.url)?;
    let is_local = url.host_str().is_some_and(|it| matches!(it, "localhost" | "127.0.0.1" | "[::1]"));
    if url.scheme() == "http" && !is_local {
        talk!("warning: the token passes to `{url}` in the clear; use `https://` where the service has it");
    }
    let token = match &args.token {
        Some(token) => token.trim().to_owned(),
        None => ask()?,
    };
    if token.is_empty() {
        let mend = "the service prints a first one; an admin makes others with `tidemill tokens create`";
        return Err(Problem::new(Code("no-token"), "no token was given", mend).into());
    }
    // From wherever the next command is called.
    let ca = args.ca.as_ref().map(|it| it.canonicalize().unwrap_or_else(|_| it.clone()));
    let found: Token = Client::new(&url, Some(&token), ca.as_ref())?.get(&["whoami"])?;
    Hosts::read()?.add(&url, token, ca)?;
    let role = tokens::role_name(found.role);
    talk!("logged in to {} as `{}`, {role}", url.as_str().trim_end_matches('/'), found.name);
    Ok(Ending::Done)
}

pub(crate) fn logout(args: &LogoutArgs) -> anyhow::Result<Ending> {
    let mut hosts = Hosts::read()?;
    let url = match &args.url {
        Some(url) => Some(read_url(url)?),
        None => hosts.current().map(|it| it.url),
    };
    let Some(url) = url else {
        talk!("not logged in to any service");
        return Ok(Ending::Done);
    };
    let shown = url.as_str().trim_end_matches('/');
    if hosts.remove(&url)? {
        talk!("logged out of {shown}; its token works until it is revoked");
    } else {
        talk!("not logged in to {shown}");
    }
    Ok(Ending::Done)
}

/// Asks on a terminal without showing what is typed; else takes the first line of stdin.
fn ask() -> anyhow::Result<String> {
    let stdin = std::io::stdin();
    let is_terminal = stdin.is_terminal();
    if is_terminal {
        write!(std::io::stderr(), "token: ")?;
        echo("-echo");
    }
    let mut line = String::new();
    let read = stdin.lock().read_line(&mut line);
    if is_terminal {
        echo("echo");
        talk!("");
    }
    read.context("read the token")?;
    Ok(line.trim().to_owned())
}

/// Where there is no `stty`, the token is seen.
fn echo(mode: &str) {
    let mut stty = Command::new("stty");
    stty.arg(mode).stdin(Stdio::inherit()).stderr(Stdio::null());
    if let Err(e) = stty.status() {
        talk!("warning: what is typed may be seen (stty: {e})");
    }
}
