// The P4_16 core library: interfaces that every architecture has.

#ifndef FLOWNIC_CORE_P4
#define FLOWNIC_CORE_P4

error {
    NoError,            // nothing wrong
    PacketTooShort,     // not enough bits left for an extract
    NoMatch,            // no case of a select fits
    StackOutOfBounds,   // header stack has no such element
    HeaderTooShort,     // a varying field would be longer than its type
    ParserTimeout,      // the parser took too long
    ParserInvalidArgument
}

match_kind {
    exact,
    ternary,
    lpm
}

extern packet_in {
    void extract<T>(out T header_to_fill);
    void extract<T>(out T header_to_fill, in bit<32> varying_field_bits);
    T lookahead<T>();
    void advance(in bit<32> bits);
    bit<32> length();
}

extern packet_out {
    void emit<T>(in T data);
}

extern void verify(in bool condition, in error otherwise);

@noWarn("unused")
action NoAction() { }

#endif
