# syntax=docker/dockerfile:1
# One small image: `rhumb run` by default, any other command by naming it, such as `origin`.

FROM rust:1-slim-trixie AS build
# For the allocator.
RUN apt-get update && apt-get install -y --no-install-recommends make && rm -rf /var/lib/apt/lists/*
WORKDIR /build
COPY Cargo.toml Cargo.lock ./
COPY .cargo ./.cargo
COPY src ./src
COPY geoip ./geoip
# Named in Cargo.toml, which cargo reads whole; not built.
COPY benches ./benches
RUN --mount=type=cache,target=/usr/local/cargo/registry \
    --mount=type=cache,target=/build/target \
    cargo build --release --locked --bin rhumb \
    && cp target/release/rhumb /rhumb \
    && strip --strip-debug /rhumb

# Same Debian release as above, so that the C library fits. No shell, no package manager, not root.
FROM gcr.io/distroless/cc-debian13:nonroot
LABEL org.opencontainers.image.title="Rhumb" \
      org.opencontainers.image.description="Edge traffic-routing proxy" \
      org.opencontainers.image.licenses="Apache-2.0 AND CC-BY-4.0"
COPY --from=build /rhumb /usr/local/bin/rhumb
# The country database is part of the binary; its licence wants to be named along with it.
COPY geoip/README.md /usr/share/doc/rhumb/geoip.md
USER nonroot:nonroot
EXPOSE 8080 9090
# For the default command; it needs the admin address at its default port. Disable or replace it
# for other commands and other addresses.
HEALTHCHECK --interval=5s --timeout=3s --start-period=10s --retries=3 \
    CMD ["/usr/local/bin/rhumb", "probe", "http://127.0.0.1:9090/readyz"]
ENTRYPOINT ["/usr/local/bin/rhumb"]
CMD ["run", "--config", "/etc/rhumb/rhumb.yaml"]
