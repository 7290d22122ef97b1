//! chatspec checks servers against the chatroom protocol, statement by statement.
//!
//! *Actors perform steps against a target; what is observed is recorded; pure functions turn records into verdicts;
//! reporters render them.* The modules in reading order:
//!
//! Data, with no I/O: [`requirement`], [`reading`], [`scenario`], [`matcher`], [`known`], [`verdict`], [`matrix`], [`stats`], [`ledger`],
//! [`event`].
//! The outside world: [`wire`]. The engines: [`conformance`], [`sensitivity`], [`load`], [`explore`]. Output: [`report`]. For
//! the schedulers of other machines: [`cluster`]. The edge: [`cli`].
//!
//! A module uses only what stands before it in that order.

pub mod requirement;

pub mod reading;

pub mod scenario;

pub mod matcher;

pub mod known;

pub mod verdict;

pub mod matrix;

pub mod stats;

pub mod ledger;

pub mod event;

pub mod wire;

pub mod conformance;

pub mod sensitivity;

pub mod load;

pub mod explore;

pub mod report;

pub mod cluster;

pub mod cli;
