//! Components and tags.

use serde::{Deserialize, Serialize};
use serde_json::Value;
use tidemill_plan::{Arity, data_type_name};
use utoipa::ToSchema;

/// What a component says of itself.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct ComponentDescription {
    pub name: String,
    pub summary: String,
    /// BLAKE3 of the file.
    pub digest: String,
    pub bytes: u64,
    /// The version of the task contract that it was built against.
    pub contract: String,
    /// A JSON Schema.
    pub parameters: Value,
    pub inputs: Vec<ComponentInput>,
    pub outputs: Vec<ComponentOutput>,
    pub hints: ComponentHints,
    pub imports: Vec<String>,
    pub capabilities: Vec<String>,
}

#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct ComponentInput {
    pub name: String,
    pub summary: String,
    /// `one`, `optional` or `many`.
    pub arity: String,
    /// Those that must be there; empty: any table.
    pub columns: Vec<ComponentColumn>,
}

#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct ComponentOutput {
    pub name: String,
    pub summary: String,
    /// `null`: only running decides.
    pub columns: Option<Vec<ComponentColumn>>,
    pub time_index: Option<String>,
    pub identifiers: Vec<String>,
}

#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct ComponentColumn {
    pub name: String,
    #[serde(rename = "type")]
    pub data_type: String,
    pub nullable: bool,
}

#[derive(Clone, Copy, Debug, Serialize, Deserialize, ToSchema)]
pub struct ComponentHints {
    pub memory_bytes: Option<u64>,
}

/// A component of the registry.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct Component {
    #[serde(flatten)]
    pub description: ComponentDescription,
    /// Those that point at it.
    pub tags: Vec<String>,
    #[schema(format = DateTime)]
    pub pushed_at: String,
    pub pushed_by: String,
}

/// A component in a list.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct ComponentSummary {
    pub name: String,
    pub digest: String,
    pub summary: String,
    pub bytes: u64,
    pub tags: Vec<String>,
    #[schema(format = DateTime)]
    pub pushed_at: String,
    pub pushed_by: String,
}

#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct PushedComponent {
    /// False where the component was known already; its tags moved all the same.
    pub is_new: bool,
    pub component: Component,
}

/// Where a tag points.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct Tag {
    pub name: String,
    pub tag: String,
    pub digest: String,
    #[schema(format = DateTime)]
    pub moved_at: String,
    pub moved_by: String,
}

/// Where a tag is to point.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct SetTag {
    pub digest: String,
}

/// One time that a tag was set or taken away.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct TagChange {
    /// `null`: taken away.
    pub digest: Option<String>,
    #[schema(format = DateTime)]
    pub at: String,
    pub who: String,
}

/// What to collect.
#[derive(Clone, Copy, Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct CollectRequest {
    /// Only say what would go.
    #[serde(default)]
    pub dry_run: bool,
}

/// What nothing referred to.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct Collected {
    /// Digests of components.
    pub components: Vec<String>,
    /// Digests of files of pipelines.
    pub files: Vec<String>,
    pub bytes: u64,
}

impl ComponentDescription {
    #[must_use]
    pub fn of(component: &tidemill_sandbox::Component) -> Self {
        let it = component.description();
        let columns = |schema: &arrow::datatypes::Schema| {
            let column = |it: &arrow::datatypes::FieldRef| ComponentColumn {
                name: it.name().clone(),
                data_type: data_type_name(it.data_type()),
                nullable: it.is_nullable(),
            };
            schema.fields().iter().map(column).collect()
        };
        let input = |it: &tidemill_plan::InputPort| ComponentInput {
            name: it.name.clone(),
            summary: it.summary.clone(),
            arity: arity(it.arity).to_owned(),
            columns: columns(&it.columns),
        };
        let output = |it: &tidemill_plan::OutputPort| ComponentOutput {
            name: it.name.clone(),
            summary: it.summary.clone(),
            columns: it.columns.as_deref().map(columns),
            time_index: it.time_index.clone(),
            identifiers: it.identifiers.clone(),
        };
        Self {
            name: it.name.clone(),
            summary: it.summary.clone(),
            digest: component.digest().to_string(),
            bytes: component.size_bytes(),
            contract: component.contract().to_owned(),
            parameters: it.parameters.clone(),
            inputs: it.inputs.iter().map(input).collect(),
            outputs: it.outputs.iter().map(output).collect(),
            hints: ComponentHints { memory_bytes: it.hints.memory_bytes },
            imports: component.imports().to_vec(),
            capabilities: component.capabilities().to_vec(),
        }
    }
}

fn arity(it: Arity) -> &'static str {
    match it {
        Arity::One => "one",
        Arity::Optional => "optional",
        Arity::Many => "many",
    }
}
