# What peers of this runtime tell each other beside what Cap'n Proto and libmultiprocess define, as a raw peer writes and
# reads it. Only the places count.

@0xb7f3a1d80c5e9264;

struct Message {
    # A Bootstrap with the limits of the side that asks.

    kind @0 :UInt16;
    content @1 :Ask;
}

struct Ask {
    # The content of that message.

    question @0 :UInt64;
    none1 @1 :UInt64;
    none2 @2 :UInt64;
    none3 @3 :UInt64;
    none4 @4 :UInt64;
    none5 @5 :UInt64;
    none6 @6 :UInt64;
    none7 @7 :UInt64;
    mark @8 :UInt64;
    message @9 :UInt64;
    bytes @10 :UInt64;
    none @11 :AnyPointer;
}

struct Context {
    # What travels with a call.

    level @0 :UInt16;
    flags @1 :UInt8;
    remaining @2 :UInt64;
    traceHigh @3 :UInt64;
    traceLow @4 :UInt64;
    span @5 :UInt64;
    thread @6 :AnyPointer;
    callbackThread @7 :AnyPointer;
}

struct Said {
    # The parameters of Lab.text.

    context @0 :Context;
    text @1 :Text;
}

struct Sum {
    # The parameters of Lab.add.

    a @1 :Int32;
    b @2 :Int32;
    context @0 :Context;
}
