# Echo with Data where the real interface has Text: the same encoding, without the requirement of
# UTF-8.

@0xa7c3f09e5b1d2846;

interface Thread @0x81c1e2600d0b56c5 {}

struct Context {
    thread @0 :Thread;
    callbackThread @1 :Thread;
}

interface Echo @0xd36b89640dc94399 {
    destroy @0 (context :Context) -> ();
    echo @1 (context :Context, echo :Data) -> (result :Data);
}
