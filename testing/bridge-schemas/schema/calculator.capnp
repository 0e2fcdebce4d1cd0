# Evaluates expressions on the server, with functions that either side defines.

@0xb8e3f0716c2d945a;

interface Calculator {
    evaluate @0 (expression :Expression) -> (value :Value);
    # The value as an object: it can be used in another expression before it is known.

    define @1 (parameters :UInt32, body :Expression) -> (function :Function);

    operator @2 (operator :Operator) -> (function :Function);
}

struct Expression {
    union {
        literal @0 :Float64;
        value @1 :Value;
        parameter @2 :UInt32;
        call :group {
            function @3 :Function;
            arguments @4 :List(Expression);
        }
    }
}

interface Value {
    read @0 () -> (value :Float64);
}

interface Function {
    call @0 (arguments :List(Float64)) -> (value :Float64);
}

enum Operator {
    add @0;
    subtract @1;
    multiply @2;
    divide @3;
}
