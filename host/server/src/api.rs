//! The REST interface: every resource in a file of its own, put together here with who may do what.

mod audit;
mod collect;
mod components;
mod events;
mod files;
mod health;
mod lake;
mod mirrors;
mod pipelines;
mod run_artefacts;
mod run_links;
mod run_logs;
mod runs;
mod table_rows;
mod tables;
mod tags;
mod tokens;

use axum::Router;
use axum::middleware::from_fn_with_state;
use tidemill_store::Role;
use tower_http::catch_panic::CatchPanicLayer;
use tower_http::sensitive_headers::SetSensitiveRequestHeadersLayer;
use utoipa::openapi::security::{HttpAuthScheme, HttpBuilder, SecurityScheme};
use utoipa::{Modify, OpenApi};
use utoipa_axum::router::OpenApiRouter;
use utoipa_swagger_ui::SwaggerUi;

use crate::context::Context;
use crate::{guard, observe, wire};

pub(crate) use mirrors::no_mirror;

pub(crate) const OPENAPI: &str = "/api/v1/openapi.json";
pub(crate) const DOCS: &str = "/api/v1/docs";

#[derive(OpenApi)]
#[openapi(
    info(
        title = "Tidemill",
        description = "Runs pipelines of sandboxed data tasks. Lists come in parts: `next` of one is `cursor` of the \
                       following. What goes wrong is answered as `application/problem+json` with a stable `code`."
    ),
    modifiers(&Bearer),
    security(("token" = [])),
    components(schemas(wire::ProblemBody))
)]
struct Document;

struct Bearer;

impl Modify for Bearer {
    fn modify(&self, openapi: &mut utoipa::openapi::OpenApi) {
        let bearer = HttpBuilder::new().scheme(HttpAuthScheme::Bearer).build();
        let components = openapi.components.get_or_insert_default();
        components.add_security_scheme("token", SecurityScheme::Http(bearer));
    }
}

/// Routes by who may use them. A resource adds each of its routes to one of these, so that none is open by oversight.
#[derive(Default)]
struct Routes {
    viewer: OpenApiRouter<Context>,
    operator: OpenApiRouter<Context>,
    admin: OpenApiRouter<Context>,
    /// For operators as well; they watch the time themselves, part by part.
    upload: OpenApiRouter<Context>,
    /// For admins; they take as long as they take.
    upkeep: OpenApiRouter<Context>,
}

impl Routes {
    fn merge(self, other: Self) -> Self {
        Self {
            viewer: self.viewer.merge(other.viewer),
            operator: self.operator.merge(other.operator),
            admin: self.admin.merge(other.admin),
            upload: self.upload.merge(other.upload),
            upkeep: self.upkeep.merge(other.upkeep),
        }
    }
}

/// All of it: the interface behind tokens, its description, health.
pub(crate) fn router(context: &Context) -> Router {
    let routes = [
        audit::routes(),
        collect::routes(),
        components::routes(),
        events::routes(),
        files::routes(),
        lake::routes(),
        mirrors::routes(),
        pipelines::routes(),
        run_artefacts::routes(),
        run_links::routes(),
        run_logs::routes(),
        runs::routes(),
        table_rows::routes(),
        tables::routes(),
        tags::routes(),
        tokens::routes(),
    ]
    .into_iter()
    .fold(Routes::default(), Routes::merge);
    let timed = |routes: OpenApiRouter<Context>, role: Role| {
        routes
            .route_layer(from_fn_with_state(context.clone(), observe::time_out))
            .route_layer(from_fn_with_state(role, guard::require))
    };
    let behind_tokens = OpenApiRouter::with_openapi(Document::openapi())
        .merge(timed(routes.viewer.merge(health::metrics_route()), Role::Viewer))
        .merge(timed(routes.operator, Role::Operator))
        .merge(timed(routes.admin, Role::Admin))
        .merge(routes.upload.route_layer(from_fn_with_state(Role::Operator, guard::require)))
        .merge(routes.upkeep.route_layer(from_fn_with_state(Role::Admin, guard::require)))
        .route_layer(from_fn_with_state(context.clone(), guard::guard));
    let (router, openapi) = behind_tokens.merge(health::routes()).split_for_parts();
    router
        .merge(SwaggerUi::new(DOCS).url(OPENAPI, openapi))
        .fallback(observe::unknown_path)
        .method_not_allowed_fallback(observe::unknown_method)
        .layer(from_fn_with_state(context.clone(), observe::limit))
        .layer(CatchPanicLayer::custom(observe::panicked))
        .layer(from_fn_with_state(context.clone(), observe::observe))
        .layer(SetSensitiveRequestHeadersLayer::new([axum::http::header::AUTHORIZATION]))
        .with_state(context.clone())
}
