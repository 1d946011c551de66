//! `tidemill audit`: who did what on a service.

use jiff::Timestamp;
use serde_json::json;
use tidemill_plan::Problem;
use tidemill_server::wire::AuditRecord;

use crate::args::AuditArgs;
use crate::client::require_host;
use crate::{Ending, quantity, table_view, tokens};

pub(crate) fn audit(args: &AuditArgs, host: Option<&str>) -> anyhow::Result<Ending> {
    let mut query = Vec::new();
    query.extend(args.who.clone().map(|it| ("who", it)));
    query.extend(args.status.map(|it| ("status", it.to_string())));
    query.extend(args.since.as_deref().map(since).transpose()?.map(|it| ("since", it)));
    let records: Vec<AuditRecord> = require_host(host)?.list(&["audit"], &query, Some(args.limit))?;
    if args.json {
        table_view::print_json(&json!(records))?;
        return Ok(Ending::Done);
    }
    let row = |it: AuditRecord| {
        let who = if it.who.is_empty() { "-".to_owned() } else { it.who };
        let status = match it.code {
            Some(code) => format!("{} {code}", it.status),
            None => it.status.to_string(),
        };
        let method = it.action.split(' ').next().unwrap_or_default().to_owned();
        vec![tokens::short_time(&it.at), who, method, it.target, status, it.remote, it.request]
    };
    let header = ["time", "who", "did", "what", "answer", "from", "request"];
    table_view::print(&header, records.into_iter().map(row).collect())?;
    Ok(Ending::Done)
}

/// A time, or an age.
pub(crate) fn since(text: &str) -> Result<String, Problem> {
    match quantity::parse_age("--since", text) {
        Ok(age) => Ok((Timestamp::now() - age).to_string()),
        Err(_) => Ok(tokens::time_text(quantity::parse_time("--since", text)?)),
    }
}
