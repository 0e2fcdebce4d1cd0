# Marks that only the Rust generator reads. They never change what travels.

@0xb8a64b1c7e2d9f35;

# --- How a value looks in Rust --------------------------------------------------------------------

annotation notNull @0xd5e1b8c0734fa926 (param, field) :Void;
# The reference is never null: the Rust type is the handle itself rather than an Option of it, and
# a null that arrives is a decode error.

annotation nullable @0xa7c93e5d10f48b62 (param, field) :Void;
# The struct, list, text or data may be absent (a null pointer): the Rust type is an Option.

annotation shared @0xc41f86d9b3a2507e (param, field) :Void;
# The Rust type is an `Arc` of the interface's trait rather than the handle: for an object of the
# same process that is the object itself.

annotation type @0x9e7d25b4c60f1a83 (param, field) :Text;
# The Rust type of the value, as a path that holds in the crate the schema is compiled in, such as
# `bitcoin::BlockHash` or `crate::Age`. Its codec is `codec`, or the type itself.

annotation codec @0xe3086c1fd57b94a2 (param, field) :Text;
# The type that implements `multiprocess::Codec` for the Rust type that `type` names.

annotation hashMap @0xf1b259e4870dc36a (param, field) :Void;
annotation btreeMap @0xb90c4e67d2135f8a (param, field) :Void;
# A list of structs with two fields, key and value, is a `HashMap` or `BTreeMap`. The same key twice
# is a decode error.

annotation hashSet @0xd83a7f01c59e264b (param, field) :Void;
annotation btreeSet @0x86f5d0a913c7be42 (param, field) :Void;
# A list is a `HashSet` or `BTreeSet`. The same item twice is a decode error.

annotation redacted @0xa25e9b7830d6c4f1 (param, field) :Void;
# A secret: Debug does not show it.

annotation derive @0xcb6174f28e05d39a (struct, enum, group, union) :Text;
# What the Rust type derives beyond Clone, Debug, PartialEq and Default, such as `Eq, Hash`.
# `Default` for a struct that has a field with a `type`, as the generator cannot know about that.

annotation name @0x97d3c8f05a41e26b (file, struct, enum, enumerant, interface, method, field, group, union, param, const) :Text;
# The name in Rust, as the schema's names are written, where it is not to be made of the schema's own.

# --- How a method behaves -------------------------------------------------------------------------

annotation longWait @0xba40e1f96c82d573 (method) :Void;
# The method may wait long for something. A future's call of it has a thread of its own in the
# serving process.

annotation borrowed @0x8d2f61b7e94c03a5 (method) :Void;
# For hot methods: an object that is served gets `&str`, `&[u8]`, and views of lists and structs out of
# the message itself, rather than copies. Not for parameters with interfaces, maps, sets, unions or
# Rust types of their own in them. Nothing changes for the caller.

annotation interruptedBy @0xec5972a3d8106fb4 (method) :Text;
# The method of the same interface, without parameters, that ends a call of this one under way.
# It is called where a call was cancelled, or its deadline passed, and the peer does not end it.
