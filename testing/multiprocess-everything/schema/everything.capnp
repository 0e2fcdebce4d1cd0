# Everything that a schema can say, in one interface. The groups of methods are in files of their
# own, which this interface extends. The constants are here.

@0xc401acb90c6974f2;

using Proxy = import "/mp/proxy.capnp";
using Types = import "types.capnp";
using Unions = import "unions.capnp";
using Foo = import "foo.capnp".Foo;
using Values = import "values.capnp".Values;
using Objects = import "objects.capnp".Objects;
using Calls = import "calls.capnp".Calls;

interface Everything extends(Foo, Values, Objects, Calls) {
    # The bootstrap object.

    construct @0 (threadMap :Proxy.ThreadMap) -> (threadMap :Proxy.ThreadMap);

    version @1 () -> (result :UInt32);
    # The constant `schemaVersion`.

    const nested :UInt32 = 77;
    # A constant in an interface.
}

# --- Constants ------------------------------------------------------------------------------------

const schemaVersion :UInt32 = 3;
const nothing :Void = void;
const flag :Bool = true;
const int8 :Int8 = -128;
const int16 :Int16 = -32768;
const int32 :Int32 = -2147483648;
const int64 :Int64 = -9223372036854775808;
const uint8 :UInt8 = 255;
const uint16 :UInt16 = 65535;
const uint32 :UInt32 = 4294967295;
const uint64 :UInt64 = 18446744073709551615;
const float32 :Float32 = 0.25;
const float64 :Float64 = -1e300;
const notANumber :Float64 = nan;
const minusInfinity :Float32 = -inf;
const greeting :Text = "hello, \"world\" é";
const magic :Data = 0x"f9 be b4 d9";
const favourite :Types.Color = green;
const primes :List(UInt16) = [2, 3, 5, 7];
const flags :List(Bool) = [true, false];
const greetings :List(Text) = ["hi", ""];
const magics :List(Data) = [0x"01", 0x"00 02"];
const palette :List(Types.Color) = [blue, red];
const matrix :List(List(Float64)) = [[1, 0], [0, 1], []];
const words :List(List(Text)) = [["a"], []];
const point :Types.Point = (x = 1, y = -2);
const defaults :Types.Defaults = (int32 = 5, text = "changed");
const points :List(Types.Point) = [(x = 1), (y = 2)];
const shape :Unions.Shape = (rectangle = (width = 2, height = 3));
const shapes :List(Unions.Shape) = [(label = "a"), (numbers = [1, 2])];
const event :Unions.Event = (id = 9, failed = "as it was told");
const account :Unions.Account = (owner = "o", state = (closed = (by = "b", reason = (code = 4))), kind = (company = "c"));
const tree :Unions.Tree = (value = 1, left = (value = 2), children = [(value = 3)]);
const expr :Unions.Expr = (sum = (left = (number = 1), right = (negate = (name = "x"))));
const pair :Types.Pair(Text, Types.Point) = (first = "one", second = (x = 1));
const sum :Types.Collections = (hashSet = [1, 2], btreeMap = [(name = "a", value = 1)]);
