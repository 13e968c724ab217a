use bytes::Bytes;

use verdict::scenario::BodyKind;

/// A JSON body of `size` bytes, or a little more.
///
/// ```json
/// {"model":"m","items":[{"id":0,"text":"tok0","vector":[0.5]}, …]}
/// ```
#[must_use]
pub fn json_body(size: u64, kind: BodyKind) -> Bytes {
    let size = usize::try_from(size).unwrap_or(usize::MAX);
    let mut text = String::with_capacity(size.saturating_add(512));
    text.push_str(r#"{"model":"m","items":["#);
    let mut id = 0_u64;
    while text.len() + 2 < size || id == 0 {
        if id > 0 {
            text.push(',');
        }
        text.push_str(&item(id, kind));
        id += 1;
    }
    text.push_str("]}");
    text.into()
}

fn item(id: u64, kind: BodyKind) -> String {
    let words = match kind {
        BodyKind::Items => format!("tok{id}"),
        BodyKind::Text => "The quick brown fox jumps over the lazy dog. ".repeat(9),
    };
    format!(
        r#"{{"id":{id},"text":"{words}","vector":[0.{}]}}"#,
        id % 1000
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_json_of_about_the_size_that_was_asked_for() {
        for kind in [BodyKind::Items, BodyKind::Text] {
            for size in [64, 5_000, 1_000_000] {
                let body = json_body(size, kind);
                assert!(body.len() as u64 >= size && body.len() as u64 <= size + 512);
                let value: serde_json::Value = serde_json::from_slice(&body).expect("JSON");
                let vector = value["items"][0]["vector"].as_array();
                assert_eq!(vector.map(Vec::len), Some(1));
            }
        }
    }
}
