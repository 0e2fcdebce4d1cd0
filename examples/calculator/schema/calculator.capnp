# Solves equations.

@0xb67dbf34061180a9;

using Proxy = import "/mp/proxy.capnp";

interface CalculatorInterface {
    # Solves equations and has the answers printed.

    destroy @0 (context :Proxy.Context) -> ();

    solveEquation @1 (context :Proxy.Context, eqn :Text) -> ();
    # Works out `eqn` and prints it with its answer.
}
