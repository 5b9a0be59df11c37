# The front door. Meson and Ninja do the building; `make help` lists what there is.

BUILD ?= build
PREFIX ?= /usr/local
DESTDIR ?=
PYTHON ?= $(shell test -x /usr/bin/python3 && echo /usr/bin/python3 || echo python3)
JOBS ?= $(shell nproc 2>/dev/null || echo 2)
FUZZ_SECONDS ?= 30
SOAK_SECONDS ?= 3600

# Warnings are errors with the compilers that the project is built with all the time; a newer one
# may warn of something new, and a stranger's build does not end there. WERROR=true|false decides.
COMPILER := $(shell $(CC) --version 2>/dev/null | sed -n '1s/^.*clang.* \([0-9]*\)\..*/clang-\1/p;1s/^.*cc.* \([0-9]*\)\..*/gcc-\1/p' | head -1)
WERROR ?= $(if $(filter gcc-12 clang-14,$(COMPILER)),true,false)

C_FILES = $(shell find src tests/unit tests/support tests/fuzz bench -name '*.[ch]' 2>/dev/null)

MESON_SETUP = meson setup --prefix=$(PREFIX) -Dwerror=$(WERROR)
NINJA = ninja -j $(JOBS)

.PHONY: all build run check asan tsan fuzz bench soak format lint analyze install clean help setup-build

all: build

help:
	@echo 'make            builds $(BUILD)/guise (release)'
	@echo 'make run        builds it and runs examples/quickstart.yaml'
	@echo 'make check      every test and check there is; ends with "N passed, N failed"'
	@echo 'make asan       unit and end-to-end tests under AddressSanitizer and UBSan'
	@echo 'make tsan       the same under ThreadSanitizer'
	@echo 'make fuzz       each fuzz target for FUZZ_SECONDS=$(FUZZ_SECONDS)'
	@echo 'make bench      what picking a server costs; side by side with nginx and haproxy'
	@echo 'make soak       load for SOAK_SECONDS=$(SOAK_SECONDS), memory watched'
	@echo 'make format     lays out all C files with clang-format'
	@echo 'make lint       layers, conventions, headers, clang-tidy, cppcheck'
	@echo 'make analyze    gcc -fanalyzer over src/ (slow)'
	@echo 'make install    DESTDIR=, PREFIX=$(PREFIX)'
	@echo 'make clean      removes the build directories'

setup-build:
	@tools/setup build

build: setup-build
	@test -f $(BUILD)/build.ninja || $(MESON_SETUP) $(BUILD)
	@$(NINJA) -C $(BUILD) guise

# On a terminal a process group of its own: Ctrl-C then means Guise, which drains and ends with 0,
# and not make as well, which would end with an error.
run: build
	@tools/setup run || echo 'Guise runs without it; the commands that it suggests do not.' >&2
	@if [ -t 0 ]; then set -m; $(BUILD)/guise run -c examples/quickstart.yaml; \
	else exec $(BUILD)/guise run -c examples/quickstart.yaml; fi

check:
	@tools/setup build test
	@BUILD=$(BUILD) WERROR=$(WERROR) $(PYTHON) tools/check

asan:
	@tools/setup build test
	@test -f build-asan/build.ninja || $(MESON_SETUP) --buildtype=debugoptimized \
		-Db_sanitize=address,undefined -Dtests=enabled build-asan
	@WERROR=$(WERROR) BUILD=build-asan $(PYTHON) tools/check build unit e2e

tsan:
	@tools/setup build test
	@test -f build-tsan/build.ninja || $(MESON_SETUP) --buildtype=debugoptimized \
		-Db_sanitize=thread -Dtests=enabled build-tsan
	@WERROR=$(WERROR) BUILD=build-tsan $(PYTHON) tools/check build unit e2e

fuzz:
	@tools/setup build test
	@test -f build-fuzz/build.ninja || CC=clang $(MESON_SETUP) --buildtype=debugoptimized \
		-Db_sanitize=address,undefined -Dfuzz=true -Dtests=disabled build-fuzz
	@$(NINJA) -C build-fuzz
	@tools/fuzz build-fuzz $(FUZZ_SECONDS)

bench: build
	@tools/setup build bench
	@BUILD=$(abspath $(BUILD)) bench/balance $(if $(findstring --quick,$(BENCH_ARGS)),-q)
	@BUILD=$(abspath $(BUILD)) bench/rules $(if $(findstring --quick,$(BENCH_ARGS)),-q)
	@BUILD=$(abspath $(BUILD)) bench/mask $(if $(findstring --quick,$(BENCH_ARGS)),-q)
	@GUISE_BINARY=$(BUILD)/guise bench/run $(BENCH_ARGS)

soak: build
	@tools/setup build bench
	@$(PYTHON) tools/soak $(SOAK_SECONDS) $(BUILD)/guise

format:
	@tools/setup build test
	@clang-format -i $(C_FILES)

lint:
	@tools/setup build test
	@BUILD=$(BUILD) WERROR=$(WERROR) $(PYTHON) tools/check build layers conventions headers tidy cppcheck

analyze:
	@tools/setup build test
	@tools/analyze

install: build
	@test "$$(meson introspect --buildoptions $(BUILD) | $(PYTHON) -c 'import json, sys; print(next(o["value"] for o in json.load(sys.stdin) if o["name"] == "prefix"))')" = "$(PREFIX)" || \
		meson configure -Dprefix=$(PREFIX) $(BUILD)
	@$(NINJA) -C $(BUILD) guise
	@DESTDIR=$(if $(DESTDIR),$(abspath $(DESTDIR))) meson install --no-rebuild -C $(BUILD)

clean:
	rm -rf $(BUILD) build-asan build-tsan build-fuzz build-analyze
