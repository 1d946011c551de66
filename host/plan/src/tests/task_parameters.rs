//! A node's parameters against the schema of its task.

use expect_test::expect;
use serde_json::{Map, Value, json};

use super::{check, description, request, told};
use crate::{Catalog, CatalogEntry, Digest, Problem, TaskDescription, parse, plan};

#[test]
fn defaults_are_filled_in_and_numbers_typed() {
    check(
        r#"
[sources.prices]
path = "prices.parquet"
[nodes.returns]
task = "returns"
inputs = { prices = "prices" }
parameters = { days = 60.0, alpha = 1, weights = [1, 2.5], limit = { at = 1 }, scale = { by = 2 } }
"#,
        expect![[r#"
            prices
            returns {"alpha":1.0,"days":60,"limit":{"at":1.0},"scale":{"by":2.0,"center":true},"weights":[1.0,2.5]} prices=(prices)
        "#]],
    );
}

#[test]
fn null_is_allowed_where_the_schema_says_so() {
    check(
        r#"
[sources.prices]
path = "prices.parquet"
[nodes.returns]
task = "returns"
inputs = { prices = "prices" }
parameters = { limit = "{{ none }}", label = "{{ run.end }}" }
"#,
        expect![[r#"
            prices
            returns {"alpha":0.5,"days":1,"label":null,"limit":null,"scale":{"by":1.0,"center":true},"weights":[]} prices=(prices)
        "#]],
    );
}

#[test]
fn an_unknown_task_parameter_names_the_nearest() {
    check(
        r#"
[sources.prices]
path = "prices.parquet"
[nodes.returns]
task = "returns"
inputs = { prices = "prices" }
parameters = { alhpa = 1.0 }
identity_ignore = ["day"]
"#,
        expect![[r#"
            error[unknown-task-parameter]: parameter `alhpa` of node `returns` is no parameter of task `returns`
              in: pipeline.toml, line 7, column 16
              to mend: did you mean `alpha`?
            error[unknown-task-parameter]: `identity_ignore` `day` of node `returns` is no parameter of task `returns`
              in: pipeline.toml, line 8, column 20
              to mend: did you mean `days`?
        "#]],
    );
}

#[test]
fn a_task_parameter_of_the_wrong_type_is_refused() {
    check(
        r#"
[sources.prices]
path = "prices.parquet"
[nodes.returns]
task = "returns"
inputs = { prices = "prices" }
parameters = { days = "many", alpha = "{{ 'x' }}", weights = [1, "a"] }
"#,
        expect![[r#"
            error[task-parameters]: node `returns` does not suit task `returns`: parameter `days`: `many` is not of type `integer`
              in: pipeline.toml, line 7, column 23
              to mend: `tidemill inspect` shows what task `returns` takes
            error[task-parameters]: node `returns` does not suit task `returns`: parameter `alpha`: `x` is not of type `number`
              in: pipeline.toml, line 7, column 39
              to mend: `tidemill inspect` shows what task `returns` takes
            error[task-parameters]: node `returns` does not suit task `returns`: parameter `weights[1]`: `a` is not of type `number`
              in: pipeline.toml, line 7, column 62
              to mend: `tidemill inspect` shows what task `returns` takes
        "#]],
    );
}

#[test]
fn a_task_parameter_out_of_its_bounds_is_refused() {
    check(
        r#"
[sources.prices]
path = "prices.parquet"
[nodes.returns]
task = "returns"
inputs = { prices = "prices" }
parameters = { days = 0, scale = {} }
"#,
        expect![[r#"
            error[task-parameters]: node `returns` does not suit task `returns`: parameter `days`: 0 is less than the minimum of 1
              in: pipeline.toml, line 7, column 23
              to mend: `tidemill inspect` shows what task `returns` takes
            error[task-parameters]: node `returns` does not suit task `returns`: parameter `scale`: `by` is a required property
              in: pipeline.toml, line 7, column 34
              to mend: `tidemill inspect` shows what task `returns` takes
        "#]],
    );
}

#[test]
fn a_required_task_parameter_is_missed() {
    check(
        r#"
[sources.prices]
path = "prices.parquet"
[nodes.returns]
task = "returns"
inputs = { prices = "prices" }
[nodes.leg]
task = "leg"
inputs = { returns = "returns" }
"#,
        expect![[r#"
            error[task-parameters]: node `leg` does not suit task `leg`: `window` is a required property
              in: pipeline.toml, line 7, column 8
              to mend: `tidemill inspect` shows what task `leg` takes
        "#]],
    );
}

#[test]
fn a_fraction_is_no_integer() {
    check(
        r#"
[sources.prices]
path = "prices.parquet"
[nodes.returns]
task = "returns"
inputs = { prices = "prices" }
parameters = { days = 1.5 }
"#,
        expect![[r#"
            error[task-parameters]: node `returns` does not suit task `returns`: parameter `days`: 1.5 is not of type `integer`
              in: pipeline.toml, line 7, column 23
              to mend: `tidemill inspect` shows what task `returns` takes
        "#]],
    );
}

/// One task, whatever it is called.
struct One(TaskDescription);

impl Catalog for One {
    fn find(&self, _reference: &str) -> Result<CatalogEntry, Problem> {
        Ok(CatalogEntry { digest: Digest::of(b"one"), description: self.0.clone().into() })
    }
}

fn problems_of(change: impl Fn(&mut TaskDescription)) -> String {
    let mut task = description("make").unwrap();
    change(&mut task);
    let text = "pipeline = { name = \"p\" }\n[nodes.a]\ntask = \"make\"\n";
    told(&plan(&parse(text, "pipeline.toml").unwrap(), &request(&[]), &One(task)).unwrap_err())
}

#[test]
fn a_schema_that_never_ends_is_refused() {
    let text = problems_of(|it| it.parameters = json!({"type": "object", "allOf": [{"$ref": "#"}]}));
    expect![[r#"
        error[bad-task-schema]: task `make` declares parameters by a JSON Schema that is none: it refers to itself without end
          in: pipeline.toml, line 3, column 8
          to mend: build the task with a current SDK
    "#]].assert_eq(&text);
}

#[test]
fn a_schema_that_is_none_is_refused() {
    expect![[r#"
        error[bad-task-schema]: task `make` declares parameters by a JSON Schema that is none: "objekt" is not valid under any of the schemas listed in the 'anyOf' keyword
          in: pipeline.toml, line 3, column 8
          to mend: build the task with a current SDK
    "#]].assert_eq(&problems_of(|it| it.parameters = json!({"type": "objekt"})));
    expect![[r#"
        error[bad-task-schema]: task `make` declares parameters by a JSON Schema that is none: it is no object
          in: pipeline.toml, line 3, column 8
          to mend: build the task with a current SDK
    "#]]
    .assert_eq(&problems_of(|it| it.parameters = json!([])));
    expect![[r#"
        error[bad-task-schema]: task `make` declares parameters by a JSON Schema that is none: `$ref` `https://example.org/x` is not within it
          in: pipeline.toml, line 3, column 8
          to mend: build the task with a current SDK
    "#]].assert_eq(&problems_of(|it| it.parameters = json!({"$ref": "https://example.org/x"})));
}

#[test]
fn a_task_cannot_name_files_elsewhere() {
    expect![[r#"
        error[bad-task-name]: task `make` calls itself or an output `../../etc/x`, which is not allowed
          in: pipeline.toml, line 3, column 8
          to mend: rename it in the task: lower-case letters, digits, `_` and `-`
    "#]]
    .assert_eq(&problems_of(|it| it.name = "../../etc/x".to_owned()));
    expect![[r#"
        error[bad-task-name]: task `make` calls itself or an output `a\0b`, which is not allowed
          in: pipeline.toml, line 3, column 8
          to mend: rename it in the task: lower-case letters, digits, `_` and `-`
    "#]]
    .assert_eq(&problems_of(|it| it.outputs[0].name = "a\0b".to_owned()));
}

#[test]
fn defaults_that_hold_each_other_do_not_fill_the_memory() {
    let schema = json!({
        "type": "object",
        "properties": {"a": {"$ref": "#", "default": {}}, "b": {"$ref": "#", "default": {}}},
    });
    let filled = crate::task_parameters::TaskSchema::new(&schema).unwrap().fit(Map::new()).unwrap();
    let mut count = 0_usize;
    let mut open = vec![&filled];
    while let Some(value) = open.pop() {
        count += 1;
        open.extend(value.as_object().into_iter().flat_map(Map::values));
    }
    assert!(count < 1_000_000, "{count} values");
    assert!(matches!(filled, Value::Object(_)));
}
