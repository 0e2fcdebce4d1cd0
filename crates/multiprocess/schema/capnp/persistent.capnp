# Capabilities that can be saved and got again later, as Cap'n Proto's standard schema declares them: names,
# ids, ordinals and types. It is here so that schemas that import "/capnp/persistent.capnp" need no installation.

@0xb8630836983feed7;
$import "/capnp/c++.capnp".namespace("capnp");

interface Persistent@0xc8cb212fcd9f5691(SturdyRef, Owner) {
    save @0 SaveParams -> SaveResults;

    struct SaveParams {
        sealFor @0 :Owner;
    }
    struct SaveResults {
        sturdyRef @0 :SturdyRef;
    }
}

annotation persistent(interface, field) :Void;
