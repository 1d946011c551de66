//! Sweeps: axes, points, and what points share.

use expect_test::{Expect, expect};
use serde_json::Value;

use super::{Tasks, request, shown, told, with_header};
use crate::{
    Axes, Goal, Keep, Measure, PointsTable, Problem, Space, Steps, SweepPlan, parse, plan_first, plan_sweep,
};

const PIPELINE: &str = r#"
[parameters]
window = { type = "integer", default = 20, minimum = 2 }
alpha = { type = "number", default = 0.5, maximum = 10 }
label = { type = "string", default = "" }
windows = { type = "list", items = "integer", default = [20, 60] }
[sources.prices]
path = "prices.parquet"
[nodes.returns]
task = "returns"
inputs = { prices = "prices" }
parameters = { alpha = "{{ alpha }}", label = "{{ label }}" }
[nodes.leg]
task = "leg"
inputs = { returns = "returns" }
parameters = { window = "{{ window }}" }
[nodes.legs]
task = "leg"
inputs = { returns = "returns" }
for_each = { days = "{{ windows }}" }
parameters = { window = "{{ days * 1000000 }}" }
"#;

fn grid(axes: &[(&str, &str)]) -> Axes {
    let text = |(name, steps): &(&str, &str)| ((*name).to_owned(), Steps::Text((*steps).to_owned()));
    Axes { grid: axes.iter().map(text).collect(), ..Axes::default() }
}

fn space(axes: &Axes) -> Result<Space, Vec<Problem>> {
    Space::new(&parse(&with_header(PIPELINE), "pipeline.toml")?, axes)
}

/// A line for each point.
fn points(axes: &Axes) -> String {
    let space = match space(axes) {
        Ok(it) => it,
        Err(problems) => return told(&problems),
    };
    let line = |point| {
        let values: Vec<String> = space.values(point).into_iter().map(Value::to_string).collect();
        values.join(" ") + "\n"
    };
    (0..space.len()).map(line).collect()
}

#[track_caller]
#[expect(clippy::needless_pass_by_value, reason = "`expect![…]` reads best where it is checked")]
fn check_points(axes: &Axes, expected: Expect) {
    expected.assert_eq(&points(axes));
}

fn sweep_of(text: &str, axes: &Axes, wanted: &[&str]) -> Result<SweepPlan, Vec<Problem>> {
    let pipeline = parse(&with_header(text), "pipeline.toml")?;
    let space = Space::new(&pipeline, axes)?;
    plan_first(&pipeline, &request(&[]), &space, &Tasks)?;
    plan_sweep(&pipeline, &request(&[]), space, wanted, &Tasks)
}

#[track_caller]
#[expect(clippy::needless_pass_by_value, reason = "`expect![…]` reads best where it is checked")]
fn check_sweep(axes: &Axes, wanted: &[&str], expected: Expect) {
    expected.assert_eq(&match sweep_of(PIPELINE, axes, wanted) {
        Ok(it) => format!("{}{} nodes of {} points\n", shown(&it.plan), it.nodes_total(), it.space.len()),
        Err(problems) => told(&problems),
    });
}

#[test]
fn grids_are_multiplied_and_the_last_moves_fastest() {
    check_points(
        &grid(&[("window", "20,60"), ("alpha", "0:0.5:0.1")]),
        expect![[r#"
        20 0.0
        20 0.1
        20 0.2
        20 0.3
        20 0.4
        60 0.0
        60 0.1
        60 0.2
        60 0.3
        60 0.4
    "#]],
    );
}

#[test]
fn a_logarithmic_range_holds_both_ends_and_round_numbers() {
    check_points(
        &grid(&[("alpha", "1e-6:1e-2:log5")]),
        expect![[r#"
        1e-6
        0.00001
        0.0001
        0.001
        0.01
    "#]],
    );
}

#[test]
fn a_range_may_lead_down_and_an_integer_stays_one() {
    check_points(
        &grid(&[("window", "60:20:-20")]),
        expect![[r#"
        60
        40
    "#]],
    );
}

#[test]
fn lists_and_strings_are_axes_too() {
    check_points(
        &grid(&[("windows", "[[20],[20,60]]"), ("label", "a,b")]),
        expect![[r#"
        [20] "a"
        [20] "b"
        [20,60] "a"
        [20,60] "b"
    "#]],
    );
}

#[test]
fn zipped_axes_move_together() {
    let axes = Axes { zip: grid(&[("window", "20,60"), ("alpha", "1,2")]).grid, ..grid(&[("label", "a,b")]) };
    check_points(
        &axes,
        expect![[r#"
        "a" 20 1.0
        "a" 60 2.0
        "b" 20 1.0
        "b" 60 2.0
    "#]],
    );
    let axes = Axes { zip: grid(&[("window", "20,60"), ("alpha", "1")]).grid, ..Axes::default() };
    check_points(
        &axes,
        expect![[r#"
        error[zip-lengths]: `--zip alpha=1` has 1 values, `window` has 2
          to mend: zipped axes move together: give each the same number of values
    "#]],
    );
}

#[test]
fn drawn_axes_are_the_same_for_a_seed_and_distinct() {
    let draw = |seed| Axes {
        draw: vec![("window".into(), "uniform:2:9".into()), ("alpha".into(), "log:0.001:1".into())],
        random: Some(20),
        seed,
        ..Axes::default()
    };
    assert_eq!(points(&draw(1)), points(&draw(1)));
    assert_ne!(points(&draw(1)), points(&draw(2)));
    let lines = points(&draw(1));
    let rows: Vec<(i64, f64)> = lines
        .lines()
        .map(|it| it.split_once(' ').expect("two values"))
        .map(|(window, alpha)| (window.parse().expect("an integer"), alpha.parse().expect("a number")))
        .collect();
    assert_eq!(rows.len(), 20);
    assert!(rows.iter().all(|(window, alpha)| (2..=9).contains(window) && (0.001..=1.0).contains(alpha)));
}

#[test]
fn an_integer_is_drawn_evenly_from_both_bounds() {
    let axes = Axes {
        draw: vec![("window".into(), "uniform:2:4".into()), ("alpha".into(), "uniform:0:1".into())],
        random: Some(3000),
        ..Axes::default()
    };
    let text = points(&axes);
    for value in ["2 ", "3 ", "4 "] {
        let count = text.lines().filter(|it| it.starts_with(value)).count();
        assert!((850..1150).contains(&count), "{value}: {count}");
    }
}

#[test]
fn more_draws_than_there_are_values_are_refused() {
    let axes =
        Axes { draw: vec![("window".into(), "uniform:2:4".into())], random: Some(9), ..Axes::default() };
    check_points(
        &axes,
        expect![[r#"
        error[bad-draw]: `--random 9`: the distributions hold only 3 points
          to mend: draw fewer points, or sweep them by `--grid`
    "#]],
    );
}

#[test]
fn a_file_of_points_is_taken_row_by_row() {
    let table = |rows| PointsTable {
        file: "points.csv".into(),
        columns: vec!["window".into(), "alpha".into()],
        rows,
    };
    let row = |window: &str, alpha: &str| vec![Value::from(window), Value::from(alpha)];
    let axes = |rows| Axes { points: Some(table(rows)), ..Axes::default() };
    check_points(
        &axes(vec![row("20", "1e-3"), row("60", "0.5")]),
        expect![[r#"
        20 0.001
        60 0.5
    "#]],
    );
    check_points(
        &axes(vec![row("20", "1"), row("soon", "1")]),
        expect![[r#"
        error[parameter-type]: points file `points.csv`, row 2, column `window`: a value is a string `"soon"`, not an integer
          to mend: give a whole number, as `240`
    "#]],
    );
    check_points(
        &axes(vec![row("20", "1"), vec![20.into(), 1.into()]]),
        expect![[r#"
        error[duplicate-point]: points file `points.csv`: point 2 is there twice: `window=20, alpha=1.0` is point 1 too
          to mend: remove one of the two
    "#]],
    );
    check_points(
        &axes(vec![]),
        expect![[r#"
        error[empty-axis]: points file `points.csv` has no rows
          to mend: write a row for each point under the names of the parameters
    "#]],
    );
}

#[test]
fn bad_axes_are_named_all_at_once() {
    let axes = grid(&[("windw", "1,2"), ("window", "20,x"), ("alpha", "0:1:0"), ("label", "")]);
    check_points(
        &axes,
        expect![[r#"
        error[unknown-parameter]: `--grid windw=1,2`: pipeline `p` has no parameter `windw`
          to mend: did you mean `window`?
        error[parameter-type]: `--grid window=20,x`: a value is a string `"x"`, not an integer
          to mend: give a whole number, as `240`
        error[bad-range]: `--grid alpha=0:1:0`: range `0:1:0` has a step of 0
          to mend: write `start:stop:step`, which leaves the stop out, or `start:stop:logN`, N values from start to stop
        error[empty-axis]: `--grid label=` has no values
          to mend: give it at least one value, as `1,2,3` or `60:720:20`
    "#]],
    );
}

#[test]
fn a_bad_range_says_why() {
    check_points(
        &grid(&[("alpha", "NaN")]),
        expect![[r#"
        error[parameter-type]: `--grid alpha=NaN`: a value is a string `"NaN"`, not a number
          to mend: give a number, as `0.5`
    "#]],
    );
    check_points(
        &grid(&[("alpha", "0:1:-1")]),
        expect![[r#"
        error[bad-range]: `--grid alpha=0:1:-1`: range `0:1:-1` holds nothing: its step leads away from its stop, or start and stop are one
          to mend: write `start:stop:step`, which leaves the stop out, or `start:stop:logN`, N values from start to stop
    "#]],
    );
    check_points(
        &grid(&[("alpha", "0:inf:1")]),
        expect![[r#"
        error[bad-range]: `--grid alpha=0:inf:1`: range `0:inf:1` has `inf`, which is no finite number
          to mend: write `start:stop:step`, which leaves the stop out, or `start:stop:logN`, N values from start to stop
    "#]],
    );
    check_points(
        &grid(&[("alpha", "-1:1:log3")]),
        expect![[r#"
        error[bad-range]: `--grid alpha=-1:1:log3`: range `-1:1:log3` needs two numbers above 0 and at least 2 values
          to mend: write `start:stop:step`, which leaves the stop out, or `start:stop:logN`, N values from start to stop
    "#]],
    );
}

#[test]
fn bad_values_and_repeated_points_are_named() {
    check_points(
        &grid(&[("window", "20,60,1")]),
        expect![[r#"
        error[parameter-range]: `--grid window=20,60,1`: a value is `1`, below the minimum `2`
          to mend: use 2 or more
    "#]],
    );
    check_points(
        &grid(&[("window", "20,60,20")]),
        expect![[r#"
        error[duplicate-point]: `--grid window=20,60,20`: point 3 is there twice: `window=20` is point 1 too
          to mend: remove one of the two
    "#]],
    );
    check_points(
        &grid(&[("window", "20"), ("window", "60")]),
        expect![[r#"
        error[axis-twice]: `--grid window=60`: `window` is an axis already
          to mend: name each parameter once
    "#]],
    );
    check_points(
        &grid(&[("window", "2:5000:1"), ("alpha", "0:1:0.0001")]),
        expect![[r#"
        error[too-many-points]: the sweep has 49980000 points, more than 10000000
          to mend: sweep over fewer values
    "#]],
    );
    check_points(
        &Axes::default(),
        expect![[r#"
        error[no-axis]: the sweep has no axis
          to mend: add `--grid name=values`, or a `[sweep]` section to the pipeline file
    "#]],
    );
}

#[test]
fn what_does_not_depend_on_an_axis_is_planned_once() {
    check_sweep(
        &grid(&[("window", "20,60"), ("alpha", "1,2")]),
        &[],
        expect![[r#"
        prices
        returns[alpha=1] {"alpha":1.0,"days":1,"label":"","scale":{"by":1.0,"center":true},"weights":[]} prices=(prices)
        leg[window=20,alpha=1] {"window":20} returns=(returns[alpha=1])
        legs[days=20,alpha=1] {"window":20000000} returns=(returns[alpha=1])
        legs[days=60,alpha=1] {"window":60000000} returns=(returns[alpha=1])
        returns[alpha=2] {"alpha":2.0,"days":1,"label":"","scale":{"by":1.0,"center":true},"weights":[]} prices=(prices)
        leg[window=20,alpha=2] {"window":20} returns=(returns[alpha=2])
        legs[days=20,alpha=2] {"window":20000000} returns=(returns[alpha=2])
        legs[days=60,alpha=2] {"window":60000000} returns=(returns[alpha=2])
        leg[window=60,alpha=1] {"window":60} returns=(returns[alpha=1])
        leg[window=60,alpha=2] {"window":60} returns=(returns[alpha=2])
        20 nodes of 4 points
    "#]],
    );
}

#[test]
fn only_what_is_wanted_is_planned() {
    check_sweep(
        &grid(&[("window", "20,60")]),
        &["leg"],
        expect![[r#"
        prices
        returns {"alpha":0.5,"days":1,"label":"","scale":{"by":1.0,"center":true},"weights":[]} prices=(prices)
        leg[window=20] {"window":20} returns=(returns)
        leg[window=60] {"window":60} returns=(returns)
        6 nodes of 2 points
    "#]],
    );
}

#[test]
fn members_that_several_points_have_are_shared() {
    check_sweep(
        &grid(&[("windows", "[[20],[20,60]]")]),
        &["legs"],
        expect![[r#"
        prices
        returns {"alpha":0.5,"days":1,"label":"","scale":{"by":1.0,"center":true},"weights":[]} prices=(prices)
        legs[days=20,windows=[20]] {"window":20000000} returns=(returns)
        legs[days=60,windows=[20,60]] {"window":60000000} returns=(returns)
        7 nodes of 2 points
    "#]],
    );
}

#[test]
fn an_axis_that_changes_nothing_measured_is_refused() {
    check_sweep(
        &grid(&[("window", "20,60")]),
        &["returns"],
        expect![[r#"
        error[unused-axis]: axis `window` changes nothing that is measured
          to mend: measure a node that depends on it, or leave the axis out
    "#]],
    );
}

#[test]
fn a_parameter_is_set_or_swept() {
    let pipeline = parse(&with_header(PIPELINE), "pipeline.toml").expect("good");
    let space = space(&grid(&[("window", "20,60")])).expect("good");
    let problems = plan_sweep(&pipeline, &request(&["window=20"]), space, &[], &Tasks).expect_err("refused");
    expect![[r#"
        error[set-and-swept]: parameter `window` is both set and swept
          to mend: do one of the two
    "#]]
    .assert_eq(&told(&problems));
}

#[test]
fn a_point_that_cannot_be_planned_is_named() {
    let text = PIPELINE.replace("\"{{ window }}\"", "\"{{ 100 // (window - 60) }}\"");
    let problems = sweep_of(&text, &grid(&[("window", "20,60")]), &[]).expect_err("refused");
    expect![[r#"
        error[expression-failed]: at the point window=60: expression `100 // (window - 60)` failed: invalid operation: unable to calculate 100 // 0
          in: pipeline.toml, line 16, column 25
          to mend: correct the expression
    "#]].assert_eq(&told(&problems));
}

#[test]
fn points_that_differ_only_in_what_identity_ignores_are_refused() {
    let text = PIPELINE.replace("[nodes.leg]", "[nodes.leg]\nidentity_ignore = [\"window\"]");
    let problems = sweep_of(&text, &grid(&[("window", "20,60")]), &[]).expect_err("refused");
    expect![[r#"
        error[duplicate-table]: at the point window=60: nodes `leg[window=20]` and `leg` would write one table, `leg_5cd7ddb1b592fed3a4dfa2a04fc95257`
          in: pipeline.toml, line 13, column 8
          to mend: they differ only in `identity_ignore`: within one run a table has one writer, so run them one after the other, with a pipeline parameter
    "#]].assert_eq(&told(&problems));
}

#[test]
fn a_hundred_thousand_points_share_their_source() {
    let plan = sweep_of(PIPELINE, &grid(&[("window", "2:100002:1")]), &["leg"]).expect("planned");
    assert_eq!((plan.space.len(), plan.plan.nodes.len(), plan.nodes_total()), (100_000, 100_002, 300_000));
    assert_eq!(plan.nodes_of(99_999).collect::<Vec<_>>(), [0, 1, 100_001]);
}

#[test]
fn measures_are_read_and_held_against_the_plan() {
    let pipeline = parse(&with_header(PIPELINE), "pipeline.toml").expect("good");
    let space = space(&grid(&[("window", "20,60")])).expect("good");
    let plan = plan_first(&pipeline, &request(&[]), &space, &Tasks).expect("good");
    let told_of = |text: &str| match Measure::parse("m", text).and_then(|it| it.check(&plan).map(|()| it)) {
        Ok(it) => format!("{text}: {:?}\n", it.source),
        Err(problem) => format!("{problem}\n"),
    };
    let texts = [
        "leg.value",
        "last(leg.output.value)",
        "std( legs[days=20].value )",
        "metric(leg.fits)",
        "leg",
        "median(leg.value)",
        "lg.value",
        "legs.value",
        "leg.valu",
        "leg.time",
        "leg.outputs.value",
    ];
    expect![[r#"
        leg.value: Column { node: "leg", port: None, column: "value", aggregate: None }
        last(leg.output.value): Column { node: "leg", port: Some("output"), column: "value", aggregate: Some(Last) }
        std( legs[days=20].value ): Column { node: "legs[days=20]", port: None, column: "value", aggregate: Some(Std) }
        metric(leg.fits): Metric { node: "leg", name: "fits" }
        error[bad-measure]: measure `m=leg` names no node and column
          to mend: write `name=node.column` (a table of one row), `name=last(node.column)` (also min, max, mean, sum, std), or `name=metric(node.metric)`
        error[bad-measure]: measure `m=median(leg.value)` uses `median`, which is no aggregate
          to mend: write `name=node.column` (a table of one row), `name=last(node.column)` (also min, max, mean, sum, std), or `name=metric(node.metric)`
        error[measure-node]: measure `m=lg.value` names `lg`, which is no node
          to mend: did you mean `legs[days=20]`?
        error[measure-node]: measure `m=legs.value` names `legs`, which is no node
          to mend: `legs` is a family: name a member, as `legs[days=20]`
        error[measure-column]: measure `m=leg.valu` names `valu`, which is no column of `leg`
          to mend: did you mean `value`?
        error[measure-column]: measure `m=leg.time` names `time`, whose type Timestamp(µs, "UTC") is no number
          to mend: measure a column of numbers
        error[measure-table]: measure `m=leg.outputs.value` names no single table of `leg`
          to mend: name one of its output ports: `output`
    "#]].assert_eq(&texts.map(told_of).concat());
}

#[test]
fn the_section_of_the_file_says_what_is_swept() {
    let text = PIPELINE.to_owned()
        + "[sweep]\ngrid = { window = \"20:80:20\", alpha = [0.1, 1] }\nmeasures = { value = \"last(leg.value)\" }\nmaximize = \"value\"\nkeep = \"none\"\n";
    let pipeline = parse(&with_header(&text), "pipeline.toml").expect("good");
    let space = Space::new(&pipeline, &pipeline.swept_axes()).expect("good");
    assert_eq!(space.len(), 6);
    assert_eq!(pipeline.swept_measures(), [("value", "last(leg.value)")]);
    assert_eq!(pipeline.swept_goal(), Some(Goal::Maximize("value".into())));
    assert_eq!(pipeline.swept_keep(), Some(Keep::None));
    let wrong = text.replace("maximize", "maximise");
    expect![[r#"
        error[unknown-key]: `sweep` has no key `maximise`
          in: pipeline.toml, line 25, column 1
          to mend: did you mean `maximize`?
    "#]]
    .assert_eq(&told(&parse(&with_header(&wrong), "pipeline.toml").expect_err("refused")));
}

#[test]
fn nodes_of_two_families_that_do_the_same_at_some_points_are_one() {
    let two = r#"
[parameters]
fast = { type = "integer", default = 20, minimum = 2 }
slow = { type = "integer", default = 60, minimum = 2 }
[sources.prices]
path = "prices.parquet"
[nodes.returns]
task = "returns"
inputs = { prices = "prices" }
[nodes.fast]
task = "leg"
inputs = { returns = "returns" }
parameters = { window = "{{ fast }}" }
[nodes.slow]
task = "leg"
inputs = { returns = "returns" }
parameters = { window = "{{ slow }}" }
"#;
    let two = two.replace("[nodes.fast]", "[nodes.quick]").replace("[nodes.slow]", "[nodes.lazy]");
    // The very first point has the twins, too.
    let sweep =
        sweep_of(&two, &grid(&[("fast", "20,60"), ("slow", "20,60,120")]), &[]).expect("a sound sweep");
    let legs = sweep.plan.nodes.iter().filter(|it| it.name.contains("quick") || it.name.contains("lazy"));
    assert_eq!(legs.count(), 3, "windows of 20, 60 and 120: {:?}", sweep.plan.nodes);
    assert_eq!((sweep.nodes_total(), sweep.uses()), (24, vec![6, 6, 6, 6]));
}
