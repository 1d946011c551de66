//! One tiny guest, or one way of one, per limit, trap and broken promise; what each attempt ends with.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]
#![expect(clippy::wildcard_enum_match_arm, reason = "a test names what it is about")]

#[path = "sandbox/arrays.rs"]
mod arrays;
#[path = "sandbox/artefacts.rs"]
mod artefacts;
#[path = "sandbox/cache.rs"]
mod cache;
#[path = "sandbox/driver.rs"]
mod driver;
#[path = "sandbox/guests.rs"]
mod guests;
#[path = "sandbox/hermetic.rs"]
mod hermetic;
#[path = "sandbox/limits.rs"]
mod limits;
#[path = "sandbox/load.rs"]
mod load;
#[path = "sandbox/outputs.rs"]
mod outputs;
