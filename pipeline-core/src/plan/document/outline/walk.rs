//! The parser's events, in one pass.

use std::ops::Range;

use pulldown_cmark::CowStr;
use pulldown_cmark::Event;
use pulldown_cmark::Options;
use pulldown_cmark::Parser;
use pulldown_cmark::Tag;
use pulldown_cmark::TagEnd;

use super::super::PlanSyntax;
use super::super::links::Found;

#[derive(Debug)]
pub(super) struct Heading {
    pub(super) level: u8,
    pub(super) text: String,
    pub(super) range: Range<usize>,
}

#[derive(Debug)]
pub(super) struct RawItem {
    pub(super) marker: Range<usize>,
    pub(super) checked: bool,
    /// The whole list item.
    pub(super) range: Range<usize>,
    pub(super) paragraph: Range<usize>,
    pub(super) plain: String,
    pub(super) links: Vec<Found>,
    /// Where its first line ends in `plain`, if it has more.
    pub(super) first_line: Option<usize>,
    /// The headings above it, highest first.
    pub(super) path: Vec<usize>,
    /// The list items around it, outermost first.
    pub(super) around: Vec<String>,
}

#[derive(Debug)]
pub(super) struct RawTask {
    pub(super) marker: Range<usize>,
    pub(super) checked: bool,
    pub(super) plain: String,
}

/// A "definition of done": its text, and the headings above it.
#[derive(Debug)]
pub(super) struct Done {
    pub(super) range: Range<usize>,
    pub(super) path: Vec<usize>,
}

#[derive(Debug, Default)]
pub(super) struct Raw {
    pub(super) headings: Vec<Heading>,
    pub(super) items: Vec<RawItem>,
    pub(super) tasks: Vec<RawTask>,
    pub(super) done: Vec<Done>,
}

/// A list item that is still open.
#[derive(Debug)]
struct Open {
    range: Range<usize>,
    task: Option<(Range<usize>, bool)>,
    plain: String,
    links: Vec<Found>,
    first_line: Option<usize>,
    paragraph: Range<usize>,
    state: Collect,
}

/// Whether the first paragraph of an item is being read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Collect {
    Before,
    During,
    After,
}

struct Walk<'s> {
    text: &'s str,
    syntax: &'s PlanSyntax,
    raw: Raw,
    /// The headings that are in force, highest first.
    path: Vec<usize>,
    open: Vec<Open>,
    heading: Option<Heading>,
    /// A heading inside of a list item is being read.
    in_item_heading: bool,
    link: Option<(usize, CowStr<'s>)>,
    /// The heading of the definition of done that is being read: its level and where its text begins.
    done: Option<(u8, usize, Vec<usize>)>,
    /// A paragraph outside of lists, as plain text.
    paragraph: Option<(String, usize)>,
    /// A paragraph that begins a definition of done, so that the list right behind it belongs to it.
    announced: Option<Range<usize>>,
    in_announced: usize,
    lists: usize,
}

/// Returns whether so much space stands between a list item's sign and its box that the box begins a block of code.
fn is_code(text: &str, item: usize, marker: usize) -> bool {
    let before = text.get(..item).unwrap_or_default();
    let line = before.rfind(['\n', '\r']).map_or(0, |at| at + 1);
    // Where tabs are wide, the parser's box may begin before its bracket.
    let end = text
        .get(item..marker.max(item))
        .map_or(marker, |part| item + part.trim_end().len());
    let space = text.get(end..).unwrap_or_default();
    let marker = end + space.find('[').unwrap_or_default();
    let lead = text.get(line..marker).unwrap_or_default();
    let columns = |part: &str| {
        part.chars().fold(0, |column: usize, c| {
            if c == '\t' {
                column / 4 * 4 + 4
            } else {
                column + 1
            }
        })
    };
    let sign = lead.trim_end_matches([' ', '\t']);
    columns(lead).saturating_sub(columns(sign)) > 4
}

/// Where the Markdown begins: behind a byte order mark and front matter.
fn body(text: &str) -> usize {
    let mark = if text.starts_with('\u{feff}') { 3 } else { 0 };
    let rest = text.get(mark..).unwrap_or_default();
    let mut at = mark;
    let mut fence = None;
    for line in rest.split_inclusive('\n') {
        let shown = line.trim_end();
        match fence {
            None if shown == "---" || shown == "+++" => fence = Some(shown.to_owned()),
            None => return mark,
            Some(ref open) if shown == open || (open == "---" && shown == "...") => {
                return at + line.len();
            }
            Some(_) => {}
        }
        at += line.len();
    }
    mark
}

pub(super) fn walk(text: &str, syntax: &PlanSyntax) -> Raw {
    let base = body(text);
    let markdown = text.get(base..).unwrap_or_default();
    let options =
        Options::ENABLE_TABLES | Options::ENABLE_TASKLISTS | Options::ENABLE_STRIKETHROUGH;
    let mut walk = Walk {
        text,
        in_item_heading: false,
        syntax,
        raw: Raw::default(),
        path: Vec::new(),
        open: Vec::new(),
        heading: None,
        link: None,
        done: None,
        paragraph: None,
        announced: None,
        in_announced: 0,
        lists: 0,
    };
    for (event, range) in Parser::new_ext(markdown, options).into_offset_iter() {
        walk.event(event, range.start + base..range.end + base);
    }
    walk.end_done(text.len());
    // A nested box ends before the one around it.
    walk.raw.tasks.sort_by_key(|task| task.marker.start);
    walk.raw
}

impl<'s> Walk<'s> {
    fn event(&mut self, event: Event<'s>, range: Range<usize>) {
        match event {
            Event::Start(tag) => self.start(tag, range),
            Event::End(tag) => self.end(tag, &range),
            Event::TaskListMarker(checked) => self.marker(checked, range),
            Event::Text(text) => self.text(&text, &range),
            Event::Code(text) => self.text(&format!("`{text}`"), &range),
            Event::InlineMath(text) | Event::DisplayMath(text) => self.text(&text, &range),
            Event::SoftBreak | Event::HardBreak => {
                if let Some(open) = self.open.last_mut()
                    && open.state == Collect::During
                {
                    open.first_line.get_or_insert(open.plain.len());
                }
                self.text(" ", &range);
            }
            // A tag or comment is no text, but it belongs to the paragraph.
            Event::InlineHtml(_) | Event::FootnoteReference(_) => self.text("", &range),
            Event::Html(_) | Event::Rule => self.block(),
        }
    }

    /// Something other than text begins: the first paragraph of the innermost item is over.
    fn block(&mut self) {
        if let Some(open) = self.open.last_mut()
            && open.state == Collect::During
        {
            open.state = Collect::After;
        }
    }

    fn start(&mut self, tag: Tag<'s>, range: Range<usize>) {
        match tag {
            Tag::Heading { level, .. } => {
                self.block();
                self.announced = None;
                // A heading inside of a list item orders nothing.
                self.in_item_heading = !self.open.is_empty();
                if self.open.is_empty() {
                    self.end_done_at_level(level as u8, range.start);
                    self.heading = Some(Heading {
                        level: level as u8,
                        text: String::new(),
                        range,
                    });
                }
            }
            Tag::Paragraph => {
                if let Some(open) = self.open.last_mut() {
                    if open.state == Collect::During && !open.plain.is_empty() {
                        open.state = Collect::After;
                    }
                } else {
                    self.announced = None;
                    self.paragraph = Some((String::new(), range.start));
                }
            }
            Tag::List(_) => {
                self.block();
                if self.lists == 0 && self.announced.is_some() {
                    self.in_announced = 1;
                }
                self.lists += 1;
            }
            Tag::Item => self.open.push(Open {
                paragraph: range.start..range.start,
                range,
                task: None,
                plain: String::new(),
                links: Vec::new(),
                first_line: None,
                state: Collect::Before,
            }),
            Tag::Link { dest_url, .. } => {
                if let Some(open) = self.open.last()
                    && open.state == Collect::During
                {
                    self.link = Some((open.plain.len(), dest_url));
                }
            }
            Tag::Emphasis
            | Tag::Strong
            | Tag::Strikethrough
            | Tag::Superscript
            | Tag::Subscript
            | Tag::Image { .. } => {}
            _ => {
                self.block();
                if self.open.is_empty() {
                    self.announced = None;
                }
            }
        }
    }

    fn end(&mut self, tag: TagEnd, range: &Range<usize>) {
        match tag {
            TagEnd::Heading(_) => {
                self.in_item_heading = false;
                self.block();
                self.end_heading(range.end);
            }
            TagEnd::Paragraph => {
                self.block();
                if self.open.is_empty()
                    && let Some((text, start)) = self.paragraph.take()
                    && self.done.is_none()
                    && self.syntax.done.is_match(text.trim())
                {
                    // It may say everything itself, or the list behind it does.
                    self.announced = Some(start..range.end);
                    self.raw.done.push(Done {
                        range: start..range.end,
                        path: self.path.clone(),
                    });
                }
            }
            TagEnd::List(_) => {
                self.lists = self.lists.saturating_sub(1);
                if self.lists == 0 && self.in_announced > 0 {
                    self.in_announced = 0;
                    self.announced = None;
                    if let Some(done) = self.raw.done.last_mut() {
                        done.range.end = range.end;
                    }
                }
            }
            TagEnd::Item => self.end_item(),
            TagEnd::Link => {
                if let Some((start, url)) = self.link.take()
                    && let Some(open) = self.open.last_mut()
                {
                    open.paragraph.end = open.paragraph.end.max(range.end);
                    let text = start.min(open.plain.len())..open.plain.len();
                    let url = url.to_string();
                    open.links.push(Found { text, url });
                }
            }
            TagEnd::Emphasis | TagEnd::Strong | TagEnd::Strikethrough | TagEnd::Image => {
                self.text("", range);
            }
            _ => {}
        }
    }

    fn marker(&mut self, checked: bool, range: Range<usize>) {
        // The parser counts the space before a box as part of it; the box itself is three bytes.
        let range = range.end.saturating_sub(3)..range.end;
        let is_code = self
            .open
            .last()
            .is_some_and(|open| is_code(self.text, open.range.start, range.start));
        // The reference implementation takes neither code nor a heading for a task.
        if is_code || self.in_item_heading {
            return;
        }
        if let Some(open) = self.open.last_mut() {
            open.paragraph = range.end..range.end;
            open.task = Some((range, checked));
            open.plain.clear();
            open.links.clear();
            open.first_line = None;
            open.state = Collect::During;
        }
    }

    fn text(&mut self, text: &str, range: &Range<usize>) {
        if let Some(heading) = &mut self.heading {
            heading.text.push_str(text);
        } else if let Some(open) = self.open.last_mut() {
            if open.state == Collect::Before {
                open.state = Collect::During;
                open.paragraph = range.start..range.end;
            }
            if open.state == Collect::During {
                open.plain.push_str(text);
                open.paragraph.end = open.paragraph.end.max(range.end);
            }
        } else if let Some((paragraph, _)) = &mut self.paragraph {
            paragraph.push_str(text);
        }
    }

    fn end_heading(&mut self, end: usize) {
        let Some(mut heading) = self.heading.take() else {
            return;
        };
        heading.text = heading
            .text
            .split_whitespace()
            .collect::<Vec<_>>()
            .join(" ");
        let headings = &self.raw.headings;
        self.path
            .retain(|at| headings.get(*at).is_some_and(|h| h.level < heading.level));
        if self.done.is_none() && self.syntax.done.is_match(&heading.text) {
            self.done = Some((heading.level, end, self.path.clone()));
            return;
        }
        self.path.push(self.raw.headings.len());
        self.raw.headings.push(heading);
    }

    fn end_done_at_level(&mut self, level: u8, at: usize) {
        if self
            .done
            .as_ref()
            .is_some_and(|(open, _, _)| level <= *open)
        {
            self.end_done(at);
        }
    }

    fn end_done(&mut self, at: usize) {
        if let Some((_, start, path)) = self.done.take() {
            self.raw.done.push(Done {
                range: start..at,
                path,
            });
        }
    }

    fn end_item(&mut self) {
        let Some(item) = self.open.pop() else {
            return;
        };
        let plain = item.plain.split_whitespace().collect::<Vec<_>>().join(" ");
        let Some((marker, checked)) = item.task else {
            return;
        };
        self.raw.tasks.push(RawTask {
            marker: marker.clone(),
            checked,
            plain,
        });
        let nested = self.open.iter().any(|outer| outer.task.is_some());
        if nested || self.done.is_some() || self.in_announced > 0 {
            return;
        }
        let around = self.open.iter();
        let around = around.map(|o| o.plain.split_whitespace().collect::<Vec<_>>().join(" "));
        self.raw.items.push(RawItem {
            marker,
            checked,
            range: item.range,
            paragraph: item.paragraph,
            plain: item.plain,
            links: item.links,
            first_line: item.first_line,
            path: self.path.clone(),
            around: around.filter(|text| !text.is_empty()).collect(),
        });
    }
}
