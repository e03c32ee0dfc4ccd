//! One version for all packages: that of the workspace.

use std::fs;

use crate::counts::Counts;
use crate::failure::Failure;
use crate::step::Context;

/// Where it is written again: what stands before it there. What is not here takes it from Cargo.
const PLACES: &[(&str, &str)] = &[
    ("Cargo.toml", "frazil = { path = \"core\", version = \""),
    ("Cargo.toml", "frazil-border = { path = \"bindings/border\", version = \""),
    ("Cargo.toml", "frazil-interfaces = { path = \"bindings/interfaces\", version = \""),
    ("Cargo.toml", "frazil-tokio = { path = \"bindings/tokio\", version = \""),
    ("bindings/interfaces/Cargo.toml", "frazil = { path = \"../../core\", version = \""),
    ("bindings/mobile/kotlin/README.md", "<version>"),
    ("bindings/mobile/kotlin/pom.xml", "<artifactId>frazil</artifactId>\n  <version>"),
    ("bindings/node/package.json", "\"version\": \""),
];

/// Every place has the version of the workspace.
pub(crate) fn step(context: &Context<'_>) -> Counts {
    let read = |file: &str| fs::read_to_string(context.repository.root().join(file)).unwrap_or_default();
    let manifest = read("Cargo.toml");
    let Some(wanted) = after(&manifest, "[workspace.package]\nversion = \"") else {
        return Counts::one_failed(Failure::unexplained("Cargo.toml has no version of the workspace"));
    };
    let mut counts = Counts::default();
    for (file, before) in PLACES {
        counts.add(match after(&read(file), before) {
            Some(found) if found == wanted => Counts::one_passed(),
            Some(found) => Counts::one_failed(Failure::unexplained(format!("{file} has {found} in place of {wanted}"))),
            None => Counts::one_failed(Failure::unexplained(format!("{file} has no {before:?}"))),
        });
    }
    counts
}

/// The version that stands behind the first `before`.
fn after<'t>(text: &'t str, before: &str) -> Option<&'t str> {
    let (_, rest) = text.split_once(before)?;
    let end = rest.find(['"', '<', '\n']).unwrap_or(rest.len());
    Some(&rest[..end])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_version_ends_where_its_form_does() {
        assert_eq!(after("version = \"0.1.0\"\n", "version = \""), Some("0.1.0"));
        assert_eq!(after("<a/><version>0.2.0-rc.1</version>", "<version>"), Some("0.2.0-rc.1"));
        assert_eq!(after("nothing", "<version>"), None);
    }
}
