//! The form of the event log as a JSON Schema, made from the types that write it.

use schemars::{Schema, SchemaGenerator};

use super::{Event, LOG_VERSION};

/// The schema that each line of a log follows. It is of this version of the log; a line that says another is no such line.
pub fn schema() -> Schema {
    let mut schema = SchemaGenerator::default().into_root_schema_for::<Event>();
    schema.insert("title".to_owned(), format!("A line of chatspec's event log, version {LOG_VERSION}").into());
    schema.insert(
        "description".to_owned(),
        "A log is a text of JSON lines. The first is `started`, the last `finished`; a log without its last line is not whole.".into(),
    );
    schema
}
