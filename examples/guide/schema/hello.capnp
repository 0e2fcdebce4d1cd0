@0xba2c7e94d6105f38;

using Proxy = import "/mp/proxy.capnp";

interface Hello {
    construct @0 (threadMap :Proxy.ThreadMap) -> (threadMap :Proxy.ThreadMap);
    greet @1 (context :Proxy.Context, name :Text) -> (result :Text);
    # Says hello to `name`.
}
