//! The columns that a source's table has: declared, named or inferred.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::datatypes::{DataType, Field, Schema, SchemaRef, TimeUnit};
use tidemill_plan::{SourceFormat, SourceSpec};

use super::check::Checker;
use super::convert::is_text;
use super::input::{Input, raw_schema};
use super::{SourceError, SourceFile, infer};
use crate::index::{Index, is_identifier_type};
use crate::time::TimeKind;
use crate::value::type_text;

const TIME_NAMES: [&str; 5] = ["time_index", "timestamp", "time", "date", "datetime"];
const IDENTIFIER_NAMES: [&str; 5] = ["unique_identifier", "identifier", "symbol", "ticker", "id"];

/// A column of the table.
#[derive(Clone, Debug)]
pub(crate) struct Column {
    pub(crate) name: String,
    pub(crate) data_type: DataType,
    pub(crate) nullable: bool,
    pub(crate) finite: bool,
}

#[derive(Clone, Debug)]
pub(crate) struct Layout {
    pub(crate) format: SourceFormat,
    /// In the order of the first file.
    pub(crate) columns: Vec<Column>,
    pub(crate) schema: SchemaRef,
    pub(crate) index: Option<Index>,
    pub(crate) identifiers: Vec<String>,
    /// When each row became known, where the source says so.
    pub(crate) knowledge: Option<(usize, TimeKind)>,
    /// What each file holds, before any cast.
    raw: Vec<SchemaRef>,
}

impl Layout {
    /// Of files of one format.
    pub(crate) fn of_files(
        spec: &SourceSpec,
        format: SourceFormat,
        files: &[SourceFile],
    ) -> Result<Self, SourceError> {
        let raw = files.iter().map(|it| raw_schema(it, format)).collect::<Result<Vec<_>, _>>()?;
        Self::resolve(spec, format, files, raw)
    }

    /// Of what has its types already, as `format` says of files.
    pub(crate) fn resolve(
        spec: &SourceSpec,
        format: SourceFormat,
        files: &[SourceFile],
        raw: Vec<SchemaRef>,
    ) -> Result<Self, SourceError> {
        for (file, schema) in files.iter().zip(&raw) {
            check_names(spec, file, schema)?;
        }
        if spec.columns.is_empty() {
            check_same_names(files, &raw)?;
        }
        let named: Vec<&String> = index_names(spec).collect();
        let is_kept = |name: &String| {
            spec.columns.is_empty() || spec.columns.contains_key(name) || named.contains(&name)
        };
        let kept: Vec<&String> =
            raw[0].fields().iter().map(|it| it.name()).filter(|it| is_kept(it)).collect();
        let types = types_of(spec, format, files, &raw, &kept)?;
        let columns: Vec<Column> = kept
            .iter()
            .map(|name| {
                let declared = spec.columns.get(*name);
                let is_nullable = |it: &SchemaRef| it.field_with_name(name).is_ok_and(Field::is_nullable);
                Column {
                    name: (*name).clone(),
                    data_type: types[*name].clone(),
                    nullable: declared.map_or_else(|| raw.iter().any(is_nullable), |it| it.nullable),
                    finite: declared.is_some_and(|it| it.finite),
                }
            })
            .collect();
        let time = time_of(spec, files, &columns)?;
        let identifiers = identifiers_of(spec, files, &columns, time.as_deref())?;
        let fields: Vec<Field> =
            columns.iter().map(|it| Field::new(&it.name, it.data_type.clone(), it.nullable)).collect();
        let schema = Arc::new(Schema::new(fields));
        let index = Index::of(&schema, time.as_deref(), &identifiers);
        let knowledge =
            spec.knowledge_time.as_ref().map(|name| time_column(files, &columns, name)).transpose()?;
        Ok(Self { format, columns, schema, index, identifiers, knowledge, raw })
    }

    pub(crate) fn time_index(&self) -> Option<&str> {
        self.index.as_ref().map(|it| self.columns[it.time].name.as_str())
    }

    /// Opens the file at this position among the source's files.
    pub(crate) fn open(
        &self,
        position: usize,
        file: &SourceFile,
        checker: &Checker,
    ) -> Result<Input, SourceError> {
        let names: Vec<&str> = self.columns.iter().map(|it| it.name.as_str()).collect();
        let range = self.time_index().map(|name| (name, checker.start, checker.end));
        Input::open(file, self.format, &self.raw[position], &names, range)
    }
}

/// Columns that the source names besides those it declares.
fn index_names(spec: &SourceSpec) -> impl Iterator<Item = &String> {
    spec.time_index.iter().chain(&spec.knowledge_time).chain(spec.identifiers.iter().flatten())
}

fn check_names(spec: &SourceSpec, file: &SourceFile, schema: &Schema) -> Result<(), SourceError> {
    let names: Vec<&str> = schema.fields().iter().map(|it| it.name().as_str()).collect();
    for (position, name) in names.iter().enumerate() {
        if names[..position].contains(name) {
            return Err(SourceError::ColumnTwice { file: file.name.clone(), column: (*name).to_owned() });
        }
    }
    let wanted = spec.columns.keys().chain(index_names(spec));
    for column in wanted {
        if !names.contains(&column.as_str()) {
            let nearest = crate::error::nearest(column, names.iter().copied());
            return Err(SourceError::ColumnMissing {
                file: file.name.clone(),
                column: column.clone(),
                nearest,
            });
        }
    }
    Ok(())
}

fn check_same_names(files: &[SourceFile], raw: &[SchemaRef]) -> Result<(), SourceError> {
    let (first, first_schema) = (&files[0], &raw[0]);
    let differ = |file: &SourceFile, found: String, expected: String| {
        Err(SourceError::FilesDiffer { file: file.name.clone(), found, first: first.name.clone(), expected })
    };
    for (file, schema) in files.iter().zip(raw) {
        for field in first_schema.fields() {
            if schema.index_of(field.name()).is_err() {
                return differ(file, format!("there is no column `{}`", field.name()), "there is".into());
            }
        }
        for field in schema.fields() {
            if first_schema.index_of(field.name()).is_err() {
                return differ(file, format!("there is a column `{}`", field.name()), "there is none".into());
            }
        }
    }
    Ok(())
}

fn types_of(
    spec: &SourceSpec,
    format: SourceFormat,
    files: &[SourceFile],
    raw: &[SchemaRef],
    kept: &[&String],
) -> Result<BTreeMap<String, DataType>, SourceError> {
    let mut types = BTreeMap::new();
    let mut guesses = Vec::new();
    for name in kept {
        if let Some(declared) = spec.columns.get(*name) {
            let data_type =
                tidemill_plan::data_type(&declared.data_type).ok_or_else(|| SourceError::TypeUnknown {
                    file: files[0].name.clone(),
                    column: (*name).clone(),
                    data_type: declared.data_type.clone(),
                })?;
            types.insert((*name).clone(), data_type);
            continue;
        }
        let data_type = common_type(format, files, raw, name)?;
        let is_written_as_text = matches!(format, SourceFormat::Csv | SourceFormat::JsonLines);
        if is_written_as_text && is_text(&data_type) {
            if [&spec.time_index, &spec.knowledge_time].contains(&&Some((*name).clone())) {
                // So that the first value that is no time is named with its row.
                types.insert((*name).clone(), DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into())));
                continue;
            }
            let is_identifier = match &spec.identifiers {
                Some(identifiers) => identifiers.contains(name),
                None => IDENTIFIER_NAMES.contains(&name.as_str()),
            };
            guesses.push(infer::Guess::new(name, format, is_identifier));
        }
        types.insert((*name).clone(), data_type);
    }
    if !guesses.is_empty() {
        let names: Vec<String> = guesses.iter().map(|it| it.name().to_owned()).collect();
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        for (file, schema) in files.iter().zip(raw) {
            let mut input = Input::open(file, format, schema, &names, None)?;
            while let Some(raw) = input.next(&file.name)? {
                guesses.iter_mut().for_each(|it| it.take(&raw.batch));
            }
        }
        types.extend(guesses.into_iter().map(infer::Guess::finish));
    }
    Ok(types)
}

/// The type of an undeclared column, which must be the same in all files. Numbers of JSON lines may be whole in one
/// file and not in another.
fn common_type(
    format: SourceFormat,
    files: &[SourceFile],
    raw: &[SchemaRef],
    name: &str,
) -> Result<DataType, SourceError> {
    let type_in = |schema: &SchemaRef| schema.field_with_name(name).map(|it| it.data_type().clone());
    let mut common: Option<DataType> = None;
    for (file, schema) in files.iter().zip(raw) {
        let Ok(found) = type_in(schema) else {
            // Only an index column that was named: `check_names` has seen it in every file.
            continue;
        };
        common = match common {
            None => Some(found),
            Some(common) if common == found => Some(common),
            Some(common)
                if format == SourceFormat::JsonLines && common.is_numeric() && found.is_numeric() =>
            {
                Some(DataType::Float64)
            }
            Some(common) => {
                let text = |it: &DataType| format!("column `{name}` is of type {}", type_text(it));
                return Err(SourceError::FilesDiffer {
                    file: file.name.clone(),
                    found: text(&found),
                    first: files[0].name.clone(),
                    expected: format!("of type {}", type_text(&common)),
                });
            }
        };
    }
    Ok(common.unwrap_or(DataType::Utf8))
}

/// Where a column that was named as one of times stands.
fn time_column(
    files: &[SourceFile],
    columns: &[Column],
    name: &str,
) -> Result<(usize, TimeKind), SourceError> {
    let position = columns.iter().position(|it| it.name == name).expect("named columns are kept");
    let data_type = &columns[position].data_type;
    let kind = TimeKind::of(data_type).ok_or_else(|| SourceError::NotATime {
        file: files[0].name.clone(),
        column: name.to_owned(),
        data_type: type_text(data_type),
    })?;
    Ok((position, kind))
}

fn time_of(
    spec: &SourceSpec,
    files: &[SourceFile],
    columns: &[Column],
) -> Result<Option<String>, SourceError> {
    if let Some(name) = &spec.time_index {
        time_column(files, columns, name)?;
        return Ok(Some(name.clone()));
    }
    let times = columns.iter().filter(|it| TimeKind::of(&it.data_type).is_some()).map(|it| &it.name);
    let times: Vec<&String> = times.filter(|it| spec.knowledge_time.as_ref() != Some(*it)).collect();
    if let [only] = times[..] {
        return Ok(Some(only.clone()));
    }
    Ok(TIME_NAMES
        .iter()
        .find_map(|name| times.iter().find(|it| it.as_str() == *name))
        .map(|it| (*it).clone()))
}

fn identifiers_of(
    spec: &SourceSpec,
    files: &[SourceFile],
    columns: &[Column],
    time: Option<&str>,
) -> Result<Vec<String>, SourceError> {
    let Some(named) = &spec.identifiers else {
        let can_be = |name: &&&str| {
            columns.iter().any(|it| it.name == **name && is_identifier_type(&it.data_type))
                && time != Some(**name)
        };
        let found = time.and_then(|_| IDENTIFIER_NAMES.iter().find(can_be));
        return Ok(found.map(|it| (*it).to_owned()).into_iter().collect());
    };
    for name in named {
        let column = columns.iter().find(|it| it.name == *name).expect("named columns are kept");
        if !is_identifier_type(&column.data_type) {
            return Err(SourceError::NotAnIdentifier {
                file: files[0].name.clone(),
                column: name.clone(),
                data_type: type_text(&column.data_type),
            });
        }
    }
    Ok(named.clone())
}
