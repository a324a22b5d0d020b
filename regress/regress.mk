# SPDX-License-Identifier: ISC
#
# The tests: how they are built and run.  Included by the Makefile.

UNIT		:= $(basename $(notdir $(wildcard regress/unit/*_test.c)))
UNIT_BINS	:= $(addprefix $(BUILD)/regress/unit/,$(UNIT))
PROBE_SRCS	:= $(wildcard regress/sandbox/probe*.c)
PROBE		:= $(BUILD)/regress/sandbox/probe
RULES		:= $(BUILD)/regress/sandbox/rules
HOSTILES	:= $(addprefix $(BUILD)/,$(basename \
		   $(wildcard regress/sandbox/hostile_*.c)))
INJECT		:= $(BUILD)/regress/faults/inject
CLOCK		:= $(BUILD)/regress/faults/clock.so
BENCH_SRCS	:= $(wildcard regress/bench/*.c)
BENCH		:= $(BUILD)/regress/bench/bench
SCRIPTS		:= $(wildcard regress/proto/*_test.py) \
		   $(wildcard regress/integ/*_test.py)
LINTS		:= $(wildcard regress/lint/*.sh)
VM_TESTS	:= $(wildcard regress/vm/*_test.py)
FUZZ		:= $(basename $(notdir $(wildcard regress/fuzz/*_fuzz.c)))
FUZZ_BINS	:= $(addprefix $(BUILD)/regress/fuzz/,$(FUZZ))
FUZZ_PLAY	:= $(addprefix $(BUILD)/regress/fuzz/,play.o play_client.o \
		   play_guest.o)

$(BUILD)/regress/unit/%: $(BUILD)/regress/unit/%.o $(LIBRARIES)
	@echo "LD $@"
	$(Q)$(CC) $(CFLAGS) $(HARDEN) $(LHARDEN) $(LDFLAGS) -o $@ \
	    $(filter %.o,$^) $(BUILD)/libparent.a $(BUILD)/libvmengine.a \
	    $(BUILD)/libclient.a $(BUILD)/libcommon.a $(LIBS)

$(BUILD)/regress/unit/guest_accept_test: $(BUILD)/guest/accept.o
$(BUILD)/regress/unit/%.o: CPPFLAGS += -Iparent -Ivmengine -Ilib -Iguest
$(BUILD)/regress/sandbox/%.o: CPPFLAGS += -Iparent -Ivmengine -Ifrontend

$(PROBE): $(addprefix $(BUILD)/,$(PROBE_SRCS:.c=.o)) $(LIBRARIES)
	@echo "LD $@"
	$(Q)$(CC) $(CFLAGS) $(HARDEN) $(LHARDEN) $(LDFLAGS) -o $@ \
	    $(filter %.o,$^) $(BUILD)/libfrontend.a $(BUILD)/libvmengine.a \
	    $(BUILD)/libparent.a $(BUILD)/libcommon.a $(LIBS)

# They contain the tables, or speak the messages, and need only common/.
$(RULES) $(HOSTILES): %: %.o $(BUILD)/libcommon.a
	@echo "LD $@"
	$(Q)$(CC) $(CFLAGS) $(HARDEN) $(LHARDEN) $(LDFLAGS) -o $@ \
	    $(filter %.o,$^) $(BUILD)/libcommon.a $(LIBS)

$(BENCH): $(addprefix $(BUILD)/,$(BENCH_SRCS:.c=.o)) $(LIBRARIES)
	@echo "LD $@"
	$(Q)$(CC) $(CFLAGS) $(HARDEN) $(LHARDEN) $(LDFLAGS) -o $@ \
	    $(filter %.o,$^) $(BUILD)/libclient.a $(BUILD)/libcommon.a $(LIBS)

# Fuzz targets: with FUZZER, the engine that a compiler brings along; else a
# program that replays the inputs kept for them.
HARDEN		+= $(FUZZ_OBJ)
FUZZ_MAIN	:= $(if $(FUZZER),,$(BUILD)/regress/fuzz/replay.o)
$(BUILD)/regress/fuzz/%_fuzz: $(BUILD)/regress/fuzz/%_fuzz.o $(FUZZ_MAIN) \
    $(BUILD)/libcommon.a
	@echo "LD $@"
	$(Q)$(CC) $(CFLAGS) $(HARDEN) $(LHARDEN) $(LDFLAGS) $(FUZZER) -o $@ \
	    $(filter %.o,$^) $(BUILD)/libcommon.a $(LIBS)

$(BUILD)/regress/fuzz/conf_fuzz: $(addprefix $(BUILD)/parent/,conf.o \
    conflex.o flags.o guestdir.o logfmt.o parse.o printconf.o timeout.o)
$(BUILD)/regress/fuzz/log_fuzz: $(BUILD)/parent/journal.o
$(BUILD)/regress/fuzz/engine_fuzz: $(FUZZ_PLAY)
$(BUILD)/regress/fuzz/%.o: CPPFLAGS += -Iparent

# What breaks the processes of a test.
$(INJECT): $(INJECT).o
	@echo "LD $@"
	$(Q)$(CC) $(CFLAGS) $(LHARDEN) $(LDFLAGS) -o $@ $< $(LIBS)

$(CLOCK): regress/faults/clock.c Makefile
	@mkdir -p $(@D)
	@echo "CC $@"
	$(Q)$(CC) $(BASE) $(WARN) -O1 -fPIC -shared -o $@ $<

# The engine's fuzz target with allocations that fail.
ALLOC		:= $(BUILD)/regress/faults/alloc
comma		:= ,
WRAPPED		:= malloc calloc realloc reallocarray strdup strndup vasprintf \
		   asprintf
$(ALLOC): $(ALLOC).o $(BUILD)/regress/fuzz/engine_fuzz.o $(FUZZ_PLAY) \
    $(BUILD)/libcommon.a
	@echo "LD $@"
	$(Q)$(CC) $(CFLAGS) $(HARDEN) $(LHARDEN) $(LDFLAGS) -o $@ \
	    $(addprefix -Wl$(comma)--wrap=,$(WRAPPED)) $(filter %.o,$^) \
	    $(BUILD)/libcommon.a $(LIBS)

tests: $(UNIT_BINS) $(PROBE) $(RULES) $(HOSTILES) $(BENCH) $(FUZZ_BINS) \
    $(INJECT) $(CLOCK) $(ALLOC)

# Objects are kept: nothing is said after the count.
.SECONDARY:

# What is run on a build in directory $(1).
suite		= CCP_BUILD=$(1) $(addprefix $(1)/regress/unit/,$(UNIT)) \
		   $(addprefix $(1)/regress/fuzz/,$(FUZZ)) \
		   $(1)/regress/faults/alloc $(1)/regress/sandbox/probe \
		   $(SCRIPTS)
SAN		:= $(MAKE) --no-print-directory SANITIZE=1 BUILD=build/asan

# The daemon, started by root, needs its users.
root-users:
	@[ "$$(id -u)" != 0 ] || $(MAKE) --no-print-directory users

check: programs tests root-users
	regress/run $(call suite,$(BUILD))

asan: root-users
	+$(SAN) programs tests
	regress/run $(call suite,build/asan)

# Every fault at every step, which takes an hour; check walks some of them.
FAULTS		:= $(addprefix regress/integ/,$(addsuffix _test.py, \
		   faults syserr short vmsock security))
.PHONY: faults
faults: programs tests root-users
	FAULTS=all regress/run CCP_BUILD=$(BUILD) $(FAULTS) $(ALLOC)

lint: programs
	regress/run CCP_BUILD=$(BUILD) $(LINTS)

# Numbers, not verdicts.
.PHONY: bench
bench: programs $(BENCH) root-users
	@$(BENCH) $(BUILD)

# All of it in one count.  What is missing is installed first, by a make of
# its own: this one has looked for the compiler already.  Without what the
# virtual machine needs its tests are skipped.  What takes longest begins.
# Tests wait a good deal: one more than there are processors.
JOBS		= $(if $(findstring j,$(firstword -$(MAKEFLAGS))),,-j$$(nproc))
check-all:
	@[ "$$(id -u)" != 0 ] || $(MAKE) --no-print-directory deps
	-@[ "$$(id -u)" != 0 ] || $(MAKE) --no-print-directory deps-vm
	+@$(MAKE) --no-print-directory $(JOBS) check-built

check-built: programs tests root-users
	+$(SAN) programs tests
	regress/run -j $$(($$(nproc) + 1)) CCP_BUILD=$(BUILD) $(LINTS) $(VM_TESTS) \
	    $(call suite,$(BUILD)) $(call suite,build/asan)

# A real virtual machine: downloads a kernel, installs only its tools.
check-vm: programs root-users
	-@[ "$$(id -u)" != 0 ] || $(MAKE) --no-print-directory deps-vm
	regress/run CCP_BUILD=$(BUILD) $(VM_TESTS)

# Fuzzing with libFuzzer: make fuzz builds, make fuzz-run T=seconds runs each
# target (or those of TARGETS) that long and says what it found, and make
# fuzz-keep adds to regress/fuzz/corpus what is worth keeping.
T		?= 60
TARGETS		?= $(FUZZ:_fuzz=)
.PHONY: fuzzers fuzz-run fuzz-keep fuzz-afl

fuzzers: $(FUZZ_BINS)

fuzz:
	+@$(MAKE) --no-print-directory CC=clang SANITIZE=1 BUILD=build/fuzz \
	    FUZZER=-fsanitize=fuzzer FUZZ_OBJ=-fsanitize=fuzzer-no-link \
	    fuzzers

fuzz-run: fuzz
	@regress/fuzz/run.py run $(T) $(TARGETS)

fuzz-keep: fuzz
	@regress/fuzz/run.py keep $(TARGETS)

# The same targets for AFL++.
fuzz-afl:
	$(if $(filter 0,$(shell id -u)),$(call apt,afl++))
	+@AFL_QUIET=1 $(MAKE) --no-print-directory CC=afl-clang-fast \
	    SANITIZE=1 BUILD=build/afl FUZZER=-fsanitize=fuzzer fuzzers
	@echo "Built.  Run one of $(TARGETS):"
	@echo "AFL_SKIP_CPUFREQ=1 afl-fuzz -i regress/fuzz/corpus/NAME" \
	    "-o build/afl/NAME build/afl/regress/fuzz/NAME_fuzz"

-include $(UNIT_BINS:=.d) $(addprefix $(BUILD)/,$(PROBE_SRCS:.c=.d) \
	$(BENCH_SRCS:.c=.d)) $(RULES).d $(HOSTILES:=.d) $(INJECT).d $(ALLOC).d $(FUZZ_BINS:=.d) \
	$(FUZZ_PLAY:.o=.d)
