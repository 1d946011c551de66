//! The known name that was probably meant.

/// Names less alike than this are not offered (Jaro-Winkler; 0.7 still pairs `retires` with `retry`).
const ALIKE_MIN: f64 = 0.7;

/// The known name that is most alike, if any is alike enough.
pub fn nearest<'a>(name: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let mut best: Option<(f64, &str)> = None;
    for it in known {
        let alike = strsim::jaro_winkler(&name.to_lowercase(), &it.to_lowercase());
        if alike >= ALIKE_MIN && best.is_none_or(|(most, _)| alike > most) {
            best = Some((alike, it));
        }
    }
    best.map(|(_, it)| it)
}

/// How to mend an unknown name: the nearest, else all of them.
pub(crate) fn did_you_mean<'a>(
    name: &str,
    kind: &str,
    known: impl IntoIterator<Item = &'a str> + Clone,
) -> String {
    if let Some(nearest) = nearest(name, known.clone()) {
        return format!("did you mean `{nearest}`?");
    }
    match list(known) {
        None => format!("there is no {kind} here"),
        Some(all) => format!("use one of {all}"),
    }
}

/// At most this many names are listed.
const LISTED_MAX: usize = 12;

/// `` `a`, `b`, … ``
pub(crate) fn list<'a>(names: impl IntoIterator<Item = &'a str>) -> Option<String> {
    let mut names = names.into_iter();
    let shown: Vec<String> = names.by_ref().take(LISTED_MAX).map(|it| format!("`{it}`")).collect();
    let more = if names.next().is_some() { ", …" } else { "" };
    (!shown.is_empty()).then(|| shown.join(", ") + more)
}
