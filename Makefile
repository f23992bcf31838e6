# The targets that a person types are listed by `make help`.
SHELL := /bin/bash
GO    ?= go
TOOLS := bin/tools
INSTALL = CGO_ENABLED=0 GOBIN=$(CURDIR)/$(TOOLS) $(GO) -C tools install

# Race detector: no second's sleep at each process's end; what it knows of a large buffer is cleared in place, for giving its pages back and
# taking them again, one fault each, cost a seventh of all the processor time of the tests.
export GORACE ?= atexit_sleep_ms=10 clear_shadow_mmap_threshold=67108864 no_huge_pages_for_shadow=0

.PHONY: help
help: ## list these targets
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/\1\t\2/p' $(MAKEFILE_LIST) | expand -t 16

.PHONY: demo
demo: setup build ## archive a folder onto discs in a simulated jukebox and restore it (DIR=… KEEP=1)
	@scripts/demo.sh

.PHONY: test
test: lint ## everything that must hold, with -race; some eight and a half minutes on two cores, once it is compiled
	TMPDIR=$$(scripts/scratch.sh) $(GO) test -race -vet=off -ldflags=-w -p 3 -timeout 10m ./internal/odtest ./... # vetted by lint; whole systems first: they take longest
	$(GO) -C tools test ./...

.PHONY: e2e
e2e: ## every test of a whole system, those too that take long, and the simulator's in full
	ODARCHIVE_SLOW=1 $(GO) test -race -count=1 -timeout 30m ./internal/odtest ./library/simulate

.PHONY: interop
interop: ## what takes long before every judge that there is: nasty trees, giant files, full-size error correction
	INTEROP=1 $(GO) test -count=1 -timeout 30m -run 'Interop|Judge' ./archive/image
	INTEROP=1 $(GO) test -count=1 -timeout 180m -run 'Interop' ./archive/ecc

.PHONY: setup
setup: ## install what this machine lacks
	@scripts/setup.sh

.PHONY: build
build: ## build the commands into bin/, static
	CGO_ENABLED=0 $(GO) build -o bin/ ./cmd/...

.PHONY: source
source: ## pack the source, with all that it is built of, into bin/odarchive-source.tar.gz
	@scripts/source.sh

.PHONY: lint
lint: ## gofumpt, go vet, staticcheck
	@$(INSTALL) mvdan.cc/gofumpt honnef.co/go/tools/cmd/staticcheck
	@unformatted=$$($(TOOLS)/gofumpt -l $$(git ls-files '*.go' | grep -v '\.pb\.go$$')); \
	  [ -z "$$unformatted" ] || { echo "run '$(TOOLS)/gofumpt -w' on:" $$unformatted >&2; exit 1; }
	$(GO) vet -race ./... # what they compile, the tests need too
	GOFLAGS="$(GOFLAGS) -race" $(TOOLS)/staticcheck ./...

.PHONY: vuln
vuln: ## known vulnerabilities of our dependencies (asks the Go vulnerability database)
	@$(INSTALL) golang.org/x/vuln/cmd/govulncheck
	$(TOOLS)/govulncheck ./...

.PHONY: bench
bench: build ## time the main paths beside standard tools
	@scripts/bench.sh

.PHONY: soak
soak: ## a day of a robot's moves, with a fault every 50; every fault on every dialect
	ODARCHIVE_SOAK=14400 $(GO) test -count=1 -timeout 30m -v -run TestSoak ./robot/changer/pioneer
	ODARCHIVE_SOAK=1 $(GO) test -race -count=1 -timeout 20m -run 'TestFaults|TestJournalOfFaults' ./robot/robottest ./internal/agent

.PHONY: rig
rig: ## drivers, cdrskin and agent against emulated burners and changers; as root, with /dev/fuse (CI too)
	@scripts/rig.sh

.PHONY: bench-robots
bench-robots: ## what drivers add to a move, and what drives at full speed take of the processor
	@scripts/bench-robots.sh

.PHONY: bench-schedule
bench-schedule: ## the scheduler's figures beside the baselines; draws docs/schedule.svg
	@scripts/bench-schedule.sh

.PHONY: golden
golden: ## write the golden discs of a new version of the disc format (VERSION=…)
	@[ -n "$(VERSION)" ] || { echo "VERSION=… says of which version" >&2; exit 1; }
	GOLDEN_VERSION=$(VERSION) $(GO) test -count=1 -run '^TestWriteGolden$$' ./archive/golden

.PHONY: bench-image
bench-image: ## images beside genisoimage, xorriso and cat; a million files, 120 GiB, packing
	@scripts/bench-image.sh

.PHONY: bench-ecc
bench-ecc: ## error correction inside a disc beside dvdisaster, by processor time
	@scripts/bench-ecc.sh

.PHONY: bench-discset
bench-discset: ## protection across discs beside the library it uses; scrub; peak memory on large images
	@scripts/bench-discset.sh

.PHONY: proto
proto: ## generate proto/odarchivev1 from proto/odarchive/v1
	$(GO) -C tools run ./protogen

.PHONY: fuzz
fuzz: ## every fuzz target for FUZZTIME (default 30s each)
	@scripts/fuzz.sh

.PHONY: clean
clean: ## remove what was built and the demo's data
	rm -rf bin demo
