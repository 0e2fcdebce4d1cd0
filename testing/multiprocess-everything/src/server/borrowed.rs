//! The methods that borrow their parameters from the message.

use multiprocess::rt::{List, Struct, Text};
use multiprocess::{ListView, Result};

use crate::generated::types::{Point, PointView};
use crate::generated::unions::TreeView;

/// A point as text.
pub(super) fn point(point: PointView<'_>) -> Result<String> {
    Ok(format!("{},{}", point.x()?, point.y()?))
}

/// Points as texts.
pub(super) fn points(points: ListView<'_, Struct<Point>>) -> Result<Vec<String>> {
    points.iter().map(|item| point(item?)).collect()
}

/// Texts, unchanged.
pub(super) fn texts(texts: ListView<'_, Text>) -> Result<Vec<String>> {
    texts.iter().map(|text| text.map(str::to_owned)).collect()
}

/// The numbers of all rows as texts.
pub(super) fn numbers(rows: ListView<'_, List<i32>>) -> Result<Vec<String>> {
    let mut numbers = Vec::new();
    for row in rows.iter() {
        for number in row?.iter() {
            numbers.push(number?.to_string());
        }
    }
    Ok(numbers)
}

/// The sum of a tree's values.
pub(super) fn total(tree: TreeView<'_>) -> Result<i32> {
    let mut sum = tree.value()?;
    for side in [tree.left()?, tree.right()?].into_iter().flatten() {
        sum = sum.wrapping_add(total(side)?);
    }
    for child in tree.children()?.iter() {
        sum = sum.wrapping_add(total(child?)?);
    }
    Ok(sum)
}
