//! What names a table, and what does not. The golden ids must never move: they name tables in people's lakes.

use expect_test::expect;

use super::{check, good, plan_of, with_header};
use crate::{Digest, Plan, Time, Window, cache_key, node_seed};

const BASE: &str = r#"
[sources.prices]
path = "prices.parquet"
time_index = "time"
identifiers = ["id"]
columns = { close = "float64", volume = { type = "int64", nullable = false } }
[nodes.returns]
task = "returns"
inputs = { prices = "prices" }
parameters = { days = 2, alpha = 1, label = "a" }
[nodes.portfolio]
task = "portfolio"
inputs = { legs = "returns", benchmark = "m" }
[nodes.m]
task = "make"
"#;

fn ids(plan: &Plan) -> String {
    let mut lines: Vec<String> = Vec::new();
    for node in &plan.nodes {
        lines.extend(node.outputs.iter().map(|it| it.name.to_string()));
        lines.push(format!("  update {}", node.update_id));
    }
    lines.sort();
    lines.join("\n") + "\n"
}

fn of(text: &str) -> String {
    ids(&good(&with_header(text), &[]))
}

#[test]
fn ids_never_move() {
    expect![[r#"
          update 37b570a2b16cfe8cfb3c1a13e6bb05a7a6bee80585b880442069ccd0c18d05b0
          update 5f01bfc91e7dc063756735a5d80b9e2003c163702a020af57a2ceb67ef2707a0
          update 8fb24a7b4bf092a39cbc203adef485f659cc778464a4f064d90ef0362abd8bd3
          update c3bfb8dbed22c4c3389a4ff57396240044dec8e3fe0cef15a8b082fbd1000ac9
        make_b4f9948e87ce605f5431acd2ca215c21
        portfolio-index_4a005219542efb781c6fa72c748de327
        portfolio-statistics_416be12334001f69d59bbd31b3031311
        prices_f8d2b290a60eaced2c8b68e80d19bd41
        returns_d175d25a695ac3b34015c757a579055e
    "#]]
    .assert_eq(&of(BASE));
}

#[test]
fn permuting_keys_changes_no_id() {
    let permuted = r#"
[nodes.m]
task = "make"
[nodes.portfolio]
inputs = { benchmark = "m", legs = "returns" }
task = "portfolio"
[nodes.returns]
parameters = { label = "a", alpha = 1.0, days = 2.0 }
inputs = { prices = "prices" }
task = "returns"
[sources.prices]
columns = { volume = { nullable = false, type = "int64" }, close = { type = "float64" } }
identifiers = ["id"]
time_index = "time"
format = "parquet"
path = "prices.parquet"
"#;
    assert_eq!(of(permuted), of(BASE));
}

#[test]
fn what_is_filled_in_is_what_is_written() {
    let written =
        BASE.replace("label = \"a\"", "label = \"a\", weights = [], scale = { by = 1.0, center = true }");
    assert_eq!(of(&written), of(BASE));
}

#[test]
fn summaries_and_settings_change_no_id() {
    let settled = BASE
        .replace("task = \"returns\"", "task = \"returns\"\nsummary = \"x\"\ntimeout = \"1m\"\npriority = 3");
    assert_eq!(of(&settled), of(BASE));
}

#[test]
fn names_of_nodes_and_parameters_of_the_pipeline_change_no_id() {
    let renamed = BASE.replace("nodes.returns", "nodes.r").replace("legs = \"returns\"", "legs = \"r\"");
    let bound = renamed.replace("days = 2", "days = \"{{ d }}\"")
        + "[parameters.d]\ntype = \"number\"\ndefault = 2\n";
    assert_eq!(of(&bound), of(BASE));
}

#[test]
fn what_counts_changes_the_id_and_those_that_follow() {
    let names = |text: &str| -> Vec<String> {
        let plan = good(&with_header(text), &[]);
        plan.nodes.iter().flat_map(|it| &it.outputs).map(|it| it.name.to_string()).collect()
    };
    let base = names(BASE);
    let changed = |from: &str, to: &str| {
        assert!(BASE.contains(from), "{from}");
        let after = names(&BASE.replace(from, to));
        base.iter()
            .filter(|it| !after.contains(it))
            .map(|it| it.split('_').next().unwrap())
            .collect::<Vec<_>>()
            .join(" ")
    };
    let all = "prices returns portfolio-index portfolio-statistics";
    assert_eq!(changed("prices.parquet", "other.parquet"), all);
    assert_eq!(changed("identifiers = [\"id\"]", "sort = true"), all);
    assert_eq!(changed("\"float64\"", "{ type = \"float64\", finite = true }"), all);
    assert_eq!(changed("days = 2", "days = 3"), "returns portfolio-index portfolio-statistics");
    assert_eq!(
        changed("task = \"make\"", "task = \"make\"\nparameters = { x = 1 }"),
        "make portfolio-index portfolio-statistics"
    );
    assert_eq!(changed(", benchmark = \"m\"", ""), "portfolio-index portfolio-statistics");
}

#[test]
fn an_ignored_parameter_changes_the_update_and_not_the_table() {
    let ignoring = |label: &str| {
        let text = BASE
            .replace("label = \"a\"", &format!("label = \"{label}\""))
            .replace("task = \"returns\"", "task = \"returns\"\nidentity_ignore = [\"label\"]");
        good(&with_header(&text), &[])
    };
    let (a, b) = (ignoring("a"), ignoring("b"));
    let node = |plan: &Plan| plan.nodes.iter().find(|it| it.name == "returns").unwrap().clone();
    assert_eq!(node(&a).outputs[0].id, node(&b).outputs[0].id);
    assert_ne!(node(&a).update_id, node(&b).update_id);
}

#[test]
fn two_nodes_that_do_the_same_are_refused() {
    check(
        "[nodes.a]\ntask = \"make\"\n[nodes.b]\ntask = \"make\"\nparameters = {}\n[nodes.c]\ntask = \"free\"\ninputs = { tables = \"b\" }",
        expect![[r#"
            error[duplicate-table]: nodes `a` and `b` would write one table, `make_b4f9948e87ce605f5431acd2ca215c21`
              in: pipeline.toml, line 4, column 8
              to mend: they do the same: remove one, and read `a` instead
        "#]],
    );
}

#[test]
fn two_nodes_that_write_one_table_are_refused() {
    check(
        "[nodes.a]\ntask = \"make\"\nparameters = { x = 1 }\nidentity_ignore = [\"x\"]\n\
         [nodes.b]\ntask = \"make\"\nparameters = { x = 2 }\nidentity_ignore = [\"x\"]\n",
        expect![[r#"
            error[duplicate-table]: nodes `a` and `b` would write one table, `make_b4f9948e87ce605f5431acd2ca215c21`
              in: pipeline.toml, line 6, column 8
              to mend: they differ only in `identity_ignore`: within one run a table has one writer, so run them one after the other, with a pipeline parameter
        "#]],
    );
}

#[test]
fn every_node_that_writes_the_table_of_another_is_refused() {
    let three = |it: &str| format!("[nodes.{it}]\ntask = \"make\"\nparameters = {{ x = 1 }}\n");
    let problems =
        plan_of(&with_header(&(three("a") + &three("b") + &three("c"))), &[]).expect_err("two too many");
    assert_eq!(problems.iter().filter(|it| it.code.0 == "duplicate-table").count(), 2, "{problems:?}");
}

#[test]
fn a_cache_key_tells_all_that_a_result_depends_on() {
    let (a, b) = (Digest::of(b"a"), Digest::of(b"b"));
    let window = Window { start: Some(Time(1)), end: None, as_of: None };
    let other = Window { start: None, end: Some(Time(1)), as_of: None };
    let keys = [
        cache_key(&a, &b, &[a, b], &window, "1.0.0"),
        cache_key(&b, &b, &[a, b], &window, "1.0.0"),
        cache_key(&a, &a, &[a, b], &window, "1.0.0"),
        cache_key(&a, &b, &[b, a], &window, "1.0.0"),
        cache_key(&a, &b, &[a], &window, "1.0.0"),
        cache_key(&a, &b, &[a, b], &other, "1.0.0"),
        cache_key(&a, &b, &[a, b], &window, "1.1.0"),
    ];
    for (index, key) in keys.iter().enumerate() {
        assert!(!keys[..index].contains(key), "{index}");
    }
    expect!["6e431e3aad15af5c1fb9387464c9f08ce2eb1e1b17d4588563ac1e328179ff2c"]
        .assert_eq(&keys[0].to_string());
    expect!["8057268800687968600"].assert_eq(&node_seed(&a).to_string());
}

#[test]
fn a_source_that_reads_a_table_has_an_id_of_its_own() {
    let table = BASE.replace("path = \"prices.parquet\"", "table = \"prices.parquet\"");
    let first = |text: &str| of(text).lines().find(|it| it.starts_with("prices_")).map(str::to_owned);
    expect!["prices_2ae901e73fdcfe97fde965a5357a0a40"].assert_eq(&first(&table).expect("a source"));
    assert_ne!(first(&table), first(BASE));
    assert_ne!(first(&table), first(&table.replace("prices.parquet", "prices")));
}

#[test]
fn the_table_that_a_source_reads_may_be_a_parameter() {
    let text =
        "[parameters.from]\ntype = \"string\"\ndefault = \"live\"\n[sources.s]\ntable = \"{{ from }}_1\"\n";
    let plan = good(&with_header(text), &["from=other"]);
    let crate::Work::Source(spec) = &plan.nodes[0].work else { panic!("a source") };
    assert_eq!(spec.table().map(|it| it.0.as_str()), Some("other_1"));
    let json = serde_json::to_value(spec).unwrap();
    assert_eq!(json["table"], "other_1");
    assert_eq!(serde_json::from_value::<crate::SourceSpec>(json).unwrap(), *spec);
}
