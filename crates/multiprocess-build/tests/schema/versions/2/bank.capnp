@0xb4f1c1d7e8a90018;

using Proxy = import "/mp/proxy.capnp";
using Common = import "../newest/common.capnp";

interface Bank {
    open @2 (context :Proxy.Context, options :Options) -> (result :Account);
    openOld @0 () -> ();
    rate @1 () -> (result :Float64);
}

interface Account {
    pay @0 (context :Proxy.Context, amount :Common.Amount) -> (result :Bool);
    balance @1 () -> (result :Common.Amount);
}

struct Options {
    limit @0 :UInt32 = 100;
}
