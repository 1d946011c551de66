//! From a tree to the structs of a pipeline file, collecting what is wrong.

use super::{
    ColumnDecl, Header, LimitsDecl, Literal, NodeDecl, ParameterDecl, PipelineFile, ResourcesDecl, RetryDecl,
    SourceDecl,
};
use crate::cell::Cell;
use crate::data_type::{data_type, data_type_names};
use crate::field::Setting;
use crate::fields::{Entries, Fields};
use crate::file_names::check_name;
use crate::nearest::did_you_mean;
use crate::reference::References;
use crate::sweep::SweepDecl;
use crate::text::{At, Offset, Problems};
use crate::tree::{Entry, Kind, Tree};
use crate::{Code, ColumnSpec};

impl PipelineFile {
    pub(crate) fn read(entries: Vec<Entry>, problems: &mut Problems<'_>) -> Self {
        let mut root = Fields::root(entries);
        let pipeline = Header::read(root.take("pipeline"), problems);
        let tasks = root.entries("tasks", problems, |name, tree, problems| {
            read_string(&format!("component of task `{name}`"), &tree, problems)
        });
        let parameters = root.entries("parameters", problems, ParameterDecl::read);
        let sources = root.entries("sources", problems, SourceDecl::read);
        let nodes = root.entries("nodes", problems, NodeDecl::read);
        let sweep = SweepDecl::read(root.take("sweep"), problems);
        root.finish(problems);
        Self { pipeline, tasks, parameters, sources, nodes, sweep }
    }
}

fn read_string(name: &str, tree: &Tree, problems: &mut Problems<'_>) -> Option<At<String>> {
    match String::from_value(&tree.to_value()) {
        Ok(it) => Some(At::new(it, tree.at)),
        Err(wrong) => {
            problems.add(tree.at, wrong.code, format!("{name} {}", wrong.what), wrong.mend);
            None
        }
    }
}

fn summary(fields: &mut Fields, problems: &mut Problems<'_>) -> String {
    fields.literal::<String>("summary", problems).map(|it| it.value).unwrap_or_default()
}

impl Header {
    fn read(tree: Option<Tree>, problems: &mut Problems<'_>) -> Self {
        let mut header = Self { name: String::new(), summary: String::new() };
        let Some(tree) = tree else {
            let mend = "begin the file with `[pipeline]` and `name = \"…\"`";
            problems.add(0, Code("missing-key"), "the pipeline file lacks `[pipeline]`", mend);
            return header;
        };
        let Some(mut fields) = Fields::of("`pipeline`", tree, problems) else { return header };
        if let Some(name) = fields.required::<String>("name", problems) {
            check_name("pipeline", &name.value, name.at, problems);
            header.name = name.value;
        }
        header.summary = summary(&mut fields, problems);
        fields.finish(problems);
        header
    }
}

impl ParameterDecl {
    fn read(name: &str, tree: Tree, problems: &mut Problems<'_>) -> Option<Self> {
        let mut fields = Fields::of(&format!("parameter `{name}`"), tree, problems)?;
        let kind = fields.required("type", problems);
        let items = fields.literal("items", problems).map(|it| Literal(it.value));
        let mut value = |key| fields.take(key).map(|it| At::new(it.to_value(), it.at));
        let (default, minimum, maximum) = (value("default"), value("minimum"), value("maximum"));
        let choices = match fields.take("choices") {
            None => Vec::new(),
            Some(Tree { kind: Kind::List(items), .. }) => items.iter().map(Tree::to_value).collect(),
            Some(other) => {
                let what = format!("{} is {}, not a list", fields.name("choices"), other.kind_name());
                problems.add(other.at, Code("wrong-type"), what, "write the values allowed, as `[1, 2]`");
                Vec::new()
            }
        };
        let summary = summary(&mut fields, problems);
        fields.finish(problems);
        Some(Self { kind: Literal(kind?.value), items, default, minimum, maximum, choices, summary })
    }
}

impl SourceDecl {
    fn read(name: &str, tree: Tree, problems: &mut Problems<'_>) -> Option<Self> {
        let what = format!("source `{name}`");
        let mut fields = Fields::of(&what, tree, problems)?;
        let (path_at, table_at) = (fields.at_of("path"), fields.at_of("table"));
        let table = fields.field("table", problems);
        let path = match table_at {
            Some(_) => fields.field("path", problems),
            None => fields.required_field("path", problems),
        };
        let format_at = fields.at_of("format");
        let format = fields.field("format", problems);
        if let (Some(_), Some(at)) = (table_at, path_at.or(format_at)) {
            let key = if path_at.is_some() { "path" } else { "format" };
            let problem = format!("{what} has a `table` and a `{key}`");
            let mend =
                "a source reads files, by `path`, or a table of the service, by `table`: leave one out";
            problems.add(at, Code("source-place"), problem, mend);
        }
        let time_index = fields.field("time_index", problems);
        let knowledge_time = fields.field("knowledge_time", problems);
        let identifiers =
            fields.strings("identifiers", problems).map(|it| it.into_iter().map(|it| it.value).collect());
        let sort = fields.field("sort", problems);
        let mirror = fields.field("mirror", problems);
        let columns = fields.entries("columns", problems, |column, tree, problems| {
            ColumnDecl::read(&format!("column `{column}` of {what}"), tree, problems)
        });
        fields.finish(problems);
        (path.is_some() || table.is_some()).then_some(Self {
            format,
            path,
            table,
            time_index,
            knowledge_time,
            identifiers,
            sort,
            mirror,
            columns,
        })
    }
}

impl ColumnDecl {
    fn read(what: &str, tree: Tree, problems: &mut Problems<'_>) -> Option<Self> {
        if let Kind::String(text) = tree.kind {
            check_data_type(what, &text, tree.at, problems);
            return Some(Self(ColumnSpec { data_type: text, finite: false, nullable: true }));
        }
        let mut fields = Fields::of(what, tree, problems)?;
        let data_type = fields.required::<String>("type", problems);
        let finite = fields.literal("finite", problems).is_some_and(|it| it.value);
        let nullable = fields.literal("nullable", problems).is_none_or(|it| it.value);
        fields.finish(problems);
        let data_type = data_type?;
        check_data_type(what, &data_type.value, data_type.at, problems);
        Some(Self(ColumnSpec { data_type: data_type.value, finite, nullable }))
    }
}

fn check_data_type(what: &str, text: &str, at: Offset, problems: &mut Problems<'_>) {
    if data_type(text).is_none() {
        let what = format!("{what} has the unknown type `{text}`");
        problems.add(at, Code("unknown-data-type"), what, did_you_mean(text, "type", data_type_names()));
    }
}

impl NodeDecl {
    fn read(name: &str, tree: Tree, problems: &mut Problems<'_>) -> Option<Self> {
        let what = format!("node `{name}`");
        let mut fields = Fields::of(&what, tree, problems)?;
        let task = fields.required("task", problems);
        let inputs = fields.entries("inputs", problems, |port, tree, problems| {
            References::read(&format!("input `{port}` of {what}"), tree, problems)
        });
        let cell = |_: &str, tree: Tree, problems: &mut Problems<'_>| {
            Some(At::new(Cell::of(&tree, problems), tree.at))
        };
        let parameters = fields.entries("parameters", problems, cell);
        let for_each: Entries<At<Cell>> = fields.entries("for_each", problems, cell);
        let identity_ignore = fields.strings("identity_ignore", problems).unwrap_or_default();
        let node = Self {
            task: task.unwrap_or_else(|| At::new(String::new(), fields.at)),
            inputs,
            parameters,
            for_each,
            look_back: fields.field("look_back", problems),
            identity_ignore,
            write_mode: fields.field("write_mode", problems),
            mirror: fields.field("mirror", problems),
            first_time: fields.field("first_time", problems),
            corrections: fields.field("corrections", problems),
            timeout: fields.field("timeout", problems),
            priority: fields.field("priority", problems),
            resources: ResourcesDecl::read(&mut fields, problems),
            limits: LimitsDecl::read(&mut fields, problems),
            retry: RetryDecl::read(&mut fields, problems),
            summary: summary(&mut fields, problems),
        };
        fields.finish(problems);
        Some(node)
    }
}

/// The table at a key of a node.
fn inner(fields: &mut Fields, key: &'static str, problems: &mut Problems<'_>) -> Option<Fields> {
    let tree = fields.take(key)?;
    Fields::of(&fields.name(key), tree, problems)
}

impl ResourcesDecl {
    fn read(node: &mut Fields, problems: &mut Problems<'_>) -> Option<Self> {
        let mut fields = inner(node, "resources", problems)?;
        let (cpus, memory) = (fields.field("cpus", problems), fields.field("memory", problems));
        let at = fields.at;
        fields.finish(problems);
        Some(Self { cpus, memory, at })
    }
}

impl LimitsDecl {
    fn read(node: &mut Fields, problems: &mut Problems<'_>) -> Option<Self> {
        let mut fields = inner(node, "limits", problems)?;
        let limits = Self {
            output: fields.field("output", problems),
            log: fields.field("log", problems),
            fuel: fields.field("fuel", problems),
        };
        fields.finish(problems);
        Some(limits)
    }
}

impl RetryDecl {
    fn read(node: &mut Fields, problems: &mut Problems<'_>) -> Option<Self> {
        let mut fields = inner(node, "retry", problems)?;
        let retry = Self {
            policy: fields.field("policy", problems),
            max: fields.field("max", problems),
            delay: fields.field("delay", problems),
            max_delay: fields.field("max_delay", problems),
            jitter: fields.field("jitter", problems),
            at: fields.at,
        };
        fields.finish(problems);
        Some(retry)
    }
}
