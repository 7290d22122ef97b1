//! A protocol as a folder of files: requirements, readings, requests, fences, fragments and scenarios.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use include_dir::{Dir, include_dir};
use indexmap::IndexMap;
use sha2::{Digest, Sha256};

use super::declarations::{Declarations, Fragment, NamedRequest, OWN_SERVER, Way};
use super::decode::decode;
use super::file::{FactShape, FencesFile, FragmentFile, ReadingsFile, RequestsFile, RequirementsFile, ScenarioFile};
use super::lower::Lowering;
use super::pattern::Pattern;
use super::source::{Diagnostic, Diagnostics, Source, Span, suggest};
use super::step::{Scenario, Step};
use super::template::{Meaning, Symbols};
use super::yaml::{Names, Node, parse};
use crate::reading::{Condition, Reading};
use crate::requirement::{Registry, Requirement, RequirementId};

/// The suite that the binary carries.
static EMBEDDED: Dir<'_> = include_dir!("$CARGO_MANIFEST_DIR/scenarios");

/// A protocol, its scenarios, and all that is needed to play them.
#[derive(Debug)]
pub struct Protocol {
    pub name: String,
    pub http_port: u16,
    pub ws_port: u16,
    pub declarations: Declarations,
    /// What every HTTP answer's status must match, unless a step says otherwise.
    pub answer_status: Option<Pattern>,
    pub readings: Vec<ReadingPlan>,
    pub facts: Vec<FactPlan>,
    pub fences: Vec<Fence>,
    /// The readings that must be found out before the fences are tried.
    pub fences_after: Vec<String>,
    pub scenarios: Vec<Scenario>,
    /// SHA-256 of all files, hexadecimal: two logs of one suite are comparable.
    pub hash: String,
    /// Whether the scenarios are a user's own, on the declarations that the binary carries.
    pub overlay: bool,
}

/// How a reading is found out.
#[derive(Debug)]
pub struct ReadingPlan {
    pub reading: Reading,
    pub after: Vec<String>,
    pub when: Vec<Condition>,
    pub probes: Vec<Probe>,
}

/// What a reading names in `after` to be probed when the fences are known.
pub const FENCES: &str = "fences";

/// How a fact is found out.
#[derive(Debug)]
pub struct FactPlan {
    pub id: String,
    pub title: String,
    pub after: Vec<String>,
    pub value: String,
    pub bound: u64,
    pub probe: Scenario,
}

#[derive(Debug)]
pub struct Probe {
    /// The value that the probe shows by passing; without one, its steps read it.
    pub value: Option<String>,
    /// It counts only where no other probe shows a value.
    pub weak: bool,
    pub scenario: Scenario,
}

/// An exchange whose answer comes after everything before it.
#[derive(Debug)]
pub struct Fence {
    pub id: String,
    pub title: String,
    pub needs_place: bool,
    /// Actor 0 is whoever needs the fence; `$token` and `$place` are given when it is used.
    pub steps: Vec<Step>,
    pub probe: Scenario,
}

/// Why a protocol could not be loaded.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    #[error("{} can't be read: {source}", path.display())]
    Unreadable { path: PathBuf, source: std::io::Error },
    #[error("{} holds no scenario (files that end in .yaml, in folders by area)", path.display())]
    Empty { path: PathBuf },
    #[error("{} error(s) in the scenario files", .0.len())]
    Wrong(Vec<Diagnostic>),
}

impl Protocol {
    /// The protocol that the binary carries.
    ///
    /// # Errors
    /// Only where the binary was built with a wrong file, which the project's tests exclude.
    pub fn embedded() -> Result<Self, LoadError> {
        lower(&embedded_sources())
    }

    /// A folder's protocol; one without a requirements.yaml brings scenarios (and fragments) for the embedded protocol.
    ///
    /// # Errors
    /// A folder that can't be read or holds no scenario, or all that is wrong with its files.
    pub fn from_dir(dir: &Path) -> Result<Self, LoadError> {
        let own = sources_below(dir)?;
        if own.iter().any(|source| source.0 == "requirements.yaml") {
            let protocol = lower(&own)?;
            if protocol.scenarios.is_empty() {
                return Err(LoadError::Empty { path: dir.to_owned() });
            }
            return Ok(protocol);
        }
        let mut sources = embedded_sources();
        sources.retain(|(path, _)| !is_scenario(path));
        sources.extend(own);
        let mut protocol = lower(&sources)?;
        if protocol.scenarios.is_empty() {
            return Err(LoadError::Empty { path: dir.to_owned() });
        }
        protocol.overlay = true;
        Ok(protocol)
    }

    /// A scenario that a program has made, on this protocol's declarations. It need not prove anything.
    ///
    /// # Errors
    /// All that is wrong with the text.
    pub fn generated(&self, source: Source, area: &str) -> Result<Scenario, Vec<Diagnostic>> {
        let node = parse(&Arc::new(source)).map_err(|diagnostic| vec![*diagnostic])?;
        let diagnostics = Diagnostics::default();
        let scenario = decode::<ScenarioFile>(&node, &diagnostics)
            .map(|file| Lowering { declarations: &self.declarations, diagnostics: &diagnostics }.generated(&file, area));
        match (diagnostics.into_sorted(), scenario) {
            (wrong, Some(scenario)) if wrong.is_empty() => Ok(scenario),
            (wrong, _) => Err(wrong),
        }
    }

    /// Requirements that no scenario proves.
    pub fn uncovered(&self) -> Vec<&Requirement> {
        let proved: BTreeSet<RequirementId> = self.scenarios.iter().flat_map(Scenario::proves).collect();
        self.declarations.registry.requirements.values().filter(|requirement| !proved.contains(&requirement.id)).collect()
    }

    /// The URL path and so on of a named request; the lowering has made sure that it exists.
    pub fn request(&self, name: &str) -> Option<&NamedRequest> {
        self.declarations.requests.get(name)
    }
}

/// A file by its path within the folder, with `/`.
type Located = (String, Arc<Source>);

fn embedded_sources() -> Vec<Located> {
    fn walk(dir: &Dir<'_>, into: &mut Vec<Located>) {
        for file in dir.files() {
            let path = file.path().to_string_lossy().replace('\\', "/");
            if let Some(text) = file.contents_utf8().filter(|_| is_of_suite(&path)) {
                let source = Source { name: format!("scenarios/{path}"), text: text.to_owned() };
                into.push((path, Arc::new(source)));
            }
        }
        dir.dirs().for_each(|dir| walk(dir, into));
    }
    let mut sources = Vec::new();
    walk(&EMBEDDED, &mut sources);
    sources.sort_by(|a, b| a.0.cmp(&b.0));
    sources
}

fn sources_below(root: &Path) -> Result<Vec<Located>, LoadError> {
    fn walk(root: &Path, dir: &Path, into: &mut Vec<Located>) -> Result<(), LoadError> {
        let unreadable = |path: &Path| {
            let path = path.to_owned();
            move |source| LoadError::Unreadable { path, source }
        };
        for entry in std::fs::read_dir(dir).map_err(unreadable(dir))? {
            let path = entry.map_err(unreadable(dir))?.path();
            if path.is_dir() {
                walk(root, &path, into)?;
                continue;
            }
            let within = path.strip_prefix(root).unwrap_or(&path).to_string_lossy().replace('\\', "/");
            if is_of_suite(&within) {
                let text = std::fs::read_to_string(&path).map_err(unreadable(&path))?;
                into.push((within, Arc::new(Source { name: path.display().to_string(), text })));
            }
        }
        Ok(())
    }
    let mut sources = Vec::new();
    if root.is_file() {
        let text = std::fs::read_to_string(root).map_err(|source| LoadError::Unreadable { path: root.to_owned(), source })?;
        let within = root.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        return Ok(vec![(within, Arc::new(Source { name: root.display().to_string(), text }))]);
    }
    walk(root, root, &mut sources)?;
    sources.sort_by(|a, b| a.0.cmp(&b.0));
    Ok(sources)
}

/// Profiles of loads lie beside the suite, and a changed one doesn't make it another.
fn is_of_suite(path: &str) -> bool {
    (path.ends_with(".yaml") || path.ends_with(".yml")) && !path.starts_with("load/")
}

const DECLARING: [&str; 4] = ["requirements.yaml", "readings.yaml", "requests.yaml", "fences.yaml"];

/// Everything but the declarations and the fragments.
fn is_scenario(path: &str) -> bool {
    !DECLARING.contains(&path) && !path.starts_with("fragments/") && path != "expected.yaml"
}

fn lower(sources: &[Located]) -> Result<Protocol, LoadError> {
    let diagnostics = Diagnostics::default();
    let trees: Vec<(&str, Node)> = sources
        .iter()
        .filter_map(|(path, source)| match parse(source) {
            Ok(node) => Some((path.as_str(), node)),
            Err(diagnostic) => {
                diagnostics.push(*diagnostic);
                None
            }
        })
        .collect();
    let find = |name: &str| trees.iter().find(|(path, _)| *path == name).map(|(_, node)| node);
    let requirements: Option<RequirementsFile> = find("requirements.yaml").and_then(|node| decode(node, &diagnostics));
    let readings: Option<ReadingsFile> = find("readings.yaml").and_then(|node| decode(node, &diagnostics));
    let requests: Option<RequestsFile> = find("requests.yaml").and_then(|node| decode(node, &diagnostics));
    let fences: Option<FencesFile> = find("fences.yaml").and_then(|node| decode(node, &diagnostics));
    let fragments: Vec<(&str, FragmentFile)> = trees
        .iter()
        .filter(|(path, _)| path.starts_with("fragments/"))
        .filter_map(|(path, node)| decode(node, &diagnostics).map(|file| (*path, file)))
        .collect();

    let declarations = declare(requirements.as_ref(), readings.as_ref(), requests.as_ref(), fences.as_ref(), &fragments, &diagnostics);
    let lowering = Lowering { declarations: &declarations, diagnostics: &diagnostics };
    let answer_status = requests
        .as_ref()
        .and_then(|file| file.answers.status.as_ref())
        .map(|node| Pattern::lower(node, &NoNames, &mut Vec::new(), &diagnostics));
    let reading_plans = readings.as_ref().map_or(Vec::new(), |file| reading_plans(file, &lowering));
    let fact_plans = readings.as_ref().map_or(Vec::new(), |file| file.facts.iter().map(|fact| fact_plan(fact, &lowering)).collect());
    let fence_plans = fences.as_ref().map_or(Vec::new(), |file| fence_plans(file, &lowering));

    let mut scenarios: Vec<Scenario> = Vec::new();
    for (path, node) in trees.iter().filter(|(path, _)| is_scenario(path)) {
        let Some(file) = decode::<ScenarioFile>(node, &diagnostics) else {
            continue;
        };
        let area = path.split_once('/').map_or("scenarios", |(area, _)| area);
        if let Some(other) = scenarios.iter().find(|other| other.id.split('/').next() == Some(file.id.value.as_str())) {
            diagnostics
                .error(&file.id.span, format!("the scenario `{}` is declared twice, the first time at {}", file.id.value, other.span));
        }
        scenarios.extend(lowering.scenario(&file, area));
    }

    let fences_after = fences.as_ref().map_or(Vec::new(), |file| after(&file.after, FENCES, &lowering));

    let all = diagnostics.into_sorted();
    if !all.is_empty() {
        return Err(LoadError::Wrong(all));
    }
    let mut hash = Sha256::new();
    for (path, source) in sources {
        hash.update(path.as_bytes());
        hash.update([0]);
        hash.update(source.text.as_bytes());
        hash.update([0]);
    }
    let protocol = requirements.as_ref().map(|file| &file.protocol);
    Ok(Protocol {
        name: protocol.map_or_else(String::new, |protocol| protocol.name.clone()),
        http_port: protocol.map_or(80, |protocol| protocol.http_port),
        ws_port: protocol.map_or(80, |protocol| protocol.ws_port),
        answer_status,
        readings: reading_plans,
        facts: fact_plans,
        fences: fence_plans,
        fences_after,
        scenarios,
        hash: hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect(),
        overlay: false,
        declarations,
    })
}

struct NoNames;

impl Symbols for NoNames {
    fn meaning(&self, _: &str) -> Option<Meaning> {
        None
    }
    fn known(&self) -> Vec<String> {
        Vec::new()
    }
}

fn declare(
    requirements: Option<&RequirementsFile>,
    readings: Option<&ReadingsFile>,
    requests: Option<&RequestsFile>,
    fences: Option<&FencesFile>,
    fragments: &[(&str, FragmentFile)],
    diagnostics: &Diagnostics,
) -> Declarations {
    let twice = |span: &Span, id: &str| diagnostics.error(span, format!("`{id}` is declared twice"));
    let mut declarations = Declarations::default();
    for shape in readings.map_or(&[][..], |file| &file.readings) {
        let values: IndexMap<String, String> = shape.values.0.iter().map(|(key, text)| (key.value.clone(), text.clone())).collect();
        let reading = Reading { id: shape.id.value.clone(), question: shape.question.clone(), values };
        if declarations.readings.insert(shape.id.value.clone(), reading).is_some() {
            twice(&shape.id.span, &shape.id.value);
        }
    }
    declarations.facts = vec![OWN_SERVER.to_owned()];
    declarations.facts.extend(readings.map_or(&[][..], |file| &file.facts).iter().map(|fact| fact.id.value.clone()));
    if let Some(file) = requirements {
        let mut registry = Registry { texts: file.texts.clone(), ..Registry::default() };
        for shape in &file.requirements {
            let id = RequirementId::new(&shape.id.value);
            known_readings(&shape.readings, &declarations, diagnostics);
            let requirement = Requirement {
                id: id.clone(),
                level: shape.level,
                text: shape.text.clone(),
                place: shape.place.clone(),
                readings: shape.readings.0.iter().map(|name| name.value.clone()).collect(),
            };
            if registry.requirements.insert(id, requirement).is_some() {
                twice(&shape.id.span, &shape.id.value);
            }
        }
        declarations.connecting = file.protocol.connecting.as_ref().map(|name| RequirementId::new(&name.value));
        if let (Some(id), Some(name)) = (&declarations.connecting, &file.protocol.connecting)
            && registry.get(id).is_none()
        {
            diagnostics.error(&name.span, format!("there is no requirement `{id}`"));
        }
        declarations.registry = registry;
    }
    if let Some(file) = requests {
        declarations.ways = file
            .ways
            .0
            .iter()
            .map(|(key, way)| (key.value.clone(), Way { method: way.method.clone(), parameters: way.parameters }))
            .collect();
        for (name, shape) in &file.requests.0 {
            known_readings(&Names(vec![shape.ways.clone()]), &declarations, diagnostics);
            for (_, reading) in &shape.json_types.0 {
                known_readings(&Names(vec![reading.clone()]), &declarations, diagnostics);
            }
            let request = NamedRequest {
                path: shape.path.clone(),
                parameters: shape.parameters.clone(),
                ways: shape.ways.value.clone(),
                json_types: shape.json_types.0.iter().map(|(key, reading)| (key.value.clone(), reading.value.clone())).collect(),
            };
            declarations.requests.insert(name.value.clone(), request);
        }
    }
    for (_, file) in fragments {
        let fragment = Fragment { arguments: file.arguments.0.iter().map(|name| name.value.clone()).collect(), steps: file.steps.clone() };
        if declarations.fragments.insert(file.id.value.clone(), fragment).is_some() {
            twice(&file.id.span, &file.id.value);
        }
    }
    declarations.fences = fences.map_or(Vec::new(), |file| file.fences.iter().map(|fence| fence.id.value.clone()).collect());
    declarations
}

fn known_readings(names: &Names, declarations: &Declarations, diagnostics: &Diagnostics) {
    for name in &names.0 {
        if !declarations.readings.contains_key(&name.value) {
            let help = suggest(&name.value, declarations.readings.keys().map(String::as_str).collect::<Vec<_>>());
            diagnostics.push(Diagnostic::new(&name.span, format!("no reading is called `{}`", name.value)).help(help));
        }
    }
}

/// What must be found out first: declared earlier in the file, so that the order of the file is an order to go by.
fn after(names: &Names, own: &str, lowering: &Lowering<'_>) -> Vec<String> {
    let readings = &lowering.declarations.readings;
    let known = |name: &str| name == FENCES || readings.contains_key(name) || lowering.declarations.facts.iter().any(|fact| fact == name);
    for name in &names.0 {
        let later = readings.get_index_of(&name.value) >= readings.get_index_of(own) && readings.contains_key(own);
        if !known(&name.value) || (readings.contains_key(&name.value) && later) {
            lowering.diagnostics.error(&name.span, format!("`{}` is not declared before `{own}`", name.value));
        }
    }
    names.0.iter().map(|name| name.value.clone()).collect()
}

fn reading_plans(file: &ReadingsFile, lowering: &Lowering<'_>) -> Vec<ReadingPlan> {
    let mut plans = Vec::new();
    for (shape, reading) in file.readings.iter().zip(lowering.declarations.readings.values()) {
        let mut probes = Vec::new();
        for probe in &shape.probes {
            if let Some(value) = &probe.value
                && !reading.values.contains_key(&value.value)
            {
                let help = suggest(&value.value, reading.values.keys().map(String::as_str).collect::<Vec<_>>());
                lowering
                    .diagnostics
                    .push(Diagnostic::new(&value.span, format!("`{}` is no value of {}", value.value, reading.id)).help(help));
            }
            let value = probe.value.as_ref().map(|value| value.value.clone());
            // The number keeps the names of two probes of one value apart.
            let number = probes.len() + 1;
            let id = match &value {
                Some(value) => format!("{}={value} #{number}", reading.id),
                None => format!("{} #{number}", reading.id),
            };
            let span = probe.value.as_ref().map_or(&shape.id.span, |value| &value.span);
            probes.push(Probe { scenario: lowering.probe(probe, &id, &reading.question, span), weak: probe.weak, value });
        }
        plans.push(ReadingPlan {
            after: after(&shape.after, &reading.id, lowering),
            when: lowering.conditions(&shape.when),
            reading: reading.clone(),
            probes,
        });
    }
    plans
}

fn fact_plan(shape: &FactShape, lowering: &Lowering<'_>) -> FactPlan {
    FactPlan {
        id: shape.id.value.clone(),
        title: shape.title.clone(),
        after: after(&shape.after, &shape.id.value, lowering),
        value: shape.value.value.clone(),
        bound: shape.bound,
        probe: lowering.probe(&shape.probe, &shape.id.value, &shape.title, &shape.id.span),
    }
}

fn fence_plans(file: &FencesFile, lowering: &Lowering<'_>) -> Vec<Fence> {
    file.fences
        .iter()
        .enumerate()
        .map(|(index, shape)| Fence {
            id: shape.id.value.clone(),
            title: shape.title.clone(),
            needs_place: shape.needs_place,
            steps: lowering.fence_steps(file, index),
            probe: lowering.probe(&shape.probe, &format!("fence {}", shape.id.value), &shape.title, &shape.id.span),
        })
        .collect()
}
