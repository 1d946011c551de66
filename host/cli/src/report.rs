//! The report of a sweep: one HTML file that needs nothing beside itself. What it tells is decided by who makes the
//! data, how it looks by `assets/report`; here both are put into one page, out of which no text of the data can break.

use serde_json::Value;

const PAGE: &str = include_str!("../assets/report/report.html");
const STYLE: &str = include_str!("../assets/report/report.css");
const LIBRARY: &str = include_str!("../assets/report/echarts/echarts.min.js");
/// One script on the page, so that none is strict or late where the others are not; each needs those before it.
const SCRIPTS: &[&str] = &[
    include_str!("../assets/report/dom.js"),
    include_str!("../assets/report/format.js"),
    include_str!("../assets/report/data.js"),
    include_str!("../assets/report/charts.js"),
    include_str!("../assets/report/surface.js"),
    include_str!("../assets/report/slices.js"),
    include_str!("../assets/report/parallel.js"),
    include_str!("../assets/report/table.js"),
    include_str!("../assets/report/sections.js"),
    include_str!("../assets/report/report.js"),
];

/// The page that shows the data.
pub(crate) fn html(data: &Value) -> String {
    let data = script_safe(data);
    let scripts = SCRIPTS.concat();
    let mut page =
        String::with_capacity(PAGE.len() + STYLE.len() + LIBRARY.len() + scripts.len() + data.len());
    // One pass over the page alone: a name of the data that reads `@@scripts@@` stays what it is.
    for (at, part) in PAGE.split("@@").enumerate() {
        page.push_str(match part {
            part if at % 2 == 0 => part,
            "style" => STYLE,
            "data" => &data,
            "library" => LIBRARY,
            "scripts" => &scripts,
            part => unreachable!("the page has no part `{part}`"),
        });
    }
    page
}

/// JSON that holds neither an end of its script element nor a line end that only JSON allows.
fn script_safe(data: &Value) -> String {
    data.to_string().replace('<', "\\u003c").replace('\u{2028}', "\\u2028").replace('\u{2029}', "\\u2029")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const HOSTILE: &str =
        "</script><img src=x onerror=alert(1)><!-- \u{2028}\u{2029} @@scripts@@ & \" ' \\u003c";

    #[test]
    fn no_text_of_the_data_ends_its_script() {
        let data = json!({ HOSTILE: [HOSTILE] });
        let safe = script_safe(&data);
        assert!(!safe.contains(['<', '\u{2028}', '\u{2029}']), "{safe}");
        assert_eq!(serde_json::from_str::<Value>(&safe).expect("still JSON"), data);
    }

    #[test]
    fn data_stands_in_the_page_once_and_as_it_is() {
        let data = json!({ "pipeline": HOSTILE });
        let page = html(&data);
        let (_, rest) = page.split_once("id=\"data\">").expect("a place for the data");
        let (found, _) = rest.split_once("</script>").expect("an end of the data");
        assert_eq!(serde_json::from_str::<Value>(found).expect("JSON"), data);
        assert!(!page.contains("<img src=x"), "a name became markup");
    }

    #[test]
    fn no_script_ends_before_its_element() {
        for (at, script) in SCRIPTS.iter().chain([&LIBRARY]).enumerate() {
            let text = script.to_lowercase();
            assert!(!text.contains("</script") && !text.contains("<!--"), "script {at}");
        }
        assert!(!STYLE.to_lowercase().contains("</style"));
        let page = html(&json!({}));
        assert_eq!(page.matches("<script").count(), page.matches("</script>").count());
    }
}
