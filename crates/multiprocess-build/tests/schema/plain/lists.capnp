@0xb4f1c1d7e8a90003;

using Proxy = import "/mp/proxy.capnp";

interface Lists {
    numbers @0 (context :Proxy.Context, list :List(Int64), bits :List(Bool)) -> (result :List(Float64));
    blobs @1 (context :Proxy.Context, items :List(Text)) -> (result :List(Data));
    points @2 (context :Proxy.Context, i :List(Point)) -> (result :List(Point));
    deep @3 (context :Proxy.Context, value :List(List(List(UInt8)))) -> (result :List(List(Point)));
    names @4 (context :Proxy.Context, names :List(List(Text))) -> (result :List(List(Data)));
}

struct Point {
    x @0 :Int32;
    y @1 :Int32;
    path @2 :List(Point);
    # A list ends by itself: no box is needed.
}
