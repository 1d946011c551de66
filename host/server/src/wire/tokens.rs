//! Tokens and the audit log.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// What a token may do; each may all that those before it may.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum TokenRole {
    /// Reads.
    Viewer,
    /// Runs, cancels, notes, pushes, deploys.
    Operator,
    /// Hands out tokens, removes, collects.
    Admin,
}

#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct CreateToken {
    /// Who or what has it.
    #[schema(min_length = 1, max_length = 100)]
    pub name: String,
    pub role: TokenRole,
    /// Until when it works; absent: until it is revoked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(format = DateTime)]
    pub expires_at: Option<String>,
}

#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct CreatedToken {
    /// Shown once, and kept nowhere.
    pub secret: String,
    pub token: Token,
}

#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct Token {
    /// The public part.
    pub id: String,
    pub name: String,
    pub role: TokenRole,
    #[schema(format = DateTime)]
    pub created_at: String,
    pub created_by: String,
    #[schema(format = DateTime)]
    pub expires_at: Option<String>,
    #[schema(format = DateTime)]
    pub revoked_at: Option<String>,
    pub revoked_by: Option<String>,
    /// The last use, to the minute or so.
    #[schema(format = DateTime)]
    pub used_at: Option<String>,
}

/// One thing that was done, or refused.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct AuditRecord {
    pub number: i64,
    #[schema(format = DateTime)]
    pub at: String,
    /// Name of the token; empty when nobody proved to be anybody.
    pub who: String,
    /// Public part of the token, also of one that was refused.
    pub token: Option<String>,
    /// Method and route.
    pub action: String,
    /// The path that was asked for.
    pub target: String,
    pub status: u16,
    /// Of the problem that was answered.
    pub code: Option<String>,
    pub remote: String,
    /// Id of the request, as in the answer's `x-request-id` and in the log.
    pub request: String,
}
