//! Tags: names of components that people choose, where they point, and where they pointed before.

use tidemill_plan::{Code, Digest, Problem};

use super::components;
use crate::conditions::Conditions;
use crate::db::Tx;
use crate::runs::ANSWER;
use crate::writer::text;
use crate::{Row, Store, StoreError, Value};

/// Whether a tag may point at something else later.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Motion {
    Free,
    /// Once it has pointed at a component, it never points at another.
    Fixed,
}

/// A tag to be set.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewTag {
    pub tag: String,
    pub motion: Motion,
}

/// Where a tag points.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TagRow {
    pub name: String,
    pub tag: String,
    pub digest: Digest,
    pub moved_at: i64,
    pub moved_by: String,
}

/// One time that a tag was set or taken away.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TagMove {
    pub number: i64,
    /// `None`: taken away.
    pub digest: Option<Digest>,
    pub at: i64,
    pub who: String,
}

impl TagRow {
    fn of(row: &Row) -> Result<Self, StoreError> {
        Ok(Self {
            name: row.get(0)?,
            tag: row.get(1)?,
            digest: components::digest(row, 2)?,
            moved_at: row.get(3)?,
            moved_by: row.get(4)?,
        })
    }
}

impl Store {
    /// Points a tag at a component of that name.
    ///
    /// # Errors
    /// `unknown-component`, `tag-of-another`, `tag-fixed`.
    pub async fn set_tag(
        &self,
        name: String,
        tag: NewTag,
        digest: Digest,
        at: i64,
        who: String,
    ) -> Result<TagRow, StoreError> {
        self.write(ANSWER, move |tx| {
            let (name, tag, who) = (name.clone(), tag.clone(), who.clone());
            Box::pin(async move {
                tx.lock("registry").await?;
                let component = components::known(tx, digest).await?;
                if component.name != name {
                    return Err(of_another(&name, &component.name).into());
                }
                point(tx, &name, &tag, digest, at, &who).await
            })
        })
        .await
    }

    /// Takes a tag away; where it pointed.
    ///
    /// # Errors
    /// As [`Store::write`].
    pub async fn remove_tag(
        &self,
        name: String,
        tag: String,
        at: i64,
        who: String,
    ) -> Result<Option<TagRow>, StoreError> {
        self.write(ANSWER, move |tx| {
            let (name, tag, who) = (name.clone(), tag.clone(), who.clone());
            Box::pin(async move {
                tx.lock("registry").await?;
                let row = find(tx, &name, &tag).await?;
                if row.is_some() {
                    remove(tx, &name, &tag, at, &who).await?;
                }
                Ok(row)
            })
        })
        .await
    }

    /// Where a tag points.
    ///
    /// # Errors
    /// When the database is away.
    pub async fn tag(&self, name: &str, tag: &str) -> Result<Option<TagRow>, StoreError> {
        find(&mut self.read().await?, name, tag).await
    }

    /// The tags of a name, in order, those after one.
    ///
    /// # Errors
    /// When the database is away.
    pub async fn tags(
        &self,
        name: &str,
        after: Option<String>,
        limit: u32,
    ) -> Result<Vec<TagRow>, StoreError> {
        let mut conditions = Conditions::default();
        conditions.and("name = ?", [text(name)]);
        if let Some(it) = after {
            conditions.and("tag > ?", [text(it)]);
        }
        let (rest, values) = conditions.ordered("tag", limit);
        let mut tx = self.read().await?;
        let sql = format!("SELECT name, tag, digest, moved_at, moved_by FROM tidemill_tags{rest}");
        tx.fetch(&sql, &values).await?.iter().map(TagRow::of).collect()
    }

    /// Where a tag pointed, newest first, those before a number.
    ///
    /// # Errors
    /// When the database is away.
    pub async fn tag_moves(
        &self,
        name: &str,
        tag: &str,
        before: Option<i64>,
        limit: u32,
    ) -> Result<Vec<TagMove>, StoreError> {
        let mut conditions = Conditions::default();
        conditions.and("name = ? AND tag = ?", [text(name), text(tag)]);
        if let Some(it) = before {
            conditions.and("number < ?", [Value::Int(it)]);
        }
        let (rest, values) = conditions.ordered("number DESC", limit);
        let mut tx = self.read().await?;
        let sql = format!("SELECT number, digest, at, who FROM tidemill_tag_moves{rest}");
        tx.fetch(&sql, &values).await?.iter().map(tag_move).collect()
    }
}

fn tag_move(row: &Row) -> Result<TagMove, StoreError> {
    let digest = match row.get::<Option<String>>(1)? {
        Some(_) => Some(components::digest(row, 1)?),
        None => None,
    };
    Ok(TagMove { number: row.get(0)?, digest, at: row.get(2)?, who: row.get(3)? })
}

/// Points a tag at a component that is kept, and notes it where it pointed elsewhere.
pub(super) async fn point(
    tx: &mut Tx,
    name: &str,
    new: &NewTag,
    digest: Digest,
    at: i64,
    who: &str,
) -> Result<TagRow, StoreError> {
    let tag = new.tag.as_str();
    let found = find(tx, name, tag).await?;
    if let Some(row) = found.filter(|it| it.digest == digest) {
        return Ok(row);
    }
    if new.motion == Motion::Fixed {
        refuse_move(tx, name, tag, digest).await?;
    }
    let sql = "INSERT INTO tidemill_tags (name, tag, digest, moved_at, moved_by) VALUES ($1, $2, $3, $4, $5) \
               ON CONFLICT (name, tag) DO UPDATE SET digest = $3, moved_at = $4, moved_by = $5";
    let values = [text(name), text(tag), text(digest.to_string()), Value::Int(at), text(who)];
    tx.execute(sql, &values).await?;
    let sql = "INSERT INTO tidemill_tag_moves (name, tag, digest, at, who) VALUES ($1, $2, $3, $4, $5)";
    tx.execute(sql, &values).await?;
    Ok(TagRow { name: name.to_owned(), tag: tag.to_owned(), digest, moved_at: at, moved_by: who.to_owned() })
}

/// Also one that was taken away in between comes back to where it was, or not at all.
async fn refuse_move(tx: &mut Tx, name: &str, tag: &str, digest: Digest) -> Result<(), StoreError> {
    let sql = "SELECT digest FROM tidemill_tag_moves WHERE name = $1 AND tag = $2 AND digest <> $3 \
               ORDER BY number LIMIT 1";
    let values = [text(name), text(tag), text(digest.to_string())];
    let Some(row) = tx.fetch_optional(sql, &values).await? else { return Ok(()) };
    let was = components::digest(&row, 0)?;
    let what = format!(
        "`{name}:{tag}` is a version and points at {} for good, not at {}",
        was.short(),
        digest.short()
    );
    Err(Problem::new(Code("tag-fixed"), what, "push it under a new version; only other tags move").into())
}

/// Takes a tag away that is there, and notes it.
pub(super) async fn remove(tx: &mut Tx, name: &str, tag: &str, at: i64, who: &str) -> Result<(), StoreError> {
    let values = [text(name), text(tag), Value::Int(at), text(who)];
    tx.execute("DELETE FROM tidemill_tags WHERE name = $1 AND tag = $2", &values[..2]).await?;
    let sql = "INSERT INTO tidemill_tag_moves (name, tag, digest, at, who) VALUES ($1, $2, NULL, $3, $4)";
    tx.execute(sql, &values).await?;
    Ok(())
}

async fn find(tx: &mut Tx, name: &str, tag: &str) -> Result<Option<TagRow>, StoreError> {
    let sql = "SELECT name, tag, digest, moved_at, moved_by FROM tidemill_tags WHERE name = $1 AND tag = $2";
    tx.fetch_optional(sql, &[text(name), text(tag)]).await?.as_ref().map(TagRow::of).transpose()
}

pub(super) async fn of_digest(tx: &mut Tx, digest: Digest) -> Result<Vec<String>, StoreError> {
    let sql = "SELECT tag FROM tidemill_tags WHERE digest = $1 ORDER BY tag";
    tx.fetch(sql, &[text(digest.to_string())]).await?.iter().map(|it| it.get(0)).collect()
}

fn of_another(name: &str, real: &str) -> Problem {
    let what = format!("the component calls itself `{real}`, so `{name}` cannot be its name");
    Problem::new(Code("tag-of-another"), what, format!("tag it as `{real}:TAG`"))
}
