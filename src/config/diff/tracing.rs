//! The fields of traces as path and text.

use super::fields::Writer;
use crate::config::settings::{Otlp, Tracing};

/// Which requests are traced, and who is told.
pub(super) fn tracing(tracing: Option<&Tracing>, out: &mut Writer) {
    let Some(Tracing { otlp, sample, parents, service_name }) = tracing else { return };
    let Otlp { url, path, tls, timeout } = &**otlp;
    out.put("tracing.otlp.endpoint", format!("{url}{path}"));
    out.put_some("tracing.otlp.ca", tls.ca.as_ref().map(|file| file.display()));
    out.seconds("tracing.otlp.timeout_seconds", *timeout);
    out.put("tracing.sample", sample);
    out.put("tracing.parent", parents.as_str());
    out.put("tracing.service_name", service_name);
}
