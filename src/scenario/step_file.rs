//! The shape of a step, as people write it.

use schemars::JsonSchema;
use serde::Deserialize;

use super::yaml::{Lasting, Names, Node, Pairs, Spanned};

/// A step: one verb, and what it proves or needs.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct StepShape {
    /// The requirements that this step proves: its failure is a violation.
    #[serde(default)]
    pub proves: Names,
    /// The requirements that this step needs: its failure is a could-not-test.
    #[serde(default)]
    pub needs: Names,
    /// Limits the step to targets that follow a reading or have a fact.
    #[serde(default)]
    pub when: Pairs<Node>,

    /// Does the steps of a fragment.
    #[serde(default, rename = "use")]
    pub use_: Option<Spanned<String>>,
    /// The fragment's arguments.
    #[serde(default)]
    pub with: Option<Pairs<Node>>,
    /// A named HTTP request.
    #[serde(default)]
    pub request: Option<CallShape>,
    /// Any HTTP request.
    #[serde(default)]
    pub http: Option<HttpShape>,
    /// Opens the WebSocket connections of these actors.
    #[serde(default)]
    pub connect: Option<Names>,
    /// Opens a plain byte stream to a listener, with no handshake.
    #[serde(default)]
    pub open: Option<OpenShape>,
    /// Sends a data message.
    #[serde(default)]
    pub send: Option<SendShape>,
    /// Sends one frame, well-formed or not.
    #[serde(default)]
    pub frame: Option<FrameShape>,
    /// Sends bytes as they are.
    #[serde(default)]
    pub bytes: Option<BytesShape>,
    /// Waits for what an actor receives.
    #[serde(default)]
    pub receive: Option<ReceiveShape>,
    /// Makes sure, by a fence, that nothing more comes.
    #[serde(default)]
    pub nothing_more: Option<NothingMoreShape>,
    /// Waits, by a fence, until everything sent so far was dealt with.
    #[serde(default)]
    pub fence: Option<FenceCallShape>,
    /// Holds every data message that these actors have received against a pattern.
    #[serde(default)]
    pub all_received: Option<AllReceivedShape>,
    /// Sends a close frame.
    #[serde(default)]
    pub close: Option<CloseShape>,
    /// Ends these actors' connections with a TCP reset.
    #[serde(default)]
    pub abort: Option<Names>,
    /// Ends these actors' connections without a close frame.
    #[serde(default)]
    pub hang_up: Option<Names>,
    /// These actors stop reading.
    #[serde(default)]
    pub pause: Option<Names>,
    /// These actors read again.
    #[serde(default)]
    pub resume: Option<Names>,
    /// Does things at once.
    #[serde(default)]
    pub at_once: Option<AtOnceShape>,
    /// Does steps several times.
    #[serde(default)]
    pub repeat: Option<RepeatShape>,
    /// Does steps again and again until all of them pass.
    #[serde(default)]
    pub eventually: Option<EventuallyShape>,
    /// Holds a value against a pattern.
    #[serde(default)]
    pub check: Option<CheckShape>,
    /// Measures the memory of the target's process, in bytes; only where the harness itself started it.
    #[serde(default)]
    pub memory: Option<MemoryShape>,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct CallShape {
    pub actor: Spanned<String>,
    /// The request's name in requests.yaml.
    pub call: Spanned<String>,
    /// The parameters; one left out is not sent.
    #[serde(default)]
    pub with: Pairs<Node>,
    /// The way to send it, instead of the first that the target accepts.
    #[serde(default)]
    pub way: Option<Spanned<String>>,
    /// In a JSON body, the parameters keep the types that they have here.
    #[serde(default)]
    pub as_written: bool,
    #[serde(default)]
    pub status: Option<Node>,
    #[serde(default)]
    pub answer: Option<Node>,
    #[serde(default)]
    pub text: Option<Node>,
    #[serde(default)]
    pub headers: Option<Pairs<Node>>,
    #[serde(default)]
    pub one_of: Option<Vec<AlternativeShape>>,
    #[serde(default)]
    pub within: Option<Lasting>,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct HttpShape {
    pub actor: Spanned<String>,
    pub method: Node,
    /// What follows the target's HTTP address, sent as it stands.
    pub path: Node,
    #[serde(default)]
    pub send_headers: Pairs<Node>,
    #[serde(default)]
    pub body: Option<Node>,
    #[serde(default)]
    pub status: Option<Node>,
    #[serde(default)]
    pub answer: Option<Node>,
    #[serde(default)]
    pub text: Option<Node>,
    #[serde(default)]
    pub headers: Option<Pairs<Node>>,
    #[serde(default)]
    pub one_of: Option<Vec<AlternativeShape>>,
    #[serde(default)]
    pub within: Option<Lasting>,
}

/// One of several things that may come.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct AlternativeShape {
    /// HTTP: the status code.
    #[serde(default)]
    pub status: Option<Node>,
    /// HTTP: the JSON of the body.
    #[serde(default)]
    pub answer: Option<Node>,
    /// HTTP: headers.
    #[serde(default)]
    pub headers: Option<Pairs<Node>>,
    /// WebSocket: a text message that holds this JSON.
    #[serde(default)]
    pub packet: Option<Node>,
    /// The text of a message, or the body of an answer.
    #[serde(default)]
    pub text: Option<Node>,
    /// WebSocket: a binary message, as hexadecimal text.
    #[serde(default)]
    pub binary: Option<Node>,
    /// WebSocket: a pong with this payload.
    #[serde(default)]
    pub pong: Option<Node>,
    /// The connection ends.
    #[serde(default)]
    pub end: Option<EndShape>,
    /// A byte stream: everything received so far, as text.
    #[serde(default)]
    pub stream: Option<Node>,
    /// Nothing of the other kinds comes; a fence tells.
    #[serde(default)]
    pub nothing: bool,
    /// The readings that this alternative shows.
    #[serde(default)]
    pub reads: Pairs<Spanned<String>>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum EndKind {
    /// A close frame.
    Close,
    /// The stream ends without one.
    Eof,
    /// A TCP reset.
    Reset,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct EndShape {
    /// In which ways; any, unless told.
    #[serde(default)]
    pub how: Vec<EndKind>,
    /// The close code; 1005 stands for a close frame without one.
    #[serde(default)]
    pub code: Option<Node>,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct OpenShape {
    pub actor: Spanned<String>,
    pub listener: Listener,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Listener {
    Http,
    Ws,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct SendShape {
    pub actor: Spanned<String>,
    /// A text message that holds this JSON.
    #[serde(default)]
    pub packet: Option<Node>,
    /// A text message.
    #[serde(default)]
    pub text: Option<Node>,
    /// A binary message of this text's bytes.
    #[serde(default)]
    pub binary: Option<Node>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum OpcodeShape {
    Continuation,
    Text,
    Binary,
    Close,
    Ping,
    Pong,
    Reserved,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct FrameShape {
    pub actor: Spanned<String>,
    pub opcode: OpcodeShape,
    /// Whether the message ends with this frame; it does unless told.
    #[serde(default)]
    pub fin: Option<bool>,
    /// Whether the payload is masked, as a client's must be; it is unless told.
    #[serde(default)]
    pub masked: Option<bool>,
    /// Sets the first reserved bit.
    #[serde(default)]
    pub reserved_bit: bool,
    #[serde(default)]
    pub text: Option<Node>,
    #[serde(default)]
    pub hex: Option<Spanned<String>>,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct BytesShape {
    pub actor: Spanned<String>,
    #[serde(default)]
    pub text: Option<Node>,
    #[serde(default)]
    pub hex: Option<Spanned<String>>,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct ReceiveShape {
    /// Who receives it; each of several does.
    pub actor: Names,
    #[serde(default)]
    pub packet: Option<Node>,
    #[serde(default)]
    pub text: Option<Node>,
    #[serde(default)]
    pub binary: Option<Node>,
    #[serde(default)]
    pub pong: Option<Node>,
    #[serde(default)]
    pub end: Option<EndShape>,
    #[serde(default)]
    pub stream: Option<Node>,
    #[serde(default)]
    pub one_of: Option<Vec<AlternativeShape>>,
    /// Packets that come in this order; others may come between them.
    #[serde(default)]
    pub in_order: Option<Vec<Node>>,
    /// Instead of `--timeout`.
    #[serde(default)]
    pub within: Option<Lasting>,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct NothingMoreShape {
    pub actors: Names,
    /// Only packets such as this must not come.
    #[serde(default)]
    pub packet: Option<Node>,
    /// Only messages with such a text must not come.
    #[serde(default)]
    pub text: Option<Node>,
    /// A place that all these actors are in, for the fences that need one.
    #[serde(default, rename = "in")]
    pub place: Option<Node>,
    /// Actors whose exchanges are waited for too; everyone who is connected, unless told.
    #[serde(default)]
    pub after: Option<Names>,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct FenceCallShape {
    pub actors: Names,
    #[serde(default, rename = "in")]
    pub place: Option<Node>,
    /// This fence and no other; for its probe.
    #[serde(default)]
    pub only: Option<Spanned<String>>,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct AllReceivedShape {
    pub actors: Names,
    /// Every data message is a text that holds such JSON.
    pub packet: Node,
    /// Only of those packets that match this.
    #[serde(default)]
    pub of: Option<Node>,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct CloseShape {
    pub actor: Spanned<String>,
    #[serde(default)]
    pub code: Option<u16>,
    #[serde(default)]
    pub reason: Option<String>,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct AtOnceShape {
    /// Different steps, begun together.
    #[serde(default)]
    #[schemars(with = "Option<Vec<StepShape>>")]
    pub steps: Option<Vec<Node>>,
    /// One request, so many times.
    #[serde(default)]
    pub times: Option<Node>,
    /// What `$name` the number of the time has, from 1.
    #[serde(default, rename = "as")]
    pub counter: Option<Spanned<String>>,
    #[serde(default)]
    pub request: Option<CallShape>,
    /// So many of the answers…
    #[serde(default)]
    pub exactly: Option<Node>,
    /// …match this…
    #[serde(default)]
    pub answer: Option<Node>,
    /// …and all others this.
    #[serde(default)]
    pub others: Option<Node>,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct RepeatShape {
    /// At most so many times.
    pub times: Node,
    /// What `$name` the number of the time has, from 1.
    #[serde(default, rename = "as")]
    pub counter: Option<Spanned<String>>,
    /// What `$name` the number of full rounds has in the end.
    #[serde(default)]
    pub count: Option<Spanned<String>>,
    /// It ends as soon as this holds; such a round isn't counted.
    #[serde(default)]
    pub until: Option<CheckShape>,
    #[schemars(with = "Vec<StepShape>")]
    pub steps: Vec<Node>,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct EventuallyShape {
    #[serde(default)]
    pub within: Option<Lasting>,
    #[schemars(with = "Vec<StepShape>")]
    pub steps: Vec<Node>,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct CheckShape {
    pub that: Node,
    pub is: Node,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct MemoryShape {
    /// What `$name` the number of bytes has.
    #[serde(rename = "as")]
    pub name: Spanned<String>,
}
