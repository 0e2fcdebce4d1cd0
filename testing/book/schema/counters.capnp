@0x81c026e9cb7638a7;

interface Counters {
    # Counters by their names.

    open @0 (name :Text) -> (counter :Counter);
    # The counter of that name, which is made if there is none.
}

interface Counter {
    # Counts.

    add @0 (by :Int64) -> (total :Int64);
    # Adds to it, and tells the sum.
}
