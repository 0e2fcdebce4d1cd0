//! Arbitrary bytes as one message: it can be read, and what is read is at most a few times as large
//! as the bytes.

#![no_main]

use capnp_engine::{Engine, Failure, Heap, Incoming, Limits, MessageView, reader_options};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    // Aligned to words, like received messages.
    let mut words = capnp::Word::allocate_zeroed_vec(data.len() / 8);
    let bytes = capnp::Word::words_to_bytes_mut(&mut words);
    let length = bytes.len();
    bytes.copy_from_slice(&data[..length]);

    let view = MessageView::new(bytes);
    assert_eq!(view.keep().bytes(), &data[..length]);
    let _ = view.parse(reader_options(view.len()));
    let Ok(segments) = view.segments() else { return };
    let message = Incoming::new(view, &segments);
    if let Ok(content) = message.content() {
        let _ = content.target_size();
        let _ = content.get_as::<capnp::text::Reader<'_>>();
        let _ = content.get_as::<capnp::any_pointer_list::Reader<'_>>();
    }
    let mut engine = Engine::new(&Heap, Limits::default());
    let object = engine.object(1);
    engine.set_bootstrap(object);
    let _ = engine.receive(&message);
    let mut written = 0;
    while let Some(effect) = engine.next_effect() {
        if let capnp_engine::Effect::Write(message) = effect {
            written += message.size_in_words();
        }
    }
    assert!(written <= 16 * (data.len() / 8) + 1024, "{written} words in return");
    engine.end(Failure::Cancelled);
    while engine.next_effect().is_some() {}
    assert!(engine.sizes().is_empty());
});
