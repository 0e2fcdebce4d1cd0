//! Code that compiles against generated code, and code that must not. The second example of each
//! pair differs from the first only in its mistake.
//!
//! An object is shared between threads.
//!
//! ```
//! use multiprocess_tests::generated::lab::{Counter, CounterClient};
//! struct Here(std::sync::atomic::AtomicI64);
//! impl Counter for Here {}
//! CounterClient::new(Here(Default::default()));
//! ```
//!
//! ```compile_fail
//! use multiprocess_tests::generated::lab::{Counter, CounterClient};
//! struct Here(std::cell::Cell<i64>);
//! impl Counter for Here {}
//! CounterClient::new(Here(Default::default()));
//! ```
//!
//! A method has the schema's types.
//!
//! ```
//! use multiprocess_tests::generated::lab::Counter;
//! struct Here;
//! impl Counter for Here {
//!     fn next(&self) -> multiprocess::Result<i64> {
//!         Ok(1)
//!     }
//! }
//! ```
//!
//! ```compile_fail
//! use multiprocess_tests::generated::lab::Counter;
//! struct Here;
//! impl Counter for Here {
//!     fn next(&self) -> multiprocess::Result<i32> {
//!         Ok(1)
//!     }
//! }
//! ```
//!
//! A function that stands for an object takes the method's parameters, and lives as long as it.
//!
//! ```
//! use multiprocess_tests::generated::lab::CallbackClient;
//! let more = String::from("x").len() as i32;
//! CallbackClient::from_fn(move |_lab, depth| Ok(depth + more));
//! ```
//!
//! ```compile_fail
//! use multiprocess_tests::generated::lab::CallbackClient;
//! let more = String::from("x").len() as i32;
//! CallbackClient::from_fn(move |depth| Ok(depth + more));
//! ```
//!
//! ```compile_fail
//! use multiprocess_tests::generated::lab::CallbackClient;
//! let more = std::rc::Rc::new(1);
//! CallbackClient::from_fn(move |_lab, depth| Ok(depth + *more));
//! ```
//!
//! Only a call that returns an object can be pipelined.
//!
//! ```
//! # use multiprocess_tests::generated::lab::{Lab, LabClient};
//! # struct Here;
//! # impl Lab for Here {}
//! # let lab = LabClient::new(Here);
//! let _ = lab.make_counter(1).pipelined();
//! ```
//!
//! ```compile_fail
//! # use multiprocess_tests::generated::lab::{Lab, LabClient};
//! # struct Here;
//! # impl Lab for Here {}
//! # let lab = LabClient::new(Here);
//! let _ = lab.add(1, 2).pipelined();
//! ```
//!
//! A handle can be converted to one of an interface that its own extends, and to no other.
//!
//! ```
//! use multiprocess_tests::generated::waits::{SumClient, WaitsClient};
//! fn lesser(waits: WaitsClient) -> SumClient {
//!     waits.into()
//! }
//! ```
//!
//! ```compile_fail
//! use multiprocess_tests::generated::waits::{SumClient, WaitsClient};
//! fn greater(sum: SumClient) -> WaitsClient {
//!     sum.into()
//! }
//! ```
//!
//! The methods of an async object are futures that can change threads.
//!
//! ```
//! use multiprocess_tests::generated::lab::CounterAsync;
//! struct Here;
//! impl CounterAsync for Here {
//!     async fn next(&self) -> multiprocess::Result<i64> {
//!         let kept = std::sync::Arc::new(1);
//!         std::future::ready(()).await;
//!         Ok(*kept)
//!     }
//! }
//! ```
//!
//! ```compile_fail
//! use multiprocess_tests::generated::lab::CounterAsync;
//! struct Here;
//! impl CounterAsync for Here {
//!     async fn next(&self) -> multiprocess::Result<i64> {
//!         let kept = std::rc::Rc::new(1);
//!         std::future::ready(()).await;
//!         Ok(*kept)
//!     }
//! }
//! ```
