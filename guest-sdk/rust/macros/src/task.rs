//! `#[task]`: a function becomes a task, and in a component its export.

use proc_macro2::{Span, TokenStream};
use quote::{format_ident, quote, quote_spanned};
use syn::parse::Parser as _;
use syn::spanned::Spanned as _;
use syn::{
    Attribute, Error, FnArg, GenericArgument, ItemFn, LitStr, Pat, PatType, PathArguments, Result,
    ReturnType, Type, meta,
};

use crate::docs;
use crate::port::{Known, Port, check_name};

/// What stands in `#[task(…)]`.
#[derive(Default)]
struct Options {
    name: Option<LitStr>,
    memory_bytes: Option<u64>,
    outputs: Option<Vec<Port>>,
}

/// How the function wants an argument.
enum Passing {
    Value,
    Reference,
    MutableReference,
}

struct Argument {
    port: Port,
    passing: Passing,
    /// Without the reference.
    kind: Box<Type>,
}

pub(crate) fn expand(arguments: TokenStream, item: TokenStream) -> Result<TokenStream> {
    let options = parse_options(arguments)?;
    let mut function: ItemFn = syn::parse2(item).map_err(|it| {
        Error::new(
            it.span(),
            "`#[task]` stands on a function, `fn returns(prices: Prices) -> Result<Returns>`",
        )
    })?;
    check_signature(&function)?;
    let function_name = function.sig.ident.to_string();
    let function_name = function_name.trim_start_matches("r#");
    let (name, span) = options
        .name
        .as_ref()
        .map_or((function_name.to_owned(), function.sig.ident.span()), |it| (it.value(), it.span()));
    check_name("task", &name, span)?;
    let arguments = function.sig.inputs.iter_mut().map(argument).collect::<Result<Vec<_>>>()?;
    let (returned, fallible) = returned(&function.sig.output);
    let outputs = output_ports(options.outputs, &returned)?;
    check_unique(&arguments, &outputs)?;
    let summary = docs::summary(&function.attrs);
    let task = Expansion {
        name,
        summary,
        memory_bytes: options.memory_bytes,
        arguments,
        outputs,
        returned,
        fallible,
    };
    Ok(task.tokens(&function))
}

fn check_signature(function: &ItemFn) -> Result<()> {
    let signature = &function.sig;
    if let Some(it) = &signature.asyncness {
        return Err(Error::new(
            it.span(),
            "a task is no async function: it pulls its inputs when it wants them",
        ));
    }
    if !signature.generics.params.is_empty() {
        return Err(Error::new(
            signature.generics.span(),
            "a task has no generic parameters: its ports have types of their own",
        ));
    }
    Ok(())
}

fn parse_options(arguments: TokenStream) -> Result<Options> {
    let mut options = Options::default();
    let parser = meta::parser(|meta| {
        if meta.path.is_ident("name") {
            options.name = Some(meta.value()?.parse()?);
        } else if meta.path.is_ident("memory") {
            options.memory_bytes = Some(bytes_of(&meta.value()?.parse()?)?);
        } else if meta.path.is_ident("outputs") {
            let mut ports = Vec::new();
            meta.parse_nested_meta(|meta| {
                let ident = meta.path.require_ident()?;
                let mut port = Port::new(plain(ident), ident.span())?;
                if meta.input.peek(syn::token::Paren) {
                    meta.parse_nested_meta(|meta| match port.parse_index(&meta)? {
                        Known::Yes => Ok(()),
                        Known::No => Err(meta
                            .error("an output knows `time = \"column\"` and `identifiers(\"column\", …)`")),
                    })?;
                }
                ports.push(port);
                Ok(())
            })?;
            options.outputs = Some(ports);
        } else {
            return Err(meta.error("`#[task]` knows `name = \"…\"`, `outputs(…)` and `memory = \"512MiB\"`"));
        }
        Ok(())
    });
    parser.parse2(arguments)?;
    Ok(options)
}

/// The identifier without what Rust needs and a name does not: `r#` and leading underscores.
fn plain(ident: &syn::Ident) -> String {
    let name = ident.to_string();
    name.trim_start_matches("r#").trim_start_matches('_').to_owned()
}

fn bytes_of(text: &LitStr) -> Result<u64> {
    let value = text.value();
    let digits = value.trim_end_matches(|it: char| !it.is_ascii_digit());
    let scale = match value.trim_start_matches(digits).trim() {
        "KiB" => 1 << 10,
        "MiB" => 1 << 20,
        "GiB" => 1 << 30,
        "" | "B" => 1,
        _ => 0,
    };
    let bytes = digits.parse::<u64>().ok().and_then(|it| it.checked_mul(scale)).filter(|it| *it > 0);
    bytes.ok_or_else(|| Error::new(text.span(), "memory is a number and a unit: `512MiB`, `1GiB`"))
}

/// Takes off the argument what only the macro understands.
fn argument(it: &mut FnArg) -> Result<Argument> {
    let it = match it {
        FnArg::Typed(it) => it,
        FnArg::Receiver(it) => return Err(Error::new(it.span(), "a task is a function, no method")),
    };
    let Pat::Ident(pattern) = it.pat.as_ref() else {
        return Err(Error::new(it.pat.span(), "give the argument a plain name: it names the port"));
    };
    let mut port = match renamed(it)? {
        Some(name) => Port::new(name.value(), name.span())?,
        None => Port::new(plain(&pattern.ident), pattern.ident.span())?,
    };
    port.summary = docs::summary(&it.attrs);
    for attribute in it.attrs.iter().filter(|it| it.path().is_ident("port")) {
        parse_port(&mut port, attribute)?;
    }
    it.attrs.retain(|it| !it.path().is_ident("port") && !it.path().is_ident("doc"));
    let (passing, kind) = match it.ty.as_ref() {
        Type::Reference(reference) => {
            let passing =
                if reference.mutability.is_some() { Passing::MutableReference } else { Passing::Reference };
            match reference.elem.as_ref() {
                // `&[Member<T>]` is what a `Vec<Member<T>>` lends.
                Type::Slice(slice) => {
                    let element = &slice.elem;
                    (passing, Box::new(syn::parse_quote!(::std::vec::Vec<#element>)))
                }
                _ => (passing, reference.elem.clone()),
            }
        }
        _ => (Passing::Value, it.ty.clone()),
    };
    Ok(Argument { port, passing, kind })
}

fn renamed(argument: &PatType) -> Result<Option<LitStr>> {
    let mut name = None;
    for attribute in argument.attrs.iter().filter(|it| it.path().is_ident("port")) {
        attribute.parse_nested_meta(|meta| {
            if meta.path.is_ident("name") {
                name = Some(meta.value()?.parse()?);
                return Ok(());
            }
            // Read in `parse_port`; here only passed over.
            Port::new("ignored".into(), Span::call_site())?.parse_index(&meta).map(|_known| ())
        })?;
    }
    Ok(name)
}

fn parse_port(port: &mut Port, attribute: &Attribute) -> Result<()> {
    attribute.parse_nested_meta(|meta| {
        if meta.path.is_ident("name") {
            return meta.value()?.parse::<LitStr>().map(|_read_before| ());
        }
        match port.parse_index(&meta)? {
            Known::Yes => Ok(()),
            Known::No => Err(meta.error(
                "`#[port]` knows `name = \"…\"`, `time = \"column\"` and `identifiers(\"column\", …)`",
            )),
        }
    })
}

/// The type of what is returned, and whether a `Result` is around it.
fn returned(output: &ReturnType) -> (Type, Fallible) {
    let ReturnType::Type(_, kind) = output else { return (syn::parse_quote!(()), Fallible::No) };
    if let Type::Path(path) = kind.as_ref()
        && let Some(last) = path.path.segments.last()
        && last.ident == "Result"
        && let PathArguments::AngleBracketed(arguments) = &last.arguments
        && let Some(GenericArgument::Type(inner)) = arguments.args.first()
    {
        return (inner.clone(), Fallible::Yes);
    }
    (kind.as_ref().clone(), Fallible::No)
}

#[derive(PartialEq, Eq)]
enum Fallible {
    Yes,
    No,
}

/// The ports of what is returned.
fn output_ports(named: Option<Vec<Port>>, returned: &Type) -> Result<Vec<Port>> {
    let tables = match returned {
        Type::Tuple(tuple) => tuple.elems.len(),
        _ => 1,
    };
    match named {
        Some(ports) if ports.len() == tables => Ok(ports),
        Some(ports) => Err(Error::new(
            ports.first().map_or_else(|| returned.span(), |it| it.span),
            format!(
                "`outputs(…)` has {}, the function returns {}",
                counted(ports.len(), "name"),
                counted(tables, "table")
            ),
        )),
        None if tables == 0 => Ok(Vec::new()),
        None if tables == 1 => Ok(vec![Port::new("output".into(), returned.span())?]),
        None => Err(Error::new(
            returned.span(),
            format!(
                "the function returns {tables} tables: name their ports with `#[task(outputs(first, second, …))]`"
            ),
        )),
    }
}

fn counted(count: usize, what: &str) -> String {
    if count == 1 { format!("1 {what}") } else { format!("{count} {what}s") }
}

fn check_unique(arguments: &[Argument], outputs: &[Port]) -> Result<()> {
    // Inputs and outputs are told apart by types that a macro does not see: among arguments a clash can come only of a
    // rename, between arguments and results only for `Output`.
    let is_output = |it: &Argument| matches!(it.kind.as_ref(), Type::Path(it) if it.path.segments.last().is_some_and(|it| it.ident == "Output"));
    let mut inputs_seen: Vec<&str> = Vec::new();
    let mut outputs_seen: Vec<&str> = Vec::new();
    let ports =
        arguments.iter().map(|it| (&it.port, is_output(it))).chain(outputs.iter().map(|it| (it, true)));
    for (port, output) in ports {
        let seen = if output { &mut outputs_seen } else { &mut inputs_seen };
        if seen.contains(&port.name.as_str()) {
            let what = if output { "output" } else { "input" };
            return Err(Error::new(port.span, format!("there are two {what} ports `{}`", port.name)));
        }
        seen.push(&port.name);
    }
    Ok(())
}

struct Expansion {
    name: String,
    summary: String,
    memory_bytes: Option<u64>,
    arguments: Vec<Argument>,
    outputs: Vec<Port>,
    returned: Type,
    fallible: Fallible,
}

impl Expansion {
    fn tokens(&self, function: &ItemFn) -> TokenStream {
        let Self { name, summary, returned, .. } = self;
        let visibility = &function.vis;
        let task = format_ident!("{}_task", function.sig.ident, span = function.sig.ident.span());
        let doc = format!("The task `{name}`: for the test harness, and what the component exports.");
        let memory = self.memory_bytes.map_or(quote!(None), |it| quote!(Some(#it)));
        let ports = self.arguments.iter().map(|it| it.port.tokens());
        let outputs = self.outputs.iter().map(Port::tokens);
        let (argument_count, output_count) = (self.arguments.len(), self.outputs.len());
        let kinds: Vec<_> = self.arguments.iter().map(|it| it.kind.as_ref()).collect();
        let places = 0..argument_count;
        let describes = kinds.iter().zip(places).map(|(kind, place)| {
            quote_spanned!(kind.span()=> <#kind as ::tidemill_task::__private::Argument>::describe(&__ARGUMENTS[#place], description);)
        });
        let run = self.run(function);
        quote! {
            #function

            #[doc = #doc]
            #[allow(non_camel_case_types, dead_code, reason = "named after the function; natively only tests use it")]
            #[derive(Clone, Copy, Debug)]
            #visibility struct #task;

            const _: () = {
                static __ARGUMENTS: [::tidemill_task::__private::PortSpec; #argument_count] = [#(#ports),*];
                static __RETURNED: [::tidemill_task::__private::PortSpec; #output_count] = [#(#outputs),*];
                const _: () = ::core::assert!(
                    <#returned as ::tidemill_task::__private::Returned>::TABLES == #output_count,
                    "the function returns another number of tables than its signature shows; name them in `outputs(…)`",
                );
                const _: () = ::core::assert!(
                    0 #(+ <#kinds as ::tidemill_task::__private::Argument>::IS_PARAMETERS as usize)* <= 1,
                    "a task has one `#[parameters]` argument",
                );

                // A check or a native build has no other use of the function.
                const _: fn() -> ::tidemill_task::Result<()> = <#task as ::tidemill_task::Task>::run;

                impl ::tidemill_task::Task for #task {
                    fn describe(description: &mut ::tidemill_task::Description) {
                        description.name = ::std::convert::Into::into(#name);
                        description.summary = ::std::convert::Into::into(#summary);
                        description.memory_bytes = #memory;
                        <#returned as ::tidemill_task::__private::Returned>::describe(&__RETURNED, description);
                        #(#describes)*
                    }
                    fn run() -> ::tidemill_task::Result<()> {
                        #run
                    }
                }

                #[cfg(target_family = "wasm")]
                ::tidemill_task::__export!(#task);
            };
        }
    }

    fn run(&self, function: &ItemFn) -> TokenStream {
        let call = &function.sig.ident;
        let variables: Vec<_> =
            (0..self.arguments.len()).map(|it| format_ident!("__argument_{it}")).collect();
        let takes = self.arguments.iter().zip(&variables).enumerate().map(|(place, (it, variable))| {
            let kind = &it.kind;
            let mutable = matches!(it.passing, Passing::MutableReference).then(|| quote!(mut));
            quote!(let #mutable #variable = <#kind as ::tidemill_task::__private::Argument>::take(&__ARGUMENTS[#place])?;)
        });
        let passed = self.arguments.iter().zip(&variables).map(|(it, variable)| match it.passing {
            Passing::Value => quote!(#variable),
            Passing::Reference => quote!(&#variable),
            Passing::MutableReference => quote!(&mut #variable),
        });
        let question = (self.fallible == Fallible::Yes).then(|| quote!(?));
        let returned = &self.returned;
        quote! {
            #(#takes)*
            let __returned: #returned = #call(#(#passed),*) #question;
            ::tidemill_task::__private::Returned::write(__returned, &__RETURNED)
        }
    }
}
