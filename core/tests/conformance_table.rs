//! `docs/conformance.md` says of each clause what shows it. This holds it to that: every row has an answer, and the
//! tests that it names exist.

// A test of a page and of sources has to read them.
#![allow(clippy::disallowed_methods)]

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

const ANSWERS: [&str; 4] = ["yes", "n/a", "differs", "not yet"];

#[test]
fn every_clause_has_an_answer_and_every_test_that_it_names_exists() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let read = |path: &str| fs::read_to_string(root.join(path)).unwrap_or_else(|error| panic!("{path}: {error}"));
    let page = read("docs/conformance.md");
    let rows: Vec<Vec<&str>> = page.lines().filter_map(cells).collect();

    let files: BTreeMap<&str, &str> =
        rows.iter().filter(|row| row.len() == 2).filter_map(|row| Some((code(row[0])?, row[1]))).collect();
    let tests: BTreeMap<&str, BTreeSet<String>> =
        files.iter().map(|(&name, path)| (name, tests_in(&read(path)))).collect();

    let clauses: Vec<&Vec<&str>> = rows.iter().filter(|row| row.len() == 5 && row[0] != "section").collect();
    assert!(clauses.len() > 100, "{} rows: the page was not understood", clauses.len());
    let mut problems = Vec::new();
    let mut named = BTreeSet::new();
    for row in clauses {
        let [section, strength, asked, answer, why] = row[..] else { unreachable!("it has five") };
        let mut problem = |what: String| problems.push(format!("{section}, {asked:?}: {what}"));
        if section.is_empty() || strength.is_empty() || asked.is_empty() {
            problem("an empty cell".to_owned());
        }
        let quoted = why.split('`').skip(1).step_by(2).filter_map(|code| code.split_once("::"));
        // Types and their members, which prose names too, begin with a capital letter.
        let is_type = |name: &str| name.starts_with(|c: char| c.is_ascii_uppercase());
        let mut shown = false;
        for (file, path) in quoted.filter(|(file, path)| !is_type(file) && !is_type(path)) {
            let test = path.rsplit("::").next().unwrap_or(path);
            match tests.get(file) {
                None => problem(format!("no file has the short name `{file}`")),
                Some(of_file) if of_file.contains(test) => {
                    shown = true;
                    named.insert(file);
                }
                Some(_) => problem(format!("there is no test `{test}` in {}", files[file])),
            }
        }
        if !ANSWERS.contains(&answer) {
            problem(format!("{answer:?} is no answer"));
        } else if answer == "yes" && !shown {
            problem("no test shows it".to_owned());
        } else if why.is_empty() {
            problem("no reason".to_owned());
        }
    }
    let unused: Vec<&&str> = files.keys().filter(|name| !named.contains(*name)).collect();
    assert!(problems.is_empty(), "\n{}\n", problems.join("\n"));
    assert!(unused.is_empty(), "short names that nothing uses: {unused:?}");
}

/// The cells of a row of a table; none for what is no row, and for the line below a head.
fn cells(line: &str) -> Option<Vec<&str>> {
    let inner = line.strip_prefix("| ")?.strip_suffix(" |")?;
    Some(inner.split(" | ").map(str::trim).collect())
}

/// What stands between a pair of backticks and nothing else.
fn code(cell: &str) -> Option<&str> {
    cell.strip_prefix('`')?.strip_suffix('`')
}

/// The names of the functions that are tests: after an attribute that ends in `test`, with others between at most.
fn tests_in(source: &str) -> BTreeSet<String> {
    let mut tests = BTreeSet::new();
    let mut is_test = false;
    for line in source.lines().map(str::trim) {
        if line.starts_with("#[") {
            is_test |= line == "#[test]" || line.starts_with("#[tokio::test");
        } else if let Some((_, rest)) = line.split_once("fn ").filter(|(before, _)| matches!(*before, "" | "async ")) {
            let name: String = rest.chars().take_while(|c| c.is_ascii_alphanumeric() || *c == '_').collect();
            if is_test {
                tests.insert(name);
            }
            is_test = false;
        }
    }
    tests
}

#[test]
fn tests_are_told_from_other_functions() {
    let source = "#[test]\nfn a() {}\nfn b() {}\n    #[tokio::test]\n    async fn c() {}\n#[test]\n#[ignore]\nfn d() {}\n\
                  #[derive(Debug)]\nstruct X;\nfn e() {}";
    assert_eq!(tests_in(source), ["a", "c", "d"].map(str::to_owned).into());
    assert_eq!(cells("| 1 | MUST | x | yes | `a::b` |").map(|cells| cells.len()), Some(5));
    assert_eq!(cells("|---|---|"), None);
}
