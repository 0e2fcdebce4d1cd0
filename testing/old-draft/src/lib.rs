//! The draft's interfaces of February 2026 on their own, for tests to serve.

multiprocess::include_generated!();
