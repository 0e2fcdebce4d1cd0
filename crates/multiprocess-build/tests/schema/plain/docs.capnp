# Comments [with] <marks>; see https://example.org/a_b.

@0xb4f1c1d7e8a90008;

struct Commented {
    # Brackets [like these], angles <like these>, `code [as it is]`, and one lone ` tick.
    #
    # A list:
    # - one item
    # that goes on
    # - another
    #
    # An example:
    #
    #     let x = 1;
    #     run(x);
    #
    # ```
    # fenced
    # ```
    #
    # 1. first
    # 2. second

    field @0 :Int32;
    # Ends with a semicolon;
    # and goes on. See http://example.org/x, or not.
}
