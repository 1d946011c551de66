//! Fields as they cross to the host: format strings of the C data interface, children after their parent.

use std::sync::Arc;

use arrow_schema::ffi::{FFI_ArrowSchema, Flags};
use arrow_schema::{Field, Schema, SchemaRef};

use crate::{Result, bail, ensure};

/// One field of a schema.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct FlatField {
    pub(crate) name: String,
    pub(crate) format: String,
    pub(crate) nullable: bool,
    pub(crate) metadata: Vec<(String, String)>,
    pub(crate) children: u32,
    pub(crate) dictionary: bool,
    /// Of the C data interface; never its bit 2, which `nullable` says.
    pub(crate) flags: u32,
}

/// # Errors
/// A type that the C data interface does not know.
pub(crate) fn fields_of(schema: &Schema) -> Result<Vec<FlatField>> {
    let mut out = Vec::new();
    for field in schema.fields() {
        push(&FFI_ArrowSchema::try_from(field.as_ref())?, &mut out)?;
    }
    Ok(out)
}

fn push(ffi: &FFI_ArrowSchema, out: &mut Vec<FlatField>) -> Result<()> {
    let flags = ffi.flags().unwrap_or(Flags::empty());
    let mut metadata: Vec<_> = ffi.metadata()?.into_iter().collect();
    // A hash map has no order, and what a task says of itself must not change from call to call.
    metadata.sort();
    out.push(FlatField {
        name: ffi.name().unwrap_or_default().to_owned(),
        format: ffi.format().to_owned(),
        nullable: flags.contains(Flags::NULLABLE),
        metadata,
        children: u32::try_from(ffi.children().count())?,
        dictionary: ffi.dictionary().is_some(),
        flags: u32::try_from((flags - Flags::NULLABLE).bits())?,
    });
    ffi.children().try_for_each(|it| push(it, out))?;
    ffi.dictionary().map_or(Ok(()), |it| push(it, out))
}

/// # Errors
/// Formats that are none, or another number of fields than they say.
pub(crate) fn schema_of(fields: &[FlatField], metadata: Vec<(String, String)>) -> Result<SchemaRef> {
    let mut rest = fields.iter();
    let mut columns = Vec::new();
    while rest.len() > 0 {
        columns.push(Field::try_from(&pull(&mut rest)?)?);
    }
    Ok(Arc::new(Schema::new_with_metadata(columns, metadata.into_iter().collect())))
}

fn pull(rest: &mut std::slice::Iter<'_, FlatField>) -> Result<FFI_ArrowSchema> {
    let Some(field) = rest.next() else { bail!("the host sent fewer fields than its schema has") };
    // A field has at least its own place in what is left: a count that lies allocates nothing.
    ensure!(field.children as usize <= rest.len(), "field `{}` has too many children", field.name);
    let children = (0..field.children).map(|_| pull(rest)).collect::<Result<Vec<_>>>()?;
    let dictionary = if field.dictionary { Some(pull(rest)?) } else { None };
    let mut flags = Flags::from_bits_truncate(i64::from(field.flags));
    flags.set(Flags::NULLABLE, field.nullable);
    Ok(FFI_ArrowSchema::try_new(&field.format, children, dictionary)?
        .with_name(&field.name)?
        .with_flags(flags)?
        .with_metadata(field.metadata.iter().map(|(key, value)| (key, value)))?)
}
