@0xb4f1c1d7e8a90018;

using Proxy = import "/mp/proxy.capnp";
using Common = import "common.capnp";

interface Bank {
    open @2 (context :Proxy.Context, options :Options) -> (result :Account);
    # Moved from 0 since version 1.

    openOld @0 () -> ();
    rate @1 () -> (result :Float64);
}

interface Account {
    pay @0 (context :Proxy.Context, amount :Common.Amount, note :Text) -> (result :Bool, why :Text);
    balance @1 () -> (result :Common.Amount);
}

struct Options {
    limit @0 :UInt32 = 100;
    name @1 :Text;
}
