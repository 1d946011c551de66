//! `#[derive(Columns)]`: a struct of Arrow arrays becomes a table.

use proc_macro2::TokenStream;
use quote::{quote, quote_spanned};
use syn::spanned::Spanned as _;
use syn::{Attribute, Data, DeriveInput, Error, Expr, Field, Fields, Ident, LitStr, Meta, Result, Type};

use crate::docs;

struct Column<'a> {
    ident: &'a Ident,
    kind: &'a Type,
    name: String,
    nullable: bool,
    /// An expression of type `DataType`.
    data_type: TokenStream,
}

pub(crate) fn expand(item: TokenStream) -> Result<TokenStream> {
    let input: DeriveInput = syn::parse2(item)?;
    let named = match &input.data {
        Data::Struct(it) => match &it.fields {
            Fields::Named(it) => &it.named,
            Fields::Unnamed(_) | Fields::Unit => return Err(no_table(&input.ident)),
        },
        Data::Enum(_) | Data::Union(_) => return Err(no_table(&input.ident)),
    };
    if named.is_empty() {
        return Err(no_table(&input.ident));
    }
    if !input.generics.params.is_empty() {
        return Err(Error::new(
            input.generics.span(),
            "a table has no generic parameters: its columns have types of their own",
        ));
    }
    let columns = named.iter().map(column).collect::<Result<Vec<_>>>()?;
    for (place, it) in columns.iter().enumerate() {
        if columns[..place].iter().any(|other| other.name == it.name) {
            return Err(Error::new(it.ident.span(), format!("there are two columns `{}`", it.name)));
        }
    }
    let index = index(named, &columns)?;
    Ok(tokens(&input, &columns, &index))
}

fn no_table(ident: &Ident) -> Error {
    Error::new(ident.span(), "`Columns` is derived for a struct with a named field for each column")
}

/// An attribute without arguments.
fn flag<'a>(field: &'a Field, name: &str) -> Result<Option<&'a Attribute>> {
    let attribute = field.attrs.iter().find(|it| it.path().is_ident(name));
    if let Some(it) = attribute {
        it.meta.require_path_only()?;
    }
    Ok(attribute)
}

fn column(field: &Field) -> Result<Column<'_>> {
    let ident = field.ident.as_ref().expect("fields with names were chosen");
    let rename = field.attrs.iter().find(|it| it.path().is_ident("rename"));
    let name = match rename {
        None => ident.to_string().trim_start_matches("r#").to_owned(),
        Some(it) => match &it.meta.require_name_value()?.value {
            Expr::Lit(syn::ExprLit { lit: syn::Lit::Str(name), .. }) => name.value(),
            other => return Err(Error::new(other.span(), "write `#[rename = \"column\"]`")),
        },
    };
    let kind = &field.ty;
    let typed = field.attrs.iter().find(|it| it.path().is_ident("data_type"));
    let zone = field.attrs.iter().find(|it| it.path().is_ident("timezone"));
    let data_type = match (typed, zone) {
        (Some(_), Some(zone)) => {
            return Err(Error::new(zone.span(), "`#[data_type(…)]` says the time zone already"));
        }
        (Some(it), None) => {
            let data_type: Expr = it.parse_args()?;
            quote!({ use ::tidemill_task::__private::DataType; #data_type })
        }
        (None, Some(it)) => {
            let zone = timezone(it)?;
            quote_spanned!(kind.span()=> ::tidemill_task::__private::zoned(<#kind as ::tidemill_task::__private::Typed>::data_type_of(), #zone))
        }
        (None, None) => {
            quote_spanned!(kind.span()=> <#kind as ::tidemill_task::__private::Typed>::data_type_of())
        }
    };
    Ok(Column { ident, kind, name, nullable: flag(field, "nullable")?.is_some(), data_type })
}

/// `#[timezone = "Europe/Berlin"]` or `#[timezone(none)]`.
fn timezone(attribute: &Attribute) -> Result<TokenStream> {
    match &attribute.meta {
        Meta::NameValue(pair) => {
            let zone = &pair.value;
            Ok(quote!(Some(#zone)))
        }
        Meta::List(list) if list.tokens.to_string() == "none" => Ok(quote!(None)),
        other => {
            Err(Error::new(other.span(), "write `#[timezone = \"Europe/Berlin\"]` or `#[timezone(none)]`"))
        }
    }
}

fn index(
    fields: &syn::punctuated::Punctuated<Field, syn::token::Comma>,
    columns: &[Column<'_>],
) -> Result<TokenStream> {
    let mut time: Option<LitStr> = None;
    let mut identifiers = Vec::new();
    for (field, column) in fields.iter().zip(columns) {
        let (is_time, is_identifier) = (flag(field, "time")?, flag(field, "identifier")?);
        if let (Some(it), Some(_)) = (is_identifier, is_time) {
            return Err(Error::new(it.span(), "the time index is no identifier: it tells rows apart anyway"));
        }
        if let (true, Some(it)) = (column.nullable, is_time.or(is_identifier)) {
            return Err(Error::new(it.span(), "a column of the index holds no nulls: drop `#[nullable]`"));
        }
        if let Some(it) = is_time {
            if time.is_some() {
                return Err(Error::new(it.span(), "a table has one `#[time]` column"));
            }
            check_timestamp(column)?;
            time = Some(LitStr::new(&column.name, column.ident.span()));
        }
        if is_identifier.is_some() {
            identifiers.push(&column.name);
        }
    }
    let time = time.map_or(quote!(None), |it| quote!(Some(#it)));
    Ok(quote!(::tidemill_task::__private::Index { time: #time, identifiers: &[#(#identifiers),*] }))
}

/// Sees through no alias: those the host judges.
fn check_timestamp(column: &Column<'_>) -> Result<()> {
    if let Type::Path(path) = column.kind
        && let Some(last) = path.path.segments.last()
        && last.ident.to_string().ends_with("Array")
        && !last.ident.to_string().starts_with("Timestamp")
        && last.ident != "PrimitiveArray"
    {
        return Err(Error::new(
            column.kind.span(),
            "the time index is a timestamp: `TimestampMicrosecondArray`, or another unit",
        ));
    }
    Ok(())
}

fn tokens(input: &DeriveInput, columns: &[Column<'_>], index: &TokenStream) -> TokenStream {
    let table = &input.ident;
    let summary = docs::summary(&input.attrs);
    let idents: Vec<_> = columns.iter().map(|it| it.ident).collect();
    let kinds = columns.iter().map(|it| it.kind);
    let first = idents[0];
    let fields = columns.iter().map(|it| {
        let Column { name, nullable, data_type, .. } = it;
        quote!(::tidemill_task::__private::Field::new(#name, #data_type, #nullable))
    });
    let places: Vec<_> = (0..columns.len()).collect();
    quote! {
        impl ::tidemill_task::Columns for #table {
            fn schema() -> ::std::option::Option<::tidemill_task::__private::SchemaRef> {
                static SCHEMA: ::std::sync::LazyLock<::tidemill_task::__private::SchemaRef> = ::std::sync::LazyLock::new(|| {
                    ::std::sync::Arc::new(::tidemill_task::__private::Schema::new(::std::vec![#(#fields),*]))
                });
                ::std::option::Option::Some(::std::sync::Arc::clone(&SCHEMA))
            }
            fn index() -> ::tidemill_task::__private::Index {
                #index
            }
            fn summary() -> &'static str {
                #summary
            }
            fn rows(&self) -> usize {
                ::tidemill_task::__private::Array::len(&self.#first)
            }
            fn from_batch(batch: &::tidemill_task::__private::RecordBatch) -> ::tidemill_task::Result<Self> {
                let schema = <Self as ::tidemill_task::Columns>::schema().expect("a struct has columns");
                ::std::result::Result::Ok(Self {
                    #(#idents: ::tidemill_task::__private::take_column::<#kinds>(batch, schema.field(#places))?,)*
                })
            }
            fn into_batch(self) -> ::tidemill_task::Result<::tidemill_task::__private::RecordBatch> {
                let schema = <Self as ::tidemill_task::Columns>::schema().expect("a struct has columns");
                let columns = ::std::vec![
                    #(::tidemill_task::__private::give_column(self.#idents, schema.field(#places))?),*
                ];
                ::tidemill_task::__private::batch_of(schema, columns)
            }
        }

        impl ::tidemill_task::__private::Argument for #table {
            fn describe(port: &::tidemill_task::__private::PortSpec, description: &mut ::tidemill_task::Description) {
                ::tidemill_task::__private::describe_input::<Self>(port, ::tidemill_task::Arity::One, description);
            }
            fn take(port: &'static ::tidemill_task::__private::PortSpec) -> ::tidemill_task::Result<Self> {
                ::tidemill_task::__private::take_table(port)
            }
        }
    }
}
