//! Problems, as RFC 9457 has them.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// Why a request was refused or failed.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct ProblemBody {
    /// A name of this kind of problem.
    #[serde(rename = "type")]
    pub kind: String,
    /// What is wrong.
    pub title: String,
    pub status: u16,
    /// How to mend it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub detail: Option<String>,
    /// Stable, and explained in `docs/errors.md`.
    pub code: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub place: Option<ProblemPlace>,
    /// All of them, where there are several.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub problems: Vec<SingleProblem>,
}

/// One of several problems.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct SingleProblem {
    pub code: String,
    /// What is wrong.
    pub title: String,
    /// How to mend it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub detail: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub place: Option<ProblemPlace>,
}

/// A position in a text that the user wrote; line and column count from 1.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct ProblemPlace {
    pub file: String,
    pub line: u32,
    pub column: u32,
}
