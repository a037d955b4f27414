//! The name, kind and help of every metric: the one list that documentation and tests read.

/// What kind of metric a name is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Only grows.
    Counter,
    /// Goes up and down.
    Gauge,
    /// Durations in seconds by bucket.
    Histogram,
}

/// A metric's identity.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Name {
    /// As scraped.
    pub name: &'static str,
    /// One sentence for people.
    pub help: &'static str,
    /// Its kind.
    pub kind: Kind,
    /// The names of its labels, in order.
    pub labels: &'static [&'static str],
}

macro_rules! names {
    ($($id:ident = $kind:ident $name:literal [$($label:literal),*] $help:literal;)*) => {
        $(
            #[doc = $help]
            pub const $id: Name = Name {
                name: $name,
                help: $help,
                kind: Kind::$kind,
                labels: &[$($label),*],
            };
        )*
        /// Every metric.
        pub const ALL: &[Name] = &[$($id),*];
    };
}

names! {
    REQUESTS = Counter "rhumb_requests_total" ["deployment", "region", "code"]
        "Requests answered, by the region that answered; without a region, Rhumb answered itself.";
    REQUEST_DURATION = Histogram "rhumb_request_duration_seconds" ["deployment", "region"]
        "From the end of the request head to the end of the response.";
    UPSTREAM_DURATION = Histogram "rhumb_upstream_duration_seconds" ["deployment", "region"]
        "From the start of an attempt to the head of its response.";
    DECISIONS = Counter "rhumb_decisions_total" ["deployment", "region", "reason"]
        "Decisions by the region that came first and the reason why.";
    RETRIES = Counter "rhumb_retries_total" ["deployment", "region"]
        "Attempts after the first, by the region that was tried.";
    UPSTREAM_FAILURES = Counter "rhumb_upstream_failures_total" ["deployment", "region", "kind"]
        "Attempts that failed before a response head came.";
    IN_FLIGHT = Gauge "rhumb_in_flight" ["deployment", "region"]
        "Requests that a region is answering now.";
    REGION_IN_FLIGHT = Gauge "rhumb_region_in_flight" ["region"]
        "Requests that a region is answering now, over all deployments and workers.";
    REGION_CAPACITY = Gauge "rhumb_region_capacity" ["region"]
        "Requests that a region may answer at once, where it has such a limit.";
    REGION_SPILLING = Gauge "rhumb_region_spilling" ["region"]
        "Whether a region was at its limit and has not been clearly below since.";
    MEASURED_CONNECT = Gauge "rhumb_measured_connect_seconds" ["region"]
        "Moving average of the time that connections to a region take to make.";
    MEASURED_CONNECT_AGE = Gauge "rhumb_measured_connect_age_seconds" ["region"]
        "Time since a connection to a region was last measured.";
    MEASURED_FIRST_BYTE = Gauge "rhumb_measured_first_byte_seconds" ["region"]
        "Moving average of the time from a request sent to the head of its response.";
    MEASURED_FIRST_BYTE_AGE = Gauge "rhumb_measured_first_byte_age_seconds" ["region"]
        "Time since a response of a region was last measured.";
    MEASURED_NETWORKS = Gauge "rhumb_measured_networks" []
        "Client networks whose times are remembered.";
    CONNECTIONS = Gauge "rhumb_connections" []
        "Client connections open now.";
    CONNECTIONS_ACCEPTED = Counter "rhumb_connections_accepted_total" []
        "Client connections accepted.";
    CONNECTIONS_REFUSED = Counter "rhumb_connections_refused_total" ["why"]
        "Client connections closed at once, by whose limit was reached.";
    SHED = Counter "rhumb_shed_total" ["why"]
        "Requests refused because of too much load, by what there was too little of.";
    MEMORY = Gauge "rhumb_memory_bytes" []
        "Memory that the process has.";
    MEMORY_USED = Gauge "rhumb_memory_used_bytes" []
        "Memory that something is in: what the limit is compared with.";
    MEMORY_LIMIT = Gauge "rhumb_memory_limit_bytes" []
        "Memory that the process may have, where there is a limit.";
    MEMORY_PRESSURE = Gauge "rhumb_memory_pressure" []
        "0: nothing is refused for lack of memory; 1: new connections and low priorities; 2: all that is new.";
    DESCRIPTORS = Gauge "rhumb_descriptors" []
        "Descriptors in use.";
    DESCRIPTORS_LIMIT = Gauge "rhumb_descriptors_limit" []
        "Descriptors that the process may use.";
    TLS_HANDSHAKES = Counter "rhumb_tls_handshakes_total" ["listener", "result"]
        "TLS handshakes with clients.";
    PROXY_PROTOCOL_ERRORS = Counter "rhumb_proxy_protocol_errors_total" ["listener"]
        "Connections closed because of their PROXY protocol header, or because they had none.";
    FLOODS = Counter "rhumb_floods_total" ["kind"]
        "HTTP/2 connections and streams that were cut because of what their client did too much of.";
    ACCEPT_FAILURES = Counter "rhumb_accept_failures_total" []
        "Failures to accept a connection, such as exhausted descriptors.";
    MALFORMED = Counter "rhumb_malformed_requests_total" []
        "Requests refused because they could not be read without doubt.";
    UPSTREAM_CONNECTIONS = Counter "rhumb_upstream_connections_total" []
        "Connections made to endpoints.";
    TUNNELS = Gauge "rhumb_tunnels" []
        "Connections and streams that have become tunnels and are open now.";
    COMPRESSED_RESPONSES = Counter "rhumb_compressed_responses_total" ["encoding"]
        "Responses that were compressed for their clients.";
    COMPRESSED_BYTES_IN = Counter "rhumb_compressed_bytes_in_total" ["encoding"]
        "Bytes of these responses as they came from origins.";
    COMPRESSED_BYTES_OUT = Counter "rhumb_compressed_bytes_out_total" ["encoding"]
        "Bytes of these responses as they went to clients.";
    COMPRESSION_REFUSED = Counter "rhumb_compression_refused_total" []
        "Responses that were not compressed because the worker's encoders had no memory left.";
    OBSERVATIONS_DROPPED = Counter "rhumb_observations_dropped_total" []
        "Failures seen by requests that the controller was too busy to hear of.";
    TOKENS_REFUSED = Counter "rhumb_tokens_refused_total" ["kind"]
        "Tokens of requests that were not believed.";
    RESIDENCY_REPORTED = Counter "rhumb_residency_reported_total" ["deployment", "region"]
        "Decisions for a region that a residency policy which only reports would not have allowed.";
    RESIDENCY_VIOLATIONS = Counter "rhumb_residency_violations_total" []
        "Attempts at a region that may not see the request, stopped before anything was sent.";
    TRACE_SPANS_EXPORTED = Counter "rhumb_trace_spans_exported_total" []
        "Spans that the receiver of traces has taken.";
    TRACE_SPANS_DROPPED = Counter "rhumb_trace_spans_dropped_total" ["why"]
        "Spans that were recorded and did not get to the receiver of traces.";
    ACCESS_LOG_LINES = Counter "rhumb_access_log_lines_total" []
        "Lines of the access log that were written.";
    ACCESS_LOG_DROPPED = Counter "rhumb_access_log_dropped_total" ["why"]
        "Lines of the access log that were not written, because of the queue or of the target.";
    WORKERS = Gauge "rhumb_workers" []
        "Data-plane threads.";
    REGION_STATE = Gauge "rhumb_region_state" ["deployment", "region", "state"]
        "1 for the state that a region is in, 0 for the others.";
    REGION_UP = Gauge "rhumb_region_up" ["deployment", "region"]
        "Whether new requests may go to a region.";
    ENDPOINT_UP = Gauge "rhumb_endpoint_up" ["deployment", "region", "endpoint"]
        "Whether an endpoint of a region passes its checks.";
    HEALTH_CHECKS = Counter "rhumb_health_checks_total" ["region", "result"]
        "Health checks made.";
    HEALTH_CHECK_DURATION = Histogram "rhumb_health_check_duration_seconds" ["region"]
        "Duration of health checks.";
    FAILOVERS = Counter "rhumb_failovers_total" ["deployment", "from", "to", "trigger"]
        "Regions taken out, with the region that takes their place in the listed order.";
    NAMES_LOOKUPS = Counter "rhumb_names_lookups_total" ["result"]
        "Lookups of names of endpoints, by what came of them.";
    NAMES_REFUSED = Counter "rhumb_names_refused_addresses_total" []
        "Addresses in answers that no endpoint may have, and that were left out.";
    NAMES_ADDRESSES = Gauge "rhumb_names_addresses" ["name"]
        "Addresses that a name of endpoints has, by its last good answer.";
    NAMES_FAILURES = Gauge "rhumb_names_failures" ["name"]
        "Lookups of a name in a row that brought no complete good answer.";
    NAMES_ANSWER_TIMESTAMP = Gauge "rhumb_names_answer_timestamp_seconds" ["name"]
        "When a name had its last good answer, in Unix time.";
    SHADOW_DECISIONS = Counter "rhumb_shadow_decisions_total" ["deployment", "result"]
        "Requests that the candidate decided as well, by how that compares.";
    CONFIG_GENERATION = Gauge "rhumb_config_generation" []
        "Generation of the routing table in use.";
    RELOADS = Counter "rhumb_reloads_total" ["file", "result"]
        "Files loaded again while running.";
    LAST_RELOAD_SUCCESSFUL = Gauge "rhumb_config_last_reload_successful" []
        "Whether the configuration, and every file it names, was valid when it was last read.";
    LAST_RELOAD_SUCCESS_TIMESTAMP = Gauge "rhumb_config_last_reload_success_timestamp_seconds" []
        "When a configuration was last accepted, in Unix time.";
    UPGRADES = Counter "rhumb_upgrades_total" ["result"]
        "Upgrades of the binary: those that failed here, and the one that brought this process.";
    GEOIP_BUILD_TIMESTAMP = Gauge "rhumb_geoip_build_timestamp_seconds" ["database"]
        "When a GeoIP database in use was built, in Unix time.";
    GEOIP_AGE = Gauge "rhumb_geoip_age_seconds" ["database"]
        "Time since a GeoIP database in use was built.";
    GEOIP_DATABASES = Gauge "rhumb_geoip_databases" ["state"]
        "GeoIP databases by what their age means; expired ones are not asked.";
    LATENCY_ROWS = Gauge "rhumb_latency_rows" ["state"]
        "Rows of the latency table by what their age means; expired ones are passed over.";
    LATENCY_OLDEST_AGE = Gauge "rhumb_latency_oldest_age_seconds" []
        "Age of the oldest row of the latency table that says when it was measured.";
    TENANTS = Gauge "rhumb_tenants" []
        "Tenants that have a home.";
    TENANTS_AGE = Gauge "rhumb_tenants_age_seconds" []
        "Time since the file of tenants was last modified.";
    TLS_CERTIFICATE_EXPIRY = Gauge "rhumb_tls_certificate_expiry_timestamp_seconds" ["listener", "name"]
        "When a certificate of a listener expires, in Unix time.";
    UPSTREAM_INSECURE = Gauge "rhumb_upstream_insecure" []
        "Endpoints whose certificates are not verified.";
    START_TIME = Gauge "rhumb_start_time_seconds" []
        "When this process started, in Unix time.";
    BUILD_INFO = Gauge "rhumb_build_info" ["version"]
        "Always 1; the version is in the label.";
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_follow_prometheus_conventions() {
        for name in ALL {
            assert!(name.name.starts_with("rhumb_"), "{}", name.name);
            assert_eq!(name.kind == Kind::Counter, name.name.ends_with("_total"), "{}", name.name);
            assert!(name.help.ends_with('.'), "{}", name.name);
            if name.kind == Kind::Histogram {
                assert!(name.name.ends_with("_seconds"), "{}", name.name);
            }
        }
        let distinct: std::collections::BTreeSet<_> = ALL.iter().map(|name| name.name).collect();
        assert_eq!(distinct.len(), ALL.len());
    }
}
