# Needs python3 >= 3.11 with venv and headers, gcc and make; the rest is installed into .venv.
PYTHON ?= python3
VENV ?= .venv
PEERS := .venv-peers
BIN := $(VENV)/bin
# Most tests wait more than they work, so that more of them run at once than there are cores; but
# each worker has a PostgreSQL of its own, and the memory that takes.
WORKERS ?= $(shell echo $$((2 * $$(nproc) + 4)))
# What one command alone wants is in $(VENV)-NAME, which takes everything else from $(VENV).
SUITES := lint test bench power tools console
# Beside that of VENV; Debian 13 brings 3.13.
SECOND ?= python3.13
# For the programs of other authors, which want 3.12 at least.
OUTSIDE ?= python3.13
WITNESSES := $(VENV)-outside
# Playwright drives it; each page is kept as a picture in the folder, for people.
CHROMIUM ?= chromium
SCREENS ?= build/console-screens
# Debian's packages that `.ci/run` wants, but for those of `make setup`.
DEBIAN := curl git haproxy nginx prometheus systemd util-linux iproute2 faketime fuse3 \
	python3.13 python3.13-venv python3.13-dev mmdebstrap chromium fonts-dejavu-core
# What campaigns want besides: machines, containers.
FOR_CAMPAIGNS := systemd-container podman buildah crun netavark aardvark-dns nftables
# The package of the build before, and its commit: what an upgrade begins with.
FORMER := build/former-package
FORMER_COMMIT := 601f01d4
RESULTS := bench/results
STARTED := $(shell date +%s.%N)
SOURCES := src tests bench deploy setup.py
PYX := $(wildcard src/warouter/_*.pyx src/warouter/*/_*.pyx src/warouter/*/*/_*.pyx)
PXD := $(wildcard src/warouter/_*.pxd src/warouter/*/*/_*.pxd)

# Those that the schemas inside kubernetes-validate know: resources of operators are none of them.
MANIFESTS := $(filter-out %/kustomization.yaml %/monitoring.yaml,$(wildcard deploy/kubernetes/*.yaml))

# The tests start hundreds of processes: none of them shall compile its sources anew.
unexport PYTHONDONTWRITEBYTECODE

.DEFAULT_GOAL := help
.PHONY: help setup packages docs demo apt test test-bare test-second check lint lint-code lint-deploy fuzz bench bench-e2e bench-wide shape size lock clean
.PHONY: image test-package test-aws test-backup test-containers test-machines test-patroni test-s3
.PHONY: bench-cloud bench-console bench-docs bench-idle bench-peers test-console test-large test-outside test-trust sanitize
.PHONY: upgrade chaos-short chaos chaos-mutants chaos-clocks chaos-calm chaos-power simulate mutants properties

help: ## show this list
	@sed -n 's/^\([a-z0-9-]*\):.*## /\1\t/p' $(MAKEFILE_LIST) | expand -t 12

apt: ## install Debian's packages that the tests want and this machine lacks (as root; CAMPAIGNS=1)
	@for package in $(DEBIAN) $(if $(CAMPAIGNS),$(FOR_CAMPAIGNS)); do \
		dpkg -s $$package >/dev/null 2>&1 || lacking="$$lacking $$package"; done; \
	if test -z "$$lacking"; then exit; fi; \
	if test "$$(id -u)" != 0; then echo "apt: not run (needs root for$$lacking)"; exit; fi; \
	export DEBIAN_FRONTEND=noninteractive; apt-get update -qq; for package in $$lacking; do \
		apt-get install -qq --no-install-recommends $$package >/dev/null 2>&1 \
			|| echo "apt: not run (cannot install $$package)"; done

setup: $(VENV)/installed ## make .venv with the locked packages and the project, editable

packages: setup $(VENV)-tools/installed ## sdist, wheels, .deb, .rpm, SBOM into dist/ (SOURCE=tree DIST=folder)
	@$(with_tools) deploy/package/build.sh \
		$(or $(SOURCE),.) $(or $(DIST),dist) $(BIN)/python python3.12 python3.14
	@touch $(or $(DIST),dist)/made

image: dist/made ## build the images warouter:latest and warouter:local (BASE=image of a Debian 13)
	deploy/container/build.sh

docs: setup ## write what is made from the code, or from another page, anew
	$(BIN)/python -m tests.harness.variables
	$(BIN)/python -m tests.harness.error_codes
	$(BIN)/python -m tests.harness.findings
	$(BIN)/python -m tests.harness.inlined
	$(BIN)/python -m tests.harness.runbook
	$(BIN)/python -m tests.harness.alerts
	$(BIN)/python -m tests.harness.doubt_table
	$(BIN)/python -m tests.harness.scope_table

demo: setup ## start a whole cluster on this machine and send messages through a failover
	$(BIN)/warouter demo --since $(STARTED)

test: setup $(VENV)-test/collected ## run the tests, several at once (TEST="tests/unit -k hash" WORKERS=1)
	$(VENV)-test/bin/python -m pytest --numprocesses=$(WORKERS) --dist=loadgroup \
		--durations=20 --durations-min=5 $(TEST)

test-bare: setup $(VENV)-test/collected ## run them with no program to be found but README's prerequisites
	@if ! command -v dpkg-query >/dev/null; then \
		$(call absent,test-bare,needs Debian's dpkg to tell which programs README's packages bring); \
	else $(BIN)/python -m tests.harness.bare build/bare/bin && \
		PATH="$(abspath build/bare/bin)" $(MAKE) --no-print-directory test TEST="$(TEST)"; fi

check: lint ## the loop before each commit: lint, unit tests, 20 simulated seeds
	@$(MAKE) --no-print-directory test TEST=tests/unit WORKERS=$$(nproc)
	@$(MAKE) --no-print-directory simulate SEEDS=20

test-second: setup ## run the unit tests on a second Python (SECOND=python3.13)
	@if ! $(SECOND) -c $(BUILDS) 2>/dev/null; then \
		$(call absent,second Python,$(SECOND) with its venv and headers is not here); \
	elif test "$$($(SECOND) -V | cut -d. -f1,2)" = "$$($(BIN)/python -V | cut -d. -f1,2)"; then \
		$(call absent,second Python,$(VENV) has $(SECOND): give another one as SECOND); \
	else $(MAKE) --no-print-directory setup PYTHON=$(SECOND) VENV=$(VENV)-$(SECOND:python%=%) \
		&& $(VENV)-$(SECOND:python%=%)/bin/python -m pytest --numprocesses=$$(nproc) tests/unit; fi

test-outside: setup ## let programs of others read, write and judge the Cloud API's bodies (META_OPENAPI=path)
	@if ! $(OUTSIDE) -c $(YOUNG) 2>/dev/null; then \
		$(call absent,outside witnesses,$(OUTSIDE)$(comma) 3.12 or newer with its venv$(comma) is not here); \
	else $(MAKE) --silent $(WITNESSES)/installed && META_OPENAPI="$(META_OPENAPI)" \
		WITNESSES=$(WITNESSES) $(BIN)/python -m pytest --numprocesses=$$(nproc) --dist=loadgroup \
		--durations=5 --durations-min=5 tests/outside; fi

test-console: setup ## the console in a real browser (CONSOLE="-k keyboard", SCREENS=folder)
	@if ! command -v $(CHROMIUM) >/dev/null; then \
		$(call absent,console,$(CHROMIUM) is not here: apt-get install chromium fonts-dejavu-core); \
	elif ! $(MAKE) --silent $(VENV)-console/installed; then \
		$(call absent,console,cannot install requirements/console.lock); \
	else CHROMIUM="$$(command -v $(CHROMIUM))" SCREENS="$(SCREENS)" \
		$(VENV)-console/bin/python -m pytest --numprocesses=$$(nproc) --dist=loadgroup \
		--durations=5 --durations-min=5 tests/console $(CONSOLE); fi

test-trust: setup $(VENV)-test/installed ## trust: what is longer than `make test` bears (TRUST="-k rotat")
	$(VENV)-test/bin/python -m pytest -p $(WHOLE) --numprocesses=$$(nproc) --dist=loadgroup \
		--durations=5 --durations-min=5 tests/trust $(TRUST)

test-package: ## install what `make packages` makes where there is no compiler, and run the demo
	@$(with_tools) $(call alone,tests/deploy/package $(PACKAGE),bare,packages)

test-machines: ## boot machines with the shipped units and package (MACHINES="-k power")
	@$(call alone,tests/deploy/machines $(MACHINES),machine,dist/made $(FORMER)/made)

test-backup: ## lose the database under traffic, restore it to a point in time (BACKUP="-k cloud")
	@$(call alone,tests/deploy/backup $(BACKUP),backup)

test-patroni: ## fail PostgreSQL over by Patroni on three machines, under load (PATRONI="--rows")
	@$(call alone,tests/deploy/patroni $(PATRONI),patroni)

test-s3: setup $(VENV)-tools/installed ## media in a bucket of moto, a second implementation of S3 (S3="-k cluster")
	$(VENV)-tools/bin/python -m pytest --durations=5 --durations-min=5 tests/deploy/s3 $(S3)
	$(BIN)/python -m pytest -s --durations=5 --durations-min=5 tests/cluster/test_media_bucket.py

test-aws: ## carry out the stacks of deploy/aws, and boot the machines that come of them (AWS="-k stacks")
	@$(call alone,tests/deploy/aws $(AWS),machine,dist/made)

test-containers: ## the image and the shipped compose file under podman (CONTAINERS="-k demo")
	@$(call alone,tests/deploy/containers $(CONTAINERS),bare database,dist/made)

sanitize: setup $(VENV)-test/installed ## run the compiled parts with AddressSanitizer and UBSan (SANITIZED="tests/unit/link")
	rm -rf build/sanitized && mkdir -p build/sanitized && cp -r src setup.py pyproject.toml README.md build/sanitized
	find build/sanitized/src -name '*.so' -delete
	cd build/sanitized && WAROUTER_CYTHON_SANITIZE=1 $(abspath $(BIN))/python setup.py --quiet build_ext --inplace
	PYTHONPATH=build/sanitized/src PYTHONMALLOC=malloc PYTHONDONTWRITEBYTECODE=1 \
		LD_PRELOAD="$$(gcc -print-file-name=libasan.so) $$(gcc -print-file-name=libubsan.so)" \
		ASAN_OPTIONS=detect_leaks=0 UBSAN_OPTIONS=print_stacktrace=1:halt_on_error=1 \
		$(VENV)-test/bin/python -m pytest -p no:cacheprovider --capture=sys $(SANITIZED)

# Where every byte that the compiled parts read is drawn, cut and mutated; malloc is the system's, so
# that the sanitizer sees the bounds of each object. What it finds ends the run, and is printed past
# the capture of pytest. The interpreter's own leaks at exit are not counted.
SANITIZED := tests/unit/link tests/unit/test_batch.py tests/unit/test_hash.py \
	tests/unit/store/test_arrays.py tests/unit/api/test_scan.py tests/unit/api/test_plain.py \
	tests/api/test_fastpath.py

simulate: setup ## run whole clusters on virtual time under drawn faults (SEEDS=10000 UPSTREAM=both FIRST=0 JOBS=2)
	$(BIN)/python -m tests.campaigns.simulation --seeds $(or $(SEEDS),1000) --first $(or $(FIRST),0) --jobs $(or $(JOBS),2) --upstream $(or $(UPSTREAM),both)

mutants: setup ## find a simulated seed for each mutant, and freeze it for `make test` (MUTANTS="--anew")
	$(BIN)/python -m tests.campaigns.simulation.mutation --jobs $(or $(JOBS),2) $(MUTANTS)

properties: setup $(VENV)-test/installed ## look for examples that no test knows yet (TIMES=20)
	for each in $$(seq $(or $(TIMES),20)); do \
		$(VENV)-test/bin/python -m pytest --quiet --numprocesses=$$(nproc) --hypothesis-profile=search \
			$$(grep -rlE "@given|RuleBasedStateMachine" tests/unit --include="test_*.py") || exit; \
	done

lint: setup $(VENV)-lint/installed $(VENV)-tools/installed ## check style, types, stubs and the import floors
	@$(MAKE) --no-print-directory --jobs=2 --output-sync=target lint-code lint-deploy

lint-code:
	@$(call check,ruff) check $(SOURCES)
	@$(call check,ruff) format --check $(SOURCES)
	@$(call check,mypy)
	@$(call check,stubtest) warouter._hash warouter._batch warouter.link._frames warouter.store._arrays \
		warouter.api.messages._scan warouter.api.messages._plain
	@$(call check,cython-lint) $(PYX) $(PXD)
	@$(call check,lint-imports)
	@$(BIN)/python -m tests.harness.commits

lint-deploy:
	@echo cfn-lint; $(VENV)-tools/bin/cfn-lint deploy/aws/*.yml
	@echo hadolint; $(VENV)-tools/bin/hadolint deploy/container/Containerfile
	@echo kubernetes-validate; $(VENV)-tools/bin/kubernetes-validate --strict --quiet $(MANIFESTS)
	@if command -v kubectl >/dev/null; then kubectl kustomize deploy/kubernetes >/dev/null; \
	else echo "kustomize: not run (no kubectl is here)"; fi
	@if command -v systemd-analyze >/dev/null; then \
		scratch=$$(mktemp -d); trap 'rm -rf $$scratch' EXIT; \
		for unit in deploy/systemd/*.service deploy/aws/*.service; do \
			kind=$${unit##*/warouter-}; drop_in=deploy/systemd/credentials/$${kind%@*}.conf; \
			if test -e $$drop_in; then mkdir $$scratch/$${unit##*/}.d; \
				sed 's/^#\([A-Z]\)/\1/' $$drop_in > $$scratch/$${unit##*/}.d/credentials.conf; fi; \
			sed 's#/opt/warouter/bin/warouter#/bin/true#' $$unit > $$scratch/$${unit##*/}; \
			systemd-analyze verify --man=no $$scratch/$${unit##*/} > $$scratch/said 2>&1 \
				&& test ! -s $$scratch/said || { cat $$scratch/said; exit 1; }; \
			systemd-analyze security --no-pager --offline=yes --threshold=15 $$unit > $$scratch/said 2>&1 \
				|| { cat $$scratch/said; exit 1; }; tail -n 1 $$scratch/said; \
		done; \
	else echo "systemd units: not run (Debian's package systemd brings systemd-analyze)"; fi

	@if command -v promtool >/dev/null; then \
		scratch=$$(mktemp -d); trap 'rm -rf $$scratch' EXIT; cp deploy/monitoring/*.yml $$scratch; \
		touch $$scratch/warouter.key $$scratch/warouter-ca.crt; \
		sed -i "s#/etc/prometheus#$$scratch#" $$scratch/prometheus.yml; \
		promtool check config $$scratch/prometheus.yml > $$scratch/said 2>&1 \
			&& promtool test rules $$scratch/warouter.rules.test.yml >> $$scratch/said 2>&1 \
			|| { cat $$scratch/said; exit 1; }; echo "monitoring: rules and scrape config are right"; \
	else echo "monitoring: not run (Debian's package prometheus brings promtool)"; fi

test-large: setup ## each statement on tables of 2,000,000 rows: some 10 minutes, 2 GiB (LARGE="--only message")
	$(BIN)/python -m tests.campaigns.large $(LARGE)

fuzz: setup ## odd requests at a real cluster: 20,000 generated, 100,000 mutated (FUZZ="--seed 1")
	$(BIN)/python -m tests.campaigns.fuzz $(FUZZ)

bench: setup $(VENV)-bench/installed ## time the compiled parts beside their readable twins (BENCH="-k hash", --benchmark-disable)
	$(VENV)-bench/bin/python -m pytest bench --benchmark-columns=min,median,max,rounds --benchmark-warmup=on $(BENCH)

bench-e2e: setup ## every figure of whole clusters, 35 minutes at most (E2E="--only lives")
	$(BIN)/python -m bench.e2e $(E2E)

bench-idle: setup ## what a cluster costs at rest, at 80 and at 1,000 messages/s (IDLE="--base CLONE")
	$(BIN)/python -m bench.idle $(IDLE)

bench-cloud: setup ## the Cloud API as upstream: every figure beside its goal, 50 minutes (CLOUD="--only storm")
	$(BIN)/python -m bench.cloud $(CLOUD)

bench-console: setup $(VENV)-console/installed ## the console: how soon it shows what is, what it costs, 8 minutes
	$(BIN)/python -m bench.console $(BENCH_CONSOLE)

bench-docs: setup $(PEERS)/installed ## all of docs/benchmarks.md anew, in 90 minutes without other work
	-$(BIN)/python -m bench.idle --rates 10,80,250,1000,4000 --out $(RESULTS)/idle.json
	-$(BIN)/python -m bench.e2e --out $(RESULTS)/e2e.json
	-$(BIN)/python -m bench.peers --out $(RESULTS)/peers.json
	-$(BIN)/python -m bench.cloud --out $(RESULTS)/cloud.json
	$(BIN)/python -m bench.report

bench-peers: setup $(PEERS)/installed ## time accepting beside PgQueuer, procrastinate, NATS, RabbitMQ, Redis
	$(BIN)/python -m bench.peers

upgrade: setup $(VENV)-test/installed ## upgrade a cluster of the build before, under load, and back
	$(VENV)-test/bin/python -m pytest -s -p $(WHOLE) tests/cluster/upgrade_former.py

chaos-short: setup ## hurt clusters of real processes for some minutes, 80 faults over both doors
	$(BIN)/python -m tests.campaigns.chaos $(CHAOS)

chaos: setup ## the long campaign: 300 faults and more (CHAOS="--seed 1", "--upstream cloud")
	$(BIN)/python -m tests.campaigns.chaos --long --rate 900 --out chaos-report $(CHAOS)

chaos-mutants: setup ## show that the judge finds a build that lacks a mechanism
	$(BIN)/python -m tests.campaigns.chaos.mutation

chaos-clocks: setup ## set the wall clocks of PostgreSQL and of processes, by up to hours (faketime)
	$(BIN)/python -m tests.campaigns.chaos --only step-database-clock --only step-node-clock --times 3 $(CHAOS)

chaos-calm: setup ## ten minutes with busy loops and an open snapshot: nothing is taken over
	$(BIN)/python -m tests.campaigns.chaos.calm

bench-wide: setup ## 32 shards, 34 coreapps, 3 webapps, 3 masters: connections, memory, CPU, a kill
	$(BIN)/python -m bench.wide
chaos-power: setup $(VENV)-power/installed ## cut PostgreSQL's power again and again under a whole cluster (needs FUSE)
	$(VENV)-power/bin/python -m tests.campaigns.chaos.power $(CHAOS)

shape: setup ## count lines, files, functions and names (SINCE=revision for a column before)
	$(BIN)/python -m tests.harness.shape $(SINCE)

size: setup ## show the size of a production install and of .venv, MiB
	@scratch=$$(mktemp -d); trap 'rm -rf $$scratch' EXIT; \
	$(PYTHON) -m venv $$scratch && \
	$(BIN)/uv pip install --quiet --python $$scratch --require-hashes -r deploy/requirements.lock && \
	$(BIN)/uv pip install --quiet --python $$scratch --no-deps --build-constraints deploy/build.lock . && \
	du -sm $$scratch $(VENV)

lock: setup ## resolve the newest allowed versions anew into requirements.lock and requirements/
	$(COMPILE) pyproject.toml --extra console --extra local --extra s3 --group dev --upgrade --output-file requirements.lock
	for suite in $(SUITES); do \
		$(COMPILE) --group $$suite --constraint requirements.lock --upgrade \
			--output-file requirements/$$suite.lock || exit 1; done
	$(COMPILE) pyproject.toml --extra console --extra s3 --constraint requirements.lock --output-file deploy/requirements.lock
	$(COMPILE) pyproject.toml --all-extras --constraint requirements.lock --output-file deploy/extras.lock
	$(COMPILE) --group build --constraint requirements.lock --output-file deploy/build.lock
	$(subst 3.11,3.12,$(COMPILE)) --group outside --upgrade --output-file requirements/outside.lock

COMPILE = $(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes \
	--no-annotate --custom-compile-command "make lock"

clean: ## remove .venv and everything that was built
	rm -rf $(VENV) $(VENV)-* build dist src/*.egg-info .pytest_cache .mypy_cache .ruff_cache .import_linter_cache
	rm -f src/warouter/*.so src/warouter/*/*.so

# Whether a Python makes venvs and has its headers.
BUILDS := 'import ensurepip, os, sysconfig; os.stat(sysconfig.get_path("include") + "/Python.h")'

YOUNG := 'import ensurepip, sys; sys.exit(sys.version_info < (3, 12))'

with_tools = export PATH="$(abspath $(VENV)-tools/bin):$(abspath $(BIN)):$$PATH";

# The packages that suites install, made anew when what goes into them has changed.
PACKAGED := pyproject.toml setup.py README.md CHANGELOG.md $(shell find src deploy docs -type f \
	-not -name '*.so' -not -path '*/__pycache__/*')
dist/made: $(PACKAGED) | setup $(VENV)-tools/installed
	$(MAKE) --no-print-directory packages

# A shallow clone has none. Its version is made a lower one, by which a test tells it from today's.
$(FORMER)/made: | setup $(VENV)-tools/installed
	rm -rf $(FORMER) && mkdir -p $(FORMER)/source
	if git cat-file -e $(FORMER_COMMIT)^{commit} 2>/dev/null; then \
		git archive $(FORMER_COMMIT) | tar -x -C $(FORMER)/source && \
		sed -i 's/^__version__ = "[^"]*"/__version__ = "0.1.9"/' \
			$(FORMER)/source/src/warouter/__init__.py && \
		$(MAKE) --no-print-directory packages SOURCE=$(FORMER)/source DIST=$(FORMER); fi
	@touch $@

# Who asks for a suite by its name is told by exit code 1 that it did not run, and why; `.ci/run` goes
# on (GO_ON=1), and says so at its end. What of a suite did not run: tests/deploy/conftest.py.
absent = { echo "$(1): not run ($(2))"; test -n "$(GO_ON)"; }
comma := ,
WHOLE := tests.deploy.conftest

# Runs a suite of tests/deploy ($1) where its networks, mounts and processes end with it; before, it
# makes the Debians ($2) and the targets ($3) that the suite wants.
define alone
if ! unshare --net --mount --pid --fork true 2>/dev/null; then \
	$(call absent,$@,needs root$(comma) and namespaces that unshare can make); \
else $(MAKE) --no-print-directory setup $(VENV)-tools/installed $(3) && \
	$(VENV)-tools/bin/python -m tests.deploy.rootfs $(2) && \
	unshare --net --mount --pid --fork --kill-child --mount-proc $(VENV)-tools/bin/python \
	-m pytest -s --timeout=1800 --durations=5 --durations-min=5 $(1); fi
endef

# One check by name; it finds its own helpers beside it. A missing one says so, and fails.
define check
test -x $(VENV)-lint/bin/$(1) || { echo "lint: $(1) is not installed in $(VENV)-lint" >&2; exit 1; }; \
	echo "$(1)"; PATH="$(abspath $(VENV)-lint/bin):$$PATH" $(1)
endef

# pytest compiles tests and plugins anew, with their asserts: two at a time do it here once for a
# clone, else each worker of its first run would do it all.
$(VENV)-test/collected: $(VENV)-test/installed
	@printf '%s\n' tests/unit 'tests/api tests/integration tests/cluster tests/campaigns' \
		| xargs --max-lines=1 --max-procs=$$(nproc) $(VENV)-test/bin/python -m pytest \
		--collect-only --quiet --quiet >/dev/null 2>&1 || true # the run itself says what is wrong
	@touch $@

$(VENV)/locked: requirements.lock
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or newer is needed")'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade pip
	$(BIN)/python -m pip install --quiet --require-hashes -r requirements.lock
	@touch $@

$(VENV)/installed: $(VENV)/locked pyproject.toml setup.py $(PYX) $(PXD)
	$(BIN)/python -m pip install --quiet --no-deps --no-build-isolation --editable .
	@touch $@

$(VENV)-%/installed: requirements/%.lock $(VENV)/locked
	$(BIN)/python -m venv --clear --without-pip $(VENV)-$*
	$(BIN)/uv pip install --quiet --python $(VENV)-$* --require-hashes -r $<
	$(BIN)/python -c $(SITE) > $$($(VENV)-$*/bin/python -c $(PURELIB))/project.pth
	@touch $@

# The witnesses share nothing with the project, not even its Python.
$(WITNESSES)/installed: requirements/outside.lock
	$(OUTSIDE) -m venv --clear $(WITNESSES)
	$(WITNESSES)/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes -r $<
	@touch $@

# The peers' clients stay out of .venv; what they share with the project they take from it. A client
# that cannot be had is named by the bench, so that this does not fail.
$(PEERS)/installed: bench/peers/requirements.txt $(VENV)/locked
	$(BIN)/python -m venv $(PEERS)
	$(BIN)/python -c $(PURELIB) > $$($(PEERS)/bin/python -c $(PURELIB))/project.pth
	$(PEERS)/bin/python -m pip install --quiet --disable-pip-version-check -r $< && touch $@ \
		|| echo "bench-peers: not every client could be installed into $(PEERS)"

SITE := 'import sysconfig; print("import site; site.addsitedir(%r)" % sysconfig.get_path("purelib"))'
PURELIB := 'import sysconfig; print(sysconfig.get_path("purelib"))'
