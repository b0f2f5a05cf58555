//! A fake server for a vendor's HTTP API, with faults, a record, and an official judge.
//!
//! ```text
//!  provider ──HTTP──► Server ──► Description judges the request ──► violations
//!                       │ fault? ──► reset, delay, 429, 5xx, truncated, garbage
//!                       ▼
//!                     World::answer  (yours: state, paging, limits, lag)
//!                       │
//!                       └──► Description judges the reply ──► violations
//! ```
//! What an author writes is a [`World`]: a type with the vendor's state behind a mutex, and one
//! function from [`Request`] to [`Reply`]. The rest is here:
//!
//! ```
//! use std::sync::{Arc, Mutex};
//! use fleetwright_rest::testing::{Fault, Reply, Request, Server, Trouble, World};
//! use serde_json::json;
//!
//! #[derive(Default)]
//! struct Cloud {
//!     names: Mutex<Vec<String>>,
//! }
//!
//! impl World for Cloud {
//!     fn answer(&self, request: &Request) -> Reply {
//!         let mut names = self.names.lock().unwrap();
//!         match (request.method(), request.segments().as_slice()) {
//!             ("GET", ["v1", "servers"]) => Reply::json(200, &json!({ "servers": *names })),
//!             ("POST", ["v1", "servers"]) => {
//!                 names.push(request.json()["name"].as_str().unwrap().to_owned());
//!                 Reply::json(201, &json!({ "id": names.len() }))
//!             }
//!             _ => Reply::json(404, &json!({ "error": "not found" })),
//!         }
//!     }
//! }
//!
//! let cloud = Arc::new(Cloud::default());
//! let server = Server::start(Arc::clone(&cloud) as Arc<dyn World>, None);
//! // The second `POST` to any server from now on takes effect, and its answer is lost.
//! server.fault(Fault::new("POST", "/v1/servers", Trouble::ResetAfter).after(1));
//! // ... let the provider work on `server.url()`, then:
//! server.assert_no_violations();
//! ```
//!
//! # The judge
//! [`Description::find`] reads an official OpenAPI description (3.0 or 3.1) that stands beside the
//! checkout, in `../shared/specs/`. Given to [`Server::start`], it judges every request that
//! arrives and every reply that the world gives: method, path, path and query parameters, body,
//! status. What is not documented is a violation, in both directions. Violations are collected,
//! each once; a test ends with [`Server::assert_no_violations`]. Where the description is absent,
//! `find` prints `skipped: no description` and gives `None`: the fake works all the same.
//!
//! [`Prism`] is a second judge of the same description, for whole suites.

mod description;
mod exchange;
mod fault;
mod prism;
mod schema;
mod server;
mod wire;

pub use description::{Description, Prose, skipped};
pub use exchange::{Exchange, Reply, Request};
pub use fault::{Fault, Trouble};
pub use prism::Prism;
pub use server::{Server, World};
