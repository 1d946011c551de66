//! Where a command looks that works on a lake as well as on a service: a lake that is named wins; else the service, where
//! one is named or logged in to; else the lake of the current folder.

use tidemill_plan::{Code, Problem};

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

/// A flag that only a service makes something of would be one without effect.
pub(crate) fn refuse_service_only(typed: &[(&str, bool)]) -> Result<(), Problem> {
    let Some((flag, _)) = typed.iter().find(|(_, is_typed)| *is_typed) else { return Ok(()) };
    let what = format!("`{flag}` is for the tables of a service, and this is about a lake folder");
    let mend = "leave it out; or name a service with `--host URL`, or `tidemill login URL` once, and leave `--lake` out";
    Err(Problem::new(Code("service-only-flag"), what, mend))
}
