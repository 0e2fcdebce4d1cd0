@0xb4f1c1d7e8a90009;

using Scalars = import "scalars.capnp";
using Enums = import "enums.capnp";

interface FirstFile {
    # Named after its file, so that its handle is the file's Client.

    across @0 (zeros :Scalars.Zeros, color :Enums.Color, list :List(Scalars.Defaults)) -> (result :Enums.Brush);
}
