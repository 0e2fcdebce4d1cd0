//! The deadline and the trace of the calls that this thread makes.

use std::cell::Cell;

use super::current::{depth, served};
use crate::carried::Carried;

thread_local! {
    static SCOPE: Cell<Option<Scope>> = const { Cell::new(None) };
}

/// The innermost scope that was entered on this thread.
#[derive(Clone, Copy)]
struct Scope {
    /// How many calls the thread served then. In a callback that it serves meanwhile the scope is not in force.
    depth: usize,
    carried: Carried,
}

/// What a call that this thread makes now inherits: that of the scope, or else of the call that the thread serves.
#[inline]
pub(crate) fn inherited() -> Carried {
    match SCOPE.try_with(Cell::get) {
        Ok(Some(scope)) if scope.depth == depth() => scope.carried,
        _ => served(),
    }
}

/// From now on calls of this thread inherit this, until the guard is dropped.
pub(crate) fn enter_scope(carried: Carried) -> ScopeGuard {
    let scope = Some(Scope { depth: depth(), carried });
    // Where the thread ends and has forgotten it, nothing is inherited.
    let outer = SCOPE.try_with(|own| own.replace(scope)).ok().flatten();
    ScopeGuard(outer)
}

pub(crate) struct ScopeGuard(Option<Scope>);

impl Drop for ScopeGuard {
    fn drop(&mut self) {
        let _ = SCOPE.try_with(|scope| scope.replace(self.0));
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use super::*;
    use crate::trace_context::TraceContext;

    #[test]
    fn the_inner_scope_counts_and_the_outer_one_comes_back() {
        let of = |trace| Carried { deadline: None, trace: Some(trace) };
        let (outer, inner) = (TraceContext::root(true), TraceContext::root(true));
        let deadline = Some(Instant::now() + Duration::from_secs(1));
        assert_eq!(inherited(), Carried::default());
        {
            let _outer = enter_scope(Carried { deadline, ..of(outer) });
            assert_eq!(inherited(), Carried { deadline, ..of(outer) });
            {
                let _inner = enter_scope(of(inner));
                assert_eq!(inherited(), of(inner));
            }
            assert_eq!(inherited(), Carried { deadline, ..of(outer) });
        }
        assert_eq!(inherited(), Carried::default());
    }
}
