# The result of methods that stream, as Cap'n Proto's standard schema declares it. It is here so that the
# compiler finds it beside the others.

@0x86c366a91393f3f8;
$import "/capnp/c++.capnp".namespace("capnp");

struct StreamResult @0x995f9a3377c0b16e {
}
