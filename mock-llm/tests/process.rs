//! The binary as its caller sees it: the first line, the exit codes, the drain.

use std::fs::File;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use testkit::Process;

fn mock(flags: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_mock-llm"));
    command.args(flags).env_remove("LISTEN");
    command
}

#[test]
fn a_bad_flag_is_exit_code_2_and_names_the_flag() {
    let output = mock(&["--interval", "soon"]).output().unwrap();
    assert_eq!(output.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&output.stderr).contains("--interval"));
}

#[test]
fn a_busy_port_is_exit_code_4_and_names_the_remedy() {
    let mut first = Process::start(mock(&["--listen", "127.0.0.1:0"]));
    let address = first.announced("listening").to_string();
    let output = mock(&["--listen", &address]).output().unwrap();
    assert_eq!(output.status.code(), Some(4));
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(
        error.contains(&address) && error.contains("--listen"),
        "{error}"
    );
}

#[tokio::test]
async fn a_drain_lets_a_live_stream_end_and_cuts_a_stalled_one_when_its_time_is_up() {
    for (query, whole) in [("interval=200ms&chunks=4", true), ("fault=stall@1", false)] {
        let errors = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("drain-{whole}"));
        let mut command = mock(&["--listen", "127.0.0.1:0", "--ttft", "1ms", "--drain", "1s"]);
        command.stderr(File::create(&errors).unwrap());
        let mut mock = Process::start(command);
        let url = format!("http://{}/slow_stream?{query}", mock.announced("listening"));
        let mut response = testkit::client().get(url).send().await.unwrap();
        let mut text = String::new();
        while let Ok(Some(chunk)) = response.chunk().await {
            if text.is_empty() {
                mock.terminate();
            }
            text += &String::from_utf8_lossy(&chunk);
        }
        assert_eq!(text.ends_with("data: [DONE]\n\n"), whole, "{text}");
        let start = Instant::now();
        assert_eq!(mock.ended().await.code(), Some(0));
        let errors = std::fs::read_to_string(errors).unwrap();
        assert_eq!(
            errors.contains("the drain's time is over"),
            !whole,
            "{errors}"
        );
        assert!(start.elapsed() < Duration::from_secs(5));
    }
}
