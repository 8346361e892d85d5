# syntax=docker/dockerfile:1
# Weir's two images, for amd64 and arm64:
#
#   docker build --target orchestrator --tag weir-orchestrator:0.1.0 .
#   docker build --target worker       --tag weir-worker:0.1.0 .
#
# Each begins with nothing and holds its programs and the shared libraries that they need (scripts/image-root.sh): no shell, no
# package manager. Nearly all of the worker's weight is libtorch. Both run as user 65532 and write only where a volume is mounted.

# Debian 12: the libraries that programs are built against are those that are copied. Pin it by digest where you build for others.
FROM rust:1.95-bookworm AS build
SHELL ["/bin/bash", "-euo", "pipefail", "-c"]
# hadolint ignore=DL3008
RUN apt-get update \
    && apt-get install -y --no-install-recommends python3 python3-pip python3-venv \
    && rm -rf /var/lib/apt/lists/*
WORKDIR /weir

# libtorch changes seldom, so it has a layer of its own. Programs remember this place and look for it there.
COPY scripts/setup-libtorch.sh scripts/
RUN libtorch=$(XDG_CACHE_HOME=/opt/cache scripts/setup-libtorch.sh) && mv "$libtorch" /opt/libtorch && rm -r /opt/cache
ENV LIBTORCH=/opt/libtorch

# Features to build with, such as weir-orchestrator/otlp,weir-worker/otlp (docs/observability.md).
ARG FEATURES=
COPY . .
RUN --mount=type=cache,target=/usr/local/cargo/registry \
    scripts/setup.sh && cargo build --locked --release --workspace --bins --features "${FEATURES}"
RUN scripts/image-root.sh /root-orchestrator target/release/weir-orchestrator target/release/weir \
    && install -D -m 644 -t /root-orchestrator/usr/share/weir/models \
        models/shapes-resnet20.safetensors models/shapes-resnet20.safetensors.manifest.json models/shapes-resnet20.profile.json \
    && scripts/image-root.sh /root-worker target/release/weir-worker \
    && install -D -m 644 -t /root-orchestrator/usr/share/doc/weir LICENSE \
    && install -D -m 644 -t /root-worker/usr/share/doc/weir LICENSE \
    && cp -r /opt/libtorch/licenses /root-worker/usr/share/doc/weir/libtorch

FROM scratch AS worker
LABEL org.opencontainers.image.title="weir-worker" org.opencontainers.image.licenses="Apache-2.0"
COPY --from=build /root-worker /
ENV PATH=/usr/bin
USER 65532:65532
EXPOSE 7601/udp 7602/tcp
ENTRYPOINT ["/usr/bin/weir-worker"]
CMD ["serve"]

# Last, so that it is what a build without --target makes.
FROM scratch AS orchestrator
LABEL org.opencontainers.image.title="weir-orchestrator" org.opencontainers.image.licenses="Apache-2.0"
COPY --from=build /root-orchestrator /
ENV PATH=/usr/bin
USER 65532:65532
EXPOSE 7600/udp 8080/tcp 7610/tcp
ENTRYPOINT ["/usr/bin/weir-orchestrator"]
