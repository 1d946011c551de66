//! Doc comments as text.

use syn::{Attribute, Expr, ExprLit, Lit, Meta};

/// The first paragraph in one line; empty without a doc comment.
pub(crate) fn summary(attributes: &[Attribute]) -> String {
    let lines = attributes.iter().filter_map(line).map(|it| it.trim().to_owned());
    let first: Vec<String> = lines.skip_while(String::is_empty).take_while(|it| !it.is_empty()).collect();
    first.join(" ")
}

fn line(attribute: &Attribute) -> Option<String> {
    let Meta::NameValue(pair) = &attribute.meta else { return None };
    match &pair.value {
        Expr::Lit(ExprLit { lit: Lit::Str(text), .. }) if pair.path.is_ident("doc") => Some(text.value()),
        _ => None,
    }
}
