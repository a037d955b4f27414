//! Leaf value types that every other module speaks: ids, places, clients, health, limits, names of
//! endpoints, refused networks, codings, lists.
//!
//! Deliberately without I/O, without parsing of whole documents and without policy: a type lives
//! here when two modules that may not know each other both need the word.

mod client;
mod coding;
mod edge;
mod geography;
mod health;
mod ids;
pub mod limits;
pub mod list;
mod names;
mod networks;
mod token;

pub use client::{Client, ClientSource};
pub use coding::Coding;
pub use edge::{ConnectionRefusal, Flood, Handshake, Shed};
pub use geography::{
    Continent, Coordinates, Country, EARTH_RADIUS_KM, Location, LocationSource, Subdivision,
};
pub use health::{EndpointSignal, RegionState, SignalKind};
pub use ids::{DeploymentName, EndpointId, Framework, RegionId, RuleId, TenantId};
pub use names::{Place, Places, Question, Sought};
pub use networks::{RefusedNetwork, is_ever_refused, refused_address, refused_network};
pub use token::TokenRefusal;
