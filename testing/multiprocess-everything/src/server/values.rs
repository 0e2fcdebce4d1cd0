//! The methods that return what they are given.

use std::collections::{BTreeSet, HashMap};

use multiprocess::rt::{List, Struct, Text};
use multiprocess::{AnyPointer, Error, ListView, Result};

use super::{EverythingServer, borrowed};
use crate::codecs::Age;
use crate::generated::types::{
    Coded, CodedWithDefault, Collections, Color, Defaults, Lists, Nullables, Open, Optionals,
    Partial, Point, PointView, Result_, Scalars, Secret, Tags, Type,
};
use crate::generated::unions::{
    Account, Chosen, Eithers, Event, EventWhich, Expr, Grouped, Link, Ping, Shape, Tree, TreeView,
    Wraps,
};
use crate::generated::values::{
    Values, ValuesBorrowedResults, ValuesDirectResults, ValuesEventFieldsResults,
    ValuesNullableResults, ValuesPointResults, ValuesSetsResults, ValuesWithDefaultsResults,
};

/// Methods that return their only argument.
macro_rules! returned {
    ($($method:ident: $type:ty),* $(,)?) => { $(
        fn $method(&self, arg: $type) -> Result<$type> {
            Ok(arg)
        }
    )* };
}

impl Values for EverythingServer {
    returned! {
        scalars: Scalars,
        defaults: Defaults,
        lists: Lists,
        nullables: Nullables,
        optionals: Optionals,
        collections: Collections,
        coded: Coded,
        coded_with_default: CodedWithDefault,
        partial: Partial,
        secret: Secret,
        keywords: Type,
        results: Result_,
        tags: Tags,
        open: Open,
        shape: Shape,
        event: Event,
        account: Account,
        chosen: Chosen,
        grouped: Grouped,
        tree: Tree,
        expr: Expr,
        ping: Ping,
        link: Link,
        eithers: Eithers,
        age: Age,
        any: AnyPointer,
        generic: AnyPointer,
        shape_fields: Shape,
        wraps: Wraps,
    }

    #[allow(clippy::too_many_arguments, reason = "as the schema has them")]
    fn direct(
        &self,
        flag: bool,
        int8: i8,
        int64: i64,
        uint16: u16,
        float32: f32,
        float64: f64,
        text: String,
        data: Vec<u8>,
        color: Color,
        points: Vec<Point>,
    ) -> Result<ValuesDirectResults> {
        Ok(ValuesDirectResults {
            flag,
            int8,
            int64,
            uint16,
            float32,
            float64,
            text,
            data,
            color,
            points,
        })
    }

    fn with_defaults(
        &self,
        number: i32,
        text: String,
        point: Point,
        numbers: Vec<i16>,
        color: Color,
    ) -> Result<ValuesWithDefaultsResults> {
        Ok(ValuesWithDefaultsResults { number, text, point, numbers, color })
    }

    fn sets(
        &self,
        words: BTreeSet<String>,
        amounts: HashMap<String, i32>,
    ) -> Result<ValuesSetsResults> {
        Ok(ValuesSetsResults { words, amounts })
    }

    fn nullable(
        &self,
        text: Option<String>,
        point: Option<Point>,
    ) -> Result<ValuesNullableResults> {
        Ok(ValuesNullableResults { text, point })
    }

    fn point(&self, x: i32, y: i32) -> Result<ValuesPointResults> {
        Ok(ValuesPointResults { x, y })
    }

    fn event_fields(
        &self,
        id: u64,
        which: String,
        which_: EventWhich,
    ) -> Result<ValuesEventFieldsResults> {
        Ok(ValuesEventFieldsResults { id, which, which_ })
    }

    #[allow(clippy::too_many_arguments, reason = "as the schema has them")]
    fn borrowed(
        &self,
        number: i64,
        text: &str,
        data: &[u8],
        color: Color,
        point: PointView<'_>,
        points: ListView<'_, Struct<Point>>,
        texts: ListView<'_, Text>,
        numbers: ListView<'_, List<i32>>,
        tree: TreeView<'_>,
        absent: Option<&str>,
        maybe: Option<&str>,
    ) -> Result<ValuesBorrowedResults> {
        let mut parts = vec![number.to_string(), text.to_owned(), u16::from(color).to_string()];
        parts.push(borrowed::point(point)?);
        parts.extend(borrowed::points(points)?);
        parts.extend(borrowed::texts(texts)?);
        parts.extend(borrowed::numbers(numbers)?);
        parts.push(borrowed::total(tree)?.to_string());
        parts.extend([absent, maybe].map(|text| text.unwrap_or("-").to_owned()));
        let bytes = data.iter().copied().map(u64::from).sum();
        Ok(ValuesBorrowedResults { result: parts.join(" "), bytes })
    }

    fn borrowed_inline(&self, texts: ListView<'_, Text>) -> Result<u32> {
        u32::try_from(texts.len()).map_err(|_| Error::failed("too many"))
    }

    fn sum(&self, values: Vec<Vec<i64>>) -> Result<i64> {
        Ok(values.into_iter().flatten().fold(0, i64::wrapping_add))
    }
}
