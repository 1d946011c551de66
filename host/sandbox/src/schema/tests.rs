//! Schemas go to the guest's form and back unchanged; a guest's nonsense is refused with its column.

use super::*;

fn round_trip(fields: Vec<Field>) {
    let schema = Schema::new(fields).with_metadata([("made".to_owned(), "here".to_owned())].into());
    let record = to_record(&schema).expect("every type crosses");
    assert_eq!(from_record(&record).expect("what we wrote is valid").as_ref(), &schema);
}

fn item(data_type: DataType) -> Arc<Field> {
    Arc::new(Field::new("item", data_type, true))
}

#[test]
fn nested_schemas_come_back_unchanged() {
    let entries = DataType::Struct(
        vec![Field::new("key", DataType::Utf8, false), Field::new("value", DataType::Int32, true)].into(),
    );
    let entries = Arc::new(Field::new("entries", entries, false));
    let words = DataType::Dictionary(Box::new(DataType::Int16), Box::new(DataType::Utf8));
    round_trip(vec![
        Field::new("plain", DataType::Float64, false).with_metadata([("unit".into(), "usd".into())].into()),
        Field::new("list", DataType::List(item(DataType::LargeList(item(DataType::Date32)))), true),
        Field::new("fixed", DataType::FixedSizeList(item(DataType::UInt8), 3), true),
        Field::new("map", DataType::Map(Arc::clone(&entries), false), true),
        Field::new("sorted", DataType::Map(entries, true), true),
        Field::new("words", words.clone(), true).with_dict_is_ordered(true),
        Field::new("struct", DataType::Struct(vec![Field::new("words", words, true)].into()), true),
        Field::new("nothing", DataType::Struct(Fields::empty()), true),
    ]);
}

fn record(name: &str, format: &str, children: u32) -> FieldRecord {
    FieldRecord {
        name: name.into(),
        format: format.into(),
        nullable: true,
        metadata: vec![],
        children,
        dictionary: false,
        flags: 0,
    }
}

#[test]
fn a_broken_schema_is_refused_with_its_column() {
    let deep = std::iter::repeat_with(|| record("deep", "+l", 1)).take(100).collect();
    let dictionary = FieldRecord { dictionary: true, ..record("d", "g", 0) };
    for (fields, expected) in [
        (vec![record("", "g", 0)], "column 0 has no name"),
        (vec![record("a", "g", 0), record("a", "g", 0)], "column `a` is there twice"),
        (vec![record("a", "?", 0)], "column `a`: the format `?` is not one that crosses"),
        (vec![record("a", "g", 2)], "column `a`: the format `g` has 0 children, not 2"),
        (vec![record("a", "+l", 1)], "column `a`: a child is missing"),
        (vec![record("a", "+s", u32::MAX)], "column `a`: a child is missing"),
        (
            vec![record("a", "+m", 1), record("e", "g", 0)],
            "column `a`: the entries of a map are a struct of key and value",
        ),
        (vec![dictionary], "column `d`: a dictionary's keys cannot be Float64"),
        (deep, "column `deep`: it is nested deeper than 32"),
    ] {
        assert_eq!(from_record(&SchemaRecord { fields, metadata: vec![] }), Err(expected.to_owned()));
    }
}

#[test]
fn a_type_that_does_not_cross_is_named() {
    let schema = Schema::new(vec![Field::new("v", DataType::ListView(item(DataType::Int8)), true)]);
    let refused = to_record(&schema).expect_err("list views do not cross");
    assert!(refused.starts_with("column `v` has the type "), "{refused}");
}
