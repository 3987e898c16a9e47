# Every target installs what it needs into $(VENV), on a fresh machine too: `make demo` is enough.
VENV   ?= .venv
PYTHON ?= python3
BIN    := $(VENV)/bin
KERNEL := $(wildcard edge/kernel/*.[ch] edge/kernel/*/*.[ch])
OUT    ?= demo-out

# hnswlib compiles at install; without this it would be tied to the processor it was built on.
export HNSWLIB_NO_NATIVE = 1

.PHONY: all-extras demo test test-all lint docs bench c-test fuzz kill wheels wheelhouse lock clean

demo: $(VENV)/.train          ## real pictures → bundle → overlays, no download beyond PyPI
	rm -rf $(OUT)
	$(BIN)/panda-train sample $(OUT)/sample --video $(OUT)/line.mp4
	$(BIN)/panda-train fit $(OUT)/sample --out $(OUT)/sample.panda
	$(BIN)/panda-train evaluate $(OUT)/sample.panda $(OUT)/sample
	$(BIN)/panda-edge segment $(OUT)/sample.panda $(OUT)/sample/test --out $(OUT)/maps > $(OUT)/scores.txt
	$(BIN)/panda-edge watch $(OUT)/sample.panda $(OUT)/line.mp4 --jsonl $(OUT)/line.jsonl --save $(OUT)/anomalies
	@echo "Scores: $(OUT)/scores.txt. Overlays to look at:"
	@find $(OUT)/maps -name '*_overlay.png' | sort | head -n 40

# A worker a core; the tests of one file, which share what it makes, go to one worker. The longest files come first.
PYTEST = $(BIN)/python -m pytest tests -n auto --dist loadfile --no-loadscope-reorder

test: $(VENV)/.test           ## what a user can touch, in minutes; PANDA_DATA=DIR adds the tests on real data
	$(PYTEST) -m 'not slow'

test-all: $(VENV)/.test       ## every test
	$(PYTEST)

lint: $(VENV)/.dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/clang-format --dry-run --Werror $(KERNEL) tests/kernel/*.[ch] fuzz/kernels/*.[ch] benchmarks/speed/neon/*.c

docs: $(VENV)/.docs           ## build/site/: the documentation; a broken link is an error
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --quiet
	$(BIN)/python docs/site/reading_ease.py

bench: $(VENV)/.dev           ## PANDA_DATA=DIR measures on real data
	$(BIN)/python -m pytest benchmarks -q -s
	$(BIN)/python -m benchmarks.speed.report

c-test:                       ## the C kernels under sanitizers, and the Arm build under emulation
	$(MAKE) -C tests/kernel
	@if [ -x $(BIN)/pytest ]; then $(BIN)/python -m pytest -q tests/edge/test_library.py tests/edge/test_library_maps.py; \
	else echo "SKIPPED: libpanda_edge not compared with Python's numbers, needs $(BIN) (make test)"; fi

FUZZ ?=
fuzz: $(VENV)/.fuzz           ## a million inputs over what reads bundles, pictures, sockets, addresses; resumable; FUZZ="image mask" chooses
	$(MAKE) -C fuzz/kernels
	$(BIN)/python -m fuzz.run $(FUZZ)

kill: $(VENV)/.test           ## SIGKILL 200 times in each command that writes, two fits at one path too; resumable
	$(BIN)/python -m benchmarks.endurance.killed

wheels: $(VENV)/.delivery     ## source distribution, abi3 wheels for Linux, Windows and macOS, into dist/
	$(BIN)/python -m delivery.wheels

ARCH ?= x86_64
wheelhouse: $(VENV)/.delivery ## wheelhouse-$(ARCH)/: all that a device installs, without network or compiler
	$(BIN)/python -m delivery.wheelhouse $(ARCH)

lock: $(VENV)/bin/python      ## .ci/lock.txt: what CI installs, from the newest that pyproject's ranges give
	$(BIN)/python -m delivery.lock

clean:
	rm -rf $(VENV) dist wheelhouse-* build *.egg-info $(OUT) edge/panda_edge/_kernel*.so
	$(MAKE) -C tests/kernel clean

$(VENV)/bin/python:
	$(PYTHON) -m venv $(VENV)

# One stamp an extra; a changed kernel or pyproject installs again, which compiles the kernels.
$(VENV)/.train: EXTRA = train,video
$(VENV)/.test:  EXTRA = train,test
$(VENV)/.dev:   EXTRA = dev
$(VENV)/.delivery: EXTRA = delivery
$(VENV)/.fuzz:  EXTRA = train,test,fuzz
$(VENV)/.docs:  EXTRA = train,docs
$(VENV)/.all:   EXTRA = dev,docs
STAMPS = $(addprefix $(VENV)/.,train test dev delivery docs)
$(STAMPS) $(VENV)/.fuzz $(VENV)/.all: $(VENV)/bin/python pyproject.toml $(KERNEL)
	$(BIN)/python -m pip install --quiet --editable '.[$(EXTRA)]'
	touch $@

all-extras: $(VENV)/.all      ## what all targets but `make fuzz` need, in one installation
	touch $(STAMPS)
