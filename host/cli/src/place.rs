//! Where a command looks that works on a lake as well as on a service: a lake that is named wins; else the service, where
//! one is named or logged in to; else the lake of the current folder.

use crate::args::LakeArg;
use crate::client::{Client, host_of};
use crate::complain::talk;

/// The service, if the command is about one; else it is about the lake.
pub(crate) fn service(lake: &LakeArg, host: Option<&str>) -> anyhow::Result<Option<Client>> {
    if lake.named.is_some() {
        return Ok(None);
    }
    let client = host_of(host)?;
    if let Some(client) = &client {
        talk!("on {}", client.url());
    }
    Ok(client)
}
