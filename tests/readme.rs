//! The README says what is so.

use crate::program::repository;

#[test]
fn the_task_in_the_readme_is_the_one_that_is_compiled_and_run() {
    let readme = std::fs::read_to_string(repository().join("README.md")).expect("read README");
    let (_, after) = readme.split_once("<!-- readme-task").expect("the README marks its task");
    let (_, code) = after.split_once("```rust\n").expect("the task is in a block");
    let (code, _) = code.split_once("```").expect("the block ends");
    let compiled =
        std::fs::read_to_string(repository().join("guest-sdk/rust/readme_task.rs")).expect("read example");
    assert!(compiled.contains(code), "README and example differ:\n{code}\n---\n{compiled}");
    assert!(code.lines().filter(|it| !it.trim().is_empty()).count() <= 20, "a task in twenty lines");
}
