//! Defaults in the schema, absent values, and the output of Debug.

use multiprocess_everything::generated::types::{
    Color, Defaults, DefaultsInner, Nullables, Optionals, Point, Scalars, Secret, SecretToken,
    Weather,
};
use multiprocess_everything::generated::unions::{
    Account, AccountKind, AccountState, Chosen, Event, EventWhich, Grouped, Shape, ShapeRectangle,
};
use multiprocess_everything::pair::pair;
use multiprocess_everything::samples;

#[test]
fn of_scalars_and_pointers() {
    let defaults = Defaults::default();
    assert!(defaults.flag);
    assert_eq!((defaults.int8, defaults.int16, defaults.int32), (-128, -2, -3));
    assert_eq!((defaults.int64, defaults.uint64), (i64::MIN, u64::MAX));
    assert_eq!((defaults.uint8, defaults.uint16, defaults.uint32), (255, 6, 7));
    assert_eq!((defaults.float32, defaults.float64), (-1.5, f64::INFINITY));
    assert_eq!(defaults.text, "a \"quoted\"\n{text}");
    assert_eq!(defaults.data, [0, 255, 0x7f]);
    assert_eq!(defaults.color, Color::Blue);
    assert_eq!(defaults.numbers, [1, -2, 3]);
    assert_eq!(defaults.texts, ["one", "two"]);
    assert_eq!(defaults.flags, [true, false, true]);
    assert_eq!(defaults.point, Point { x: 17, y: 0 });
    assert_eq!(defaults.points, [Point { x: 1, y: 2 }, Point { x: 0, y: 4 }]);
    assert_eq!(defaults.nested, [vec![1], vec![], vec![2, 3]]);
    assert_eq!(defaults.inner, DefaultsInner { label: "given".to_owned(), amount: 41 });
    assert_eq!(defaults.colors, [Color::Blue, Color::Red]);
    assert_eq!(DefaultsInner::default().label, "own");
}

#[test]
fn of_unions_and_groups() {
    assert_eq!(Shape::default(), Shape::Nothing);
    let event = Event::default();
    assert_eq!(event.which_, EventWhich::Started);
    let account = Account::default();
    assert_eq!(account.state, AccountState::Open);
    // The member with the lowest ordinal, wherever it is declared.
    assert_eq!(account.kind, AccountKind::Company(String::new()));
    let chosen = Chosen::default();
    assert_eq!(chosen.shape, Shape::Label("chosen".to_owned()));
    assert_eq!(chosen.event.id, 7);
    assert_eq!(chosen.event.which_, EventWhich::Moved(Point { x: 1, y: 2 }));
    let rectangle = Shape::Rectangle(ShapeRectangle { width: 1.0, height: 2.0 });
    assert_eq!(chosen.shapes, [Shape::Circle(0.5), Shape::Nothing, rectangle]);
    let grouped = Grouped::default();
    assert_eq!((grouped.position.x, grouped.position.limits.high), (3, 1.5));
}

#[test]
fn the_zero_of_each_type_travels_where_the_default_is_another() {
    let (_server, pair) = pair().unwrap();
    let zero = Defaults {
        flag: false,
        int8: 0,
        int16: 0,
        int32: 0,
        int64: 0,
        uint8: 0,
        uint16: 0,
        uint32: 0,
        uint64: 0,
        float32: 0.0,
        float64: 0.0,
        text: String::new(),
        data: Vec::new(),
        color: Color::Red,
        numbers: Vec::new(),
        texts: Vec::new(),
        flags: Vec::new(),
        point: Point::default(),
        points: Vec::new(),
        nested: Vec::new(),
        inner: DefaultsInner { label: String::new(), amount: 0 },
        colors: Vec::new(),
    };
    assert_eq!(pair.object.defaults(zero.clone()).wait().unwrap(), zero);
    let chosen = Chosen { shape: Shape::Nothing, event: Event::default(), shapes: Vec::new() };
    assert_eq!(pair.object.chosen(chosen.clone()).wait().unwrap(), chosen);
}

#[test]
fn of_parameters_and_results() {
    let (_server, pair) = pair().unwrap();
    let zero = Point::default();
    let back = pair.object.with_defaults(0, "", zero.clone(), vec![], Color::Red).wait().unwrap();
    assert_eq!((back.number, back.text.as_str(), back.point), (0, "", zero));
    assert_eq!((back.numbers.len(), back.color), (0, Color::Red));
    let seven = Point { x: 7, y: 0 };
    let back = pair.object.with_defaults(7, "seven", seven.clone(), vec![7, 7], Color::Blue);
    let back = back.wait().unwrap();
    assert_eq!((back.number, back.text.as_str(), back.point), (7, "seven", seven));
    assert_eq!((back.numbers, back.color), (vec![7, 7], Color::Blue));
}

#[test]
fn absent_and_empty_are_two_things() {
    let (_server, pair) = pair().unwrap();
    let none = Nullables::default();
    assert_eq!((&none.point, &none.text, &none.list, &none.table), (&None, &None, &None, &None));
    assert_eq!(pair.object.nullables(none.clone()).wait().unwrap(), none);
    let some = samples::nullables();
    assert_eq!(some.text.as_deref(), Some(""));
    assert_eq!(pair.object.nullables(some.clone()).wait().unwrap(), some);
    let none = Optionals::default();
    assert_eq!((none.number, none.flag, &none.point), (None, None, &None));
    assert_eq!(pair.object.optionals(none.clone()).wait().unwrap(), none);
    let some = samples::optionals();
    assert_eq!((some.number, some.flag), (Some(0), Some(false)));
    assert_eq!(pair.object.optionals(some.clone()).wait().unwrap(), some);
}

#[test]
fn enums_keep_numbers_that_the_schema_does_not_name() {
    let (_server, pair) = pair().unwrap();
    let scalars = Scalars {
        color: Color::Unknown(3),
        weather: Weather::UnknownValue(u16::MAX),
        ..Scalars::default()
    };
    let back = pair.object.scalars(scalars).wait().unwrap();
    assert_eq!((back.color, back.weather), (Color::Unknown(3), Weather::UnknownValue(u16::MAX)));
    assert_eq!(u16::from(back.color), 3);
    assert_eq!(Weather::from(0), Weather::Unknown);
    assert_eq!(Weather::from(2), Weather::Wet);
    assert_eq!(Color::from(1), Color::Green);
}

#[test]
fn debug_does_not_show_secrets() {
    let secret = samples::secret();
    let shown = format!("{secret:?} {secret:#?}");
    assert!(shown.contains("someone"), "{shown}");
    assert!(shown.contains("<redacted>"), "{shown}");
    for hidden in ["hunter2", "222", "0xde", "173"] {
        assert!(!shown.contains(hidden), "{shown}");
    }
    let plain = Secret { token: SecretToken::None, ..secret };
    assert!(format!("{plain:?}").contains("None"), "{plain:?}");
}
