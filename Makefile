# Two commands for a newcomer: `make demo` and `make test`. Each sets up what it needs, in build/.
PYTHON ?= python3
# What is installed to be tested: this directory, or a wheel that was built from it.
FROM ?= .
ENV := build/env
BIN := $(ENV)/bin

SOURCES := pyproject.toml meson.build meson.options $(shell find src -type f -not -name '*.pyc')

.PHONY: demo test test-capi-sanitizers test-capi-valgrind test-hosts test-isa test-parallel test-site test-spark examples lint portable docs package reproducible wheels bench bench-check clean

# Choose mixtures for three data sets, print tables of BIC and summaries, draw the fits and maps of their components.
demo: $(ENV)/demo-installed
	@echo "Fitting: a few seconds for each data set"
	$(BIN)/python examples/demo.py mixfast_demo.png

# The whole suite against the installed package. MIXFAST_INSTALLED makes the tests of the installation insist on it.
test: $(ENV)/test-installed
	MIXFAST_INSTALLED=1 $(BIN)/python -m pytest -n auto

# What rests on the last bits of sums: fits, their starts and their limits. Under every instruction set of the machine but
# the one that `test` takes, and v2, whose bits are those of base (test_agnosticism.py). What tries all sets by itself is
# left out.
NUMERIC := acceleration algebra bernoulli_mixture categorical_mixture em_laws family_laws gamma_mixture mclust \
	multinomial_mixture poisson_mixture possible_rows product_mixture seeding starts_inside statistics student_t_mixture \
	von_mises_fisher_mixture
ISAS = $$($(BIN)/python -c "from mixfast.engine import _isa; print(*(set(_isa.available_isas()) - {_isa.CHOSEN_ISA, 'v2'}))")

test-isa: $(ENV)/test-installed
	for isa in $(ISAS); do echo "MIXFAST_ISA=$$isa"; \
		MIXFAST_ISA=$$isa $(BIN)/python -m pytest -n auto $(NUMERIC:%=tests/test_%.py) -k "not every_instruction_set" || exit 1; done

# Tests of what runs without the GIL, each in eight threads at once: what free-threaded Pythons are to be trusted with.
PARALLEL := algebra batch capi em_laws family_laws family_struct partitions random seeding statistics
test-parallel: $(ENV)/test-installed
	$(BIN)/python -m pip install --quiet pytest-run-parallel
	$(BIN)/python -m pytest --parallel-threads=8 $(PARALLEL:%=tests/test_%.py)

# The C interface under valgrind: a program that calls every function, in memory of exactly the size that it asks for.
test-capi-valgrind: $(ENV)/test-installed
	MIXFAST_VALGRIND=1 $(BIN)/python -m pytest tests/test_capi_examples.py -k valgrind

# Tests of the C interface in a mixfast that was built with the sanitizers of addresses and of undefined behaviour, which end
# a process where they find something. What the interpreter keeps when it ends is no leak of ours; kernels of one set do, and
# compile in a tenth of the time without most optimisations.
test-capi-sanitizers: build/sanitized/installed
	LD_PRELOAD="$$($(CC) -print-file-name=libasan.so)" ASAN_OPTIONS=detect_leaks=0 \
		UBSAN_OPTIONS=halt_on_error=1:print_stacktrace=1 PYTHONMALLOC=malloc build/sanitized/bin/python -m pytest -s \
		tests/test_capi.py tests/test_capi_examples.py::test_every_function_in_exact_memory

build/sanitized/installed: $(SOURCES)
	@echo "Installing mixfast with sanitizers: some minutes"
	$(PYTHON) -m venv --clear build/sanitized
	build/sanitized/bin/python -m pip install --quiet --upgrade pip
	build/sanitized/bin/python -m pip install --quiet "pytest>=8" . --config-settings=setup-args=-Db_lundef=false \
		--config-settings=setup-args=-Db_sanitize=address,undefined --config-settings=setup-args=-Doptimization=1 \
		--config-settings=setup-args=-Disa=v3
	touch $@

lint: $(ENV)/dev-installed
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	PATH="$(CURDIR)/$(BIN):$$PATH" cython-lint src  # it calls pycodestyle by name
	! grep -rnE '\[-[0-9]' src --include='*.pyx' --include='*.pxd'  # -Xwraparound=False: reads what lies before the first
	$(BIN)/python lint/docstrings.py
	$(BIN)/python lint/portable.py --here
	$(BIN)/mypy --strict --config-file pyproject.toml lint/consumer.py  # reads the installed package, as its users do
	$(BIN)/stubtest mixfast --mypy-config-file pyproject.toml --ignore-missing-stub --allowlist lint/stubtest.txt

# The C kernels, compiled for Linux, macOS and Windows on x86-64 and aarch64 by Zig's compiler.
portable: $(ENV)/created
	$(BIN)/python -m pip install --quiet ziglang
	$(BIN)/python lint/portable.py

# The site, in build/docs/html: pages, the gallery, whose scripts are run where they changed, and the reference. A warning is
# an error.
docs: $(ENV)/docs-installed
	$(BIN)/python -m sphinx -q -W --keep-going $(SPHINXOPTS) -b html -d build/docs/doctrees docs build/docs/html

# The site as `make docs` left it, opened in a headless Chromium: links, pictures, the search, errors of the console.
test-site: docs
	$(BIN)/python docs/check_site.py build/docs/html

# Fits over Spark: it needs a Java runtime, which is installed where there is none and apt-get may.
test-spark: build/test-spark/installed
	command -v java >/dev/null || { apt-get update && apt-get install --yes --no-install-recommends default-jre-headless; }
	build/test-spark/bin/python -m pytest tests/spark

# The programs of examples/hosts beside hmmlearn, rdt and OpenCV, none of which is skipped here.
test-hosts: build/test-hosts/installed
	build/test-hosts/bin/python -m pytest tests/test_hosts.py

# Fits over Ray and inside dask-ml.
examples: build/examples/installed
	build/examples/bin/python examples/ray_partitions.py
	build/examples/bin/python examples/dask_ml_wrappers.py

# Environments of their own, each with the extra of its name: pyspark is 450 MB and wants an older pandas, Ray is 80 MB, and
# dask-ml has its own mind about Dask.
build/%/installed: $(SOURCES)
	@echo "Installing mixfast from $(FROM) and what \`make $*\` needs: some minutes"
	$(PYTHON) -m venv --clear build/$*
	build/$*/bin/python -m pip install --quiet --upgrade pip
	build/$*/bin/python -m pip install --quiet "$(FROM)[$*]"
	touch $@

# A source distribution, and a wheel built from it, which is installed into an empty environment and used there.
package: $(ENV)/created
	rm -rf build/package && mkdir -p build/package
	$(BIN)/python -m pip install --quiet build
	$(BIN)/python -m build --outdir build/package
	$(PYTHON) -m venv build/package/env
	build/package/env/bin/pip install --quiet build/package/mixfast-*.whl
	cd build/package && env/bin/python ../../.ci/smoke.py

# The source distribution and the wheel of the last commit are the same, byte for byte, when they are built again elsewhere.
reproducible: $(ENV)/created
	$(BIN)/python -m pip install --quiet build
	$(BIN)/python lint/reproducible.py

# Wheels for several Pythons, each used in an empty environment.
WHEEL_PYTHONS ?= $(PYTHON)
wheels:
	.ci/wheels $(WHEEL_PYTHONS)

# asv's benchmarks of the last commit, and of BENCH_COMMITS, once each, and their pages, in benchmarks/html. `make bench
# BENCH_COMMITS=HEAD~10..HEAD` takes a build of some minutes for each of ten commits. Of earlier commits some may fail: these
# lack what newer benchmarks time.
BENCH_COMMITS ?=
bench: $(ENV)/created
	$(BIN)/python -m pip install --quiet asv==0.6.5 virtualenv
	cd benchmarks && ../$(BIN)/asv machine --yes && ../$(BIN)/asv run --quick --show-stderr --skip-existing-successful "HEAD^!"
	-test -z "$(BENCH_COMMITS)" || { cd benchmarks && ../$(BIN)/asv run --quick --skip-existing "$(BENCH_COMMITS)"; }
	cd benchmarks && ../$(BIN)/asv publish

# Fails where a case takes 1.2 times as long as in the build of another commit, in turn with it.
BENCH_AGAINST ?= HEAD~1
bench-check: $(ENV)/test-installed
	sha=$$(git rev-parse --short "$(BENCH_AGAINST)") && $(MAKE) build/builds/$$sha/installed && \
		$(BIN)/python benchmarks/compare.py --against "$(CURDIR)/build/builds/$$sha/env/bin/python" --limit 1.2

build/builds/%/installed:
	@echo "Installing mixfast of commit $*: one to three minutes"
	rm -rf build/builds/$* && mkdir -p build/builds
	git clone --quiet --no-local . build/builds/$*/source && git -C build/builds/$*/source checkout --quiet $*
	$(PYTHON) -m venv build/builds/$*/env
	build/builds/$*/env/bin/python -m pip install --quiet build/builds/$*/source
	touch $@

$(ENV)/created:
	@echo "Making an environment in $(ENV)"
	$(PYTHON) -m venv $(ENV)
	$(BIN)/python -m pip install --quiet --upgrade pip
	touch $@

$(ENV)/%-installed: $(ENV)/created $(SOURCES)
	@echo "Installing mixfast from $(FROM) and what \`make $*\` needs: one to three minutes, most of them for compiling"
	$(BIN)/python -m pip install --quiet "$(FROM)[$*]"
	touch $@ $(if $(filter dev,$*),$(ENV)/test-installed)  # dev has all of test: building once more would take minutes

clean:
	rm -rf build docs/gallery docs/reference mixfast_demo.png
