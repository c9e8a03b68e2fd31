//! The control socket: how clients talk to the daemon, and what they say.
//!
//! It carries requests and replies and bounds what a peer can cost; it decides nothing. The daemon
//! binds a [`Listener`] and gets [`Call`]s; every command line is a [`Client`].

pub mod agent_view;
mod client;
pub mod cost_view;
mod daemon_view;
mod doing;
mod event;
mod explained;
pub mod failover;
pub mod frame;
mod health;
pub mod inside;
pub mod items;
pub mod message;
mod peer;
mod server;
mod socket;
pub mod steer;
pub mod view;

pub use client::{Client, ClientError, Line, Step};
pub use event::WatchEvent;
pub use inside::Inside;
pub use items::ItemsAsk;
pub use message::{Environment, Failure, FailureKind, Reply, Request, Submit};
pub use peer::Peer;
pub use server::{CONNECTIONS_MAX, Call, EVENTS_WAITING_MAX, Gone, Listener, Responder};
pub use socket::{PATH_BYTES_MAX, SocketError, check_length, check_private, private_directory};
