//! How deep a value may be nested: a setting of the process, so this has a process of its own.

use std::thread;

use multiprocess::{Error, ProcessLimits};
use multiprocess_everything::generated::unions::Tree;
use multiprocess_everything::pair::pair;

/// Levels that are counted beside those of the tree: what is around it in the message, and the empty list
/// in its last leaf.
const AROUND: usize = 5;

fn nested(levels: usize) -> Tree {
    let mut tree = Tree::default();
    for _ in 1..levels {
        tree = Tree { left: Some(Box::new(tree)), ..Tree::default() };
    }
    tree
}

fn set(levels: u16) {
    let mut limits = ProcessLimits::current();
    limits.nesting = levels;
    limits.set();
}

#[test]
fn a_value_may_be_as_deep_as_is_set_and_no_deeper() {
    let (_server, pair) = pair().unwrap();
    assert_eq!(ProcessLimits::current().nesting, 64);
    for most in [64, 200, 20] {
        set(most);
        let deepest = usize::from(most) - AROUND;
        assert_eq!(pair.object.tree(nested(deepest)).wait().unwrap(), nested(deepest));
        let error = pair.object.tree(nested(deepest + 1)).wait().unwrap_err();
        // Whichever side it is that tells.
        assert!(error.to_string().contains(&format!("more than {most} deep")), "{error}");
        assert!(error.to_string().contains("ProcessLimits::nesting"), "{error}");
    }
    // The writer's own limit, which is told before anything is sent, however deep the value is.
    let error = pair.object.tree(nested(1000)).wait().unwrap_err();
    assert!(matches!(&error, Error::ApiMisuse { .. }), "{error:?}");
    assert!(error.to_string().contains("more than 20 deep (ProcessLimits::nesting)"), "{error}");
    assert_eq!(pair.object.tree(nested(5)).wait().unwrap(), nested(5));

    // What the docs say of the stack: 5 KiB for each level are enough.
    set(500);
    let call = || assert_eq!(pair.object.tree(nested(410)).wait().unwrap(), nested(410));
    thread::scope(|scope| {
        let small = thread::Builder::new().stack_size(2 << 20);
        small.spawn_scoped(scope, call).unwrap().join().unwrap();
    });
}
