# The interfaces of the tests of optional values that have defaults.

@0xe54d1b7290c8f6a3;

using Proxy = import "/mp/proxy.capnp";
using Rust = import "/rust-multiprocess.capnp";

interface Flagged {
    # The bootstrap object.

    construct @0 (threadMap :Proxy.ThreadMap) -> (threadMap :Proxy.ThreadMap);

    whole @1 (context :Proxy.Context, arg :Settings) -> (result :Settings);
    # Returns its argument.

    fields @2 (number :Int32 = 17, hasNumber :Bool, text :Text = "given", hasText :Bool)
        -> (number :Int32 = 23, hasNumber :Bool, text :Text = "got", hasText :Bool);
    # The same for parameters and results, without a context.

    seen @3 (settings :Settings) -> (result :Text);
    # Its arguments as Debug shows them.
}

struct Settings {
    # A Bool beside each value says whether it is present.
    number @0 :Int32 = 17;
    hasNumber @1 :Bool;
    flag @2 :Bool = true;
    hasFlag @3 :Bool;
    text @4 :Text = "given";
    hasText @5 :Bool;
    ratio @6 :Float64 = 0.5;
    hasRatio @7 :Bool;
    color @8 :Color = blue;
    hasColor @9 :Bool;
    list @10 :List(Int32) = [1, 2];
    hasList @11 :Bool;
    small @12 :UInt8 = 255;
    hasSmall @13 :Bool;
}

enum Color { red @0; blue @1; }
