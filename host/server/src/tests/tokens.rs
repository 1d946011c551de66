//! Who may pass, and what is written down of it.

use axum::body::Body;
use axum::http::Request;
use expect_test::expect;
use serde_json::json;
use tidemill_store::Role;

use super::{Answer, Bench, block_on};

async fn as_token(bench: &Bench, method: &str, path: &str, token: Option<&str>) -> Answer {
    let mut request = Request::builder().method(method).uri(path);
    if let Some(token) = token {
        request = request.header("authorization", format!("Bearer {token}"));
    }
    bench.send(request.body(Body::empty()).expect("a request")).await
}

#[test]
fn who_is_nobody_expired_revoked_or_of_too_small_a_role_is_refused_and_written_down() {
    block_on(async {
        let bench = Bench::start().await;
        let refusal =
            async |method, path, token: Option<&str>| as_token(&bench, method, path, token).await.problem();
        let list = "/api/v1/components";
        let none = refusal("GET", list, None).await;
        expect![[r#"
            401 no-token: the request has no token
              to mend: send `Authorization: Bearer TOKEN`, or `tidemill login URL`; an admin makes tokens with `tidemill tokens create`"#]]
        .assert_eq(&none);
        let unknown = refusal("GET", list, Some(&bench.token(Role::Viewer, Some(1)).await.secret)).await;
        expect![[r#"
            401 token-expired: token `viewer` expired at 1970-01-01T00:00:00.000000001Z
              to mend: ask an admin for a new one"#]]
        .assert_eq(&unknown);
        let stranger = crate::token::mint().expect("random numbers");
        assert!(refusal("GET", list, Some(&stranger.secret)).await.starts_with("401 bad-token"));
        let revoked = bench.token(Role::Operator, None).await;
        assert_eq!(as_token(&bench, "GET", list, Some(&revoked.secret)).await.status, 200);
        assert_eq!(bench.delete(&format!("/api/v1/tokens/{}", revoked.id)).await.status, 200);
        assert!(refusal("GET", list, Some(&revoked.secret)).await.starts_with("401 token-revoked"));
        let (viewer, operator) =
            (bench.token(Role::Viewer, None).await, bench.token(Role::Operator, None).await);
        let small = refusal("POST", list, Some(&viewer.secret)).await;
        expect![[r#"
            403 role-too-small: token `viewer` has the role viewer, and this takes operator
              to mend: use a token of that role; an admin makes one with `tidemill tokens create`"#]]
        .assert_eq(&small);
        assert!(refusal("GET", "/api/v1/tokens", Some(&operator.secret)).await.starts_with("403"));
        let audit = bench.get("/api/v1/audit").await.json();
        let entries = audit["items"].as_array().expect("a list").iter();
        let shown: Vec<String> = entries
            .map(|it| format!("{} {} {} {}", it["who"], it["action"], it["status"], it["code"]))
            .collect();
        expect![[r#"
            "operator" "GET /api/v1/tokens" 403 "role-too-small"
            "viewer" "POST /api/v1/components" 403 "role-too-small"
            "" "GET /api/v1/components" 401 "token-revoked"
            "first" "DELETE /api/v1/tokens/{id}" 200 null
            "" "GET /api/v1/components" 401 "bad-token"
            "" "GET /api/v1/components" 401 "token-expired"
            "" "GET /api/v1/components" 401 "no-token""#]]
        .assert_eq(&shown.join("\n"));
    });
}

#[test]
fn a_token_is_made_once_listed_without_its_secret_and_revoked() {
    block_on(async {
        let bench = Bench::start().await;
        let asked = json!({"name": "ci", "role": "operator", "expires_at": "2200-01-02T00:00:00Z"});
        let made = bench.json("POST", "/api/v1/tokens", &asked).await;
        expect![[r#"
            201
            {
              "secret": "<secret>",
              "token": {
                "created_at": "<time>",
                "created_by": "first",
                "expires_at": "2200-01-02T00:00:00Z",
                "id": "<id>",
                "name": "ci",
                "revoked_at": null,
                "revoked_by": null,
                "role": "operator",
                "used_at": null
              }
            }
        "#]]
        .assert_eq(&made.shown());
        let secret = made.json()["secret"].as_str().expect("a secret").to_owned();
        let me = as_token(&bench, "GET", "/api/v1/whoami", Some(&secret)).await;
        assert_eq!(me.json()["name"], "ci");
        let list = bench.get("/api/v1/tokens").await;
        let hidden = secret.rsplit('_').next().expect("a secret part");
        assert!(!String::from_utf8_lossy(&list.bytes).contains(hidden), "a list shows a secret");
        assert_eq!(list.json()["items"].as_array().map(Vec::len), Some(2));
        let path = format!("/api/v1/tokens/{}", made.json()["token"]["id"].as_str().expect("an id"));
        assert_eq!(bench.delete(&path).await.json()["revoked_by"], "first");
        assert_eq!(as_token(&bench, "GET", "/api/v1/whoami", Some(&secret)).await.status, 401);
        expect![[r#"
            404 unknown-token: there is no token `nobody`
              to mend: `tidemill tokens list` shows them with their ids"#]]
        .assert_eq(&bench.delete("/api/v1/tokens/nobody").await.problem());
    });
}

#[test]
fn a_token_for_nobody_or_for_a_time_that_is_past_is_refused() {
    block_on(async {
        let bench = Bench::start().await;
        for (asked, code) in [
            (json!({"name": " ", "role": "viewer"}), "422 bad-token-name"),
            (json!({"name": "x\n", "role": "viewer", "expires_at": "2001-01-01"}), "422 bad-time"),
            (json!({"name": "x", "role": "viewer", "expires_at": "soon"}), "422 bad-time"),
            (json!({"name": "x", "role": "king"}), "400 bad-request"),
            (json!({"name": "x", "role": "viewer", "rolle": 1}), "400 bad-request"),
        ] {
            let answer = bench.json("POST", "/api/v1/tokens", &asked).await;
            assert!(answer.problem().starts_with(code), "{}", answer.problem());
        }
    });
}
