//! The sources of a prompt: every text shown, bounded, and then either fenced or given as data.

use std::fmt::Write as _;

use serde::Serialize;

use super::Content;
use super::Dossier;
use super::LeftOut;
use super::Noted;
use super::PromptLimits;
use super::PromptSettings;
use super::Role;
use super::fence::Fences;
use super::visible::bounded;
use super::visible::visible;
use super::visible::visible_line;
use super::visible::without_nonce;
use crate::agent::TaskKind;
use crate::clock::Timestamp;
use crate::issue::AttachmentId;
use crate::issue::CommentId;
use crate::issue::IssueKey;

/// Longest title, name or label, in characters.
const LINE: usize = 300;
/// A rest of the budget that is too small to say anything in.
const TOO_SMALL: usize = 200;
/// What the fence, the author and the date of a block cost, in characters, at the least.
const FENCE: usize = 150;
/// Most attachments that are listed.
const MOST_FILES: usize = 200;
/// Most labels that are listed.
const MOST_LABELS: usize = 50;

/// Everything an agent is given about one issue, made harmless: the structured input of agents that are programs, and
/// what the prompt's blocks are written from.
#[derive(Debug, Serialize)]
pub(super) struct Sources {
    v: u32,
    task: TaskKind,
    issue: ShownIssue,
    comments: Vec<ShownComment>,
    older_comments_left_out: usize,
    #[serde(skip_serializing_if = "Option::is_none")]
    triage: Option<ShownMemo>,
    #[serde(skip_serializing_if = "Option::is_none")]
    check: Option<ShownCheck>,
    #[serde(skip_serializing_if = "Option::is_none")]
    rework: Option<ShownMemo>,
    attachments: Vec<ShownFile>,
    more_attachments: usize,
    documents: Vec<ShownDocument>,
    #[serde(skip_serializing_if = "Option::is_none")]
    repair: Option<ShownRepair>,
    left_out: LeftOut,
    pub(super) prohibitions: Vec<String>,
}

#[derive(Debug, Serialize)]
struct ShownIssue {
    key: IssueKey,
    title: String,
    body: String,
    role: Role,
    author: Option<String>,
    labels: Vec<String>,
    created: Timestamp,
}

#[derive(Debug, Serialize)]
struct ShownComment {
    id: CommentId,
    role: Role,
    author: String,
    at: Timestamp,
    new: bool,
    edited: bool,
    text: String,
}

#[derive(Debug, Serialize)]
struct ShownMemo {
    comment: CommentId,
    at: Timestamp,
    text: String,
}

#[derive(Debug, Serialize)]
struct ShownCheck {
    #[serde(flatten)]
    memo: ShownMemo,
    candidate_files: Vec<String>,
    unknown_files: Vec<String>,
    #[serde(skip)]
    listed: String,
}

#[derive(Debug, Serialize)]
struct ShownFile {
    id: AttachmentId,
    name: String,
    size: Option<u64>,
    role: Role,
    comment: Option<CommentId>,
    /// The place among the images the agent is given, from 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    image: Option<usize>,
    #[serde(flatten)]
    content: Content,
}

#[derive(Debug, Serialize)]
struct ShownDocument {
    name: String,
    text: String,
}

#[derive(Debug, Serialize)]
struct ShownRepair {
    of: TaskKind,
    answer: String,
    problem: String,
}

/// What may still be shown.
struct Budget<'a> {
    nonce: &'a str,
    block: usize,
    left: usize,
}

impl Budget<'_> {
    fn take(&mut self, text: &str) -> String {
        self.left = self.left.saturating_sub(FENCE);
        let most = self.block.min(self.left);
        let shown = bounded(&without_nonce(&visible(text), self.nonce), most);
        self.left = self.left.saturating_sub(shown.chars().count());
        shown
    }

    fn line(&self, text: &str) -> String {
        without_nonce(&visible_line(text, LINE), self.nonce)
    }

    const fn is_spent(&self) -> bool {
        self.left < TOO_SMALL
    }

    fn memo(&mut self, memo: &Noted) -> ShownMemo {
        ShownMemo {
            comment: memo.comment,
            at: memo.at,
            text: self.take(&memo.text),
        }
    }
}

impl Sources {
    /// Takes from the dossier what fits, the most telling first: description, memos, documents, then the comments from
    /// the newest back, then the text of attachments.
    pub(super) fn of(
        kind: TaskKind,
        dossier: &Dossier,
        settings: &PromptSettings,
        prohibitions: Vec<String>,
        nonce: &str,
    ) -> Self {
        let limits = settings.limits;
        let mut budget = Budget {
            nonce,
            block: limits.block,
            left: limits.total,
        };
        let issue = ShownIssue {
            key: dossier.issue.clone(),
            title: budget.line(&dossier.title),
            body: budget.take(&dossier.body),
            role: dossier.role,
            author: dossier.author.as_deref().map(|a| budget.line(a)),
            labels: dossier
                .labels
                .iter()
                .take(MOST_LABELS)
                .map(|l| budget.line(l))
                .collect(),
            created: dossier.created,
        };
        let repair = dossier.repair.as_ref().map(|r| ShownRepair {
            of: r.of,
            answer: budget.take(&r.answer),
            problem: budget.line(&r.problem),
        });
        let rework = dossier.rework.as_ref().map(|m| budget.memo(m));
        let check = dossier.check.as_ref().map(|c| ShownCheck {
            memo: budget.memo(&c.memo),
            listed: budget.take(&listed(&c.files, &c.unknown_files)),
            candidate_files: c.files.clone(),
            unknown_files: c.unknown_files.clone(),
        });
        let triage = dossier.triage.as_ref().map(|m| budget.memo(m));
        let documents = documents(settings, limits, &mut budget);
        let mut comments = Vec::new();
        for c in dossier.said.iter().rev() {
            if budget.is_spent() {
                break;
            }
            comments.push(ShownComment {
                id: c.comment,
                role: c.role,
                author: budget.line(&c.author),
                at: c.at,
                new: c.new,
                edited: c.edited,
                text: budget.take(&c.text),
            });
        }
        comments.reverse();
        let mut images = 0;
        let attachments = dossier
            .files
            .iter()
            .take(MOST_FILES)
            .map(|f| {
                let image = matches!(f.content, Content::Image { .. }).then(|| {
                    images += 1;
                    images
                });
                ShownFile {
                    id: f.attachment.id,
                    name: budget.line(&f.attachment.name),
                    size: f.attachment.size,
                    role: f.role,
                    comment: f.comment,
                    image,
                    content: shown_content(&f.content, &mut budget),
                }
            })
            .collect();
        Self {
            v: 1,
            task: kind,
            older_comments_left_out: dossier.said.len() - comments.len(),
            issue,
            comments,
            triage,
            check,
            rework,
            attachments,
            more_attachments: dossier.files.len().saturating_sub(MOST_FILES),
            documents,
            repair,
            left_out: dossier.left_out,
            prohibitions,
        }
    }

    /// Writes the team's documents.
    pub(super) fn write_documents(&self, nonce: &str) -> String {
        if self.documents.is_empty() {
            return "There are none.\n".to_owned();
        }
        let mut fences = Fences::new(nonce);
        for d in &self.documents {
            fences.block(
                "a document of the project, chosen by the team",
                &[("document", &d.name)],
                &d.text,
            );
        }
        fences.out
    }

    /// Writes the issue, oldest words first.
    pub(super) fn write(&self, nonce: &str) -> String {
        let mut fences = Fences::new(nonce);
        let issue = &self.issue;
        let labels = issue.labels.join(", ");
        let mut lead = vec![("title", issue.title.as_str())];
        lead.extend(issue.author.as_deref().map(|a| ("author", a)));
        if !labels.is_empty() {
            lead.push(("labels", &labels));
        }
        let title = format!(
            "the description, by {}, {}",
            issue.role.words(),
            issue.created
        );
        fences.block(&title, &lead, &issue.body);
        if let Some(memo) = &self.triage {
            write_memo(&mut fences, "the triage memo", memo);
        }
        if let Some(check) = &self.check {
            write_memo(&mut fences, "the latest check memo", &check.memo);
            fences.block(
                "the candidate files of that check, by the pipeline",
                &[],
                &check.listed,
            );
        }
        if self.older_comments_left_out > 0 {
            fences.note(&format!(
                "{} older comments are left out here, because the whole would be too long.",
                self.older_comments_left_out
            ));
        }
        for c in &self.comments {
            let new = if c.new {
                ", new since the latest check"
            } else {
                ""
            };
            let edited = if c.edited {
                ", changed after it was posted"
            } else {
                ""
            };
            let by = c.role.words();
            let title = format!("comment {}, by {by}, {}{new}{edited}", c.id, c.at);
            fences.block(&title, &[("author", &c.author)], &c.text);
        }
        self.write_attachments(&mut fences);
        if let Some(memo) = &self.rework {
            write_memo(&mut fences, "why the last patch went back", memo);
        }
        if let Some(repair) = &self.repair {
            fences.block(
                "your last answer, which did not fit",
                &[("problem", &repair.problem)],
                &repair.answer,
            );
        }
        self.write_left_out(&mut fences);
        fences.out
    }

    fn write_attachments(&self, fences: &mut Fences<'_>) {
        if self.attachments.is_empty() {
            return;
        }
        let mut list = String::new();
        for f in &self.attachments {
            let size = f.size.map_or(String::new(), |s| format!(", {s} bytes"));
            let place = f
                .comment
                .map_or(String::new(), |c| format!(", with comment {c}"));
            let what = match (&f.content, f.image) {
                (Content::Image { .. }, Some(n)) => format!("image {n}"),
                (Content::Text { .. }, _) => "text, shown below".to_owned(),
                (Content::Stored { kind, .. }, _) => format!("{kind}, not shown"),
                (Content::Refused { reason }, _) => format!("not taken: {reason}"),
                (Content::NotFetched | Content::Image { .. }, _) => "not shown".to_owned(),
            };
            let by = f.role.words();
            let _ = writeln!(list, "{} ({}{size}{place}, by {by}): {what}", f.id, f.name);
        }
        if self.more_attachments > 0 {
            let _ = writeln!(list, "and {} more", self.more_attachments);
        }
        fences.block("the attachments", &[], list.trim_end());
        for f in &self.attachments {
            if let Content::Text { text, .. } = &f.content {
                let title = format!("the text of attachment {}, by {}", f.id, f.role.words());
                fences.block(&title, &[("name", &f.name)], text);
            }
        }
    }

    fn write_left_out(&self, fences: &mut Fences<'_>) {
        let LeftOut {
            altered,
            later,
            unbound,
        } = self.left_out;
        for (count, why) in [
            (
                altered,
                "they look like memos of the pipeline and were altered",
            ),
            (
                later,
                "they came after the text that was approved, and not from an approver",
            ),
            (
                unbound,
                "they stand under the pipeline's own account without being memos",
            ),
        ] {
            if count > 0 {
                fences.note(&format!("Comments left out: {count}; {why}."));
            }
        }
    }
}

fn listed(files: &[String], unknown: &[String]) -> String {
    let known = files.iter().map(|f| visible_line(f, LINE));
    let unknown = unknown
        .iter()
        .map(|f| format!("{} (does not exist yet)", visible_line(f, LINE)));
    let all: Vec<String> = known.chain(unknown).collect();
    if all.is_empty() {
        "none were named".to_owned()
    } else {
        all.join("\n")
    }
}

fn documents(
    settings: &PromptSettings,
    limits: PromptLimits,
    budget: &mut Budget<'_>,
) -> Vec<ShownDocument> {
    let mut own = Budget {
        nonce: budget.nonce,
        block: limits.block,
        left: limits.documents.min(budget.left),
    };
    let before = own.left;
    let shown = settings
        .documents
        .iter()
        .map(|d| ShownDocument {
            name: own.line(&d.name),
            text: own.take(&d.text),
        })
        .collect();
    budget.left = budget.left.saturating_sub(before - own.left);
    shown
}

fn shown_content(content: &Content, budget: &mut Budget<'_>) -> Content {
    match content {
        Content::Text { address, text } => Content::Text {
            address: address.clone(),
            text: budget.take(text),
        },
        Content::Refused { reason } => Content::Refused {
            reason: budget.line(reason),
        },
        Content::NotFetched | Content::Image { .. } | Content::Stored { .. } => content.clone(),
    }
}

fn write_memo(fences: &mut Fences<'_>, what: &str, memo: &ShownMemo) {
    let title = format!(
        "{what}, comment {}, by the pipeline, {}",
        memo.comment, memo.at
    );
    fences.block(&title, &[], &memo.text);
}
