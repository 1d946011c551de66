//! The macros of `tidemill-task`, which re-exports and documents them; nothing else depends on this crate.
#![expect(
    clippy::wildcard_enum_match_arm,
    reason = "syn's enums have dozens of variants; a macro knows a few"
)]

mod columns;
mod docs;
mod parameters;
mod port;
mod task;

use proc_macro::TokenStream;

/// See `tidemill_task::task`.
#[proc_macro_attribute]
pub fn task(arguments: TokenStream, item: TokenStream) -> TokenStream {
    let kept = proc_macro2::TokenStream::from(item.clone());
    expand(task::expand(arguments.into(), item.into()), kept)
}

/// See `tidemill_task::parameters`.
#[proc_macro_attribute]
pub fn parameters(arguments: TokenStream, item: TokenStream) -> TokenStream {
    expand(parameters::expand(&arguments.into(), item.into()), proc_macro2::TokenStream::new())
}

/// See `tidemill_task::Columns`.
#[proc_macro_derive(Columns, attributes(time, identifier, nullable, rename, timezone, data_type))]
pub fn columns(item: TokenStream) -> TokenStream {
    expand(columns::expand(item.into()), proc_macro2::TokenStream::new())
}

/// On an error the item stays as far as it can, so that one mistake gives one message.
fn expand(expanded: syn::Result<proc_macro2::TokenStream>, kept: proc_macro2::TokenStream) -> TokenStream {
    match expanded {
        Ok(tokens) => tokens.into(),
        Err(error) => {
            let mut tokens =
                if has_argument_attributes(&kept) { proc_macro2::TokenStream::new() } else { kept };
            tokens.extend(error.to_compile_error());
            tokens.into()
        }
    }
}

/// Attributes on arguments are no Rust without the macro.
fn has_argument_attributes(item: &proc_macro2::TokenStream) -> bool {
    syn::parse2::<syn::ItemFn>(item.clone()).is_ok_and(|it| {
        it.sig.inputs.iter().any(|it| match it {
            syn::FnArg::Typed(it) => !it.attrs.is_empty(),
            syn::FnArg::Receiver(_) => true,
        })
    })
}
