# One image with every binary; docker-compose.yml says which one a container runs.

FROM rust:1-bookworm AS build
WORKDIR /src

# The dependencies in a layer of their own, which stands until Cargo.toml or Cargo.lock change: they are built for an empty
# library and an empty program (which keeps them right under LTO, too); the benchmark and two tests are there because the manifest
# names them.
COPY Cargo.toml Cargo.lock ./
RUN mkdir -p src/bin benches tests/resilience tests/soak \
 && touch src/lib.rs \
 && echo 'fn main() {}' | tee src/bin/empty.rs benches/pipeline.rs tests/resilience/main.rs tests/soak/main.rs >/dev/null \
 && cargo build --release --locked --bins \
 && rm -r src

# The touch makes the library newer than the empty one; by the file times of a checkout, cargo would take that for current.
COPY . .
RUN touch src/lib.rs \
 && cargo install --locked --path . --root /out

FROM debian:bookworm-slim
RUN apt-get update \
 && apt-get install -y --no-install-recommends ca-certificates \
 && rm -rf /var/lib/apt/lists/*
COPY --from=build /out/bin/ /usr/local/bin/
COPY scripts/container-ready.sh /usr/local/bin/container-ready
COPY scripts/container-fetcher.sh /usr/local/bin/container-fetcher
# Where replay remembers its position: a volume takes over the owner of the folder it is mounted on.
RUN install -d -o 65532 -g 65532 /var/lib/replay
# Nobody in particular: owns nothing else in the image, needs nothing.
USER 65532:65532
STOPSIGNAL SIGTERM
CMD ["standalone", "--help"]
