//! The server as its clients see it, over real sockets on loopback.

mod faults;
mod flows;
mod http;
mod playground;
mod program;
mod readings;
mod support;
mod trouble;
