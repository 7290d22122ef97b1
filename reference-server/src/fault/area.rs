//! The faults, by the part of the protocol that they break.

pub mod create;
pub mod departure;
pub mod door;
pub mod entry;
pub mod error;
pub mod frame;
pub mod list;
pub mod message;
pub mod noise;
pub mod packet;
pub mod robust;
pub mod room;
