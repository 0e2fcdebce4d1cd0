//! How the parameters and the results of a method are written and read: as a list of fields where
//! they are plain, by functions of their own where they are not.

use proc_macro2::{Literal, TokenStream};
use quote::quote;

use super::fields::{Names, Source, Write, block};
use super::lineage::Lineage;
use super::method::{locals, raised, size};
use super::{Context, Locals, ident, tokens, tuple, used};
use crate::model::{Field, Method, Presence, Type};

/// How many fields the runtime's tuples have at most.
const MOST: usize = 8;

/// The parameters or results in the present or an older version: for each field of the present
/// method the field there, or none.
pub(super) struct Form<'a> {
    pub size: (u16, u16),
    pub thread_map: Option<u32>,
    pub fields: Vec<Option<&'a Field>>,
    /// For each field the versions with this form that lack it; empty if none does.
    pub lacks: Vec<u32>,
}

/// The parameters.
pub(super) fn params(lineage: &Lineage<'_>, method: &Method) -> TokenStream {
    let form = Form { lacks: method.lacks.clone(), ..form(&method.params) };
    let params = params_form(lineage, method, &form);
    // Plain fields show themselves.
    let show = are_plain(&form).is_none().then(|| show_params(lineage, method)).flatten();
    quote!(#params #show)
}

/// The results.
pub(super) fn results(lineage: &Lineage<'_>, method: &Method) -> TokenStream {
    results_form(lineage, method, &form(&method.results), &method.exceptions)
}

fn form(message: &crate::model::Message) -> Form<'_> {
    let (size, thread_map) = (message.size, message.thread_map);
    let fields = message.fields.iter().map(Some).collect();
    Form { size, thread_map, fields, lacks: Vec::new() }
}

pub(super) fn params_form(lineage: &Lineage<'_>, method: &Method, form: &Form<'_>) -> TokenStream {
    let size = size(form.size);
    if let Some(fields) = are_plain(form) {
        let wires: Vec<_> = fields.iter().map(|field| lineage.cx.field_wire(field)).collect();
        let (wires, slots) = (tuple(&wires), slots(&fields));
        return quote!(rt::fields::<#wires>(#size, #slots));
    }
    let write = write_params(lineage, method, form);
    // Unless older peers are served, an older form that lacks a field is only called, so its parameters are not
    // read.
    let read = match lineage.cx.serves_older || form.fields.iter().all(Option::is_some) {
        true => read_params(lineage, method, form),
        false => quote!(rt::unread),
    };
    quote!(rt::code(#size, #write, #read))
}

/// The parameters, if the runtime writes, reads and shows them by their slots alone.
fn are_plain<'a>(form: &Form<'a>) -> Option<Vec<&'a Field>> {
    let few = |fields: &Vec<&Field>| fields.len() <= MOST;
    let checked = |(field, lacks): (&&Field, &u32)| *lacks != 0 && !field.may_be_lost;
    plain(form)
        .filter(few)
        .filter(|fields| fields.iter().all(|field| !field.redacted))
        .filter(|fields| !fields.iter().zip(&form.lacks).any(checked))
}

/// The function that shows the parameters in the log.
fn show_params(lineage: &Lineage<'_>, method: &Method) -> Option<TokenStream> {
    let locals = locals(method);
    let to = locals.get("to");
    let shown = method.params.fields.iter().map(|field| {
        let (name, shown) = (ident(&field.name), &field.schema_name);
        if field.redacted {
            return (quote!(_), quote!(#to.redacted(#shown)));
        }
        let wire = lineage.cx.field_wire(field);
        (quote!(#name), quote!(#to.field::<#wire>(#shown, #name)))
    });
    let (names, mut lines): (Vec<_>, Vec<_>) = shown.unzip();
    let last = lines.pop()?;
    let body = quote!(#(#lines?;)* #last);
    let closure = closure(&[tuple(&names), quote!(#to)], &body);
    Some(quote!(.shown(#closure)))
}

pub(super) fn results_form(
    lineage: &Lineage<'_>,
    method: &Method,
    form: &Form<'_>,
    exceptions: &[Field],
) -> TokenStream {
    if method.streams {
        return quote!(rt::streamed());
    }
    let size = size(form.size);
    let convert = method.results_as.is_some();
    match plain(form).filter(|_| exceptions.is_empty() && !convert).as_deref() {
        Some([]) => return quote!(rt::fields::<()>(#size, &[])),
        Some([field]) => {
            let (wire, slots) = (lineage.cx.field_wire(field), slots(&[field]));
            return quote!(rt::field::<#wire>(#size, #slots));
        }
        _ => {}
    }
    let write = write_results(lineage, method, form);
    let read = read_results(lineage, method, form, exceptions);
    match exception(lineage, exceptions) {
        Some(exception) => quote!(rt::raising(#size, #write, #read, #exception)),
        None => quote!(rt::code(#size, #write, #read)),
    }
}

/// The function that turns an error of the object into one of the exceptions that the schema
/// declares.
fn exception(lineage: &Lineage<'_>, exceptions: &[Field]) -> Option<TokenStream> {
    let type_of = |field: &Field| lineage.cx.ty(&field.ty).to_string();
    let open = |field: &Field| matches!(field.ty, Type::Parameter(_));
    let several = |field: &Field| {
        let others = exceptions.iter().filter(|other| other.slot != field.slot);
        // A type argument can be the other's type.
        let same = |other: &Field| open(field) || open(other) || type_of(other) == type_of(field);
        others.into_iter().any(same)
    };
    let mut exceptions = exceptions.iter().map(|field| {
        let (wire, slot, name) = raised(lineage, field);
        match several(field) {
            true => quote!(rt::exception_named::<#wire>(error, #slot, #name)),
            false => quote!(rt::exception::<#wire>(error, #slot, #name)),
        }
    });
    let first = exceptions.next()?;
    Some(quote!(|error| #first #(.or_else(|| #exceptions))*))
}

/// The fields, if each can be read and written by its slot alone.
fn plain<'a>(form: &Form<'a>) -> Option<Vec<&'a Field>> {
    let simple = |field: &&Field| {
        !matches!(field.presence, Presence::Wanted(_))
            && (field.default.is_none() || field.presence == Presence::Null)
            && !matches!(field.ty, Type::Group(..))
    };
    let fields: Option<Vec<&Field>> = form.fields.iter().copied().collect();
    fields.filter(|fields| form.thread_map.is_none() && fields.iter().all(simple))
}

fn slots(fields: &[&Field]) -> TokenStream {
    let slots = fields.iter().map(|field| {
        let (slot, name) = (Literal::u32_unsuffixed(field.slot), &field.schema_name);
        quote!((#slot, #name))
    });
    quote!(&[#(#slots),*])
}

/// A closure: its body without braces where it is an expression.
fn closure(params: &[TokenStream], body: &TokenStream) -> TokenStream {
    match syn::parse2::<syn::Expr>(body.clone()) {
        Ok(_) => quote!(|#(#params),*| #body),
        Err(_) => quote!(|#(#params),*| { #body }),
    }
}

/// Writes the ThreadMap, which the runtime supplies.
fn write_silent(form: &Form<'_>, names: &Names) -> Option<TokenStream> {
    let (cx, to) = (&names.cx, &names.to);
    let slot = form.thread_map.map(Literal::u32_unsuffixed);
    slot.map(|slot| quote!(#cx.thread_map(#to, #slot);))
}

fn read_silent(form: &Form<'_>, names: &Names) -> Option<Write> {
    let (cx, from) = (&names.cx, &names.from);
    let slot = form.thread_map.map(Literal::u32_unsuffixed);
    slot.map(|slot| Write::Result(quote!(#cx.thread_map(#from, #slot))))
}

fn write_params(lineage: &Lineage<'_>, method: &Method, form: &Form<'_>) -> TokenStream {
    let names = Names::new(&locals(method));
    let silent = write_silent(form, &names);
    let own = || method.params.fields.iter().zip(&form.fields);
    let fields = block(
        own()
            .enumerate()
            .flat_map(|(index, (own, field))| {
                let source = Source::Variable(ident(&own.name));
                let lacks = match field {
                    Some(_) => form.lacks.get(index).copied().unwrap_or(0),
                    None => u32::MAX, // Whoever has this form lacks it.
                };
                let lacks = lineage.cx.lacks(own, lacks, &source, &names);
                [lacks, field.map(|field| lineage.cx.write(field, &source, &names))]
            })
            .flatten(),
    );
    let body = quote!(#silent #fields);
    let pattern: Vec<_> = own().map(|(own, _)| used(&ident(&own.name), &body)).collect();
    closure(&[used(&names.cx, &body), used(&names.to, &body), tuple(&pattern)], &body)
}

fn read_params(lineage: &Lineage<'_>, method: &Method, form: &Form<'_>) -> TokenStream {
    let names = Names::new(&Locals::new([]));
    let mut steps: Vec<_> = read_silent(form, &names).into_iter().collect();
    if !form.fields.is_empty() {
        let fields = form.fields.iter().zip(&method.params.fields);
        let values: Vec<_> =
            fields.map(|(field, own)| value(&lineage.cx, *field, Some(own), &names)).collect();
        let values = tuple(&values);
        steps.push(Write::Result(quote!(Ok(#values))));
    }
    let body = block(steps);
    closure(&[used(&names.cx, &body), used(&names.from, &body)], &body)
}

/// The value that was read. If the older version does not have the field, this is the default of the
/// present field, or else of its type.
pub(super) fn value(
    cx: &Context<'_>,
    field: Option<&Field>,
    own: Option<&Field>,
    names: &Names,
) -> TokenStream {
    match (field, own) {
        (Some(field), _) => cx.read(field, names).value(),
        (None, Some(own)) if own.default.is_some() => cx.field_default(own),
        (None, _) => quote!(Default::default()),
    }
}

fn write_results(lineage: &Lineage<'_>, method: &Method, form: &Form<'_>) -> TokenStream {
    let names = Names::new(&Locals::new([]));
    let own = &method.results.fields;
    let silent = write_silent(form, &names);
    let written = own.iter().zip(&form.fields).filter_map(|(own_field, field)| {
        let source = match own.len() {
            1 => Source::Variable(ident("result")),
            _ => {
                let name = ident(&own_field.name);
                Source::Place(quote!(results.#name))
            }
        };
        Some(lineage.cx.write((*field)?, &source, &names))
    });
    let written = block(written);
    let encode = encode_results(method);
    let body = quote!(#silent #encode #written);
    let pattern = match own.len() {
        0 => quote!(()),
        1 => used(&ident("result"), &body),
        _ => used(&ident("results"), &body),
    };
    closure(&[used(&names.cx, &body), used(&names.to, &body), pattern], &body)
}

fn read_results(
    lineage: &Lineage<'_>,
    method: &Method,
    form: &Form<'_>,
    exceptions: &[Field],
) -> TokenStream {
    let names = Names::new(&Locals::new([]));
    let (decoder, from) = (&names.cx, &names.from);
    let mut steps: Vec<_> = exceptions
        .iter()
        .map(|field| {
            let (wire, slot, name) = raised(lineage, field);
            Write::Result(quote!(#from.raised::<#wire>(#decoder, #slot, #name)))
        })
        .collect();
    steps.extend(read_silent(form, &names));
    match form.fields.as_slice() {
        [] => {}
        [Some(field)] => {
            let read = lineage.cx.read(field, &names).result();
            let decode = decode_results(method)
                .map(|decode| quote!(.and_then(|result| #decode("", result))));
            steps.push(Write::Result(quote!(#read #decode)));
        }
        [None] => {
            let value = value(&lineage.cx, None, method.results.fields.first(), &names);
            steps.push(Write::Result(made(method, &value)));
        }
        fields => {
            let name = ident(&method.results_name);
            let values = method.results.fields.iter().zip(fields).map(|(own, field)| {
                let (name, value) =
                    (ident(&own.name), value(&lineage.cx, *field, Some(own), &names));
                quote!(#name: #value)
            });
            steps.push(Write::Result(made(method, &quote!(#name { #(#values),* }))));
        }
    }
    let body = block(steps);
    closure(&[used(decoder, &body), used(from, &body)], &body)
}

/// The results that were read, as what the method returns.
fn made(method: &Method, results: &TokenStream) -> TokenStream {
    match decode_results(method) {
        Some(decode) => quote!(#decode("", #results)),
        None => quote!(Ok(#results)),
    }
}

/// The function that makes the author's type of the results.
fn decode_results(method: &Method) -> Option<TokenStream> {
    let (rust, codec) = method.results_as.as_ref()?;
    let (rust, codec) = (tokens(rust), tokens(codec));
    Some(quote!(rt::decoded::<#rust, #codec>))
}

/// Makes the results of the author's type.
fn encode_results(method: &Method) -> Option<TokenStream> {
    let (rust, codec) = method.results_as.as_ref()?;
    let (rust, codec) = (tokens(rust), tokens(codec));
    let name = ident(if method.results.fields.len() == 1 { "result" } else { "results" });
    Some(quote!(let #name = &rt::encoded::<#rust, #codec>(#name)?;))
}
