@0xb4f1c1d7e8a90019;

struct Amount { coins @0 :UInt64; }
