# An image of snapmill: its release, and what that needs of a system. Redis is another container's: see compose.yaml.
#
#   docker build -t snapmill .
#
# The project's tests check this file, and run the steps of its second stage on an unpacked release; no container engine
# runs there, so the image as a whole has not been built by them.
FROM node:22-bookworm-slim AS build
WORKDIR /snapmill
COPY package.json package-lock.json ./
RUN npm ci --no-audit --no-fund
COPY . .
# Without it, the time of the release is that of the commit, and git is not here.
ARG SOURCE_DATE_EPOCH=0
RUN BUN_OPTIONS="--config=bunfig.toml --no-env-file" node_modules/.bin/bun scripts/package.ts --out /release && \
    mkdir /unpacked && tar -xzf /release/snapmill-*.tar.gz -C /unpacked --strip-components=1

FROM debian:bookworm-slim
RUN apt-get update && \
    apt-get install -y --no-install-recommends ca-certificates dmsetup e2fsprogs libisal2 mount thin-provisioning-tools util-linux xfsprogs && \
    rm -rf /var/lib/apt/lists/*
COPY --from=build /unpacked /tmp/snapmill
# redis-server is not here, and install.sh says so.
RUN /tmp/snapmill/install.sh --prefix /usr/local --unit-dir none && rm -rf /tmp/snapmill
ENV SNAPMILL_HTTP_ADDRESS=0.0.0.0:7070 \
    SNAPMILL_LOG_FORMAT=json
EXPOSE 7070
VOLUME /var/lib/snapmill
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=10s --timeout=5s --start-period=60s --retries=3 \
    CMD ["/usr/local/lib/snapmill/node_modules/.bin/bun", "-e", "process.exit((await fetch('http://127.0.0.1:7070/readyz')).ok ? 0 : 1)"]
ENTRYPOINT ["/usr/local/bin/snapmill"]
CMD ["up"]
