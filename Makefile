# drbdnfs: build, checks, package and lab. `make help` lists the targets.
SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
MAKEFLAGS += --no-builtin-rules --no-print-directory

# drbdnfs.spec is the one place that states the version.
VERSION := $(shell sed -n 's/^Version: *//p' drbdnfs.spec)
COMMIT := $(shell git describe --always --dirty --exclude '*' 2>/dev/null || true)
MODULE := github.com/spacei/drbdnfs
LDFLAGS := -s -w -X $(MODULE)/pkg/version.number=$(VERSION) -X $(MODULE)/pkg/version.commit=$(COMMIT)
BINARIES := ocf-drbdnfs drbdnfs drbdnfsd drbdnfs-handler

# One way of compiling for binaries, tests and lint tools, so that Go's build
# cache holds everything once. The race detector alone needs cgo.
export CGO_ENABLED := 0
export GOFLAGS := -trimpath

# promtool, as scripts/install-deps has taken it out of its package.
export PATH := $(CURDIR)/.cache/prometheus:$(PATH)

STAGE := scripts/stage
TOOLS := bin/tools
FUZZTIME ?= 10s

##@ Every day
.PHONY: help build check fmt race histories
help: ## List the targets
	@awk 'BEGIN { FS = ":.*## " } \
		/^##@/ { printf "\n%s\n", substr($$0, 5) } \
		/^[a-z-]+:.*## / { printf "  %-10s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

build: ## Build the binaries into bin/ (static, stripped)
	@go build -buildvcs=false -ldflags "$(LDFLAGS)" -o bin/ $(BINARIES:%=./cmd/%)

check: ## The quick loop: format, vet, lint, unit tests, tidy, meta-data, scripts (under 2 minutes)
	@scripts/install-deps check
	@echo "checking; each part prints when it is done (about two minutes the first time)"
	@$(MAKE) -j2 --output-sync=target $(CHECKS)

fmt: tools ## Format the Go code
	@$(TOOLS)/gofumpt -w cmd ocf pkg test tools

# A program with the race detector in it waits a second at its end by default,
# which is most of the time of the tests that start the programs.
race: ## The tests of packages with goroutines under the race detector
	@scripts/install-deps check
	@CGO_ENABLED=1 GORACE=atexit_sleep_ms=0 $(STAGE) "race tests" go test -short -race -vet=off -timeout 5m $$(scripts/race-packages)

histories: ## 100,000 histories of two nodes and a split brain
	@$(STAGE) "histories" go test -vet=off -count=1 -run '^TestModel$$' ./pkg/splitbrain

##@ The whole
.PHONY: test rpm page demo bench fuzz clean
test: ## Everything on a fresh Debian 12 machine as root: check, package, lab
	@scripts/test

rpm: ## Build the RPM and the source RPM for EL8 into dist/
	@scripts/install-deps rpm
	@scripts/build-rpm dist

check-rpm: ## Check the built RPM: contents, dependencies, scriptlets, rpmlint, reproducibility
	@scripts/install-deps rpm
	@scripts/check-rpm dist

page: ## Open the status page in headless Chromium; screenshots in dist/page
	@scripts/check-page

demo: rpm ## Bring the lab up, kill the active node under load, show what the client saw
	@scripts/lab demo

bench: ## Run the Go benchmarks
	@go test -run '^$$' -bench . -benchmem ./...

fuzz: ## Run every fuzz test for FUZZTIME (10s)
	@scripts/fuzz "$(FUZZTIME)"

clean: ## Remove what make built (the lab's images stay: scripts/lab down)
	@rm -rf bin dist

# The parts of check, each a target of its own; the longest first.
CHECKS := check-test check-lint check-prometheus check-agent check-format check-tidy check-files
.PHONY: tools $(CHECKS) check-rpm

# Pinned by tools/go.mod, a module of its own: the project does not depend on
# what checks it. Go's build cache keeps them between runs.
tools:
	@$(STAGE) "lint tools" go build -C tools -buildvcs=false -o ../$(TOOLS)/ ./lint mvdan.cc/gofumpt github.com/mgechev/revive

# Without the race detector, which wants everything compiled once more: make race
# has it, and make test both.
# Without DWARF a test binary is linked in half the time.
check-test:
	@$(STAGE) "unit tests" go test -short -vet=off -ldflags=-w -timeout 5m ./...

check-lint: tools
	@$(STAGE) "vet, fix, staticcheck" $(TOOLS)/lint ./...
	@$(STAGE) "revive" $(TOOLS)/revive -config revive.toml -formatter plain ./...

check-format: tools
	@$(STAGE) "format" scripts/no-output "make fmt puts this right" $(TOOLS)/gofumpt -d cmd ocf pkg test tools

check-tidy:
	@$(STAGE) "go mod tidy" go mod tidy -diff
	@$(STAGE) "go mod tidy, tools" go -C tools mod tidy -diff

check-agent: build
	@$(STAGE) "agent" scripts/check-agent bin/ocf-drbdnfs

check-prometheus:
	@$(STAGE) "alert rules and dashboard" scripts/check-prometheus

check-files:
	@$(STAGE) "shellcheck" shellcheck -x .ci/run $$(grep -lE '^#!/bin/(ba)?sh' scripts/*)
	@$(STAGE) "XML" xmllint --noout packaging/rpm/firewalld/*.xml
