# The interface that both sides of the random programs serve: the methods of the engine's
# differential test, in its order, and one that gives Python its commands.

@0xd1ffe7e47a1c0de6;

interface Object @0xd1ffe7e47a1c0de5 {
    echo @0 (number :UInt32, cap :Object) -> (number :UInt32, cap :Object);
    fail @1 (number :UInt32, cap :Object) -> (number :UInt32, cap :Object);
    give @2 (number :UInt32, cap :Object) -> (number :UInt32, cap :Object);
    make @3 (number :UInt32, cap :Object) -> (number :UInt32, cap :Object);
    callback @4 (number :UInt32, cap :Object) -> (number :UInt32, cap :Object);
    slow @5 (number :UInt32, cap :Object) -> (number :UInt32, cap :Object);
    slowFail @6 (number :UInt32, cap :Object) -> (number :UInt32, cap :Object);
    hold @7 (number :UInt32, cap :Object) -> (number :UInt32, cap :Object);
    promise @8 (number :UInt32, cap :Object) -> (number :UInt32, cap :Object);
    # Not in these programs.
    tail @9 (number :UInt32, cap :Object) -> (number :UInt32, cap :Object);
    run @10 (number :UInt32, text :Text) -> (number :UInt32, text :Text);
}
