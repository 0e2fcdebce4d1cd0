# Interfaces with the ids of the real ones, and with methods that no node has; see test_client.py.

@0xd8e5a2b1c07f4936;

interface Thread @0x81c1e2600d0b56c5 {}

struct Context {
    thread @0 :Thread;
    callbackThread @1 :Thread;
}

interface Echo @0xd36b89640dc94399 {
    destroy @0 (context :Context) -> ();
    echo @1 (context :Context, echo :Text) -> (result :Text);
    whisper @2 () -> ();
}
