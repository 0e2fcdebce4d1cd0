//! The code that is printed for models made by hand. The tests that begin with schemas check that
//! the code compiles and runs.

use super::sample::*;
use super::{file, root};
use crate::generate::Options;
use crate::model::*;

fn int() -> Type {
    Type::Int(Int::I32)
}

fn of(name: &str) -> Type {
    Type::Struct(named(name), Vec::new())
}

fn with_interface(item: Interface, async_traits: bool) -> String {
    let mut sample = sample();
    sample.0.interfaces.push(item);
    sample.print(async_traits)
}

fn with_struct(item: Struct) -> String {
    let mut sample = sample();
    sample.0.structs.push(item);
    sample.print(false)
}

/// Asserts that the text has these lines one after the other, however far they are indented.
#[track_caller]
fn assert_has(text: &str, wanted: &str) {
    let trimmed = |text: &str| text.lines().map(str::trim).collect::<Vec<_>>().join("\n");
    assert!(trimmed(text).contains(&trimmed(wanted)), "not there:\n{wanted}\n\nin\n{text}");
}

#[test]
fn an_ordinary_interface_stays_short() {
    let methods = (1..=12).map(|ordinal| {
        let params = vec![field("name", 1, Type::Text), field("count", 0, int())];
        method(ordinal, &format!("method{ordinal}"), params, vec![field("result", 0, int())])
    });
    let all = std::iter::once(lifecycle(0, "destroy", Kind::Destroy)).chain(methods).collect();
    let text = with_interface(interface("Calc", all), false);
    assert!(text.lines().count() < 400, "{} lines", text.lines().count());
}

#[test]
fn a_table_says_how_a_method_travels() {
    let params = vec![field("cx", 1, Type::Text)];
    let echo = method(1, "echo", params, vec![field("result", 0, Type::Text)]);
    let echo = Method { long: true, interrupt: Some(2), pipeline: 1, ..echo };
    let text = with_interface(interface("Echo", vec![echo]), false);
    assert_has(
        &text,
        r#"params: rt::fields::<(rt::Text,)>(rt::Size(4, 12), &[(1, "cx")]),
        call: |object, (cx,)| object.echo(cx),
        results: rt::field::<rt::Text>(rt::Size(4, 8), &[(0, "result")]),"#,
    );
    assert_has(
        &text,
        ".context(0)
.pipeline(1)
.long()
.interrupted_by(2),",
    );
}

#[test]
fn a_table_never_hides_what_the_runtime_asks_for() {
    let methods = vec![method(0, "id", vec![], vec![]), method(1, "id_", vec![], vec![])];
    let text = with_interface(interface("Named", methods), false);
    assert_has(&text, "rt::call(&self.0, Self::ID__, ())");
    assert_has(&text, "rt::call(&self.0, Self::ID_, ())");
}

#[test]
fn exceptions_come_before_the_results() {
    let fails = method(0, "fails", vec![], vec![field("result", 0, int())]);
    let exceptions = vec![field("error", 1, of("Trouble")), field("other", 2, of("Worse"))];
    let text = with_interface(interface("Risk", vec![Method { exceptions, ..fails }]), false);
    assert_has(&text, r#"from.raised::<rt::Struct<Trouble>>(cx, 1, "error")?;"#);
    assert_has(
        &text,
        r#"|error| {
                rt::exception::<rt::Struct<Trouble>>(error, 1, "error")
                    .or_else(|| rt::exception::<rt::Struct<Worse>>(error, 2, "other"))
            },"#,
    );
    assert_has(&text, "/// It can fail with [`Trouble`] or [`Worse`]: see");
}

#[test]
fn exceptions_of_one_type_say_which_they_are() {
    let fails = method(0, "fails", vec![], vec![]);
    let exceptions = [("denied", "Trouble"), ("locked", "Trouble"), ("worse", "Worse")];
    let exceptions = (1..).zip(exceptions).map(|(slot, (name, ty))| field(name, slot, of(ty)));
    let exceptions = exceptions.collect();
    let text = with_interface(interface("Risk", vec![Method { exceptions, ..fails }]), false);
    assert_has(&text, r#"rt::exception_named::<rt::Struct<Trouble>>(error, 1, "denied")"#);
    assert_has(&text, r#"rt::exception_named::<rt::Struct<Trouble>>(error, 2, "locked")"#);
    assert_has(&text, r#"rt::exception::<rt::Struct<Worse>>(error, 3, "worse")"#);
    let docs = "/// It can fail with [`Trouble`] (as `denied`) or [`Trouble`] (as `locked`) or [`Worse`]: see \
                [`Error::raised_in`]";
    assert_has(&text, docs);
}

#[test]
fn what_was_not_asked_for_is_absent() {
    let wanted =
        |name| Field { presence: Presence::Wanted("want_x".to_owned()), ..field(name, 1, int()) };
    let look = method(0, "look", vec![field("wantX", 0, Type::Bool)], vec![wanted("x")]);
    let text = with_interface(interface("Seer", vec![look]), false);
    assert_has(&text, "if !want_x {\n*results = None;\n}");
    assert_has(&text, "if let Some(value) = result {\nto.set::<i32>(cx, 1, \"x\", value)?;\n}");
    assert_has(&text, r#"|cx, from| from.get::<i32>(cx, 1, "x").map(Some),"#);
}

#[test]
fn a_handle_has_what_its_ancestors_have() {
    let base = interface("Base", vec![method(0, "name", vec![], vec![])]);
    let mut middle = interface("Middle", vec![method(0, "weight", vec![], vec![])]);
    extend(&mut middle, &base);
    let mut top = interface("Top", vec![method(0, "height", vec![], vec![])]);
    extend(&mut top, &middle);
    let text = with_interface(top, true);
    assert_has(&text, "pub trait Top: Middle {");
    assert_has(&text, "BaseClient::from(self.clone()).name()");
    assert_has(&text, "impl Base for TopClient {\nfn name(&self) -> rt::Result<()> {");
    assert_has(&text, "impl From<TopClient> for BaseClient {");
    assert_has(
        &text,
        "(id, _) if <MiddleClient as rt::Interface>::extends(id) => {
            <MiddleClient as rt::Interface>::dispatch(call, object)",
    );
    assert_has(&text, "MiddleClient::dispatch_async(call, object)");
    assert_eq!(text.matches("::dispatch(call, object)").count(), 1, "the direct parent's only");
}

#[test]
fn one_method_can_be_a_function() {
    let log = || method(0, "log", vec![field("message", 1, Type::Text)], vec![]);
    let text = with_interface(interface("Function", vec![log()]), false);
    assert_has(&text, "struct Function_<F>(F);");
    let two = interface("Two", vec![log(), method(1, "other", vec![], vec![])]);
    assert!(!with_interface(two, false).contains("from_fn"));
}

#[test]
fn unions_keep_tags_that_they_do_not_know() {
    let members = vec![member("none", 0, Type::Void), member("some", 0, Type::Float64)];
    let body = Body::Union(Union { tag: 4, members, unknown: "Other".to_owned() });
    let item = Struct { default: Defaults::Written, ..structure("Maybe", body) };
    let text = with_struct(item);
    assert_has(&text, "#[default]\nNone,");
    assert_has(
        &text,
        r#"match from.tag(4) {
            0 => Ok(Self::None),
            1 => Ok(Self::Some(from.get::<f64>(cx, 0, "some")?)),
            tag => Ok(Self::Other(tag)),
        }"#,
    );
    assert_has(&text, "Self::None => to.set_tag(4, 0),");
    assert_has(&text, "Self::Other(tag) => to.set_tag(4, *tag),");
}

#[test]
fn fields_are_read_as_they_are_declared() {
    let five = Some(Value::Int(Int::I32, 5));
    let fields = vec![
        Field { default: five.clone(), ..field("a", 0, int()) },
        Field { presence: Presence::Flag(64), ..field("b", 1, int()) },
        Field { presence: Presence::Flag(65), default: five, ..field("c", 3, int()) },
        Field { presence: Presence::Null, boxed: true, ..field("d", 0, of("Node")) },
        field("e", 0, Type::Group(named("NodeE"), Vec::new())),
    ];
    let item = Struct { default: Defaults::Written, ..structure("Node", Body::Fields(fields)) };
    let text = with_struct(item);
    assert_has(
        &text,
        r#"a: from.get_or::<i32>(cx, 0, "a", 5)?,
            b: from.get::<rt::If<64, i32>>(cx, 1, "b")?,
            c: from.get_or::<rt::If<65, i32>>(cx, 3, "c", 5)?,
        d: from.get::<rt::Nullable<rt::Boxed<rt::Struct<Node>>>>(cx, 0, "d")?,
        e: from.group(cx, "e")?,"#,
    );
    assert_has(&text, "Self { a: 5, b: None, c: None, d: None, e: Default::default() }");
}

#[test]
fn secrets_are_not_shown() {
    let secret = Field { redacted: true, ..field("word", 1, Type::Text) };
    let fields = vec![field("user", 0, Type::Text), secret];
    let text = with_struct(structure("Login", Body::Fields(fields)));
    assert_has(&text, "#[derive(Clone, Default, PartialEq)]");
    assert_has(&text, r#".field("word", &format_args!("<redacted>"))"#);
}

#[test]
fn parameters_are_bound_where_handles_need_it() {
    let parameter = || Type::Parameter("T".to_owned());
    let generic = |item: Struct| Struct { parameters: vec!["T".to_owned()], ..item };
    let pair = structure("Pair", Body::Fields(vec![field("first", 0, parameter())]));
    let text = with_struct(generic(pair));
    assert_has(&text, "pub struct Pair<T> {");
    assert_has(&text, "impl<T: rt::Argument> rt::Message for Pair<T> {");
    assert_has(&text, r#"first: from.get::<T::Wire>(cx, 0, "first")?"#);
    let store = Object { arguments: vec![parameter()], ..object("Store") };
    let holder = structure("Holder", Body::Fields(vec![field("store", 0, Type::Interface(store))]));
    assert_has(&with_struct(generic(holder)), "pub struct Holder<T: rt::Argument> {");
}

#[test]
fn a_field_that_is_added_changes_no_signature() {
    let signatures = |fields: &[Field]| {
        let text = with_struct(structure("Growing", Body::Fields(fields.to_vec())));
        assert_has(&text, "#[non_exhaustive]\npub struct Growing {");
        let lines = text.lines().filter(|line| line.contains("pub fn "));
        lines.map(str::to_owned).collect::<Vec<_>>()
    };
    let object = Object { nullable: false, ..object("Store") };
    let required = Field { required: true, ..field("store", 0, Type::Interface(object)) };
    let before = [required, field("count", 0, int())];
    let after = [&before[..], &[field("name", 1, Type::Text)]].concat();
    let (before, after) = (signatures(&before), signatures(&after));
    assert_eq!(before[0].trim(), "pub fn new(store: StoreClient) -> Self {");
    assert_eq!(before, after[..before.len()]);
    assert_eq!(after.len(), before.len() + 1);
}

#[test]
fn exhaustive_types_have_no_setters() {
    let sample = || {
        let mut sample = sample();
        sample.0.structs.push(structure("Fixed", Body::Fields(vec![field("x", 0, int())])));
        sample
    };
    let schema = Schema { files: vec![sample().0], ..Schema::default() };
    let print = |exhaustive| {
        let options = Options { exhaustive, ..options() };
        file(&schema, &schema.files[0], &options).unwrap_or_else(|error| error.to_string())
    };
    assert!(print(false).contains("#[non_exhaustive]") && print(false).contains("fn x("));
    assert!(!print(true).contains("#[non_exhaustive]") && !print(true).contains("fn x("));
}

#[test]
fn constants_are_lazy_where_they_must_be() {
    let point = Value::Struct(named("Point"), vec![("x".to_owned(), Value::Int(Int::I32, 7))]);
    let constant =
        |name: &str, ty, value| Const { name: name.to_owned(), docs: String::new(), ty, value };
    let text = Value::Text("a".to_owned());
    let mut sample = sample();
    sample.0.consts = vec![
        constant("NAMES", list(list(Type::Text)), Value::List(vec![Value::List(vec![text])])),
        constant("POINT", of("Point"), point),
        constant("ORIGIN", of("Point"), Value::Struct(named("Point"), Vec::new())),
    ];
    let text = sample.print(false);
    assert_has(&text, r#"pub const NAMES: &[&[&str]] = &[&["a"]];"#);
    assert_has(&text, "LazyLock::new(|| Point {\nx: 7,\n..Default::default()\n});");
    assert_has(&text, "LazyLock::new(Default::default);");
}

#[test]
fn other_files_and_crates_are_named_by_path() {
    let elsewhere = |outside: Option<&str>| {
        let module = Module { name: "far".to_owned(), outside: outside.map(str::to_owned) };
        Type::Struct(Named { module, ..named("Far") }, Vec::new())
    };
    let fields = vec![field("a", 0, elsewhere(None)), field("b", 1, elsewhere(Some("::it::gen_")))];
    let text = with_struct(structure("Near", Body::Fields(fields)));
    assert_has(&text, "pub a: super::far::Far,");
    assert_has(&text, "pub b: ::it::gen_::far::Far,");
}

#[test]
fn the_root_lists_the_modules() {
    let schema = Schema { files: vec![sample().0], ..Schema::default() };
    let own = root(&schema, &options());
    assert_has(&own, "pub mod sample {\ninclude!(concat!(env!(\"OUT_DIR\"), \"/sample.rs\"));\n}");
    assert!(!own.contains("sample_capnp"));
    let all = Options { raw: true, raw_proxy: true, below_out_dir: None, ..options() };
    let checked_in = root(&schema, &all);
    assert_has(&checked_in, "#[rustfmt::skip]\npub mod sample;");
    assert_has(&checked_in, "#[rustfmt::skip]\npub mod sample_capnp;");
    assert_has(&checked_in, "#[rustfmt::skip]\npub mod proxy_capnp;");
    // Without a schema that imports it there is no such file.
    let without = Options { raw_proxy: false, ..all };
    assert!(!root(&schema, &without).contains("proxy_capnp"));
}

#[test]
fn what_the_parser_did_not_check_is_an_error() {
    let ty = Type::As { rust: "a b".to_owned(), codec: "c".to_owned(), wire: Box::new(int()) };
    let mut sample = sample();
    sample.0.structs.push(structure("Wrong", Body::Fields(vec![field("x", 0, ty)])));
    let schema = Schema { files: vec![sample.0], ..Schema::default() };
    assert!(file(&schema, &schema.files[0], &options()).is_err());
}
