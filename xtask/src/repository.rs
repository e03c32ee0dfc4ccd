//! Where things lie.

use std::env;
use std::path::{Path, PathBuf};

/// The project's own folder and the one that everything built goes to.
pub(crate) struct Repository {
    root: PathBuf,
    target: PathBuf,
}

impl Repository {
    /// The repository that this program was built from.
    pub(crate) fn here() -> Self {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("xtask lies in the workspace").to_owned();
        let target = match env::var_os("CARGO_TARGET_DIR") {
            Some(folder) => env::current_dir().unwrap_or_default().join(folder),
            None => root.join("target"),
        };
        Self { root, target }
    }

    pub(crate) fn root(&self) -> &Path {
        &self.root
    }

    /// Cargo's target folder, shared by every build that the steps make.
    pub(crate) fn target(&self) -> &Path {
        &self.target
    }

    /// Where `cargo install` puts the tools of this project, so that nothing of the user's is touched.
    pub(crate) fn tools(&self) -> PathBuf {
        self.target.join("tools")
    }
}
