//! The report of a sweep, opened in a browser that can reach no network.

use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

use crate::program::{Bench, guest};

/// The page after its scripts have run.
struct Page {
    file: String,
    dom: String,
}

impl Page {
    /// Opens a report, which must be drawn whole and without an error.
    #[track_caller]
    fn open(bench: &Bench, name: &str) -> Self {
        let page = Self { file: bench.read(name), dom: browse(bench, name, &["--dump-dom"]) };
        let errors = page.part("<pre id=\"errors\"", "</pre>");
        assert!(page.dom.contains("data-ready=\"true\""), "the page is not ready: {errors}");
        assert!(errors.ends_with('>') && errors.contains("hidden"), "{errors}");
        page
    }

    /// From the first of a text to the first of another after it.
    #[track_caller]
    fn part(&self, from: &str, to: &str) -> &str {
        let at = self.dom.find(from).unwrap_or_else(|| panic!("`{from}` is not in the page"));
        let part = self.dom.get(at..).expect("found there");
        part.split_once(to).map_or(part, |(it, _)| it)
    }

    #[track_caller]
    fn section(&self, id: &str) -> &str {
        self.part(&format!("<section id=\"{id}\""), "</section>")
    }

    /// What is read in a part of the page: its texts, one space between them.
    fn text(part: &str) -> String {
        let texts = part.split('<').filter_map(|it| Some(it.split_once('>')?.1));
        let words: Vec<&str> = texts.flat_map(str::split_whitespace).collect();
        words.join(" ").replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&")
    }

    /// The names of the elements of the page's body; a `<` in an attribute begins none.
    fn tags(&self) -> Vec<&str> {
        let mut tags = Vec::new();
        let mut rest = self.part("<main", "</main>");
        while let Some((_, tag)) = rest.split_once('<') {
            tags.push(tag.split([' ', '>']).next().unwrap_or(tag));
            let mut is_quoted = false;
            let end = tag.find(|it| {
                is_quoted ^= it == '"';
                it == '>' && !is_quoted
            });
            rest = end.and_then(|it| tag.get(it..)).unwrap_or_default();
        }
        tags
    }

    #[track_caller]
    fn shows(part: &str, texts: &[&str]) {
        let shown = Self::text(part);
        for text in texts {
            assert!(shown.contains(text), "`{text}` is not shown:\n{shown}");
        }
    }
}

/// Starts Chromium on a report; what it prints.
fn browse(bench: &Bench, name: &str, arguments: &[&str]) -> String {
    let output = Command::new("chromium")
        .args(["--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars"])
        .args(["--host-resolver-rules=MAP * ~NOTFOUND", "--virtual-time-budget=20000"])
        .arg(format!("--user-data-dir={}", bench.path("profile").display()))
        .args(arguments)
        .arg(format!("file://{}", bench.path(name).display()))
        .output()
        .expect("start chromium: `cargo xtask setup` installs it");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// Keeps a picture of the report for whoever wants to look.
fn keep_picture(bench: &Bench, name: &str, picture: &str, arguments: &[&str]) {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("../artefacts");
    std::fs::create_dir_all(&folder).expect("create folder");
    let path: PathBuf = folder.canonicalize().expect("it was made").join(picture);
    let screenshot = format!("--screenshot={}", path.display());
    browse(bench, name, &[&[screenshot.as_str()], arguments].concat());
    let bytes = std::fs::read(&path).expect("a picture");
    assert!(bytes.starts_with(b"\x89PNG") && bytes.len() > 20_000, "{picture}: {} bytes", bytes.len());
}

/// References that a browser would follow to load something.
fn outside_references(html: &str) -> Vec<&str> {
    let openers = ["src=", "href=", "url(", "@import", "import("];
    let follows = |opener: &str| -> Vec<&str> {
        let targets = html.match_indices(opener).filter_map(|(at, it)| html.get(at + it.len()..));
        let targets = targets.map(|it| it.trim_start_matches(['"', '\'', '\\', ' ', '(']));
        let is_outside = |it: &&str| ["http:", "https:", "//"].iter().any(|scheme| it.starts_with(scheme));
        targets.filter(is_outside).map(|it| it.split(['"', '\'', ')', '\n']).next().unwrap_or(it)).collect()
    };
    openers.into_iter().flat_map(follows).collect()
}

/// Sweeps the pipeline in the folder into `report.html`; what `--json` tells of it.
#[track_caller]
fn sweep(bench: &Bench, arguments: &[&str]) -> Value {
    let called = bench.call(&[&["sweep", ".", "--report", "report.html", "--json"], arguments].concat());
    serde_json::from_str(&called.stdout).unwrap_or_else(|_| panic!("no JSON: {}", called.stderr))
}

#[test]
fn a_report_shows_the_whole_sweep_and_loads_nothing() {
    let bench = Bench::example("etf-replicator");
    let told = sweep(
        &bench,
        &[
            "--grid",
            "in_window=60:360:60",
            "--grid",
            "lasso_alpha=1e-2,1e-3,1e-4",
            "--measure",
            "tracking_error=stats.tracking_error",
            "--minimize",
            "tracking_error",
        ],
    );
    let page = Page::open(&bench, "report.html");
    assert_eq!(outside_references(&page.file), Vec::<&str>::new());
    assert_eq!(outside_references(&page.dom), Vec::<&str>::new());
    let counts = &told["sweep"]["counts"];
    assert_eq!((counts["points"].as_u64(), counts["failed"].as_u64()), (Some(15), Some(0)), "{told}");
    let head = page.part("<header", "</header>");
    let nodes = format!("{} of {}", counts["distinct"], counts["nodes"]);
    Page::shows(
        head,
        &["etf-replicator", "points 15 5 × 3", "computed 15", "cached 0", "failed 0 none", &nodes],
    );

    let best = &told["points"][0];
    let value = best["measures"]["tracking_error"].as_f64().expect("a number");
    let best_tile = page.part("id=\"best\"", "</div></div>");
    assert!(
        best_tile.contains(&format!("data-point=\"{}\" data-value=\"{value}\"", best["point"])),
        "{best_tile}"
    );
    Page::shows(
        best_tile,
        &["lowest tracking_error", &format!("in_window {}", best["parameters"]["in_window"])],
    );

    assert!(page.section("surface").contains("15 cells with a value, 0 without"));
    let charts = |id: &str| page.section(id).matches("<canvas").count();
    assert!(charts("surface") > 0 && charts("parallel") > 0);
    assert!(charts("slices") >= 2, "one for each axis");
    let points = page.section("points");
    assert!(points.contains("aria-rowcount=\"16\""), "a header and 15 rows");
    assert_eq!(points.matches("computed</td>").count(), 15);
    Page::shows(page.section("failures"), &["No point failed"]);
    Page::shows(page.section("shared"), &["returns 15 1 0 15×", "lasso 15 15 0 1×", "all nodes"]);
    let component = &told["sweep"]["components"][0];
    let source = &told["sweep"]["sources"][0];
    let text = |it: &Value| it.as_str().expect("a text").to_owned();
    Page::shows(
        page.section("repeat"),
        &[
            "tidemill sweep .",
            "--grid in_window=60:360:60",
            &format!("{} {}", text(&component["task"]), text(&component["digest"])),
            &text(&source["digest"]),
            "all of the data",
            &format!("tidemill {}", text(&told["sweep"]["host_version"])),
        ],
    );
    keep_picture(&bench, "report.html", "sweep-report.png", &["--window-size=1400,2600"]);
    let dark = ["--window-size=800,3400", "--blink-settings=preferredColorScheme=0"];
    keep_picture(&bench, "report.html", "sweep-report-dark.png", &dark);
}

#[test]
fn what_a_task_says_is_shown_as_text_and_failures_are_grouped() {
    let hostile = "</script><img src=x onerror=document.title=1>";
    let bench = Bench::empty();
    bench.write(
        "pipeline.toml",
        &format!(
            "[pipeline]\nname = \"hostile\"\n[tasks]\nmisbehave = \"{}\"\n\
             [parameters.what]\ntype = \"string\"\ndefault = \"clock\"\n\
             [parameters.other]\ntype = \"string\"\ndefault = \"good\"\n\
             [nodes.bad]\ntask = \"misbehave\"\nparameters = {{ do = \"{{{{ what }}}}\" }}\n\
             [nodes.fine]\ntask = \"misbehave\"\nparameters = {{ do = \"{{{{ other }}}}\" }}\n",
            guest("misbehave")
        ),
    );
    let what = format!("what=clock,permanent,{hostile}");
    let told = sweep(
        &bench,
        &[
            "--grid",
            &what,
            "--grid",
            "other=good,two-batches",
            "--measure",
            "sum=sum(fine.value)",
            "--measure",
            "top=max(bad.value)",
            "--maximize",
            "sum",
        ],
    );
    assert_eq!(told["sweep"]["counts"]["failed"], 4, "{told}");
    let page = Page::open(&bench, "report.html");
    let tags = page.tags();
    assert!(tags.contains(&"canvas") && !tags.contains(&"img"), "a text became markup: {tags:?}");
    Page::shows(page.part("<header", "</header>"), &["points 6 3 × 2", "computed 2", "failed 4 67 %"]);
    let failures = page.section("failures");
    assert_eq!(failures.matches("<article").count(), 2, "one for each error, not for each point");
    Page::shows(
        failures,
        &[
            "4 points, 2 errors",
            "the model does not fit",
            "all of them have what = permanent",
            &format!("cannot misbehave as `{hostile}`"),
        ],
    );
    Page::shows(page.section("points"), &[hostile]);
    assert!(page.section("surface").contains("2 cells with a value, 4 without"));
    keep_picture(&bench, "report.html", "sweep-report-failures.png", &["--window-size=1400,2400"]);
}

/// A pipeline whose two nodes need one parameter each.
fn two_numbers(bench: &Bench) {
    bench.write(
        "pipeline.toml",
        &format!(
            "[pipeline]\nname = \"numbers\"\n[tasks]\nnoop = \"{}\"\n\
             [parameters.a]\ntype = \"integer\"\ndefault = 0\n[parameters.b]\ntype = \"integer\"\ndefault = 1000\n\
             [nodes.left]\ntask = \"noop\"\nparameters = {{ i = \"{{{{ a }}}}\" }}\n\
             [nodes.right]\ntask = \"noop\"\nparameters = {{ i = \"{{{{ b }}}}\" }}\n",
            guest("noop")
        ),
    );
}

#[test]
fn ten_thousand_points_are_shown_with_the_rows_in_view_alone() {
    let bench = Bench::empty();
    two_numbers(&bench);
    sweep(
        &bench,
        &[
            "--grid",
            "a=0:100:1",
            "--grid",
            "b=100:200:1",
            "--measure",
            "left=left.value",
            "--measure",
            "right=right.value",
            "--maximize",
            "left",
        ],
    );
    let page = Page::open(&bench, "report.html");
    Page::shows(page.part("<header", "</header>"), &["points 10,000 100 × 100", "a 99"]);
    let points = page.section("points");
    assert!(points.contains("aria-rowcount=\"10001\""));
    let rows = points.matches("computed</td>").count();
    assert!((20..=100).contains(&rows), "{rows} rows");
}

#[test]
fn one_axis_is_a_line_and_no_measure_is_no_chart() {
    let bench = Bench::empty();
    two_numbers(&bench);
    sweep(&bench, &["--grid", "a=1,10,100", "--measure", "left=left.value"]);
    let page = Page::open(&bench, "report.html");
    assert!(page.part("<section id=\"surface\"", ">").contains("hidden"), "one axis is no surface");
    assert!(page.section("slices").contains("<canvas"));
    Page::shows(page.part("<header", "</header>"), &["no goal was named"]);
    sweep(&bench, &["--grid", "a=1,2"]);
    let page = Page::open(&bench, "report.html");
    assert!(!page.dom.contains("<canvas"));
    Page::shows(page.section("surface"), &["measures nothing"]);
    assert!(page.section("points").contains("aria-rowcount=\"3\""));
}
