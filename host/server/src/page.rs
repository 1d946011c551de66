//! Lists in parts: so many items, and an opaque cursor to go on from.

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use tidemill_plan::Code;

use crate::wire::Page;
use crate::{ApiProblem, token};

pub(crate) const LIMIT_MAX: u32 = 1000;
const LIMIT_DEFAULT: u32 = 100;

/// Which part of a list.
#[derive(Clone, Debug, Default, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct ListQuery {
    /// Most items to answer with.
    #[param(minimum = 1, maximum = 1000, default = 100)]
    pub(crate) limit: Option<u32>,
    /// `next` of the part before.
    pub(crate) cursor: Option<String>,
}

/// A part of a list that is asked for: after `after`, one more than `limit` to see whether there is more.
#[derive(Clone, Debug)]
pub(crate) struct PageOf<K> {
    pub(crate) after: Option<K>,
    limit: u32,
}

impl<K: Serialize + DeserializeOwned> PageOf<K> {
    pub(crate) fn asked(limit: Option<u32>, cursor: Option<&str>) -> Result<Self, ApiProblem> {
        let limit = limit.unwrap_or(LIMIT_DEFAULT);
        if !(1..=LIMIT_MAX).contains(&limit) {
            let what = format!("`limit` is {limit}");
            let mend = format!("use 1 to {LIMIT_MAX}, and `cursor` for what follows");
            return Err(ApiProblem::new(Code("bad-request"), what, mend));
        }
        let after = cursor.map(read).transpose()?;
        Ok(Self { after, limit })
    }

    /// How many rows to fetch.
    pub(crate) fn fetch(&self) -> u32 {
        self.limit + 1
    }

    /// The part, from what was fetched; `key` is where the next one begins after a row.
    pub(crate) fn page<R, T>(
        &self,
        mut rows: Vec<R>,
        key: impl Fn(&R) -> K,
        item: impl FnMut(R) -> T,
    ) -> Page<T> {
        let is_more = rows.len() > self.limit as usize;
        rows.truncate(self.limit as usize);
        let next = rows.last().filter(|_| is_more).map(|it| write(&key(it)));
        Page { items: rows.into_iter().map(item).collect(), next }
    }
}

fn write(key: &impl Serialize) -> String {
    token::hex(&serde_json::to_vec(key).expect("keys are texts and numbers"))
}

fn read<K: DeserializeOwned>(cursor: &str) -> Result<K, ApiProblem> {
    let digits = cursor.as_bytes().chunks(2);
    let bytes: Option<Vec<u8>> =
        digits.map(|it| u8::from_str_radix(std::str::from_utf8(it).ok()?, 16).ok()).collect();
    bytes.and_then(|it| serde_json::from_slice(&it).ok()).ok_or_else(|| {
        let what = "`cursor` is not one of this list";
        ApiProblem::new(
            Code("bad-cursor"),
            what,
            "give `next` of the part before, unchanged, or leave it out",
        )
    })
}
