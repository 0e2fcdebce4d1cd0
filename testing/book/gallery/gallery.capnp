@0xaf59c0a8ed0b6c86;

using Cxx = import "/capnp/c++.capnp";
using Proxy = import "/mp/proxy.capnp";
$Cxx.namespace("gallery::messages");
$Proxy.include("gallery/gallery.h");
$Proxy.includeTypes("gallery/types.h");

interface GalleryInterface $Proxy.wrap("gallery::Gallery") {
    construct @0 (threadMap :Proxy.ThreadMap) -> (threadMap :Proxy.ThreadMap);
    makeRoom @1 (context :Proxy.Context, name :Text) -> (result :Room);
    hang @2 (context :Proxy.Context, picture :Picture, labels :List(Label)) -> (error :Text $Proxy.exception("std::exception"), result :Bool);
}

interface Room $Proxy.wrap("gallery::Room") {
    destroy @0 (context :Proxy.Context) -> ();
    find @1 (context :Proxy.Context, title :Text) -> (result :Picture, hasResult :Bool);
    onVisit @2 (context :Proxy.Context, visit :VisitCallback) -> ();
}

interface VisitCallback $Proxy.wrap("ProxyCallback<std::function<void(std::string)>>") {
    destroy @0 (context :Proxy.Context) -> ();
    call @1 (context :Proxy.Context, visitor :Text) -> ();
}

struct Picture $Proxy.wrap("gallery::Picture") {
    title @0 :Text;
    painted @1 :Int64;
    internalId @2 :UInt32 $Proxy.skip;
}

struct Label {
    key @0 :Text;
    value @1 :Text;
}
