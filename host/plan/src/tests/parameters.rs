//! Parameters of the pipeline: defaults, `--set`, types, bounds.

use expect_test::expect;

use super::{check, check_set};

#[test]
fn a_default_is_used() {
    check(
        r#"
[nodes.a]
task = "make"
parameters = { x = "{{ p }}" }
[parameters.p]
type = "integer"
default = 240
"#,
        expect![[r#"
            a {"x":240}
        "#]],
    );
}

#[test]
fn a_required_parameter_must_be_set() {
    check(
        r#"
[nodes.a]
task = "make"
parameters = { x = "{{ p }}" }
[parameters.p]
type = "integer"
"#,
        expect![[r#"
            error[missing-parameter]: parameter `p` has no default and is not set
              in: pipeline.toml, line 5, column 13
              to mend: add `--set p=…`, or a default
        "#]],
    );
}

#[test]
fn a_set_value_is_typed() {
    check_set(
        r#"
[nodes.a]
task = "make"
parameters = { x = "{{ p }}" }
[parameters.p]
type = "integer"
"#,
        &["p=7"],
        expect![[r#"
            a {"x":7}
        "#]],
    );
}

#[test]
fn a_set_value_of_the_wrong_type_is_refused() {
    check_set(
        r#"
[nodes.a]
task = "make"
parameters = { x = "{{ p }}" }
[parameters.p]
type = "integer"
"#,
        &["p=seven"],
        expect![[r#"
            error[parameter-type]: `--set p=seven`: `p` is a string `"seven"`, not an integer
              to mend: give a whole number, as `240`
        "#]],
    );
}

#[test]
fn an_unknown_parameter_names_the_nearest() {
    check_set(
        r#"
[nodes.a]
task = "make"
parameters = { x = "{{ in_window }}" }
[parameters.in_window]
type = "integer"
default = 1
"#,
        &["in_windw=7"],
        expect![[r#"
            error[unknown-parameter]: `--set in_windw=7`: pipeline `p` has no parameter `in_windw`
              to mend: did you mean `in_window`?
        "#]],
    );
}

#[test]
fn a_set_without_equals_sign_is_refused() {
    check_set(
        r#"
[nodes.a]
task = "make"
parameters = { x = "{{ p }}" }
[parameters.p]
type = "integer"
"#,
        &["p"],
        expect![[r#"
            error[bad-set]: `--set p`: there is no `=`
              to mend: write `--set name=value`, `a.b=value` or `a[0]=value`
            error[missing-parameter]: parameter `p` has no default and is not set
              in: pipeline.toml, line 5, column 13
              to mend: add `--set p=…`, or a default
        "#]],
    );
}

#[test]
fn sixty_point_zero_is_an_integer() {
    check_set(
        r#"
[nodes.a]
task = "make"
parameters = { x = "{{ p }}" }
[parameters.p]
type = "integer"
"#,
        &["p=60.0"],
        expect![[r#"
            a {"x":60}
        "#]],
    );
}

#[test]
fn one_is_a_number() {
    check_set(
        r#"
[nodes.a]
task = "make"
parameters = { x = "{{ p }}" }
[parameters.p]
type = "number"
"#,
        &["p=1"],
        expect![[r#"
            a {"x":1.0}
        "#]],
    );
}

#[test]
fn a_string_stays_as_typed() {
    check_set(
        r#"
[nodes.a]
task = "make"
parameters = { x = "{{ p }}" }
[parameters.p]
type = "string"
"#,
        &["p=1"],
        expect![[r#"
            a {"x":"1"}
        "#]],
    );
}

#[test]
fn a_boolean_is_true_or_false() {
    check_set(
        r#"
[nodes.a]
task = "make"
parameters = { x = "{{ p }}" }
[parameters.p]
type = "boolean"
"#,
        &["p=yes"],
        expect![[r#"
            error[parameter-type]: `--set p=yes`: `p` is a string `"yes"`, not a boolean
              to mend: give `true` or `false`
        "#]],
    );
}

#[test]
fn a_date_is_canonical() {
    check(
        r#"
[nodes.a]
task = "make"
parameters = { x = "{{ p }}" }
[parameters.p]
type = "date"
default = 2020-01-02
minimum = 2000-01-01
"#,
        expect![[r#"
            a {"x":"2020-01-02"}
        "#]],
    );
}

#[test]
fn a_day_that_is_none_is_refused() {
    check_set(
        r#"
[nodes.a]
task = "make"
parameters = { x = "{{ p }}" }
[parameters.p]
type = "date"
"#,
        &["p=2020-02-30"],
        expect![[r#"
            error[parameter-type]: `--set p=2020-02-30`: `p` is a string `"2020-02-30"`, not a date
              to mend: give a date, as `2020-01-02`
        "#]],
    );
}

#[test]
fn a_timestamp_is_told_in_utc() {
    check_set(
        r#"
[nodes.a]
task = "make"
parameters = { x = "{{ p }}" }
[parameters.p]
type = "timestamp"
"#,
        &["p=2020-01-02T09:30:00+01:00"],
        expect![[r#"
            a {"x":"2020-01-02T08:30:00Z"}
        "#]],
    );
}

#[test]
fn a_duration_has_one_writing() {
    check_set(
        r#"
[nodes.a]
task = "make"
parameters = { x = "{{ p }}" }
[parameters.p]
type = "duration"
maximum = "1d"
"#,
        &["p=90m"],
        expect![[r#"
            a {"x":"1h30m"}
        "#]],
    );
}

#[test]
fn a_duration_without_unit_is_refused() {
    check_set(
        r#"
[nodes.a]
task = "make"
parameters = { x = "{{ p }}" }
[parameters.p]
type = "duration"
"#,
        &["p=90"],
        expect![[r#"
            error[parameter-type]: `--set p=90`: `p` is wrong: duration `90` lacks a unit after `90`
              to mend: give a duration, as `10m` or `1h30m`
        "#]],
    );
}

#[test]
fn a_list_is_typed_with_or_without_brackets() {
    check_set(
        r#"
[nodes.a]
task = "make"
parameters = { x = "{{ p }}" }
[parameters.p]
type = "list"
items = "number"
"#,
        &["p=1,2.5"],
        expect![[r#"
            a {"x":[1.0,2.5]}
        "#]],
    );
}

#[test]
fn a_list_in_brackets_is_json() {
    check_set(
        r#"
[nodes.a]
task = "make"
parameters = { x = "{{ p }}" }
[parameters.p]
type = "list"
"#,
        &["p=[1, \"a\", true]"],
        expect![[r#"
            a {"x":[1,"a",true]}
        "#]],
    );
}

#[test]
fn a_list_of_bare_words_needs_no_quotes() {
    check_set(
        r#"
[nodes.a]
task = "make"
parameters = { x = "{{ p }}" }
[parameters.p]
type = "list"
items = "string"
"#,
        &["p=[a, b]"],
        expect![[r#"
            a {"x":["a","b"]}
        "#]],
    );
}

#[test]
fn a_list_with_a_wrong_item_is_refused() {
    check_set(
        r#"
[nodes.a]
task = "make"
parameters = { x = "{{ p }}" }
[parameters.p]
type = "list"
items = "integer"
"#,
        &["p=1,x"],
        expect![[r#"
            error[parameter-type]: `--set p=1,x`: `p` has an item 1 that is a string `"x"`, not an integer
              to mend: give a list, as `[1, 2]` or, after `--set`, `1,2`
        "#]],
    );
}

#[test]
fn a_path_goes_into_lists_and_objects() {
    check_set(
        r#"
[nodes.a]
task = "make"
parameters = { x = "{{ p }}" }
[parameters.p]
type = "object"
default = { a = { b = 1 }, c = [1, 2] }
"#,
        &["p.a.b=2", "p.c[1]=9", "p.d.e=text"],
        expect![[r#"
            a {"x":{"a":{"b":2},"c":[1,9],"d":{"e":"text"}}}
        "#]],
    );
}

#[test]
fn an_item_of_a_list_has_its_type() {
    check_set(
        r#"
[nodes.a]
task = "make"
parameters = { x = "{{ p }}" }
[parameters.p]
type = "list"
items = "string"
default = ["1", "2"]
"#,
        &["p[0]=7"],
        expect![[r#"
            a {"x":["7","2"]}
        "#]],
    );
}

#[test]
fn a_path_past_a_list_is_refused() {
    check_set(
        r#"
[nodes.a]
task = "make"
parameters = { x = "{{ p }}" }
[parameters.p]
type = "list"
default = [1]
"#,
        &["p[3]=7"],
        expect![[r#"
            error[bad-set]: `--set p[3]=7`: `[3]` is past a list of 1
              to mend: write `--set name=value`, `a.b=value` or `a[0]=value`
        "#]],
    );
}

#[test]
fn a_path_into_a_number_is_refused() {
    check_set(
        r#"
[nodes.a]
task = "make"
parameters = { x = "{{ p }}" }
[parameters.p]
type = "integer"
default = 1
"#,
        &["p.a=7"],
        expect![[r#"
            error[bad-set]: `--set p.a=7`: `a` is looked for in an integer
              to mend: write `--set name=value`, `a.b=value` or `a[0]=value`
        "#]],
    );
}

#[test]
fn a_value_below_the_minimum_is_refused() {
    check_set(
        r#"
[nodes.a]
task = "make"
parameters = { x = "{{ p }}" }
[parameters.p]
type = "integer"
minimum = 2
"#,
        &["p=1"],
        expect![[r#"
            error[parameter-range]: `--set p=1`: `p` is `1`, below the minimum `2`
              to mend: use 2 or more
        "#]],
    );
}

#[test]
fn a_value_above_the_maximum_is_refused() {
    check_set(
        r#"
[nodes.a]
task = "make"
parameters = { x = "{{ p }}" }
[parameters.p]
type = "duration"
maximum = "1h"
"#,
        &["p=2h"],
        expect![[r#"
            error[parameter-range]: `--set p=2h`: `p` is `2h`, above the maximum `1h`
              to mend: use 1h or less
        "#]],
    );
}

#[test]
fn a_value_not_among_the_choices_is_refused() {
    check_set(
        r#"
[nodes.a]
task = "make"
parameters = { x = "{{ p }}" }
[parameters.p]
type = "string"
choices = ["long", "short"]
"#,
        &["p=both"],
        expect![[r#"
            error[parameter-range]: `--set p=both`: `p` is `both`, which is not among its choices
              to mend: use one of `long`, `short`
        "#]],
    );
}

#[test]
fn a_list_keeps_to_bounds_and_choices_by_item() {
    check_set(
        r#"
[nodes.a]
task = "make"
parameters = { x = "{{ p }}" }
[parameters.p]
type = "list"
items = "integer"
minimum = 1
choices = [1, 2]
"#,
        &["p=1,3"],
        expect![[r#"
            error[parameter-range]: `--set p=1,3`: `p` is `3`, which is not among its choices
              to mend: use one of `1`, `2`
        "#]],
    );
}

#[test]
fn a_default_must_fit() {
    check(
        r#"
[nodes.a]
task = "make"
parameters = { x = "{{ p }}" }
[parameters.p]
type = "integer"
default = "x"
"#,
        expect![[r#"
            error[parameter-type]: default of parameter `p` is a string `"x"`, not an integer
              in: pipeline.toml, line 7, column 11
              to mend: give a whole number, as `240`
        "#]],
    );
}

#[test]
fn a_default_must_keep_to_the_bounds() {
    check(
        r#"
[nodes.a]
task = "make"
parameters = { x = "{{ p }}" }
[parameters.p]
type = "integer"
minimum = 2
default = 1
"#,
        expect![[r#"
            error[parameter-range]: default of parameter `p` is `1`, below the minimum `2`
              in: pipeline.toml, line 8, column 11
              to mend: use 2 or more
        "#]],
    );
}

#[test]
fn a_declaration_must_make_sense() {
    check(
        r#"
[nodes.a]
task = "make"
parameters = { x = "{{ p }}" }
[parameters.p]
type = "string"
minimum = 2
items = "integer"
[parameters.q]
type = "integer"
minimum = 3
maximum = 2
choices = ["a"]
"#,
        expect![[r#"
            error[parameter-declaration]: parameter `p`: `items` does not go with type `string`
              in: pipeline.toml, line 5, column 13
              to mend: use it with `list`
            error[parameter-declaration]: parameter `p`: `minimum` `2` is no bound for type `string`
              in: pipeline.toml, line 7, column 11
              to mend: bounds go with numbers, dates, timestamps and durations, and are of their type
            error[parameter-declaration]: parameter `q`: choice `a` is not of type `integer`
              in: pipeline.toml, line 9, column 13
              to mend: give choices of the parameter's type
            error[unused-parameter]: parameter `q` is declared, but nothing reads it
              in: pipeline.toml, line 9, column 13
              to mend: use it as `"{{ q }}"`, or remove it
            error[parameter-declaration]: parameter `q`: `minimum` `3` is above `maximum` `2`
              in: pipeline.toml, line 11, column 11
              to mend: swap the two
        "#]],
    );
}

#[test]
fn an_unused_parameter_is_refused() {
    check(
        r#"
[nodes.a]
task = "make"
[parameters.in_window]
type = "integer"
default = 1
"#,
        expect![[r#"
            error[unused-parameter]: parameter `in_window` is declared, but nothing reads it
              in: pipeline.toml, line 4, column 13
              to mend: use it as `"{{ in_window }}"`, or remove it
        "#]],
    );
}
