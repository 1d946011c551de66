//! What input ports are bound to.

use expect_test::expect;

use super::check;

#[test]
fn a_node_reads_a_source() {
    check(
        r#"
[sources.prices]
path = "prices.parquet"
[nodes.returns]
task = "returns"
inputs = { prices = "prices" }
"#,
        expect![[r#"
            prices
            returns {"alpha":0.5,"days":1,"scale":{"by":1.0,"center":true},"weights":[]} prices=(prices)
        "#]],
    );
}

#[test]
fn an_unknown_node_names_the_nearest() {
    check(
        r#"
[sources.prices]
path = "prices.parquet"
[nodes.returns]
task = "returns"
inputs = { prices = "price" }
"#,
        expect![[r#"
            error[unknown-node]: input `prices` of node `returns` reads `price`, which is no node and no source
              in: pipeline.toml, line 6, column 21
              to mend: did you mean `prices`?
        "#]],
    );
}

#[test]
fn a_cycle_is_printed() {
    check(
        r#"
[nodes.a]
task = "free"
inputs = { tables = "c" }
[nodes.b]
task = "free"
inputs = { tables = "a" }
[nodes.c]
task = "free"
inputs = { tables = ["b", "d"] }
[nodes.d]
task = "free"
inputs = { tables = "d" }
[nodes.e]
task = "free"
inputs = { tables = "a" }
"#,
        expect![[r#"
            error[cycle]: nodes need each other in a cycle: `a → b → c → a`
              in: pipeline.toml, line 7, column 21
              to mend: remove one of these inputs
            error[cycle]: nodes need each other in a cycle: `d → d`
              in: pipeline.toml, line 13, column 21
              to mend: remove one of these inputs
        "#]],
    );
}

#[test]
fn a_missing_input_is_refused() {
    check(
        r#"
[sources.prices]
path = "prices.parquet"
[nodes.returns]
task = "returns"
[nodes.p]
task = "portfolio"
inputs = { legs = [] }
"#,
        expect![[r#"
            error[missing-input]: node `returns` has nothing at input `prices` of task `returns`
              in: pipeline.toml, line 4, column 8
              to mend: add `prices = "…"` to its `inputs`
            error[missing-input]: node `p` has nothing at input `legs` of task `portfolio`
              in: pipeline.toml, line 8, column 12
              to mend: add `legs = "…"` to its `inputs`
        "#]],
    );
}

#[test]
fn a_surplus_input_names_the_nearest() {
    check(
        r#"
[sources.prices]
path = "prices.parquet"
[nodes.returns]
task = "returns"
inputs = { prices = "prices", price = "prices" }
"#,
        expect![[r#"
            error[surplus-input]: input `price` of node `returns` is no input port of task `returns`
              in: pipeline.toml, line 6, column 31
              to mend: did you mean `prices`?
        "#]],
    );
}

#[test]
fn an_unknown_task_is_refused() {
    check(
        r#"
[sources.prices]
path = "prices.parquet"
[nodes.returns]
task = "retruns"
inputs = { prices = "prices" }
"#,
        expect![[r#"
            error[unknown-task]: there is no component of task `retruns`
              in: pipeline.toml, line 5, column 8
              to mend: did you mean `returns`?
        "#]],
    );
}

#[test]
fn two_tables_at_a_port_of_one_are_refused() {
    check(
        r#"
[sources.prices]
path = "prices.parquet"
[sources.other]
path = "o.csv"
[nodes.returns]
task = "returns"
inputs = { prices = ["prices", "other"] }
"#,
        expect![[r#"
            error[input-arity]: input `prices` of node `returns` takes one table, but is given 2
              in: pipeline.toml, line 8, column 12
              to mend: give it one of them
        "#]],
    );
}

#[test]
fn one_of_several_output_ports_must_be_named() {
    check(
        r#"
[sources.prices]
path = "prices.parquet"
[nodes.returns]
task = "returns"
inputs = { prices = "prices" }
[nodes.p]
task = "portfolio"
inputs = { legs = "returns" }
[nodes.q]
task = "free"
inputs = { tables = ["p", "p.indx"] }
"#,
        expect![[r#"
            error[unknown-port]: input `tables` of node `q` reads `p`, which has 2 output ports
              in: pipeline.toml, line 12, column 22
              to mend: name one, as `p.index`
            error[unknown-port]: input `tables` of node `q` reads `p.indx`, but `p` has no such output port
              in: pipeline.toml, line 12, column 27
              to mend: did you mean `index`?
        "#]],
    );
}

#[test]
fn an_output_port_is_named() {
    check(
        r#"
[sources.prices]
path = "prices.parquet"
[nodes.returns]
task = "returns"
inputs = { prices = "prices" }
[nodes.p]
task = "portfolio"
inputs = { legs = "returns" }
[nodes.q]
task = "free"
inputs = { tables = ["p.statistics", { node = "p", port = "index" }, "prices"] }
"#,
        expect![[r#"
            prices
            returns {"alpha":0.5,"days":1,"scale":{"by":1.0,"center":true},"weights":[]} prices=(prices)
            p {} legs=(returns)
            q {} tables=(p.statistics, p.index, prices)
        "#]],
    );
}

#[test]
fn an_optional_input_may_be_bound_or_not() {
    check(
        r#"
[sources.prices]
path = "prices.parquet"
[nodes.returns]
task = "returns"
inputs = { prices = "prices" }
[nodes.p]
task = "portfolio"
inputs = { legs = "returns", benchmark = "prices" }
"#,
        expect![[r#"
            prices
            returns {"alpha":0.5,"days":1,"scale":{"by":1.0,"center":true},"weights":[]} prices=(prices)
            p {} legs=(returns) benchmark=(prices)
        "#]],
    );
}

#[test]
fn a_column_of_another_type_is_refused() {
    check(
        r#"
[sources.prices]
path = "prices.parquet"
columns = { close = "float32" }
[nodes.returns]
task = "returns"
inputs = { prices = "prices" }
"#,
        expect![[r#"
            error[column-type]: input `prices` of node `returns` needs column `close` as `float64`, but `prices` has it as `float32`
              in: pipeline.toml, line 7, column 21
              to mend: declare the type that the task takes, or convert the column in a task between the two
        "#]],
    );
}

#[test]
fn a_missing_column_is_refused() {
    check(
        r#"
[sources.prices]
path = "prices.parquet"
time_index = "time"
identifiers = ["id"]
columns = { clsoe = "float64" }
[nodes.returns]
task = "returns"
inputs = { prices = "prices" }
"#,
        expect![[r#"
            error[column-missing]: input `prices` of node `returns` needs column `close` of type `float64`, which `prices` does not have
              in: pipeline.toml, line 9, column 21
              to mend: bind a table that has it (did you mean `clsoe`, which is there?)
        "#]],
    );
}

#[test]
fn columns_of_tasks_are_checked() {
    check(
        r#"
[sources.prices]
path = "prices.parquet"
[nodes.returns]
task = "returns"
inputs = { prices = "prices" }
[nodes.again]
task = "returns"
inputs = { prices = "returns" }
"#,
        expect![[r#"
            error[column-missing]: input `prices` of node `again` needs column `close` of type `float64`, which `returns` does not have
              in: pipeline.toml, line 9, column 21
              to mend: bind a table that has it; `returns` has `time`, `value`
        "#]],
    );
}

#[test]
fn columns_known_only_at_run_time_are_not_checked() {
    check(
        r#"
[nodes.m]
task = "make"
[nodes.returns]
task = "returns"
inputs = { prices = "m" }
"#,
        expect![[r#"
            m {}
            returns {"alpha":0.5,"days":1,"scale":{"by":1.0,"center":true},"weights":[]} prices=(m)
        "#]],
    );
}

#[test]
fn nodes_come_after_what_they_read_else_in_file_order() {
    check(
        r#"
[nodes.z]
task = "free"
inputs = { tables = ["b", "a"] }
[nodes.b]
task = "make"
parameters = { x = 1 }
[nodes.a]
task = "make"
parameters = { x = 2 }
"#,
        expect![[r#"
            b {"x":1}
            a {"x":2}
            z {} tables=(b, a)
        "#]],
    );
}

#[test]
fn every_problem_is_told_in_the_order_of_the_file() {
    check(
        r#"
[sources.prices]
path = "prices.parquet"
[nodes.returns]
task = "returns"
inputs = { price = "prices" }
parameters = { dys = 3, alpha = "x" }
resources = { cpus = 64 }
[nodes.leg]
task = "leg"
inputs = { returns = "returns" }
for_each = { window = [] }
"#,
        expect![[r#"
            error[missing-input]: node `returns` has nothing at input `prices` of task `returns`
              in: pipeline.toml, line 4, column 8
              to mend: add `prices = "…"` to its `inputs`
            error[surplus-input]: input `price` of node `returns` is no input port of task `returns`
              in: pipeline.toml, line 6, column 12
              to mend: did you mean `prices`?
            error[unknown-task-parameter]: parameter `dys` of node `returns` is no parameter of task `returns`
              in: pipeline.toml, line 7, column 16
              to mend: did you mean `days`?
            error[task-parameters]: node `returns` does not suit task `returns`: parameter `alpha`: `x` is not of type `number`
              in: pipeline.toml, line 7, column 33
              to mend: `tidemill inspect` shows what task `returns` takes
            error[infeasible-resources]: node `returns` needs 64 cpus, but this machine has 4
              in: pipeline.toml, line 8, column 13
              to mend: ask for at most `cpus = 4`, or use a larger machine
            error[empty-family]: `for_each` of node `leg`: `window` has no values, so that no node would run
              in: pipeline.toml, line 12, column 23
              to mend: give the list at least one value
        "#]],
    );
}
