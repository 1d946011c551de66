//! Plans a source: a node of its own that writes one table.

use std::collections::BTreeMap;
use std::rc::Rc;

use crate::columns::KnownColumns;
use crate::family::Members;
use crate::fields::{Entries, Named};
use crate::file::SourceDecl;
use crate::identity::{Recipe, RecipeWork};
use crate::mirror::{self, Mirror};
use crate::planner::{Group, GroupOutput, GroupState, Planner, Twins};
use crate::settings::Settings;
use crate::source::format_of_path;
use crate::text::At;
use crate::{Code, FamilyKey, PlanNode, PlanTable, Problem, SourcePlace, SourceSpec, TableName, Work};

/// The port of a source.
const PORT: &str = "output";

impl<'p> Planner<'p, '_> {
    pub(crate) fn plan_source(&mut self, source: &'p Named<SourceDecl>) -> Group {
        let resolved = self.source_spec(source).and_then(|spec| Ok((spec, self.source_mirror(source)?)));
        let (spec, mirror) = match resolved {
            Ok(it) => it,
            Err(problem) => {
                self.problems.push(problem.at, problem.value);
                return Group::failed();
            }
        };
        let columns = KnownColumns::of_source(&source.value, spec.time_index.as_deref());
        let recipe = Recipe { task: &source.name, work: RecipeWork::Source(&spec) };
        let id = recipe.table_id(PORT);
        let update_id = recipe.update_id();
        let settings = Settings::of_source(&self.machine);
        let mut node = PlanNode {
            name: source.name.clone(),
            family: source.name.clone(),
            key: Vec::new(),
            inputs: Vec::new(),
            outputs: vec![PlanTable {
                port: PORT.to_owned(),
                name: TableName::new(&source.name, None, &id),
                id,
                // Only reading tells: what is declared leaves the index open.
                columns: None,
                time_index: spec.time_index.clone(),
                identifiers: spec.identifiers.clone().unwrap_or_default(),
                mirror: None,
            }],
            work: Work::Source(spec),
            update_id,
            resources: settings.resources,
            limits: settings.limits,
            timeout_ms: settings.timeout_ms,
            retry: settings.retry,
            write_mode: settings.write_mode,
            first_time: settings.first_time,
            corrections: settings.corrections,
            priority: settings.priority,
        };
        let assigned = mirror.map_or(Ok(()), |it| mirror::assign(&source.name, &it, &mut node.outputs));
        if let Err(problem) = assigned {
            self.problems.push(source.at, problem);
            return Group::failed();
        }
        if self.check_mirrors(source.at, &node).is_none() {
            return Group::failed();
        }
        let position = self.nodes.len();
        let twin = self.writers.get(&id).copied().filter(|_| self.twins == Twins::Shared);
        if twin.is_none() {
            self.writers.insert(id, position);
            self.nodes.push(node);
        }
        let seen_as = self.seen_as(&source.name, &[FamilyKey::new()]);
        Group {
            nodes: vec![twin.unwrap_or(position)],
            seen_as,
            state: GroupState::Planned,
            members: Members::new(&Entries::new(), std::iter::empty()),
            keys: Vec::new(),
            outputs: Some(Rc::new([GroupOutput { port: PORT.to_owned(), columns }])),
        }
    }

    fn source_mirror(&mut self, source: &'p Named<SourceDecl>) -> Result<Option<Mirror>, At<Problem>> {
        let mirror = source.value.mirror.as_ref();
        mirror.map(|it| it.resolve(&mut self.expressions, &self.scope)).transpose()
    }

    fn source_spec(&mut self, source: &Named<SourceDecl>) -> Result<SourceSpec, At<Problem>> {
        let decl = &source.value;
        let (expressions, scope) = (&mut self.expressions, &self.scope);
        let table = decl.table.as_ref().map(|it| it.resolve(expressions, scope)).transpose()?;
        let place = match (table, &decl.path) {
            (Some(table), _) => SourcePlace::Table { table: TableName(table) },
            (None, Some(path)) => {
                let path = path.resolve(expressions, scope)?;
                let named = decl.format.as_ref().map(|it| it.resolve(expressions, scope)).transpose()?;
                let Some(format) = named.or_else(|| format_of_path(&path)) else {
                    return Err(At::new(unknown_format(&source.name, &path), source.at));
                };
                SourcePlace::Files { format, path }
            }
            (None, None) => unreachable!("a source without a place is not read from the file"),
        };
        let columns: BTreeMap<_, _> =
            decl.columns.iter().map(|it| (it.name.clone(), it.value.0.clone())).collect();
        Ok(SourceSpec {
            place,
            time_index: decl.time_index.as_ref().map(|it| it.resolve(expressions, scope)).transpose()?,
            knowledge_time: decl
                .knowledge_time
                .as_ref()
                .map(|it| it.resolve(expressions, scope))
                .transpose()?,
            identifiers: decl.identifiers.clone(),
            columns,
            sort: decl.sort.as_ref().map(|it| it.resolve(expressions, scope)).transpose()?.unwrap_or(false),
        })
    }
}

fn unknown_format(source: &str, path: &str) -> Problem {
    let what = format!("source `{source}`: the path `{path}` does not tell the format");
    let mend = "add `format = \"parquet\"`, `\"csv\"`, `\"arrow\"` or `\"json-lines\"`";
    Problem::new(Code("unknown-format"), what, mend)
}
