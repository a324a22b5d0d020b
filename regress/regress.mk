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
BENCH_SRCS	:= $(wildcard regress/bench/*.c)
BENCH		:= $(BUILD)/regress/bench/bench
SCRIPTS		:= $(wildcard regress/proto/*_test.py) \
		   $(wildcard regress/integ/*_test.py)
LINTS		:= $(wildcard regress/lint/*.sh)
VM_TESTS	:= $(wildcard regress/vm/*_test.py)

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

tests: $(UNIT_BINS) $(PROBE) $(RULES) $(HOSTILES) $(BENCH)

# Objects are kept: nothing is said after the count.
.SECONDARY:

# What is run on a build in directory $(1).
suite		= CCP_BUILD=$(1) $(addprefix $(1)/regress/unit/,$(UNIT)) \
		   $(1)/regress/sandbox/probe $(SCRIPTS)
SAN		:= $(MAKE) --no-print-directory SANITIZE=1 BUILD=build/asan

# The daemon, started by root, needs its users.
root-users:
	@[ "$$(id -u)" != 0 ] || $(MAKE) --no-print-directory users

check: programs tests root-users
	regress/run $(call suite,$(BUILD))

asan: root-users
	+$(SAN) programs tests
	regress/run $(call suite,build/asan)

lint: programs
	regress/run CCP_BUILD=$(BUILD) $(LINTS)

# Numbers, not verdicts.
.PHONY: bench
bench: programs $(BENCH) root-users
	@$(BENCH) $(BUILD)

# All of it in one count.  What is missing is installed first, by a make of
# its own: this one has looked for the compiler already.  Without what the
# virtual machine needs its tests are skipped.
check-all:
	@[ "$$(id -u)" != 0 ] || $(MAKE) --no-print-directory deps
	-@[ "$$(id -u)" != 0 ] || $(MAKE) --no-print-directory deps-vm
	+@$(MAKE) --no-print-directory check-built

check-built: programs tests root-users
	+$(SAN) programs tests
	regress/run CCP_BUILD=$(BUILD) $(VM_TESTS) $(call suite,$(BUILD)) \
	    $(call suite,build/asan) CCP_BUILD=$(BUILD) $(LINTS)

# A real virtual machine: downloads a kernel, installs only its tools.
check-vm: programs root-users
	-@[ "$$(id -u)" != 0 ] || $(MAKE) --no-print-directory deps-vm
	regress/run CCP_BUILD=$(BUILD) $(VM_TESTS)

# What a fuzz target needs besides common/.
conf_fuzz_SRCS	:= $(addprefix parent/,conf.c conflex.c flags.c guestdir.c \
		   logfmt.c printconf.c timeout.c) build/parent/parse.c

FUZZERS		:= $(basename $(wildcard regress/fuzz/*_fuzz.c))

fuzz: $(FUZZERS:regress/%=build/%)

.PHONY: $(FUZZERS:regress/%=build/%)
$(FUZZERS:regress/%=build/%): build/%: regress/%.c build/parent/parse.c
	@mkdir -p $(@D)
	@echo "LD $@"
	$(Q)clang $(BASE) -Iparent -O1 -fsanitize=fuzzer,address,undefined \
	    -o $@ $< $($(@F)_SRCS) \
	    $(filter-out %sandbox.c %landlock.c %scmp.c %warmup.c %spawn.c, \
	    $(addprefix common/,$(common_SRCS))) $(LIBS)

-include $(UNIT_BINS:=.d) $(addprefix $(BUILD)/,$(PROBE_SRCS:.c=.d) \
	$(BENCH_SRCS:.c=.d)) $(RULES).d $(HOSTILES:=.d)
