//! Whether an address may be connected to, asked right before it is.
//!
//! Addresses that are written out and answers of the DNS have been judged before they came into a
//! table; they are judged again here, because this is the one place that nothing gets past. Looking
//! names up is not done here, nor anywhere else on a worker.

use std::net::SocketAddr;

use super::dial::{DialError, Route};
use crate::model::refused_address;

/// Where a route leads, and where the same host is in the other family.
///
/// # Errors
///
/// When there is no address yet, or it is refused. A twin that is refused is left out.
pub(super) fn permitted(route: &Route) -> Result<(SocketAddr, Option<SocketAddr>), DialError> {
    let address = route.address.ok_or(DialError::Unresolved)?;
    let refused = |address: &SocketAddr| refused_address(address.ip(), &route.allowed);
    if refused(&address) {
        return Err(DialError::Refused(address.ip()));
    }
    Ok((address, route.twin.filter(|twin| !refused(twin))))
}
