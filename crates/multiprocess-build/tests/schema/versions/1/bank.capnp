@0xb4f1c1d7e8a90018;

using Common = import "../newest/common.capnp";

interface Bank {
    open @0 (options :Options) -> (result :Account);
    close @1 () -> ();
}

interface Account {
    balance @0 () -> (result :Int64);
    pay @1 (amount :Common.Amount) -> (result :Bool);
}

struct Options {
    limit @0 :UInt32;
}
