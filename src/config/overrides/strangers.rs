//! Names that begin with `RHUMB_` and were set by somebody who does not know of settings.
//!
//! Kubernetes describes every service of a namespace to every container in variables. With a
//! service called `rhumb` or `rhumb-admin` they begin as ours do, and must keep nobody from
//! starting.

/// Whether Kubernetes sets a variable of this name and value for a service.
pub(super) fn is_of_a_service(name: &str, value: Option<&str>) -> bool {
    if name.ends_with("_SERVICE_HOST") || name.contains("_SERVICE_PORT") {
        return true;
    }
    // `RHUMB_PORT=tcp://10.0.0.1:80`, `RHUMB_PORT_80_TCP_ADDR=10.0.0.1`
    let has_scheme = |value: &str| {
        ["tcp://", "udp://", "sctp://"].iter().any(|scheme| value.starts_with(scheme))
    };
    if name.ends_with("_PORT") && value.is_some_and(has_scheme) {
        return true;
    }
    let Some((_, port)) = name.rsplit_once("_PORT_") else { return false };
    let mut parts = port.split('_');
    let is_port = parts.next().is_some_and(|part| part.parse::<u16>().is_ok());
    let is_transport = parts.next().is_some_and(|part| matches!(part, "TCP" | "UDP" | "SCTP"));
    let is_detail = parts.next().is_none_or(|part| matches!(part, "ADDR" | "PORT" | "PROTO"));
    is_port && is_transport && is_detail && parts.next().is_none()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_kubernetes_says_of_services_is_told_from_settings() {
        for (name, value, expected) in [
            ("RHUMB_SERVICE_HOST", "10.0.0.1", true),
            ("RHUMB_SERVICE_PORT", "80", true),
            ("RHUMB_ADMIN_SERVICE_PORT_HTTP", "80", true),
            ("RHUMB_PORT", "tcp://10.0.0.1:80", true),
            ("RHUMB_ADMIN_PORT", "udp://10.0.0.1:80", true),
            ("RHUMB_PORT", "80", false),
            ("RHUMB_PORT_80_TCP", "tcp://10.0.0.1:80", true),
            ("RHUMB_PORT_80_TCP_ADDR", "10.0.0.1", true),
            ("RHUMB_PORT_80_SCTP_PROTO", "sctp", true),
            ("RHUMB_PORT_80_TCP_ADR", "10.0.0.1", false),
            ("RHUMB_PORT_80_TCP_ADDR_X", "10.0.0.1", false),
            ("RHUMB_PORT_99999_TCP", "x", false),
            ("RHUMB_PORT_80_HTTP", "x", false),
            ("RHUMB_WORKERS", "4", false),
            ("RHUMB_ADMIN_ADRESS", "tcp://10.0.0.1:80", false),
        ] {
            assert_eq!(is_of_a_service(name, Some(value)), expected, "{name}={value}");
        }
        assert!(!is_of_a_service("RHUMB_PORT", None));
    }
}
