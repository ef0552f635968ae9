# Read after libpcap's own makefile, in its folder: what that one lacks.

# Which object needs which header.
override CFLAGS += -MMD -MP
-include $(wildcard *.d)

# The module alone, for the unit tests. Older versions of libpcap have one kind
# of objects for both of their libraries.
pcap-tcp.a: $(filter pcap-tcp%,$(or $(OBJ_PIC),$(OBJ)))
	rm -f $@
	$(AR) cr $@ $^
