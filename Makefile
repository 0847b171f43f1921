# `make run` starts a store on local files behind HTTP; `make test` runs every
# test. Nothing but Go has to be there.

.PHONY: run test torture soak bench bench-test lint fuzz build

build:
	go build -o bin/daybook ./cmd/daybook

run: build
	./bin/daybook serve

test:
	./scripts/test

# Ten thousand crashes and a thousand flipped bits on a simulated disk, all
# planted bugs, a fault at every call of a compaction, and a kill at every sync;
# says which seeds. See docs/testing.md.
CRASHES ?= 10000
FLIPS ?= 1000
torture:
	DAYBOOK_TORTURE=$(CRASHES) DAYBOOK_TORTURE_FLIPS=$(FLIPS) go test -count 1 -timeout 60m -v \
		-run '^Test(SimulatedCrashes|FlippedBits|LyingDisks|PlantedBugs|KilledAtEverySync|CompactionThatMeets|CrashesAtEveryChange)' ./storage/disk

# A server under everything at once, killed and started again, for as long as
# you like; ends with verify and a report. See docs/testing.md.
FOR ?= 10m
soak:
	DAYBOOK_SOAK=$(FOR) go test -count 1 -timeout 0 -v -run '^TestServerThatIsSoaked' ./cmd/daybook

# Measures beside other engines, for hours, and writes docs/benchmarks.md;
# BENCH=-quick for a few minutes, to the terminal only; BENCH=-h tells the rest.
BENCH ?=
bench:
	./scripts/bench $(BENCH)

# The tests of the benchmarks, which are a module of their own.
bench-test:
	go -C bench vet ./...
	go -C bench test -race ./...

lint:
	@test -z "$$(gofmt -l .)" || { echo "not formatted:"; gofmt -l .; exit 1; }
	go vet ./...
	go -C tools build -o ../bin/staticcheck honnef.co/go/tools/cmd/staticcheck
	./bin/staticcheck ./...

# Each fuzz test for a minute; FUZZTIME=1h for longer.
FUZZTIME ?= 1m
fuzz:
	@for target in $$(grep -rhoE '^func Fuzz[A-Za-z]+' --include='*_test.go' . | cut -c6- | sort -u); do \
		package=$$(dirname $$(grep -rl "func $$target(" --include='*_test.go' . | head -n 1)); \
		echo "$$package $$target"; \
		go test -run '^$$' -fuzz "^$$target$$" -fuzztime $(FUZZTIME) $$package || exit 1; \
	done
