//! Responses that are compressed on their way to the client: whether, how, and what the head then
//! says.
//!
//! ```text
//! Accept-Encoding ── negotiate ──┐
//!                                ├── terms ── fields ──> head
//! head of the response ─ eligible┘     │
//!                                    stream (codec) ───> body
//! ```
//!
//! Everything but [`Stream`] is pure, and that one knows no body but the one it is given. Not here:
//! which deployment compresses what (`config`), and where bodies come from and go (`proxy`).

mod codec;
mod eligible;
mod fields;
mod negotiate;
mod stock;
mod stream;
mod terms;
#[cfg(test)]
mod tests;

pub use codec::CodecError;
pub use negotiate::negotiate;
pub use stock::{Loan, Stock};
pub use stream::Stream;
pub use terms::Asked;

/// What tests say of a head.
#[cfg(test)]
fn headers(fields: &[(&'static str, &str)]) -> http::HeaderMap {
    let mut headers = http::HeaderMap::new();
    for (name, value) in fields {
        let value = http::HeaderValue::from_str(value).unwrap();
        headers.append(http::HeaderName::from_static(name), value);
    }
    headers
}
