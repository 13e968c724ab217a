//! The binary as its caller sees it: the first line, the exit codes, the drain.

use std::io::{BufRead, BufReader, Read};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

fn start(arguments: &[&str]) -> Child {
    Command::new(env!("CARGO_BIN_EXE_mock-llm"))
        .args(arguments)
        .env_remove("LISTEN")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap()
}

/// The address in the first line that a child prints.
fn address(child: &mut Child) -> String {
    let mut line = String::new();
    BufReader::new(child.stdout.as_mut().unwrap())
        .read_line(&mut line)
        .unwrap();
    let address = line.strip_prefix("listening on http://").expect(&line);
    address.trim_end().to_owned()
}

fn terminate(child: &Child) {
    let kill = Command::new("kill")
        .args(["-TERM", &child.id().to_string()])
        .status()
        .unwrap();
    assert!(kill.success());
}

#[test]
fn a_bad_flag_is_exit_code_2_and_names_the_flag() {
    let output = start(&["--interval", "soon"]).wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&output.stderr).contains("--interval"));
}

#[test]
fn a_busy_port_is_exit_code_4_and_names_the_remedy() {
    let mut first = start(&["--listen", "127.0.0.1:0"]);
    let address = address(&mut first);
    let output = start(&["--listen", &address]).wait_with_output().unwrap();
    first.kill().unwrap();
    first.wait().unwrap();
    assert_eq!(output.status.code(), Some(4));
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(
        error.contains(&address) && error.contains("--listen"),
        "{error}"
    );
}

#[test]
fn a_drain_lets_a_live_stream_end_and_cuts_a_stalled_one_when_its_time_is_up() {
    for (query, whole) in [("interval=200ms&chunks=4", true), ("fault=stall@1", false)] {
        let mut child = start(&["--listen", "127.0.0.1:0", "--ttft", "1ms", "--drain", "1s"]);
        let url = format!("http://{}/slow_stream?{query}", address(&mut child));
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap();
        let _ = rustls::crypto::ring::default_provider().install_default();
        let text = runtime.block_on(async {
            let client = reqwest::Client::builder().no_proxy().build().unwrap();
            let mut response = client.get(url).send().await.unwrap();
            let mut text = String::new();
            while let Ok(Some(chunk)) = response.chunk().await {
                if text.is_empty() {
                    terminate(&child);
                }
                text += &String::from_utf8_lossy(&chunk);
            }
            text
        });
        assert_eq!(text.ends_with("data: [DONE]\n\n"), whole, "{text}");
        let start = Instant::now();
        assert_eq!(child.wait().unwrap().code(), Some(0));
        let mut errors = String::new();
        child.stderr.unwrap().read_to_string(&mut errors).unwrap();
        assert_eq!(
            errors.contains("the drain's time is over"),
            !whole,
            "{errors}"
        );
        assert!(start.elapsed() < Duration::from_secs(5));
    }
}
