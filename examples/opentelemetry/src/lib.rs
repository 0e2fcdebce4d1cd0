//! One OpenTelemetry trace through two processes.
//!
//! [`Traces`] is the whole of it: an interceptor with a span for each call, on the side that makes it and on the side
//! that serves it, which are parent and child because the trace travels with the call. A program can take it over as it
//! is, with an exporter of its own choice.

pub mod generated;

use std::sync::Arc;

use multiprocess::{CallEnd, IncomingCall, Interceptor, OutgoingCall, Result, TraceContext};
use opentelemetry::trace::{
    Span, SpanContext, SpanId, SpanKind, Status, TraceContextExt, TraceFlags, TraceId, TraceState,
    Tracer, TracerProvider,
};
use opentelemetry::{Context, KeyValue};
use opentelemetry_sdk::trace::{InMemorySpanExporter, SdkTracer, SdkTracerProvider};

/// Has a span for each call, for both ends of a connection: `Connection::builder().intercept(Traces::new(tracer))`.
///
/// The spans of this process's calls are children of the span that is in force ([`in_span`]), or of the span of the call
/// that their thread serves. Nothing here blocks: the exporter does what it does on threads of its own.
pub struct Traces(SdkTracer);

impl Traces {
    /// Of this tracer.
    pub fn new(tracer: SdkTracer) -> Arc<Traces> {
        Arc::new(Traces(tracer))
    }

    fn begin(
        &self,
        method: &str,
        kind: SpanKind,
        parent: Option<TraceContext>,
    ) -> impl Span + 'static {
        let parent = parent.map_or_else(Context::new, |parent| {
            Context::new().with_remote_span_context(to_otel(parent))
        });
        let span = self.0.span_builder(method.to_owned()).with_kind(kind);
        span.with_attributes([KeyValue::new("rpc.system", "capnp")])
            .start_with_context(&self.0, &parent)
    }
}

impl Interceptor for Traces {
    fn before_call(&self, call: &mut OutgoingCall<'_>) -> Result<()> {
        let span = self.begin(call.method(), SpanKind::Client, call.trace());
        call.set_trace(from_otel(span.span_context())?);
        call.on_end(|end| finish(span, end));
        Ok(())
    }

    fn before_serve(&self, call: &mut IncomingCall<'_>) -> Result<()> {
        let span = self.begin(call.method(), SpanKind::Server, call.trace());
        call.set_trace(from_otel(span.span_context())?);
        call.on_end(|end| finish(span, end));
        Ok(())
    }
}

fn finish(mut span: impl Span, end: &CallEnd<'_>) {
    span.set_attribute(KeyValue::new("rpc.outcome", end.outcome().as_str()));
    if let Some(error) = end.error() {
        span.set_status(Status::error(error.to_string()));
    }
    span.end();
}

/// Runs `run` within a span of the program's own; the calls that it makes on this thread are the span's children.
///
/// # Errors
/// Those of `run`.
pub fn in_span<R>(
    tracer: &SdkTracer,
    name: &'static str,
    run: impl FnOnce() -> Result<R>,
) -> Result<R> {
    let parent = TraceContext::current().map_or_else(Context::new, |parent| {
        Context::new().with_remote_span_context(to_otel(parent))
    });
    let mut span = tracer.start_with_context(name, &parent);
    let result = from_otel(span.span_context())?.in_scope(run);
    span.end();
    result
}

fn to_otel(trace: TraceContext) -> SpanContext {
    SpanContext::new(
        TraceId::from_bytes(trace.trace_id()),
        SpanId::from_bytes(trace.span_id()),
        TraceFlags::new(trace.flags()),
        true,
        TraceState::default(),
    )
}

fn from_otel(span: &SpanContext) -> Result<TraceContext> {
    TraceContext::new(
        span.trace_id().to_bytes(),
        span.span_id().to_bytes(),
        span.trace_flags().to_u8(),
    )
}

/// The spans of this process, which are kept here in place of being sent anywhere.
pub struct Kept {
    provider: SdkTracerProvider,
    exporter: InMemorySpanExporter,
}

impl Kept {
    /// None yet.
    pub fn new() -> Kept {
        let exporter = InMemorySpanExporter::default();
        let provider = SdkTracerProvider::builder().with_simple_exporter(exporter.clone()).build();
        Kept { provider, exporter }
    }

    /// What makes spans that are kept.
    pub fn tracer(&self) -> SdkTracer {
        self.provider.tracer("multiprocess")
    }

    /// The spans that have ended: process, trace, span, parent, kind and name, a line for each.
    pub fn lines(&self) -> Vec<String> {
        let spans = self.exporter.get_finished_spans().unwrap_or_default();
        let line = |span: &opentelemetry_sdk::trace::SpanData| {
            let (process, own) = (std::process::id(), &span.span_context);
            let (trace, id, parent) = (own.trace_id(), own.span_id(), span.parent_span_id);
            format!("{process} {trace} {id} {parent} {:?} {}", span.span_kind, span.name)
        };
        spans.iter().map(line).collect()
    }
}

impl Default for Kept {
    fn default() -> Kept {
        Kept::new()
    }
}
