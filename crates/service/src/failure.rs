use axum::Router;

use crate::Services;

/// A failure of the lab, or a variant of one, as a server mounts it.
#[derive(Clone, Copy, Debug)]
pub struct Failure {
    /// Its name, that of its scenario.
    pub name: &'static str,
    /// Empty for the plain form, else what `--variant` calls it.
    pub variant: &'static str,
    /// Builds its routes.
    pub routes: fn(&mut Services) -> anyhow::Result<Router>,
}

impl Failure {
    /// A line of a server's table.
    #[must_use]
    pub const fn new(
        name: &'static str,
        variant: &'static str,
        routes: fn(&mut Services) -> anyhow::Result<Router>,
    ) -> Self {
        Self {
            name,
            variant,
            routes,
        }
    }
}

/// The variant that was asked for does not exist: a mistake in usage.
#[derive(Debug)]
pub struct UnknownVariant(String);

impl std::fmt::Display for UnknownVariant {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for UnknownVariant {}

impl Services {
    /// Mounts each failure once: in the variant of the flags if it has that one, else in its plain form.
    ///
    /// # Errors
    /// [`UnknownVariant`] if no failure has the variant; whatever building the routes returns.
    pub fn mount(&mut self, failures: &[Failure]) -> anyhow::Result<Router> {
        let wanted = self.args.variant.clone().unwrap_or_default();
        if failures.iter().all(|failure| failure.variant != wanted) {
            return Err(UnknownVariant(unknown(&wanted, failures)).into());
        }
        let mut router = Router::new();
        for plain in failures.iter().filter(|failure| failure.variant.is_empty()) {
            let chosen = failures
                .iter()
                .find(|failure| failure.name == plain.name && failure.variant == wanted)
                .unwrap_or(plain);
            router = router.merge((chosen.routes)(self)?);
        }
        Ok(router)
    }
}

fn unknown(wanted: &str, failures: &[Failure]) -> String {
    let known: Vec<_> = failures
        .iter()
        .filter(|failure| !failure.variant.is_empty())
        .map(|failure| format!("{} (of {})", failure.variant, failure.name))
        .collect();
    let known = if known.is_empty() {
        "this server has only the plain forms".to_owned()
    } else {
        format!("there are {}", known.join(", "))
    };
    format!("there is no variant \"{wanted}\": {known}; leave --variant out for the plain forms")
}
