//! Ends a process together with everything it has started.

use std::collections::BTreeMap;
use std::fs;
use std::process::{Child, Command};

/// Kills `child` and its descendants. A browser or a server that a hung test has started would live on otherwise.
pub(crate) fn kill_tree(child: &mut Child) {
    let children = children_by_parent();
    let mut doomed = vec![child.id()];
    let mut next = 0;
    while let Some(&parent) = doomed.get(next) {
        doomed.extend(children.get(&parent).into_iter().flatten());
        next += 1;
    }
    let _ = child.kill();
    // The standard library can signal direct children only.
    let pids = doomed[1..].iter().map(u32::to_string);
    if doomed.len() > 1 {
        let _ = Command::new("kill").arg("-KILL").args(pids).status();
    }
}

/// Every process's children, from Linux's `/proc`; elsewhere none are known.
fn children_by_parent() -> BTreeMap<u32, Vec<u32>> {
    let mut children: BTreeMap<u32, Vec<u32>> = BTreeMap::new();
    for entry in fs::read_dir("/proc").into_iter().flatten().flatten() {
        let Some(pid) = entry.file_name().to_str().and_then(|name| name.parse().ok()) else { continue };
        let Ok(stat) = fs::read_to_string(entry.path().join("stat")) else { continue };
        if let Some(parent) = parent_in(&stat) {
            children.entry(parent).or_default().push(pid);
        }
    }
    children
}

/// The fourth field of `/proc/PID/stat`. The second is the program's name in brackets and may itself hold any.
fn parent_in(stat: &str) -> Option<u32> {
    let (_, after_name) = stat.rsplit_once(')')?;
    after_name.split_whitespace().nth(1)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_parent_is_found_behind_any_name() {
        assert_eq!(parent_in("42 (sh) S 7 42 42 0"), Some(7));
        assert_eq!(parent_in("42 (a) b 9) (x) R 8 1 1"), Some(8));
        assert_eq!(parent_in("42 (sh"), None);
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn a_child_goes_together_with_its_own_children() {
        use std::io::Read as _;
        use std::process::Stdio;

        // The grandchild holds the pipe open; reading to its end returns only when both are gone.
        let mut child =
            Command::new("sh").args(["-c", "sleep 600 & echo up; wait"]).stdout(Stdio::piped()).spawn().unwrap();
        let mut pipe = child.stdout.take().unwrap();
        let mut up = [0; 3];
        pipe.read_exact(&mut up).unwrap();
        kill_tree(&mut child);
        child.wait().unwrap();
        assert_eq!(pipe.read(&mut [0; 1]).unwrap(), 0);
    }
}
