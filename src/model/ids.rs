//! Names and numbers by which parts of the configuration are known.
//!
//! Names are reference-counted so that a decision, an event or a metric can carry one without
//! copying it. They are not validated here: `config` does that, with a position to report.

use std::borrow::Borrow;
use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

macro_rules! name {
    ($(#[$doc:meta])* $type:ident) => {
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $type(Arc<str>);

        impl $type {
            /// The name as text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl From<&str> for $type {
            fn from(text: &str) -> Self {
                Self(text.into())
            }
        }

        impl From<String> for $type {
            fn from(text: String) -> Self {
                Self(text.into())
            }
        }

        impl Borrow<str> for $type {
            fn borrow(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(&self.0)
            }
        }

        impl fmt::Debug for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Debug::fmt(&*self.0, f)
            }
        }
    };
}

name! {
    /// A region's id, such as `eu-west-1`.
    RegionId
}
name! {
    /// A deployment's name, unique in a configuration.
    DeploymentName
}
name! {
    /// A rule's id, unique in its deployment.
    RuleId
}
name! {
    /// A tenant, as requests name it.
    TenantId
}
name! {
    /// A compliance framework, in lower case, such as `gdpr`.
    Framework
}

/// A small number that stands for one endpoint address for as long as any table names it.
///
/// Workers keep their pools in a plain vector by this number. It may be given to another address
/// once no table names the old one, so a holder compares the address as well.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
#[serde(transparent)]
pub struct EndpointId(pub u32);

impl EndpointId {
    /// The number as an index.
    pub fn index(self) -> usize {
        self.0 as usize
    }
}
