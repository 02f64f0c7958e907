//! Who may know whom inside `relais-core`, by the paths that its files name; and that one door commits and publishes.

use super::Finding;
use super::paths::{module_of, named};
use super::source::Source;

const CORE: &str = "crates/relais-core/src/";
const NOUNS: [&str; 7] = [
    "ids",
    "command",
    "event",
    "error",
    "limit",
    "outside",
    "restriction",
];
const RULE: &str = "who-may-know-whom";

/// What a file of core is, by its first module.
#[derive(Clone, Copy, PartialEq)]
enum Layer {
    Root,
    Noun,
    Ports,
    Capability,
    Vocabulary,
    Dispatch,
    Unplaced,
}

fn layer(module: &[String]) -> Layer {
    match module.first().map(String::as_str) {
        None => Layer::Root,
        Some(name) if NOUNS.contains(&name) => Layer::Noun,
        Some("ports") => Layer::Ports,
        Some("capability") => Layer::Capability,
        Some("vocabulary") => Layer::Vocabulary,
        Some("dispatch") => Layer::Dispatch,
        Some(_) => Layer::Unplaced,
    }
}

/// Why `from` may not name `to`, or `None` where it may.
fn objection(from: &[String], to: &[String]) -> Option<&'static str> {
    let (own, other) = (layer(from), layer(to));
    let same = from.first() == to.first();
    match own {
        Layer::Root | Layer::Dispatch => None,
        Layer::Noun if other == Layer::Noun => None,
        Layer::Noun => Some("nouns know only nouns; the knowing one goes the other way"),
        Layer::Ports if same || other == Layer::Noun => None,
        Layer::Ports => Some("ports know only the nouns; describe what is needed with them"),
        Layer::Capability if matches!(other, Layer::Noun | Layer::Ports) => None,
        Layer::Capability if other == Layer::Capability => sibling(from, to),
        Layer::Capability => {
            Some("capabilities know nouns and ports; dispatch and vocabulary call them")
        }
        Layer::Vocabulary if same || matches!(other, Layer::Noun | Layer::Ports) => None,
        Layer::Vocabulary => Some("vocabulary maps names to commands; it calls nobody"),
        Layer::Unplaced if same || other == Layer::Noun => None,
        Layer::Unplaced => Some("a module without a place in the table knows only nouns"),
    }
}

/// A capability may name the folder's own shared types and itself, and no other capability.
fn sibling(from: &[String], to: &[String]) -> Option<&'static str> {
    let is_module = |name: &String| name.starts_with(|first: char| first.is_ascii_lowercase());
    match (from.get(1), to.get(1)) {
        (Some(own), Some(other)) if own != other && is_module(other) && to.len() > 2 => {
            Some("capabilities do not know each other; make it a reaction in dispatch")
        }
        _ => None,
    }
}

/// Checks one file; files outside of core and server have nothing to fear.
pub fn check(source: &Source<'_>) -> Vec<Finding> {
    let mut findings = one_door(source);
    let Some(inside) = source.file.path.strip_prefix(CORE) else {
        return findings;
    };
    let module = module_of(inside);
    for named in named(&source.code, &module) {
        if source.in_test(named.at) {
            continue;
        }
        if let Some(right) = objection(&module, &named.path) {
            let (from, to) = (module.join("::"), named.path.join("::"));
            findings.push(finding(
                source,
                named.at,
                format!("`{from}` names `{to}`"),
                right,
            ));
        }
    }
    findings
}

/// Only `dispatch` commits to a store and publishes to a fan-out, in core and in the server.
fn one_door(source: &Source<'_>) -> Vec<Finding> {
    let path = &source.file.path;
    let core = path
        .strip_prefix(CORE)
        .is_some_and(|inside| layer(&module_of(inside)) != Layer::Dispatch);
    if !core && !path.starts_with("crates/relais-server/src/") {
        return Vec::new();
    }
    let calls: &[&str] = if core {
        &[".commit(", ".publish(", ".volatile("]
    } else {
        &[".commit("]
    };
    let found = calls.iter().flat_map(|call| {
        (source.code.match_indices(call))
            .filter(|&(at, _)| !source.in_test(at))
            .map(|(at, call)| {
                finding(
                    source,
                    at,
                    format!("a call of `{call}…)`"),
                    "only core's dispatch commits and publishes; build a command and dispatch it",
                )
            })
    });
    found.collect()
}

fn finding(source: &Source<'_>, at: usize, found: String, right: &'static str) -> Finding {
    Finding {
        file: source.file.path.clone(),
        line: source.line(at),
        rule: RULE,
        found,
        right,
        note: false,
    }
}

#[cfg(test)]
mod tests {
    use super::check;
    use crate::tidy::source::Source;
    use crate::tidy::tree::File;

    fn found(path: &str, text: &str) -> Vec<(usize, String)> {
        let file = File {
            path: path.to_owned(),
            text: text.to_owned(),
        };
        let findings = check(&Source::read(&file));
        findings.into_iter().map(|f| (f.line, f.found)).collect()
    }

    #[test]
    fn a_noun_that_knows_a_port_is_found() {
        let text = "use crate::ids::Id;\nuse crate::ports::Store;\n";
        assert_eq!(
            found("crates/relais-core/src/event.rs", text),
            [(2, "`event` names `ports::Store`".to_owned())]
        );
    }

    #[test]
    fn a_capability_may_use_what_the_folder_shares_but_no_sibling() {
        let path = "crates/relais-core/src/capability/message.rs";
        let text = "use super::Outcome;\nuse super::room::Rooms;\nuse crate::vocabulary::App;\nuse crate::ports::Head;\n";
        let found = found(path, text);
        assert_eq!(found.len(), 2);
        assert_eq!((found[0].0, found[1].0), (3, 2));
    }

    #[test]
    fn a_file_of_a_capability_may_use_its_own_folder() {
        let path = "crates/relais-core/src/capability/message/page.rs";
        assert!(found(path, "use super::Draft;\nuse crate::capability::Outcome;\n").is_empty());
    }

    #[test]
    fn tests_may_know_everybody() {
        let text = "#[cfg(test)]\nmod tests {\n use crate::dispatch::Dispatch;\n}\n";
        assert!(found("crates/relais-core/src/ids.rs", text).is_empty());
    }

    #[test]
    fn only_dispatch_commits() {
        let text = "fn f() { store.commit(x); }\n";
        assert_eq!(
            found("crates/relais-core/src/capability/room.rs", text).len(),
            1
        );
        assert_eq!(found("crates/relais-server/src/http/mod.rs", text).len(), 1);
        assert!(found("crates/relais-core/src/dispatch/mod.rs", text).is_empty());
        assert!(found("crates/relais-store/src/sqlite.rs", text).is_empty());
    }
}
