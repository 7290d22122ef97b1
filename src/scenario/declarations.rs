//! What a protocol folder declares, for scenarios to refer to.

use indexmap::IndexMap;

use super::file::Placing;
use super::yaml::Node;
use crate::reading::Reading;
use crate::requirement::{Registry, RequirementId};

/// Facts that the harness knows without a probe.
pub const OWN_SERVER: &str = "own-server";

/// A fragment as declared; its steps are lowered anew wherever it is used.
#[derive(Debug)]
pub struct Fragment {
    pub arguments: Vec<String>,
    pub steps: Vec<Node>,
}

/// A named request.
#[derive(Clone, Debug)]
pub struct NamedRequest {
    pub path: String,
    pub parameters: Vec<String>,
    /// The reading whose values are the ways to send it.
    pub ways: String,
    /// Parameters whose JSON type is a reading's value.
    pub json_types: Vec<(String, String)>,
}

/// A way to send a request.
#[derive(Clone, Debug)]
pub struct Way {
    pub method: String,
    pub parameters: Placing,
}

/// What a protocol folder declares, for scenarios to refer to.
#[derive(Debug, Default)]
pub struct Declarations {
    pub registry: Registry,
    pub connecting: Option<RequirementId>,
    pub readings: IndexMap<String, Reading>,
    pub facts: Vec<String>,
    pub requests: IndexMap<String, NamedRequest>,
    pub ways: IndexMap<String, Way>,
    pub fragments: IndexMap<String, Fragment>,
    pub fences: Vec<String>,
}
