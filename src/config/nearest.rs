//! The name that was probably meant.

/// Returns the one of `names` that `word` is most probably a slip of the pen for.
pub(crate) fn nearest<'a>(word: &str, names: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    // A word longer than any name is not near one, and would cost time to compare.
    if word.len() > 128 {
        return None;
    }
    let folded = word.to_ascii_lowercase().replace('-', "_");
    let score =
        |name: &str| strsim::jaro_winkler(&folded, &name.to_ascii_lowercase().replace('-', "_"));
    names
        .into_iter()
        .map(|name| (score(name), name))
        .filter(|(score, _)| *score > 0.84)
        .max_by(|(left, _), (right, _)| left.total_cmp(right))
        .map(|(_, name)| name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slips_are_recognised_and_other_words_are_not() {
        let keys = [
            "client_id",
            "client_secrets",
            "organization",
            "quota",
            "scopes",
        ];

        assert_eq!(nearest("client_secret", keys), Some("client_secrets"));
        assert_eq!(nearest("organisation", keys), Some("organization"));
        assert_eq!(nearest("clientId", keys), Some("client_id"));
        assert_eq!(nearest("qouta", keys), Some("quota"));
        assert_eq!(nearest("technical_account", keys), None);
        assert_eq!(nearest("grant", keys), None);
    }
}
