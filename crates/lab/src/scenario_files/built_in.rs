//! The scenarios that the lab was built with: the files of `scenarios/`, so that their names are known
//! in every folder.

/// Name and text of each, sorted by name.
const ALL: &[(&str, &str)] = include!(concat!(env!("OUT_DIR"), "/scenarios.rs"));

/// The text of the scenario of that name.
pub(super) fn text(name: &str) -> Option<&'static str> {
    let (_, text) = ALL.iter().find(|(one, _)| *one == name)?;
    Some(text)
}

/// Their names, sorted.
pub(super) fn names() -> impl Iterator<Item = &'static str> {
    ALL.iter().map(|(name, _)| *name)
}

#[cfg(test)]
mod tests {
    #[test]
    fn every_published_scenario_is_taken_in_as_it_is() {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../../scenarios");
        let mut files = 0;
        for entry in std::fs::read_dir(folder).expect("a folder") {
            let path = entry.expect("an entry").path();
            let name = path.file_stem().expect("a name").to_string_lossy();
            let text = std::fs::read_to_string(&path).expect("readable");
            assert_eq!(super::text(&name), Some(text.as_str()), "{name}");
            files += 1;
        }
        assert!(files >= 5 && super::names().count() == files);
    }
}
