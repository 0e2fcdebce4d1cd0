@0xb4f1c1d7e8a90015;

using Proxy = import "/mp/proxy.capnp";
using Rust = import "/rust-multiprocess.capnp";

interface Marks {
    # What /rust-multiprocess.capnp can say.

    wait @0 (context :Proxy.Context, until :Int64 $Rust.type("std::time::Duration") $Rust.codec("crate::Millis")) -> (result :Text) $Rust.longWait $Rust.interruptedBy("stop");
    stop @1 ();
    count @2 (words :List(Count) $Rust.hashMap, seen :List(Text) $Rust.btreeSet) -> (words :List(Count) $Rust.btreeMap, ids :List(UInt64) $Rust.hashSet);
    keep @3 (listener :Listener $Rust.shared, sure :Listener $Rust.shared $Rust.notNull) -> (result :Listener $Rust.notNull);
    login @4 (account :Account $Rust.nullable) -> ();
    odd @5 () $Rust.name("even");
    judge @6 (case :Text, years :UInt8 $Rust.type("crate::Years"), hasYears :Bool) -> (guilty :Bool, why :Text, after :Int64 $Rust.type("std::time::Duration") $Rust.codec("crate::Millis")) $Rust.type("crate::Verdict") $Rust.codec("crate::plain::marks::MarksJudgeResults");
    # All results as one type.

    rest @7 () -> (result :Int64 = 5 $Rust.type("std::time::Duration") $Rust.codec("crate::Millis"));
}

interface HighMarks extends(Marks) {
    # It has the raw methods, too.
}

interface Listener {
    # One method: a function can be one.

    heard @0 (context :Proxy.Context, what :Text, loud :Bool, hasLoud :Bool) -> (result :Int32);
}

struct Count { word @0 :Text; count @1 :UInt32; }

struct Account $Rust.derive("Eq, Hash") {
    user @0 :Text;
    password @1 :Text $Rust.redacted;
    level @2 :Level;
}

struct Age $Rust.derive("Default") {
    years @0 :UInt8 $Rust.type("crate::Years");
    hidden @1 :UInt8 $Rust.name("shown");
    other @2 :Data $Rust.type("crate::Hash") $Rust.nullable;
}

struct Limit {
    # Its default goes through the codec.

    time @0 :Int64 = 1500 $Rust.type("std::time::Duration") $Rust.codec("crate::Millis");
    count @1 :Int32 = 3;
}

enum Level $Rust.derive("PartialOrd, Ord") { low @0; high @1; }
