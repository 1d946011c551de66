//! Links of runs: a ticket, a dashboard, a paper; given when a run is asked for, or added at any time.

use crate::db::Tx;
use crate::runs::{ANSWER, run_row, unknown_run};
use crate::writer::text;
use crate::{Store, StoreError, Value};

/// What a run refers to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Link {
    pub at: i64,
    pub who: String,
    /// May be empty.
    pub title: String,
    pub url: String,
}

impl Store {
    /// Adds a link; also to a run that has ended.
    ///
    /// # Errors
    /// `unknown-run`.
    pub async fn add_link(&self, run: String, link: Link) -> Result<(), StoreError> {
        self.write(ANSWER, move |tx| {
            let (run, link) = (run.clone(), link.clone());
            Box::pin(async move {
                if run_row(tx, &run).await?.is_none() {
                    return Err(unknown_run(&run).into());
                }
                add_link(tx, &run, &link).await
            })
        })
        .await
    }

    /// In the order in which they came.
    ///
    /// # Errors
    /// When the database is away.
    pub async fn links(&self, run: &str) -> Result<Vec<Link>, StoreError> {
        let mut tx = self.read().await?;
        let sql = "SELECT at, who, title, url FROM tidemill_links WHERE run = $1 ORDER BY number";
        let rows = tx.fetch(sql, &[text(run)]).await?;
        let link = |it: &crate::Row| {
            Ok(Link { at: it.get(0)?, who: it.get(1)?, title: it.get(2)?, url: it.get(3)? })
        };
        rows.iter().map(link).collect()
    }
}

/// The run is there.
pub(crate) async fn add_link(tx: &mut Tx, run: &str, link: &Link) -> Result<(), StoreError> {
    let sql = "INSERT INTO tidemill_links (run, number, at, who, title, url) \
               SELECT $1, COALESCE(MAX(number), 0) + 1, $2, $3, $4, $5 FROM tidemill_links WHERE run = $1";
    let values = [
        text(run),
        Value::Int(link.at),
        text(link.who.clone()),
        text(link.title.clone()),
        text(link.url.clone()),
    ];
    tx.execute(sql, &values).await?;
    Ok(())
}
