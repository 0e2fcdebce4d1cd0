# Annotations that only the Rust generator reads. They never change the messages.

@0xb8a64b1c7e2d9f35;

# --- Values --------------------------------------------------------------------

annotation notNull @0xd5e1b8c0734fa926 (param, field) :Void;
# The reference is never null: the Rust type is the handle itself rather than an Option of it, and
# a null that arrives is a decode error.

annotation nullable @0xa7c93e5d10f48b62 (param, field) :Void;
# The struct, list, text or data may be absent (a null pointer): the Rust type is an Option.

annotation fd @0xb3d74f1692ce805a (param, field) :Void;
# A file descriptor: the `Capability` is an `OwnedFd` (with `notNull`) or an `Option` of one. It is passed with
# the message, over a unix socket whose two sides both set `Limits::descriptors`. In the message it is an object
# without methods that has the descriptor attached, as Cap'n Proto's C++ implementation passes them.

annotation shared @0xc41f86d9b3a2507e (param, field) :Void;
# The Rust type is an `Arc` of the interface's trait rather than the handle: for an object of the
# same process that is the object itself.

annotation type @0x9e7d25b4c60f1a83 (param, field, method) :Text;
# The Rust type of the value, as a path that is valid in the crate that compiles the schema, such as
# `bitcoin::BlockHash` or `crate::Age`. Its codec is `codec`, or the type itself.
# On a method: the Rust type of all its results together, in the trait and the handle. The codec's
# `Wire` is what the method would return without it: the generated struct of several results.

annotation codec @0xe3086c1fd57b94a2 (param, field, method) :Text;
# The type that implements `multiprocess::Codec` for the Rust type that `type` names.

annotation hashMap @0xf1b259e4870dc36a (param, field) :Void;
annotation btreeMap @0xb90c4e67d2135f8a (param, field) :Void;
# A list of structs with two fields, key and value, is a `HashMap` or `BTreeMap`. The same key twice
# is a decode error.

annotation hashSet @0xd83a7f01c59e264b (param, field) :Void;
annotation btreeSet @0x86f5d0a913c7be42 (param, field) :Void;
# A list is a `HashSet` or `BTreeSet`. The same item twice is a decode error.

annotation redacted @0xa25e9b7830d6c4f1 (param, field) :Void;
# A secret: neither Debug nor the log of calls shows it.

annotation mayBeLost @0xd64b0f93a7e1582c (param, field) :Void;
# A peer of an older version that does not have it is called without it, whatever its value. Without
# this mark a value that is not the default is an error there.

annotation derive @0xcb6174f28e05d39a (struct, enum, group, union) :Text;
# Further derives of the Rust type, besides Clone, Debug, PartialEq and Default, such as `Eq, Hash`.
# Also `Default` for a struct that has a field with a `type`, because the generator cannot know
# whether that type has one.

annotation attribute @0xf4a8c1d07be3925d (struct, enum, group, union) :Text;
# Attributes of the Rust type, such as `#[serde(rename_all = "camelCase")]`, after its derives.

annotation visible @0xdc2750f6a918e34b (param, field, struct, interface) :Void;
# Shown in Rust although `$Proxy.count(0)` or `$Proxy.skip` hides it in C++: on the field or parameter, or
# on the struct or interface of all such.

annotation name @0x97d3c8f05a41e26b (file, struct, enum, enumerant, interface, method, field, group, union, param, const) :Text;
# The name from which the Rust name is made instead of the schema's own, written like names in
# schemas.

# --- Methods -------------------------------------------------------------------------

annotation longWait @0xba40e1f96c82d573 (method) :Void;
# The method may wait long for something. A future's call of it has a thread of its own in the
# serving process.

annotation borrowed @0x8d2f61b7e94c03a5 (method) :Void;
# For hot methods: a served object gets `&str`, `&[u8]`, and views of lists and structs from the
# message, instead of copies. Not for parameters that contain interfaces, maps, sets, unions or custom
# Rust types. Nothing changes for the caller.

annotation interruptedBy @0xec5972a3d8106fb4 (method) :Text;
# The method of the same interface, without parameters, that ends a call of this one under way. It
# is called if a call was cancelled, or its deadline has passed, and the peer does not end it.
