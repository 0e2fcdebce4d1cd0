//! A calculator as capnp-rpc's users know it: a client and a server that are written for capnp-rpc alone, with each
//! of them over a connection of this project's, and one of capnp-rpc's own at the other end.

use std::cell::Cell;
use std::os::unix::net::UnixStream;
use std::rc::Rc;

use bridge_schemas::calculator_capnp::{Operator, calculator, expression, function, value};
use capnp::capability::Promise;
use capnp_rpc::rpc_twoparty_capnp::Side;
use capnp_rpc::{RpcSystem, new_client, twoparty};
use futures_util::future::{LocalBoxFuture, try_join_all};
use futures_util::io::{AsyncReadExt, BufReader, BufWriter};
use multiprocess::{Connection, Limits};
use multiprocess_capnp_rpc::Bridge;
use tokio_util::compat::TokioAsyncReadCompatExt;

use crate::loops::{bridge_thread, on_loop, sockets, with_bridge};

struct Calculator;

impl calculator::Server for Calculator {
    async fn evaluate(
        self: Rc<Self>,
        params: calculator::EvaluateParams,
        mut results: calculator::EvaluateResults,
    ) -> capnp::Result<()> {
        let number = evaluate(params.get()?.get_expression()?, Vec::new())?.await?;
        results.get().set_value(new_client(Number(number)));
        Ok(())
    }

    async fn define(
        self: Rc<Self>,
        params: calculator::DefineParams,
        mut results: calculator::DefineResults,
    ) -> capnp::Result<()> {
        let params = params.get()?;
        let mut body = capnp_rpc::ImbuedMessageBuilder::new(capnp::message::HeapAllocator::new());
        body.set_root(params.get_body()?)?;
        let parameters = params.get_parameters() as usize;
        let body = std::cell::RefCell::new(body);
        results.get().set_function(new_client(Defined { parameters, body }));
        Ok(())
    }

    async fn operator(
        self: Rc<Self>,
        params: calculator::OperatorParams,
        mut results: calculator::OperatorResults,
    ) -> capnp::Result<()> {
        results.get().set_function(new_client(Operation(params.get()?.get_operator()?)));
        Ok(())
    }
}

/// The value of an expression: objects in it are called, all at once.
fn evaluate(
    expression: expression::Reader<'_>,
    parameters: Vec<f64>,
) -> capnp::Result<LocalBoxFuture<'static, capnp::Result<f64>>> {
    Ok(match expression.which()? {
        expression::Literal(number) => Box::pin(async move { Ok(number) }),
        expression::Parameter(index) => {
            let number = parameters.get(index as usize).copied();
            let number = number.ok_or_else(|| capnp::Error::failed("no such parameter".into()))?;
            Box::pin(async move { Ok(number) })
        }
        expression::Value(value) => {
            let value = value?.read_request().send().promise;
            Box::pin(async move { Ok(value.await?.get()?.get_value()) })
        }
        expression::Call(call) => {
            let function = call.get_function()?;
            let arguments = call.get_arguments()?.iter();
            let arguments = arguments.map(|argument| evaluate(argument, parameters.clone()));
            let arguments = arguments.collect::<capnp::Result<Vec<_>>>()?;
            Box::pin(async move {
                let numbers = try_join_all(arguments).await?;
                let mut request = function.call_request();
                let mut list = request.get().init_arguments(numbers.len() as u32);
                for (index, number) in numbers.into_iter().enumerate() {
                    list.set(index as u32, number);
                }
                Ok(request.send().promise.await?.get()?.get_value())
            })
        }
    })
}

struct Number(f64);

impl value::Server for Number {
    async fn read(
        self: Rc<Self>,
        _: value::ReadParams,
        mut results: value::ReadResults,
    ) -> capnp::Result<()> {
        results.get().set_value(self.0);
        Ok(())
    }
}

struct Operation(Operator);

impl function::Server for Operation {
    async fn call(
        self: Rc<Self>,
        params: function::CallParams,
        mut results: function::CallResults,
    ) -> capnp::Result<()> {
        let arguments = params.get()?.get_arguments()?;
        if arguments.len() != 2 {
            return Err(capnp::Error::failed("an operator has two arguments".into()));
        }
        let (a, b) = (arguments.get(0), arguments.get(1));
        results.get().set_value(match self.0 {
            Operator::Add => a + b,
            Operator::Subtract => a - b,
            Operator::Multiply => a * b,
            Operator::Divide => a / b,
        });
        Ok(())
    }
}

struct Defined {
    parameters: usize,
    body: std::cell::RefCell<capnp_rpc::ImbuedMessageBuilder<capnp::message::HeapAllocator>>,
}

impl function::Server for Defined {
    async fn call(
        self: Rc<Self>,
        params: function::CallParams,
        mut results: function::CallResults,
    ) -> capnp::Result<()> {
        let arguments: Vec<f64> = params.get()?.get_arguments()?.iter().collect();
        if arguments.len() != self.parameters {
            return Err(capnp::Error::failed("a wrong number of arguments".into()));
        }
        let number = {
            let mut body = self.body.borrow_mut();
            let body: expression::Builder<'_> = body.get_root()?;
            evaluate(body.into_reader(), arguments)?
        };
        results.get().set_value(number.await?);
        Ok(())
    }
}

/// A function of the client's, which the server calls back; it counts its calls.
struct Power(Rc<Cell<u32>>);

impl function::Server for Power {
    fn call(
        self: Rc<Self>,
        params: function::CallParams,
        mut results: function::CallResults,
    ) -> impl Future<Output = capnp::Result<()>> + 'static {
        self.0.set(self.0.get() + 1);
        let mut raise = || {
            let arguments = params.get()?.get_arguments()?;
            results.get().set_value(arguments.get(0).powf(arguments.get(1)));
            Ok(())
        };
        Promise::from(raise())
    }
}

fn operator(calculator: &calculator::Client, operator: Operator) -> function::Client {
    let mut request = calculator.operator_request();
    request.get().set_operator(operator);
    // Not waited for.
    request.send().pipeline.get_function()
}

/// What the example does that comes with capnp-rpc.
async fn calculate(calculator: calculator::Client) {
    // One round trip for all: nothing is waited for but the last value.
    let mut request = calculator.evaluate_request();
    request.get().init_expression().set_literal(123.0);
    let value = request.send().pipeline.get_value();
    let read = value.read_request().send().promise.await.unwrap();
    assert_eq!(read.get().unwrap().get_value(), 123.0);

    // 123 + 45 - 67
    let (add, subtract) =
        (operator(&calculator, Operator::Add), operator(&calculator, Operator::Subtract));
    let mut request = calculator.evaluate_request();
    {
        let mut call = request.get().init_expression().init_call();
        call.set_function(subtract);
        let mut arguments = call.init_arguments(2);
        let mut sum = arguments.reborrow().get(0).init_call();
        sum.set_function(add.clone());
        let mut numbers = sum.init_arguments(2);
        numbers.reborrow().get(0).set_value(value);
        numbers.get(1).set_literal(45.0);
        arguments.get(1).set_literal(67.0);
    }
    let sent = request.send();
    let read = sent.pipeline.get_value().read_request().send().promise.await.unwrap();
    assert_eq!(read.get().unwrap().get_value(), 101.0);

    // A function that the server keeps: f(x, y) = x * 100 + y.
    let multiply = operator(&calculator, Operator::Multiply);
    let mut request = calculator.define_request();
    {
        request.get().set_parameters(2);
        let mut call = request.get().init_body().init_call();
        call.set_function(add);
        let mut arguments = call.init_arguments(2);
        let mut product = arguments.reborrow().get(0).init_call();
        product.set_function(multiply);
        let mut factors = product.init_arguments(2);
        factors.reborrow().get(0).set_parameter(0);
        factors.get(1).set_literal(100.0);
        arguments.get(1).set_parameter(1);
    }
    let defined = request.send();
    let mut request = calculator.evaluate_request();
    {
        let mut call = request.get().init_expression().init_call();
        call.set_function(defined.pipeline.get_function());
        let mut arguments = call.init_arguments(2);
        arguments.reborrow().get(0).set_literal(12.0);
        arguments.get(1).set_literal(34.0);
    }
    let sent = request.send();
    let read = sent.pipeline.get_value().read_request().send().promise.await.unwrap();
    assert_eq!(read.get().unwrap().get_value(), 1234.0);

    // A function of this side's: 2 to the power of (4 + 5) = 512.
    let calls = Rc::new(Cell::new(0));
    let mut request = calculator.evaluate_request();
    {
        let mut call = request.get().init_expression().init_call();
        call.set_function(new_client(Power(Rc::clone(&calls))));
        let mut arguments = call.init_arguments(2);
        arguments.reborrow().get(0).set_literal(2.0);
        let mut sum = arguments.get(1).init_call();
        sum.set_function(operator(&calculator, Operator::Add));
        let mut numbers = sum.init_arguments(2);
        numbers.reborrow().get(0).set_literal(4.0);
        numbers.get(1).set_literal(5.0);
    }
    let sent = request.send();
    let read = sent.pipeline.get_value().read_request().send().promise.await.unwrap();
    assert_eq!((read.get().unwrap().get_value(), calls.get()), (512.0, 1));
}

/// capnp-rpc's own network.
pub(crate) fn network(socket: UnixStream, side: Side) -> Box<dyn capnp_rpc::VatNetwork<Side>> {
    socket.set_nonblocking(true).unwrap();
    let socket = tokio::net::UnixStream::from_std(socket).unwrap();
    let (read, write) = TokioAsyncReadCompatExt::compat(socket).split();
    let (read, write) = (BufReader::new(read), BufWriter::new(write));
    Box::new(twoparty::VatNetwork::new(read, write, side, Default::default()))
}

fn serve(socket: UnixStream, here: bool) -> crate::loops::Running<()> {
    bridge_thread(async move |bridge: Bridge| {
        let calculator: calculator::Client = new_client(Calculator);
        let connection = bridge.serve(socket, Limits::default(), calculator).unwrap();
        if here {
            bridge.read_here(&connection);
        }
        connection.disconnected().await;
    })
}

fn call(socket: UnixStream, here: bool) {
    with_bridge(async |bridge: Bridge| {
        let connection = Connection::new(socket).unwrap();
        if here {
            bridge.read_here(&connection);
        }
        calculate(bridge.bootstrap(&connection).unwrap()).await;
    });
}

#[test]
fn over_a_connection_of_this_project() {
    for here in [false, true] {
        let (ours, theirs) = sockets();
        let server = serve(theirs, here);
        call(ours, here);
        server.join();
    }
}

#[test]
fn with_a_server_of_capnp_rpc() {
    for here in [false, true] {
        let (ours, theirs) = sockets();
        let server = std::thread::spawn(move || {
            on_loop(async {
                let calculator: calculator::Client = new_client(Calculator);
                let network = network(theirs, Side::Server);
                let _ = RpcSystem::new(network, Some(calculator.client)).await;
            });
        });
        call(ours, here);
        server.join().unwrap();
    }
}

#[test]
fn with_a_client_of_capnp_rpc() {
    for here in [false, true] {
        let (ours, theirs) = sockets();
        let server = serve(theirs, here);
        on_loop(async {
            let mut system = RpcSystem::new(network(ours, Side::Client), None);
            let calculator = system.bootstrap(Side::Server);
            let disconnect = system.get_disconnector();
            tokio::task::spawn_local(system);
            calculate(calculator).await;
            disconnect.await.unwrap();
        });
        server.join();
    }
}

/// Clients of a connection of capnp-rpc's own pass through the bridge: capnp-rpc, this project, capnp-rpc.
#[test]
fn through_the_bridge_from_one_connection_of_capnp_rpc_to_another() {
    let (ours, theirs) = sockets();
    let (middle, end) = sockets();
    let server = std::thread::spawn(move || {
        on_loop(async {
            let calculator: calculator::Client = new_client(Calculator);
            let network = network(end, Side::Server);
            let _ = RpcSystem::new(network, Some(calculator.client)).await;
        });
    });
    let relay = bridge_thread(async move |bridge: Bridge| {
        let mut system = RpcSystem::new(network(middle, Side::Client), None);
        let calculator: calculator::Client = system.bootstrap(Side::Server);
        let disconnect = system.get_disconnector();
        tokio::task::spawn_local(system);
        let connection = bridge.serve(theirs, Limits::default(), calculator).unwrap();
        connection.disconnected().await;
        disconnect.await.unwrap();
    });
    call(ours, true);
    relay.join();
    server.join().unwrap();
}
