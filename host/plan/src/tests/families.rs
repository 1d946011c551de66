//! `for_each`, and consumers of one member, some, or all.

use std::fmt::Write as _;
use std::time::Instant;

use expect_test::expect;

use super::{check, good, with_header};
use crate::Selection;

const LEGS: &str = r#"
[nodes.m]
task = "make"
[nodes.leg]
task = "free"
for_each = { w = [1, 2] }
parameters = { w = "{{ w }}" }
inputs = { tables = "m" }
[nodes.p]
task = "free"
inputs = { tables = "leg[w=2]" }
"#;

fn selected(selection: &Selection) -> String {
    let plan = good(&with_header(LEGS), &[]);
    match plan.select(selection) {
        Err(problem) => problem.to_string(),
        Ok(marks) => {
            plan.nodes.iter().zip(marks).filter(|(_, mark)| *mark).fold(String::new(), |mut text, (it, _)| {
                write!(text, "{} ", it.name).unwrap();
                text
            })
        }
    }
}

#[test]
fn a_selection_takes_what_it_names() {
    let of = |it: &str| it.to_owned();
    expect!["m leg[w=1] leg[w=2] p "].assert_eq(&selected(&Selection::All));
    expect!["m leg[w=2] p "].assert_eq(&selected(&Selection::Node(of("p"))));
    expect!["m leg[w=1] leg[w=2] "].assert_eq(&selected(&Selection::Node(of("leg"))));
    expect!["leg[w=1] "].assert_eq(&selected(&Selection::Only(of("leg[w=1]"))));
    expect!["m leg[w=2] "].assert_eq(&selected(&Selection::DepsOnly(of("p"))));
    expect![[r#"
        error[unknown-node]: pipeline `p` has no node `lag`
          to mend: did you mean `leg`?"#]]
    .assert_eq(&selected(&Selection::Only(of("lag"))));
    expect![[r#"
        error[unknown-node]: pipeline `p` has no node `leg[w=3]`
          to mend: did you mean `leg[w=1]`?"#]]
    .assert_eq(&selected(&Selection::Only(of("leg[w=3]"))));
}

#[test]
fn what_only_a_node_needs_goes_with_it() {
    let plan = good(&with_header(LEGS), &[]);
    let left = |selection: &Selection, names: &[&str]| {
        let names: Vec<String> = names.iter().map(|it| (*it).to_owned()).collect();
        let (cut, left) = plan.cut_at(&names, &plan.select(selection).unwrap()).unwrap();
        let name = |it: usize| plan.nodes[it].name.clone();
        let cut: Vec<String> = cut.into_iter().map(name).collect();
        let left = left.iter().enumerate().filter(|(_, is_left)| **is_left).map(|(it, _)| name(it));
        format!("{} | {}", cut.join(" "), left.collect::<Vec<_>>().join(" "))
    };
    expect!["leg[w=2] | m leg[w=1] p"].assert_eq(&left(&Selection::All, &["leg[w=2]"]));
    expect!["leg[w=1] leg[w=2] | p"].assert_eq(&left(&Selection::All, &["leg"]));
    expect!["p | m leg[w=1]"].assert_eq(&left(&Selection::All, &["p"]));
    expect!["m leg[w=2] | p"].assert_eq(&left(&Selection::Node("p".to_owned()), &["m", "leg[w=2]"]));
    expect!["p | "].assert_eq(&left(&Selection::Node("p".to_owned()), &["p"]));
    assert_eq!(plan.cut_at(&["q".to_owned()], &[true; 4]).unwrap_err().code.0, "unknown-node");
}

/// Generous for a slow machine and a debug build; what it catches is quadratic (minutes).
const SECONDS_MAX: u64 = 120;

#[test]
fn a_hundred_thousand_members_plan_in_seconds() {
    let text = r#"
[nodes.m]
task = "make"
for_each = { a = "{{ range(100000) }}" }
parameters = { a = "{{ a }}" }
[nodes.n]
task = "free"
for_each = { a = "{{ range(100000) }}" }
inputs = { tables = "m[a={{ a }}]" }
[nodes.all]
task = "free"
inputs = { tables = "n" }
"#;
    let began = Instant::now();
    let plan = good(&with_header(text), &[]);
    assert_eq!(plan.nodes.len(), 200_001);
    assert_eq!(
        plan.select(&Selection::Node("all".to_owned())).unwrap().iter().filter(|it| **it).count(),
        200_001
    );
    assert!(began.elapsed().as_secs() < SECONDS_MAX, "took {:?}", began.elapsed());
}

#[test]
fn a_consumer_takes_the_whole_family() {
    check(
        r#"
[sources.prices]
path = "prices.parquet"
[nodes.returns]
task = "returns"
inputs = { prices = "prices" }
[nodes.leg]
task = "leg"
for_each = { window = [20, 60, 120] }
parameters = { window = "{{ window }}" }
inputs = { returns = "returns" }
[nodes.p]
task = "portfolio"
inputs = { legs = "leg" }
"#,
        expect![[r#"
            prices
            returns {"alpha":0.5,"days":1,"scale":{"by":1.0,"center":true},"weights":[]} prices=(prices)
            leg[window=20] {"window":20} returns=(returns)
            leg[window=60] {"window":60} returns=(returns)
            leg[window=120] {"window":120} returns=(returns)
            p {} legs=(leg[window=20], leg[window=60], leg[window=120])
        "#]],
    );
}

#[test]
fn a_consumer_takes_one_member() {
    check(
        r#"
[sources.prices]
path = "prices.parquet"
[nodes.returns]
task = "returns"
inputs = { prices = "prices" }
[nodes.leg]
task = "leg"
for_each = { window = [20, 60, 120] }
parameters = { window = "{{ window }}" }
inputs = { returns = "returns" }
[nodes.p]
task = "portfolio"
inputs = { legs = "leg[window=60]" }
"#,
        expect![[r#"
            prices
            returns {"alpha":0.5,"days":1,"scale":{"by":1.0,"center":true},"weights":[]} prices=(prices)
            leg[window=20] {"window":20} returns=(returns)
            leg[window=60] {"window":60} returns=(returns)
            leg[window=120] {"window":120} returns=(returns)
            p {} legs=(leg[window=60])
        "#]],
    );
}

#[test]
fn a_consumer_takes_some_members() {
    check(
        r#"
[sources.prices]
path = "prices.parquet"
[nodes.returns]
task = "returns"
inputs = { prices = "prices" }
[nodes.leg]
task = "leg"
for_each = { window = [20, 60, 120] }
parameters = { window = "{{ window }}" }
inputs = { returns = "returns" }
[nodes.p]
task = "portfolio"
inputs = { legs = { node = "leg", where = { window = [120, 20.0] } } }
"#,
        expect![[r#"
            prices
            returns {"alpha":0.5,"days":1,"scale":{"by":1.0,"center":true},"weights":[]} prices=(prices)
            leg[window=20] {"window":20} returns=(returns)
            leg[window=60] {"window":60} returns=(returns)
            leg[window=120] {"window":120} returns=(returns)
            p {} legs=(leg[window=20], leg[window=120])
        "#]],
    );
}

#[test]
fn a_family_reads_a_family_member_by_member() {
    check(
        r#"
[sources.prices]
path = "prices.parquet"
[nodes.returns]
task = "returns"
inputs = { prices = "prices" }
[nodes.leg]
task = "leg"
for_each = { window = [20, 60, 120] }
parameters = { window = "{{ window }}" }
inputs = { returns = "returns" }
[nodes.p]
task = "free"
for_each = { w = [20, 60] }
inputs = { tables = "leg[window={{ w }}]" }
"#,
        expect![[r#"
            prices
            returns {"alpha":0.5,"days":1,"scale":{"by":1.0,"center":true},"weights":[]} prices=(prices)
            leg[window=20] {"window":20} returns=(returns)
            leg[window=60] {"window":60} returns=(returns)
            leg[window=120] {"window":120} returns=(returns)
            p[w=20] {} tables=(leg[window=20])
            p[w=60] {} tables=(leg[window=60])
        "#]],
    );
}

#[test]
fn several_keys_make_the_product() {
    check(
        r#"
[nodes.m]
task = "make"
for_each = { b = ["x", "a,b"], a = "{{ range(2) }}" }
parameters = { a = "{{ a }}", b = "{{ b }}" }
[nodes.f]
task = "free"
inputs = { tables = ["m[a=1,b=x]", { node = "m", where = { a = 0 } }] }
"#,
        expect![[r#"
            m[b=x,a=0] {"a":0,"b":"x"}
            m[b=x,a=1] {"a":1,"b":"x"}
            m[b="a,b",a=0] {"a":0,"b":"a,b"}
            m[b="a,b",a=1] {"a":1,"b":"a,b"}
            f {} tables=(m[b=x,a=1], m[b=x,a=0], m[b="a,b",a=0])
        "#]],
    );
}

#[test]
fn a_family_over_nothing_is_refused() {
    check(
        r#"
[nodes.m]
task = "make"
for_each = { w = "{{ windows }}" }
[parameters.windows]
type = "list"
default = []
"#,
        expect![[r#"
            error[empty-family]: `for_each` of node `m`: `w` has no values, so that no node would run
              in: pipeline.toml, line 4, column 18
              to mend: give the list at least one value
        "#]],
    );
}

#[test]
fn a_family_over_a_number_is_refused() {
    check(
        r#"
[nodes.m]
task = "make"
for_each = { w = 3 }
"#,
        expect![[r#"
            error[wrong-type]: `for_each` of node `m`: `w` is an integer `3`, not a list
              in: pipeline.toml, line 4, column 18
              to mend: give a list, as `[20, 60]`
        "#]],
    );
}

#[test]
fn a_value_twice_in_a_family_is_refused() {
    check(
        r#"
[nodes.m]
task = "make"
for_each = { w = [1, 1.0] }
"#,
        expect![[r#"
            error[duplicate-member]: `for_each` of node `m`: `w` has `1.0` twice
              in: pipeline.toml, line 4, column 18
              to mend: keep one of the two
        "#]],
    );
}

#[test]
fn a_family_whose_members_do_the_same_is_refused() {
    check(
        r#"
[nodes.m]
task = "make"
for_each = { w = [1, 2] }
"#,
        expect![[r#"
            error[duplicate-table]: nodes `m[w=1]` and `m[w=2]` would write one table, `make_b4f9948e87ce605f5431acd2ca215c21`
              in: pipeline.toml, line 2, column 8
              to mend: use every `for_each` key in `parameters` or `inputs`: members that do the same are one
        "#]],
    );
}

#[test]
fn a_family_beyond_the_limit_is_refused() {
    check(
        r#"
[nodes.m]
task = "make"
for_each = { a = "{{ range(10000) }}", b = "{{ range(10000) }}" }
"#,
        expect![[r#"
            error[too-many-nodes]: family `m` would have 100000000 members, more than 1000000
              in: pipeline.toml, line 4, column 40
              to mend: loop over fewer values
        "#]],
    );
}

#[test]
fn a_member_that_is_not_there_names_the_nearest() {
    check(
        r#"
[sources.prices]
path = "prices.parquet"
[nodes.returns]
task = "returns"
inputs = { prices = "prices" }
[nodes.leg]
task = "leg"
for_each = { window = [20, 60, 120] }
parameters = { window = "{{ window }}" }
inputs = { returns = "returns" }
[nodes.p]
task = "portfolio"
inputs = { legs = "leg[window=61]" }
"#,
        expect![[r#"
            error[no-such-member]: input `legs` of node `p` reads `leg`: no member has `window=61`
              in: pipeline.toml, line 14, column 19
              to mend: use one of `20`, `60`, `120`
        "#]],
    );
}

#[test]
fn a_key_that_the_family_does_not_have_names_the_nearest() {
    check(
        r#"
[sources.prices]
path = "prices.parquet"
[nodes.returns]
task = "returns"
inputs = { prices = "prices" }
[nodes.leg]
task = "leg"
for_each = { window = [20, 60, 120] }
parameters = { window = "{{ window }}" }
inputs = { returns = "returns" }
[nodes.p]
task = "portfolio"
inputs = { legs = ["leg[windw=60]", "returns[window=1]"] }
"#,
        expect![[r#"
            error[unknown-family-key]: input `legs` of node `p` picks by `windw`, which family `leg` does not loop over
              in: pipeline.toml, line 14, column 20
              to mend: did you mean `window`?
            error[unknown-family-key]: input `legs` of node `p` picks `window` of `returns`, which is no family
              in: pipeline.toml, line 14, column 37
              to mend: write `returns` alone, or give it a `for_each`
        "#]],
    );
}

#[test]
fn a_family_at_a_port_of_one_is_refused() {
    check(
        r#"
[sources.prices]
path = "prices.parquet"
[nodes.returns]
task = "returns"
inputs = { prices = "prices" }
[nodes.leg]
task = "leg"
for_each = { window = [20, 60, 120] }
parameters = { window = "{{ window }}" }
inputs = { returns = "returns" }
[nodes.leg2]
task = "leg"
parameters = { window = 1 }
inputs = { returns = "leg" }
"#,
        expect![[r#"
            error[input-arity]: input `returns` of node `leg2` takes one table, but is given 3
              in: pipeline.toml, line 15, column 12
              to mend: pick one member, as `leg[window=20]`
        "#]],
    );
}

#[test]
fn the_first_wrong_member_speaks_for_the_family() {
    check(
        r#"
[sources.prices]
path = "prices.parquet"
[nodes.returns]
task = "returns"
for_each = { days = [1, 0, -1] }
parameters = { days = "{{ days }}" }
inputs = { prices = "prices" }
"#,
        expect![[r#"
            error[task-parameters]: node `returns` does not suit task `returns`: parameter `days`: 0 is less than the minimum of 1
              in: pipeline.toml, line 7, column 23
              to mend: `tidemill inspect` shows what task `returns` takes
        "#]],
    );
}
