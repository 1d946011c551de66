//! Where tables are mirrored: what `mirror` may say, and that it changes nothing else.

use expect_test::expect;

use super::{check, good, plan_of, told, with_header};

fn mirrors(text: &str) -> Vec<String> {
    let plan = good(&with_header(text), &[]);
    let outputs = plan.nodes.iter().flat_map(|it| &it.outputs);
    outputs.map(|it| it.mirror.as_ref().map_or("-".to_owned(), ToString::to_string)).collect()
}

#[test]
fn a_node_a_source_a_member_and_a_port_each_have_their_table() {
    let text = r#"
[sources.prices]
path = "p.parquet"
mirror = "prices"
[nodes.a]
task = "make"
mirror = "research.a"
[nodes.leg]
task = "make"
for_each = { window = [20, 60] }
parameters = { window = "{{ window }}" }
mirror = "leg_{{ window }}"
[nodes.p]
task = "portfolio"
inputs = { legs = "a" }
mirror = { index = "index" }
"#;
    let expected = ["public.prices", "research.a", "public.leg_20", "public.leg_60", "public.index", "-"];
    assert_eq!(mirrors(text), expected);
}

#[test]
fn a_mirror_changes_no_identity() {
    let text = "[nodes.a]\ntask = \"make\"\n";
    let (without, with) = (good(&with_header(text), &[]), format!("{text}mirror = \"a\"\n"));
    let with = good(&with_header(&with), &[]);
    assert_eq!(without.nodes[0].outputs[0].id, with.nodes[0].outputs[0].id);
    assert_eq!(without.nodes[0].update_id, with.nodes[0].update_id);
}

#[test]
fn names_that_nobody_could_write_in_sql_are_refused() {
    let taken =
        ["Returns", "1y", "a.b.c", "a b", "", ".", "pg_catalog.a", "information_schema.a", "tidemill_mirror"];
    for name in taken.map(str::to_owned).into_iter().chain(["a".repeat(64)]) {
        let text = with_header(&format!("[nodes.a]\ntask = \"make\"\nmirror = {name:?}\n"));
        let problems = told(&plan_of(&text, &[]).expect_err("refused"));
        assert!(problems.starts_with("error[mirror-name]: `mirror` of node `a` is"), "{name}: {problems}");
    }
    assert_eq!(mirrors(&format!("[nodes.a]\ntask = \"make\"\nmirror = {:?}\n", "a".repeat(63))).len(), 1);
}

#[test]
fn two_tables_in_one_place_are_refused_however_it_is_written() {
    check(
        "[nodes.a]\ntask = \"make\"\nmirror = \"t\"\n[nodes.b]\ntask = \"make\"\nparameters = { x = 1 }\nmirror = \
         \"public.t\"",
        expect![[r#"
            error[duplicate-mirror]: `a` and `b` would both be mirrored into `public.t`
              in: pipeline.toml, line 5, column 8
              to mend: name another table in one of the two
        "#]],
    );
    check(
        "[nodes.a]\ntask = \"make\"\nfor_each = { w = [1, 2] }\nparameters = { w = \"{{ w }}\" }\nmirror = \"legs\"",
        expect![[r#"
            error[duplicate-mirror]: `a[w=1]` and `a[w=2]` would both be mirrored into `public.legs`
              in: pipeline.toml, line 2, column 8
              to mend: use every `for_each` key in `mirror`, as `"legs_{{ w }}"`
        "#]],
    );
}

#[test]
fn a_port_must_be_named_where_there_are_several_and_be_there() {
    let node = "[nodes.a]\ntask = \"make\"\n[nodes.p]\ntask = \"portfolio\"\ninputs = { legs = \"a\" }\n";
    check(
        &format!("{node}mirror = \"p\""),
        expect![[r#"
            error[mirror-ports]: `mirror` of node `p` is one table, but its task writes 2 tables: `index`, `statistics`
              in: pipeline.toml, line 4, column 8
              to mend: say it by port, as `mirror = { index = "public.p" }`
        "#]],
    );
    check(
        &format!("{node}mirror = {{ indx = \"p\" }}"),
        expect![[r#"
        error[mirror-ports]: `mirror` of node `p` names `indx`, which is no output port of its task
          in: pipeline.toml, line 4, column 8
          to mend: did you mean `index`?
    "#]],
    );
    check(
        &format!("{node}mirror = {{ index = 3 }}"),
        expect![[r#"
        error[wrong-type]: `mirror` of node `p` at `index` is `3`: an integer, not the name of a table
          in: pipeline.toml, line 7, column 10
          to mend: name a table of PostgreSQL as `returns` or `research.returns`: lower-case letters, digits and `_`, a letter first, at most 63, no schema of PostgreSQL's own, not `tidemill_mirror`
    "#]],
    );
}
