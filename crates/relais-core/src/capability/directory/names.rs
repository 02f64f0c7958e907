//! Whom a text names by `@` and an id or a name.
//!
//! In come the people of a room, one after the other ([`Names`]), and a text; out come the users whom it names, in the order in
//! which it does. Names are compared in lower case, ids as they are; the longest that fits wins, so that `@Ann Lee` is not `@Ann`. Whoever
//! has a name together with somebody else is named together with them. What stands right before the `@` or right after the name must not be part of a word:
//! `mail@ann.fr` names nobody. Who of them is told is not decided here.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Bound;

use crate::event::Person;
use crate::ids::UserId;

/// Users that one text can name.
pub const MENTIONS_MAX: usize = 50;
/// Signs that are looked at in one text: more are no text that somebody wrote.
const SIGNS_MAX: usize = 250;

/// Everybody who can be named.
#[derive(Clone, Debug, Default)]
pub struct Names {
    ids: BTreeMap<Box<str>, UserId>,
    /// In lower case.
    names: BTreeMap<Box<str>, BTreeSet<UserId>>,
}

impl Names {
    /// Somebody more.
    pub fn insert(&mut self, person: &Person) {
        let id = person.id.as_str();
        self.ids.insert(id.into(), person.id.clone());
        let name = person.name.to_lowercase();
        if !name.is_empty() {
            let namesakes = self.names.entry(name.into()).or_default();
            namesakes.insert(person.id.clone());
        }
    }

    /// Somebody less; with the name under which they were inserted.
    pub fn remove(&mut self, person: &Person) {
        self.ids.remove(person.id.as_str());
        let name = person.name.to_lowercase();
        if let Some(namesakes) = self.names.get_mut(&*name) {
            namesakes.remove(&person.id);
            if namesakes.is_empty() {
                self.names.remove(&*name);
            }
        }
    }

    /// Whom a text names: each once, at most [`MENTIONS_MAX`].
    pub fn find(&self, text: &str) -> Vec<UserId> {
        let mut found: Vec<UserId> = Vec::new();
        // In lower case a text may have another length, but it has the same signs in the same order.
        let lower = text.to_lowercase();
        let signs = after_signs(text).zip(after_signs(&lower));
        for (exact, lower) in signs.take(SIGNS_MAX) {
            let (Some(exact), Some(lower)) = (exact, lower) else {
                continue;
            };
            let id = longest(&self.ids, exact);
            let name = longest(&self.names, lower);
            let chars = |key: Option<&str>| key.map_or(0, |key| key.chars().count());
            let (by_id, by_name) = (chars(id.map(|id| id.0)), chars(name.map(|name| name.0)));
            let one = id.filter(|_| by_id >= by_name).map(|(_, id)| id);
            let many = name.filter(|_| by_name >= by_id);
            let many = many.into_iter().flat_map(|(_, ids)| ids);
            for user in one.into_iter().chain(many) {
                if found.len() >= MENTIONS_MAX {
                    return found;
                }
                if !found.contains(user) {
                    found.push(user.clone());
                }
            }
        }
        found
    }
}

/// What stands after each `@`; `None` where it is in the middle of a word.
fn after_signs(text: &str) -> impl Iterator<Item = Option<&str>> {
    text.match_indices('@').map(|(at, _)| {
        let before = text[..at].chars().next_back();
        (!before.is_some_and(is_of_a_word)).then(|| &text[at + 1..])
    })
}

/// The longest key with which the text begins, as a whole word.
fn longest<'k, T>(keys: &'k BTreeMap<Box<str>, T>, text: &str) -> Option<(&'k str, &'k T)> {
    // Every key with which the text begins sorts before it, and is no longer than what it shares with a key in between.
    let mut end = Bound::Included(text);
    loop {
        let range = (Bound::Unbounded, end);
        let (key, value) = keys.range::<str, _>(range).next_back()?;
        let shared = shared_bytes(key, text);
        if shared < key.len() {
            if shared == 0 {
                return None;
            }
            end = Bound::Included(&text[..shared]);
            continue;
        }
        let next = text[shared..].chars().next();
        if !next.is_some_and(is_of_a_word) {
            return Some((key, value));
        }
        end = Bound::Excluded(&text[..shared]);
    }
}

/// How many bytes two texts have in common at their beginning, in whole characters.
fn shared_bytes(one: &str, other: &str) -> usize {
    let pairs = one.chars().zip(other.chars());
    let same = pairs.take_while(|(one, other)| one == other);
    same.map(|(one, _)| one.len_utf8()).sum()
}

/// Letters, digits, the underscore, and accents that stand after their letter.
fn is_of_a_word(char: char) -> bool {
    char.is_alphanumeric() || char == '_' || ('\u{300}'..='\u{36f}').contains(&char)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(people: &[(&str, &str)]) -> Names {
        let mut names = Names::default();
        for (id, name) in people {
            names.insert(&person(id, name));
        }
        names
    }

    fn person(id: &str, name: &str) -> Person {
        Person {
            id: UserId::text(id),
            name: (*name).into(),
            role: None,
        }
    }

    fn found(names: &Names, text: &str) -> Vec<String> {
        let found = names.find(text).into_iter();
        found.map(|user| user.to_string()).collect()
    }

    fn school() -> Names {
        names(&[
            ("martin", "Ms Martin"),
            ("leo", "Léo"),
            ("ann", "Ann"),
            ("lee", "Ann Lee"),
            ("17", "Zoë Brontë-O'Neil"),
            ("18", "İpek"),
            ("a1", "Sam"),
            ("a2", "sam"),
        ])
    }

    #[test]
    fn people_are_named_by_id_or_name_with_spaces_accents_and_any_case() {
        let school = school();
        for (text, expected) in [
            ("@martin look", vec!["martin"]),
            ("hello @ms martin, and @LÉO!", vec!["martin", "leo"]),
            ("(@Zoë Brontë-O'Neil)", vec!["17"]),
            ("@17: yes", vec!["17"]),
            ("@i\u{307}pek @İPEK", vec!["18"]),
            ("@leo @léo", vec!["leo"]),
            ("@Martin", vec![]),
            ("@LEO", vec![]),
            ("martin, leo", vec![]),
            ("@", vec![]),
            ("@ leo", vec![]),
        ] {
            assert_eq!(found(&school, text), expected, "{text}");
        }
    }

    #[test]
    fn the_longest_name_wins_and_a_name_ends_where_a_word_ends() {
        let school = school();
        for (text, expected) in [
            ("@Ann Lee", vec!["lee"]),
            ("@Ann Leeds", vec!["ann"]),
            ("@Ann, @ann lee.", vec!["ann", "lee"]),
            ("@Anna", vec![]),
            ("@171", vec![]),
            ("@leo\u{301}", vec![]),
            ("mail@leo.fr", vec![]),
            ("@@leo", vec!["leo"]),
            ("@leo_", vec![]),
        ] {
            assert_eq!(found(&school, text), expected, "{text}");
        }
    }

    #[test]
    fn namesakes_are_named_together_until_one_is_gone() {
        let mut school = school();
        assert_eq!(found(&school, "@SAM"), ["a1", "a2"]);
        school.remove(&person("a1", "Sam"));
        assert_eq!(found(&school, "@SAM @a1"), ["a2"]);
    }

    #[test]
    fn a_text_names_fifty_people_at_most() {
        let people: Vec<_> = (0..200).map(|number| format!("u{number}")).collect();
        let pairs: Vec<_> = people.iter().map(|id| (id.as_str(), id.as_str())).collect();
        let text: String = people.iter().map(|id| format!("@{id} ")).collect();
        assert_eq!(found(&names(&pairs), &text).len(), MENTIONS_MAX);
        assert_eq!(found(&names(&pairs), &"@".repeat(4_000)), [""; 0]);
    }
}
