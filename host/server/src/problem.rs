//! Problems as answers: `application/problem+json` (RFC 9457) with our codes, each code with its status.

use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use tidemill_plan::{Code, Problem};
use tidemill_store::StoreError;

use crate::wire::{ProblemBody, ProblemPlace, SingleProblem};

/// What an answer says besides its body, for whoever counts and audits.
#[derive(Clone, Copy, Debug)]
pub(crate) struct AnsweredCode(pub(crate) Code);

/// One or several problems on their way out. Never empty.
#[derive(Clone, Debug)]
pub struct ApiProblem(Vec<Problem>);

/// The status of each code that does not say "what you sent is understood and wrong" (422).
const STATUSES: &[(StatusCode, &[&str])] = &[
    (StatusCode::BAD_REQUEST, &["bad-request", "bad-cursor", "upload-cut-off"]),
    (StatusCode::UNAUTHORIZED, &["no-token", "bad-token", "token-expired", "token-revoked"]),
    (StatusCode::FORBIDDEN, &["role-too-small"]),
    (
        StatusCode::NOT_FOUND,
        &[
            "unknown-artefact",
            "unknown-component",
            "unknown-file",
            "unknown-path",
            "unknown-pipeline",
            "unknown-run",
            "unknown-snapshot",
            "unknown-table",
            "unknown-tag",
            "unknown-token",
        ],
    ),
    (StatusCode::METHOD_NOT_ALLOWED, &["unknown-method"]),
    (StatusCode::NOT_ACCEPTABLE, &["not-acceptable"]),
    (StatusCode::REQUEST_TIMEOUT, &["request-timeout", "upload-stalled"]),
    (
        StatusCode::CONFLICT,
        &[
            "ambiguous-run",
            "component-in-use",
            "pipeline-in-use",
            "idempotency-conflict",
            "run-ended",
            "run-not-over",
            "table-conflict",
            "tag-fixed",
        ],
    ),
    (StatusCode::GONE, &["artefact-gone", "snapshot-expired"]),
    (StatusCode::PAYLOAD_TOO_LARGE, &["body-too-large"]),
    (StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE, &["too-many-headers"]),
    (StatusCode::UNSUPPORTED_MEDIA_TYPE, &["body-not-json"]),
    (
        StatusCode::INTERNAL_SERVER_ERROR,
        &[
            "compile-cache-unusable",
            "data-dir-unusable",
            "internal",
            "lake-not-writable",
            "log-unreadable",
            "manifest-unreadable",
            "run-record-unreadable",
            "store-unreadable",
            "table-damaged",
        ],
    ),
    (
        StatusCode::SERVICE_UNAVAILABLE,
        &[
            "disk-full",
            "host-fenced",
            "lake-io",
            "not-ready",
            "overloaded",
            "sandbox-unavailable",
            "store-busy",
            "store-closed",
            "store-not-writable",
            "store-unreachable",
            "table-replaced",
        ],
    ),
];

fn status_of(code: Code) -> StatusCode {
    let found = STATUSES.iter().find(|(_, codes)| codes.contains(&code.0));
    found.map_or(StatusCode::UNPROCESSABLE_ENTITY, |(status, _)| *status)
}

impl ApiProblem {
    pub(crate) fn new(code: Code, what: impl Into<String>, mend: impl Into<String>) -> Self {
        Self(vec![Problem::new(code, what, mend)])
    }

    /// The one that stands for all.
    #[must_use]
    pub fn into_first(self) -> Problem {
        self.0.into_iter().next().expect("at least one problem")
    }

    /// Where a pipeline names a component that cannot be had: the pipeline's problem. The service's own stay what they
    /// are.
    pub(crate) fn into_unknown_task(self, reference: &str) -> Result<Problem, Self> {
        if self.status().is_server_error() {
            return Err(self);
        }
        let Problem { code, what, mend, .. } = self.into_first();
        Ok(match code.0 {
            "unknown-component" | "unknown-tag" | "bad-component-name" => {
                let what = format!("task `{reference}` is not in the registry: {what}");
                Problem::new(Code("unknown-task"), what, mend)
            }
            _ => Problem::new(code, format!("task `{reference}`: {what}"), mend),
        })
    }

    /// Whether it has this code.
    pub(crate) fn is(&self, code: &str) -> bool {
        self.first().code.0 == code
    }

    fn first(&self) -> &Problem {
        self.0.first().expect("at least one problem")
    }

    #[must_use]
    pub fn status(&self) -> StatusCode {
        status_of(self.first().code)
    }
}

impl From<Problem> for ApiProblem {
    fn from(problem: Problem) -> Self {
        Self(vec![problem])
    }
}

impl From<Vec<Problem>> for ApiProblem {
    fn from(problems: Vec<Problem>) -> Self {
        assert!(!problems.is_empty(), "an answer that something is wrong says what");
        Self(problems)
    }
}

impl From<StoreError> for ApiProblem {
    fn from(error: StoreError) -> Self {
        error.problem().into()
    }
}

impl IntoResponse for ApiProblem {
    fn into_response(self) -> Response {
        let (status, code) = (self.status(), self.first().code);
        if status.is_server_error() {
            tracing::error!(code = code.0, what = self.first().what, "a request failed");
        }
        let body = ProblemBody::of(status.as_u16(), &self.0);
        let text = serde_json::to_vec(&body).expect("a problem is made of texts and numbers");
        let mut response = (status, text).into_response();
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
        if status == StatusCode::UNAUTHORIZED {
            headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        if status == StatusCode::SERVICE_UNAVAILABLE {
            headers.insert(header::RETRY_AFTER, HeaderValue::from_static("1"));
        }
        response.extensions_mut().insert(AnsweredCode(code));
        response
    }
}

impl ProblemBody {
    fn of(status: u16, problems: &[Problem]) -> Self {
        let first = SingleProblem::of(problems.first().expect("at least one problem"));
        let SingleProblem { code, title, detail, place } = first;
        let problems = match problems {
            [_] => Vec::new(),
            several => several.iter().map(SingleProblem::of).collect(),
        };
        Self { kind: format!("urn:tidemill:problem:{code}"), title, status, detail, code, place, problems }
    }
}

impl SingleProblem {
    pub(crate) fn of(problem: &Problem) -> Self {
        let place = problem.place.as_ref();
        Self {
            code: problem.code.0.to_owned(),
            title: problem.what.clone(),
            detail: Some(problem.mend.clone()).filter(|it| !it.is_empty()),
            place: place.map(|it| ProblemPlace { file: it.file.clone(), line: it.line, column: it.column }),
        }
    }
}
