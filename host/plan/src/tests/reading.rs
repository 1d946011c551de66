//! Small readers: units, times, types, and JSON against TOML.

use serde_json::json;

use super::{plan_file, shown};
use crate::{Time, byte_size, data_type, data_type_name, duration_ms, duration_text, parse, size_text};

#[test]
fn durations_are_read_and_written_in_one_way() {
    for (text, ms, canonical) in [
        ("500ms", 500, "500ms"),
        ("10m", 600_000, "10m"),
        ("1h30m", 5_400_000, "1h30m"),
        ("90m", 5_400_000, "1h30m"),
        ("1w 2d", 777_600_000, "9d"),
        ("0s", 0, "0s"),
    ] {
        assert_eq!(duration_ms(text), Ok(ms), "{text}");
        assert_eq!(duration_text(ms), canonical);
    }
    for text in ["", "10", "m", "1x", "-1s", "1.5h", "99999999999999999999s", "999999999999999999w"] {
        assert!(duration_ms(text).is_err(), "{text}");
    }
}

#[test]
fn sizes_are_read_and_written() {
    for (text, bytes, shown) in [
        ("512MiB", 512 << 20, "512MiB"),
        ("1.5GiB", 3 << 29, "1.5GiB"),
        ("4 KB", 4000, "3.9KiB"),
        ("17B", 17, "17B"),
    ] {
        assert_eq!(byte_size(text), Ok(bytes), "{text}");
        assert_eq!(size_text(bytes), shown);
    }
    for text in ["", "512", "MiB", "1XB", "-1B", "99999999999TiB", "1.5e3B", "99999999999.5TiB"] {
        assert!(byte_size(text).is_err(), "{text}");
    }
}

#[test]
fn times_are_read_and_told_in_utc() {
    let told = |text: &str| Time::parse(text).map(|it| it.to_string());
    assert_eq!(told("2020-01-02").unwrap(), "2020-01-02T00:00:00Z");
    assert_eq!(told("2020-01-02T09:30:00.5+01:00").unwrap(), "2020-01-02T08:30:00.5Z");
    assert_eq!(told("2020-01-02 09:30:00").unwrap(), "2020-01-02T09:30:00Z");
    assert!(told("yesterday").is_err());
    assert!(told("1500-01-01").is_err());
    assert_eq!(Time(i64::MIN).to_string(), "1677-09-21T00:12:43.145224192Z");
}

#[test]
fn types_of_columns_have_one_text() {
    for text in ["float64", "utf8", "timestamp[us, UTC]", "timestamp[ns]", "decimal128(20, 4)", "date32"] {
        assert_eq!(data_type_name(&data_type(text).unwrap()), text);
    }
    for text in ["float", "timestamp[µs]", "timestamp[us,]", "decimal128(99, 1)", "decimal128(1)", ""] {
        assert_eq!(data_type(text), None, "{text}");
    }
}

#[test]
fn json_makes_the_plan_that_toml_makes() {
    let toml = "pipeline = { name = \"p\" }\n[nodes.b]\ntask = \"make\"\nparameters = { x = [1, 2.5, true, \"é\\n\"] }\n\
                [nodes.a]\ntask = \"make\"\n";
    let text = r#" {"pipeline": {"name": "p"},
        "nodes": {"b": {"task": "make", "parameters": {"x": [1 , 2.5, true, "\u00e9\n"]}}, "a": { "task" :"make" } } } "#;
    let (a, b) = (plan_file(toml, "p.toml", &[]).unwrap(), plan_file(text, "p.json", &[]).unwrap());
    assert_eq!(shown(&a), shown(&b));
    assert_eq!(a.nodes[0].update_id, b.nodes[0].update_id);
}

#[test]
fn a_component_is_found_by_name_by_table_or_by_path() {
    let text = "pipeline = { name = \"p\" }\ntasks = { b = \"elsewhere/b.wasm\" }\n[nodes.x]\ntask = \"b\"\n\
                [nodes.y]\ntask = \"a\"\n[nodes.z]\ntask = \"b\"\n[nodes.w]\ntask = \"./c.wasm\"\n";
    let pipeline = parse(text, "p.toml").unwrap();
    let paths: Vec<String> =
        pipeline.task_references().iter().map(|it| pipeline.component_path(it)).collect();
    assert_eq!(json!(paths), json!(["elsewhere/b.wasm", "components/a.wasm", "./c.wasm"]));
}
