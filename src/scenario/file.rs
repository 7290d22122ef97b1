//! The shapes of a protocol folder's files, as people write them. `chatspec schema` prints these types as a JSON Schema.

use schemars::generate::SchemaSettings;
use schemars::transform::transform_subschemas;
use schemars::{JsonSchema, Schema, json_schema};
use serde::Deserialize;

use super::step_file::StepShape;
use super::yaml::{Names, Node, Pairs, Spanned};
use crate::requirement::Level;

/// The JSON Schema of a file shape. Wherever a shape stands, `$name` may stand too: a case's value or an argument.
pub fn schema<T: JsonSchema>() -> Schema {
    fn placeable(schema: &mut Schema) {
        transform_subschemas(&mut placeable, schema);
        let place = |shape: &mut serde_json::Value| {
            if shape.is_object() {
                *shape = json_schema!({"anyOf": [shape.clone(), {"type": "string", "pattern": "^\\$"}]}).to_value();
            }
        };
        if let Some(properties) = schema.get_mut("properties").and_then(|properties| properties.as_object_mut()) {
            properties.values_mut().for_each(place);
        }
        if let Some(items) = schema.get_mut("items") {
            place(items);
        }
    }
    let mut schema = SchemaSettings::draft2020_12().into_generator().into_root_schema_for::<T>();
    placeable(&mut schema);
    schema
}

/// `requirements.yaml`: the protocol and its statements.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct RequirementsFile {
    pub protocol: ProtocolShape,
    /// Every text that the document lists for an answer; an answer that isn't among them is shown with the nearest.
    #[serde(default)]
    pub texts: Vec<String>,
    pub requirements: Vec<RequirementShape>,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct ProtocolShape {
    pub name: String,
    /// The port of the HTTP listener, for a target of which only the WebSocket address is given.
    pub http_port: u16,
    /// The port of the WebSocket listener, for a target of which only the HTTP address is given.
    pub ws_port: u16,
    /// The requirement that opening a WebSocket connection needs, unless a step says otherwise.
    #[serde(default)]
    pub connecting: Option<Spanned<String>>,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct RequirementShape {
    pub id: Spanned<String>,
    pub level: Level,
    /// The statement, in one sentence of one's own.
    pub text: String,
    /// Where the document says it.
    pub place: String,
    /// The readings that bear on it.
    #[serde(default)]
    pub readings: Names,
}

/// `readings.yaml`: what the document leaves open, and how a target's answer is found out.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct ReadingsFile {
    pub readings: Vec<ReadingShape>,
    #[serde(default)]
    pub facts: Vec<FactShape>,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct ReadingShape {
    pub id: Spanned<String>,
    pub question: String,
    /// Each value with what it means, the preferred first.
    pub values: Pairs<String>,
    /// What must be found out first.
    #[serde(default)]
    pub after: Names,
    /// Where this doesn't hold, the question doesn't arise.
    #[serde(default)]
    pub when: Pairs<Node>,
    /// Small scenarios. One with a `value` shows that value by passing; one without reads the values by `reads`.
    pub probes: Vec<ProbeShape>,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct ProbeShape {
    /// The value that holds if the steps pass.
    #[serde(default)]
    pub value: Option<Spanned<String>>,
    /// It counts only where no other probe shows a value: a guess at what a broken target means.
    #[serde(default)]
    pub weak: bool,
    #[serde(default)]
    pub actors: Names,
    #[serde(default)]
    pub names: Option<Node>,
    #[serde(default)]
    pub when: Pairs<Node>,
    #[schemars(with = "Vec<StepShape>")]
    pub steps: Vec<Node>,
}

/// Something else to know about a target: a number that the probe's steps find.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct FactShape {
    pub id: Spanned<String>,
    pub title: String,
    #[serde(default)]
    pub after: Names,
    /// The capture that holds the number when the steps have passed.
    pub value: Spanned<String>,
    /// A number as large as this means "above what was searched".
    pub bound: u64,
    pub probe: ProbeShape,
}

/// `requests.yaml`: the named HTTP requests.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct RequestsFile {
    /// Ways to send a request, by the values of the reading that decides between them.
    pub ways: Pairs<WayShape>,
    /// What every answer must have, unless a step says otherwise.
    #[serde(default)]
    pub answers: AnswersShape,
    pub requests: Pairs<RequestShape>,
}

#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct AnswersShape {
    #[serde(default)]
    pub status: Option<Node>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Placing {
    Query,
    Form,
    Json,
}

#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct WayShape {
    pub method: String,
    pub parameters: Placing,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct RequestShape {
    pub path: String,
    #[serde(default)]
    pub parameters: Vec<String>,
    /// The reading whose values are the ways in which this request may be sent.
    pub ways: Spanned<String>,
    /// Parameters whose type in a JSON body is a reading's value: `number` or `string`.
    #[serde(default)]
    pub json_types: Pairs<Spanned<String>>,
}

/// `fences.yaml`: exchanges whose answers come after everything that came before.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct FencesFile {
    /// The readings that must be found out first.
    #[serde(default)]
    pub after: Names,
    pub fences: Vec<FenceShape>,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct FenceShape {
    pub id: Spanned<String>,
    pub title: String,
    /// Whether it needs a place that the actor is in, given by `in:`.
    #[serde(default)]
    pub needs_place: bool,
    /// The exchange. `$actor` is who does it, `$token` a text that is never used twice, `$place` what `in:` gives.
    #[schemars(with = "Vec<StepShape>")]
    pub steps: Vec<Node>,
    /// Shows whether it works with a target.
    pub probe: ProbeShape,
}

/// A file of `fragments/`: steps to be used by scenarios, with arguments.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct FragmentFile {
    pub id: Spanned<String>,
    pub title: String,
    #[serde(default)]
    pub arguments: Names,
    #[schemars(with = "Vec<StepShape>")]
    pub steps: Vec<Node>,
}

/// When a scenario is played.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Turn {
    /// Before anything is done that isn't needed for it, so that it may find a target to which nobody has come yet.
    Early,
    /// Together with others.
    #[default]
    Any,
    /// After most others, together with others of its kind: what may keep a target from serving anybody for a while.
    Late,
    /// At the end, and while no other scenario is.
    Alone,
}

/// A scenario: who does what, and what must come of it.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct ScenarioFile {
    /// It never changes: `area.behaviour`.
    pub id: Spanned<String>,
    pub title: String,
    /// Why the scenario is as it is, for its readers.
    #[serde(default)]
    pub notes: Option<String>,
    /// Why the scenario stays although others catch all that it is known to catch.
    #[serde(default)]
    pub stays: Option<String>,
    /// The users; `$ann` is ann's user name on the wire.
    #[serde(default)]
    pub actors: Names,
    /// Other names that must be fresh in each run: a list, or a map that gives the text that each begins with.
    #[serde(default)]
    pub names: Option<Node>,
    /// Limits the scenario to targets that follow a reading or have a fact.
    #[serde(default)]
    pub when: Pairs<Node>,
    /// Rows, each a case of its own: `case` is its ID, every other key replaces `$key` in the steps.
    #[serde(default)]
    pub cases: Option<Vec<Node>>,
    /// When it is played, unless whenever its turn comes.
    #[serde(default)]
    pub turn: Turn,
    #[schemars(with = "Vec<StepShape>")]
    pub steps: Vec<Node>,
}
