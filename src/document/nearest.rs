//! Finds the word that was probably meant.

/// The candidate that `word` was probably meant to be, or `None` when none is near.
///
/// Near is at most one edit in three characters, a swap of neighbours counting as one, and never
/// another word altogether; `-` and `_` and the case of letters are the same here.
pub fn nearest<'c>(word: &str, candidates: impl IntoIterator<Item = &'c str>) -> Option<&'c str> {
    let plain = plain(word);
    let length = plain.chars().count();
    let limit = length.div_ceil(3).min(4).min(length.saturating_sub(1));
    candidates
        .into_iter()
        .map(|candidate| (strsim::osa_distance(&plain, &self::plain(candidate)), candidate))
        .filter(|(distance, _)| *distance <= limit)
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, candidate)| candidate)
}

/// ``did you mean `word`?`` for the nearest candidate, as help behind a caret.
pub fn did_you_mean<'c>(
    word: &str,
    candidates: impl IntoIterator<Item = &'c str>,
) -> Option<String> {
    nearest(word, candidates).map(|near| format!("did you mean `{near}`?"))
}

fn plain(word: &str) -> String {
    word.to_lowercase().replace('-', "_")
}
