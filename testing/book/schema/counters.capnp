@0x81c026e9cb7638a7;

interface Counters {
    # Counters by their names.

    open @0 (name :Text) -> (counter :Counter);
    # The counter of that name, which is made if there is none.

    forget @1 (counter :Counter) -> (total :Int64);
    # Forgets one of its counters, and tells where it stood.
}

interface Counter {
    # Counts.

    add @0 (by :Int64) -> (total :Int64);
    # Adds to it, and tells the sum.
}
