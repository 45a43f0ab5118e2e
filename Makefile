# The front door. Meson and Ninja do the work; each target first installs what it needs and lacks.
BUILD  := build
QGRAFT := $(BUILD)/release/src/cli/qgraft

# The emulator and the ROMs for the tests: QGRAFT_ATARI, or the place of `make atari` if it is
# complete, or a copy in the build folder.
ATARI_HOME := $(or $(XDG_DATA_HOME),$(HOME)/.local/share)/qgraft/atari
TEST_ATARI := $(or $(QGRAFT_ATARI),$(if $(wildcard $(ATARI_HOME)/SHA256SUMS),$(ATARI_HOME),$(CURDIR)/$(BUILD)/atari-files))

.DEFAULT_GOAL := all
.PHONY: all help configure test soak fuzz test-slurm demo atari bench lint format install clean

# What a target needs beyond the build: all of it is looked for, and installed, in one go.
demo: NEEDS := demo
lint: NEEDS := lint
test-slurm: NEEDS := slurm

all: configure ## build the program (build/release/src/cli/qgraft)
	@ninja -C $(BUILD)/release --quiet products

configure:
	@scripts/install-deps.sh build $(NEEDS)
	@test -f $(BUILD)/release/build.ninja || meson setup $(BUILD)/release

help: ## this list
	@sed -n 's/^\([a-z-]*\):.*## /\1\t/p' $(MAKEFILE_LIST) | expand -t 12

test: ## every test: unit, sanitizers, against other programs
	@scripts/install-deps.sh build test atari browser
	@mkdir -p $(BUILD)
	@scripts/test-venv.sh $(BUILD)/venv
	@scripts/fetch-atari.sh "$(TEST_ATARI)"
	@QGRAFT_ATARI="$(TEST_ATARI)" scripts/test.sh $(BUILD) $(BUILD)/venv/bin/python

test-slurm: all ## studies on a real Slurm, started for the test
	@scripts/test-venv.sh $(BUILD)/venv
	@QGRAFT="$(CURDIR)/$(QGRAFT)" $(BUILD)/venv/bin/python -m pytest -q tests/slurm

soak: all ## kill and resume runs for SECONDS (default 600); let every call fail; valgrind
	@scripts/install-deps.sh test atari soak
	@ninja -C $(BUILD)/release --quiet test-tools
	@scripts/test-venv.sh $(BUILD)/venv
	@scripts/fetch-atari.sh "$(TEST_ATARI)"
	@QGRAFT_ATARI="$(TEST_ATARI)" scripts/soak.sh $(BUILD)/release $(BUILD)/venv/bin/python $(SECONDS)

fuzz: ## feed every reader of files with what libFuzzer thinks of, for SECONDS (default 60) each
	@scripts/install-deps.sh build fuzz
	@scripts/fuzz.sh $(or $(SECONDS),60)

demo: all ## run a small study on the built-in games and write its report
	@$(QGRAFT) run studies/demo.yaml --out $(BUILD)/demo
	@$(QGRAFT) report $(BUILD)/demo

atari: ## fetch the Atari emulator and ROMs (QGRAFT_ATARI names another place)
	@scripts/install-deps.sh atari
	@scripts/fetch-atari.sh

bench: all ## measure the speed of games, replay, updates and training
	@$(QGRAFT) bench

lint: configure ## formatting, includes, clang-tidy, cppcheck, shellcheck
	@scripts/lint.sh $(BUILD)/release

format: ## bring all C files into the form that lint wants
	@scripts/install-deps.sh lint
	@git ls-files '*.[ch]' | xargs clang-format -i

install: all ## install the program, the library and its headers
	@meson install -C $(BUILD)/release --no-rebuild

clean: ## remove all that was built
	@rm -rf $(BUILD)
