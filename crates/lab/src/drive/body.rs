use bytes::Bytes;

/// A JSON body of `size` bytes, or a little more: an embedding request with many items, which costs a
/// parser what real bodies cost (nested objects, text, many numbers).
///
/// ```json
/// {"model":"m","items":[{"id":0,"text":"…","vector":[0.0625,…]}, …]}
/// ```
#[must_use]
pub fn json_body(size: u64) -> Bytes {
    let size = usize::try_from(size).unwrap_or(usize::MAX);
    let mut text = String::with_capacity(size.saturating_add(512));
    text.push_str(r#"{"model":"m","items":["#);
    let mut id = 0_u64;
    while text.len() + 2 < size || id == 0 {
        if id > 0 {
            text.push(',');
        }
        text.push_str(&item(id));
        id += 1;
    }
    text.push_str("]}");
    text.into()
}

fn item(id: u64) -> String {
    let vector: Vec<_> = (0..16_u64)
        .map(|n| format!("{}", ((id * 31 + n * 17) % 4096) as f64 / 4096.0 - 0.5))
        .collect();
    format!(
        r#"{{"id":{id},"text":"The quick brown fox jumps over the lazy dog, for the {id}th time.","vector":[{}]}}"#,
        vector.join(",")
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_json_of_about_the_size_that_was_asked_for() {
        for size in [64, 5_000, 1_000_000] {
            let body = json_body(size);
            assert!(body.len() as u64 >= size && body.len() as u64 <= size + 512);
            let value: serde_json::Value = serde_json::from_slice(&body).expect("JSON");
            assert_eq!(
                value["items"][0]["vector"].as_array().map(Vec::len),
                Some(16)
            );
        }
    }
}
