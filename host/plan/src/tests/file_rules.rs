//! Syntax, keys, types and names of a pipeline file.

use expect_test::expect;

use super::{check, plan_file, told};

#[test]
fn a_pipeline_without_a_header_is_refused() {
    let problems = plan_file("[nodes.a]\ntask = \"make\"\n", "pipeline.toml", &[]).unwrap_err();
    expect![[r#"
        error[missing-key]: the pipeline file lacks `[pipeline]`
          in: pipeline.toml, line 1, column 1
          to mend: begin the file with `[pipeline]` and `name = "…"`
    "#]]
    .assert_eq(&told(&problems));
}

#[test]
fn malformed_json_is_told_with_its_place() {
    let text = "{\n  \"pipeline\": {\"name\": \"p\"},\n  \"nodes\": {,}\n}";
    expect![[r#"
        error[malformed-file]: not JSON: key must be a string
          in: p.json, line 3, column 13
          to mend: correct the syntax at this place
    "#]]
    .assert_eq(&told(&plan_file(text, "p.json", &[]).unwrap_err()));
}

#[test]
fn a_key_written_twice_in_json_is_refused() {
    let text = "{\"pipeline\": {\"name\": \"p\", \"name\": \"q\"}}";
    expect![[r#"
        error[malformed-file]: not JSON: key `name` is written twice
          in: p.json, line 1, column 28
          to mend: keep one of the two
    "#]]
    .assert_eq(&told(&plan_file(text, "p.json", &[]).unwrap_err()));
}

#[test]
fn json_that_is_no_object_is_refused() {
    expect![[r#"
        error[wrong-type]: the pipeline is a list, not a table
          in: p.json, line 1, column 1
          to mend: write an object with `nodes`
    "#]]
    .assert_eq(&told(&plan_file("[1]", "p.json", &[]).unwrap_err()));
}

#[test]
fn an_unknown_key_in_json_has_line_and_column() {
    let text = "{\n  \"pipeline\": {\"name\": \"\u{e9}\\\"\"},\n  \"nodes\": {\"a\": {\"task\": \"make\", \"prio\": 1}}\n}";
    expect![[r#"
        error[bad-name]: pipeline name `é"` is not allowed
          in: p.json, line 2, column 24
          to mend: use 1 to 100 lower-case letters, digits, `_` and `-`, as `__`
        error[unknown-key]: node `a` has no key `prio`
          in: p.json, line 3, column 35
          to mend: did you mean `priority`?
    "#]]
    .assert_eq(&told(&plan_file(text, "p.json", &[]).unwrap_err()));
}

#[test]
fn malformed_toml_is_told_with_its_place() {
    check(
        r#"
[nodes.a
task = "make"
"#,
        expect![[r#"
            error[malformed-file]: not TOML: unclosed table, expected `]`
              in: pipeline.toml, line 2, column 9
              to mend: correct the syntax at this place; see https://toml.io
        "#]],
    );
}

#[test]
fn every_syntax_error_is_told() {
    check(
        r#"
a = 1 2
b = "open
c = 99999999999999999999
"#,
        expect![[r#"
            error[malformed-file]: not TOML: string values must be quoted, expected literal string
              in: pipeline.toml, line 2, column 5
              to mend: correct the syntax at this place; see https://toml.io
            error[malformed-file]: not TOML: invalid basic string, expected `"`
              in: pipeline.toml, line 3, column 10
              to mend: correct the syntax at this place; see https://toml.io
            error[malformed-file]: `99999999999999999999` is not a finite number of 64 bits
              in: pipeline.toml, line 4, column 5
              to mend: use a smaller, finite number
        "#]],
    );
}

#[test]
fn an_infinite_number_is_refused() {
    check(
        r#"
[nodes.a]
task = "make"
parameters = { x = inf }
"#,
        expect![[r#"
            error[malformed-file]: `inf` is not a finite number of 64 bits
              in: pipeline.toml, line 4, column 20
              to mend: use a smaller, finite number
        "#]],
    );
}

#[test]
fn an_unknown_key_names_the_nearest() {
    check(
        r#"
sauces = {}
[nodes.a]
task = "make"
retires = { policy = "fixed" }
[nodes.b]
task = "make"
resources = { cpu = 1 }
limits = { outputs = "1GiB" }
retry = { tries = 3 }
[parameters.p]
type = "integer"
unused = 1
[sources.s]
path = "s.csv"
time = "t"
columns = { c = { type = "float64", finit = true } }
"#,
        expect![[r#"
            error[unknown-key]: the pipeline file has no key `sauces`
              in: pipeline.toml, line 2, column 1
              to mend: did you mean `sources`?
            error[unknown-key]: node `a` has no key `retires`
              in: pipeline.toml, line 5, column 1
              to mend: did you mean `retry`?
            error[unknown-key]: `resources` of node `b` has no key `cpu`
              in: pipeline.toml, line 8, column 15
              to mend: did you mean `cpus`?
            error[unknown-key]: `limits` of node `b` has no key `outputs`
              in: pipeline.toml, line 9, column 12
              to mend: did you mean `output`?
            error[unknown-key]: `retry` of node `b` has no key `tries`
              in: pipeline.toml, line 10, column 11
              to mend: use one of `policy`, `max`, `delay`, `max_delay`, `jitter`
            error[unused-parameter]: parameter `p` is declared, but nothing reads it
              in: pipeline.toml, line 11, column 13
              to mend: use it as `"{{ p }}"`, or remove it
            error[unknown-key]: parameter `p` has no key `unused`
              in: pipeline.toml, line 13, column 1
              to mend: use one of `type`, `items`, `default`, `minimum`, `maximum`, `choices`, `summary`
            error[unknown-key]: source `s` has no key `time`
              in: pipeline.toml, line 16, column 1
              to mend: did you mean `time_index`?
            error[unknown-key]: column `c` of source `s` has no key `finit`
              in: pipeline.toml, line 17, column 37
              to mend: did you mean `finite`?
        "#]],
    );
}

#[test]
fn a_wrong_type_is_told() {
    check(
        r#"
[nodes]
a = 3
[nodes.b]
task = 1
inputs = "a"
identity_ignore = "x"
priority = "high"
[nodes.c]
task = "make"
inputs = { tables = 3 }
identity_ignore = [1]
[sources.s]
path = ["a"]
sort = "yes"
columns = { c = 1 }
[parameters.p]
type = "integer"
choices = 1
"#,
        expect![[r#"
            error[wrong-type]: node `a` is an integer, not a table
              in: pipeline.toml, line 3, column 5
              to mend: write a table, as `{ key = value }`
            error[wrong-type]: `task` of node `b` is `1`: an integer, not a string
              in: pipeline.toml, line 5, column 8
              to mend: put it in quotes
            error[wrong-type]: `inputs` of node `b` is a string, not a table
              in: pipeline.toml, line 6, column 10
              to mend: write a table, as `{ key = value }`
            error[wrong-type]: `identity_ignore` of node `b` is a string, not a list of strings
              in: pipeline.toml, line 7, column 19
              to mend: write `["a", "b"]`
            error[wrong-type]: `priority` of node `b` is `"high"`: a string, not an integer
              in: pipeline.toml, line 8, column 12
              to mend: write a whole number
            error[wrong-type]: input `tables` of node `c` is `3`: an integer, not a string
              in: pipeline.toml, line 11, column 21
              to mend: write `node`, `node.port`, `family[key=value]`, or `{ node = "family", where = { key = [1, 2] } }`
            error[wrong-type]: `identity_ignore` of node `c`: an item is `1`: an integer, not a string
              in: pipeline.toml, line 12, column 20
              to mend: put it in quotes
            error[wrong-type]: `path` of source `s` is `["a"]`: a list, not a string
              in: pipeline.toml, line 14, column 8
              to mend: put it in quotes
            error[wrong-type]: `sort` of source `s` is `"yes"`: a string, not a boolean
              in: pipeline.toml, line 15, column 8
              to mend: write `true` or `false`
            error[wrong-type]: column `c` of source `s` is an integer, not a table
              in: pipeline.toml, line 16, column 17
              to mend: write a table, as `{ key = value }`
            error[unused-parameter]: parameter `p` is declared, but nothing reads it
              in: pipeline.toml, line 17, column 13
              to mend: use it as `"{{ p }}"`, or remove it
            error[wrong-type]: `choices` of parameter `p` is an integer, not a list
              in: pipeline.toml, line 19, column 11
              to mend: write the values allowed, as `[1, 2]`
        "#]],
    );
}

#[test]
fn a_missing_key_is_told() {
    check(
        r#"
[nodes.a]
priority = 1
[sources.s]
sort = true
[parameters.p]
default = 1
"#,
        expect![[r#"
            error[missing-key]: node `a` lacks `task`
              in: pipeline.toml, line 2, column 1
              to mend: add `task = …`
            error[missing-key]: source `s` lacks `path`
              in: pipeline.toml, line 4, column 1
              to mend: add `path = …`
            error[missing-key]: parameter `p` lacks `type`
              in: pipeline.toml, line 6, column 1
              to mend: add `type = …`
        "#]],
    );
}

#[test]
fn names_keep_to_the_rules() {
    check(
        r#"
[nodes.Leg]
task = "make"
[nodes."a b"]
task = "make"
for_each = { run = [1], "x-y" = [1] }
[parameters.in-window]
type = "integer"
"#,
        expect![[r#"
            error[bad-name]: node name `Leg` is not allowed
              in: pipeline.toml, line 2, column 8
              to mend: use 1 to 100 lower-case letters, digits, `_` and `-`, as `leg`
            error[bad-name]: node name `a b` is not allowed
              in: pipeline.toml, line 4, column 8
              to mend: use 1 to 100 lower-case letters, digits, `_` and `-`, as `a_b`
            error[bad-name]: `for_each` of node `a b`: key name `run` is not allowed
              in: pipeline.toml, line 6, column 14
              to mend: use lower-case letters, digits and `_`, a letter first, and none of `run`, `true`, `false`, `none`, `and`, `or`, `not`, `in`, `is`, `if`, `else`
            error[bad-name]: `for_each` of node `a b`: key name `x-y` is not allowed
              in: pipeline.toml, line 6, column 25
              to mend: use lower-case letters, digits and `_`, a letter first, and none of `run`, `true`, `false`, `none`, `and`, `or`, `not`, `in`, `is`, `if`, `else`
            error[bad-name]: parameter name `in-window` is not allowed
              in: pipeline.toml, line 7, column 13
              to mend: use lower-case letters, digits and `_`, a letter first, and none of `run`, `true`, `false`, `none`, `and`, `or`, `not`, `in`, `is`, `if`, `else`
            error[unused-parameter]: parameter `in-window` is declared, but nothing reads it
              in: pipeline.toml, line 7, column 13
              to mend: use it as `"{{ in-window }}"`, or remove it
        "#]],
    );
}

#[test]
fn a_node_and_a_source_of_one_name_are_refused() {
    check(
        r#"
[sources.a]
path = "a.csv"
[nodes.a]
task = "make"
"#,
        expect![[r#"
            error[duplicate-name]: node `a` has the name of a source
              in: pipeline.toml, line 4, column 8
              to mend: inputs are found by name: rename one of the two
        "#]],
    );
}

#[test]
fn an_unknown_parameter_type_names_the_nearest() {
    check(
        r#"
[nodes.a]
task = "make"
parameters = { x = "{{ p }}" }
[parameters.p]
type = "interger"
"#,
        expect![[r#"
            error[unknown-choice]: `type` of parameter `p` is `interger`, which is no parameter type
              in: pipeline.toml, line 6, column 8
              to mend: did you mean `integer`?
        "#]],
    );
}

#[test]
fn an_unknown_data_type_names_the_nearest() {
    check(
        r#"
[sources.s]
path = "s.csv"
columns = { a = "flaot64", b = { type = "timestamp[µs]" } }
"#,
        expect![[r#"
            error[unknown-data-type]: column `a` of source `s` has the unknown type `flaot64`
              in: pipeline.toml, line 4, column 17
              to mend: did you mean `float64`?
            error[unknown-data-type]: column `b` of source `s` has the unknown type `timestamp[µs]`
              in: pipeline.toml, line 4, column 41
              to mend: did you mean `timestamp[ns]`?
        "#]],
    );
}

#[test]
fn a_path_that_does_not_tell_the_format_is_refused() {
    check(
        r#"
[sources.s]
path = "folder"
[sources.t]
path = "folder"
format = "parket"
"#,
        expect![[r#"
            error[unknown-choice]: `format` of source `t` is `parket`, which is no format
              in: pipeline.toml, line 6, column 10
              to mend: did you mean `parquet`?
        "#]],
    );
}

#[test]
fn a_source_with_everything_is_planned() {
    check(
        r#"
[sources.s]
format = "csv"
path = "data/*.csv"
time_index = "t"
identifiers = ["id"]
sort = true
columns = { a = "float64", b = { type = "timestamp[us, UTC]", finite = false, nullable = false } }
"#,
        expect![[r#"
            s
        "#]],
    );
}

#[test]
fn a_reference_that_makes_no_sense_is_refused() {
    check(
        r#"
[nodes.a]
task = "free"
inputs = { tables = ["a b", "x[", "x[k]", "x.y.z", ""] }
"#,
        expect![[r#"
            error[bad-reference]: input `tables` of node `a` is `a b`, which is no reference to a table
              in: pipeline.toml, line 4, column 22
              to mend: write `node`, `node.port`, `family[key=value]`, or `{ node = "family", where = { key = [1, 2] } }`
            error[bad-reference]: input `tables` of node `a` is `x[`, which is no reference to a table
              in: pipeline.toml, line 4, column 29
              to mend: write `node`, `node.port`, `family[key=value]`, or `{ node = "family", where = { key = [1, 2] } }`
            error[bad-reference]: input `tables` of node `a` is `x[k]`, which is no reference to a table
              in: pipeline.toml, line 4, column 35
              to mend: write `node`, `node.port`, `family[key=value]`, or `{ node = "family", where = { key = [1, 2] } }`
            error[bad-reference]: input `tables` of node `a` is `x.y.z`, which is no reference to a table
              in: pipeline.toml, line 4, column 43
              to mend: write `node`, `node.port`, `family[key=value]`, or `{ node = "family", where = { key = [1, 2] } }`
            error[bad-reference]: input `tables` of node `a` is ``, which is no reference to a table
              in: pipeline.toml, line 4, column 52
              to mend: write `node`, `node.port`, `family[key=value]`, or `{ node = "family", where = { key = [1, 2] } }`
        "#]],
    );
}

#[test]
fn a_folder_does_not_tell_the_format() {
    check(
        r#"
[sources.s]
path = "folder"
"#,
        expect![[r#"
            error[unknown-format]: source `s`: the path `folder` does not tell the format
              in: pipeline.toml, line 2, column 10
              to mend: add `format = "parquet"`, `"csv"`, `"arrow"` or `"json-lines"`
        "#]],
    );
}

#[test]
fn what_refers_to_an_unreadable_thing_is_not_wrong_as_well() {
    check(
        r#"
[nodes.a]
task = "free"
inputs = { tables = "s" }
parameters = { x = "{{ p }}" }
[sources.s]
path = 3
[parameters.p]
type = 3
"#,
        expect![[r#"
            error[wrong-type]: `path` of source `s` is `3`: an integer, not a string
              in: pipeline.toml, line 7, column 8
              to mend: put it in quotes
            error[wrong-type]: `type` of parameter `p` is `3`: an integer, not a string
              in: pipeline.toml, line 9, column 8
              to mend: put it in quotes
        "#]],
    );
}

#[test]
fn a_source_reads_files_or_a_table() {
    check(
        r#"
[sources.both]
path = "p.csv"
table = "t"
[sources.format]
table = "t"
format = "csv"
[sources.number]
table = 7
"#,
        expect![[r#"
            error[source-place]: source `both` has a `table` and a `path`
              in: pipeline.toml, line 3, column 1
              to mend: a source reads files, by `path`, or a table of the service, by `table`: leave one out
            error[source-place]: source `format` has a `table` and a `format`
              in: pipeline.toml, line 7, column 1
              to mend: a source reads files, by `path`, or a table of the service, by `table`: leave one out
            error[wrong-type]: `table` of source `number` is `7`: an integer, not a string
              in: pipeline.toml, line 9, column 9
              to mend: put it in quotes
        "#]],
    );
}
