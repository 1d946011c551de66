//! `{{ }}` expressions.

use expect_test::expect;

use super::check;

#[test]
fn expressions_keep_their_type() {
    check(
        r#"
[nodes.a]
task = "make"
[nodes.a.parameters]
whole = "{{ n * 2 }}"
half = "{{ n / 2 }}"
text = "n is {{ n }}, list is {{ l }}, {{ '}}' }}"
list = ["{{ n }}", "{{ l }}", { deep = "{{ l[0] }}" }]
yes = "{{ n > 1 and 'a' in 'abc' }}"
start = "{{ run.start }}"
end = "{{ run.end }}"
map = "{{ {'a': {'b': n}} }}"
filtered = "{{ l | length }}"
[parameters]
n = { type = "integer", default = 3 }
l = { type = "list", default = [1, "x"] }
"#,
        expect![[r#"
            a {"end":null,"filtered":2,"half":1.5,"list":[3,[1,"x"],{"deep":1}],"map":{"a":{"b":3}},"start":"2020-01-02T00:00:00Z","text":"n is 3, list is [1,\"x\"], }}","whole":6,"yes":true}
        "#]],
    );
}

#[test]
fn an_unknown_name_in_an_expression_names_the_nearest() {
    check(
        r#"
[nodes.a]
task = "make"
parameters = { x = "{{ in_windw * 2 }}", y = "{{ run.begin }}", z = "{{ window }}" }
for_each = { windows = "{{ in_window }}" }
[parameters.in_window]
type = "list"
default = [1]
"#,
        expect![[r#"
            error[unknown-name]: expression `in_windw * 2` reads `in_windw`, which is not defined here
              in: pipeline.toml, line 4, column 20
              to mend: did you mean `in_window`?
            error[unknown-name]: expression `run.begin` reads `run.begin`, but `run` has no `begin`
              in: pipeline.toml, line 4, column 46
              to mend: use one of `as_of`, `end`, `start`
            error[unknown-name]: expression `window` reads `window`, which is not defined here
              in: pipeline.toml, line 4, column 69
              to mend: did you mean `windows`?
        "#]],
    );
}

#[test]
fn a_malformed_expression_is_refused() {
    check(
        r#"
[nodes.a]
task = "make"
parameters = { x = "{{ 1 + }}", y = "{{ 1", z = "{{ x | nofilter }}" }
"#,
        expect![[r#"
            error[bad-expression]: expression `1 +` is not understood: syntax error: unexpected end of input, expected expression
              in: pipeline.toml, line 4, column 20
              to mend: write a minijinja expression, as `{{ window * 2 }}`
            error[bad-expression]: `{{ 1` opens `{{` and never closes it
              in: pipeline.toml, line 4, column 37
              to mend: close the expression with `}}`; literal braces are written `{{ "{{" }}`
            error[unknown-name]: expression `x | nofilter` reads `x`, which is not defined here
              in: pipeline.toml, line 4, column 49
              to mend: use one of `run`
        "#]],
    );
}

#[test]
fn an_expression_that_fails_is_told() {
    check(
        r#"
[nodes.a]
task = "make"
parameters = { x = "{{ 1 / p }}", y = "{{ o.absent }}" }
[parameters.p]
type = "integer"
default = 0
[parameters.o]
type = "object"
default = {}
"#,
        expect![[r#"
            error[expression-failed]: expression `1 / p` failed: invalid operation: unable to calculate 1 / 0
              in: pipeline.toml, line 4, column 20
              to mend: correct the expression
        "#]],
    );
}

#[test]
fn a_setting_may_be_an_expression() {
    check(
        r#"
[nodes.a]
task = "make"
timeout = "{{ t }}"
resources = { cpus = "{{ 1 + 1 }}", memory = "{{ 8 }}TiB" }
[parameters.t]
type = "duration"
default = "1m"
"#,
        expect![[r#"
            error[infeasible-resources]: node `a` needs 8TiB of memory, but this machine has 8GiB
              in: pipeline.toml, line 5, column 13
              to mend: ask for at most `memory = "8GiB"`, or use a larger machine
        "#]],
    );
}
