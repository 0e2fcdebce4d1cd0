//! Writes marks into a compiled schema, as annotations.

use std::collections::BTreeMap;

use capnp::message::Builder;
use capnp::schema_capnp::{annotation, code_generator_request, node, value};
use capnp::struct_list;

use super::mark::{Mark, Value};
use super::paths::Place;
use crate::error::Error;
use crate::parse::id;

type List<'a> = struct_list::Reader<'a, annotation::Owned>;

/// The request with these marks, which take the place of the schema's own annotations of that kind, but for
/// attributes, which follow them.
pub(super) fn annotate(
    request: code_generator_request::Reader<'_>,
    marks: &[(&Place, &Mark)],
) -> Result<Vec<u8>, Error> {
    let mut places: BTreeMap<(u32, Option<u32>), Vec<Mark>> = BTreeMap::new();
    for (place, mark) in marks {
        add(places.entry((place.node, place.member)).or_default(), mark);
    }
    let mut message = Builder::new_default();
    message.set_root(request)?;
    let root: code_generator_request::Builder<'_> = message.get_root()?;
    let mut nodes = root.get_nodes()?;
    for ((index, member), marks) in places {
        let from = request.get_nodes()?.get(index);
        let to = nodes.reborrow().get(index);
        let Some(member) = member else {
            let own = from.get_annotations()?;
            write(own, &marks, |count| to.init_annotations(count))?;
            continue;
        };
        match (from.which()?, to.which()?) {
            (node::Struct(from), node::Struct(to)) => {
                let own = from.get_fields()?.get(member).get_annotations()?;
                let mut to = to.get_fields()?.get(member);
                write(own, &marks, |count| to.reborrow().init_annotations(count))?;
            }
            (node::Enum(from), node::Enum(to)) => {
                let own = from.get_enumerants()?.get(member).get_annotations()?;
                let mut to = to.get_enumerants()?.get(member);
                write(own, &marks, |count| to.reborrow().init_annotations(count))?;
            }
            (node::Interface(from), node::Interface(to)) => {
                let own = from.get_methods()?.get(member).get_annotations()?;
                let mut to = to.get_methods()?.get(member);
                write(own, &marks, |count| to.reborrow().init_annotations(count))?;
            }
            _ => {}
        }
    }
    Ok(capnp::serialize::write_message_to_words(&message))
}

/// Adds a mark to those of a place. Attributes add up, another mark replaces one of its kind.
fn add(marks: &mut Vec<Mark>, mark: &Mark) {
    let same = marks.iter_mut().find(|other| other.id() == mark.id());
    match (same, mark.value()) {
        (Some(same), Value::Text(text)) if mark.id() == id::ATTRIBUTE => {
            if let Value::Text(before) = same.value() {
                *same = Mark::attribute(format!("{before} {text}"));
            }
        }
        (Some(same), _) => *same = mark.clone(),
        (None, _) => marks.push(mark.clone()),
    }
}

/// Writes the annotations that a place had before, and the marks.
fn write<'b>(
    own: List<'_>,
    marks: &[Mark],
    init: impl FnOnce(u32) -> struct_list::Builder<'b, annotation::Owned>,
) -> Result<(), Error> {
    let replaced =
        |own: &annotation::Reader<'_>| marks.iter().any(|mark| mark.id() == own.get_id());
    let kept: Vec<_> = own.iter().filter(|own| !replaced(own)).collect();
    let mut attributes = None;
    for own in own.iter().filter(|own| own.get_id() == id::ATTRIBUTE) {
        if let value::Text(text) = own.get_value()?.which()? {
            attributes = Some(text?.to_string()?);
        }
    }
    let count = u32::try_from(kept.len() + marks.len()).unwrap_or(u32::MAX);
    let mut list = init(count);
    let mut index = 0;
    for annotation in kept {
        list.set_with_caveats(index, annotation)?;
        index += 1;
    }
    for mark in marks {
        let mut to = list.reborrow().get(index);
        to.set_id(mark.id());
        let mut value = to.init_value();
        match mark.value() {
            Value::Nothing => value.set_void(()),
            Value::Text(text) => match &attributes {
                Some(own) if mark.id() == id::ATTRIBUTE => value.set_text(format!("{own} {text}")),
                _ => value.set_text(text.as_str()),
            },
            Value::Number(number) => value.set_int32(*number),
        }
        index += 1;
    }
    Ok(())
}
