//! Interfaces and their methods.

use capnp::schema_capnp::{method, node};

use super::declare::{Declared, Scope};
use super::{Parser, Place, id};
use crate::error::Error;
use crate::model::{Interface, Kind, Message, Method, Type};
use crate::names;

impl Parser<'_> {
    pub(super) fn interface(
        &mut self,
        scope: &mut Scope,
        declared: Declared,
        body: node::interface::Reader<'_>,
    ) -> Result<Interface, Error> {
        let id = declared.named.id;
        if !body.get_superclasses()?.is_empty() {
            let what = "an interface that extends another is not supported";
            self.report.add(&declared.place, what, Some("the methods themselves"));
        }
        let mut methods = Vec::new();
        for (ordinal, method) in body.get_methods()?.iter().enumerate() {
            if let Some(mapped) = self.method(scope, &declared, ordinal, method)? {
                methods.push((method.get_code_order(), mapped));
            }
        }
        methods.sort_by_key(|(order, _)| *order);
        let methods: Vec<Method> = methods.into_iter().map(|(_, method)| method).collect();
        self.same_names(&declared.place, methods.iter().map(|m| (&m.name, &m.schema_name)));
        Ok(Interface {
            docs: self.docs(id)?,
            main: names::snake(&declared.schema_name) == scope.stem.replace('-', "_"),
            named: declared.named,
            trait_name: declared.own_name,
            schema_name: declared.schema_name,
            methods,
        })
    }

    fn method(
        &mut self,
        scope: &mut Scope,
        interface: &Declared,
        ordinal: usize,
        method: method::Reader<'_>,
    ) -> Result<Option<Method>, Error> {
        let schema_name = method.get_name()?.to_str()?;
        let place = interface.place.method(schema_name);
        let Ok(ordinal16) = u16::try_from(ordinal) else { return Ok(None) };
        if names::breaks_capnpc(schema_name) {
            self.report.add(&place, "capnpc cannot name this method", Some("another name"));
        }
        let branded = |brand: capnp::Result<capnp::schema_capnp::brand::Reader<'_>>| {
            Ok::<_, Error>(!brand?.get_scopes()?.is_empty())
        };
        if !method.get_implicit_parameters()?.is_empty()
            || branded(method.get_param_brand())?
            || branded(method.get_result_brand())?
        {
            self.report.add(&place, "generic methods are not supported", Some("a method each"));
            return Ok(None);
        }
        if method.get_result_struct_type() == id::STREAM_RESULT {
            self.report.add(&place, "streaming methods are not supported", Some("-> ()"));
            return Ok(None);
        }
        let params_id = method.get_param_struct_type();
        let results_id = method.get_result_struct_type();
        let params =
            self.message(interface, "Params", "parameter", params_id, &place, schema_name)?;
        let results =
            self.message(interface, "Results", "result", results_id, &place, schema_name)?;
        let (Some(params), Some(results)) = (params, results) else { return Ok(None) };
        self.refuse_pairs(&params, &results, &place);

        let kind = match (schema_name, params.fields.as_slice(), results.fields.as_slice()) {
            ("construct", [], [])
                if params.thread_map.is_some() && results.thread_map.is_some() =>
            {
                Kind::Construct
            }
            ("destroy", [], []) => Kind::Destroy,
            _ => Kind::Plain,
        };
        let mut results_name =
            format!("{}{}Results", interface.own_name, names::camel(schema_name));
        if results.fields.len() > 1 {
            results_name = scope.claim(results_name);
        }
        Ok(Some(Method {
            id: ordinal16,
            schema_name: schema_name.to_owned(),
            name: names::method(schema_name),
            docs: self.member_docs(interface.named.id, ordinal)?,
            kind,
            result_pointer: self.result_pointer(results_id, &results)?,
            results_name,
            params,
            results,
        }))
    }

    /// What a parameter and a result mean together is the next step's.
    fn refuse_pairs(&mut self, params: &Message, results: &Message, place: &Place) {
        for param in &params.fields {
            let same = results.fields.iter().any(|result| result.schema_name == param.schema_name);
            if same {
                let place = place.field("parameter", &param.schema_name);
                let what = "a parameter that is a result too (in-out) is not supported";
                self.report.add(&place, what, Some("two names"));
            }
            let wanted = param.schema_name.strip_prefix("want").filter(|name| !name.is_empty());
            let wanted = wanted.filter(|_| matches!(param.ty, Type::Bool)).filter(|name| {
                results.fields.iter().any(|result| names::camel(&result.schema_name) == *name)
            });
            if wanted.is_some() {
                let place = place.field("parameter", &param.schema_name);
                let what = "asking for an output (wantX) is not supported";
                self.report.add(&place, what, Some("the output always"));
            }
        }
    }

    /// The pointer that calls are pipelined to: that of the interface named `result`, or else of
    /// the only interface there is.
    fn result_pointer(&self, results: u64, message: &Message) -> Result<u16, Error> {
        let handles = message.fields.iter().filter(|f| matches!(f.ty, Type::Interface { .. }));
        let handles: Vec<&str> = handles.map(|field| field.raw.as_str()).collect();
        let wanted = match handles.as_slice() {
            [] => message.thread_map.as_deref(),
            [only] => Some(*only),
            several => several.iter().copied().find(|name| *name == "result"),
        };
        let Some(wanted) = wanted else { return Ok(0) };
        self.pointer_of(results, wanted)
    }

    /// Reports names that are one in Rust.
    pub(super) fn same_names<'s>(
        &mut self,
        place: &Place,
        names: impl Iterator<Item = (&'s String, &'s String)>,
    ) {
        let mut seen = std::collections::HashMap::new();
        for (name, schema_name) in names {
            if let Some(other) = seen.insert(name, schema_name) {
                let what = format!("{other} and {schema_name} would both be {name} in Rust");
                self.report.add(place, what, Some("another name for one of them"));
            }
        }
    }
}
