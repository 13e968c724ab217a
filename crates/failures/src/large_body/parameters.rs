use serde::{Deserialize, Serialize};

/// What a body says: texts with their embeddings. Keys that are not listed are ignored.
///
/// ```json
/// {"model": "m", "items": [{"id": 17, "text": "…", "vector": [0.1, -0.2]}]}
/// ```
#[derive(Clone, Debug, PartialEq, Deserialize)]
pub struct Parameters {
    /// Name of a model.
    pub model: String,
    /// Any number of texts.
    pub items: Vec<Item>,
}

/// One text.
#[derive(Clone, Debug, PartialEq, Deserialize)]
pub struct Item {
    /// Number of the text.
    pub id: u64,
    /// The text.
    pub text: String,
    /// Its embedding, of any length.
    pub vector: Vec<f32>,
}

/// The answer to a body: small, and different if any part of it was lost.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Answer {
    /// The model that was named.
    pub model: String,
    /// How many texts there were.
    pub items: usize,
    /// Bytes of all texts together.
    pub text_bytes: usize,
    /// Numbers of all embeddings together.
    pub numbers: usize,
}

impl Parameters {
    /// Counts what is there.
    #[must_use]
    pub fn answer(&self) -> Answer {
        Answer {
            model: self.model.clone(),
            items: self.items.len(),
            text_bytes: self.items.iter().map(|item| item.text.len()).sum(),
            numbers: self.items.iter().map(|item| item.vector.len()).sum(),
        }
    }
}
