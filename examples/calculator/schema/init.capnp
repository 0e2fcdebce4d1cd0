# The bootstrap interface of the three programs. Compatible with libmultiprocess's example.

@0xba5a7448664901b1;

using Proxy = import "/mp/proxy.capnp";
using Rust = import "/rust-multiprocess.capnp";
using Calculator = import "calculator.capnp";
using Printer = import "printer.capnp";

interface InitInterface {
    # The bootstrap object of a program.

    construct @0 (threadMap :Proxy.ThreadMap) -> (threadMap :Proxy.ThreadMap);

    makeCalculator @1 (context :Proxy.Context, print :Printer.PrinterInterface $Rust.notNull) -> (result :Calculator.CalculatorInterface $Rust.notNull);
    # A calculator that prints with `print`, which may be in another process.

    makePrinter @2 (context :Proxy.Context) -> (result :Printer.PrinterInterface $Rust.notNull);
    # A printer.
}
