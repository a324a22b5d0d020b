# SPDX-License-Identifier: ISC
#
# The tests: how they are built and run.  Included by the Makefile.

UNIT		:= $(basename $(notdir $(wildcard regress/unit/*_test.c)))
UNIT_BINS	:= $(addprefix $(BUILD)/regress/unit/,$(UNIT))
PROBE_SRCS	:= $(wildcard regress/sandbox/*.c)
PROBE		:= $(BUILD)/regress/sandbox/probe
SCRIPTS		:= $(wildcard regress/proto/*_test.py) \
		   $(wildcard regress/integ/*_test.py)
LINTS		:= $(wildcard regress/lint/*.sh)

$(BUILD)/regress/unit/%: $(BUILD)/regress/unit/%.o $(LIBRARIES)
	@echo "LD $@"
	$(Q)$(CC) $(CFLAGS) $(HARDEN) $(LHARDEN) $(LDFLAGS) -o $@ $< \
	    $(BUILD)/libparent.a $(BUILD)/libvmengine.a $(BUILD)/libclient.a \
	    $(BUILD)/libcommon.a $(LIBS)

$(BUILD)/regress/unit/%.o: CPPFLAGS += -Iparent -Ivmengine -Ilib
$(BUILD)/regress/sandbox/%.o: CPPFLAGS += -Iparent -Ivmengine -Ifrontend

$(PROBE): $(addprefix $(BUILD)/,$(PROBE_SRCS:.c=.o)) $(LIBRARIES)
	@echo "LD $@"
	$(Q)$(CC) $(CFLAGS) $(HARDEN) $(LHARDEN) $(LDFLAGS) -o $@ \
	    $(filter %.o,$^) $(BUILD)/libfrontend.a $(BUILD)/libvmengine.a \
	    $(BUILD)/libparent.a $(BUILD)/libcommon.a $(LIBS)

tests: $(UNIT_BINS) $(PROBE)

.PRECIOUS: $(BUILD)/regress/unit/%.o

check: programs tests
	CCP_BUILD=$(BUILD) regress/run $(UNIT_BINS) $(PROBE) $(SCRIPTS)

-include $(UNIT_BINS:=.d) $(addprefix $(BUILD)/,$(PROBE_SRCS:.c=.d))
