@0xb4f1c1d7e8a90020;

struct Place { name @0 :Text; kind @1 :Kind; }

enum Kind { town @0; river @1; }

interface Map { find @0 (name :Text) -> (place :Place); }
