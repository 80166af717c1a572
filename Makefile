# The two that matter: `make run` and `make test`. Each recipe is one script or one cargo command.
.DEFAULT_GOAL := help

.PHONY: help run demo down clean-data check test test-faults servers servers-down bench bench-event-log bench-growth soak build install uninstall fmt lint doc deny

help: ## this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-16s %s\n", $$1, $$2 }' Makefile

run: ## the whole pipeline, live or, without internet, from the simulator; AMQP_URL=… REDIS_URL=… use servers of yours
	@exec scripts/run.sh live

demo: ## the same, from the simulator on purpose
	@exec scripts/run.sh demo

down: ## stop whatever of it still runs
	@exec scripts/down.sh

clean-data: down ## forget what was loaded: delete .data
	rm -rf .data

check: ## what needs no server: format, clippy, docs, unit tests, sources, documents
	@exec scripts/check.sh

test: ## `make check`, then the integration and end-to-end tests on servers of their own
	@exec scripts/test.sh

test-faults: ## servers broken in more ways; takes minutes, and `make test` leaves it out
	@exec scripts/test-faults.sh

servers: ## start the test servers and print what plain `cargo test` needs: eval "$(make servers)"
	@scripts/ensure-servers.sh && scripts/ensure-browser.sh && scripts/servers.sh up && scripts/servers.sh env

servers-down: ## stop the test servers
	@exec scripts/servers.sh down

bench: ## the benchmark, 15 minutes at most; ONLY=drain,peers DATA=FILE,FOLDER EVENTS=20000 ROUNDS=1 MINUTES=40 KEEP=1
	@exec scripts/bench.sh $(if $(ONLY),--only $(ONLY)) $(if $(DATA),--data $(DATA)) $(if $(EVENTS),--events $(EVENTS)) \
	  $(if $(ROUNDS),--rounds $(ROUNDS)) $(if $(MINUTES),--minutes $(MINUTES))

bench-growth: ## the rate over a backlog of two million events, into an empty Redis and one with 30 million events of log
	@scripts/ensure-tools.sh build && scripts/ensure-servers.sh
	cargo build --release --locked --package github-event-etl --package github-event-etl-bench --bins
	target/release/bench growth

bench-event-log: ## the two layouts of the event log; COMMAND=memory, "cost --millions 0 --millions 30" or expiry
	@scripts/ensure-tools.sh build && scripts/ensure-servers.sh
	cargo build --release --locked --package github-event-etl-bench --bin bench-event-log
	target/release/bench-event-log $(or $(COMMAND),memory)

DURATION ?= 20m
soak: ## random faults under load, then a comparison; DURATION=2m, SEED=7; it starts servers of its own
	@scripts/ensure-tools.sh build && scripts/ensure-servers.sh
	cargo test --locked --test soak -- --duration $(DURATION) $(if $(SEED),--seed $(SEED))

build: ## release binaries in target/release
	cargo build --release --locked --bins

export PREFIX DESTDIR UNITDIR
install: ## release binaries (make build) and systemd units below PREFIX=/usr/local, with DESTDIR= for packages
	@exec scripts/install.sh install

uninstall: ## remove them
	@exec scripts/install.sh uninstall

fmt: ## format the code
	cargo fmt --all

lint: ## clippy, warnings are errors
	cargo clippy --locked --workspace --all-targets -- -D warnings
	cargo clippy --locked --test resilience --test soak -- -D warnings

doc: ## the documentation of both packages in target/doc
	RUSTDOCFLAGS='-D warnings' cargo doc --locked --no-deps --lib --bins --examples

deny: ## licences, advisories and sources of the dependencies; builds cargo-deny if needed
	@exec scripts/deny.sh
