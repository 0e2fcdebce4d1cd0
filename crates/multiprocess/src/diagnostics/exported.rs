//! A snapshot for the crate `metrics`.

use metrics::{counter, gauge};

use super::state::{Inside, Snapshot};

impl Snapshot {
    /// Sets the gauges of the [metrics](crate::stats#metrics) from this snapshot. For a program's timer, or before each
    /// time that its metrics are read: what is under way is not told by itself when it changes. What was busy keeps its
    /// last value.
    ///
    /// ```
    /// multiprocess::diagnostics::snapshot().export();
    /// ```
    pub fn export(&self) {
        for (limit, times) in &self.limits_met {
            counter!("multiprocess_limits_met_total", "limit" => format!("{limit:?}"))
                .absolute(*times);
        }
        if let Some(threads) = &self.threads {
            let own = threads.iter().filter(|thread| thread.own).count();
            gauge!("multiprocess_threads", "kind" => "runtime").set(own as f64);
            gauge!("multiprocess_threads", "kind" => "program").set((threads.len() - own) as f64);
        }
        let Some(connections) = &self.connections else { return };
        gauge!("multiprocess_connections").set(connections.len() as f64);
        let unsent: usize = connections.iter().map(|connection| connection.unsent).sum();
        gauge!("multiprocess_unsent_bytes").set(unsent as f64);
        let inside: Option<Vec<&Inside>> =
            connections.iter().map(|it| it.inside.as_ref()).collect();
        let Some(inside) = inside else { return };
        let sum = |of: fn(&Inside) -> usize| inside.iter().map(|it| of(it)).sum::<usize>() as f64;
        gauge!("multiprocess_calls_under_way", "side" => "called").set(sum(|it| it.calls.len()));
        gauge!("multiprocess_calls_under_way", "side" => "served").set(sum(|it| it.serves.len()));
        gauge!("multiprocess_objects").set(sum(|it| it.objects));
        gauge!("multiprocess_held_bytes").set(sum(|it| it.held_bytes));
    }
}
