//! `#[parameters]`: a struct becomes the parameters of a task, with JSON Schema, defaults and ranges.

use proc_macro2::TokenStream;
use quote::{format_ident, quote};
use syn::spanned::Spanned as _;
use syn::{
    Attribute, Error, Expr, ExprLit, ExprRange, Field, Fields, Item, ItemEnum, ItemStruct, Lit, Meta,
    RangeLimits, Result, Type,
};

pub(crate) fn expand(arguments: &TokenStream, item: TokenStream) -> Result<TokenStream> {
    if !arguments.is_empty() {
        return Err(Error::new(
            arguments.span(),
            "`#[parameters]` takes nothing; ranges and defaults stand on the fields",
        ));
    }
    match syn::parse2(item)? {
        Item::Struct(it) => expand_struct(it),
        Item::Enum(it) => expand_enum(&it),
        other => {
            Err(Error::new(other.span(), "`#[parameters]` stands on a struct, or on an enum of choices"))
        }
    }
}

/// Derives that the user has written are not written again.
fn derives(attributes: &[Attribute], wanted: &[(&str, TokenStream)]) -> TokenStream {
    let written: Vec<String> = attributes
        .iter()
        .filter(|it| it.path().is_ident("derive"))
        .filter_map(|it| it.meta.require_list().ok().map(|it| it.tokens.to_string()))
        .collect();
    let has =
        |name: &str| written.iter().any(|it| it.split(|it: char| !it.is_alphanumeric()).any(|it| it == name));
    let missing = wanted.iter().filter(|(name, _)| !has(name)).map(|(_, path)| path);
    quote! {
        #[derive(#(#missing),*)]
        #[serde(crate = "::tidemill_task::__private::serde")]
        #[schemars(crate = "::tidemill_task::__private::schemars")]
    }
}

fn expand_enum(item: &ItemEnum) -> Result<TokenStream> {
    if let Some(it) = item.variants.iter().find(|it| !matches!(it.fields, Fields::Unit)) {
        return Err(Error::new(it.span(), "a choice has no fields"));
    }
    let derives = derives(
        &item.attrs,
        &[
            ("Clone", quote!(Clone)),
            ("Copy", quote!(Copy)),
            ("Debug", quote!(Debug)),
            ("PartialEq", quote!(PartialEq)),
            ("Eq", quote!(Eq)),
            ("Deserialize", quote!(::tidemill_task::__private::serde::Deserialize)),
            ("Serialize", quote!(::tidemill_task::__private::serde::Serialize)),
            ("JsonSchema", quote!(::tidemill_task::__private::schemars::JsonSchema)),
        ],
    );
    Ok(quote! {
        #derives
        #[serde(rename_all = "snake_case")]
        #item
    })
}

fn expand_struct(mut item: ItemStruct) -> Result<TokenStream> {
    let Fields::Named(fields) = &mut item.fields else {
        return Err(Error::new(item.ident.span(), "parameters are a struct with a named field for each"));
    };
    if !item.generics.params.is_empty() {
        return Err(Error::new(item.generics.span(), "parameters have no generic parameters"));
    }
    let (mut defaults, mut checks) = (Vec::new(), Vec::new());
    for field in &mut fields.named {
        let found = take_field(field)?;
        defaults.extend(default_of(&item.ident, field, found.default.as_ref()));
        for bound in &found.bounds {
            checks.push(bound.apply(field)?);
        }
    }
    let name = &item.ident;
    let derives = derives(
        &item.attrs,
        &[
            ("Clone", quote!(Clone)),
            ("Debug", quote!(Debug)),
            ("Deserialize", quote!(::tidemill_task::__private::serde::Deserialize)),
            ("Serialize", quote!(::tidemill_task::__private::serde::Serialize)),
            ("JsonSchema", quote!(::tidemill_task::__private::schemars::JsonSchema)),
        ],
    );
    Ok(quote! {
        #derives
        #[serde(deny_unknown_fields)]
        #item

        impl #name {
            #(#defaults)*
        }

        impl ::tidemill_task::Parameters for #name {
            fn json_schema() -> ::tidemill_task::__private::Json {
                ::tidemill_task::__private::json_schema::<Self>()
            }
            fn check(&self) -> ::tidemill_task::Result<()> {
                #(#checks)*
                ::std::result::Result::Ok(())
            }
        }

        impl ::tidemill_task::__private::Argument for #name {
            const IS_PARAMETERS: bool = true;
            fn describe(_: &::tidemill_task::__private::PortSpec, description: &mut ::tidemill_task::Description) {
                ::tidemill_task::__private::describe_parameters::<Self>(description);
            }
            fn take(_: &'static ::tidemill_task::__private::PortSpec) -> ::tidemill_task::Result<Self> {
                ::tidemill_task::__private::take_parameters()
            }
        }
    })
}

struct Found {
    default: Option<Expr>,
    bounds: Vec<Bound>,
}

/// Takes the attributes that only this macro knows off the field.
fn take_field(field: &mut Field) -> Result<Found> {
    let mut found = Found { default: None, bounds: Vec::new() };
    for attribute in std::mem::take(&mut field.attrs) {
        let path = attribute.path();
        if path.is_ident("default") {
            let Meta::NameValue(pair) = &attribute.meta else {
                return Err(Error::new(attribute.span(), "write `#[default = 1]`"));
            };
            found.default = Some(pair.value.clone());
        } else if path.is_ident("range") {
            let range = attribute.parse_args::<ExprRange>().map_err(|it| {
                Error::new(
                    it.span(),
                    "write a range: `#[range(1..=250)]`, `#[range(0.0..1.0)]`, `#[range(1..)]`",
                )
            })?;
            found.bounds.push(Bound::Range(range));
        } else if path.is_ident("above") {
            found.bounds.push(Bound::Above(attribute.parse_args()?));
        } else if path.is_ident("below") {
            found.bounds.push(Bound::Below(attribute.parse_args()?));
        } else if path.is_ident("rename") {
            let name = &attribute.meta.require_name_value()?.value;
            field.attrs.push(syn::parse_quote!(#[serde(rename = #name)]));
        } else {
            field.attrs.push(attribute);
        }
    }
    Ok(found)
}

/// The function that serde and the schema take the default from.
fn default_of(name: &syn::Ident, field: &mut Field, default: Option<&Expr>) -> Option<TokenStream> {
    let default = default?;
    let ident = field.ident.as_ref()?;
    let function =
        format_ident!("__default_{}", ident.to_string().trim_start_matches("r#"), span = default.span());
    let path = format!("{name}::{function}");
    field.attrs.push(syn::parse_quote!(#[serde(default = #path)]));
    let kind = &field.ty;
    let value = match default {
        // A literal is no `String`.
        Expr::Lit(ExprLit { lit: Lit::Str(_), .. }) => quote!(::std::convert::From::from(#default)),
        other => quote!(#other),
    };
    Some(quote! {
        fn #function() -> #kind { #value }
    })
}

enum Bound {
    Range(ExprRange),
    Above(Expr),
    Below(Expr),
}

impl Bound {
    /// Says the bound in the schema, and gives the check of the value.
    fn apply(&self, field: &mut Field) -> Result<TokenStream> {
        let ident = field.ident.clone().expect("fields with names were chosen");
        let name = ident.to_string().trim_start_matches("r#").to_owned();
        let (keys, holds, text) = match self {
            Self::Above(it) => {
                (vec![("exclusiveMinimum", it)], quote!(*value > #it), format!("above {}", text_of(it)))
            }
            Self::Below(it) => {
                (vec![("exclusiveMaximum", it)], quote!(*value < #it), format!("below {}", text_of(it)))
            }
            Self::Range(range) => {
                let mut keys: Vec<_> = range.start.iter().map(|it| ("minimum", it.as_ref())).collect();
                let maximum = match range.limits {
                    RangeLimits::Closed(_) => "maximum",
                    RangeLimits::HalfOpen(_) => "exclusiveMaximum",
                };
                keys.extend(range.end.iter().map(|it| (maximum, it.as_ref())));
                if keys.is_empty() {
                    return Err(Error::new(range.span(), "this range allows everything"));
                }
                (keys, quote!((#range).contains(value)), format!("within {}", text_of(range)))
            }
        };
        for (key, bound) in keys {
            field.attrs.push(syn::parse_quote!(#[schemars(extend(#key = #bound))]));
        }
        let message = format!("`{name}` is {{}}, must be {text}");
        let check = quote! {
            if !(#holds) {
                return ::std::result::Result::Err(::tidemill_task::Error::permanent(::std::format!(#message, value)));
            }
        };
        Ok(if is_option(&field.ty) {
            quote!(if let ::std::option::Option::Some(value) = &self.#ident { #check })
        } else {
            quote!({ let value = &self.#ident; #check })
        })
    }
}

fn text_of(tokens: &impl quote::ToTokens) -> String {
    tokens.to_token_stream().to_string().replace(' ', "")
}

fn is_option(kind: &Type) -> bool {
    matches!(kind, Type::Path(it) if it.path.segments.last().is_some_and(|it| it.ident == "Option"))
}
