//! The model against literal histories: what passes, and what is found under which requirement.

mod history;
mod order;
mod requests;
mod rooms;
