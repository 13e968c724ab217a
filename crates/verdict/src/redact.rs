//! What may be shown or saved of that which somebody gave: every URL, header and argument goes through
//! here first. What is known to be harmless stays; everything else is left out.

use std::fmt;
use std::ops::Deref;

use serde::Deserialize;

/// Stands where something was left out.
pub const LEFT_OUT: &str = "REDACTED";

/// The address of a service. It can be sent only as the text that it dereferences to; whatever formats
/// it gets a text without user, password, and parameters that may be secrets.
#[derive(Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(transparent)]
pub struct Address(String);

impl Deref for Address {
    type Target = str;

    fn deref(&self) -> &str {
        &self.0
    }
}

impl From<&str> for Address {
    fn from(text: &str) -> Self {
        Self(text.to_owned())
    }
}

impl From<String> for Address {
    fn from(text: String) -> Self {
        Self(text)
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&url(&self.0))
    }
}

impl fmt::Debug for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}

/// Parts of names whose values may be secrets.
const SECRET: [&str; 11] = [
    "key",
    "token",
    "secret",
    "pass",
    "auth",
    "sig",
    "credential",
    "pwd",
    "jwt",
    "session",
    "cookie",
];

/// Header names whose values may be shown: none of them is a secret.
const PLAIN_HEADERS: [&str; 5] = [
    "accept",
    "accept-language",
    "content-type",
    "user-agent",
    "x-request-id",
];

/// The longest value that may be shown: a secret that is of any use is longer.
const SHORT: usize = 8;

/// The longest name that may be shown.
const LONGEST_NAME: usize = 32;

/// Whether the value of this header may be shown.
#[must_use]
pub fn is_plain_header(name: &str) -> bool {
    PLAIN_HEADERS.contains(&name.trim().to_ascii_lowercase().as_str())
}

/// A URL without user, password, and parameters that may be secrets. It need not be one: what does not
/// parse, and what stands in a `Location` header, loses its secrets as well.
#[must_use]
pub fn url(text: &str) -> String {
    let (text, fragment) = text
        .split_once('#')
        .map_or((text, None), |(text, rest)| (text, Some(rest)));
    let (place, query) = text
        .split_once('?')
        .map_or((text, None), |(text, rest)| (text, Some(rest)));
    let mut shown = without_user(place);
    if let Some(query) = query {
        shown = format!("{shown}?{}", pairs(query));
    }
    match fragment {
        // A pointer into a document.
        Some(pointer) if pointer.starts_with('/') && !pointer.contains('@') => {
            format!("{shown}#{pointer}")
        }
        Some(fragment) => format!("{shown}#{}", pairs(fragment)),
        None => shown,
    }
}

/// What stands before the query, without user and password.
fn without_user(place: &str) -> String {
    let (scheme, rest) = place.split_at(place.find("://").map_or(0, |at| at + 3));
    let is_slash = |c: char| c == '/' || c == '\\';
    // The path of a `Location` has no user before it.
    if scheme.is_empty() && rest.starts_with('/') && !rest.starts_with("//") {
        return rest.to_owned();
    }
    let rest = rest.trim_start_matches(is_slash);
    let (authority, path) = rest.split_at(rest.find(is_slash).unwrap_or(rest.len()));
    let authority = unescaped(authority);
    let host = authority.rsplit('@').next().unwrap_or_default();
    let port = host.rsplit_once(':').map_or("", |(_, port)| port);
    let is_host = host.ends_with(']') || port.chars().all(|c| c.is_ascii_digit());
    if is_host && !(host.len() < authority.len() && path.contains('@')) {
        return format!("{scheme}{host}{path}");
    }
    // A slash or a question mark in a password: the host begins later, or was cut off.
    match rest.rsplit_once('@') {
        Some((_, host)) => format!("{scheme}{host}"),
        None => format!("{scheme}{LEFT_OUT}"),
    }
}

/// The pairs of a query, without the values that may be secrets.
fn pairs(query: &str) -> String {
    let shown = query.split('&').map(|pair| match pair.split_once('=') {
        // Base64 ends with equals signs: such a pair is a value without a name.
        Some((name, value)) if !value.trim_matches('=').is_empty() => {
            let plain = unescaped(name);
            if !is_plain(&plain, LONGEST_NAME) {
                return LEFT_OUT.to_owned();
            }
            if is_plain(value, SHORT) && !may_hold_secret(&plain) {
                return pair.to_owned();
            }
            format!("{name}={LEFT_OUT}")
        }
        _ if is_plain(pair.trim_end_matches('='), SHORT) => pair.to_owned(),
        _ => LEFT_OUT.to_owned(),
    });
    shown.collect::<Vec<_>>().join("&")
}

fn is_plain(text: &str, longest: usize) -> bool {
    text.len() <= longest
        && text
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || "._-[]".contains(c))
}

/// Whether what has this name may be a secret.
fn may_hold_secret(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    SECRET.iter().any(|part| name.contains(part))
}

/// `%5F` is an underscore.
fn unescaped(text: &str) -> String {
    let mut bytes = Vec::new();
    let mut rest = text.as_bytes();
    while let Some((&first, after)) = rest.split_first() {
        let code = after
            .get(..2)
            .and_then(|code| std::str::from_utf8(code).ok());
        let code = code.and_then(|code| u8::from_str_radix(code, 16).ok());
        match code.filter(|_| first == b'%') {
            Some(code) => {
                bytes.push(code);
                rest = &after[2..];
            }
            None => {
                bytes.push(first);
                rest = after;
            }
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

/// The arguments of a command as they may be shown: URLs as [`url`] has them, and no value of a header, or
/// of a flag or variable whose name says that it may be a secret.
#[must_use]
pub fn arguments<'a>(given: impl IntoIterator<Item = &'a str>) -> Vec<String> {
    let mut before = "";
    let mut shown = Vec::new();
    for argument in given {
        let is_value = !argument.starts_with('-');
        shown.push(match argument.strip_prefix("-H") {
            Some(text) if !text.is_empty() => format!("-H{}", header(text)),
            _ if is_value || matches!(before, "-H" | "--header") => value(before, argument),
            _ => match argument.split_once('=') {
                Some((flag, text)) => format!("{flag}={}", value(flag, text)),
                None => argument.to_owned(),
            },
        });
        before = if is_value { "" } else { argument };
    }
    shown
}

/// The value of a flag, or what has none before it.
fn value(flag: &str, text: &str) -> String {
    if matches!(flag, "-H" | "--header") {
        return header(text);
    }
    // The name of a variable is no secret.
    if may_hold_secret(flag) && !flag.ends_with("-env") {
        return LEFT_OUT.to_owned();
    }
    match text.split_once('=') {
        // A setting, or a variable.
        Some((name, _)) if is_plain(name, usize::MAX) => match name.split_once("target.headers.") {
            Some((_, header)) if !is_plain_header(header) => format!("{name}={LEFT_OUT}"),
            None if may_hold_secret(name) => format!("{name}={LEFT_OUT}"),
            _ if text.contains("://") => format!("{name}={}", url(&text[name.len() + 1..])),
            _ => text.to_owned(),
        },
        _ if text.contains("://") => url(text),
        _ => text.to_owned(),
    }
}

/// An argument of which nobody knows what it is: a URL that lost its flag, or half of a header.
#[must_use]
pub fn unexpected(argument: &str) -> String {
    if argument.contains("://") {
        return url(argument);
    }
    match is_plain(argument, SHORT) {
        true => argument.to_owned(),
        false => LEFT_OUT.to_owned(),
    }
}

/// `KEY: VALUE` without the value, unless that may be shown.
fn header(text: &str) -> String {
    match text.split_once(':') {
        Some((name, _)) if is_plain_header(name) => format!("'{text}'"),
        Some((name, _)) => format!("'{name}: …'"),
        // Whoever forgot the colon may have given a value.
        None => LEFT_OUT.to_owned(),
    }
}

/// What is saved of a scenario file: itself, or, if it has a target, its tables without secrets and
/// without its comments.
pub(crate) fn scenario(text: &str) -> String {
    let Ok(mut file) = toml::from_str::<toml::Table>(text) else {
        return String::new();
    };
    let mut has_target = clean(&mut file);
    let cells = file.get_mut("cell").and_then(toml::Value::as_array_mut);
    for cell in cells
        .into_iter()
        .flatten()
        .filter_map(toml::Value::as_table_mut)
    {
        has_target |= clean(cell);
    }
    if has_target {
        file.to_string()
    } else {
        text.to_owned()
    }
}

/// Takes the secrets out of the target of a table, and of that which it has for the short form. Says whether
/// there is a target.
fn clean(table: &mut toml::Table) -> bool {
    let quick = table.get_mut("quick").and_then(toml::Value::as_table_mut);
    let has_quick = quick.is_some_and(clean);
    let Some(target) = table.get_mut("target").and_then(toml::Value::as_table_mut) else {
        return has_quick;
    };
    for (key, value) in target.iter_mut() {
        match (key.as_str(), value) {
            ("headers", toml::Value::Table(headers)) => {
                headers.retain(|name, _| is_plain_header(name));
            }
            ("command", toml::Value::Array(command)) => {
                let given: Vec<_> = command.iter().filter_map(toml::Value::as_str).collect();
                *command = arguments(given)
                    .into_iter()
                    .map(toml::Value::String)
                    .collect();
            }
            (key, toml::Value::String(text)) if is_address(key) => *text = url(text),
            _ => {}
        }
    }
    true
}

/// Whether this key of a target is an [`Address`].
fn is_address(key: &str) -> bool {
    matches!(key, "stream" | "upstream_stats") || key.ends_with("health")
}

#[cfg(test)]
mod tests {
    use super::*;

    const MARK: &str = "s3cr3t-XYZ";

    #[test]
    fn a_url_keeps_what_is_harmless_and_loses_what_may_be_a_secret() {
        for (given, shown) in [
            (
                "http://127.0.0.1:8000/x?chunks=3&model=gpt-4o",
                "http://127.0.0.1:8000/x?chunks=3&model=gpt-4o",
            ),
            ("http://me:s3cr3t-XYZ@host/x?a=b", "http://host/x?a=b"),
            ("http://me:s3cr3t-XYZ@host:99999/", "http://host:99999/"),
            ("http://me:s3cr3t-XYZ@[::1]:80/", "http://[::1]:80/"),
            ("http://me:pw/s3cr3t-XYZ@host/x", "http://host/x"),
            ("http://me:pw?s3cr3t-XYZ@host/x", "http://REDACTED?REDACTED"),
            ("http://me:pw#s3cr3t-XYZ@host/x", "http://REDACTED#REDACTED"),
            ("http://me:s3cr3t-XYZ", "http://REDACTED"),
            ("http://me%3As3cr3t-XYZ%40host/", "http://host/"),
            ("http:me:s3cr3t-XYZ@host/", "host/"),
            ("me:s3cr3t-XYZ@host/", "host/"),
            ("//me:s3cr3t-XYZ@host/x", "host/x"),
            ("/login?next=s3cr3t-XYZ#/a/b", "/login?next=REDACTED#/a/b"),
            ("http://h/?t%6Fken=1234", "http://h/?t%6Fken=REDACTED"),
            ("http://h/?s3cr3t-XYZ", "http://h/?REDACTED"),
            ("http://h/?czNjcjN0LVhZWg==", "http://h/?REDACTED"),
            ("http://h/?a=1;token=s3cr3t-XYZ", "http://h/?a=REDACTED"),
            (
                "http://h/#access_token=s3cr3t-XYZ",
                "http://h/#access_token=REDACTED",
            ),
            ("http://h/stats#/open", "http://h/stats#/open"),
            ("https://h/v1/@me", "https://h/v1/@me"),
        ] {
            assert_eq!(url(given), shown, "{given}");
            let address = Address::from(given);
            assert_eq!(format!("{address} {address:?}"), format!("{shown} {shown}"));
            assert_eq!(&*address, given);
        }
    }

    #[test]
    fn a_command_line_is_shown_without_its_secrets() {
        let shown = |line: &[&str]| arguments(line.iter().copied()).join(" ");
        for (line, expected) in [
            (
                &["--header", "Authorization: s3cr3t-XYZ"][..],
                "--header 'Authorization: …'",
            ),
            (&["-H", "-s3cr3t-XYZ"], "-H REDACTED"),
            (&["-HX-Key: s3cr3t-XYZ"], "-H'X-Key: …'"),
            (&["-H", "Accept: text/plain"], "-H 'Accept: text/plain'"),
            (&["--header=Cookie: s3cr3t-XYZ"], "--header='Cookie: …'"),
            (
                &["--stream", "http://u:s3cr3t-XYZ@h/x"],
                "--stream http://h/x",
            ),
            (
                &["--health=http://h/?token=s3cr3t-XYZ"],
                "--health=http://h/?token=REDACTED",
            ),
            (
                &["--set", "target.headers.x=s3cr3t-XYZ"],
                "--set target.headers.x=REDACTED",
            ),
            (
                &["--set=target.stream=http://u:s3cr3t-XYZ@h/"],
                "--set=target.stream=http://h/",
            ),
            (&["--api-key", "s3cr3t-XYZ"], "--api-key REDACTED"),
            (
                &["API_TOKEN=s3cr3t-XYZ", "serve"],
                "API_TOKEN=REDACTED serve",
            ),
            (
                &["--bearer-env", "TOKEN", "--fail-if", "a.p99 >= 1s"],
                "--bearer-env TOKEN --fail-if a.p99 >= 1s",
            ),
        ] {
            assert_eq!(shown(line), expected);
        }
    }

    #[test]
    fn a_scenario_with_a_target_is_saved_without_its_secrets_and_one_without_as_it_is() {
        let own = "# a comment\nname = \"s\"\n";
        assert_eq!(scenario(own), own);
        let target = r#"
            name = "s" # s3cr3t-XYZ
            quick.target = { health = "http://u:s3cr3t-XYZ@h/" }
            cell = [{ name = "c", target.headers = { cookie = "s3cr3t-XYZ" } }]
            [target]
            stream = "http://h/?token=s3cr3t-XYZ"
            upstream_stats = "http://u:s3cr3t-XYZ@h/#/open"
            command = ["serve", "--api-key=s3cr3t-XYZ"]
            headers = { x-api-key = "s3cr3t-XYZ", accept = "text/plain" }
        "#;
        let saved = scenario(target);
        assert!(!saved.contains(MARK), "{saved}");
        for kept in [
            "text/plain",
            "http://h/#/open",
            "--api-key=REDACTED",
            "token=REDACTED",
        ] {
            assert!(saved.contains(kept), "{kept}: {saved}");
        }
    }
}
