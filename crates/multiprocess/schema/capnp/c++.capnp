# The names that C++ code generators take from a schema. Rust does not read them; the file is here
# so that schemas written for C++ resolve "/capnp/c++.capnp" without a Cap'n Proto installation.

@0xbdf87d7bb8304e81;

annotation namespace @0xb9c6f99ebf805f2c (file) :Text;
annotation name @0xf264a779fef191ce (field, enumerant, struct, enum, interface, method, param, group, union) :Text;
annotation allowCancellation @0xac7096ff8cfc9dce (interface, method, file) :Void;
