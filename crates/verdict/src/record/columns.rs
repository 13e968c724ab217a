/// A row of a table of numbers, each with the name of its column. An empty field was not measured.
#[derive(Clone, Debug, Default)]
pub struct Columns {
    names: Vec<String>,
    values: Vec<String>,
}

impl Columns {
    /// Adds a number, if there is one.
    pub(crate) fn add(&mut self, name: impl Into<String>, value: impl Into<Option<u64>>) {
        let value = value.into();
        self.text(name, value.map_or(String::new(), |value| value.to_string()));
    }

    /// Adds something that is no number.
    pub(crate) fn text(&mut self, name: impl Into<String>, value: impl Into<String>) {
        self.names.push(name.into());
        self.values.push(value.into());
    }

    /// The names, as the first line of a CSV file has them.
    #[must_use]
    pub fn names(&self) -> String {
        self.names.join(",")
    }

    /// The values, as a line of a CSV file has them.
    #[must_use]
    pub fn values(&self) -> String {
        self.values.join(",")
    }
}
