//! A look as one JSON object. Times are seconds.

use serde_json::{Value, json};

use super::view::{CallRow, ConnectionRow, MethodRow, View};

pub(super) fn of(view: &View) -> Value {
    let limits = view.limits.iter().map(|(limit, times)| (limit.clone(), json!(times)));
    json!({
        "pid": view.pid,
        "program": view.program,
        "busy": view.busy,
        "counted_for": view.counted_for.as_secs_f64(),
        "threads": { "runtime": view.threads[0], "program": view.threads[1] },
        "limits_met": limits.collect::<serde_json::Map<_, _>>(),
        "connections": view.connections.iter().map(connection).collect::<Vec<_>>(),
        "calls": view.calls.iter().map(call).collect::<Vec<_>>(),
        "methods": view.methods.iter().map(method).collect::<Vec<_>>(),
    })
}

fn side(served: bool) -> &'static str {
    if served { "served" } else { "called" }
}

fn connection(row: &ConnectionRow) -> Value {
    let inside = row.inside.as_ref();
    json!({
        "number": row.number,
        "peer": row.peer,
        "pid": row.pid,
        "uid": row.uid,
        "age": row.age.as_secs_f64(),
        "serves": inside.map(|it| it.serves),
        "calls": inside.map(|it| it.calls),
        "objects": inside.map(|it| it.objects),
        "held": inside.map(|it| it.held),
        "held_bytes": inside.map(|it| it.held_bytes),
        "unsent": row.unsent,
    })
}

fn call(row: &CallRow) -> Value {
    json!({
        "connection": row.connection,
        "side": side(row.served),
        "method": row.method,
        "age": row.age.as_secs_f64(),
        "thread": row.thread,
        "state": row.state,
    })
}

fn method(row: &MethodRow) -> Value {
    let [failed, cancelled, timed_out, lost] = row.ends;
    json!({
        "method": row.method,
        "side": side(row.served),
        "calls": row.calls,
        "per_second": row.per_second,
        "failed": failed,
        "cancelled": cancelled,
        "timed_out": timed_out,
        "lost": lost,
        "p50": row.half.as_secs_f64(),
        "p99": row.most.as_secs_f64(),
        "max": row.longest.as_secs_f64(),
        "parameter_bytes": row.bytes[0],
        "result_bytes": row.bytes[1],
    })
}
