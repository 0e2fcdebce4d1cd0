//! An interface together with those that it extends, as the printed code refers to them.

use proc_macro2::{Ident, TokenStream};
use quote::quote;

use super::types::{bounded, listed, names};
use super::{Context, docs, fresh, ident, tokens};
use crate::model::{Ancestor, Extended, Field, Interface, Kind, Method, Named, Presence, Type};

/// One interface with what its printed code refers to.
pub(super) struct Lineage<'a> {
    pub cx: Context<'a>,
    pub interface: &'a Interface,
    /// The interface itself.
    pub own: Owner<'a>,
    /// The interfaces that it extends directly.
    pub parents: Vec<Owner<'a>>,
    /// All interfaces that it extends, at any depth, each once.
    pub ancestors: Vec<Owner<'a>>,
}

/// An interface that has methods to offer to the handle: itself, or one that it extends.
pub(super) struct Owner<'a> {
    cx: Context<'a>,
    /// Names the handle.
    named: &'a Named,
    trait_name: &'a str,
    async_name: &'a str,
    /// Its name in the schema, as far as that is known here.
    pub display: &'a str,
    arguments: Vec<Type>,
    /// Its own plain methods. Empty in `parents`: the same interfaces are in `ancestors`, with
    /// their methods.
    pub methods: Vec<&'a Method>,
}

/// A construct or destroy method with the interface that declares it.
pub(super) struct Lifecycle<'a> {
    pub interface: u64,
    /// `Interface.method`.
    pub path: String,
    pub method: &'a Method,
}

impl<'a> Lineage<'a> {
    pub(super) fn new(cx: &Context<'a>, interface: &'a Interface) -> Self {
        let own = Owner {
            cx: *cx,
            named: &interface.named,
            trait_name: &interface.trait_name,
            async_name: &interface.async_name,
            display: &interface.schema_name,
            arguments: interface.parameters.iter().cloned().map(Type::Parameter).collect(),
            methods: interface.plain().collect(),
        };
        let parents = interface.parents.iter().map(|parent| Owner::extended(cx, parent)).collect();
        let ancestors =
            interface.ancestors.iter().map(|found| Owner::ancestor(cx, found)).collect();
        Self { cx: *cx, interface, own, parents, ancestors }
    }

    /// `<T: rt::Argument, more>`, or nothing.
    pub(super) fn generics(&self, more: Option<TokenStream>) -> TokenStream {
        bounded(&self.interface.parameters, &quote!(rt::Argument), more)
    }

    /// `<T>`, or nothing.
    pub(super) fn arguments(&self) -> TokenStream {
        listed(&self.interface.parameters)
    }

    /// A type parameter's name that neither the interface's methods nor its parameters use.
    pub(super) fn parameter(&self, name: &str) -> Ident {
        let mut mentioned = self.arguments();
        for owner in std::iter::once(&self.own).chain(&self.ancestors) {
            mentioned.extend(owner.object());
            mentioned.extend(owner.methods.iter().map(|method| owner.signature(method)));
        }
        fresh(name, &mentioned)
    }

    /// The method of `kind`, its own or inherited.
    pub(super) fn lifecycle(&self, kind: Kind) -> Option<Lifecycle<'a>> {
        let interface = self.interface;
        let own = (interface.named.id, &interface.schema_name, &interface.methods);
        let inherited = interface
            .ancestors
            .iter()
            .map(|ancestor| (ancestor.extended.named.id, &ancestor.schema_name, &ancestor.methods));
        std::iter::once(own).chain(inherited).find_map(|(interface, schema_name, methods)| {
            let method = methods.iter().find(|method| method.kind == kind)?;
            let path = format!("{schema_name}.{}", method.schema_name);
            Some(Lifecycle { interface, path, method })
        })
    }

    /// The ids of the interfaces that it extends, at any depth.
    pub(super) fn ancestor_ids(&self) -> impl Iterator<Item = u64> {
        self.ancestors.iter().map(|ancestor| ancestor.named.id)
    }
}

impl<'a> Owner<'a> {
    fn extended(cx: &Context<'a>, extended: &'a Extended) -> Self {
        Owner {
            cx: *cx,
            named: &extended.named,
            trait_name: &extended.trait_name,
            async_name: &extended.async_name,
            display: &extended.trait_name,
            arguments: extended.arguments.clone(),
            methods: Vec::new(),
        }
    }

    fn ancestor(cx: &Context<'a>, ancestor: &'a Ancestor) -> Self {
        let plain = ancestor.methods.iter().filter(|method| method.kind == Kind::Plain);
        Owner { methods: plain.collect(), ..Self::extended(cx, &ancestor.extended) }
    }

    /// The trait.
    pub(super) fn object(&self) -> TokenStream {
        self.named(self.trait_name)
    }

    /// The trait whose methods are futures.
    pub(super) fn future(&self) -> TokenStream {
        self.named(self.async_name)
    }

    /// The handle, as a type.
    pub(super) fn handle(&self) -> TokenStream {
        self.named(&self.named.name)
    }

    /// The handle, in an expression.
    pub(super) fn handle_path(&self) -> TokenStream {
        let name = self.cx.named(self.named);
        let arguments = self.cx.arguments(&self.arguments);
        if self.arguments.is_empty() { name } else { quote!(#name::#arguments) }
    }

    /// Whether the handle's fields can be seen where the code is printed.
    pub(super) fn is_here(&self) -> bool {
        self.named.module == *self.cx.module
    }

    /// Whether another crate has its code.
    pub(super) fn is_outside(&self) -> bool {
        self.named.module.outside.is_some()
    }

    /// Whether its methods have the types of the schema, with no type arguments filled in.
    pub(super) fn is_open(&self) -> bool {
        self.arguments.iter().all(|argument| matches!(argument, Type::Parameter(_)))
    }

    fn named(&self, name: &str) -> TokenStream {
        let name = self.cx.path(&self.named.module, name);
        let arguments = self.cx.arguments(&self.arguments);
        quote!(#name #arguments)
    }

    /// What a method returns, besides the Result or Call around it.
    pub(super) fn returns(&self, method: &Method) -> TokenStream {
        if let Some((rust, _)) = &method.results_as {
            return tokens(rust);
        }
        match method.results.fields.as_slice() {
            [] => quote!(()),
            [field] => self.cx.field_type(field),
            _ => {
                let name = self.cx.path(&self.named.module, &method.results_name);
                let arguments = self.cx.arguments(&self.results_arguments(method));
                quote!(#name #arguments)
            }
        }
    }

    /// The struct of several results has those type parameters that its fields name.
    fn results_arguments(&self, method: &Method) -> Vec<Type> {
        let interfaces = self.cx.schema.files.iter().flat_map(|file| &file.interfaces);
        let declared = interfaces.filter(|item| item.named.id == self.named.id).find_map(|item| {
            let same = |declared: &&Method| {
                (declared.ordinal, &declared.schema_name) == (method.ordinal, &method.schema_name)
                    && declared.versions == method.versions
            };
            let declared = item.plain().find(same)?;
            Some(results_parameters(item, declared))
        });
        // For an interface of another crate, all type parameters are assumed to be used.
        let used = |index: usize| declared.as_ref().is_none_or(|used| used[index]);
        let arguments = self.arguments.iter().enumerate();
        arguments.filter(|(index, _)| used(*index)).map(|(_, ty)| ty.clone()).collect()
    }

    /// `a: A, b: B`.
    pub(super) fn params(&self, method: &Method) -> Vec<TokenStream> {
        let params = method.params.fields.iter().map(|field| {
            let (name, ty) = (ident(&field.name), self.cx.field_type(field));
            quote!(#name: #ty)
        });
        params.collect()
    }

    /// The same for a method that borrows its parameters.
    fn borrowed_params(&self, method: &Method) -> Vec<TokenStream> {
        let params = method.params.fields.iter().map(|field| {
            let (name, ty) = (ident(&field.name), self.cx.borrowed_type(field, &quote!('_)));
            quote!(#name: #ty)
        });
        params.collect()
    }

    /// The trait's method, without a body.
    pub(super) fn signature(&self, method: &Method) -> TokenStream {
        let name = ident(&method.name);
        let params =
            if method.borrowed { self.borrowed_params(method) } else { self.params(method) };
        let returns = self.returns(method);
        quote!(fn #name(&self #(, #params)*) -> rt::Result<#returns>)
    }

    pub(super) fn docs(&self, method: &Method) -> TokenStream {
        let otherwise = || format!("The method `{}` of `{}`.", method.schema_name, self.display);
        if method.only_exchanges_threads() {
            let text = "It gives the two sides each other's threads: called once, before methods with a \
                        `context`. An object can leave it out.";
            return docs::with(&method.docs, otherwise, text);
        }
        let exceptions = method.exceptions.iter();
        let links =
            exceptions.filter_map(|field| Some((self.cx.link(field.ty.held_struct()?), field)));
        let links: Vec<(String, &Field)> = links.collect();
        if links.is_empty() {
            return docs::attributes(&method.docs, otherwise);
        }
        let same = |link: &str| links.iter().filter(|(other, _)| other == link).count() > 1;
        let several = links.iter().any(|(link, _)| same(link));
        let shown = links.iter().map(|(link, field)| match same(link) {
            true => format!("{link} (as `{}`)", field.schema_name),
            false => link.clone(),
        });
        let shown = shown.collect::<Vec<_>>().join(" or ");
        let see = if several { "raised_in" } else { "raised_as" };
        let text = format!(
            "It can fail with {shown}: see [`Error::{see}`](::multiprocess::Error::{see})."
        );
        docs::with(&method.docs, otherwise, &text)
    }
}

/// Which of the interface's type parameters the struct of the method's results has.
pub(super) fn results_parameters(interface: &Interface, method: &Method) -> Vec<bool> {
    let fields = &method.results.fields;
    let named = |parameter: &String| fields.iter().any(|field| names(&field.ty, parameter));
    interface.parameters.iter().map(named).collect()
}

/// The results of the method that are present only if asked for, each with the parameter that asks
/// for it.
pub(super) fn wanted(method: &Method) -> impl Iterator<Item = (&str, Ident)> {
    method.results.fields.iter().filter_map(|field| match &field.presence {
        Presence::Wanted(by) => Some((field.name.as_str(), ident(by))),
        _ => None,
    })
}
