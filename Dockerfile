# One image with every binary; docker-compose.yml says which one a container runs.

FROM rust:1-bookworm AS build
WORKDIR /src

# The dependencies in a layer of their own. It is built again when a Cargo.toml or Cargo.lock changes. The dependencies are built for
# empty libraries and programs, which keeps them right under LTO, too. Two tests and the manifest of the benchmark are there because
# the manifest names them.
COPY Cargo.toml Cargo.lock ./
COPY benches/Cargo.toml benches/
COPY simulator/Cargo.toml simulator/
RUN mkdir -p src/bin simulator/src tests/resilience tests/soak \
 && touch src/lib.rs simulator/src/lib.rs \
 && echo 'fn main() {}' | tee src/bin/empty.rs simulator/src/main.rs tests/resilience/main.rs tests/soak/main.rs >/dev/null \
 && cargo build --release --locked --bins \
 && rm -r src simulator/src

# The touch makes the sources newer than the empty ones. By the file times of a checkout, cargo would take the empty ones for current.
# Both packages are built together: alone, each would want some dependencies with other features.
COPY . .
RUN touch src/lib.rs simulator/src/lib.rs simulator/src/main.rs \
 && cargo build --release --locked --bins \
 && mkdir -p /out/bin \
 && cd target/release \
 && cp dashboard fetcher loader replay simulator standalone /out/bin/

FROM debian:bookworm-slim
RUN apt-get update \
 && apt-get install -y --no-install-recommends ca-certificates \
 && rm -rf /var/lib/apt/lists/*
COPY --from=build /out/bin/ /usr/local/bin/
COPY scripts/container-ready.sh /usr/local/bin/container-ready
COPY scripts/container-fetcher.sh /usr/local/bin/container-fetcher
# Where replay remembers its position, and where it exports to: a volume takes over the owner of the folder it is mounted on.
RUN install -d -o 65532 -g 65532 /var/lib/replay /export
# Nobody in particular: owns nothing else in the image, needs nothing.
USER 65532:65532
STOPSIGNAL SIGTERM
CMD ["standalone", "--help"]
