//! The generator: arbitrary requests in place of the schema compiler's output, and random schemas,
//! which the compiler reads first.
//!
//! It generates code or returns an error, within the time and memory that the fuzzer allows.

#![no_main]

use std::fmt::Write;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use arbitrary::{Arbitrary, Result, Unstructured};
use libfuzzer_sys::fuzz_target;
use multiprocess_build::{Builder, Error};

/// The directory of this process, with the schema, the request and the generated code.
static PLACE: OnceLock<PathBuf> = OnceLock::new();
/// The installed schema compiler, if there is one: it is much faster than the embedded one.
static SYSTEM: OnceLock<Option<&Path>> = OnceLock::new();

fn prepare() {
    let place = std::env::temp_dir().join(format!("fuzz-generator-{}", std::process::id()));
    fs::create_dir_all(&place).expect("a directory");
    // A schema compiler that outputs the fuzzer's request.
    let program = place.join("says");
    fs::write(&program, "#!/bin/sh\nexec cat \"${0%/*}/request\"\n").expect("a program");
    fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).expect("a program");
    PLACE.set(place).expect("once");
    let installed = Command::new("capnp").arg("--version").output().is_ok();
    SYSTEM.set(installed.then_some(Path::new("capnp"))).expect("once");
}

/// Types that a schema has, by number.
const BUILT_IN: [&str; 16] = [
    "Void",
    "Bool",
    "Int8",
    "Int16",
    "Int32",
    "Int64",
    "UInt8",
    "UInt16",
    "UInt32",
    "UInt64",
    "Float32",
    "Float64",
    "Text",
    "Data",
    "AnyPointer",
    "Int32",
];
const NAMES: [&str; 12] = [
    "a", "value", "self", "type", "fn", "hasA", "wantA", "result", "context", "error", "dyn", "it",
];
const MARKS: [&str; 12] = [
    "$Rust.nullable",
    "$Rust.notNull",
    "$Rust.shared",
    "$Rust.hashMap",
    "$Rust.btreeMap",
    "$Rust.hashSet",
    "$Rust.btreeSet",
    "$Rust.name(\"b\")",
    "$Rust.type(\"u8\")",
    "$Proxy.count(0)",
    "$Proxy.count(2)",
    "$Proxy.exception(\"S0\")",
];

struct Text<'a, 'b> {
    data: &'a mut Unstructured<'b>,
    text: String,
    kinds: Vec<u8>,
}

impl Text<'_, '_> {
    fn one<'c>(&mut self, of: &[&'c str]) -> Result<&'c str> {
        self.data.choose(of).copied()
    }

    fn ty(&mut self, depth: u8) -> Result<String> {
        Ok(match self.data.int_in_range(0..=9)? {
            0 if depth < 4 => format!("List({})", self.ty(depth + 1)?),
            1..=4 if !self.kinds.is_empty() => {
                let place = self.data.choose_index(self.kinds.len())?;
                match self.kinds[place] {
                    0 => format!("S{place}"),
                    1 => format!("E{place}"),
                    2 => format!("I{place}"),
                    _ if depth < 4 => format!("G{place}({})", self.ty(depth + 1)?),
                    _ => format!("G{place}"),
                }
            }
            _ => self.one(&BUILT_IN)?.to_owned(),
        })
    }

    fn marks(&mut self) -> Result<String> {
        let mut marks = String::new();
        for _ in 0..self.data.int_in_range(0..=7)? / 6 {
            marks = format!("{marks} {}", self.one(&MARKS)?);
        }
        Ok(marks)
    }

    fn fields(&mut self, generic: bool) -> Result<()> {
        let mut number = 0;
        let mut union = false;
        while number < 12 && self.data.int_in_range(0..=3)? != 0 {
            if !union && self.data.ratio(1, 8)? {
                union = true;
                let name = if self.data.arbitrary()? { "" } else { "choice :" };
                let (a, b) = (self.ty(0)?, self.ty(0)?);
                let next = number + 1;
                let _ = writeln!(
                    self.text,
                    "  {name}union {{ one @{number} :{a}; two @{next} :{b}; }}"
                );
                number += 2;
                continue;
            }
            let ty = if generic && self.data.arbitrary()? { "T".to_owned() } else { self.ty(0)? };
            let (name, marks) = (self.one(&NAMES)?, self.marks()?);
            // Mostly with a unique number.
            let name =
                if self.data.ratio(9, 10)? { format!("{name}{number}") } else { name.to_owned() };
            let _ = writeln!(self.text, "  {name} @{number} :{ty}{marks};");
            number += 1;
        }
        Ok(())
    }

    fn params(&mut self) -> Result<String> {
        let mut params = Vec::new();
        if self.data.arbitrary()? {
            params.push("context :Proxy.Context".to_owned());
        }
        while params.len() < 5 && self.data.arbitrary()? {
            let name = self.one(&NAMES)?;
            let (ty, marks, number) = (self.ty(0)?, self.marks()?, params.len());
            params.push(format!("{name}{number} :{ty}{marks}"));
        }
        Ok(params.join(", "))
    }

    fn schema(&mut self) -> Result<()> {
        let head = "@0xf3a1c2d4e5b60718;\nusing Proxy = import \"/mp/proxy.capnp\";\n\
                    using Rust = import \"/rust-multiprocess.capnp\";\n";
        self.text.push_str(head);
        for _ in 0..self.data.int_in_range(1..=6)? {
            self.kinds.push(self.data.int_in_range(0..=3)?);
        }
        for (place, kind) in self.kinds.clone().into_iter().enumerate() {
            match kind {
                0 => {
                    let _ = writeln!(self.text, "struct S{place} {{");
                    self.fields(false)?;
                }
                1 => {
                    let _ = writeln!(self.text, "enum E{place} {{ a @0; b @1;");
                }
                2 => {
                    let before: Vec<_> = (0..place).filter(|at| self.kinds[*at] == 2).collect();
                    let _ = write!(self.text, "interface I{place} ");
                    if !before.is_empty() && self.data.arbitrary()? {
                        let _ = write!(self.text, "extends(I{}) ", self.data.choose(&before)?);
                    }
                    let _ = writeln!(self.text, "{{");
                    for method in 0..self.data.int_in_range(0..=4)? {
                        let (params, results) = (self.params()?, self.params()?);
                        let results = match self.data.ratio(1, 8)? {
                            true => "stream".to_owned(),
                            false => format!("({results})"),
                        };
                        let _ =
                            writeln!(self.text, "  m{method} @{method} ({params}) -> {results};");
                    }
                }
                _ => {
                    let _ = writeln!(self.text, "struct G{place}(T) {{");
                    self.fields(true)?;
                }
            }
            self.text.push_str("}\n");
        }
        Ok(())
    }
}

fn generate(place: &Path, program: Option<&Path>) -> std::result::Result<(), Error> {
    let builder = Builder::new().file(place.join("a.capnp")).import_path(env!("SCHEMA"));
    let builder = builder.async_traits(true).out_dir(place.join("out"));
    match program {
        Some(program) => builder.system_capnp(program).compile(),
        None => builder.compile(),
    }
}

fn run(data: &[u8]) -> Result<()> {
    let place = PLACE.get().expect("prepared");
    let mut data = Unstructured::new(data);
    if bool::arbitrary(&mut data)? {
        let mut text = Text { data: &mut data, text: String::new(), kinds: Vec::new() };
        text.schema()?;
        fs::write(place.join("a.capnp"), &text.text).expect("to write");
        match generate(place, SYSTEM.get().copied().flatten()) {
            Ok(()) | Err(Error::Unsupported(_) | Error::Compiler { .. }) => {}
            Err(error) => panic!("{error}\n{}", text.text),
        }
    } else {
        let request = data.take_rest();
        fs::write(place.join("a.capnp"), "@0xf3a1c2d4e5b60718;\n").expect("to write");
        fs::write(place.join("request"), request).expect("to write");
        // The result for an arbitrary request does not matter.
        let _ = generate(place, Some(&place.join("says")));
    }
    Ok(())
}

fuzz_target!(init: prepare(), |data: &[u8]| {
    let _ = run(data);
});
