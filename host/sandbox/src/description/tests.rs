//! Descriptions that the planner could not work with are refused with the part that is wrong.

use super::*;
use crate::wire::{FieldRecord, HintsRecord, SchemaRecord};

fn field(name: &str, format: &str) -> FieldRecord {
    FieldRecord {
        name: name.into(),
        format: format.into(),
        nullable: true,
        metadata: vec![],
        children: 0,
        dictionary: false,
        flags: 0,
    }
}

fn good() -> DescriptionRecord {
    let fields = vec![field("day", "tsn:UTC"), field("asset", "u"), field("value", "g")];
    let columns = SchemaRecord { fields, metadata: vec![] };
    DescriptionRecord {
        name: "returns_2".into(),
        summary: "daily returns".into(),
        parameters: r#"{"type": "object", "properties": {"days": {"type": "integer"}}}"#.into(),
        inputs: vec![InputPortRecord {
            name: "prices".into(),
            summary: String::new(),
            arity: ArityEnum::Many,
            columns: SchemaRecord::default(),
        }],
        outputs: vec![OutputPortRecord {
            name: "returns".into(),
            summary: String::new(),
            columns: Some(columns),
            time_index: Some("day".into()),
            identifiers: vec!["asset".into()],
        }],
        hints: HintsRecord { memory_bytes: Some(1) },
    }
}

#[track_caller]
fn refused(change: impl FnOnce(&mut DescriptionRecord), expected: &str) {
    let mut record = good();
    change(&mut record);
    let what = checked(&record).expect_err("the description is wrong");
    assert!(what.contains(expected), "`{what}` does not say `{expected}`");
}

#[test]
fn a_good_description_is_taken_as_it_is() {
    let description = checked(&good()).expect("nothing is wrong");
    assert_eq!(description.inputs[0].arity, Arity::Many);
    assert_eq!(description.outputs[0].time_index.as_deref(), Some("day"));
    assert_eq!(description.hints.memory_bytes, Some(1));
}

#[test]
fn bad_names_are_refused() {
    for name in ["", "Upper", "2nd", "a-b", "a/b", "ä", "a\n", &"a".repeat(65)] {
        refused(|it| it.name = name.into(), "its name `");
        refused(|it| it.inputs[0].name = name.into(), "the name of an input port `");
        refused(|it| it.outputs[0].name = name.into(), "the name of an output port `");
    }
}

#[test]
fn ports_are_unique() {
    refused(|it| it.inputs.push(it.inputs[0].clone()), "it has two input ports `prices`");
    refused(|it| it.outputs.push(it.outputs[0].clone()), "it has two output ports `returns`");
    refused(|it| it.inputs = vec![it.inputs[0].clone(); 257], "more than 256 ports");
}

#[test]
fn parameters_are_a_schema_of_an_object() {
    refused(|it| it.parameters = "{".into(), "its parameters are not a JSON Schema: ");
    refused(|it| it.parameters = "[]".into(), "not a JSON Schema of an object");
    refused(|it| it.parameters = r#"{"type": "string"}"#.into(), "something other than an object");
    refused(|it| it.parameters = r#"{"properties": []}"#.into(), "`properties`");
    refused(|it| it.parameters = r#"{"properties": {"a": 1}}"#.into(), "its parameter `a`");
}

#[test]
fn an_index_is_made_of_columns() {
    refused(|it| it.outputs[0].time_index = Some("when".into()), "time index `when` is not among");
    refused(|it| it.outputs[0].time_index = Some("value".into()), "neither a timestamp nor a date");
    refused(|it| it.outputs[0].identifiers = vec!["who".into()], "identifier `who` is not among");
    refused(|it| it.outputs[0].identifiers = vec!["day".into()], "`day` is named twice");
    refused(|it| it.outputs[0].columns = Some(SchemaRecord::default()), "it declares no columns");
}

#[test]
fn columns_of_a_port_are_checked_with_its_name() {
    let twice = SchemaRecord { fields: vec![field("a", "g"), field("a", "g")], metadata: vec![] };
    let theirs = twice.clone();
    refused(|it| it.inputs[0].columns = twice, "input port `prices`: column `a` is there twice");
    refused(|it| it.outputs[0].columns = Some(theirs), "output port `returns`: column `a` is there twice");
}
