//! The options that several commands share.

/// Splits `--name VALUE` or `--name=VALUE` with a number out of `arguments`.
pub(crate) fn take_number(arguments: &mut Vec<String>, name: &str) -> Result<Option<u64>, String> {
    let parse = |text: String| text.parse().map_err(|_| format!("{name} wants a whole number, not `{text}`"));
    take_value(arguments, name)?.map(parse).transpose()
}

/// Splits `--name VALUE` or `--name=VALUE` out of `arguments`.
pub(crate) fn take_value(arguments: &mut Vec<String>, name: &str) -> Result<Option<String>, String> {
    let Some(at) = arguments
        .iter()
        .position(|a| a.strip_prefix(name).is_some_and(|rest| rest.is_empty() || rest.starts_with('=')))
    else {
        return Ok(None);
    };
    let argument = arguments.remove(at);
    if let Some((_, value)) = argument.split_once('=') {
        return Ok(Some(value.to_owned()));
    }
    if at == arguments.len() {
        return Err(format!("{name} wants something after it"));
    }
    Ok(Some(arguments.remove(at)))
}

/// Takes the flag `name` out of `arguments`, and says whether it was there.
pub(crate) fn take_flag(arguments: &mut Vec<String>, name: &str) -> bool {
    let before = arguments.len();
    arguments.retain(|a| a != name);
    arguments.len() != before
}

/// Refuses an option that nobody has taken.
pub(crate) fn no_more_options(arguments: &[String]) -> Result<(), String> {
    match arguments.iter().find(|a| a.starts_with('-')) {
        Some(option) => Err(format!("no option `{option}` here; see `cargo xtask help`")),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn list(words: &str) -> Vec<String> {
        words.split_whitespace().map(str::to_owned).collect()
    }

    #[test]
    fn options_are_taken_out_in_both_spellings() {
        for words in ["fmt --seconds 5 lint", "fmt --seconds=5 lint"] {
            let mut arguments = list(words);
            assert_eq!(take_number(&mut arguments, "--seconds"), Ok(Some(5)));
            assert_eq!(arguments, list("fmt lint"));
            assert_eq!(take_number(&mut arguments, "--seconds"), Ok(None));
        }
        assert!(take_number(&mut list("--seconds"), "--seconds").is_err());
        assert!(take_number(&mut list("--seconds soon"), "--seconds").is_err());
        let mut arguments = list("--list x");
        assert!(take_flag(&mut arguments, "--list"));
        assert!(!take_flag(&mut arguments, "--list"));
        assert!(no_more_options(&arguments).is_ok());
        assert!(no_more_options(&list("--lits")).is_err());
    }
}
