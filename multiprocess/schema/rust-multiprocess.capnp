# Marks that only the Rust generator reads. They never change what travels.

@0xb8a64b1c7e2d9f35;

annotation notNull @0xd5e1b8c0734fa926 (param, field) :Void;
# The reference is never null: the Rust type is the handle itself rather than an Option of it, and
# a null that arrives is a decode error.

annotation nullable @0xa7c93e5d10f48b62 (param, field) :Void;
# The struct, list, text or data may be absent (a null pointer): the Rust type is an Option.
