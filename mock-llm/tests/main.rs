//! What a client and an operator rely on, in one binary: it is linked once.

mod anthropic_format;
mod buffers;
mod faults;
mod http2;
mod ledger;
mod limits;
mod openai_format;
mod process;
mod rules;
mod settings;
mod support;

#[test]
fn no_file_of_tests_is_left_out() {
    let listed = include_str!("main.rs");
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/tests");
    for entry in std::fs::read_dir(folder).expect("readable").flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        let module = name.strip_suffix(".rs").unwrap_or(&name);
        let declared = format!("mod {module};");
        assert!(name == "main.rs" || listed.contains(&declared), "{name}");
    }
}
