//! From the parser's events to phases and items.

mod walk;

use std::collections::BTreeMap;
use std::sync::LazyLock;

use regex::Regex;

use self::walk::Heading;
use self::walk::RawItem;
use super::Phase;
use super::PlanItem;
use super::PlanSyntax;
use super::Task;
use super::lines::Lines;
use super::links;

#[derive(Debug, Default)]
pub(super) struct Outline {
    pub(super) phases: Vec<Phase>,
    pub(super) items: Vec<PlanItem>,
    pub(super) tasks: Vec<Task>,
    pub(super) definition_of_done: Option<String>,
}

/// A heading that says it is a phase, with its number: `Phase 2: API`, `フェーズ2 基盤`, `2. API`.
static NUMBERED: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(
        r"(?xi) ^\s* (?: (?P<word>phase|milestone|stage|step|sprint|iteration|フェーズ|フェイズ|段階|マイルストーン|ステップ|第) \s*\#?\s* (?P<n>\d{1,9}) \s*(?:段階|期)? | (?P<p>\d{1,9}) [.)] ) [\s:.\x{ff1a}\-–—|]* (?P<title>.*) $",
    )
    .expect("a fixed pattern")
});

pub(super) fn read(text: &str, syntax: &PlanSyntax) -> Outline {
    let lines = Lines::new(text);
    let raw = walk::walk(text, syntax);
    let level = level(&raw.headings, &raw.items, syntax);
    let mut found: BTreeMap<usize, Phase> = BTreeMap::new();
    let mut items = Vec::new();
    for item in &raw.items {
        let place = match place(&raw.headings, item, level, syntax) {
            Place::Outside => continue,
            Place::NoPhase => None,
            Place::In(heading) => Some(heading),
        };
        if let Some(at) = place
            && let Some(heading) = raw.headings.get(at)
        {
            found.entry(at).or_insert_with(|| phase(heading, &lines));
        }
        items.push((place, item));
    }
    let mut definition_of_done = None;
    for section in &raw.done {
        let markdown = text.get(section.range.clone()).unwrap_or_default().trim();
        if markdown.is_empty() {
            continue;
        }
        let owner = section.path.iter().rev().find(|at| found.contains_key(at));
        let owner = owner.and_then(|at| found.get_mut(at));
        let into = match owner {
            Some(phase) => &mut phase.definition_of_done,
            None => &mut definition_of_done,
        };
        match into {
            Some(before) => {
                before.push_str("\n\n");
                before.push_str(markdown);
            }
            None => *into = Some(markdown.to_owned()),
        }
    }
    let places: Vec<usize> = found.keys().copied().collect();
    let mut seen: BTreeMap<(Option<usize>, String), usize> = BTreeMap::new();
    let items = items.into_iter().map(|(at, raw_item)| {
        let phase = at.and_then(|at| places.binary_search(&at).ok());
        let (plain, link) = links::split(&raw_item.plain, &raw_item.links, raw_item.first_line);
        let plain = plain.split_whitespace().collect::<Vec<_>>().join(" ");
        let count = seen.entry((phase, plain.clone())).or_default();
        let occurrence = *count;
        *count += 1;
        let below = raw_item
            .path
            .iter()
            .filter(|h| at.is_some_and(|at| **h > at));
        let headings = below
            .filter_map(|h| raw.headings.get(*h))
            .map(|h| h.text.clone());
        PlanItem {
            line: lines.number(raw_item.marker.start),
            checked: raw_item.checked,
            text: plain,
            link,
            details: details(text, raw_item, &lines),
            context: headings.chain(raw_item.around.iter().cloned()).collect(),
            phase,
            occurrence,
            marker: raw_item.marker.clone(),
            paragraph: raw_item.paragraph.clone(),
        }
    });
    Outline {
        items: items.collect(),
        phases: found.into_values().collect(),
        tasks: raw
            .tasks
            .into_iter()
            .map(|t| Task {
                line: lines.number(t.marker.start),
                checked: t.checked,
                text: t.plain.trim().to_owned(),
            })
            .collect(),
        definition_of_done,
    }
}

fn phase(heading: &Heading, lines: &Lines) -> Phase {
    let named = NUMBERED.captures(&heading.text);
    let number = named
        .as_ref()
        .and_then(|c| c.name("n").or_else(|| c.name("p")));
    let title = named
        .as_ref()
        .and_then(|c| c.name("title"))
        .map(|m| m.as_str().trim());
    Phase {
        number: number.and_then(|m| m.as_str().parse().ok()),
        title: title
            .filter(|t| !t.is_empty())
            .unwrap_or(&heading.text)
            .to_owned(),
        heading: heading.text.clone(),
        line: lines.number(heading.range.start),
        definition_of_done: None,
    }
}

/// Returns the level of phases.
fn level(headings: &[Heading], items: &[RawItem], syntax: &PlanSyntax) -> Option<u8> {
    if syntax.level.is_some() {
        return syntax.level;
    }
    let mut count: BTreeMap<u8, usize> = BTreeMap::new();
    for heading in headings {
        let says_so = match &syntax.pattern {
            Some(pattern) => pattern.is_match(&heading.text),
            None => NUMBERED
                .captures(&heading.text)
                .is_some_and(|c| c.name("word").is_some()),
        };
        if says_so {
            *count.entry(heading.level).or_default() += 1;
        }
    }
    // The highest of those used most.
    if let Some((level, _)) = count
        .iter()
        .max_by_key(|(level, n)| (**n, std::cmp::Reverse(**level)))
    {
        return Some(*level);
    }
    let title = title(headings);
    let above_items = items
        .iter()
        .flat_map(|item| &item.path)
        .filter(|at| Some(**at) != title);
    above_items
        .filter_map(|at| headings.get(*at))
        .map(|h| h.level)
        .min()
}

/// Returns the heading that is the document's title: the only one of level 1, if it comes first.
fn title(headings: &[Heading]) -> Option<usize> {
    let ones = headings.iter().filter(|h| h.level == 1).count();
    let first = headings.first().is_some_and(|h| h.level == 1);
    (ones == 1 && first && headings.len() > 1).then_some(0)
}

enum Place {
    In(usize),
    NoPhase,
    Outside,
}

fn place(headings: &[Heading], item: &RawItem, level: Option<u8>, syntax: &PlanSyntax) -> Place {
    let Some(level) = level else {
        return Place::NoPhase;
    };
    let fits = |heading: &Heading| {
        syntax
            .pattern
            .as_ref()
            .is_none_or(|p| p.is_match(&heading.text))
    };
    let exact = item.path.iter().copied().find(|at| {
        headings
            .get(*at)
            .is_some_and(|h| h.level == level && fits(h))
    });
    if let Some(at) = exact {
        return Place::In(at);
    }
    if syntax.pattern.is_some() {
        return Place::Outside;
    }
    // A document that skips levels still has a nearest heading.
    let title = title(headings);
    match item.path.iter().copied().rfind(|at| Some(*at) != title) {
        Some(at) => Place::In(at),
        None => Place::NoPhase,
    }
}

/// Returns what stands below an item's first paragraph, moved to the left margin.
fn details(text: &str, item: &RawItem, lines: &Lines) -> String {
    let first = lines.number(item.paragraph.end.saturating_sub(1).max(item.marker.start)) + 1;
    let Some(start) = lines.range(first).map(|r| r.start) else {
        return String::new();
    };
    let Some(below) = text.get(start..item.range.end.max(start)) else {
        return String::new();
    };
    let indent = |line: &str| line.len() - line.trim_start_matches([' ', '\t']).len();
    let all: Vec<&str> = below
        .split('\n')
        .map(|l| l.trim_end_matches('\r'))
        .collect();
    let filled = all.iter().filter(|l| !l.trim().is_empty());
    let least = filled.map(|l| indent(l)).min().unwrap_or(0);
    let moved: Vec<&str> = all
        .iter()
        .map(|l| l.get(least.min(indent(l))..).unwrap_or_default())
        .collect();
    moved.join("\n").trim_matches('\n').trim_end().to_owned()
}
