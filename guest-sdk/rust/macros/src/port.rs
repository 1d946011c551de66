//! Ports as the macros see them: a name, a summary, how the table is indexed.

use proc_macro2::{Span, TokenStream};
use quote::quote;
use syn::meta::ParseNestedMeta;
use syn::{Error, LitStr, Result, parenthesized, punctuated::Punctuated, token};

/// Long enough for any name; a bound, because names become file and table names.
const NAME_BYTES_MAX: usize = 64;

pub(crate) struct Port {
    pub(crate) name: String,
    pub(crate) span: Span,
    pub(crate) summary: String,
    time: Option<LitStr>,
    identifiers: Vec<LitStr>,
}

impl Port {
    pub(crate) fn new(name: String, span: Span) -> Result<Self> {
        check_name("port", &name, span)?;
        Ok(Self { name, span, summary: String::new(), time: None, identifiers: Vec::new() })
    }

    /// `time = "…"`, `identifiers("…", …)`; false for another key.
    pub(crate) fn parse_index(&mut self, meta: &ParseNestedMeta<'_>) -> Result<Known> {
        if meta.path.is_ident("time") {
            self.time = Some(meta.value()?.parse()?);
        } else if meta.path.is_ident("identifiers") {
            let inside;
            parenthesized!(inside in meta.input);
            let names = Punctuated::<LitStr, token::Comma>::parse_terminated(&inside)?;
            self.identifiers = names.into_iter().collect();
        } else {
            return Ok(Known::No);
        }
        Ok(Known::Yes)
    }

    pub(crate) fn tokens(&self) -> TokenStream {
        let Self { name, summary, identifiers, .. } = self;
        let time = self.time.as_ref().map_or(quote!(None), |it| quote!(Some(#it)));
        quote! {
            ::tidemill_task::__private::PortSpec {
                name: #name,
                summary: #summary,
                index: ::tidemill_task::__private::Index { time: #time, identifiers: &[#(#identifiers),*] },
            }
        }
    }
}

#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Known {
    Yes,
    No,
}

/// # Errors
/// The name is none in the contract.
pub(crate) fn check_name(what: &str, name: &str, span: Span) -> Result<()> {
    let plain = name.bytes().all(|it| it.is_ascii_lowercase() || it.is_ascii_digit() || it == b'_');
    if plain && name.starts_with(|it: char| it.is_ascii_lowercase()) && name.len() <= NAME_BYTES_MAX {
        return Ok(());
    }
    Err(Error::new(
        span,
        format!(
            "`{name}` cannot name a {what}: use lower-case letters, digits and underscores, starting with a letter \
             (at most {NAME_BYTES_MAX})"
        ),
    ))
}
