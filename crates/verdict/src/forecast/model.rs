use std::fmt;

use super::Question;
use crate::summary::Forecast;

/// What a request holds while it lasts, which decides the forecast: a law and the name under which a
/// variant of a scenario asks for it.
#[derive(Clone, Copy)]
pub struct Model {
    name: &'static str,
    law: fn(Question<'_>) -> Vec<Forecast>,
}

impl Model {
    /// There is no law for it: the scenario says why, under `no_forecast`.
    pub const NONE: Self = Self::new("none", |_| Vec::new());

    /// The model of this name.
    pub(crate) const fn new(name: &'static str, law: fn(Question<'_>) -> Vec<Forecast>) -> Self {
        Self { name, law }
    }

    /// As it stands in files.
    #[must_use]
    pub fn name(self) -> &'static str {
        self.name
    }

    /// What the law says of one load; nothing if it speaks of something else.
    pub(crate) fn forecast(self, question: Question<'_>) -> Vec<Forecast> {
        (self.law)(question)
    }
}

impl fmt::Debug for Model {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name)
    }
}

impl PartialEq for Model {
    fn eq(&self, other: &Self) -> bool {
        self.name == other.name
    }
}
