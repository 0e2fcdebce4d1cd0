//! Interfaces and their methods.

use capnp::schema_capnp::{method, node};

use super::declare::{Declared, Kind as Declares, Scope};
use super::marks::{self, Annotations, find};
use super::{Parser, Place, id};
use crate::error::Error;
use crate::model::{Extended, Field, Interface, Kind, Message, Method, Presence, Type};
use crate::names;

impl<'a> Parser<'a> {
    pub(super) fn interface(
        &mut self,
        scope: &mut Scope,
        declared: Declared,
        body: node::interface::Reader<'a>,
    ) -> Result<Interface, Error> {
        let id = declared.named.id;
        let mut parents = Vec::new();
        for parent in body.get_superclasses()? {
            let id = parent.get_id();
            let Some(found) = self.declared(id, Declares::Interface, &declared.place)? else {
                continue;
            };
            parents.push(Extended {
                arguments: self.arguments(id, parent.get_brand()?, &declared.place)?,
                named: found.named,
                trait_name: found.own_name,
                async_name: found.async_name,
            });
        }
        let mut methods = Vec::new();
        for (ordinal, method) in body.get_methods()?.iter().enumerate() {
            if let Some(mapped) = self.method(scope, &declared, ordinal, method)? {
                methods.push((method.get_code_order(), mapped));
            }
        }
        methods.sort_by_key(|(order, _)| *order);
        let mut methods: Vec<Method> = methods.into_iter().map(|(_, method)| method).collect();
        self.interrupts(&declared.place, body, &mut methods)?;
        let names = methods.iter().map(|m| (m.name.as_str(), m.schema_name.as_str()));
        self.same_names(&declared.place, names);
        let stem = names::snake(&scope.stem.replace('-', "_"));
        Ok(Interface {
            docs: self.docs(id)?,
            main: declared.top && names::snake(&declared.schema_name) == stem,
            parameters: self.parameters(id),
            named: declared.named,
            trait_name: declared.own_name,
            async_name: declared.async_name,
            schema_name: declared.schema_name,
            parents,
            ancestors: Vec::new(), // They follow when all interfaces are known.
            methods,
        })
    }

    fn method(
        &mut self,
        scope: &mut Scope,
        interface: &Declared,
        ordinal: usize,
        method: method::Reader<'a>,
    ) -> Result<Option<Method>, Error> {
        let schema_name = method.get_name()?.to_str()?;
        let place = interface.place.method(schema_name);
        let Ok(ordinal16) = u16::try_from(ordinal) else { return Ok(None) };
        let annotations = method.get_annotations()?;
        let raw = marks::text(annotations, id::RAW_NAME)?.unwrap_or(schema_name);
        if self.options.raw && names::breaks_capnpc(raw) {
            self.report.add(&place, "capnpc cannot name this method", "another name");
        }
        let params_id = method.get_param_struct_type();
        let results_id = method.get_result_struct_type();
        let params = self.message(params_id, method.get_param_brand()?, "parameter", &place)?;
        let results = self.message(results_id, method.get_result_brand()?, "result", &place)?;
        let (Some(params), Some(results)) = (params, results) else { return Ok(None) };
        let (params, exceptions, mut results) =
            (params.message, results.exceptions, results.message);
        wanted(&params, &mut results);

        let kind = match (schema_name, params.fields.as_slice(), results.fields.as_slice()) {
            _ if !exceptions.is_empty() => Kind::Plain,
            ("construct", [], [])
                if params.thread_map.is_some() && results.thread_map.is_some() =>
            {
                Kind::Construct
            }
            ("destroy", [], []) => Kind::Destroy,
            _ => Kind::Plain,
        };
        let results_as = self.results_as(annotations, &results, &place)?;
        let name = self.name(annotations, schema_name, &place)?;
        let mut results_name = {
            let stem = names::stem(&interface.own_name);
            format!("{stem}{}Results", names::camel(&name))
        };
        if results.fields.len() > 1 {
            results_name = scope.claim(results_name);
        }
        Ok(Some(Method {
            ordinal: ordinal16,
            schema_name: schema_name.to_owned(),
            name: names::method(&name),
            docs: self.member_docs(interface.named.id, ordinal)?,
            kind,
            pipeline: pipeline(&results),
            streams: results_id == id::STREAM_RESULT,
            long: find(annotations, id::LONG_WAIT).is_some(),
            interrupt: None,
            borrowed: find(annotations, id::BORROWED).is_some(),
            versions: 1,
            collides: 0,
            older: Vec::new(),
            lacks: Vec::new(),
            checked: false,
            exceptions,
            results_name,
            results_as,
            params,
            results,
        }))
    }

    /// The Rust type in place of all results.
    fn results_as(
        &mut self,
        annotations: Annotations<'_>,
        results: &Message,
        place: &Place,
    ) -> Result<Option<(String, String)>, Error> {
        let Some(found) = self.rust_type(annotations, place)? else { return Ok(None) };
        let asked_for = |field: &Field| matches!(field.presence, Presence::Wanted(_));
        let (what, instead) = if results.fields.is_empty() {
            ("type on a method is for its results, and this one has none", "no type")
        } else if results.fields.iter().any(asked_for) {
            ("a result that the caller asks for has no place in another type", "no type")
        } else {
            return Ok(Some(found));
        };
        self.report.add(place, what, instead);
        Ok(None)
    }

    /// Fills in the methods that interrupt calls of other methods.
    fn interrupts(
        &mut self,
        place: &Place,
        body: node::interface::Reader<'_>,
        methods: &mut [Method],
    ) -> Result<(), Error> {
        for (ordinal, method) in (0..).zip(body.get_methods()?) {
            let Some(name) = marks::text(method.get_annotations()?, id::INTERRUPTED_BY)? else {
                continue;
            };
            let found = methods.iter().find(|other| other.schema_name == name);
            let other = found.filter(|other| other.params.fields.is_empty());
            let interrupt = other.map(|other| other.ordinal);
            if interrupt.is_none() {
                let place = place.method(method.get_name()?.to_str()?);
                let what = match found {
                    Some(_) => format!("{name} has parameters, so that it cannot end other calls"),
                    None => format!("{name} is no method of this interface"),
                };
                let instead = "the name, as in the schema, of one that has no parameters";
                self.report.add(&place, what, instead);
            }
            if let Some(method) = methods.iter_mut().find(|method| method.ordinal == ordinal) {
                method.interrupt = interrupt;
            }
        }
        Ok(())
    }
}

/// Makes a result `x` beside a parameter `wantX :Bool` an optional one.
fn wanted(params: &Message, results: &mut Message) {
    for param in params.fields.iter().filter(|param| matches!(param.ty, Type::Bool)) {
        let Some(wanted) = param.schema_name.strip_prefix("want") else { continue };
        for result in &mut results.fields {
            if names::camel(&result.schema_name) != wanted || result.presence != Presence::Always {
                continue;
            }
            match &mut result.ty {
                // An absent reference is null.
                Type::Interface(object) => object.nullable = true,
                Type::Capability(nullable) | Type::Descriptor(nullable) => *nullable = true,
                _ => result.presence = Presence::Wanted(param.name.clone()),
            }
        }
    }
}

/// The pointer to which calls are pipelined: the interface named `result`, or else the only
/// interface, or else the ThreadMap.
fn pipeline(results: &Message) -> u16 {
    let handle = |ty: &Type| matches!(ty, Type::Interface(object) if !object.shared);
    let handles: Vec<_> = results.fields.iter().filter(|field| handle(&field.ty)).collect();
    let named = handles.iter().find(|field| field.schema_name == "result");
    let slot = match (named, handles.as_slice()) {
        (Some(named), _) => named.slot,
        (None, [only]) => only.slot,
        (None, []) => results.thread_map.unwrap_or(0),
        (None, _) => 0,
    };
    u16::try_from(slot).unwrap_or(0)
}
