@0xb4f1c1d7e8a90002;

const yes :Bool = true;
const small :Int8 = -128;
const large :UInt64 = 18446744073709551615;
const least :Int64 = -9223372036854775808;
# The least there is.
const nearPi :Float32 = 3.1415927;
const endless :Float64 = inf;
const never :Float64 = nan;
const lowest :Float64 = -1.7976931348623157e308;
const tiny :Float64 = 1e-300;
const greeting :Text = "hello \"you\"";
const magic :Data = 0x"f9 be b4 d9";

struct Zeros {
    bool @0 :Bool;
    i8 @1 :Int8;
    i16 @2 :Int16;
    i32 @3 :Int32;
    i64 @4 :Int64;
    u8 @5 :UInt8;
    u16 @6 :UInt16;
    u32 @7 :UInt32;
    u64 @8 :UInt64;
    f32 @9 :Float32;
    f64 @10 :Float64;
    text @11 :Text;
    data @12 :Data;
    nothing @13 :Void;
}

struct Defaults {
    # Every field but two with a default of its own.

    yes @0 :Bool = true;
    no @1 :Bool = false;
    negative @2 :Int32 = -7;
    half @3 :Float32 = 0.5;
    endless @4 :Float64 = inf;
    text @5 :Text = "text";
    data @6 :Data = "bytes";
    zeros @7 :Zeros;
}

struct Empty {
}
