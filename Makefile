# One profile for everything: what is tested is what is measured, and dependencies are built once.
CARGO ?= cargo
LAB := target/release/lab
SCENARIO ?= stream

.DEFAULT_GOAL := help
.PHONY: help demo demo-broken demo-fixed compare install up-broken up-fixed stop clean test ci verify fmt clippy \
        unit api-docs docs docs-check truth test-openai reference scenarios strangers

help: ## List the commands
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 16

demo: install ## Run all variants of SCENARIO in their short form and compare them
	@$(LAB) run $(SCENARIO) --quick

demo-broken: install ## Run the broken variant of SCENARIO (default stream) in its short form
	@$(LAB) run $(SCENARIO) --quick --variant broken

demo-fixed: install ## Run the fixed variant of SCENARIO (default stream) in its short form
	@$(LAB) run $(SCENARIO) --quick --variant fixed

scenarios: install ## Run every scenario in its short form and print one table (under 12 min)
	@$(LAB) scenarios

compare: install ## Compare the newest run of each variant; FORMAT=text, markdown or json
	@$(LAB) compare --format $(or $(FORMAT),text)

install: ## Build the lab, the upstream and the servers
	@$(CARGO) build --release --workspace --bins

up-broken: install ## Start upstream and broken server in the foreground, with curl lines to try
	@$(LAB) up broken

up-fixed: install ## Start upstream and fixed server in the foreground, with curl lines to try
	@$(LAB) up fixed

stop: install ## End what a crashed run left behind
	@$(LAB) stop

clean: ## Remove what was built and the runs in results/runs
	$(CARGO) clean
	rm -rf results/runs

test: fmt clippy unit api-docs docs-check ## Check what every change must keep (under 6 min)

ci: ## Run all that CI runs, from `make test` on; a check that cannot be run fails
	@.ci/run

verify: install ## Run what takes long, before a release, and write results/verify.md (about 50 min)
	@tests/verify

fmt:
	$(CARGO) fmt --all --check

clippy:
	$(CARGO) clippy --release --workspace --all-targets -- -D warnings

# The end-to-end tests start the real binaries: cargo builds those of every package that has such tests,
# which are all, with the features of the tests. To build them before would be to build them twice.
unit:
	@if $(CARGO) nextest --version >/dev/null 2>&1; then \
		$(CARGO) nextest run --release --workspace; \
	else \
		$(CARGO) test --release --workspace --lib --bins --tests; \
	fi
	@$(CARGO) test --release --workspace --doc --quiet

api-docs:
	RUSTDOCFLAGS="-D warnings" $(CARGO) doc --release --workspace --no-deps --quiet

docs: install ## Make the generated pages of the documentation anew
	@docs/make

# After `unit`, which builds the programs.
docs-check:
	@docs/make --check

strangers: install ## Run lab attach on services that are no part of the lab (about 20 min)
	@tests/strangers/run

test-openai: install ## Run the official openai Python package against upstream and servers (needs python3)
	@tests/openai_package/run

truth: ## Draw 10,000 services of which the truth is known and count the right verdicts (about 4 min)
	@$(CARGO) run --release --package truth -- --draws 10000 --seed 1

reference: install ## Make results/reference/ and the table in the README anew from full-length runs
	@results/reference/make
