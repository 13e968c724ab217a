//! Mistakes and poor surroundings: one clear sentence, the right exit code.

use crate::support;

use std::process::Output;

use support::{Bench, LAB, SHORT, stderr};

fn refused(text: &str, arguments: &[&str], code: i32, parts: &[&str]) {
    let bench = Bench::new(text);
    explains(&bench.run(arguments), code, parts);
    assert!(bench.runs().is_empty(), "something was run");
}

fn explains(output: &Output, code: i32, parts: &[&str]) {
    let message = stderr(output);
    assert_eq!(output.status.code(), Some(code), "{message}");
    let sentence: Vec<_> = message
        .lines()
        .filter(|line| line.starts_with("error: "))
        .collect();
    assert_eq!(sentence.len(), 1, "not one sentence: {message}");
    for part in parts {
        assert!(
            sentence[0].contains(part),
            "\"{part}\" is not in: {message}"
        );
    }
}

#[test]
fn an_unknown_key_names_file_and_line() {
    let text = SHORT.replace("rate = 50", "rate = 50\nburst = 3");
    let line = text
        .lines()
        .position(|line| line == "burst = 3")
        .expect("there")
        + 1;
    let place =
        format!("short.toml:{line}: unknown field `burst`, expected one of `rate`, `timeout`");
    refused(&text, &["run", "short.toml"], 2, &[&place]);
}

#[test]
fn a_wrong_unit_names_file_and_line_and_what_would_be_right() {
    let text = SHORT.replace("hold = \"2s\"", "hold = \"2 sec.\"");
    let line = text
        .lines()
        .position(|line| line.contains("2 sec."))
        .expect("there")
        + 1;
    let place = format!("short.toml:{line}: \"2 sec.\" is not a time");
    refused(
        &text,
        &["run", "short.toml"],
        2,
        &[&place, "such as \"250ms\""],
    );
}

#[test]
fn a_missing_file_says_what_there_is() {
    refused(
        SHORT,
        &["run", "nowhere.toml"],
        2,
        &["there is no scenario nowhere.toml"],
    );
}

#[test]
fn a_setting_that_does_not_fit_is_named() {
    let arguments = ["run", "short.toml", "--set", "server.pool_treads=3"];
    refused(
        SHORT,
        &arguments,
        2,
        &["--set server.pool_treads=3", "unknown field `pool_treads`"],
    );
}

#[test]
fn an_unknown_metric_is_refused_before_the_run() {
    let text = SHORT.replace("streams.lost == 0", "streams.losst == 0");
    refused(
        &text,
        &["run", "short.toml"],
        2,
        &["\"streams.losst\" is no metric", "lost"],
    );
}

#[test]
fn an_unknown_variant_is_told_which_there_are() {
    let arguments = ["run", "short.toml", "--variant", "mended"];
    refused(
        SHORT,
        &arguments,
        2,
        &["no variant \"mended\"", "broken, fixed"],
    );
}

#[test]
fn a_low_limit_on_open_files_is_named_with_its_remedy() {
    let bench = Bench::new(SHORT);
    let mut shell = std::process::Command::new("sh");
    shell
        .current_dir(bench.lab(&[]).get_current_dir().expect("a folder"))
        .args(["-c", "ulimit -n 64 && exec \"$0\" run short.toml", LAB]);
    explains(
        &shell.output().expect("sh"),
        4,
        &["open files", "the hard limit is 64", "ulimit -Hn"],
    );
}

#[test]
fn a_busy_port_is_named_with_its_flag() {
    let holder = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = holder.local_addr().expect("an address").to_string();
    let bench = Bench::new(SHORT);
    let arguments = [
        "up",
        "fixed",
        "--listen",
        &address,
        "--upstream",
        "127.0.0.1:0",
        "--gauges",
        "127.0.0.1:0",
    ];
    let output = bench.run(&arguments);
    explains(
        &output,
        4,
        &[&format!("cannot listen on {address}"), "--listen"],
    );
}

#[test]
fn a_place_that_cannot_be_written_is_named() {
    refused(
        SHORT,
        &["run", "short.toml", "--out", "/proc/runs"],
        4,
        &["cannot write /proc/runs", "--out"],
    );
}

#[test]
fn a_compare_without_runs_says_how_to_make_one() {
    let bench = Bench::new(SHORT);
    explains(
        &bench.run(&["compare"]),
        4,
        &["there is no run in results/runs", "lab run stream"],
    );
}

#[test]
fn a_value_out_of_range_names_its_line() {
    let text = SHORT.replace("rate = 50", "rate = 5000");
    let line = text
        .lines()
        .position(|line| line == "rate = 5000")
        .expect("there")
        + 1;
    refused(
        &text,
        &["run", "short.toml"],
        2,
        &[&format!("short.toml:{line}: `probe.rate`"), "0.1 to 1000"],
    );
    let arguments = ["run", "short.toml", "--set", "server.pool_threads=0"];
    refused(SHORT, &arguments, 2, &["server.pool_threads", "1 to 10000"]);
}

#[test]
fn a_misspelt_diagnosis_is_refused_before_the_run() {
    let text = SHORT.replace(
        "diagnosis == blocking_pool_exhausted",
        "diagnosis != helthy",
    );
    refused(
        &text,
        &["run", "short.toml"],
        2,
        &["\"helthy\"", "is no diagnosis", "healthy"],
    );
}

#[test]
fn a_name_that_cannot_be_a_folder_or_a_tag_is_refused() {
    let folder = SHORT.replace("name = \"short\"", "name = \"a/b\"");
    refused(
        &folder,
        &["run", "short.toml"],
        2,
        &["short.toml:3: scenario \"a/b\""],
    );
    let tag = SHORT.replace("health_async =", "\"async, fast\" =");
    refused(&tag, &["run", "short.toml"], 2, &["probe.endpoints"]);
}

#[test]
fn a_server_that_refuses_its_flags_says_why() {
    let text = SHORT.replace(
        "model = \"async\"",
        "model = \"async\"\nargs = [\"--max-upstram\", \"4\"]",
    );
    let bench = Bench::new(&text);
    let output = bench.run(&["run", "short.toml", "--variant", "fixed"]);
    explains(
        &output,
        4,
        &["server-fixed did not get ready", "--max-upstram"],
    );
}
