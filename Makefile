# The only door: people and CI come in by the same targets.
#
# Variables named ARTERIA_* pass through to everything (`make demo ARTERIA_UNITS=2`). The whole
# workspace is always built at once: building a part chooses other features, and compiles
# librdkafka anew each time.

.DEFAULT_GOAL := help
.PHONY: help build demo test up down reset bench growth faults lint schemas prerequisites

BUILT := $(or $(CARGO_TARGET_DIR),target)
ARTERIA := $(BUILT)/debug/arteria

# What is committed is what is built, where nobody is at hand to commit a changed lock file.
LOCKED := $(if $(CI),--locked)

# The end-to-end tests that hurt the network on purpose.
FAULTS := kills away bad_input poison

# ONCE=0 and an empty ONCE mean the same.
ONCE_FLAG := $(if $(filter-out 0,$(ONCE)),--once)

help: ## Say what can be done here.
	@sed -n 's/^\([a-z]*\):.*## \(.*\)/  make \1|\2/p' $(MAKEFILE_LIST) \
		| awk -F'|' '{ printf "%-16s %s\n", $$1, $$2 }'

prerequisites:
	@scripts/prerequisites.sh

build: prerequisites ## Build everything.
	@cargo build --workspace $(LOCKED)

$(ARTERIA): | prerequisites
	@cargo build --workspace $(LOCKED)

demo: build ## Show the product at work, then stay up; ONCE=1 ends by itself with a status.
	@exec $(ARTERIA) demo $(ONCE_FLAG)

up: build ## Bring the whole network up in the background; returns when it is ready.
	@exec $(ARTERIA) up

# Stopping must work while the code does not compile.
down: $(ARTERIA) ## Stop the network that `up` started; its data stays.
	@exec $(ARTERIA) down

reset: $(ARTERIA) ## Stop the network and delete its data.
	@exec $(ARTERIA) reset

# The formatting comes first because it takes a second, the tests last because they take minutes;
# the laws of the source, which need no network, are looked at before those too.
# The tests share one running network; tests that kill servers or roles start their own.
test: prerequisites ## Check everything: formatting, dependencies, lints, schemas, laws, all tests.
	@cargo fmt --all --check
	@scripts/deny.sh
	@cargo build --workspace $(LOCKED)
	@cargo clippy --workspace --all-targets $(LOCKED) -- -D warnings
	@$(ARTERIA) schemas check
	@cargo test --workspace $(LOCKED) --no-run
	@cargo test --workspace $(LOCKED) --test arrows --test source --test topics --quiet
	@scripts/examples.sh
	@$(if $(ARTERIA_SYNTHEA),,echo "ARTERIA_SYNTHEA is not set: tests use generated patients only")
	@cargo test --workspace $(LOCKED) --doc --quiet
	@exec $(ARTERIA) with-network -- cargo test --workspace $(LOCKED) --tests

lint: prerequisites ## Check formatting, dependencies and lints only.
	@cargo fmt --all --check
	@scripts/deny.sh
	@cargo clippy --workspace --all-targets $(LOCKED) -- -D warnings

schemas: build ## Write the generated schemas into proto-schemas/.
	@exec $(ARTERIA) schemas write

bench: prerequisites ## Measure a booking beside its floor, and commits until REST (optimised); ARGS="--only visible" or "--only practice".
	@cargo build --workspace --release $(LOCKED)
	@exec $(BUILT)/release/arteria with-network -- $(BUILT)/release/arteria-bench bench $(ARGS)

growth: prerequisites ## Load 500 clinics of 10,000 patients through the path (half an hour, 30 GB); ARGS="--units 20".
	@cargo build --workspace --release $(LOCKED)
	@exec $(BUILT)/release/arteria with-network -- $(BUILT)/release/arteria-bench growth $(ARGS)

faults: build ## Run the tests that kill, cut and corrupt, alone.
	@exec $(ARTERIA) with-network -- cargo test --workspace $(LOCKED) --test e2e -- $(FAULTS)
