# Every target sets up what it needs: a Debian machine with Python 3.11 and make is enough.
SHELL := /bin/bash
PY := .venv/bin/python
PIP := $(PY) -m pip install --quiet --disable-pip-version-check
ARGS ?=
# The firmware's drivers on CPython.
DRIVERS := PYTHONPATH=firmware:tests/cpython
# Debian packages that the tests use; python3-venv makes .venv.
PACKAGES := mosquitto libcoap3-bin softhsm2 postgresql
# What compiles detools at its installation.
COMPILER := build-essential python3-dev
# A test that hangs is named, with what each of its threads did, and the others go on.
HANGS := -o faulthandler_timeout=600 -o faulthandler_exit_on_timeout=true
STUBS := micropython-esp32-stubs==1.29.0.post1 micropython-stdlib-stubs==1.29.0.post2

.PHONY: demo test hil lint types bench bench-thread bench-heap bench-modems bench-scenarios bench-bytes \
  bench-coap bench-oscore bench-twilight bench-alarms bench-flash bench-update bench-rollouts bench-legacy \
  measure soak soak-trace soak-fuzz soak-coap soak-bitflips soak-bundles soak-claims soak-unplug soak-valve \
  soak-register soak-update-nodes soak-cuts soak-legacy soak-ledger soak-metering soak-migration mutants \
  mutants-random mutants-map wheel system compiler clean

.venv/bin/python:
	@python3 -m venv .venv || { rm -rf .venv; \
	  echo "make: python3 cannot make a virtual environment: apt-get install python3-venv" >&2; exit 1; }

.venv/.demo: pyproject.toml | .venv/bin/python
	@echo "installing kapok into .venv ..."
	@$(PIP) --editable .
	@touch $@

.venv/.dev: pyproject.toml | compiler .venv/bin/python
	@echo "installing kapok and its developer tools into .venv ..."
	@$(PIP) --editable '.[dev,hil,release]'
	@touch $@ .venv/.demo

# The stubs never go into the environment itself: they would shadow the standard library.
typings/.done: pyproject.toml Makefile | .venv/bin/python
	@$(PIP) --no-deps --upgrade --target typings $(STUBS)
	@touch $@

# As root: install what is missing. Otherwise: say in one line what is.
system: NEEDED := $(PACKAGES)
compiler: NEEDED := $(COMPILER)
system compiler:
	@missing=""; for p in $(NEEDED); do \
	  dpkg-query -W -f '$${Status}' $$p 2>/dev/null | grep -q 'ok installed' || missing="$$missing $$p"; done; \
	if [ -n "$$missing" ]; then \
	  if [ "$$(id -u)" = 0 ]; then echo "installing Debian packages:$$missing"; \
	    apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq $$missing >/dev/null; \
	  else echo "make: Debian packages are missing: sudo apt-get install$$missing" >&2; exit 1; fi; fi

demo: .venv/.demo
	@.venv/bin/kapok demo $(ARGS)

# The hundreds of programs that tests start find our modules compiled.
test hil: export PYTHONDONTWRITEBYTECODE :=
test hil: export PYTHONPYCACHEPREFIX := $(CURDIR)/.venv/pycache
test: system .venv/.dev typings/.done
	@$(PY) -m pytest -n 3 --dist worksteal $(HANGS) $(ARGS)

# The suite on the virtual rig; console, AT and MQTT logs and currents of each test in build/hil.
# It warns where it took over 480 s; ARGS="--within 480" makes that a failure.
hil: system .venv/.dev
	@$(PY) -m pytest hil -n 3 --dist loadgroup $(HANGS) --rig hil/rigs/virtual.yaml \
	  --html build/hil/report.html --junit-xml build/hil/junit.xml $(ARGS)

lint: .venv/.dev
	$(PY) -m ruff check .
	$(PY) -m ruff format --check .
	$(PY) tests/lint/firmware_rules.py firmware
	$(PY) tests/lint/firmware_rules.py hil/stimulus

types: .venv/.dev typings/.done
	$(PY) -m mypy
	$(PY) -m pyright -p pyrightconfig.json

# Minutes long: kill -9, broker kills, power cuts, a wipe; then the same without receipts.
bench-thread: system .venv/.dev
	@$(PY) -m tests.bench.thread $(ARGS)

# The smallest heap with which each role lives through a day with a configuration and an alarm.
bench-heap: .venv/.dev
	@$(PY) -m tests.bench.heap $(ARGS)

# What one report costs, by modem family and coverage.
bench-modems: .venv/.dev
	@$(DRIVERS) $(PY) -m tests.bench.modems $(ARGS)

# Two hundred seeded scenarios for each modem family.
bench-scenarios: .venv/.dev
	@$(DRIVERS) $(PY) -m tests.bench.campaign $(ARGS)

# Octets on the air and energy of a report, by door.
bench-bytes: system .venv/.dev
	@$(DRIVERS) $(PY) -m tests.bench.bytes $(ARGS)

# What a battery node's wakes take, measured anew into hw/measured for kapok battery.
measure: system .venv/.dev
	@$(DRIVERS) $(PY) -m tests.bench.measure $(ARGS)

# Reports a second that one core commits over CoAP, beside aiocoap alone.
bench-coap: .venv/.dev
	@$(DRIVERS) $(PY) -m tests.bench.coap $(ARGS)

# Time to seal and open on the VM, relative to SHA-256.
bench-oscore: .venv/.dev
	@$(DRIVERS) $(PY) -m tests.bench.oscore $(ARGS)

# A year of civil twilight on the node beside astral's.
bench-twilight: .venv/.dev
	@$(DRIVERS) $(PY) -m tests.bench.twilight $(ARGS)

# What alarms cost the ingest, a report.
bench-alarms: .venv/.dev
	@$(DRIVERS) $(PY) -m tests.bench.alarms $(ARGS)

# What kapok flash costs over the raw tool, on a line of 460,800 baud.
bench-flash: .venv/.dev
	@$(DRIVERS) $(PY) -m tests.bench.flash $(ARGS)

# Octets, heap and time of an update: one constant changed, the last ten commits, whole.
bench-update: system .venv/.dev
	@$(DRIVERS) $(PY) -m tests.bench.update $(ARGS)

# Rollouts over 3,000,000 terminals, and 300 seeds of releases that fail now and then.
bench-rollouts: .venv/.dev
	@$(DRIVERS) $(PY) -m tests.bench.rollouts $(ARGS)

# Ten thousand open HJ 212 connections on one core, beside a bare asyncio echo server.
bench-legacy: .venv/.dev
	@$(PY) -m tests.bench.legacy $(ARGS)

bench: bench-heap bench-modems bench-scenarios bench-bytes bench-oscore bench-twilight bench-coap \
  bench-alarms bench-flash bench-update bench-rollouts bench-legacy bench-thread

# A recorded level trace through the whole thread; ARGS names another CSV file.
soak-trace: .venv/.dev
	@$(PY) -m tests.bench.trace $(ARGS)

# A million random byte streams for the parser of each modem family.
soak-fuzz: .venv/.dev
	@$(PY) -m tests.bench.fuzz_at $(ARGS)

# A hundred thousand reports over CoAP: loss, kills, power cuts, every nonce on record.
soak-coap: .venv/.dev
	@$(DRIVERS) $(PY) -m tests.bench.coap_loss $(ARGS)

# A million damaged datagrams for the CoAP server.
soak-bitflips: .venv/.dev
	@$(DRIVERS) $(PY) -m tests.bench.coap_bitflips $(ARGS)

# A million mutated releases for the node's verifier.
soak-bundles: .venv/.dev
	@$(DRIVERS) $(PY) -m tests.bench.bundles $(ARGS)

# Two hundred tokens for one board each, redeemed by a hundred at once; kill -9 in between.
soak-claims: .venv/.dev
	@$(DRIVERS) $(PY) -m tests.bench.claims $(ARGS)

# Two hundred boards, unplugged while they are flashed or provisioned; the same commands mend them.
soak-unplug: .venv/.dev
	@$(DRIVERS) $(PY) -m tests.bench.unplug $(ARGS)

# A million commands to a gas meter's valve: replayed, forged, late, and power cuts at every step.
soak-valve: .venv/.dev
	@$(DRIVERS) $(PY) -m tests.bench.valve $(ARGS)

# Ten years of a gas meter's pulses, 5,000 power cuts, three rollovers, and what the flash wears.
soak-register: .venv/.dev
	@$(DRIVERS) $(PY) -m tests.bench.register $(ARGS)

# 20 whole nodes over modem twins take a delta; one loses power, the fleet dies once.
soak-update-nodes: system .venv/.dev
	@$(DRIVERS) $(PY) -m tests.bench.update_nodes $(ARGS)

# A thousand random lives of meters: swaps, turns, units, rollbacks, deaths; all that flowed is billed.
soak-ledger: .venv/.dev
	@KAPOK_LIVES=1000 $(PY) -m pytest -q -n 0 tests/unit/fleet/test_ledger_model.py $(ARGS)

# A thousand random months of meters: late, wrong and missing readings, bills and corrections.
soak-metering: .venv/.dev
	@KAPOK_METERS=1000 $(PY) -m pytest -q -n 0 tests/unit/fleet/test_metering_model.py $(ARGS)

# 10,000 terminals from CSV to decommissioned, 50 kills of the fleet, 200 rollbacks; ARGS="--sabotage untied".
soak-migration: .venv/.dev
	@$(PY) -m tests.bench.migration $(ARGS)

# Over 100,000 power cuts in an update's life, on three flash layouts; five in a row too.
soak-cuts: .venv/.dev
	@$(DRIVERS) $(PY) -m tests.bench.cuts $(ARGS)

# A million damaged frames for each codec of legacy protocols, none slower than 50 ms.
soak-legacy: .venv/.dev
	@$(PY) -m tests.bench.legacy_fuzz $(ARGS)

# Everything that is too long for every run.
soak: soak-trace soak-fuzz soak-bitflips soak-bundles soak-claims soak-unplug soak-valve \
  soak-register soak-cuts soak-legacy soak-ledger soak-metering soak-migration soak-coap soak-update-nodes bench-thread

# Each deliberate fault of hil/mutants/faults.toml against the suite: all must be caught.
mutants: system .venv/.dev
	@$(PY) -m hil.mutants faults $(ARGS)

# 200 random mutants of the firmware against the tests that may notice them; ARGS="--seed N" goes on,
# with --again those that survived are put to the tests that are new.
mutants-random: system .venv/.dev | build/mutants/map
	@$(PY) -m hil.mutants random $(ARGS)

# Which tests execute which line of the firmware on CPython: those tests once, under coverage.
mutants-map: system .venv/.dev
	@$(PY) -m hil.mutants record $(ARGS)

build/mutants/map:
	@$(MAKE) mutants-map ARGS=

wheel: .venv/.dev
	@$(PY) -m build --wheel --outdir dist . >/dev/null && ls dist/*.whl

clean:
	rm -rf .venv typings dist build
