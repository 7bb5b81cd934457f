# Two commands do all the set-up: `make run` and `make test`.
VENV ?= .venv
BIN = $(VENV)/bin
DATA ?= data
ARGS ?=
# Seeds of the simulator in `make test`, some two minutes of two cores; `make sim SEEDS=…` runs any number.
SIM_SEEDS ?= 500
# The tests run node and npm: the machine's own, else those of the virtual environment.
export PATH := $(PATH):$(abspath $(BIN))
# Some environments forbid compiled modules; each of the hundreds of processes that tests start would compile all anew.
unexport PYTHONDONTWRITEBYTECODE

# Where `make install` puts things; DESTDIR=/some/where stages it. WHEELS: a directory of `make wheels`, instead of the network.
export PREFIX ?= /opt/citadel
export DESTDIR WHEELS PYTHON UNITDIR SYSUSERSDIR TMPFILESDIR BINDIR OUT

.PHONY: help run test check lint types floors page web unit integration box sim bench coverage lock docs torture clean install uninstall wheels deb

help:
	@echo "make run          start everything on loopback, data in ./$(DATA) (ARGS='--replay FILE --speed 5')"
	@echo "make test         lint, types, import floors, all tests"
	@echo "make lint types floors web unit integration    one part of it"
	@echo "make page         build the live page anew, if web/ changed"
	@echo "make box          installation, units, package and every runbook under a real systemd; root"
	@echo "make coverage     the same tests, with what they cover; at least 90 %"
	@echo "make sim          the simulator: SEEDS=200 seeds from FIRST=1, or one again with SEED=7"
	@echo "make install      below PREFIX=$(PREFIX) with systemd units, or upgrade what is there; make uninstall (DESTDIR, WHEELS)"
	@echo "make wheels       fetch into WHEELS=… what make install needs on a host without a network"
	@echo "make deb          the same as a Debian package in dist/"
	@echo "make bench        performance, as ratios within one run"
	@echo "make torture      power cuts, kills, flipped bits and hostile input by the thousand; hours"
	@echo "make docs         write the generated pages anew"
	@echo "make lock         resolve the requirements anew"

run:
	@scripts/bootstrap $(VENV) runtime
	@scripts/web $(VENV)
	@exec $(BIN)/hxp up --data $(DATA) $(ARGS)

# What needs no server, two at a time.
check: dev
	@$(MAKE) --no-print-directory --output-sync -j 2 types web lint floors

# Three workers on two cores: much of the tests is waiting for something to happen. The files with the longest tests begin,
# as pyproject.toml has them, so that no worker is alone with one at the end.
test: check
	scripts/system-packages
	$(BIN)/pytest -n 3 --dist loadfile --no-loadscope-reorder
	PYTHONHASHSEED=0 $(BIN)/python -m tests.sim --seeds $(SIM_SEEDS)

# The same tests, with what they cover; measuring takes half as much time again, so that make test goes without.
coverage: dev page
	scripts/system-packages
	rm -f .coverage .coverage.*
	$(BIN)/pytest -n 2 --dist loadfile --cov --cov-report=
	$(BIN)/coverage report --skip-covered --precision=1

lint: dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: dev
	$(BIN)/mypy

floors: dev
	$(BIN)/lint-imports

unit: dev page
	$(BIN)/pytest tests/unit

# The page; nothing happens while its sources are as they were.
page: dev
	@scripts/web $(VENV)

# Its own tests.
web: page
	cd web && npm run --silent check && npm run --silent test

integration: dev page
	scripts/system-packages
	$(BIN)/pytest tests/integration

# Installation, units and package under a real systemd that boots in a box.
box: export HXP_BOX = required
box: dev
	scripts/system-packages
	$(BIN)/pytest tests/box

# The same set order in every process: a seed is then the same history everywhere.
sim: export PYTHONHASHSEED = 0
sim: dev
	$(BIN)/python -m tests.sim $(if $(SEED),--seed $(SEED),--seeds $(or $(SEEDS),200) --first $(or $(FIRST),1)) \
	    $(if $(FAULTS),--faults $(FAULTS)) $(if $(READERS),--readers $(READERS)) $(if $(PLANT),--plant $(PLANT))

bench: dev page
	scripts/bench-packages $(BIN)/python
	$(BIN)/python -m tests.performance

torture: dev
	scripts/system-packages
	$(BIN)/python -m tests.torture cuts 10000
	$(BIN)/python -m tests.torture kills 1000
	$(BIN)/python -m tests.torture flips
	PYTHONHASHSEED=0 $(BIN)/python -m tests.sim --seeds 10000
	$(BIN)/python -m tests.torture decoders 1000000
	$(BIN)/python -m tests.torture frames 1000000
	$(BIN)/python -m tests.torture endpoints 500
	$(BIN)/python -m tests.torture faults
	$(BIN)/python -m tests.torture siege 3
	$(BIN)/python -m tests.torture slow 1000
	$(BIN)/python -m tests.torture partition 30
	$(BIN)/python -m tests.torture notifications 200
	$(BIN)/python -m tests.torture load 3600

# These need the system's Python alone, nothing of the development environment.
install uninstall wheels:
	@scripts/install $@

deb:
	@scripts/deb

docs: dev
	$(BIN)/python scripts/generate_docs.py

lock:
	@[ -x $(BIN)/uv ] || scripts/bootstrap $(VENV) dev
	$(BIN)/uv pip compile pyproject.toml --extra build --universal --python-version 3.11 --generate-hashes \
	    --no-header --upgrade -q -o requirements/runtime.txt
	$(BIN)/uv pip compile pyproject.toml --extra build --extra dev --universal --python-version 3.11 --generate-hashes \
	    --no-header --upgrade -q -o requirements/dev.txt
	$(BIN)/uv pip compile requirements/crewai.in --universal --python-version 3.11 --generate-hashes \
	    --no-header --upgrade -q -o requirements/crewai.txt

.PHONY: dev
dev:
	@scripts/bootstrap $(VENV) dev

clean:
	rm -rf $(VENV) .mypy_cache .pytest_cache .ruff_cache .hypothesis .import_linter_cache .coverage .coverage.* build dist
