//! Every limit and default in one place, so that "nothing is unbounded" can be read on one screen.
//!
//! Values that a configuration can change are defaults; the others are fixed.

use std::time::Duration;

/// Regions that one deployment may have: sets of them are the bits of one `u128`.
pub const REGIONS_PER_DEPLOYMENT: usize = 128;
/// Endpoints that one region may have: sets of them are the bits of one `u128`.
pub const ENDPOINTS_PER_REGION: usize = 128;
/// Regions that a decision keeps in order: the chosen one and its alternates.
pub const REGIONS_PER_DECISION: usize = 8;
/// Rules that one deployment may have.
pub const RULES_PER_DEPLOYMENT: usize = 100_000;
/// Bytes of a configuration file.
pub const CONFIG_BYTES: u64 = 64 << 20;
/// Nodes of a configuration document after aliases are expanded ("billion laughs").
pub const CONFIG_NODES: usize = 4_000_000;
/// Depth of nesting of a configuration document.
pub const CONFIG_DEPTH: usize = 64;
/// Errors that one pass over a configuration reports before it stops counting.
pub const CONFIG_ERRORS: usize = 1_000;
/// Largest weight of a region or an endpoint.
pub const WEIGHT_MAX: u32 = 1_000_000;
/// Largest threshold of a health check or of failover.
pub const THRESHOLD_MAX: u32 = 1_000;
/// Largest distance of a rule's priority from 0.
pub const PRIORITY_MAX: i32 = 1_000_000;
/// Shortest timeout of a request that can be configured.
pub const TIMEOUT_MIN: Duration = Duration::from_millis(1);
/// Longest interval or timeout that can be configured.
pub const DURATION_MAX: Duration = Duration::from_secs(86_400);
/// Longest failover cooldown that can be configured.
pub const FAILOVER_COOLDOWN_MAX: Duration = Duration::from_secs(604_800);
/// Certificates of one listener.
pub const CERTIFICATES_PER_LISTENER: usize = 1_024;
/// Listeners of a configuration.
pub const LISTENERS_MAX: usize = 64;
/// Largest number of data-plane threads that can be configured.
pub const WORKERS_MAX: usize = 1_024;
/// Characters of a region's id, a deployment's name and a rule's id.
pub const NAME_LENGTH: usize = 64;
/// Bytes of a latency table.
pub const LATENCY_TABLE_BYTES: u64 = 256 << 20;
/// Bytes of a GeoIP database.
pub const GEOIP_BYTES: u64 = 1 << 30;

/// Header fields of one HTTP/1 message. This is hyper's own default, and it has to stay that: set
/// explicitly, even to the same number, hyper clears a table of that size for each message.
pub const HEADER_FIELDS: usize = 100;
/// Bytes of one HTTP/1 message head.
pub const HEADER_BYTES: usize = 32 << 10;
/// Bytes of a request target.
pub const URI_BYTES: usize = 8 << 10;
/// Fewest bytes of a request target that can be configured as the limit.
pub const URI_BYTES_MIN: u32 = 256;
/// Fewest bytes of a request's head that can be configured as the limit.
pub const HEADER_BYTES_MIN: u32 = 1 << 10;
/// Most bytes of a request's head, and of its target, that can be configured as the limit: the
/// buffer of a connection has to hold a whole head.
pub const HEADER_BYTES_MAX: u32 = 64 << 10;
/// Largest limit on the bytes of a request body that can be configured.
pub const BODY_BYTES_MAX: i64 = 1 << 50;
/// Protocols of `Upgrade` that one deployment passes on.
pub const UPGRADES: usize = 16;
/// How long `Strict-Transport-Security` binds clients, in seconds.
pub const HSTS_MAX_AGE_SECONDS: u32 = 31_536_000;
/// Longest that it can be configured to: ten years.
pub const HSTS_MAX_AGE_SECONDS_MAX: u32 = 315_360_000;
/// Bytes of `Forwarded` as it is sent on: a longer list of a trusted peer is not continued.
pub const FORWARDED_BYTES: usize = 4 << 10;
/// Informational (1xx) responses to one request.
pub const INTERIM_RESPONSES: u32 = 8;
/// Read and write buffer of one HTTP/1 connection.
pub const CONNECTION_BUFFER_BYTES: usize = 64 << 10;

/// Bytes that a tunnel reads at once, and keeps of a direction at most.
pub const TUNNEL_BYTES: usize = 16 << 10;

/// From a connection's start to the first byte of its first request.
pub const FIRST_BYTE_TIMEOUT: Duration = Duration::from_secs(10);
/// From the first byte of a request to the end of its head.
pub const REQUEST_HEAD_TIMEOUT: Duration = Duration::from_secs(10);
/// From the first byte of a TLS handshake to its end.
pub const TLS_HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(10);
/// Without a byte of a body moving, in either direction.
pub const BODY_PROGRESS_TIMEOUT: Duration = Duration::from_secs(30);
/// What an upload has to bring, and a client to take of a response, on average while Rhumb waits for
/// it, beyond `BODY_PROGRESS_TIMEOUT` in all: a client that moves a byte now and then holds no request
/// for long.
pub const BODY_BYTES_PER_SECOND: u64 = 500;
/// Without a byte of a response that is an event stream.
pub const STREAM_IDLE_TIMEOUT: Duration = Duration::from_secs(300);
/// A kept-alive client connection without a request.
pub const KEEP_ALIVE_IDLE_TIMEOUT: Duration = Duration::from_secs(60);
/// A clear-text or TLS connection that speaks HTTP/1.1 and was idle for so long gives its buffers back.
pub const PARK_AFTER: Duration = Duration::from_millis(200);
/// What a client still sends to a connection that is being closed is taken and thrown away so long.
pub const LINGER_TIMEOUT: Duration = Duration::from_secs(1);
/// The same in bytes.
pub const LINGER_BYTES: usize = 1 << 20;
/// The same of a client that floods; what it sends behind that is not taken, until
/// [`LINGER_TIMEOUT`] is over.
pub const FLOOD_LINGER_BYTES: usize = 16 << 10;
/// An HTTP/2 client that was told to go has so long to finish what is not under way any more.
pub const GOAWAY_TIMEOUT: Duration = Duration::from_secs(2);
/// How long an origin may keep an `Expect: 100-continue` client waiting before its body is asked for.
pub const EXPECT_CONTINUE_TIMEOUT: Duration = Duration::from_secs(1);

/// Bytes of a PROXY protocol header of version 1, with the end of its line; the protocol says so.
pub const PROXY_LINE_BYTES: usize = 107;
/// Bytes of a PROXY protocol header of version 2: addresses take 52, or 232 of Unix sockets, and what
/// balancers say of TLS some hundred more.
pub const PROXY_HEADER_BYTES: usize = 4 << 10;

/// Connecting to an endpoint.
pub const CONNECT_TIMEOUT: Duration = Duration::from_secs(1);
/// From a sent request to the first byte of its response, for each attempt.
pub const RESPONSE_HEAD_TIMEOUT: Duration = Duration::from_secs(15);
/// A whole request, all attempts.
pub const REQUEST_TIMEOUT: Duration = Duration::from_secs(60);
/// Attempts after the first.
pub const RETRY_ATTEMPTS: u32 = 2;
/// Largest configurable number of attempts after the first.
pub const RETRY_ATTEMPTS_MAX: u32 = 7;
/// Request body bytes that are kept so that an attempt can be repeated.
pub const REPLAY_BYTES: usize = 64 << 10;

/// Idle connections that a worker keeps for one endpoint.
pub const POOL_IDLE_PER_ENDPOINT: usize = 256;
/// An idle upstream connection.
pub const POOL_IDLE_TIMEOUT: Duration = Duration::from_secs(50);
/// The same while memory or descriptors are short.
pub const POOL_IDLE_TIMEOUT_SHORT: Duration = Duration::from_secs(1);
/// An upstream connection, after which it is not used again.
pub const POOL_CONNECTION_LIFETIME: Duration = Duration::from_secs(600);

/// Addresses of one family that are taken from one host's DNS records, the lowest ones.
pub const ADDRESSES_PER_NAME: usize = 64;
/// Aliases (CNAME) that are followed from one name, in one answer.
pub const ALIASES_PER_NAME: usize = 16;
/// Hosts that are taken from the SRV records of one name, those of the best priority first.
pub const TARGETS_PER_SERVICE: usize = 32;
/// Names that are looked up at once.
pub const NAMES_IN_FLIGHT: usize = 32;
/// DNS servers that a configuration may name.
pub const NAME_SERVERS: usize = 8;
/// Shortest and longest time that an answer may be configured to be good for.
pub const NAME_TTL_MIN: Duration = Duration::from_millis(50);
/// See [`NAME_TTL_MIN`].
pub const NAME_TTL_MAX: Duration = Duration::from_secs(86_400);
/// An answer is good for at least so long, unless configured.
pub const NAME_TTL_LOW: Duration = Duration::from_secs(1);
/// An answer is good for at most so long, unless configured.
pub const NAME_TTL_HIGH: Duration = Duration::from_secs(300);
/// A whole lookup of a name.
pub const NAME_TIMEOUT: Duration = Duration::from_secs(2);
/// Longest time that a lookup may be configured to take.
pub const NAME_TIMEOUT_MAX: Duration = Duration::from_secs(60);
/// How long the addresses of one family wait for the other one's (RFC 8305 section 3 has 50 ms,
/// where somebody waits).
pub const NAME_FAMILY_DELAY: Duration = Duration::from_millis(250);
/// What the file of hosts says is looked at again after so long.
pub const NAME_FILE_TTL: Duration = Duration::from_secs(5);
/// After a failed lookup the next one waits so long, and twice as long after each further one.
pub const NAME_RETRY: Duration = Duration::from_secs(1);
/// But never longer than this.
pub const NAME_RETRY_MAX: Duration = Duration::from_secs(30);
/// Tables that answers make are at least so far apart.
pub const NAME_TABLE_INTERVAL: Duration = Duration::from_millis(100);
/// A connection attempt that has not succeeded by then gets company by the same host's address of
/// the other family (RFC 8305 section 5).
pub const TWIN_DELAY: Duration = Duration::from_millis(250);
/// Bytes that a PROXY protocol header towards an endpoint has at most: the text of two IPv6 addresses.
pub const PROXY_HEADER_WRITTEN: usize = 107;
/// HTTP/2 connections of one worker to one endpoint, however few streams they carry.
pub const UPSTREAM_HTTP2_CONNECTIONS: usize = 256;
/// Streams of one of them, whatever the endpoint allows.
pub const UPSTREAM_STREAMS_PER_CONNECTION: usize = 256;
/// Requests of one worker that wait for a connection to one endpoint which they share.
pub const UPSTREAM_WAITING: usize = 4_096;
/// What an endpoint may send on one stream of HTTP/2 before Rhumb has taken any of it.
pub const UPSTREAM_STREAM_WINDOW: u32 = 1 << 20;
/// The same for all streams of a connection together.
pub const UPSTREAM_CONNECTION_WINDOW: u32 = 4 << 20;
/// What waits to be sent on one stream of HTTP/2 to an endpoint.
pub const UPSTREAM_STREAM_SEND_BYTES: usize = 64 << 10;
/// Broken streams after which a connection is given up whose endpoint breaks the rules of HTTP/2.
pub const UPSTREAM_STREAM_ERRORS: usize = 1_024;
/// Streams of a connection that Rhumb has reset and still remembers, because frames for them may be
/// on their way: those for others count as errors.
pub const UPSTREAM_RESET_STREAMS: usize = 1_024;
/// Attempts at one endpoint to have a request taken that it refuses before it works on it.
pub const UPSTREAM_REFUSALS: u32 = 3;
/// An HTTP/2 connection with open streams on which nothing comes is asked for a sign of life. gRPC
/// servers cut who asks more than twice within five minutes.
pub const UPSTREAM_PING_INTERVAL: Duration = Duration::from_secs(100);
/// That sign has to come within this time.
pub const UPSTREAM_PING_TIMEOUT: Duration = Duration::from_secs(10);
/// The host at the other end of an HTTP/2 connection may be silent for so long.
pub const UPSTREAM_SILENCE: Duration = Duration::from_secs(30);
/// Between two lines of the log about the same trouble with an endpoint.
pub const UPSTREAM_LOG_INTERVAL: Duration = Duration::from_secs(60);

/// Client addresses whose place one worker remembers.
pub const PLACES_PER_WORKER: usize = 16_384;
/// Bytes for a client that the kernel takes before it could send them.
pub const UNSENT_BYTES: u32 = 128 << 10;
/// Streams that one HTTP/2 connection may have open.
pub const STREAMS_PER_CONNECTION: u32 = 100;
/// Streams of HTTP/2 that a worker begins before it looks at its sockets, and that one connection may
/// begin at once.
pub const STREAMS_PER_PORTION: u32 = 32;
/// How many that are of a connection that is new.
pub const STREAMS_AT_FIRST: u32 = 8;
/// How many of one that takes its requests back.
pub const STREAMS_AT_LEAST: u32 = 4;
/// Bytes of heads that it takes from one connection before it does; of all else four times as much.
pub const HEAD_BYTES_PER_PORTION: u32 = 64 << 10;
/// Bytes that one HTTP/2 stream's client may send before they are passed on.
pub const STREAM_WINDOW: u32 = 64 << 10;
/// The same for all streams of a connection together.
pub const CONNECTION_WINDOW: u32 = 1 << 20;
/// Bytes of a frame that an HTTP/2 client may send.
pub const FRAME_BYTES: u32 = 16 << 10;
/// Bytes of the table that a client's heads are packed with (RFC 7541).
pub const HEADER_TABLE_BYTES: u32 = 4_096;
/// Bytes of one stream's response that wait for the client.
pub const STREAM_SEND_BYTES: usize = 64 << 10;
/// Streams that an HTTP/2 client took back before they were looked at.
pub const RESET_STREAMS_PENDING: usize = 20;
/// Streams that an HTTP/2 client made Rhumb take back by its errors.
pub const RESET_STREAMS_LOCAL: usize = 128;
/// What an HTTP/2 client may spend on frames that bring no request any further, at once.
pub const FLOOD_CREDIT: u32 = 400;
/// What comes back of it every second.
pub const FLOOD_CREDIT_PER_SECOND: u32 = 50;
/// Bytes that wait to be written to an HTTP/2 client, beside those of its streams.
pub const WRITE_BUFFER_BYTES: usize = 64 << 10;
/// Largest configurable number of streams of one HTTP/2 connection.
pub const STREAMS_PER_CONNECTION_MAX: u32 = 10_000;
/// Largest configurable number of connections, of one worker or of one client address.
pub const CONNECTIONS_MAX: u32 = 1_000_000;
/// Memory is looked at this often, and descriptors.
pub const PRESSURE_LOOK: Duration = Duration::from_millis(100);
/// From this percentage of the memory limit on, new connections and requests of low priority are
/// refused.
pub const MEMORY_HIGH_PERCENT: u32 = 90;
/// From this one on, everything new.
pub const MEMORY_CRITICAL_PERCENT: u32 = 95;
/// Below this one, nothing any more.
pub const MEMORY_EASE_PERCENT: u32 = 85;
/// Smallest memory limit that can be configured: the program at rest takes half of it, and new work is
/// refused from [`MEMORY_HIGH_PERCENT`] on.
pub const MEMORY_LIMIT_MIN: u64 = 64 << 20;
/// Largest memory limit that can be configured.
pub const MEMORY_LIMIT_MAX: u64 = 1 << 50;
/// Part of a control group's memory that is left to what is not counted, as one divided by this.
pub const MEMORY_SPARE: u64 = 10;
/// `Retry-After` of a request that is refused because of too much load, in seconds.
pub const RETRY_AFTER_SECONDS: u32 = 1;
/// Longest `Retry-After` that can be configured, in seconds.
pub const RETRY_AFTER_SECONDS_MAX: u32 = 3_600;
/// Descriptors that the process takes at most, whatever the system allows.
pub const DESCRIPTORS_MAX: u64 = 1 << 20;
/// Descriptors that are kept from connections, for files, the admin address and checks.
pub const DESCRIPTORS_RESERVED: u64 = 48;
/// The same for each worker, for its sockets that listen and what wakes it.
pub const DESCRIPTORS_PER_WORKER: u64 = 6;
/// From this percentage of all descriptors on, none is kept without need.
pub const DESCRIPTORS_SHORT_PERCENT: u32 = 90;
/// Below this one, they are kept again.
pub const DESCRIPTORS_EASE_PERCENT: u32 = 85;
/// Between two lines of the log about the same shortage.
pub const SHORTAGE_LOG_INTERVAL: Duration = Duration::from_secs(1);
/// A worker that found no descriptor, and a check that did, waits so long before it tries again.
pub const SHORTAGE_PAUSE: Duration = Duration::from_millis(50);
/// Connections that one worker has refused and whose clients have not gone yet; further ones wait in
/// the listener's queue.
pub const REFUSALS_LINGERING: usize = 256;
/// How often a worker looks whether they have gone.
pub const REFUSALS_LOOK: Duration = Duration::from_millis(10);
/// Connections that a worker refuses between two looks: what refusing costs at most. A full queue of
/// clients that have given up is gone in less than two seconds.
pub const REFUSALS_PER_LOOK: usize = 32;
/// What a refused client still sends is thrown away so long.
pub const REFUSAL_BYTES: usize = 64 << 10;
/// Client connections of one worker.
pub const CONNECTIONS_PER_WORKER: usize = 10_000;
/// Pending connections in a listener's kernel queue.
pub const LISTEN_BACKLOG: i32 = 4_096;
/// Requests in flight get this long to finish after a signal to stop.
pub const DRAIN_TIMEOUT: Duration = Duration::from_secs(30);
/// Most that connections may still be accepted with readiness off.
pub const DRAIN_GRACE_MAX: Duration = Duration::from_secs(3_600);
/// A connection that was used this short a time ago may have a request on its way, and is given as
/// long for it when the process is about to end.
pub const DRAIN_PATIENCE: Duration = Duration::from_secs(1);
/// A listener that is to be closed accepts for so long who has begun to connect.
pub const LISTENER_LINGER: Duration = Duration::from_millis(200);
/// So long before the end of the drain WebSockets are told that this is it.
pub const TUNNEL_GOODBYE: Duration = Duration::from_secs(2);
/// A thread that is asked something answers within this time, or counts as stuck.
pub const THREAD_ANSWER: Duration = Duration::from_secs(5);
/// A new process may take so long to become ready.
pub const UPGRADE_READY: Duration = Duration::from_secs(60);
/// Bounds of what may be configured in its place.
pub const UPGRADE_READY_MIN: Duration = Duration::from_secs(1);
/// See [`UPGRADE_READY_MIN`].
pub const UPGRADE_READY_MAX: Duration = Duration::from_secs(3_600);
/// A new process waits so long for its first round of checks before it says that it is ready.
pub const FIRST_CHECKS: Duration = Duration::from_secs(1);
/// Longest path of a Unix socket: the system has room for 107 bytes, and the socket has a longer
/// name while it is made.
pub const SOCKET_PATH_BYTES: usize = 100;
/// Longest message between two processes that hand over.
pub const HANDOVER_MESSAGE_BYTES: usize = 64 << 10;
/// Listening sockets in one message; the system takes 253.
pub const HANDOVER_SOCKETS: usize = 64;
/// Processes that may wait at the upgrade socket.
pub const HANDOVER_ASKING: usize = 8;
/// Bytes of a request body on the admin address.
pub const ADMIN_BODY_BYTES: usize = 1 << 20;
/// Connections to the admin address.
pub const ADMIN_CONNECTIONS: usize = 256;
/// Whoever takes nothing of an answer of the admin address for so long loses the connection.
pub const ADMIN_WRITE_TIMEOUT: Duration = Duration::from_secs(30);
/// How often a thread is looked at while a profile is made. Not a round number, so that it does not fall
/// in step with timers.
pub const PROFILE_HERTZ: u64 = 99;
/// Length of a profile, unless it is said.
pub const PROFILE_LENGTH: Duration = Duration::from_secs(10);
/// How long it may be.
pub const PROFILE_LENGTH_MAX: Duration = Duration::from_secs(60);
/// Stacks that a profile tells apart.
pub const PROFILE_STACKS: usize = 20_000;
/// Bytes of a log filter.
pub const LOG_FILTER_BYTES: usize = 1_024;
/// How long the log tells something else than usual, unless it is said.
pub const LOG_CHANGE: Duration = Duration::from_secs(600);
/// How long it may.
pub const LOG_CHANGE_MAX: Duration = Duration::from_secs(24 * 3_600);
/// Client connections that a worker tells of, unless it is said.
pub const DUMPED_CONNECTIONS: usize = 100;
/// Client connections that workers may be asked to tell of, all of them together.
pub const DUMPED_CONNECTIONS_MAX: usize = 10_000;
/// Endpoints that workers tell of, all of them together.
pub const DUMPED_ENDPOINTS: usize = 10_000;
/// Connections that a worker looks at, for somebody who asks, before it does something else.
pub const DUMP_STEP: usize = 1_000;
/// Questions of that kind that wait for a worker.
pub const DUMPS_WAITING: usize = 2;
/// A worker that has not answered such a question by then is told as silent.
pub const DUMP_TIMEOUT: Duration = Duration::from_secs(1);
/// Observations that wait for the controller; more are dropped and counted.
pub const OBSERVATION_QUEUE: usize = 4_096;
/// Commands and files that wait for the controller; whoever has more waits.
pub const COMMAND_QUEUE: usize = 64;
/// Events kept for the log on the admin address.
pub const EVENTS_KEPT: usize = 1_000;

/// A health check's default interval.
pub const CHECK_INTERVAL: Duration = Duration::from_secs(30);
/// A health check's default timeout.
pub const CHECK_TIMEOUT: Duration = Duration::from_secs(10);
/// A health check's default interval while a region is in doubt.
pub const CHECK_FAST_INTERVAL: Duration = Duration::from_millis(25);
/// Shortest interval and timeout a check may have.
pub const CHECK_INTERVAL_MIN: Duration = Duration::from_millis(10);
/// Consecutive successes that make a region healthy again.
pub const HEALTHY_THRESHOLD: u32 = 2;
/// Consecutive failures that make a region degraded.
pub const UNHEALTHY_THRESHOLD: u32 = 3;
/// Consecutive failures that take a region out.
pub const FAILOVER_THRESHOLD: u32 = 3;
/// A region that was taken out stays out at least this long.
pub const FAILOVER_COOLDOWN: Duration = Duration::from_secs(300);
/// Bytes of a health check's response body that are read before the connection is closed.
pub const CHECK_BODY_BYTES: usize = 64 << 10;
/// Health checks under way at once.
pub const CHECKS_IN_FLIGHT: usize = 1_024;
/// Health checks of one endpoint under way at once while it is in doubt.
pub const CHECKS_IN_DOUBT: usize = 4;
/// Once an endpoint seems to hang, a check of it fails after this many times its usual duration.
pub const CHECK_HANG_FACTOR: u32 = 4;
/// Shortest time that a check of an endpoint that seems to hang is given.
pub const CHECK_HANG_TIMEOUT_MIN: Duration = Duration::from_millis(75);
/// Timeouts of real requests in a row that make an endpoint seem to hang.
pub const HANG_SIGNALS: u32 = 3;
/// Answers of a server that has failed, in a row at one endpoint, that make it suspect, and as many
/// again.
pub const ERROR_SIGNALS: u32 = 5;

/// Bytes of a compiled regular expression.
pub const PATTERN_BYTES: usize = 1 << 20;
/// Depth of nesting of a regular expression.
pub const PATTERN_DEPTH: u32 = 64;
/// Expected round trips of a latency table that say when they were measured are fresh for so long.
pub const LATENCY_SOFT_TTL: Duration = Duration::from_secs(3_600);
/// After so long they are passed over.
pub const LATENCY_HARD_TTL: Duration = Duration::from_secs(86_400);
/// After so much time a measured round trip counts half.
pub const MEASURED_HALF_LIFE: Duration = Duration::from_secs(10);
/// A measured round trip is fresh for so long.
pub const MEASURED_SOFT_TTL: Duration = Duration::from_secs(60);
/// After so long it is passed over.
pub const MEASURED_HARD_TTL: Duration = Duration::from_secs(600);
/// Measurements of a client network that make its times count.
pub const MEASURED_MIN_SAMPLES: u32 = 20;
/// Length of the prefix that makes IPv4 clients one client network.
pub const CLIENT_NETWORK_V4: u8 = 24;
/// Length of the prefix that makes IPv6 clients one client network.
pub const CLIENT_NETWORK_V6: u8 = 48;
/// Client networks whose times are remembered.
pub const MEASURED_NETWORKS: usize = 65_536;
/// Bytes of a file of tenants.
pub const TENANTS_BYTES: u64 = 512 << 20;
/// Bytes of a tenant's name.
pub const TENANT_LENGTH: usize = 128;
/// Bytes of a JSON Web Key Set.
pub const JWKS_BYTES: u64 = 1 << 20;
/// Bytes of a JSON Web Token that is looked at.
pub const JWT_BYTES: usize = 8 << 10;
/// Keys of a JSON Web Key Set.
pub const JWKS_KEYS: usize = 64;
/// How far the clocks of whoever signs JSON Web Tokens may be apart from this one.
pub const JWT_LEEWAY: Duration = Duration::from_secs(30);
/// Verified JSON Web Tokens that one worker remembers.
pub const JWTS_PER_WORKER: usize = 1_024;
/// Bytes of one of Rhumb's own tokens before it is encoded.
pub const TOKEN_BYTES: usize = 1_024;
/// Bytes of one of Rhumb's own tokens as it travels.
pub const TOKEN_TEXT_BYTES: usize = TOKEN_BYTES.div_ceil(3) * 4;
/// How long a list of passed Rhumbs is believed.
pub const HOPS_LIFETIME: Duration = Duration::from_secs(300);
/// Bytes of the header that tells a decision.
pub const DECISION_HEADER_BYTES: usize = 2 << 10;
/// Longest life of a token that an operator signs by command.
pub const OPERATOR_TOKEN_MAX: Duration = Duration::from_secs(30 * 86_400);
/// Shortest secret that signs.
pub const SIGNING_SECRET_BYTES: usize = 32;
/// Rhumbs that a request may pass.
pub const HOPS: u32 = 8;
/// Residency policies of a deployment: sets of them are the bits of one `u64`.
pub const RESIDENCY_POLICIES: usize = 64;
/// Longest stay of reads at the region of a write.
pub const STICKY_MAX: Duration = Duration::from_secs(86_400);
/// A full region takes new requests again below this percentage of its capacity.
pub const UNSPILL_PERCENT: u32 = 85;
/// Longest time to live that can be configured: ten years.
pub const TTL_MAX: Duration = Duration::from_secs(315_360_000);
/// Shortest time to live that can be configured.
pub const TTL_MIN: Duration = Duration::from_secs(1);
/// Shortest half-life of a measurement that can be configured.
pub const MEASURED_HALF_LIFE_MIN: Duration = Duration::from_millis(100);
/// Longest half-life of a measurement that can be configured.
pub const MEASURED_HALF_LIFE_MAX: Duration = Duration::from_secs(3_600);
/// Largest number of measurements that a client network can be asked for.
pub const MEASURED_SAMPLES_MAX: u32 = 1_000_000;
/// Largest number of client networks that can be remembered.
pub const MEASURED_NETWORKS_MAX: u32 = 1 << 20;
/// Longest stay of a client at a region: browsers keep no cookie longer than 400 days.
pub const AFFINITY_TTL_MAX: Duration = Duration::from_secs(34_560_000);
/// Largest tolerance between round trips that can be configured, in milliseconds.
pub const LATENCY_MARGIN_MS_MAX: f64 = 60_000.0;
/// Largest cost multiplier, and largest weight of an objective.
pub const FACTOR_MAX: f64 = 1_000_000.0;
/// Different regular expressions of a configuration; each may take `PATTERN_BYTES`.
pub const PATTERNS: usize = 1_000;
/// Bytes of the text of a regular expression.
pub const PATTERN_LENGTH: usize = 4_096;
/// Time windows of a rule.
pub const TIME_WINDOWS: usize = 64;
/// Largest number of a host's label or of a path's segment that can name a tenant.
pub const TENANT_PART_MAX: u32 = 126;
/// Keys that verify tokens.
pub const SIGNING_KEYS: usize = 16;
/// Longest secret that signs.
pub const SIGNING_SECRET_BYTES_MAX: usize = 4_096;
/// Largest number of Rhumbs that a request can be allowed to pass.
pub const HOPS_MAX: u32 = 64;
/// Priority classes of a deployment.
pub const PRIORITY_CLASSES: usize = 32;
/// Compliance frameworks of a region or a policy.
pub const FRAMEWORKS: usize = 64;
/// Bytes of the name of a cookie, of a query parameter or of a claim.
pub const PARAMETER_NAME_LENGTH: usize = 128;
/// Values of one kind that one request shows and rules ask for (headers, cookies, path prefixes and
/// so on, each a kind): more are passed over.
pub const CLUES_PER_KIND: usize = 256;
/// Rules that share all they can be told apart by are looked at one after the other, once they are so
/// few.
pub const RULES_SCANNED: usize = 4;
/// Conditions that a rule is filed under, one inside the other.
pub const RULE_FILING_DEPTH: usize = 6;
/// Places that a rule is filed in because its conditions are lists, but for the first of them.
pub const RULE_FILING_COPIES: u32 = 64;
/// Expressions and lists of time windows of one deployment whose result is remembered while a
/// request's rule is looked for: sets of them are the bits of one `u128`.
pub const CHECKS_REMEMBERED: usize = 128;
/// A worker looks at what the others have under way at most this often.
pub const LOAD_LOOK: Duration = Duration::from_millis(2);
/// The same while a region is close to its limit.
pub const LOAD_LOOK_CLOSE: Duration = Duration::from_micros(100);
/// A region is close to its limit when a worker's part of what is free there is less than so many
/// requests: more than it can take in between two looks.
pub const LOAD_ROOM: u32 = 64;
/// A worker looks at what the others have measured at most this often.
pub const MEASURED_LOOK: Duration = Duration::from_millis(100);
/// A worker hands on what it measured of client networks, and asks again for those that it
/// remembers, this often.
pub const NETWORK_LOOK: Duration = Duration::from_secs(1);
/// Measurements of client networks that a worker keeps until it hands them on.
pub const NETWORK_SAMPLES: usize = 1_024;
/// Client networks whose times one worker remembers.
pub const NETWORKS_PER_WORKER: usize = 1_024;
/// Regions whose times are kept for one client network.
pub const REGIONS_PER_NETWORK: usize = 8;
/// Client networks, by deployment, whose last region one worker remembers.
pub const INCUMBENTS_PER_WORKER: usize = 8_192;
/// A region that answers more than this percentage of its share is no client's home.
pub const HOME_LOAD_PERCENT: u32 = 125;
/// Requests in flight for each region, below which that is not asked.
pub const HOME_LOAD_MIN: u32 = 8;

/// Bytes of a line of an access log that is simulated.
pub const SIMULATED_LINE_BYTES: usize = 1 << 20;
/// Bad lines of an access log that are shown.
pub const SHOWN_LINES: usize = 20;
/// Longest that a simulated request takes.
pub const SIMULATED_DURATION: Duration = Duration::from_secs(3_600);
/// Simulated requests in flight at once; beyond that the one that ends first has ended.
pub const SIMULATED_IN_FLIGHT: usize = 1 << 20;
/// Spans of time that a simulation tells apart.
pub const SIMULATED_SPANS: usize = 1_024;
/// Tenants that made-up requests come from.
pub const SIMULATED_TENANTS: usize = 100_000;
/// Tenants whose moves a simulation counts one by one.
pub const SIMULATED_TENANTS_MOVED: usize = 1 << 17;

/// Pairs of rules whose differences one worker counts one by one while a candidate is tried.
pub const SHADOW_RULES: usize = 128;
/// Examples of differences that one worker keeps.
pub const SHADOW_EXAMPLES: usize = 16;
/// Examples that show the same.
pub const SHADOW_EXAMPLES_ALIKE: usize = 2;
/// Characters of a host or path that an example shows.
pub const SHADOW_EXAMPLE_CHARS: usize = 64;
/// Countries, pairs of rules and examples that are shown.
pub const SHADOW_SHOWN: usize = 50;

/// Bytes of a file of certificates, keys or an OCSP response.
pub const TLS_FILE_BYTES: u64 = 4 << 20;
/// Certificates of a chain that is shown in handshakes.
pub const CHAIN_CERTIFICATES: usize = 16;
/// A certificate that is valid for less than this is warned of.
pub const CERTIFICATE_NOTICE: Duration = Duration::from_secs(21 * 86_400);
/// Session tickets that a client gets with a handshake of TLS 1.3.
pub const SESSION_TICKETS: usize = 2;
/// Sessions with endpoints that are kept for a next handshake, for each way to speak TLS to them.
pub const UPSTREAM_SESSIONS: usize = 1_024;
/// Bytes of the header value that tells a client's certificate.
pub const CLIENT_CERTIFICATE_BYTES: usize = 4 << 10;

/// Members of a `tracestate` (W3C Trace Context).
pub const TRACESTATE_MEMBERS: usize = 32;
/// Bytes of a `tracestate` that are passed on; the specification asks for 512 at least.
pub const TRACESTATE_BYTES: usize = 4 << 10;
/// Share of the traces that start here which are recorded.
pub const TRACE_SAMPLE: f64 = 0.01;
/// Characters of the name that Rhumb has in traces.
pub const SERVICE_NAME_LENGTH: usize = 128;
/// Attempts of one request that are recorded.
pub const TRACE_ATTEMPTS: usize = 16;
/// Bytes of a path, and of a `User-Agent`, that a span shows.
pub const TRACE_TEXT_BYTES: usize = 1 << 10;
/// Recorded requests of one worker that wait to be sent.
pub const TRACE_QUEUE: usize = 1_024;
/// Spans that are sent at once, give or take those of one request.
pub const TRACE_BATCH: usize = 512;
/// How often what workers have recorded is looked for.
pub const TRACE_LOOK: Duration = Duration::from_millis(200);
/// How long spans that are left at the end may take to be sent.
pub const TRACE_GOODBYE: Duration = Duration::from_secs(3);
/// How long spans may take to be sent, attempts included, unless configured.
pub const OTLP_TIMEOUT: Duration = Duration::from_secs(10);
/// Least of it.
pub const OTLP_TIMEOUT_MIN: Duration = Duration::from_millis(100);
/// Most of it.
pub const OTLP_TIMEOUT_MAX: Duration = Duration::from_secs(60);
/// Bytes of a receiver's answer.
pub const OTLP_ANSWER_BYTES: usize = 64 << 10;

/// Bytes of log lines that a worker collects before it hands them on.
pub const ACCESS_LOG_BATCH_BYTES: usize = 64 << 10;
/// A log line waits no longer than that for others to be handed on with.
pub const ACCESS_LOG_BATCH_TIME: Duration = Duration::from_millis(100);
/// Between two looks for batches.
pub const ACCESS_LOG_PAUSE: Duration = Duration::from_millis(10);
/// Batches that wait to be written; further ones are dropped, and their lines counted.
pub const ACCESS_LOG_QUEUE: usize = 128;
/// Batches whose room a worker gets back to use again.
pub const ACCESS_LOG_ROOMS: usize = 8;
/// Bytes of a single value, such as a path, that are logged; the rest is left out.
pub const ACCESS_LOG_VALUE_BYTES: usize = 4 << 10;
/// Header fields of requests that are logged.
pub const ACCESS_LOG_HEADERS: usize = 32;
/// Attempts of one request that are logged.
pub const ACCESS_LOG_ATTEMPTS: usize = 16;
/// Records of requests that a worker keeps for use again.
pub const ACCESS_LOG_RECORDS: usize = 1_024;
/// After a failure to write, the next attempt comes so much later.
pub const ACCESS_LOG_RETRY: Duration = Duration::from_millis(500);
/// At the end of the process, what is left of the log has so long to be written.
pub const ACCESS_LOG_LAST: Duration = Duration::from_secs(2);

/// Bytes of a body below which it is not compressed.
pub const COMPRESSION_MIN_BYTES: u64 = 1_024;
/// Bytes of a frame of a compressed body, and of the buffer where it gathers.
pub const COMPRESSED_FRAME_BYTES: usize = 16 << 10;
/// Bytes that are compressed before other requests of the worker have their turn.
pub const COMPRESSION_STEP_BYTES: usize = 16 << 10;
/// Bytes that the encoders of one worker take together; responses that find no room are passed on as
/// they are.
pub const COMPRESSION_MEMORY: usize = 128 << 20;
/// Encoders that one worker keeps while nobody uses them.
pub const COMPRESSORS_KEPT: usize = 8;
/// Media types that a deployment can list as worth compressing.
pub const COMPRESSED_TYPES: usize = 64;
/// Bytes of one of them.
pub const MEDIA_TYPE_LENGTH: usize = 127;
