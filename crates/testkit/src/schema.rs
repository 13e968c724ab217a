use serde_json::{Map, Value};

/// What keeps a value from being as a JSON Schema says: each with the place in the value.
///
/// It knows the part of JSON Schema (draft 2020-12) that the lab's schema is written in.
///
/// # Panics
/// At a keyword that it does not know, since nothing would be checked by it.
pub fn schema_errors(schema: &Value, value: &Value) -> Vec<String> {
    let mut errors = Vec::new();
    Checker { root: schema }.check(schema, value, "", &mut errors);
    errors
}

struct Checker<'a> {
    root: &'a Value,
}

impl Checker<'_> {
    fn check(&self, schema: &Value, value: &Value, at: &str, errors: &mut Vec<String>) {
        let Value::Object(schema) = schema else {
            if schema == &Value::Bool(false) {
                errors.push(format!("{at}: must not be there"));
            }
            return;
        };
        for (keyword, rule) in schema {
            self.check_keyword(keyword, rule, schema, value, at, errors);
        }
    }

    fn check_keyword(
        &self,
        keyword: &str,
        rule: &Value,
        schema: &Map<String, Value>,
        value: &Value,
        at: &str,
        errors: &mut Vec<String>,
    ) {
        let mut require = |is_so: bool, what: &str| {
            if !is_so {
                errors.push(format!("{at}: {what} {rule}: {value:.200}"));
            }
        };
        match keyword {
            "$schema" | "$defs" | "title" | "description" | "default" | "examples" | "format" => {}
            "type" => require(is_of_type(rule, value), "not of type"),
            "enum" => require(list(rule).contains(value), "not one of"),
            "const" => require(rule == value, "not"),
            "minimum" => require(
                value.as_f64() >= rule.as_f64() || !value.is_number(),
                "below",
            ),
            "maximum" => require(
                value.as_f64() <= rule.as_f64() || !value.is_number(),
                "above",
            ),
            "minItems" => require(items(value).len() as u64 >= number(rule), "fewer than"),
            "maxItems" => require(items(value).len() as u64 <= number(rule), "more than"),
            "required" => {
                for name in list(rule) {
                    let name = name.as_str().expect("a name");
                    if value.is_object() && value.get(name).is_none() {
                        errors.push(format!("{at}: no {name}"));
                    }
                }
            }
            "properties" => {
                for (name, rule) in map(rule) {
                    if let Some(value) = value.get(name) {
                        self.check(rule, value, &format!("{at}/{name}"), errors);
                    }
                }
            }
            "additionalProperties" => {
                let known = schema.get("properties").map(map);
                for (name, value) in value.as_object().into_iter().flatten() {
                    if !known.is_some_and(|known| known.contains_key(name)) {
                        self.check(rule, value, &format!("{at}/{name}"), errors);
                    }
                }
            }
            "items" => {
                for (n, value) in items(value).iter().enumerate() {
                    self.check(rule, value, &format!("{at}/{n}"), errors);
                }
            }
            "$ref" => {
                let path = rule.as_str().and_then(|path| path.strip_prefix('#'));
                let found = path.and_then(|path| self.root.pointer(path));
                self.check(found.expect("what is referred to"), value, at, errors);
            }
            "allOf" => list(rule)
                .iter()
                .for_each(|one| self.check(one, value, at, errors)),
            "anyOf" => require(self.hold(rule, value) >= 1, "none of"),
            "oneOf" => require(self.hold(rule, value) == 1, "not exactly one of"),
            unknown => panic!("{at}: the keyword {unknown} is not known"),
        }
    }

    /// How many of these schemas hold for a value.
    fn hold(&self, schemas: &Value, value: &Value) -> usize {
        let holds = |schema: &&Value| {
            let mut errors = Vec::new();
            self.check(schema, value, "", &mut errors);
            errors.is_empty()
        };
        list(schemas).iter().filter(holds).count()
    }
}

fn is_of_type(rule: &Value, value: &Value) -> bool {
    match rule {
        Value::Array(types) => types.iter().any(|one| is_of_type(one, value)),
        rule => match rule.as_str().expect("a type") {
            "null" => value.is_null(),
            "boolean" => value.is_boolean(),
            "object" => value.is_object(),
            "array" => value.is_array(),
            "string" => value.is_string(),
            "number" => value.is_number(),
            "integer" => value.is_i64() || value.is_u64(),
            unknown => panic!("the type {unknown} is not known"),
        },
    }
}

fn list(rule: &Value) -> &[Value] {
    rule.as_array().expect("a list")
}

fn map(rule: &Value) -> &Map<String, Value> {
    rule.as_object().expect("an object")
}

fn number(rule: &Value) -> u64 {
    rule.as_u64().expect("a number")
}

fn items(value: &Value) -> &[Value] {
    value.as_array().map_or(&[], Vec::as_slice)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::schema_errors;

    #[test]
    fn what_is_not_as_the_schema_says_is_named_with_its_place() {
        let schema = json!({
            "type": "object",
            "properties": {
                "count": { "type": "integer", "minimum": 0 },
                "names": { "type": "array", "items": { "$ref": "#/$defs/Name" }, "maxItems": 2 },
                "either": { "anyOf": [{ "$ref": "#/$defs/Name" }, { "type": "null" }] },
                "only": { "oneOf": [{ "const": "a" }, { "enum": ["b", "c"] }] },
            },
            "required": ["count"],
            "additionalProperties": false,
            "$defs": { "Name": { "type": ["string"] } },
        });
        let good = json!({ "count": 1, "names": ["x"], "either": null, "only": "c" });
        assert_eq!(schema_errors(&schema, &good), Vec::<String>::new());
        for (place, value) in [
            ("", json!({ "names": [] })),
            ("", json!([])),
            ("/count", json!({ "count": -1 })),
            ("/count", json!({ "count": 1.5 })),
            ("/names/1", json!({ "count": 1, "names": ["x", 2] })),
            ("/names", json!({ "count": 1, "names": ["x", "y", "z"] })),
            ("/either", json!({ "count": 1, "either": 1 })),
            ("/only", json!({ "count": 1, "only": "d" })),
            ("/more", json!({ "count": 1, "more": 1 })),
        ] {
            let errors = schema_errors(&schema, &value);
            let place = format!("{place}: ");
            assert!(
                errors.iter().any(|error| error.starts_with(&place)),
                "{place}{errors:?}"
            );
        }
    }

    #[test]
    #[should_panic(expected = "the keyword pattern is not known")]
    fn an_unknown_keyword_is_no_silent_pass() {
        schema_errors(&json!({ "pattern": "x" }), &json!("y"));
    }
}
