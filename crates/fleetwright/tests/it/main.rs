//! Everything that the facade promises, from the outside.

#![expect(
    clippy::unwrap_used,
    reason = "what fails while a test is set up ends the test"
)]

mod discovery;
mod errors;
mod examples;
mod paths;
mod reference;
mod schema;
mod secrets;
mod session;
mod typos;
