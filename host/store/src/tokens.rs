//! Tokens: by what a caller proves who it is. Only hashes are kept; what a token may do is the server's affair.

use crate::conditions::Conditions;
use crate::db::Tx;
use crate::runs::ANSWER;
use crate::writer::text;
use crate::{Row, Store, StoreError, Value};

/// What a token may do; each may all that those before it may.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Role {
    /// Reads.
    Viewer,
    /// Runs, cancels, pushes, deploys.
    Operator,
    /// Hands out tokens, removes.
    Admin,
}

impl Role {
    pub const ALL: [Self; 3] = [Self::Viewer, Self::Operator, Self::Admin];

    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Viewer => "viewer",
            Self::Operator => "operator",
            Self::Admin => "admin",
        }
    }

    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|it| it.name() == name)
    }
}

/// A token as it is to be kept.
#[derive(Clone, Debug)]
pub struct NewToken {
    /// Its public part.
    pub id: String,
    /// Who or what has it.
    pub name: String,
    /// Of its secret part.
    pub hash: [u8; 32],
    pub role: Role,
    pub created_at: i64,
    pub created_by: String,
    pub expires_at: Option<i64>,
}

/// A token as it is kept. Its hash is no secret, but nothing shows it.
#[derive(Clone, Debug)]
pub struct TokenRow {
    pub id: String,
    pub name: String,
    pub hash: Vec<u8>,
    pub role: Role,
    pub created_at: i64,
    pub created_by: String,
    pub expires_at: Option<i64>,
    pub revoked_at: Option<i64>,
    pub revoked_by: Option<String>,
    /// The last time that someone used it, to the minute or so.
    pub used_at: Option<i64>,
}

/// Whether a token goes if there is another already.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Among {
    Any,
    /// Only as the first of all.
    First,
}

const COLUMNS: &str =
    "id, name, hash, role, created_at, created_by, expires_at, revoked_at, revoked_by, used_at";

impl TokenRow {
    fn of(row: &Row) -> Result<Self, StoreError> {
        let role: String = row.get(3)?;
        Ok(Self {
            id: row.get(0)?,
            name: row.get(1)?,
            hash: row.get(2)?,
            role: Role::named(&role).ok_or_else(|| StoreError::unreadable(&role))?,
            created_at: row.get(4)?,
            created_by: row.get(5)?,
            expires_at: row.get(6)?,
            revoked_at: row.get(7)?,
            revoked_by: row.get(8)?,
            used_at: row.get(9)?,
        })
    }
}

impl Store {
    /// Keeps a token. False when it should have been the first and is not.
    ///
    /// # Errors
    /// As [`Store::write`].
    pub async fn add_token(&self, token: NewToken, among: Among) -> Result<bool, StoreError> {
        self.write(ANSWER, move |tx| {
            let token = token.clone();
            Box::pin(async move { add(tx, token, among).await })
        })
        .await
    }

    /// # Errors
    /// When the database is away.
    pub async fn token(&self, id: &str) -> Result<Option<TokenRow>, StoreError> {
        token(&mut self.read().await?, id).await
    }

    /// Newest first, those after `(created_at, id)`.
    ///
    /// # Errors
    /// When the database is away.
    pub async fn tokens(
        &self,
        before: Option<(i64, String)>,
        limit: u32,
    ) -> Result<Vec<TokenRow>, StoreError> {
        let mut conditions = Conditions::default();
        if let Some((at, id)) = before {
            let values = [Value::Int(at), Value::Int(at), text(id)];
            conditions.and("(created_at < ? OR (created_at = ? AND id < ?))", values);
        }
        let (rest, values) = conditions.ordered("created_at DESC, id DESC", limit);
        let mut tx = self.read().await?;
        let rows = tx.fetch(&format!("SELECT {COLUMNS} FROM tidemill_tokens{rest}"), &values).await?;
        rows.iter().map(TokenRow::of).collect()
    }

    /// Takes a token out of use, for good. `None`: there is none; revoking twice changes nothing.
    ///
    /// # Errors
    /// As [`Store::write`].
    pub async fn revoke_token(
        &self,
        id: String,
        at: i64,
        who: String,
    ) -> Result<Option<TokenRow>, StoreError> {
        self.write(ANSWER, move |tx| {
            let values = [text(id.clone()), Value::Int(at), text(who.clone())];
            let id = id.clone();
            Box::pin(async move {
                let sql = "UPDATE tidemill_tokens SET revoked_at = $2, revoked_by = $3 \
                           WHERE id = $1 AND revoked_at IS NULL";
                tx.execute(sql, &values).await?;
                token(tx, &id).await
            })
        })
        .await
    }
}

/// Notes that a token was used.
///
/// # Errors
/// What the database says.
pub async fn note_use(tx: &mut Tx, id: &str, at: i64) -> Result<(), StoreError> {
    let sql = "UPDATE tidemill_tokens SET used_at = $2 WHERE id = $1 AND (used_at IS NULL OR used_at < $2)";
    tx.execute(sql, &[text(id), Value::Int(at)]).await?;
    Ok(())
}

async fn add(tx: &mut Tx, token: NewToken, among: Among) -> Result<bool, StoreError> {
    // Of two hosts that begin on one empty store, one alone hands out the first token: the row is the same.
    let (condition, id) = match among {
        Among::Any => ("", token.id),
        Among::First => ("WHERE NOT EXISTS (SELECT 1 FROM tidemill_tokens)", token.id),
    };
    if among == Among::First {
        tx.lock("tokens").await?;
    }
    let sql = format!(
        "INSERT INTO tidemill_tokens (id, name, hash, role, created_at, created_by, expires_at) \
         SELECT $1, $2, $3, $4, $5, $6, $7 {condition}"
    );
    let values = [
        text(id),
        text(token.name),
        Value::Bytes(token.hash.to_vec()),
        text(token.role.name()),
        Value::Int(token.created_at),
        text(token.created_by),
        token.expires_at.into(),
    ];
    Ok(tx.execute(&sql, &values).await? == 1)
}

async fn token(tx: &mut Tx, id: &str) -> Result<Option<TokenRow>, StoreError> {
    let sql = format!("SELECT {COLUMNS} FROM tidemill_tokens WHERE id = $1");
    tx.fetch_optional(&sql, &[text(id)]).await?.as_ref().map(TokenRow::of).transpose()
}
