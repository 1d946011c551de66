//! The registry: components by digest, the tags that point at them, and what must not go because it is in use.

mod components;
pub(crate) mod pins;
mod tags;

pub use components::{ComponentFilter, ComponentRow, NewComponent, Pushed};
pub(crate) use components::{digest, known};
pub use tags::{Motion, NewTag, TagMove, TagRow};
