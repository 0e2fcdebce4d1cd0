@0xfc85a396b92f7eb2;

using Proxy = import "/mp/proxy.capnp";

interface Notebook {
    # A list of notes that several programs write into.

    construct @0 (threadMap :Proxy.ThreadMap) -> (threadMap :Proxy.ThreadMap);

    add @1 (context :Proxy.Context, text :Text) -> (count :UInt32);
    # Writes a note down, and tells how many there are now.

    get @2 (context :Proxy.Context, number :UInt32) -> (text :Text, hasText :Bool);
    # The note with this number, from 0; nothing if there is none.

    waitForMore @3 (context :Proxy.Context, than :UInt32) -> (count :UInt32);
    # Waits until there are more notes than that.

    watch @4 (context :Proxy.Context, watcher :Watcher) -> ();
    # Tells a watcher of each note, from now on.

    import @5 (context :Proxy.Context) -> (import :Import);
    # Takes many notes at once.
}

interface Watcher {
    # Wants to know of new notes.

    added @0 (context :Proxy.Context, text :Text) -> ();
    # There is a new note.
}

interface Import {
    # Notes that are on their way into a notebook.

    add @0 (context :Proxy.Context, text :Text) -> stream;
    # One more note.

    done @1 (context :Proxy.Context) -> (count :UInt32);
    # All have been sent. Tells how many arrived.
}
