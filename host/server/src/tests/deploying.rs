//! Pipelines as they are deployed.

use std::collections::BTreeMap;

use expect_test::expect;
use serde_json::{Value, json};
use tidemill_plan::Digest;

use super::{Answer, Bench, block_on, component, digest};

const CSV: &str = "time_index,celsius\n2024-01-01T00:00:00Z,1.0\n2024-01-02T00:00:00Z,3.0\n";
const PIPELINE: &str = r#"[pipeline]
name = "hello"

[sources.temperatures]
path = "data/t.csv"
time_index = "time_index"

[nodes.anomaly]
task = "anomaly"
inputs = { temperatures = "temperatures" }
"#;

async fn with_task() -> Bench {
    let bench = Bench::start().await;
    let pushed = bench.upload("POST", "/api/v1/components?tags=1.0.0", component("hello", "anomaly")).await;
    assert_eq!(pushed.status, 201, "{}", pushed.shown());
    bench
}

async fn send(bench: &Bench, text: &str) -> Value {
    let kept =
        bench.upload("PUT", &format!("/api/v1/files/{}", digest(text.as_bytes())), text.to_owned()).await;
    assert_eq!(kept.status, 201, "{}", kept.shown());
    json!({"path": "data/t.csv", "digest": digest(text.as_bytes()), "bytes": text.len()})
}

async fn deploy(bench: &Bench, text: &str, files: &[Value]) -> Answer {
    let request = json!({"text": text, "file_name": "p.toml", "files": files});
    bench.json("POST", "/api/v1/pipelines", &request).await
}

#[track_caller]
fn assert_nothing_deployed(bench: &Bench) {
    assert_eq!(bench.files("deployments"), Vec::<std::path::PathBuf>::new());
}

#[test]
fn a_pipeline_is_deployed_as_versions_that_say_different_things() {
    block_on(async {
        let bench = with_task().await;
        let file = send(&bench, CSV).await;
        let one = deploy(&bench, PIPELINE, std::slice::from_ref(&file)).await;
        expect![[r#"
            201
            {
              "is_new": true,
              "pipeline": {
                "deployed_at": "<time>",
                "deployed_by": "first",
                "digest": "<digest>",
                "name": "hello",
                "summary": "",
                "version": 1
              }
            }
        "#]]
        .assert_eq(&one.shown());
        let same = deploy(&bench, PIPELINE, std::slice::from_ref(&file)).await;
        assert_eq!((same.status.as_u16(), &same.json()["pipeline"]["version"]), (200, &json!(1)));
        let other = PIPELINE.replace("\"anomaly\"\ninputs", "\"anomaly:1.0.0\"\ninputs");
        let two = deploy(&bench, &other, &[file]).await;
        assert_eq!(two.json()["pipeline"]["version"], 2, "{}", two.shown());
        let versions = bench.get("/api/v1/pipelines/hello/versions").await.json();
        assert_eq!(versions["items"].as_array().map(Vec::len), Some(2));
        let newest = bench.get("/api/v1/pipelines/hello").await.json();
        assert_eq!((&newest["version"], &newest["text"]), (&json!(2), &json!(other)));
        assert_eq!(newest["components"]["anomaly:1.0.0"]["tag"], "anomaly:1.0.0");
        assert_eq!(bench.get("/api/v1/pipelines/hello/versions/1").await.json()["text"], PIPELINE);
        let list = bench.get("/api/v1/pipelines").await.json();
        assert_eq!(
            (list["items"].as_array().map(Vec::len), &list["items"][0]["version"]),
            (Some(1), &json!(2))
        );
        expect![[r#"
            404 unknown-pipeline: there is no pipeline `helo`
              to mend: did you mean `hello`? `tidemill pipelines` lists them"#]]
        .assert_eq(&bench.get("/api/v1/pipelines/helo").await.problem());
        expect![[r#"
            404 unknown-pipeline: pipeline `hello` has no version 9
              to mend: its newest is 2"#]]
        .assert_eq(&bench.get("/api/v1/pipelines/hello/versions/9").await.problem());
    });
}

#[test]
fn what_a_pipeline_names_wrongly_is_told_with_the_nearest() {
    block_on(async {
        let bench = with_task().await;
        let file = send(&bench, CSV).await;
        let refused = async |from: &str, to: &str| {
            assert!(PIPELINE.contains(from));
            deploy(&bench, &PIPELINE.replace(from, to), std::slice::from_ref(&file)).await.problem()
        };
        expect![[r#"
            422 unknown-task: task `anomly` is not in the registry: there is no component `anomly`
              in: "p.toml", line 9, column 8
              to mend: did you mean `anomaly`? `tidemill components` lists them"#]]
        .assert_eq(&refused("\"anomaly\"", "\"anomly\"").await);
        expect![[r#"
            422 unknown-task: task `anomaly:1.0.1` is not in the registry: component `anomaly` has no tag `1.0.1`
              in: "p.toml", line 9, column 8
              to mend: did you mean `anomaly:1.0.0`? `tidemill components tags anomaly` lists them"#]]
        .assert_eq(&refused("\"anomaly\"", "\"anomaly:1.0.1\"").await);
        let parameter =
            refused("[nodes.anomaly]", "[parameters.days]\ntype = \"integer\"\ndefault = 1\n[nodes.anomaly]")
                .await;
        assert!(parameter.starts_with("422 unused-parameter: parameter `days`"), "{parameter}");
        let two = deploy(
            &bench,
            &PIPELINE.replace("{ temperatures =", "{ temprature ="),
            std::slice::from_ref(&file),
        )
        .await;
        let problems = two.json()["problems"].to_string();
        assert!(problems.contains("`temprature`") && problems.contains("`temperatures`"), "{problems}");
        let key = refused("time_index =", "time_indx =").await;
        assert!(key.starts_with("422 unknown-key") && key.contains("`time_index`"), "{key}");
        let toml = refused("[pipeline]", "[pipeline").await;
        assert!(toml.contains("in: \"p.toml\", line 1"), "{toml}");
        assert_nothing_deployed(&bench);
    });
}

#[test]
fn files_must_be_there_stay_inside_and_be_what_the_source_says() {
    block_on(async {
        let bench = with_task().await;
        let file = send(&bench, CSV).await;
        let refused = async |text: &str, files: &[Value]| deploy(&bench, text, files).await.problem();
        expect![[r#"
            422 source-missing: source `data/t.csv` does not exist, or no file matches it
              to mend: correct `path`; it is relative to the pipeline file"#]]
        .assert_eq(&refused(PIPELINE, &[]).await);
        let unsent = json!({"path": "data/t.csv", "digest": digest(b"unsent"), "bytes": 6});
        assert!(refused(PIPELINE, &[unsent]).await.starts_with("422 file-not-uploaded"));
        let longer = json!({"path": "data/t.csv", "digest": file["digest"], "bytes": 6});
        assert!(refused(PIPELINE, &[longer]).await.starts_with("422 file-not-uploaded"));
        for path in ["../t.csv", "/tmp/t.csv", "data/../../t.csv", "data//t.csv", ""] {
            let outside = json!({"path": path, "digest": file["digest"], "bytes": CSV.len()});
            let problem = refused(PIPELINE, &[outside]).await;
            assert!(problem.starts_with("422 bad-file-path"), "{path}: {problem}");
        }
        for path in ["/etc/passwd", "../x.csv", "data/../../x.csv"] {
            let problem = refused(&PIPELINE.replace("data/t.csv", path), std::slice::from_ref(&file)).await;
            assert!(problem.starts_with("422 "), "{path}: {problem}");
        }
        expect![[r#"
            422 source-outside: source `temperatures` reads `/data/t.csv`, which is outside of the pipeline's folder
              to mend: put the files beside the pipeline file, and name them relative to it"#]]
        .assert_eq(&refused(&PIPELINE.replace("data/t.csv", "/data/t.csv"), &[]).await);
        let text = send(&bench, "time_index,celsius\n2024-01-01T00:00:00Z,warm\n").await;
        assert!(refused(PIPELINE, &[text]).await.starts_with("422 column-type"));
        assert_nothing_deployed(&bench);
    });
}

#[test]
fn a_deployed_version_is_made_again_from_what_is_kept() {
    block_on(async {
        let bench = with_task().await;
        let file = send(&bench, CSV).await;
        deploy(&bench, PIPELINE, &[file]).await;
        let deployments = &bench.context.deployments;
        let made = deployments.materialise("hello", 1, None).await.expect("it is deployed");
        std::fs::remove_dir_all(&made.base).expect("its folder is there");
        let again = deployments.materialise("hello", 1, None).await.expect("it is deployed");
        assert_eq!(std::fs::read_to_string(again.base.join("data/t.csv")).expect("a file"), CSV);
        let (digest, path) = &again.components["anomaly"];
        assert_eq!(Digest::of(&std::fs::read(path).expect("a component")), *digest);
        let other = Digest::of(b"another");
        let pins = BTreeMap::from([("anomaly".to_owned(), other)]);
        let pinned = deployments.materialise("hello", 1, Some(&pins)).await.expect("it is deployed");
        assert_eq!(pinned.components["anomaly"].0, other, "a run keeps what it began with");
        let unknown = deployments.materialise("hello", 2, None).await.expect_err("there is one version");
        assert_eq!(unknown.code.0, "unknown-pipeline");
    });
}

#[test]
fn a_component_that_a_deployed_pipeline_uses_stays() {
    block_on(async {
        let bench = with_task().await;
        let file = send(&bench, CSV).await;
        deploy(&bench, PIPELINE, &[file]).await;
        expect![[r#"
            409 component-in-use: component `anomaly` (<short>) is in use by pipeline `hello`, version 1
              to mend: deploy a version of the pipeline without it, or wait until the run has ended"#]]
        .assert_eq(&bench.delete("/api/v1/components/anomaly").await.problem());
        let without = "[pipeline]\nname = \"hello\"\n[sources.temperatures]\npath = \"data/t.csv\"\n";
        let file = send(&bench, CSV).await;
        let two = deploy(&bench, without, &[file]).await;
        assert_eq!(two.status, 201, "{}", two.shown());
        assert_eq!(bench.delete("/api/v1/components/anomaly").await.status, 200);
    });
}

#[test]
fn a_pipeline_is_planned_without_being_kept() {
    block_on(async {
        let bench = with_task().await;
        let planned = bench.json("POST", "/api/v1/plans", &json!({"text": PIPELINE})).await.json();
        assert_eq!(planned["nodes"][0]["task"], "anomaly");
        assert_eq!(planned["sources"][0]["path"], "data/t.csv");
        assert_eq!(bench.get("/api/v1/pipelines").await.json()["items"], json!([]));
        let request = json!({"text": PIPELINE, "pins": {"anomly": digest(b"")}});
        let unused = bench.json("POST", "/api/v1/plans", &request).await.problem();
        assert!(unused.starts_with("422 unused-pin") && unused.contains("`anomaly`"), "{unused}");
        let name = json!({"text": PIPELINE, "file_name": "../p.toml"});
        assert!(bench.json("POST", "/api/v1/plans", &name).await.problem().starts_with("422 bad-file-name"));
    });
}

#[test]
fn a_parameter_without_a_default_may_wait_for_a_run_unless_a_source_needs_it() {
    block_on(async {
        let bench = with_task().await;
        let text = PIPELINE
            .replace("[sources", "[parameters.file]\ntype = \"string\"\n[sources")
            .replace("path = \"data/t.csv\"", "path = \"data/t.csv\"\nsort = \"{{ file == 'x' }}\"");
        let open = bench.json("POST", "/api/v1/plans", &json!({"text": text})).await.json();
        assert_eq!((&open["pipeline"], &open["nodes"]), (&json!("hello"), &json!([])));
        assert_eq!(open["sources"][0]["path"], "data/t.csv", "its files are known all the same");
        let text = text.replace("data/t.csv", "{{ file }}");
        let missing = bench.json("POST", "/api/v1/plans", &json!({"text": text})).await.problem();
        assert!(missing.starts_with("422 missing-parameter"), "{missing}");
        let given = json!({"text": text, "sets": ["file=data/t.csv"]});
        let planned = bench.json("POST", "/api/v1/plans", &given).await.json();
        assert_eq!(planned["sources"][0]["path"], "data/t.csv");
    });
}
