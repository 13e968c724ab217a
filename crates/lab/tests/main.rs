//! What a user of the lab relies on, with real processes, in one binary: it is linked once.

mod anywhere;
mod attach;
mod attach_diagnosis;
mod attach_python;
mod ci_page;
mod closed_loop;
mod disconnect;
mod drain;
mod endings;
mod freeze;
mod given;
mod guest;
mod hang_up;
mod kubelet;
mod migrating;
mod odd_targets;
mod openai_format;
mod overview;
mod rollout;
mod routes;
mod run;
mod scenarios;
mod secrets;
mod smoke;
mod steps;
mod strangers;
mod support;
mod thousand;
mod upstream_failures;
mod usage;
mod watch;

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
