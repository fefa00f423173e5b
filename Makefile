# Takt. `make` alone lists the targets; `make run` and `make test` need nothing but Go (and make) beforehand.

SHELL         := bash
.SHELLFLAGS   := -euo pipefail -c
.DEFAULT_GOAL := help

GOLANGCI_VERSION    := v2.15.0
GOVULNCHECK_VERSION := v1.9.0

GOLANGCI    := $(CURDIR)/bin/golangci-lint-$(GOLANGCI_VERSION)
GOVULNCHECK := $(CURDIR)/bin/govulncheck-$(GOVULNCHECK_VERSION)

# Every Go module of the repository: Takt itself, a worker built on it as a user would build one, and the checks of deploy/.
MODULES := . test/consumer test/deploy

# SQLite is C translated to Go, with locks of its own. To watch each access in it makes tests four times as long; what
# is handed to it and comes back is watched.
RACE := -race -gcflags=modernc.org/sqlite/lib=-race=false -gcflags=modernc.org/libc/...=-race=false

VERSION ?= $(shell git describe --tags --always --dirty 2>/dev/null || echo dev)

FUZZTIME  ?= 10s
BENCH     ?= .
BENCHTIME ?= 1s
SEEDS     ?= 50
FLOOR     ?= 90
SEQUENCES ?= 20000
BULLMQ    ?= 5.81.5

export GOLANGCI GOVULNCHECK MODULES FUZZTIME BENCH BENCHTIME FLOOR

##@ Everyday

.PHONY: help
help: ## list the targets
	@awk 'BEGIN {FS = ":.*## "} /^##@ / {printf "\n%s\n", substr($$0, 5)} /^[a-z-]+:.*## / {printf "  make %-14s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

.PHONY: build
build: ## build the static binary bin/worker
	VERSION='$(VERSION)' deploy/build bin/worker

.PHONY: run
run: build ## build the worker and run it in the foreground (LOG_LEVEL=debug unless set)
	@LOG_LEVEL=$${LOG_LEVEL:-debug} exec .ci/foreground ./bin/worker run --log text

.PHONY: test
test: cgo redis postgres node deploy-tools ## run every test of every module, with the race detector, in random order; simulation and fault tests last, alone, without it
	@RACE='$(RACE)' .ci/test

.PHONY: unit
unit: redis postgres ## run the tests without the race detector and the fault tests: the fast path
	go test -short -parallel=8 $$(go list ./... | grep -vE '/test/(torture|bullboard)')

.PHONY: race
race: cgo redis postgres ## hunt for races: the tests three times over, shuffled, on 1, 2 and 4 processors
	CGO_ENABLED=1 go test $(RACE) -shuffle=on -short -count=1 -cpu=1,2,4 ./core/... ./adapters/... ./app/...

##@ Before a commit

.PHONY: lint
lint: $(GOLANGCI) ## check format, linters and tidiness of every module
	@.ci/lint

.PHONY: fmt
fmt: $(GOLANGCI) ## format every module
	@for module in $(MODULES); do (cd $$module && $(GOLANGCI) fmt --config $(CURDIR)/.golangci.yml $$(go list -f '{{.Dir}}' ./...)); done

.PHONY: arch
arch: ## check who imports whom, transitively; prints nothing when all is well
	@.ci/arch

.PHONY: cover
cover: ## print the coverage of each package of the core; fails below FLOOR percent
	@.ci/cover

.PHONY: generate
generate: ## write the generated files anew
	go generate ./...

.PHONY: tidy
tidy: ## tidy the go.mod of every module
	@for module in $(MODULES); do (set -x; cd $$module && go mod tidy); done

##@ Now and then

.PHONY: bench
bench: ## run the benchmarks and print them as a table (BENCH, BENCHTIME)
	@.ci/bench

.PHONY: bench-redis
bench-redis: redis node ## measure BullMQ's worker and ours on one Redis, in turns (BENCH, BENCH_JOBS, ROUNDS)
	@.ci/bench-redis

.PHONY: bench-bulk
bench-bulk: redis ## clean, drain, retry, promote, remove and obliterate a million jobs (TAKT_BENCH_JOBS): the longest anybody waits
	@BENCH='^BenchmarkBulk$$' BENCHTIME=1x BENCH_PACKAGES=./adapters/redisqueue .ci/bench

.PHONY: bench-sql
bench-sql: postgres redis ## measure ledger, history and outbox in Postgres and SQLite against their goals (BENCH, ROUNDS, TICKS, FLEET_SECONDS, RECORDS)
	@.ci/bench-sql

.PHONY: fuzz
fuzz: ## run each fuzz target for FUZZTIME
	@.ci/fuzz

.PHONY: torture
torture: ## run the simulation in virtual time with SEEDS different seeds
	go test -count=1 -timeout=60m ./test/sim -args -seeds=$(SEEDS)

.PHONY: torture-redis
torture-redis: redis ## kill workers and Redis, lose replies, break Redis in every way: the tests of it at full length
	TAKT_TORTURE=all go test -count=1 -timeout=60m -parallel=2 -skip OnPostgres ./test/torture/...
	TAKT_TORTURE=all go test -count=1 -timeout=60m -parallel=2 -v -run 'Failover|ClusterDies|SlotMoves' ./adapters/redisqueue

.PHONY: valkey
valkey: valkey-server node ## run the tests of queues and ledgers in Redis, and the checks against BullMQ, on Valkey
	TAKT_REDIS_SERVER=valkey-server TAKT_INTEROP=all go test -count=1 -timeout=60m ./adapters/redisqueue ./test/interop/...

.PHONY: torture-ticks
torture-ticks: redis postgres ## kill and freeze replicas on one Postgres for 1,000 seconds; let all faults befall the databases of whole workers; look for an order in 1,000 histories of each ledger, and at plans among a million records
	TAKT_TORTURE=all go test -count=1 -timeout=60m -run 'OnPostgres$$' ./test/torture
	TAKT_TORTURE=all go test -count=1 -timeout=60m -run '^TestWorkers(Lose|ThatAreKilled)' ./test/e2e
	TAKT_TORTURE=all go test -count=1 -timeout=60m -p 1 -run '[iI]sLinearizable$$|^TestBrokenLedgers|_followIndexesOn|_readsNoMoreThan|_looksUpRows' ./test/ledgerhistory ./adapters/redisqueue ./adapters/storage

.PHONY: interop
interop: redis node ## run every check against the supported versions of BullMQ in Node
	TAKT_INTEROP=all go test -count=1 -timeout=60m -parallel=4 ./test/interop/...

.PHONY: bullmq-table
bullmq-table: node ## write docs/bullmq.md anew: all that BullMQ offers, and the test that proves that it is shared
	go test -count=1 ./test/bullmqtable -update

.PHONY: bullboard
bullboard: redis chromium ## look at queues of ours through Bull Board, in Chromium without a screen; pictures go to takt-bullboard in the temporary directory
	go test -count=1 -timeout=10m -parallel=2 ./test/bullboard

.PHONY: differential
differential: redis node ## play SEQUENCES random sequences through BullMQ and through ours, and compare what Redis holds
	go test -count=1 -timeout=60m ./test/differential -args -sequences=$(SEQUENCES) -versions=$(BULLMQ)

.PHONY: vuln
vuln: $(GOVULNCHECK) build ## look for known vulnerabilities in sources and binary (needs vuln.go.dev; CI_STRICT_VULN=1 insists on it)
	@.ci/vuln

.PHONY: licences
licences: build ## list the licences of what the binary holds; fails at one that is not allowed
	@cd test/deploy && go run ./licences $(CURDIR)/bin/worker

.PHONY: tools
tools: $(GOLANGCI) $(GOVULNCHECK) ## install the pinned tools into bin/

.PHONY: clean
clean: ## remove what was built and the cached test results; keeps the tools
	rm -f bin/worker
	go clean -testcache

# The race detector needs cgo, and cgo needs a C compiler.
.PHONY: cgo
cgo:
	@.ci/need-cgo

# Tests start redis-server processes of their own.
.PHONY: redis
redis:
	@.ci/need-redis

.PHONY: valkey-server
valkey-server:
	@.ci/need-valkey

# Tests start a Postgres server of their own.
.PHONY: postgres
postgres:
	@.ci/need-postgres

# Tests of deploy/ check scripts, the unit of systemd and the template with the tools that will read them.
.PHONY: deploy-tools
deploy-tools:
	@.ci/need-deploy

# Interop tests drive BullMQ's own clients, in Node.
.PHONY: node
node:
	@.ci/need-interop

# Bull Board runs in Node, and is looked at in Chromium.
.PHONY: chromium
chromium:
	@.ci/need-chromium

$(GOLANGCI):
	.ci/install github.com/golangci/golangci-lint/v2/cmd/golangci-lint $(GOLANGCI_VERSION)

$(GOVULNCHECK):
	.ci/install golang.org/x/vuln/cmd/govulncheck $(GOVULNCHECK_VERSION)
