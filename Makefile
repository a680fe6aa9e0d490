# Copyright The ebpf_profiler authors
# SPDX-License-Identifier: Apache-2.0

GO ?= go
TOOLS := bin/tools
OCB := $(TOOLS)/builder
COLLECTOR := otelcol-ebpf-profiler
# How long make run profiles. Without it: 15s, and on a terminal until Ctrl-C.
RUN_FOR ?=
# How long each program of test/stacks is profiled, and how often.
STACKS ?= -for 30s -hz 99 -runtimes -update
# Tests that are not run by default, to be checked like the others.
TAGS := e2e,vm,model,stacks,browser,figures
# Modules of their own beside the root; internal/tools has nothing to test.
MODULES := $(patsubst %/go.mod,%,$(shell find test exporter -name go.mod 2>/dev/null | sort))
GO_FILES = $(shell find . -name '*.go' -not -path './_*')
# in-each runs a go command in every module.
in-each = @set -e; for m in . $(MODULES); do echo "$$m: go $(1)"; (cd $$m && $(GO) $(1)); done

.DEFAULT_GOAL := help
.PHONY: help run build build-contrib build-e2e generate check-generated check-tidy fmt check-fmt vet \
	staticcheck lint-imports lint test-needs test-needs-stacks test test-oracles fuzz test-race test-e2e test-stacks test-browser test-model test-kernels simulate schema symbols cross bench bench-host bench-files clean

help: ## List the targets
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## / { printf "  %-16s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

run: ## Profile this host, print its hottest functions and show flame graphs
	@mkdir -p bin
	@$(GO) build -o bin/profilehost ./cmd/profilehost
	@bin/profilehost -preflight
	@$(MAKE) --no-print-directory build
	@bin/profilehost $(if $(RUN_FOR),-for $(RUN_FOR))

build: $(OCB) ## Build the collector: bin/otelcol-ebpf-profiler
	$(call ocb,builder-config.yaml,_build,$(COLLECTOR))

build-contrib: $(OCB) ## Build it with host and Kubernetes attributes: bin/otelcol-ebpf-profiler-contrib
	$(call ocb,builder-config-contrib.yaml,_build-contrib,$(COLLECTOR)-contrib)

build-e2e: $(OCB) ## Build it for the end-to-end test: bin/otelcol-ebpf-profiler-e2e
	$(call ocb,test/builder-config-e2e.yaml,_build-e2e,$(COLLECTOR)-e2e)

# ocb builds manifest $(1), which writes to $(2) a binary $(3).
define ocb
@echo "Building bin/$(3). The first time takes some minutes."
@mkdir -p bin
@$(OCB) --config $(1)
@mv $(2)/$(3) bin/$(3)
endef

$(TOOLS)/%: internal/tools/go.mod internal/tools/go.sum
	@echo "Building the tools"
	@$(GO) build -C internal/tools -o $(CURDIR)/$(TOOLS)/ tool
	@touch $(TOOLS)/*

generate: ## Regenerate what metadata.yaml and the C files of programs define (needs clang-19)
	$(GO) generate . ./bpf ./test/slowbpf
	$(GO) generate -C exporter/pprofwebexporter .

check-generated: ## Check that generated files are up to date, in a copy with another name
	@internal/tools/check-generated.sh

check-tidy: ## Check that go.mod and go.sum of all modules are tidy
	$(call in-each,mod tidy -diff)

fmt: ## Format all Go files
	@gofmt -l -w $(GO_FILES)

check-fmt: ## List Go files that are not formatted
	@out=$$(gofmt -l $(GO_FILES)); test -z "$$out" || { echo "not formatted, run make fmt:"; echo "$$out"; exit 1; }

vet: ## Run go vet on all modules
	$(call in-each,vet -tags $(TAGS) ./...)

staticcheck: $(TOOLS)/staticcheck ## Run staticcheck on all modules
	@set -e; for m in . $(MODULES); do echo "$$m: staticcheck"; (cd $$m && $(CURDIR)/$< -tags $(TAGS) ./...); done

lint-imports: ## Check which package imports which
	$(GO) test -count=1 ./internal/lint

lint: check-fmt vet staticcheck lint-imports ## All of the above

test-needs:
	@internal/tools/test-needs.sh

# -p 1: tests on the kernel load all CPUs, so packages take turns. FLAGS=-short is what CI runs.
test: test-needs ## Run all tests, those on the kernel only when root
	$(call in-each,test -count=1 -timeout 30m -p 1 $(FLAGS) ./...)

# What the short form leaves out and takes a minute.
test-oracles: ## Run the simulation, and compare names and lines with llvm-symbolizer and the Go runtime
	$(GO) test -count=1 -timeout 30m ./test/simulation ./test/symbols ./internal/gosymbol

# How long each.
FUZZ_FOR ?= 60s
fuzz: ## Fuzz every parser, some 30 min
	@internal/tools/fuzz.sh $(FUZZ_FOR)

# Who has goroutines; internal/lint sees to it that others have none.
CONCURRENT := . ./cmd/... ./receiver/... ./internal/source/... ./internal/sourcetest/... ./internal/metadatatest/...

test-race: test-needs ## Run the tests with the race detector
	$(GO) test -count=1 -timeout 30m -p 1 -race -short $(CONCURRENT)
	@set -e; for m in $(MODULES); do echo "$$m: go test -race"; (cd $$m && $(GO) test -count=1 -race -short ./...); done

simulate: ## Write what the simulation finds into docs/watermark.md
	$(GO) test -count=1 -run TestTheDocument ./test/simulation -args -update

schema: ## Write config.schema.json from Config and the table in README
	$(GO) test -count=1 -run TestTheSchemaIsUpToDate . -args -update

symbols: ## Compare names with llvm-symbolizer-19 and write docs/symbols.md (SYMBOLS=name=file,... for more files, names without comma)
	$(GO) test -count=1 -timeout 60m -run TestTheDocument ./test/symbols -args -update -files "$(SYMBOLS)"

test-e2e: build-e2e build-contrib ## Run the collector from end to end (root)
	$(GO) test -count=1 -v -timeout 30m -tags e2e ./test/e2e/...

test-needs-stacks:
	@internal/tools/test-needs.sh stacks

test-stacks: test-needs-stacks ## Compare stacks of known programs frame by frame, some 20 min (root): docs/stacks.md
	$(GO) test -count=1 -v -timeout 60m -tags stacks ./test/stacks -args $(STACKS)

test-browser: ## Look at the web view with Chromium
	cd exporter/pprofwebexporter && $(GO) test -count=1 -v -timeout 30m -tags browser -run Browser .

test-model: ## Check the models of the watermark and of process identity with SPIN (some 6 min)
	$(GO) test -count=1 -v -timeout 30m -tags model ./test/model

# FLAGS=-short is what CI runs; FLAGS='-args -update' writes docs/kernels.md.
test-kernels: ## Run kernel tests on other kernels in an emulator, some 30 min (downloads them)
	$(GO) test -count=1 -v -timeout 120m -tags vm ./test/vm $(FLAGS)

cross: ## Build for the other platforms
	@set -e; for p in darwin/arm64 windows/amd64 linux/arm64; do \
		echo "$$p: go build, go vet"; export CGO_ENABLED=0 GOOS=$${p%/*} GOARCH=$${p#*/}; \
		for m in . $(filter exporter/%,$(MODULES)); do (cd $$m; $(GO) build ./...; $(GO) vet ./...); done; done

bench: ## Run the benchmarks
	$(GO) test -run '^$$' -bench . -benchmem ./...

# Not by go run: the go command would be among what is profiled.
bin/bench: FORCE
	@$(GO) build -ldflags=-s -o $@ ./test/bench
.PHONY: FORCE

bench-host: build bin/bench ## Measure what the collector costs on this host (root, some 15 min): docs/figures.md
	bin/bench

bench-files: build bin/bench ## Measure the memory that large files take (root, gcc, clang-19, chromium, some 5 min)
	bin/bench -files -for 30s

clean: ## Remove what was built
	rm -rf bin _build _build-contrib _build-e2e
