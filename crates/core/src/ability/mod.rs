//! Optional abilities: small traits that a provider may have.

mod balancers;
mod catalog;
mod dns;
mod groups;
mod interruptions;
mod quotas;
mod requests;

pub use balancers::{Balancer, Balancers, Member, MemberHealth};
pub use catalog::{Catalog, Offering};
pub use dns::{Dns, DnsRecord, RecordKind};
pub use groups::{Group, GroupMember, GroupSpec, Groups};
pub use interruptions::{Interruption, InterruptionKind, Interruptions};
pub use quotas::{Quota, Quotas};
pub use requests::Requests;
