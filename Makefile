# The front door; Meson and Ninja do the work. Only setup, demo and test install packages: the others
# name what is missing and the command that installs it.
BUILD  := build
QGRAFT := $(BUILD)/release/src/cli/qgraft
PREFIX := /usr/local

# The emulator and the ROMs for the tests: QGRAFT_ATARI, or the place of `make atari` if it is
# complete, or a copy in the build folder.
ATARI_HOME := $(or $(XDG_DATA_HOME),$(HOME)/.local/share)/qgraft/atari
TEST_ATARI := $(or $(QGRAFT_ATARI),$(if $(wildcard $(ATARI_HOME)/SHA256SUMS),$(ATARI_HOME),$(CURDIR)/$(BUILD)/atari-files))

.DEFAULT_GOAL := all
.PHONY: all help setup install wheel demo atari bench test test-slurm soak fuzz lint format clean build-folder

all: build-folder ## build the library and the program (build/release/src/cli/qgraft)
	@ninja -C $(BUILD)/release --quiet products

build-folder: check-build
	@test -f $(BUILD)/release/build.ninja || meson setup $(BUILD)/release

help: ## this list
	@sed -n 's/^\([a-z-]*\):.*## /\1\t/p' $(MAKEFILE_LIST) | expand -t 12

setup: ## install what building, reports and `make atari` need; setup-lint: what `make lint` needs, and so on
	@scripts/packages.sh install build setup

setup-%:
	@scripts/packages.sh install build $*

check-%:
	@scripts/packages.sh check build $*

install: all ## install the program, the library and its headers: PREFIX (default /usr/local), DESTDIR
	@scripts/install.sh $(BUILD)/release "$(PREFIX)"

wheel: check-wheel all ## make a wheel of the Python package for other machines: build/wheelhouse
	@scripts/test-venv.sh $(BUILD)/venv
	@scripts/wheel.sh $(BUILD) $(BUILD)/venv/bin/python

demo: setup-demo ## run a small study on the built-in games and write its report; installs what it needs
	@$(MAKE) --no-print-directory all
	@$(QGRAFT) run studies/demo.yaml --out $(BUILD)/demo
	@$(QGRAFT) report $(BUILD)/demo
	@echo "The program is $(QGRAFT); make install PREFIX=~/.local puts it in place."

atari: ## build the Atari emulator and fetch the ROMs (QGRAFT_ATARI names another place)
	@scripts/packages.sh check build atari
	@scripts/fetch-atari.sh

bench: all ## measure the speed of games, replay, updates and training
	@$(QGRAFT) bench

test: setup-test ## all tests, sanitizers included, but test-slurm and fuzz; installs what it needs
	@mkdir -p $(BUILD)
	@scripts/test-venv.sh $(BUILD)/venv
	@scripts/fetch-atari.sh "$(TEST_ATARI)"
	@QGRAFT_ATARI="$(TEST_ATARI)" scripts/test.sh $(BUILD) $(BUILD)/venv/bin/python

test-slurm: check-slurm all ## studies on a real Slurm, started for the test
	@scripts/test-venv.sh $(BUILD)/venv
	@QGRAFT="$(CURDIR)/$(QGRAFT)" $(BUILD)/venv/bin/python -m pytest -q tests/slurm

soak: check-soak all ## kill and resume runs for SECONDS (default 600); let every call fail; valgrind
	@grep -q '^build unit-tests:' $(BUILD)/release/build.ninja || meson setup --reconfigure $(BUILD)/release >/dev/null
	@ninja -C $(BUILD)/release --quiet test-tools tests/test_kernels tests/test_replay
	@scripts/test-venv.sh $(BUILD)/venv
	@scripts/fetch-atari.sh "$(TEST_ATARI)"
	@QGRAFT_ATARI="$(TEST_ATARI)" scripts/soak.sh $(BUILD)/release $(BUILD)/venv/bin/python $(SECONDS)

fuzz: check-fuzz ## feed every reader of files with what libFuzzer thinks of, for SECONDS (default 60) each
	@scripts/fuzz.sh $(or $(SECONDS),60)

lint: check-lint all ## formatting, includes, clang-tidy, cppcheck, shellcheck
	@scripts/lint.sh $(BUILD)/release

format: check-lint ## bring all C files into the form that lint wants
	@git ls-files '*.[ch]' | xargs clang-format -i

clean: ## remove all that was built
	@rm -rf $(BUILD)
